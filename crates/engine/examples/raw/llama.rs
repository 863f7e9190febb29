//! The calls of llama.cpp that a loop needs, and nothing more.
//!
//! Deliberately does not use the engine: what the engine costs is what the bench wants to see. A context as the engine makes it: one
//! memory for all sequences, logits for one token of each, a pool of threads that hardly spins.

#![expect(unsafe_code, reason = "the engine's safe owners are part of what is measured")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::null_mut;

use llama_cpp_sys_2 as sys;

pub(crate) struct Settings {
    pub(crate) context_size: u32,
    pub(crate) batch_size: u32,
    pub(crate) sequences: u32,
    pub(crate) threads: i32,
}

/// A token to evaluate.
pub(crate) struct Entry {
    token: i32,
    position: i32,
    sequence: i32,
    wants_logits: bool,
}

impl Entry {
    pub(crate) fn new(token: i32, position: usize, sequence: i32, wants_logits: bool) -> Self {
        Self {
            token,
            // OK because no context is that long.
            position: i32::try_from(position).unwrap_or(i32::MAX),
            sequence,
            wants_logits,
        }
    }

    /// The newest token of a sequence.
    pub(crate) fn last(token: i32, position: usize, sequence: i32) -> Self {
        Self::new(token, position, sequence, true)
    }
}

pub(crate) struct Llama {
    model: *mut sys::llama_model,
    context: *mut sys::llama_context,
    batch: sys::llama_batch,
    pool: Option<(*mut sys::ggml_threadpool, FreePool)>,
    n_vocab: usize,
    n_batch: usize,
}

type NewPool = extern "C" fn(*mut sys::ggml_threadpool_params) -> *mut sys::ggml_threadpool;
type FreePool = extern "C" fn(*mut sys::ggml_threadpool);

/// As little as the engine's pool spins.
const POLL: u32 = 1;

impl Llama {
    pub(crate) fn load(backends: &Path, model: &Path, settings: &Settings) -> Result<Self, String> {
        let (backends, path) = (c_path(backends)?, c_path(model)?);
        // SAFETY: both paths are zero-terminated and outlive the calls; the parameters are llama.cpp's own with plain values changed; a null
        // model is not used any further.
        let (model, context) = unsafe {
            sys::llama_log_set(Some(no_log), null_mut());
            sys::ggml_backend_load_all_from_path(backends.as_ptr());
            sys::llama_backend_init();
            let model = sys::llama_model_load_from_file(path.as_ptr(), sys::llama_model_default_params());
            if model.is_null() {
                return Err(format!("llama.cpp does not load `{}`", path.to_string_lossy()));
            }
            (model, sys::llama_init_from_model(model, context_params(settings)))
        };
        if context.is_null() {
            // SAFETY: loaded above, and nothing refers to it.
            unsafe { sys::llama_model_free(model) };
            return Err("llama.cpp makes no such context".into());
        }
        Ok(Self::over(model, context, settings))
    }

    fn over(model: *mut sys::llama_model, context: *mut sys::llama_context, settings: &Settings) -> Self {
        let pool = new_pool(settings.threads);
        // SAFETY: model and context are live; the pool is freed after the context.
        unsafe {
            if let Some((pool, _)) = pool {
                sys::llama_attach_threadpool(context, pool, null_mut());
            }
            let n_batch = sys::llama_n_batch(context);
            let n_vocab = sys::llama_vocab_n_tokens(sys::llama_model_get_vocab(model));
            Self {
                model,
                context,
                batch: sys::llama_batch_init(i32::try_from(n_batch).unwrap_or(i32::MAX), 0, 1),
                pool,
                n_vocab: usize::try_from(n_vocab).unwrap_or(0),
                n_batch: n_batch as usize,
            }
        }
    }

    pub(crate) fn batch_size(&self) -> usize {
        self.n_batch
    }

    pub(crate) fn evaluate(&mut self, entries: &[Entry]) -> Result<(), String> {
        if entries.len() > self.n_batch {
            return Err(format!("{} tokens at once, expected at most {}", entries.len(), self.n_batch));
        }
        for (index, entry) in entries.iter().enumerate() {
            // SAFETY: `index` is below what the arrays were allocated for, and each has room for one sequence.
            unsafe {
                *self.batch.token.add(index) = entry.token;
                *self.batch.pos.add(index) = entry.position;
                *self.batch.n_seq_id.add(index) = 1;
                **self.batch.seq_id.add(index) = entry.sequence;
                *self.batch.logits.add(index) = i8::from(entry.wants_logits);
            }
        }
        self.batch.n_tokens = i32::try_from(entries.len()).unwrap_or(i32::MAX);
        // SAFETY: the context is live and the batch filled up to its length.
        match unsafe { sys::llama_decode(self.context, self.batch) } {
            0 => Ok(()),
            code => Err(format!("llama_decode returned {code}")),
        }
    }

    /// The token with the largest logit in `row` of the last evaluation; -1 is the last row.
    pub(crate) fn likeliest(&self, row: i32) -> Result<i32, String> {
        // SAFETY: the context is live; a row without logits gives null.
        let logits = unsafe { sys::llama_get_logits_ith(self.context, row) };
        if logits.is_null() {
            return Err(format!("row {row} has no logits"));
        }
        // SAFETY: a row has a number for each token, and stays until the next evaluation.
        let logits = unsafe { std::slice::from_raw_parts(logits, self.n_vocab) };
        let mut best = (0, f32::NEG_INFINITY);
        for (token, &logit) in (0..).zip(logits) {
            if logit > best.1 {
                best = (token, logit);
            }
        }
        Ok(best.0)
    }

    /// Cuts a sequence back to its first `n_tokens`.
    pub(crate) fn cut(&mut self, sequence: i32, n_tokens: usize) -> Result<(), String> {
        let from = i32::try_from(n_tokens).map_err(|error| error.to_string())?;
        // SAFETY: the context and its memory are live; -1 means to the end.
        let is_cut = unsafe { sys::llama_memory_seq_rm(sys::llama_get_memory(self.context), sequence, from, -1) };
        is_cut.then_some(()).ok_or_else(|| "this memory cannot be cut".into())
    }

    pub(crate) fn clear(&mut self) {
        // SAFETY: the context and its memory are live.
        unsafe { sys::llama_memory_clear(sys::llama_get_memory(self.context), false) };
    }
}

impl Drop for Llama {
    fn drop(&mut self) {
        // SAFETY: each was made once in `load`; the context goes before what it uses.
        unsafe {
            sys::llama_batch_free(self.batch);
            sys::llama_free(self.context);
            sys::llama_model_free(self.model);
        }
        if let Some((pool, free)) = self.pool {
            free(pool);
        }
    }
}

fn context_params(settings: &Settings) -> sys::llama_context_params {
    // SAFETY: returns a plain value.
    let mut params = unsafe { sys::llama_context_default_params() };
    params.n_ctx = settings.context_size;
    params.n_batch = settings.batch_size;
    params.n_ubatch = settings.batch_size;
    params.n_seq_max = settings.sequences;
    params.kv_unified = true;
    params.n_outputs_max = settings.sequences;
    params.n_threads = settings.threads;
    params.n_threads_batch = settings.threads;
    params
}

/// `None` when the CPU backend offers no pools.
fn new_pool(n_threads: i32) -> Option<(*mut sys::ggml_threadpool, FreePool)> {
    let (new, free) = (cpu_function(c"ggml_threadpool_new")?, cpu_function(c"ggml_threadpool_free")?);
    // SAFETY: ggml-cpu.h declares these two names with these types; the parameters are a plain value.
    unsafe {
        let new = std::mem::transmute::<*mut c_void, NewPool>(new);
        let free = std::mem::transmute::<*mut c_void, FreePool>(free);
        let mut params = sys::ggml_threadpool_params_default(n_threads);
        params.poll = POLL;
        let pool = new(&raw mut params);
        (!pool.is_null()).then_some((pool, free))
    }
}

/// A function of the CPU backend, which is loaded at run time and cannot be linked.
fn cpu_function(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: looks things up in ggml's registry; each null is caught before the next call.
    let function = unsafe {
        let device = sys::ggml_backend_dev_by_type(sys::GGML_BACKEND_DEVICE_TYPE_CPU);
        if device.is_null() {
            return None;
        }
        sys::ggml_backend_reg_get_proc_address(sys::ggml_backend_dev_backend_reg(device), name.as_ptr())
    };
    (!function.is_null()).then_some(function)
}

unsafe extern "C" fn no_log(_level: sys::ggml_log_level, _text: *const c_char, _data: *mut c_void) {}

fn c_path(path: &Path) -> Result<CString, String> {
    let text = path.to_str().and_then(|text| CString::new(text).ok());
    text.ok_or_else(|| format!("the path `{}` has no usable name", path.display()))
}
