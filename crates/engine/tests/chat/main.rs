//! The chat room with templates in the forms of the model families: what the model is given, and how its answers are taken apart.

mod answers;
mod data;
mod families;
mod fixture;
mod gguf;
#[path = "../shared/random.rs"]
mod random;
mod robust;
