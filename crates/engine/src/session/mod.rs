//! One conversation: what was said, and which tokens of it need not be evaluated again.
//!
//! Pure: touches neither the model nor its memory. Plans here, effects in the room `scheduler`.

mod conversation;
pub mod prefix;

pub use conversation::{Conversation, Input, Turn};
