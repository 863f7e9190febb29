//! What can be asked of one session. Jobs of a session are done in the order in which they came.

use super::generation::{GenerationRequest, GenerationResult};
use super::reply::Reply;
use crate::chat::{ChatOptions, Message};
use crate::error::Error;

/// A session of one context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u32);

impl SessionId {
    /// The one that every context has from the beginning.
    pub const DEFAULT: Self = Self(0);
}

/// Something asked of a session.
#[derive(Debug)]
pub enum Job {
    /// An answer.
    Generate(Box<GenerationRequest>),
    /// What was said.
    History(Reply<Vec<Message>>),
    /// Other messages in place of what was said.
    SetHistory(Vec<Message>, Reply<()>),
    /// Back to what the session began with.
    Reset(Reply<()>),
    /// Take back the turn that waits for results of tools.
    AbandonToolCalls(Reply<()>),
    /// The number of tokens of the conversation, with `prompt` as the next thing the user says.
    CountTokens {
        /// May be missing.
        prompt: Option<String>,
        /// As for a generation.
        options: Box<ChatOptions>,
        /// Where the number goes.
        reply: Reply<usize>,
    },
    /// The end of the session.
    Dispose(Reply<()>),
}

impl Job {
    /// Answers a job that cannot be done.
    pub fn refuse(self, error: Error) {
        match self {
            Self::Generate(request) if request.abort.is_set() => request.reply.end(Ok(GenerationResult::aborted())),
            Self::Generate(mut request) => {
                request.reply.started();
                request.reply.end(Err(error));
            }
            Self::History(reply) => reply.end(Err(error)),
            Self::CountTokens { reply, .. } => reply.end(Err(error)),
            Self::SetHistory(_, reply) | Self::Reset(reply) | Self::AbandonToolCalls(reply) | Self::Dispose(reply) => reply.end(Err(error)),
        }
    }

    /// Whether its caller has given it up.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        matches!(self, Self::Generate(request) if request.abort.is_set())
    }
}
