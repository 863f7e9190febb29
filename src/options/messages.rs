//! Messages of a conversation, by role: this package's own form and `OpenAI`'s. node-llama-cpp's are `items`'s.

use llama_worker_engine::chat::{Message, Role};
use llama_worker_engine::error::Error;
use llama_worker_engine::worker::Input;

use super::fields::{Any, Fields, describe, elements};
use super::{content, items};
use crate::error::{Refusal, Result, refusal};

/// What to generate from: a prompt, or messages in any of their forms.
pub(crate) fn input(value: Any<'_>) -> Result<Input> {
    match value {
        Any::C(prompt) => Ok(Input::Prompt(prompt)),
        other => answerable(&other).map(Input::Messages),
    }
}

/// At least one message, and nothing that waits for results of tools.
pub(crate) fn answerable(value: &Any<'_>) -> Result<Vec<Message>> {
    let messages = messages(value)?;
    let last = messages.last().filter(|last| last.role == Role::Assistant);
    if let Some(call) = last.and_then(|last| last.tool_calls.first()) {
        let reason = format!("the last message calls `{}`, expected the results of its calls after it", call.name);
        return Err(bad_messages(reason));
    }
    Ok(messages)
}

/// At least one message.
pub(crate) fn messages(value: &Any<'_>) -> Result<Vec<Message>> {
    let messages = read(value, "the input", "a string or an array of messages")?;
    if messages.is_empty() {
        return Err(bad_messages("the list of messages is empty".into()));
    }
    Ok(messages)
}

/// Messages for a session to begin with, or none.
pub(crate) fn history(value: &Any<'_>) -> Result<Vec<Message>> {
    read(value, "the history", "an array of messages")
}

fn read(value: &Any<'_>, name: &str, expected: &str) -> Result<Vec<Message>> {
    let Some(list) = elements(value)? else {
        return Err(bad_messages(format!("{name} is {}, expected {expected}", describe(value))));
    };
    let mut messages = Vec::new();
    for (index, element) in list.enumerate() {
        let place = Place {
            index,
            n_before: messages.len(),
        };
        read_one(place, element?, &mut messages)?;
    }
    Ok(messages)
}

/// Where a message stands, for errors and for ids.
#[derive(Clone, Copy)]
pub(super) struct Place {
    index: usize,
    /// How many messages those before it became.
    n_before: usize,
}

impl Place {
    /// What is wrong with a part of the message.
    pub(super) fn refused(self, name: &str, value: &Any<'_>, expected: &str) -> Refusal {
        self.refused_text(name, &describe(value), expected)
    }

    /// The same for a value that is already described.
    pub(super) fn refused_text(self, name: &str, found: &str, expected: &str) -> Refusal {
        bad_messages(format!("`{name}` of message {} is {found}, expected {expected}", self.index))
    }

    /// An id for the call `number` of this message, when it has none. Nine letters and digits, as some templates demand.
    pub(super) fn call_id(self, number: usize) -> String {
        format!("call{:03}{:02}", self.n_before, number)
    }

    fn no_object(self, found: &str) -> Refusal {
        bad_messages(format!("message {} is {found}, expected an object", self.index))
    }
}

fn read_one(place: Place, value: Any<'_>, messages: &mut Vec<Message>) -> Result<()> {
    let description = describe(&value);
    let fields = match value {
        object @ Any::F(_) => Fields::of("message", object).map_err(|_| place.no_object(&description))?,
        _ => return Err(place.no_object(&description)),
    };
    match fields.first(["role", "type"])? {
        Some(("role", Any::C(role))) => messages.push(by_role(place, &role, &fields)?),
        Some((_, Any::C(kind))) => messages.extend(items::item(place, &kind, &fields)?),
        Some((name, other)) => return Err(place.refused(name, &other, "a string")),
        None => {
            let reason = format!("message {} has neither `role` nor `type`", place.index);
            return Err(bad_messages(reason));
        }
    }
    Ok(())
}

fn by_role(place: Place, role: &str, fields: &Fields<'_>) -> Result<Message> {
    const EXPECTED: &str = "\"system\", \"developer\", \"user\", \"assistant\" or \"tool\"";
    let written = |role| content::text(place, fields).map(|text| Message::new(role, text));
    match role {
        "system" | "developer" => written(Role::System),
        "user" => written(Role::User),
        "assistant" => assistant(place, fields),
        "tool" => Ok(Message {
            tool_call_id: content::string(place, fields, ["toolCallId", "tool_call_id"])?.unwrap_or_default(),
            tool_name: content::string(place, fields, ["name", "toolName"])?.unwrap_or_default(),
            ..written(Role::Tool)?
        }),
        other => Err(place.refused("role", &Any::C(other.to_owned()), EXPECTED)),
    }
}

fn assistant(place: Place, fields: &Fields<'_>) -> Result<Message> {
    let tool_calls = content::tool_calls(place, fields)?;
    let has_text = tool_calls.is_empty() || fields.get("content")?.is_some();
    let text = if has_text { content::text(place, fields)? } else { String::new() };
    Ok(Message {
        reasoning: content::string(place, fields, ["reasoning", "reasoning_content"])?.unwrap_or_default(),
        tool_calls,
        ..Message::new(Role::Assistant, text)
    })
}

pub(super) fn bad_messages(reason: String) -> Refusal {
    refusal(Error::InvalidMessages { reason })
}
