//! node-llama-cpp's chat history items → messages.

use llama_worker_engine::chat::{Message, Role, ToolCall};

use super::content;
use super::fields::{Any, Fields, elements};
use super::messages::Place;
use crate::error::Result;

/// The messages of one item.
pub(super) fn item(place: Place, kind: &str, fields: &Fields<'_>) -> Result<Vec<Message>> {
    match kind {
        "system" => text(place, fields).map(|text| vec![Message::new(Role::System, text)]),
        "user" => text(place, fields).map(|text| vec![Message::new(Role::User, text)]),
        "model" => response(place, fields),
        other => Err(place.refused("type", &Any::C(other.to_owned()), "\"system\", \"user\" or \"model\"")),
    }
}

fn text(place: Place, fields: &Fields<'_>) -> Result<String> {
    match fields.read("text")? {
        Any::C(text) => Ok(text),
        other => Err(place.refused("text", &other, "a string")),
    }
}

/// A response of several parts may be several messages: what follows a tool's result is one of its own.
fn response(place: Place, fields: &Fields<'_>) -> Result<Vec<Message>> {
    let value = fields.read("response")?;
    let Some(parts) = elements(&value)? else {
        return Err(place.refused("response", &value, "an array of strings, function calls and segments"));
    };
    let mut response = Response {
        place,
        messages: vec![Message::new(Role::Assistant, "")],
        n_calls: 0,
    };
    for (index, part) in parts.enumerate() {
        response.part(&format!("response[{index}]"), part?)?;
    }
    Ok(response.messages)
}

/// The messages of a response, as far as it has been read.
struct Response {
    place: Place,
    messages: Vec<Message>,
    n_calls: usize,
}

impl Response {
    fn part(&mut self, name: &str, value: Any<'_>) -> Result<()> {
        const EXPECTED: &str = "a string, a function call or a segment";
        let refused = self.place.refused(name, &value, EXPECTED);
        let object = match value {
            Any::C(text) => {
                self.answer().content.push_str(&text);
                return Ok(());
            }
            Any::F(object) => object,
            _ => return Err(refused),
        };
        let Ok(part) = Fields::of(name, Any::F(object)) else {
            return Err(refused);
        };
        match part.read("type")? {
            Any::C(kind) if kind == "functionCall" => self.function_call(name, &part),
            Any::C(kind) if kind == "segment" => self.segment(name, &part),
            other => Err(self
                .place
                .refused(&format!("{name}.type"), &other, "\"functionCall\" or \"segment\"")),
        }
    }

    /// The message that goes on.
    fn answer(&mut self) -> &mut Message {
        if self.messages.last().is_none_or(|last| last.role != Role::Assistant) {
            self.messages.push(Message::new(Role::Assistant, ""));
        }
        let last = self.messages.len() - 1;
        &mut self.messages[last]
    }

    fn function_call(&mut self, name: &str, part: &Fields<'_>) -> Result<()> {
        let place = self.place;
        let tool = match part.read("name")? {
            Any::C(tool) => tool,
            other => return Err(place.refused(&format!("{name}.name"), &other, "a string")),
        };
        let call = ToolCall {
            id: place.call_id(self.n_calls),
            name: tool.clone(),
            arguments: content::arguments(place, &format!("{name}.params"), &part.read("params")?)?,
        };
        let result = match part.read("result")? {
            Any::C(text) => text,
            Any::E(()) => "null".into(),
            other => content::json_text(place, &format!("{name}.result"), &other)?,
        };
        self.n_calls += 1;
        let id = call.id.clone();
        self.answer().tool_calls.push(call);
        self.messages.push(Message {
            tool_call_id: id,
            tool_name: tool,
            ..Message::new(Role::Tool, result)
        });
        Ok(())
    }

    /// A thought; comments are nothing the model needs to see again.
    fn segment(&mut self, name: &str, part: &Fields<'_>) -> Result<()> {
        let text = match part.read("text")? {
            Any::C(text) => text,
            other => return Err(self.place.refused(&format!("{name}.text"), &other, "a string")),
        };
        match part.read("segmentType")? {
            Any::C(kind) if kind == "thought" => self.answer().reasoning.push_str(&text),
            Any::C(kind) if kind == "comment" => {}
            other => {
                return Err(self
                    .place
                    .refused(&format!("{name}.segmentType"), &other, "\"thought\" or \"comment\""));
            }
        }
        Ok(())
    }
}
