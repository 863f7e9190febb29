//! A model and a context with nothing around them: the limit that the bench measures the engine against.
//!
//! Deliberately does none of what [`Model`](super::Model) and [`Context`](super::Context) do besides: it looks at no file before llama.cpp does,
//! reckons no memory, and lets nobody abort an evaluation. The context is made as the engine makes its own: one memory for all sequences, logits
//! for one token of each, a pool of threads that hardly spins.

use std::ffi::CString;
use std::path::Path;
use std::ptr::{NonNull, null_mut};

use llama_cpp_sys_2 as sys;

use super::backend::registry;
use super::threadpool::Threadpool;
use super::{Backend, Batch, log, shim};
use crate::error::{Error, Result};

/// What its context is made of.
#[derive(Clone, Copy, Debug)]
pub struct BareParams {
    /// Tokens that fit.
    pub context_size: u32,
    /// Tokens evaluated at once.
    pub batch_size: u32,
    /// Sequences that can be in memory at the same time.
    pub sequences: u32,
    /// Threads that evaluate.
    pub threads: u32,
}

/// A model and a context over it.
#[derive(Debug)]
pub struct Bare {
    model: NonNull<sys::llama_model>,
    context: NonNull<sys::llama_context>,
    /// The context uses it until it is freed; fields are dropped after that, see `drop`.
    _threadpool: Option<Threadpool>,
    n_vocab: usize,
    n_batch: usize,
}

impl Bare {
    /// Loads the model in `file`. `backend`: proof that there is something to compute with.
    ///
    /// # Errors
    /// [`Error::ModelLoadFailed`] and [`Error::ContextCreationFailed`] with llama.cpp's reason.
    pub fn load(_backend: &'static Backend, file: &Path, params: &BareParams) -> Result<Self> {
        let failed = |reason: String| Error::ModelLoadFailed {
            path: file.to_owned(),
            reason,
        };
        let path = file.to_str().and_then(|path| CString::new(path).ok());
        let path = path.ok_or_else(|| failed("the path has no usable name".into()))?;
        let _registry = registry();
        log::clear_errors();
        // SAFETY: `path` is zero-terminated and outlives the call; the parameters are a plain value.
        let model = shim::call(|error| unsafe { shim::lw_model_load(path.as_ptr(), sys::llama_model_default_params(), error) });
        let model = NonNull::new(model.map_err(failed)?).ok_or_else(|| failed(log::errors_or("llama.cpp gave no reason")))?;
        let context = new_context(model, params).inspect_err(|_| {
            // SAFETY: loaded above, and nothing refers to it.
            unsafe { sys::llama_model_free(model.as_ptr()) };
        })?;
        Ok(Self::over(model, context, params))
    }

    fn over(model: NonNull<sys::llama_model>, context: NonNull<sys::llama_context>, params: &BareParams) -> Self {
        let (threadpool, _) = Threadpool::new(thread_count(params));
        // SAFETY: model and context are live; the pool outlives the context, see `drop`.
        let (n_vocab, n_batch) = unsafe {
            if let Some(pool) = &threadpool {
                sys::llama_attach_threadpool(context.as_ptr(), pool.as_ptr(), null_mut());
            }
            let vocab = sys::llama_model_get_vocab(model.as_ptr());
            (sys::llama_vocab_n_tokens(vocab), sys::llama_n_batch(context.as_ptr()))
        };
        Self {
            model,
            context,
            _threadpool: threadpool,
            n_vocab: usize::try_from(n_vocab).unwrap_or(0),
            n_batch: n_batch as usize,
        }
    }

    /// The most tokens one evaluation takes.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.n_batch
    }

    /// Evaluates `batch`.
    ///
    /// # Errors
    /// [`Error::DecodeFailed`].
    ///
    /// # Panics
    /// When the batch is larger than [`Self::batch_size`]: llama.cpp would end the process.
    pub fn decode(&mut self, batch: &Batch) -> Result<()> {
        assert!(
            batch.len() <= self.n_batch,
            "a batch of {} tokens, n_batch is {}",
            batch.len(),
            self.n_batch
        );
        // SAFETY: the context is live, and the batch's arrays are live and filled.
        let code = shim::call(|error| unsafe { shim::lw_decode(self.context.as_ptr(), batch.raw(), error) });
        match code {
            Ok(0) => Ok(()),
            Ok(code) => Err(Error::DecodeFailed {
                reason: format!("llama.cpp returned {code}"),
            }),
            Err(reason) => Err(Error::DecodeFailed { reason }),
        }
    }

    /// The logits after the token at `index` of the last batch, which must have asked for them; -1 is the last that did.
    #[must_use]
    pub fn logits(&self, index: i32) -> Option<&[f32]> {
        // SAFETY: the context is live; an index without logits gives null.
        let logits = shim::call(|error| unsafe { shim::lw_logits(self.context.as_ptr(), index, error) }).ok()?;
        // SAFETY: a row of logits has one number for each token of the vocabulary, and stays until the next evaluation, which needs `&mut self`.
        (!logits.is_null()).then(|| unsafe { std::slice::from_raw_parts(logits, self.n_vocab) })
    }

    /// Cuts a sequence back to its first `n_tokens`. Returns whether its memory allows that.
    pub fn cut(&mut self, sequence: i32, n_tokens: usize) -> bool {
        let from = i32::try_from(n_tokens).unwrap_or(i32::MAX);
        // SAFETY: the context is live, and `new_context` made sure that it has memory.
        shim::call(|error| unsafe { shim::lw_memory_cut(self.context.as_ptr(), sequence, from, error) }).unwrap_or(false)
    }

    /// Forgets all sequences.
    pub fn clear(&mut self) {
        // SAFETY: as in `cut`; the numbers themselves may stay.
        let cleared = shim::call(|error| unsafe { shim::lw_memory_clear(self.context.as_ptr(), error) });
        debug_assert!(cleared.is_ok(), "{cleared:?}");
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // SAFETY: each was made once in `load`; the context goes before the model, and before the threadpool, which is a field.
        let freed = shim::call(|error| unsafe { shim::lw_context_free(self.context.as_ptr(), error) });
        if freed.is_ok() {
            // SAFETY: as above; nothing refers to the model any more.
            unsafe { sys::llama_model_free(self.model.as_ptr()) };
        }
    }
}

fn new_context(model: NonNull<sys::llama_model>, params: &BareParams) -> Result<NonNull<sys::llama_context>> {
    let failed = |reason: String| Error::ContextCreationFailed { reason };
    // SAFETY: the model is live, and is freed after the context.
    let context = shim::call(|error| unsafe { shim::lw_context_new(model.as_ptr(), llama_params(params), error) });
    let context = NonNull::new(context.map_err(failed)?).ok_or_else(|| failed(log::errors_or("llama.cpp gave no reason")))?;
    // SAFETY: the context is live.
    let has_memory = unsafe { !sys::llama_get_memory(context.as_ptr()).is_null() };
    if !has_memory {
        // SAFETY: made above, and nothing refers to it.
        unsafe { sys::llama_free(context.as_ptr()) };
        return Err(failed("the model keeps no memory of a sequence".into()));
    }
    Ok(context)
}

fn llama_params(params: &BareParams) -> sys::llama_context_params {
    // SAFETY: returns a plain value.
    let mut raw = unsafe { sys::llama_context_default_params() };
    raw.n_ctx = params.context_size;
    raw.n_batch = params.batch_size;
    raw.n_ubatch = params.batch_size;
    raw.n_seq_max = params.sequences;
    raw.kv_unified = true;
    raw.n_outputs_max = params.sequences;
    raw.n_threads = thread_count(params);
    raw.n_threads_batch = thread_count(params);
    raw
}

fn thread_count(params: &BareParams) -> i32 {
    i32::try_from(params.threads).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::{Token, argmax};

    #[test]
    fn a_bare_loop_evaluates_cuts_and_says_what_is_wrong() {
        let backend = Backend::start(Path::new(env!("LLAMA_WORKER_BUILT_BACKENDS"))).unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-chat/tiny-chat.gguf");
        let params = BareParams {
            context_size: 256,
            batch_size: 16,
            sequences: 1,
            threads: 1,
        };
        let missing = Bare::load(backend, Path::new("/no/such/model"), &params).unwrap_err();
        assert_eq!(missing.code(), "MODEL_LOAD_FAILED", "{missing}");
        let mut bare = Bare::load(backend, &file, &params).unwrap();
        assert_eq!(bare.batch_size(), 16);
        let mut batch = Batch::new(16);
        let mut first = Vec::new();
        for _ in 0..2 {
            batch.clear();
            (0..4).for_each(|position| batch.add(Token::new(40), position, 0, position == 3));
            bare.decode(&batch).unwrap();
            assert!(bare.logits(0).is_none(), "they were not asked for");
            first.push(argmax(bare.logits(-1).unwrap()).unwrap());
            assert!(bare.cut(0, 0));
        }
        assert_eq!(first[0], first[1]);
        batch.clear();
        (0..2).for_each(|_| batch.add(Token::new(-1), 0, 0, true));
        assert_eq!(bare.decode(&batch).unwrap_err().code(), "DECODE_FAILED");
        bare.clear();
    }
}
