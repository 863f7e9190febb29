//! The Rust side of `shim.h`: declarations, and its error texts as `Result`.

use std::ffi::{CStr, c_char};

use llama_cpp_sys_2 as sys;

use super::memory;

/// What a shim function reports when C++ threw.
pub(super) type Thrown = String;

#[repr(C)]
pub(super) struct RawTemplates {
    _opaque: [u8; 0],
}

#[repr(C)]
pub(super) struct RawParser {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn lw_string_free(text: *mut c_char);
    fn lw_set_common_log(enabled: bool);
    pub(super) fn lw_load_backend(path: *const c_char, error: *mut *mut c_char) -> bool;
    fn lw_watch_for_death(report_death: extern "C" fn(*const c_char));
    fn lw_measure_memory_by(own_memory: extern "C" fn() -> u64);
    fn lw_catch_assertions_begin();
    fn lw_catch_assertions_end();
    pub(super) fn lw_context_new(
        model: *mut sys::llama_model,
        params: sys::llama_context_params,
        error: *mut *mut c_char,
    ) -> *mut sys::llama_context;
    pub(super) fn lw_decode(context: *mut sys::llama_context, batch: sys::llama_batch, error: *mut *mut c_char) -> i32;
    pub(super) fn lw_state_size(context: *mut sys::llama_context, sequence: i32, error: *mut *mut c_char) -> usize;
    pub(super) fn lw_state_save(
        context: *mut sys::llama_context,
        sequence: i32,
        bytes: *mut u8,
        n_bytes: usize,
        error: *mut *mut c_char,
    ) -> usize;
    pub(super) fn lw_state_restore(
        context: *mut sys::llama_context,
        sequence: i32,
        bytes: *const u8,
        n_bytes: usize,
        error: *mut *mut c_char,
    ) -> usize;
    pub(super) fn lw_tokenize(
        vocab: *const sys::llama_vocab,
        text: *const c_char,
        text_len: i32,
        tokens: *mut sys::llama_token,
        n_tokens_max: i32,
        parse_special: bool,
        error: *mut *mut c_char,
    ) -> i32;
    pub(super) fn lw_templates_new(model: *const sys::llama_model, source: *const c_char, error: *mut *mut c_char) -> *mut RawTemplates;
    pub(super) fn lw_templates_free(templates: *mut RawTemplates);
    pub(super) fn lw_templates_abilities(templates: *const RawTemplates, error: *mut *mut c_char) -> *mut c_char;
    pub(super) fn lw_templates_render(templates: *const RawTemplates, request: *const c_char, error: *mut *mut c_char) -> *mut c_char;
    pub(super) fn lw_templates_write(templates: *const RawTemplates, request: *const c_char, error: *mut *mut c_char) -> *mut c_char;
    pub(super) fn lw_parser_new(description: *const c_char, error: *mut *mut c_char) -> *mut RawParser;
    pub(super) fn lw_parser_free(parser: *mut RawParser);
    pub(super) fn lw_parser_parse(
        parser: *const RawParser,
        text: *const c_char,
        text_len: usize,
        is_partial: bool,
        error: *mut *mut c_char,
    ) -> *mut c_char;
}

pub(super) fn set_common_log(enabled: bool) {
    // SAFETY: sets an integer. llama.cpp calls this not thread-safe; a torn read there would only log a line too many or too few.
    unsafe { lw_set_common_log(enabled) };
}

/// From now on an assertion of llama.cpp that fails is an exception where one is caught, and explains itself elsewhere.
pub(super) fn watch_for_death(report_death: extern "C" fn(*const c_char)) {
    // SAFETY: sets handlers that stay valid: the addon's image is never unloaded. Called once, before any other function of llama.cpp.
    unsafe {
        lw_watch_for_death(report_death);
        lw_measure_memory_by(memory::own_memory_or_zero);
    }
}

/// Runs `load`, which calls a function of llama.cpp that lets no C++ exception out; assertions that fail in it are such exceptions.
pub(super) fn catching_assertions<T>(load: impl FnOnce() -> T) -> T {
    struct Catching;

    impl Drop for Catching {
        fn drop(&mut self) {
            // SAFETY: counts down what was counted up on this thread.
            unsafe { lw_catch_assertions_end() };
        }
    }

    // SAFETY: counts up a number of this thread.
    unsafe { lw_catch_assertions_begin() };
    let _catching = Catching;
    load()
}

/// Calls a shim function with room for its error text, which becomes the `Err`.
pub(super) fn call<T>(function: impl FnOnce(*mut *mut c_char) -> T) -> Result<T, Thrown> {
    let mut error = std::ptr::null_mut();
    let value = function(&raw mut error);
    match take_text(error) {
        Some(thrown) => Err(thrown),
        None => Ok(value),
    }
}

/// Takes over a text that the shim allocated; `None` for null.
pub(super) fn take_text(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: every non-null text of the shim is zero-terminated and ours until it is freed, which happens once, below.
    let copy = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    // SAFETY: as above.
    unsafe { lw_string_free(text) };
    Some(copy)
}
