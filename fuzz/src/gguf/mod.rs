//! The reader as it is in the engine: its own source files.

#[path = "../../../crates/engine/src/llama/gguf/reader.rs"]
mod reader;
#[path = "../../../crates/engine/src/llama/gguf/rules.rs"]
mod rules;
#[path = "../../../crates/engine/src/llama/gguf/types.rs"]
mod types;

/// What the engine does with a file, see `check_bytes` there.
pub(crate) fn check(bytes: &[u8]) -> Result<u64, String> {
    let header = reader::Header::read(bytes, bytes.len() as u64)?;
    rules::check(&header, bytes.len() as u64)?;
    Ok(rules::weight_bytes(&header) + u64::try_from(rules::part_of_split(&header).1).unwrap_or(0))
}
