//! What sessions and text tools are called with: session numbers, texts and tokens.

use llama_worker_engine::chat::{Message, Role};
use llama_worker_engine::worker::SessionId;

use super::fields::{Any, Fields, elements, invalid, is_given, whole};
use super::messages;
use super::sampling::token;
use crate::error::Result;

/// A session's number; the default session when none is given.
pub(crate) fn session(value: &Any<'_>) -> Result<SessionId> {
    if !is_given(value) {
        return Ok(SessionId::DEFAULT);
    }
    let number = whole(value).and_then(|number| u32::try_from(number).ok());
    number
        .map(SessionId)
        .ok_or_else(|| invalid("session", value, "the number of a session"))
}

/// The number of a session that the caller has made.
pub(crate) fn own_session(value: &Any<'_>) -> Result<SessionId> {
    let session = session(value)?;
    if session == SessionId::DEFAULT {
        return Err(invalid("session", value, "the number of a session, not of the default one"));
    }
    Ok(session)
}

/// A text that must be there.
pub(crate) fn text(name: &str, value: Any<'_>) -> Result<String> {
    match value {
        Any::C(text) => Ok(text),
        other => Err(invalid(name, &other, "a string")),
    }
}

/// An array of tokens.
pub(crate) fn tokens(value: &Any<'_>) -> Result<Vec<i32>> {
    let Some(list) = elements(value)? else {
        return Err(invalid("tokens", value, "an array of tokens"));
    };
    list.enumerate()
        .map(|(index, element)| {
            let element = element?;
            token(&element).ok_or_else(|| invalid(&format!("tokens[{index}]"), &element, "a token"))
        })
        .collect()
}

/// A text that may be missing.
pub(crate) fn optional_text(name: &str, value: Any<'_>) -> Result<Option<String>> {
    if is_given(&value) { text(name, value).map(Some) } else { Ok(None) }
}

/// Whether texts of special tokens count as those tokens.
pub(crate) fn special(fields: &Fields<'_>) -> Result<bool> {
    Ok(fields.boolean("special")?.unwrap_or(false))
}

/// What a session begins with: its history, and instructions where that has none.
pub(crate) fn new_session(fields: &Fields<'_>) -> Result<Vec<Message>> {
    let system_prompt = fields.string("systemPrompt")?.filter(|prompt| !prompt.is_empty());
    let history = fields.get("history")?;
    let mut initial = history.map_or_else(|| Ok(Vec::new()), |history| messages::history(&history))?;
    let has_system = initial.iter().any(|message| message.role == Role::System);
    if let Some(prompt) = system_prompt.filter(|_| !has_system) {
        initial.insert(0, Message::new(Role::System, prompt));
    }
    Ok(initial)
}
