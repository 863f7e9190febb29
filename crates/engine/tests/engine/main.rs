//! The engine as its callers use it: a thread, commands, events, with the built-in model. One program, because each would be linked anew.

mod answers;
mod kinds;
mod oracle;
mod reuse;
mod sessions;
mod speed;
mod support;
mod tokens;
mod worker;
