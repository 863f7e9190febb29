//! The models, templates and conversations that the tests of the chat room share.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use llama_worker_engine::chat::{ChatFormat, ChatOptions, Message, Prompt, Role, Tool, ToolCall};
use llama_worker_engine::llama::{AbortFlag, Backend, GpuLayers, Model, ModelParams};

use crate::gguf::Gguf;

/// More than any prompt of these tests has.
pub(crate) const ROOMY: usize = 10_000_000;

/// Test templates in the forms of the families.
pub(crate) const FAMILIES: [(&str, &str); 10] = [
    ("llama-3", include_str!("../templates/llama-3.jinja")),
    ("mistral", include_str!("../templates/mistral.jinja")),
    ("gemma", include_str!("../templates/gemma.jinja")),
    ("qwen", include_str!("../templates/qwen.jinja")),
    ("phi", include_str!("../templates/phi.jinja")),
    ("deepseek", include_str!("../templates/deepseek.jinja")),
    ("gpt-oss", include_str!("../templates/gpt-oss.jinja")),
    ("granite", include_str!("../templates/granite.jinja")),
    ("command-r", include_str!("../templates/command-r.jinja")),
    ("command-r7b", include_str!("../templates/command-r7b.jinja")),
];

/// Their control tokens.
pub(crate) const CONTROL_TOKENS: [&str; 55] = [
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_CALLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "<bos>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<｜end▁of▁sentence｜>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁output▁begin｜>",
    "<｜tool▁output▁end｜>",
    "<|start|>",
    "<|message|>",
    "<|channel|>",
    "<|return|>",
    "<|call|>",
    "<|constrain|>",
    "<|start_of_role|>",
    "<|end_of_role|>",
    "<|end_of_text|>",
    "<|tool_call|>",
    "<|START_OF_TURN_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|SYSTEM_TOKEN|>",
    "<|USER_TOKEN|>",
    "<|CHATBOT_TOKEN|>",
    "<|START_THINKING|>",
    "<|END_THINKING|>",
    "<|START_ACTION|>",
    "<|END_ACTION|>",
    "<|START_RESPONSE|>",
    "<|END_RESPONSE|>",
    "<|START_TOOL_RESULT|>",
    "<|END_TOOL_RESULT|>",
    "<unk>",
    "<pad>",
];

/// The built-in model.
pub(crate) static BUILT_IN: LazyLock<Model> = LazyLock::new(|| load(&built_in_path()));

/// The built-in model with the control tokens of all families in its vocabulary.
pub(crate) static ALL_FAMILIES: LazyLock<Model> =
    LazyLock::new(|| changed("families", |file| file.add_control_tokens(&CONTROL_TOKENS.map(ToOwned::to_owned))));

fn built_in_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-chat/tiny-chat.gguf")
}

fn load(path: &Path) -> Model {
    let backend = Backend::start(Path::new(env!("LLAMA_WORKER_BUILT_BACKENDS"))).unwrap();
    let params = ModelParams {
        path: path.to_owned(),
        gpu_layers: GpuLayers::Count(0),
        context_size: None,
        devices: vec![],
        use_mmap: Some(false),
        use_mlock: false,
    };
    Model::load(backend, &params, &AbortFlag::default(), |_| {}).unwrap()
}

/// The built-in model with other metadata.
pub(crate) fn changed(name: &str, change: impl FnOnce(&mut Gguf)) -> Model {
    let mut file = Gguf::parse(&std::fs::read(built_in_path()).unwrap());
    change(&mut file);
    let path = std::env::temp_dir().join(format!("llama-worker-chat-{name}-{}.gguf", std::process::id()));
    std::fs::write(&path, file.bytes()).unwrap();
    let model = load(&path);
    std::fs::remove_file(&path).unwrap();
    model
}

/// The form of a family.
pub(crate) fn family(name: &str) -> ChatFormat<'static> {
    let (_, template) = FAMILIES.iter().find(|(family, _)| *family == name).expect("a family");
    ChatFormat::new(&ALL_FAMILIES, Some(template)).unwrap()
}

/// System, user, assistant, user.
pub(crate) fn conversation() -> Vec<Message> {
    vec![
        Message::new(Role::System, "Be brief."),
        Message::new(Role::User, "Hi!"),
        Message::new(Role::Assistant, "Hello."),
        Message::new(Role::User, "How are you?"),
    ]
}

/// A question, two calls at once where `parallel`, and their results.
pub(crate) fn tool_round(parallel: bool) -> Vec<Message> {
    let mut calls = vec![call("callabc01", "weather", r#"{"city":"Rome"}"#)];
    let mut results = vec![result("callabc01", "weather", "sunny")];
    if parallel {
        calls.push(call("callabc02", "add", r#"{"a":1,"b":2}"#));
        results.push(result("callabc02", "add", "3"));
    }
    let asked = Message::new(Role::User, "Weather in Rome?");
    let called = Message {
        tool_calls: calls,
        ..Message::new(Role::Assistant, "")
    };
    [vec![asked, called], results].concat()
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    }
}

fn result(id: &str, name: &str, content: &str) -> Message {
    Message {
        tool_call_id: id.into(),
        tool_name: name.into(),
        ..Message::new(Role::Tool, content)
    }
}

/// Two tools.
pub(crate) fn tools() -> Vec<Tool> {
    let tool = |name: &str, description: &str, parameters: &str| Tool {
        name: name.into(),
        description: description.into(),
        parameters: parameters.into(),
    };
    vec![
        tool(
            "weather",
            "The weather now",
            r#"{"type":"object","properties":{"city":{"type":"string","description":"A town"}},"required":["city"]}"#,
        ),
        tool(
            "add",
            "Adds numbers",
            r#"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]}"#,
        ),
    ]
}

/// The options with these two.
pub(crate) fn with_tools() -> ChatOptions {
    ChatOptions {
        tools: tools(),
        ..ChatOptions::default()
    }
}

/// What the model is given.
pub(crate) fn prompt(format: &ChatFormat<'_>, messages: &[Message], options: &ChatOptions) -> Prompt {
    format.prompt(messages, options, ROOMY).unwrap()
}

/// Its text.
pub(crate) fn text(format: &ChatFormat<'_>, messages: &[Message]) -> String {
    prompt(format, messages, &ChatOptions::default()).text
}
