//! Tools for templates that know none, in the form of Hermes models: described in the system message, called between tags, answered by the
//! user. Many models have seen this form, whatever their template.
//!
//! Rewrites messages; how an answer is read is llama.cpp's, from a template of our own that is never shown to the model.

use super::message::{Message, Role, Tool, ToolCall};

/// In this template tools are written as [`rewritten`] tells the model to.
pub(super) const TEMPLATE: &str = "\
{%- if tools %}
    {{- '<|im_start|>system\\n<tools>' }}
    {%- for tool in tools %}
        {{- '\\n' + (tool | tojson) }}
    {%- endfor %}
    {{- '\\n</tools><|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' }}
        {%- if message.reasoning_content %}
            {{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}
        {%- endif %}
        {{- message.content or '' }}
        {%- for tool_call in message.tool_calls or [] %}
            {%- if message.content or not loop.first %}
                {{- '\\n' }}
            {%- endif %}
            {{- '<tool_call>\\n{\"name\": \"' + tool_call.function.name + '\", \"arguments\": ' }}
            {{- tool_call.function.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if opens_thought %}
        {{- '<think>\\n' }}
    {%- endif %}
{%- endif %}
";
/// By this variable the template opens a thought, as the model's own does.
pub(super) const OPENS_THOUGHT: &str = "opens_thought";

const INSTRUCTIONS: &str = "You may call functions. To call one, write a JSON object with its name and its arguments between tags, each on a \
                            line of its own, and wait for the result:\n<tool_call>\n{\"name\": \"the name\", \"arguments\": {}}\n</tool_call>\n\
                            These are the functions:";

/// The messages with everything about tools as text. `tools`: those that may be called; none when they must not be.
pub(super) fn rewritten(messages: &[Message], tools: &[Tool]) -> Vec<Message> {
    let mut rewritten: Vec<Message> = Vec::with_capacity(messages.len() + 1);
    for message in messages {
        match (message.role, rewritten.last_mut()) {
            // Results of calls that were made together are one message, since user and assistant take turns.
            (Role::Tool, Some(last)) if last.role == Role::User => {
                last.content.push('\n');
                last.content.push_str(&response_text(message));
            }
            (Role::Tool, _) => rewritten.push(Message::new(Role::User, response_text(message))),
            _ => rewritten.push(with_calls_as_text(message)),
        }
    }
    if !tools.is_empty() {
        add_to_system(&mut rewritten, &tools_text(tools));
    }
    rewritten
}

fn response_text(message: &Message) -> String {
    format!("<tool_response>\n{}\n</tool_response>", message.content)
}

fn with_calls_as_text(message: &Message) -> Message {
    let calls = message.tool_calls.iter().map(call_text);
    let texts = std::iter::once(message.content.clone()).filter(|content| !content.is_empty());
    Message {
        content: texts.chain(calls).collect::<Vec<_>>().join("\n"),
        tool_calls: Vec::new(),
        ..message.clone()
    }
}

fn call_text(call: &ToolCall) -> String {
    let name = serde_json::Value::from(&*call.name);
    format!("<tool_call>\n{{\"name\": {name}, \"arguments\": {}}}\n</tool_call>", call.arguments)
}

fn tools_text(tools: &[Tool]) -> String {
    let lines = tools.iter().map(|tool| {
        let (name, description) = (serde_json::Value::from(&*tool.name), serde_json::Value::from(&*tool.description));
        format!(
            "{{\"name\": {name}, \"description\": {description}, \"parameters\": {}}}",
            tool.parameters
        )
    });
    format!("{INSTRUCTIONS}\n<tools>\n{}\n</tools>", lines.collect::<Vec<_>>().join("\n"))
}

fn add_to_system(messages: &mut Vec<Message>, text: &str) {
    match messages.first_mut().filter(|first| first.role == Role::System) {
        Some(system) => {
            system.content.push_str("\n\n");
            system.content.push_str(text);
        }
        None => messages.insert(0, Message::new(Role::System, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool() -> Tool {
        Tool {
            name: "add".into(),
            description: "Adds.".into(),
            parameters: r#"{"type":"object"}"#.into(),
        }
    }

    fn call(arguments: &str) -> ToolCall {
        ToolCall {
            id: "1".into(),
            name: "add".into(),
            arguments: arguments.into(),
        }
    }

    #[test]
    fn calls_and_results_become_text_and_turns_alternate() {
        let calling = Message {
            tool_calls: vec![call(r#"{"a":1}"#), call("{}")],
            ..Message::new(Role::Assistant, "Let me see.")
        };
        let messages = [
            Message::new(Role::User, "1 + 1?"),
            calling,
            Message::new(Role::Tool, "2"),
            Message::new(Role::Tool, "0"),
            Message::new(Role::Assistant, "Two."),
        ];
        let texts: Vec<(Role, String)> = rewritten(&messages, &[])
            .into_iter()
            .map(|message| (message.role, message.content))
            .collect();
        let called = "Let me see.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":1}}\n</tool_call>\n<tool_call>\n{\"name\": \"add\", \"arguments\": {}}\n</tool_call>";
        let answered = "<tool_response>\n2\n</tool_response>\n<tool_response>\n0\n</tool_response>";
        let expected = [
            (Role::User, "1 + 1?"),
            (Role::Assistant, called),
            (Role::User, answered),
            (Role::Assistant, "Two."),
        ];
        assert_eq!(texts, expected.map(|(role, text)| (role, text.to_owned())));
    }

    #[test]
    fn tools_are_described_in_the_system_message() {
        let user = Message::new(Role::User, "Hi");
        for (messages, beginning) in [
            (vec![user.clone()], "You may call functions."),
            (vec![Message::new(Role::System, "Be brief."), user], "Be brief.\n\nYou may call"),
        ] {
            let rewritten = rewritten(&messages, &[tool()]);
            assert_eq!((rewritten.len(), rewritten[0].role), (2, Role::System));
            assert!(rewritten[0].content.starts_with(beginning), "{}", rewritten[0].content);
            assert!(
                rewritten[0]
                    .content
                    .contains(r#"{"name": "add", "description": "Adds.", "parameters": {"type":"object"}}"#)
            );
        }
    }
}
