//! The engine of llama-worker: one thread per worker owns a model and its context, runs chat sessions on them and streams text.
//!
//! Knows nothing of JavaScript. Each module is a room; which room may use which is held by `tests/architecture.rs`.
//! Callers from outside use [`worker`], [`download`], and the plain data of [`chat`] and [`sampling`].

#![warn(missing_docs)]

pub mod chat;
pub mod download;
pub mod error;
#[expect(unsafe_code, reason = "the one room that talks to llama.cpp")]
pub mod llama;
pub mod sampling;
pub mod scheduler;
pub mod session;
pub mod text;
pub mod worker;
