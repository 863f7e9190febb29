//! The threads that evaluate a graph beside the engine thread, kept for the life of a context.
//!
//! Without a pool of its own ggml would create and join threads for every token. Polling is kept low: a spinning thread takes a core
//! away from the application.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::mpsc;

use llama_cpp_sys_2 as sys;

use super::backend::cpu_function;
use super::shim::{self, NewPool, Thrown};

/// ggml's unit of spinning before a thread sleeps. Measured best of 0, 1 and 50, quiet and with a busy neighbour; the default, 50, spins
/// for 170 ms after every graph.
const POLL: u32 = 1;

type FreePool = extern "C" fn(*mut sys::ggml_threadpool);

/// `n_threads` threads, the engine thread counted.
#[derive(Debug)]
pub(super) struct Threadpool {
    raw: NonNull<sys::ggml_threadpool>,
    free: FreePool,
}

impl Threadpool {
    /// As many threads as the system lets start, at most `n_threads`, and their number. The pool is `None` when there is none to be had: ggml
    /// then makes its own threads, of which one needs none.
    pub(super) fn new(n_threads: i32) -> (Option<Self>, i32) {
        let n_started = n_startable(n_threads - 1);
        // Where there are too few, the application shall have one left, and so shall the time until the places of the tried ones are free.
        let n_possible = if n_started < n_threads - 1 { n_started.max(1) } else { n_threads };
        for n_threads in [n_possible, (n_possible / 2).max(1), 1] {
            match Self::make(n_threads) {
                Ok(Some(pool)) => return (Some(pool), n_threads),
                // No pools in this backend: threads are made for each evaluation.
                Ok(None) => return (None, n_threads),
                // Somebody else took the last threads meanwhile.
                Err(_) => {}
            }
        }
        (None, 1)
    }

    fn make(n_threads: i32) -> Result<Option<Self>, Thrown> {
        let functions = cpu_function(c"ggml_threadpool_new").zip(cpu_function(c"ggml_threadpool_free"));
        let Some((new, free)) = functions else { return Ok(None) };
        // SAFETY: ggml-cpu.h declares these two names with these types.
        let (new, free) = unsafe {
            (
                std::mem::transmute::<*mut c_void, NewPool>(new),
                std::mem::transmute::<*mut c_void, FreePool>(free),
            )
        };
        // SAFETY: returns a plain value.
        let mut params = unsafe { sys::ggml_threadpool_params_default(n_threads) };
        params.poll = POLL;
        // SAFETY: `new` makes a pool of what the parameters say, which outlive the call.
        let raw = shim::call(|error| unsafe { shim::lw_threadpool_new(new, &raw mut params, error) })?;
        Ok(NonNull::new(raw).map(|raw| Self { raw, free }))
    }

    pub(super) fn as_ptr(&self) -> *mut sys::ggml_threadpool {
        self.raw.as_ptr()
    }
}

impl Drop for Threadpool {
    fn drop(&mut self) {
        (self.free)(self.raw.as_ptr());
    }
}

/// How many of `n_wanted` threads can run at once. ggml asserts that each of its own starts, and what it has started by then is lost: a container
/// or a user may have no more.
fn n_startable(n_wanted: i32) -> i32 {
    std::thread::scope(|scope| {
        let mut alive = Vec::new();
        for _ in 0..n_wanted {
            let (keep, end) = mpsc::channel::<()>();
            // It ends when `keep` goes.
            let started = std::thread::Builder::new().spawn_scoped(scope, move || {
                let _ = end.recv();
            });
            let Ok(thread) = started else { break };
            alive.push((keep, thread));
        }
        let n_started = alive.len();
        for (keep, thread) in alive {
            drop(keep);
            // It does not panic. Its place is free soon after it has been joined.
            let _ = thread.join();
        }
        i32::try_from(n_started).unwrap_or(0)
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::llama::Backend;

    /// Set in the process that may start no threads.
    const LIMITED: &str = "LLAMA_WORKER_TEST_LIMITED";

    #[test]
    fn a_system_without_threads_costs_threads_and_no_process() {
        if std::env::var_os(LIMITED).is_some() {
            Backend::start(Path::new(env!("LLAMA_WORKER_BUILT_BACKENDS"))).unwrap();
            assert_eq!(Threadpool::new(3).1, 3);
            allow_no_threads();
            let error = Threadpool::make(3).expect_err("a pool without threads");
            assert!(error.contains("GGML_ASSERT"), "{error}");
            let (pool, n_threads) = Threadpool::new(3);
            assert!(pool.is_some() && n_threads == 1, "{n_threads}");
            return;
        }
        let name = "llama::threadpool::tests::a_system_without_threads_costs_threads_and_no_process";
        let tests = std::env::current_exe().unwrap();
        let child = Command::new(tests)
            .args(["--exact", name, "--nocapture"])
            .env(LIMITED, "1")
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success() && words.contains("1 passed"), "{words}");
    }

    fn allow_no_threads() {
        const NOBODY: libc::uid_t = 65_534;
        let none = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: sets numbers of this process. The limit does not bind root, who becomes nobody; where that is refused it is no real root.
        let is_set = unsafe {
            libc::setuid(NOBODY);
            libc::setrlimit(libc::RLIMIT_NPROC, &raw const none) == 0
        };
        assert!(
            is_set && std::thread::Builder::new().spawn(|| {}).is_err(),
            "a thread could be started"
        );
    }
}
