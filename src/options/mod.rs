//! JavaScript options and messages → the engine's. The only place that checks types and ranges.
//!
//! `undefined` and `null` count as not given. Names that are not known are never looked at. A known name with a bad value is refused with
//! its name, its value and what was expected.

mod chat;
mod content;
mod download;
mod fields;
mod generation;
mod items;
mod json;
mod messages;
mod sampling;
mod setup;
mod text;
mod tools;

pub(crate) use chat::chat;
pub(crate) use download::download;
pub(crate) use fields::{Any, Fields, elements, invalid};
pub(crate) use generation::{generation, max_tool_rounds};
pub(crate) use json::option as json;
pub(crate) use messages::{answerable, history, input, messages};
pub(crate) use sampling::seed;
pub(crate) use setup::{InitOptions, chat_template, context, gpu_backends, init, model};
pub(crate) use text::{new_session, optional_text, own_session, session, special, text, tokens};
