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
mod choice;
mod client;
mod connection;
mod fetch;
mod file_name;
mod hub;
mod job;
mod meter;
mod note;
mod part;
mod patience;
mod ranges;
mod retry;
mod service;
mod sha256;
mod source;
mod split;
mod transfer;

pub use abort::Abort;
pub use client::Proxies;
pub use hub::Hub;
pub use job::{Event, Progress, Request};
pub use patience::Patience;
pub use service::{start, stop_all};
pub use sha256::parse_sha256;
pub use source::Source;
