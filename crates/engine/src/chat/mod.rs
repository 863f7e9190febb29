//! A conversation as data, how a model's template turns it into tokens, and how an answer is taken apart.
//!
//! Knows nothing of sessions or memory. Invariant: only the template's own text becomes control tokens, never what users, assistants, tools
//! or system prompts wrote.

mod answer;
mod fallback;
mod format;
mod guard;
mod message;
mod thought;

pub use crate::llama::ToolGrammar;
pub use answer::{AnswerPart, AnswerReader, ToolCallPart};
pub use format::{AnswerFormat, ChatFormat, ChatOptions, Prompt};
pub use message::{Message, Role, Tool, ToolCall, ToolChoice};
pub use thought::ThoughtWatch;
