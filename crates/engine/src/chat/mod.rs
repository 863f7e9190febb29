//! A conversation as data, and how a model's template turns it into tokens.
//!
//! Knows nothing of sessions or memory. Invariant: only the template's own text becomes control tokens, never what users, assistants or
//! system prompts wrote.

mod format;
mod guard;
mod message;
mod rows;

pub use format::{ChatFormat, Prompt};
pub use message::{Message, Role};
