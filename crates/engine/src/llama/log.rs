//! Where llama.cpp's log lines go: the last errors of this thread are kept as the reason of a failure, everything goes to stderr on request,
//! and the last lines do when the process dies.
//!
//! llama.cpp reports why a load or a context creation failed only here, on the thread that called it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_void};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};

use llama_cpp_sys_2 as sys;

/// Older lines are dropped: the last ones name the cause.
const MAX_KEPT_LINES: usize = 4;

/// Lines of all threads that are shown when the process dies.
const MAX_LAST_LINES: usize = 16;
/// Characters; longer lines are cut: a log may quote what a file says.
const LONGEST_LAST_LINE: usize = 400;

static DEBUG: AtomicBool = AtomicBool::new(false);
static LAST_LINES: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

thread_local! {
    static ERRORS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Whether llama.cpp's log goes to stderr. Counts for the whole process, as llama.cpp has one log.
pub fn set_debug(enabled: bool) {
    DEBUG.store(enabled, Ordering::Relaxed);
    super::shim::set_common_log(enabled);
}

/// Takes over llama.cpp's log, once.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: `on_log` has the signature ggml asks for and uses no user data.
        unsafe { sys::llama_log_set(Some(on_log), std::ptr::null_mut()) };
        set_debug(DEBUG.load(Ordering::Relaxed));
        super::shim::watch_for_death(report_death);
    });
}

/// Forgets earlier errors of this thread: what comes next belongs to the next call.
pub(super) fn clear_errors() {
    ERRORS.with_borrow_mut(Vec::clear);
}

/// The errors logged on this thread since [`clear_errors`], or `otherwise`.
pub(super) fn errors_or(otherwise: &str) -> String {
    let lines = ERRORS.with_borrow_mut(std::mem::take);
    if lines.is_empty() { otherwise.to_owned() } else { lines.join("; ") }
}

unsafe extern "C" fn on_log(level: sys::ggml_log_level, text: *const c_char, _user_data: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: llama.cpp passes a zero-terminated string that lives during this call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    if DEBUG.load(Ordering::Relaxed) {
        // A closed stderr is no reason to fail.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    if level == sys::GGML_LOG_LEVEL_ERROR {
        keep(text.trim());
    }
    if level != sys::GGML_LOG_LEVEL_DEBUG {
        remember(text.trim());
    }
}

/// Ends the process as an assertion that nobody foresaw does, where a test has asked for it by a variable.
pub(super) fn die_for_a_test() {
    if std::env::var_os("LLAMA_WORKER_TEST_DEATH").is_some_and(|value| value == "end this process") {
        // SAFETY: no device has this index, which ggml asserts, and nobody catches it here.
        unsafe { sys::ggml_backend_dev_get(usize::MAX) };
    }
}

/// Called by `fatal.cpp` on any thread when llama.cpp is about to end the process.
extern "C" fn report_death(reason: *const c_char) {
    // SAFETY: `fatal.cpp` passes a zero-terminated string that lives during this call.
    let reason = unsafe { CStr::from_ptr(reason) }.to_string_lossy();
    let mut report = String::new();
    // Not waited for: the thread that dies may be the one that holds it.
    if let Ok(lines) = LAST_LINES.try_lock() {
        for line in lines.iter() {
            report.push_str("llama-worker: log: ");
            report.push_str(line);
            report.push('\n');
        }
    }
    report.push_str("llama-worker: llama.cpp ends the process: ");
    report.push_str(&reason);
    report.push('\n');
    // A closed stderr changes nothing: the process ends.
    let _ = std::io::stderr().write_all(report.as_bytes());
}

fn remember(line: &str) {
    if line.trim_matches('.').is_empty() {
        return;
    }
    // Not waited for: a line less is better than a thread that stands still.
    if let Ok(mut lines) = LAST_LINES.try_lock() {
        if lines.len() == MAX_LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(LONGEST_LAST_LINE).collect());
    }
}

fn keep(line: &str) {
    if line.is_empty() {
        return;
    }
    // A thread that is ending has no list any more, and nobody who would read it.
    let _ = ERRORS.try_with(|errors| {
        let mut lines = errors.borrow_mut();
        if lines.len() == MAX_KEPT_LINES {
            lines.remove(0);
        }
        lines.push(line.to_owned());
    });
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set in the process that is to die.
    const DIES: &str = "LLAMA_WORKER_TEST_DIES";

    #[test]
    fn a_death_that_nobody_catches_says_why() {
        if std::env::var_os(DIES).is_some() {
            install();
            // SAFETY: a file that is not there is refused with a log line. No device has this index, which ggml asserts.
            unsafe {
                let none = sys::llama_model_load_from_file(c"/no/such/model".as_ptr(), sys::llama_model_default_params());
                assert!(none.is_null());
                sys::ggml_backend_dev_get(usize::MAX);
            }
            unreachable!("ggml ended the process");
        }
        let name = "llama::log::tests::a_death_that_nobody_catches_says_why";
        let tests = std::env::current_exe().unwrap();
        let child = Command::new(tests)
            .args(["--exact", name, "--nocapture"])
            .env(DIES, "1")
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&child.stderr);
        assert!(!child.status.success(), "{words}");
        assert!(
            words.contains("llama-worker: llama.cpp ends the process:") && words.contains("GGML_ASSERT"),
            "{words}"
        );
        assert!(words.contains("llama-worker: log:"), "the last lines of the log: {words}");
    }
}
