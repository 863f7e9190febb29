//! Messages and tool calls as JavaScript sees them: only the fields that say something.

use llama_worker_engine::chat::{Message, ToolCall};
use serde::Serialize;

use super::json::Json;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageAnswer {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCallAnswer>,
    #[serde(skip_serializing_if = "String::is_empty")]
    tool_call_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
}

impl From<&Message> for MessageAnswer {
    fn from(message: &Message) -> Self {
        Self {
            role: message.role.name(),
            content: message.content.clone(),
            reasoning: message.reasoning.clone(),
            tool_calls: message.tool_calls.iter().map(ToolCallAnswer::from).collect(),
            tool_call_id: message.tool_call_id.clone(),
            name: message.tool_name.clone(),
        }
    }
}

/// A call; its arguments are what their JSON says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ToolCallAnswer {
    id: String,
    name: String,
    arguments: Json,
}

impl From<&ToolCall> for ToolCallAnswer {
    fn from(call: &ToolCall) -> Self {
        Self {
            id: call.id.clone(),
            name: call.name.clone(),
            arguments: Json::parse_or_text(&call.arguments),
        }
    }
}
