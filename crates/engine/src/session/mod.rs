//! One conversation: what was said, which tokens of it need not be evaluated again - because a sequence holds them, another one does, or its
//! state was saved - and what is left out when it is too long.
//!
//! Pure: touches neither the model nor its memory. Plans here, effects in the room `scheduler`.

mod conversation;
pub mod lookup;
pub mod overflow;
pub mod pace;
pub mod prefix;
pub mod saved;
pub mod sharing;
pub mod slots;

pub use conversation::{Conversation, Input, Opening, Turn};
