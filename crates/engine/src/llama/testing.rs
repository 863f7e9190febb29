//! What the crate's own tests load: the built-in model on the processor, and a small context.

use std::path::{Path, PathBuf};

use super::{AbortFlag, Backend, ContextParams, FlashAttention, GpuLayers, KvCacheType, Model, ModelParams};

/// Where the built-in model is.
pub(crate) fn built_in_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-chat/tiny-chat.gguf")
}

/// The backends that were built with the crate.
pub(crate) fn backend() -> &'static Backend {
    Backend::start(Path::new(env!("LLAMA_WORKER_BUILT_BACKENDS"))).unwrap()
}

/// To load the model at `path` on the processor.
pub(crate) fn model_params(path: PathBuf) -> ModelParams {
    ModelParams {
        path,
        gpu_layers: GpuLayers::Count(0),
        devices: vec![],
        context_size: None,
        use_mmap: None,
        use_mlock: false,
    }
}

/// The built-in model.
pub(crate) fn built_in_model() -> Model {
    Model::load(backend(), &model_params(built_in_path()), &AbortFlag::default(), |_| {}).unwrap()
}

/// One sequence of 256 tokens, evaluated by one thread.
pub(crate) fn context_params() -> ContextParams {
    ContextParams {
        context_size: 256,
        batch_size: 256,
        sequences: 1,
        threads: 1,
        most_threads: None,
        flash_attention: FlashAttention::Off,
        kv_cache_type: KvCacheType::F16,
        ignores_memory: false,
        session_cache: None,
    }
}
