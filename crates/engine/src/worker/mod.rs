//! The engine thread: commands in, events out.
//!
//! The only room that callers outside the engine speak to. Whoever holds the [`WorkerHandle`] never waits for the thread; the thread never
//! waits for whoever listens. Invariant: every command is answered exactly once, whatever happens.

mod command;
mod engine;
mod gpu;
mod handle;
mod inbox;
mod query;
mod threads;

pub use crate::llama::{AbortFlag, ContextParams, Device, DeviceKind, FlashAttention, GpuLayers, KvCacheType, ModelInfo, ModelParams};
pub use crate::scheduler::{
    Event, GenerationOptions, GenerationRequest, GenerationResult, HIGHEST_PRIORITY, Job, LikelyToken, Overflow, Reply, SessionId,
    Speculation, StopReason, Timings, TokenLogprobs, Usage,
};
pub use crate::session::Input;
pub use command::{
    ApplyTemplate, ContextInfo, ContextOptions, CreateContext, CreateSession, Init, InitInfo, LoadModel, ModelDefaults, Query,
    RenderedPrompt, Standing,
};
pub use gpu::{Gpu, GpuBackend};
pub use handle::{WorkerHandle, stop_all};
