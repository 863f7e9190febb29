//! Messages of a conversation, and the tools that may be called in it.

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool that the model called.
    Tool,
}

impl Role {
    /// The name that chat templates use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who wrote it.
    pub role: Role,
    /// What was written; the result, from a tool.
    pub content: String,
    /// What the assistant thought before it wrote. Templates drop it from turns that are over.
    pub reasoning: String,
    /// The tools that the assistant called.
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's message answers; may be empty.
    pub tool_call_id: String,
    /// The tool that a tool's message is from; may be empty.
    pub tool_name: String,
}

/// A tool's call by the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Tells apart the calls of one conversation.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as a JSON text, as a rule an object's.
    pub arguments: String,
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// By which the model calls it.
    pub name: String,
    /// What it is for, in words to the model.
    pub description: String,
    /// Its parameters: a JSON schema, as text.
    pub parameters: String,
}

/// Whether the model may or must call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    #[default]
    Auto,
    /// It must not.
    None,
    /// It must.
    Required,
    /// It must call this one.
    Named(String),
}

impl Message {
    /// A message of `role`.
    #[must_use]
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
            tool_call_id: String::new(),
            tool_name: String::new(),
        }
    }
}
