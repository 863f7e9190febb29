//! Engine errors as JavaScript errors with a `code`.

use llama_worker_engine::error::Error as EngineError;
use napi::Status;

/// The `code` of a JavaScript error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(&'static str);

/// A refusal, thrown by the call that was refused.
pub(crate) type Refusal = napi::Error<Code>;

/// What everything returns that JavaScript may be refused.
pub(crate) type Result<Value> = std::result::Result<Value, Refusal>;

impl Code {
    /// By this name napi knows that a JavaScript exception is under way and leaves it as it is.
    pub(crate) const PENDING_EXCEPTION: Self = Self("PendingException");

    /// A tool loop went round too often. The engine knows no rounds.
    pub(crate) const TOOL_LOOP_LIMIT: Self = Self("TOOL_LOOP_LIMIT");

    /// The name under which callers know it.
    pub(crate) fn name(self) -> &'static str {
        self.0
    }
}

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl From<Status> for Code {
    fn from(status: Status) -> Self {
        match status {
            Status::PendingException => Self::PENDING_EXCEPTION,
            _ => Self("INTERNAL"),
        }
    }
}

/// The engine's error, to be thrown.
pub(crate) fn refusal(error: EngineError) -> Refusal {
    Refusal::new(Code(error.code()), error.to_string())
}

/// A failure of the boundary itself, or an exception that JavaScript threw while its values were read.
pub(crate) fn boundary(error: napi::Error) -> Refusal {
    Refusal::new(Code::from(error.status), error.reason.clone())
}
