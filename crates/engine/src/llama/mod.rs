//! Safe owners over llama.cpp: backend, model, context, batch, threadpool, sampler chain, chat templates, and its quantizer.
//!
//! The only room with `unsafe`, and the only one that names `llama_cpp_2` or `llama_cpp_sys_2`. Takes no decisions about conversations,
//! scheduling or text. Invariants: a C++ exception never leaves `shim.cpp`; a [`Context`] never outlives its [`Model`].

mod abort;
mod backend;
mod bare;
mod batch;
mod context;
mod exit;
mod gguf;
mod grammar;
mod log;
mod memory;
mod model;
mod offload;
mod quantize;
mod rows;
mod sampler;
mod shim;
mod state;
mod templates;
#[cfg(test)]
pub(crate) mod testing;
mod threadpool;
mod vocabulary;

pub use abort::AbortFlag;
pub use backend::{Backend, Device, DeviceKind};
pub use bare::{Bare, BareParams};
pub use batch::Batch;
pub use context::{Context, ContextParams, Decoded, FlashAttention, KvCacheType, MOST_DRAFTED, Stake};
pub use exit::at_exit;
pub use gguf::{FileInfo, check_bytes};
#[cfg(test)]
pub(crate) use grammar::native;
pub use grammar::{GrammarTrigger, ToolGrammar};
pub use log::set_debug;
pub use model::{Model, ModelInfo, ModelParams};
pub use offload::GpuLayers;
pub use quantize::{WeightFormat, write_quantized};
pub(crate) use rows::row_cuts;
pub use sampler::{SamplerChain, SamplerStage, argmax};
pub use state::SequenceState;
pub use templates::{AnswerParser, AnswerSyntax, ParsedAnswer, RenderRequest, RenderedChat, TemplateAbilities, Templates, ThinkingTags};
pub use vocabulary::Vocabulary;

/// A token of a model's vocabulary.
pub type Token = llama_cpp_2::token::LlamaToken;
