//! The parts of a message: its text, and the tools that it calls.

use llama_worker_engine::chat::ToolCall;
use serde::de::IgnoredAny;

use super::fields::{Any, Fields, elements};
use super::json;
use super::messages::Place;
use crate::error::Result;

/// The content: a string, or parts that are all text.
pub(super) fn text(place: Place, fields: &Fields<'_>) -> Result<String> {
    let value = fields.read("content")?;
    if let Any::C(text) = value {
        return Ok(text);
    }
    let Some(list) = elements(&value)? else {
        return Err(place.refused("content", &value, "a string or an array of { type: \"text\", text }"));
    };
    let parts = list
        .enumerate()
        .map(|(index, part)| text_part(place, &format!("content[{index}]"), part?));
    Ok(parts.collect::<Result<Vec<_>>>()?.join("\n"))
}

fn text_part(place: Place, name: &str, value: Any<'_>) -> Result<String> {
    const EXPECTED: &str = "{ type: \"text\", text }";
    let refused = place.refused(name, &value, EXPECTED);
    let Any::F(object) = value else { return Err(refused) };
    let Ok(part) = Fields::of(name, Any::F(object)) else {
        return Err(refused);
    };
    match part.read("type")? {
        Any::C(kind) if kind == "text" => {}
        other => return Err(place.refused(&format!("{name}.type"), &other, "\"text\"")),
    }
    match part.read("text")? {
        Any::C(text) => Ok(text),
        other => Err(place.refused(&format!("{name}.text"), &other, "a string")),
    }
}

/// A text that may be missing, under the first of two names that is given.
pub(super) fn string(place: Place, fields: &Fields<'_>, names: [&'static str; 2]) -> Result<Option<String>> {
    match fields.first(names)? {
        None => Ok(None),
        Some((_, Any::C(text))) => Ok(Some(text)),
        Some((name, other)) => Err(place.refused(name, &other, "a string")),
    }
}

/// The calls in `toolCalls`, or in `tool_calls` as `OpenAI` has them.
pub(super) fn tool_calls(place: Place, fields: &Fields<'_>) -> Result<Vec<ToolCall>> {
    let Some((name, value)) = fields.first(["toolCalls", "tool_calls"])? else {
        return Ok(Vec::new());
    };
    let Some(list) = elements(&value)? else {
        return Err(place.refused(name, &value, "an array of tool calls"));
    };
    list.enumerate()
        .map(|(index, call)| tool_call(place, &format!("{name}[{index}]"), index, call?))
        .collect()
}

fn tool_call(place: Place, name: &str, index: usize, value: Any<'_>) -> Result<ToolCall> {
    let refused = place.refused(name, &value, "{ id, name, arguments }");
    let Any::F(object) = value else { return Err(refused) };
    let Ok(call) = Fields::of(name, Any::F(object)) else {
        return Err(refused);
    };
    let id = string(place, &call, ["id", "toolCallId"])?.unwrap_or_else(|| place.call_id(index));
    let called = match call.get("function")? {
        Some(function) => Fields::of(name, function).map_err(|_| refused)?,
        None => call,
    };
    let tool = match called.read("name")? {
        Any::C(tool) => tool,
        other => return Err(place.refused(&format!("{name}.name"), &other, "a string")),
    };
    let arguments = arguments(place, &format!("{name}.arguments"), &called.read("arguments")?)?;
    Ok(ToolCall { id, name: tool, arguments })
}

/// Arguments as a JSON text. None at all are those of a tool that takes none.
pub(super) fn arguments(place: Place, name: &str, value: &Any<'_>) -> Result<String> {
    const EXPECTED: &str = "an object or a JSON text";
    match value {
        Any::D(_) | Any::E(()) => Ok("{}".into()),
        Any::C(text) if text.is_empty() => Ok("{}".into()),
        Any::C(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => Ok(text.clone()),
        Any::F(_) => json_text(place, name, value),
        other => Err(place.refused(name, other, EXPECTED)),
    }
}

/// A value as a JSON text.
pub(super) fn json_text(place: Place, name: &str, value: &Any<'_>) -> Result<String> {
    let json = json::read(value, &|inner, found, expected| {
        place.refused_text(&format!("{name}{inner}"), &found, expected)
    })?;
    Ok(json.to_string())
}
