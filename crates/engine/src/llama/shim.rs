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

/// The CPU backend's `ggml_threadpool_new`.
pub(super) type NewPool = unsafe extern "C" fn(*mut sys::ggml_threadpool_params) -> *mut sys::ggml_threadpool;

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
    pub(super) fn lw_load_backends(folder: *const c_char, error: *mut *mut c_char);
    pub(super) fn lw_device(index: usize, props: *mut sys::ggml_backend_dev_props, backend: *mut *const c_char, error: *mut *mut c_char);
    pub(super) fn lw_threadpool_new(
        make: NewPool,
        params: *mut sys::ggml_threadpool_params,
        error: *mut *mut c_char,
    ) -> *mut sys::ggml_threadpool;
    pub(super) fn lw_model_load(path: *const c_char, params: sys::llama_model_params, error: *mut *mut c_char) -> *mut sys::llama_model;
    pub(super) fn lw_model_quantize(
        from: *const c_char,
        to: *const c_char,
        params: *const sys::llama_model_quantize_params,
        error: *mut *mut c_char,
    ) -> u32;
    pub(super) fn lw_context_new(
        model: *mut sys::llama_model,
        params: sys::llama_context_params,
        error: *mut *mut c_char,
    ) -> *mut sys::llama_context;
    pub(super) fn lw_context_free(context: *mut sys::llama_context, error: *mut *mut c_char);
    pub(super) fn lw_decode(context: *mut sys::llama_context, batch: sys::llama_batch, error: *mut *mut c_char) -> i32;
    pub(super) fn lw_logits(context: *mut sys::llama_context, index: i32, error: *mut *mut c_char) -> *mut f32;
    pub(super) fn lw_sample(sampler: *mut sys::llama_sampler, candidates: *mut sys::llama_token_data_array, error: *mut *mut c_char);
    pub(super) fn lw_memory_cut(context: *mut sys::llama_context, sequence: i32, from: i32, error: *mut *mut c_char) -> bool;
    pub(super) fn lw_memory_clear(context: *mut sys::llama_context, error: *mut *mut c_char);
    pub(super) fn lw_memory_share(context: *mut sys::llama_context, from: i32, to: i32, end: i32, error: *mut *mut c_char);
    pub(super) fn lw_memory_last(context: *mut sys::llama_context, sequence: i32, error: *mut *mut c_char) -> i32;
    pub(super) fn lw_memory_first(context: *mut sys::llama_context, sequence: i32, error: *mut *mut c_char) -> i32;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The functions of llama.cpp and ggml that are called without the shim, each with why it throws nothing and asserts nothing.
    const CALLED_DIRECTLY: &[(&str, &str)] = &[
        ("llama_batch_init", "allocates by malloc"),
        ("llama_batch_free", "frees"),
        ("llama_free", "of a context that has never evaluated"),
        ("llama_model_free", "frees"),
        ("llama_sampler_free", "frees"),
        ("llama_sampler_init_top_k", SMALL),
        ("llama_sampler_init_top_p", SMALL),
        ("llama_sampler_init_min_p", SMALL),
        ("llama_sampler_init_xtc", SMALL),
        ("llama_sampler_init_temp", SMALL),
        ("llama_sampler_init_dist", SMALL),
        ("llama_sampler_init_mirostat", SMALL),
        ("llama_sampler_init_mirostat_v2", SMALL),
        ("llama_model_n_swa", FIELD),
        ("llama_model_get_vocab", FIELD),
        ("llama_model_desc", "writes a text into a buffer of ours"),
        ("llama_model_has_encoder", FIELD),
        ("llama_model_has_decoder", FIELD),
        ("llama_vocab_type", FIELD),
        ("llama_vocab_n_tokens", FIELD),
        ("llama_vocab_get_attr", "looks into a list; the token is one of the vocabulary's"),
        ("llama_get_memory", FIELD),
        ("llama_n_ctx", FIELD),
        ("llama_n_batch", FIELD),
        ("llama_set_n_threads", FIELD),
        ("llama_attach_threadpool", FIELD),
        ("llama_set_abort_callback", "sets fields of the context and of the CPU backend"),
        ("llama_log_set", FIELD),
        ("llama_version", "returns a constant"),
        ("llama_context_default_params", "returns a constant"),
        ("llama_model_default_params", "returns a constant"),
        ("llama_model_quantize_default_params", "returns a constant"),
        ("ggml_threadpool_params_default", "fills a struct"),
        ("ggml_backend_dev_count", FIELD),
        (
            "ggml_backend_dev_get",
            "looks into a list; the index was compared with its length, but in the test that is to die",
        ),
        ("ggml_backend_dev_by_type", "looks through a list"),
        ("ggml_backend_dev_backend_reg", FIELD),
        ("ggml_backend_reg_get_proc_address", "compares a name with a few constants"),
    ];
    const FIELD: &str = "reads or writes a field";
    const SMALL: &str = "allocates a few bytes from numbers";

    #[test]
    fn what_can_throw_is_called_through_the_shim() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/llama");
        let mut n_calls = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // Tests may end their process.
            let product = text.split("#[cfg(test)]\nmod ").next().unwrap();
            let product = product.split("#[cfg(test)]\npub(crate) mod ").next().unwrap();
            for used in product.split("sys::").skip(1) {
                let name: &str = used.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
                let is_call = used[name.len()..].starts_with('(') && (name.starts_with("llama_") || name.starts_with("ggml_"));
                if is_call {
                    n_calls += 1;
                    let is_reasoned = CALLED_DIRECTLY.iter().any(|(function, _)| *function == name);
                    assert!(is_reasoned, "{} calls {name} without the shim's catch-all", path.display());
                }
            }
        }
        assert!(n_calls > 20, "{n_calls} calls were found");
    }
}
