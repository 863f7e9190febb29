//! What can be asked of the engine thread. Each command carries its answer.

use std::path::PathBuf;

use super::gpu::{Gpu, GpuBackend};
use crate::chat::{ChatOptions, Message};
use crate::error::Error;
use crate::llama::{AbortFlag, Device, FlashAttention, KvCacheType, ModelInfo, ModelParams};
use crate::scheduler::{Job, Reply, SessionId};

/// A command with its reply.
#[derive(Debug)]
pub(super) enum Command {
    Init(Init),
    LoadModel(LoadModel),
    CreateContext(CreateContext),
    CreateSession(CreateSession),
    Job(SessionId, Job),
    Query(Query),
    /// Answers when everything asked for before it is done.
    Barrier(Reply<Standing>),
    /// Frees everything and ends the thread.
    Stop(Reply<()>),
}

/// Begins a session.
#[derive(Debug)]
pub struct CreateSession {
    /// Its number, which no session had before.
    pub id: SessionId,
    /// What it begins with.
    pub initial: Vec<Message>,
    /// Where the answer goes.
    pub reply: Reply<()>,
}

/// A question about the loaded model.
#[derive(Debug)]
pub enum Query {
    /// The tokens of a text.
    Tokenize {
        /// The text.
        text: String,
        /// Whether the texts of special tokens become those tokens.
        parse_special: bool,
        /// Where the tokens go.
        reply: Reply<Vec<i32>>,
    },
    /// The text of tokens.
    Detokenize {
        /// The tokens.
        tokens: Vec<i32>,
        /// Whether special tokens show their texts.
        with_special: bool,
        /// Where the text goes.
        reply: Reply<String>,
    },
    /// What the model is given for messages.
    ApplyTemplate(Box<ApplyTemplate>),
}

/// Renders messages without generating.
#[derive(Debug)]
pub struct ApplyTemplate {
    /// What to render.
    pub messages: Vec<Message>,
    /// What the template is told besides.
    pub options: ChatOptions,
    /// In place of the model's template.
    pub template: Option<String>,
    /// Where the result goes.
    pub reply: Reply<RenderedPrompt>,
}

/// What the model is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedPrompt {
    /// What the template wrote.
    pub prompt: String,
    /// Its tokens, with the one that the vocabulary wants in front.
    pub tokens: Vec<i32>,
}

/// What has been done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    New,
    /// The backends are loaded.
    Initialized,
    /// A model is loaded.
    ModelLoaded,
    /// There is a context.
    ContextCreated,
}

/// Loads the compute backends.
#[derive(Debug)]
pub struct Init {
    /// The folder to load them from.
    pub backend_directory: PathBuf,
    /// Which GPU to use.
    pub gpu: Gpu,
    /// The GPU backends that this platform can have.
    pub gpu_backends: Vec<GpuBackend>,
    /// Threads for contexts that name none.
    pub threads: Option<u32>,
    /// Whether llama.cpp's log goes to stderr.
    pub debug: bool,
    /// Where the answer goes.
    pub reply: Reply<InitInfo>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct InitInfo {
    /// The backend that evaluates: `CPU`, `CUDA`, `Vulkan` or `Metal`.
    pub backend: String,
    /// Every device.
    pub devices: Vec<Device>,
    /// Those that models are put on, by their index.
    pub chosen_devices: Vec<usize>,
    /// Which build of the CPU backend was chosen for this processor, for instance `haswell`; none when there is only one.
    pub cpu_variant: Option<String>,
    /// Why a GPU backend that is installed was not taken.
    pub warnings: Vec<String>,
    /// Instruction sets that the CPU backend uses.
    pub cpu_features: Vec<String>,
    /// The version of llama.cpp.
    pub llama_cpp_version: String,
}

/// Loads a model, in place of the one before.
#[derive(Debug)]
pub struct LoadModel {
    /// Which, and how.
    pub params: ModelParams,
    /// Used by contexts and generations of this model that say nothing else.
    pub defaults: ModelDefaults,
    /// A chat template in place of the model's own.
    pub chat_template: Option<String>,
    /// Cancels the load.
    pub abort: AbortFlag,
    /// Where progress and answer go.
    pub reply: Reply<ModelInfo>,
}

/// What holds for contexts and generations of one model that say nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelDefaults {
    /// Tokens that fit into a context.
    pub context_size: Option<u32>,
    /// Tokens evaluated at once.
    pub batch_size: Option<u32>,
    /// Seed of generations.
    pub seed: Option<u32>,
    /// Do not compare what a context needs with what the machine has.
    pub ignores_memory: bool,
}

/// Creates the context, in place of the one before and its conversation.
#[derive(Debug)]
pub struct CreateContext {
    /// How.
    pub options: ContextOptions,
    /// Where the answer goes.
    pub reply: Reply<ContextInfo>,
}

/// How to create a context; what is `None` depends on the model and the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextOptions {
    /// Tokens that fit.
    pub context_size: Option<u32>,
    /// Tokens evaluated at once.
    pub batch_size: Option<u32>,
    /// Sequences that can be in memory at the same time.
    pub sequences: Option<u32>,
    /// Threads that evaluate.
    pub threads: Option<u32>,
    /// Whether attention uses the fused kernels.
    pub flash_attention: FlashAttention,
    /// The number format of keys and values.
    pub kv_cache_type: KvCacheType,
    /// Do not compare what it needs with what the machine has.
    pub ignores_memory: bool,
    /// Bytes for states of sessions that have lost their place in the context; 0 keeps none.
    pub session_cache: Option<u64>,
}

/// What a context became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextInfo {
    /// Tokens that fit.
    pub context_size: usize,
    /// Tokens evaluated at once.
    pub batch_size: usize,
    /// Sequences that can be in memory at the same time.
    pub sequences: u32,
    /// Threads that evaluate.
    pub threads: u32,
    /// Bytes for states of sessions that have lost their place in the context.
    pub session_cache: u64,
}

impl Query {
    /// Answers a query that cannot be answered.
    pub(super) fn refuse(self, error: Error) {
        match self {
            Self::Tokenize { reply, .. } => reply.end(Err(error)),
            Self::Detokenize { reply, .. } => reply.end(Err(error)),
            Self::ApplyTemplate(query) => query.reply.end(Err(error)),
        }
    }
}
