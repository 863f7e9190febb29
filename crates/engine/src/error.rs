//! The one error of the engine, and the stable codes callers act on.
//!
//! A variant is a thing a caller can do something about. Messages are for people and may change; codes are API and never do.

use std::path::PathBuf;

/// What every fallible function of the engine returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong, as something a caller can act on. The fields are what the message names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant says what its fields are by its message")]
pub enum Error {
    /// An option has a value of the wrong type or out of its range. Nothing was started.
    #[error("option `{name}` is {value}, expected {expected}")]
    InvalidOption { name: String, value: String, expected: String },
    /// The messages of a generation cannot be understood. Nothing was generated.
    #[error("{reason}")]
    InvalidMessages { reason: String },
    /// A call that needs the backend came before `init`.
    #[error("llama.cpp is not initialized, call `init` first")]
    NotInitialized,
    /// A call that needs a model came before `loadModel`.
    #[error("no model is loaded, call `loadModel` first")]
    ModelNotLoaded,
    /// A generation came before `createContext`.
    #[error("no context was created, call `createContext` first")]
    ContextNotCreated,
    /// The compute backend cannot be used on this machine, or is not installed.
    #[error("{reason}")]
    BackendUnavailable { reason: String },
    /// There is no file at the model's path.
    #[error("model file `{}` does not exist", path.display())]
    ModelNotFound { path: PathBuf },
    /// The model's path leads into an Electron archive.
    #[error(
        "model file `{}` is inside the archive `{}`, where no system can map it: unpack it or ship it as an extra resource, and pass the path of that file",
        path.display(), archive.display()
    )]
    ModelInArchive { path: PathBuf, archive: PathBuf },
    /// The model's path is a folder or a device.
    #[error("model path `{}` is not a file", path.display())]
    ModelNotAFile { path: PathBuf },
    /// The operating system refuses to read the file.
    #[error("model file `{}` cannot be read: {source}", path.display())]
    ModelUnreadable { path: PathBuf, source: std::io::Error },
    /// The file is no GGUF model that can generate text.
    #[error("model file `{}` is not usable: {reason}", path.display())]
    ModelInvalid { path: PathBuf, reason: String },
    /// llama.cpp could not load the file.
    #[error("model file `{}` could not be loaded: {reason}", path.display())]
    ModelLoadFailed { path: PathBuf, reason: String },
    /// llama.cpp could not create the context.
    #[error("the context could not be created: {reason}")]
    ContextCreationFailed { reason: String },
    /// What was asked for needs more memory than there is. Sizes in bytes.
    #[error("{what} needs about {} MiB, but only {} MiB are available", needed >> 20, available >> 20)]
    InsufficientMemory { what: &'static str, needed: u64, available: u64 },
    /// The model's chat template does not accept these messages.
    #[error("the chat template failed: {reason}")]
    TemplateFailed { reason: String },
    /// The session was disposed, or its context is gone.
    #[error("the session does not exist any more")]
    SessionDisposed,
    /// The conversation does not fit into the context.
    #[error("the prompt has {prompt_tokens} tokens or more, but the context holds {context_size} and one must stay free for the answer")]
    PromptTooLong { prompt_tokens: usize, context_size: usize },
    /// llama.cpp failed while evaluating.
    #[error("evaluation failed: {reason}")]
    DecodeFailed { reason: String },
    /// The caller cancelled the operation.
    #[error("the operation was aborted")]
    Aborted,
    /// The worker was cleaned up; nothing can be asked of it any more.
    #[error("the worker has stopped")]
    WorkerStopped,
    /// A grammar cannot be understood, or could never be matched. Nothing was generated.
    #[error("the grammar is not usable: {reason}")]
    InvalidGrammar { reason: String },
    /// A JSON schema asks for something that cannot be enforced. Nothing was generated.
    #[error("the JSON schema is not supported: {reason}")]
    UnsupportedSchema { reason: String },
    /// No token continues the answer as its grammar or schema asks for.
    #[error("the answer cannot satisfy its constraint: {reason}")]
    ConstraintFailed { reason: String },
    /// The name of a model to download cannot be understood, or is one that nothing is fetched from. Nothing was started.
    #[error("model id `{id}` cannot be used: {reason}")]
    InvalidModelId { id: String, reason: String },
    /// There is no such repository or file, or it is not clear which.
    #[error("{reason}")]
    DownloadNotFound { reason: String },
    /// The server wants to know who asks, or refuses who does.
    #[error("`{url}` answers {status}: it needs a token that may read it, set `token` or `HF_TOKEN`")]
    DownloadUnauthorized { url: String, status: u16 },
    /// The server or the network failed, also after all retries.
    #[error("download of `{url}` failed: {reason}")]
    DownloadFailed { url: String, reason: String },
    /// What came is not what was announced or asked for. Nothing of it is kept.
    #[error("download of `{url}` is not usable: {reason}")]
    DownloadCorrupt { url: String, reason: String },
    /// The disk is too full. Sizes in bytes.
    #[error("`{}` needs {needed} more bytes, but its disk has only {available} left", path.display())]
    DownloadNoSpace { path: PathBuf, needed: u64, available: u64 },
    /// The operating system refuses to write the file.
    #[error("`{}` cannot be written: {source}", path.display())]
    DownloadWriteFailed { path: PathBuf, source: std::io::Error },
    /// A defect of this library.
    #[error("internal error: {reason}")]
    Internal { reason: String },
}

impl Error {
    /// What lies beneath, in the words of the operating system or of llama.cpp, where there is more to know.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::ModelUnreadable { source, .. } | Self::DownloadWriteFailed { source, .. } => Some(source.to_string()),
            Self::ModelInvalid { reason, .. }
            | Self::ModelLoadFailed { reason, .. }
            | Self::ContextCreationFailed { reason }
            | Self::TemplateFailed { reason }
            | Self::DecodeFailed { reason }
            | Self::InvalidGrammar { reason }
            | Self::UnsupportedSchema { reason }
            | Self::ConstraintFailed { reason }
            | Self::DownloadFailed { reason, .. }
            | Self::DownloadCorrupt { reason, .. } => Some(reason.clone()),
            _ => None,
        }
    }

    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidOption { .. } => "INVALID_OPTION",
            Self::InvalidMessages { .. } => "INVALID_MESSAGES",
            Self::NotInitialized => "NOT_INITIALIZED",
            Self::ModelNotLoaded => "MODEL_NOT_LOADED",
            Self::ContextNotCreated => "CONTEXT_NOT_CREATED",
            Self::BackendUnavailable { .. } => "BACKEND_UNAVAILABLE",
            Self::ModelNotFound { .. } => "MODEL_NOT_FOUND",
            Self::ModelInArchive { .. } => "MODEL_IN_ARCHIVE",
            Self::ModelNotAFile { .. } => "MODEL_NOT_A_FILE",
            Self::ModelUnreadable { .. } => "MODEL_UNREADABLE",
            Self::ModelInvalid { .. } => "MODEL_INVALID",
            Self::ModelLoadFailed { .. } => "MODEL_LOAD_FAILED",
            Self::ContextCreationFailed { .. } => "CONTEXT_CREATION_FAILED",
            Self::InsufficientMemory { .. } => "INSUFFICIENT_MEMORY",
            Self::TemplateFailed { .. } => "TEMPLATE_FAILED",
            Self::SessionDisposed => "SESSION_DISPOSED",
            Self::PromptTooLong { .. } => "PROMPT_TOO_LONG",
            Self::DecodeFailed { .. } => "DECODE_FAILED",
            Self::Aborted => "ABORTED",
            Self::WorkerStopped => "WORKER_STOPPED",
            Self::InvalidGrammar { .. } => "INVALID_GRAMMAR",
            Self::UnsupportedSchema { .. } => "UNSUPPORTED_SCHEMA",
            Self::ConstraintFailed { .. } => "CONSTRAINT_FAILED",
            Self::InvalidModelId { .. } => "INVALID_MODEL_ID",
            Self::DownloadNotFound { .. } => "DOWNLOAD_NOT_FOUND",
            Self::DownloadUnauthorized { .. } => "DOWNLOAD_UNAUTHORIZED",
            Self::DownloadFailed { .. } => "DOWNLOAD_FAILED",
            Self::DownloadCorrupt { .. } => "DOWNLOAD_CORRUPT",
            Self::DownloadNoSpace { .. } => "DOWNLOAD_NO_SPACE",
            Self::DownloadWriteFailed { .. } => "DOWNLOAD_WRITE_FAILED",
            Self::Internal { .. } => "INTERNAL",
        }
    }
}
