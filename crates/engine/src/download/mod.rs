//! `hf://…` and `https://…` → a model file on disk, whole or not at all.
//!
//! Knows nothing of llama.cpp and reads no environment variables. What is decided (names, ranges, what a partial file is worth, how long to
//! wait) is pure and in files of its own; what is done (connections, files, threads) is beside it. Whoever asks never waits: a download
//! runs on a thread of this room, and everything it has to say goes to its listener.
//!
//! hf-hub, the hub's own client, was looked at first: it begins every file anew when a download is cut off, serves the hub only, and brings
//! a cache layout of its own.
//!
//! One request's events, in order:
//!
//! ```text
//! (started progress* finished)* ended
//! ```
//!
//! Invariants: `ended` comes exactly once, whatever happens. A file has its final name only when it is whole.

mod abort;
mod client;
mod hub;
mod job;
mod patience;
mod service;
mod source;

pub use abort::Abort;
pub use client::Proxies;
pub use hub::Hub;
pub use job::{Event, Progress, Request};
pub use patience::Patience;
pub use service::{start, stop_all};
pub use source::Source;

/// The SHA-256 that 64 hexadecimal digits say.
#[must_use]
pub fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .trim()
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    bytes.try_into().ok().filter(|_| digits.len() == 64)
}
