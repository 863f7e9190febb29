//! One conversation: what was said, which tokens of it need not be evaluated again, and what is left out when it is too long.
//!
//! Pure: touches neither the model nor its memory. Plans here, effects in the room `scheduler`.

mod conversation;
pub mod lookup;
pub mod overflow;
pub mod prefix;
pub mod slots;

pub use conversation::{Conversation, Input, Opening, Turn};
