//! What the model is given: exact prompts in each family's form, continued answers, tools.

use llama_worker_engine::chat::{AnswerPart, AnswerReader, ChatFormat, ChatOptions, Message, Role, ToolCall, ToolChoice};
use llama_worker_engine::llama::Model;

use crate::fixture::{ALL_FAMILIES, BUILT_IN, FAMILIES, ROOMY, changed, conversation, family, prompt, text, tool_round, with_tools};

const HARMONY: &str = "<|start|>system<|message|>You are a large language model.\n\nReasoning: medium\n\n# Valid channels: analysis, commentary, final.<|end|>";

/// System, user, assistant, user: the prompt, and what it ends with when "I am" is continued.
const PROMPTS: [(&str, &str, &str); 10] = [
    (
        "llama-3",
        "<|endoftext|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi!<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHow are you?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "assistant<|end_header_id|>\n\nI am",
    ),
    (
        "mistral",
        "<|endoftext|>[INST] Hi![/INST] Hello.<|im_end|>[INST] Be brief.\n\nHow are you?[/INST]",
        "[/INST]I am",
    ),
    (
        "gemma",
        "<|endoftext|><start_of_turn>user\nBe brief.\nHi!<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n<start_of_turn>user\nHow are you?<end_of_turn>\n<start_of_turn>model\n",
        "<start_of_turn>model\nI am",
    ),
    (
        "qwen",
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nHow are you?<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>assistant\n<think>\n\n</think>\n\nI am",
    ),
    (
        "phi",
        "<|system|>\nBe brief.<|end|>\n<|user|>\nHi!<|end|>\n<|assistant|>\nHello.<|end|>\n<|user|>\nHow are you?<|end|>\n<|assistant|>\n",
        "<|assistant|>\nI am",
    ),
    (
        "deepseek",
        "<|endoftext|>Be brief.<｜User｜>Hi!<｜Assistant｜>Hello.<｜end▁of▁sentence｜><｜User｜>How are you?<｜Assistant｜><think>\n",
        "<｜Assistant｜><think></think>I am",
    ),
    (
        "gpt-oss",
        "<|start|>developer<|message|># Instructions\n\nBe brief.\n\n<|end|><|start|>user<|message|>Hi!<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|end|><|start|>user<|message|>How are you?<|end|><|start|>assistant",
        "<|start|>assistant<|channel|>analysis<|message|><|end|><|start|>assistant<|channel|>final<|message|>I am",
    ),
    (
        "granite",
        "<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>Hi!<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>Hello.<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>How are you?<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
        "assistant<|end_of_role|>I am",
    ),
    (
        "command-r",
        "<|endoftext|><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be brief.<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>Hi!<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>Hello.<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>How are you?<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>I am",
    ),
    (
        "command-r7b",
        "<|endoftext|><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be brief.<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>Hi!<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>Hello.<|END_RESPONSE|><|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>How are you?<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_THINKING|><|END_THINKING|>I am",
    ),
];

#[test]
fn every_family_is_given_its_own_form() {
    for (name, expected, _) in PROMPTS {
        let head = if name == "gpt-oss" { HARMONY } else { "" };
        assert_eq!(text(&family(name), &conversation()), head.to_owned() + expected, "{name}");
    }
}

#[test]
fn a_trailing_assistant_message_is_continued() {
    for (name, _, end) in PROMPTS {
        let format = family(name);
        let continued = [conversation(), vec![Message::new(Role::Assistant, "I am")]].concat();
        let prompt = prompt(&format, &continued, &ChatOptions::default());
        assert!(prompt.text.ends_with(end), "{name} {:?}", prompt.text);
        assert!(
            !prompt.answer.opening.contains("I am"),
            "what was written is no part of the opening"
        );
    }
}

/// As interfaces send it that put a placeholder where the answer will be.
#[test]
fn an_empty_trailing_assistant_message_counts_as_none() {
    for (name, _) in FAMILIES {
        let format = family(name);
        let empty = [conversation(), vec![Message::new(Role::Assistant, "")]].concat();
        assert_eq!(text(&format, &empty), text(&format, &conversation()), "{name}");
    }
}

#[test]
fn turns_out_of_order_are_the_templates_error() {
    for name in ["mistral", "gemma"] {
        let twice = [Message::new(Role::User, "Hi"), Message::new(Role::User, "Hi")];
        let error = family(name).prompt(&twice, &ChatOptions::default(), ROOMY).unwrap_err();
        assert_eq!(error.code(), "TEMPLATE_FAILED");
        assert!(error.to_string().contains("must take turns"), "{error}");
    }
}

#[test]
fn tools_are_described_and_their_calls_and_results_are_written() {
    for name in ["llama-3", "mistral", "qwen", "deepseek", "gpt-oss", "granite", "command-r7b"] {
        let is_parallel = !["llama-3", "gpt-oss"].contains(&name);
        let text = prompt(&family(name), &tool_round(is_parallel), &with_tools()).text;
        for described in ["The weather now", "A town", "Adds numbers"] {
            assert!(text.contains(described), "{name}: {described:?} in {text:?}");
        }
        let calls = [r#"{"city": "Rome"}"#, r#"{"a": 1, "b": 2}"#];
        let results = ["sunny", "3"];
        let count = 1 + usize::from(is_parallel);
        let mut rest = text.as_str();
        for part in ["Weather in Rome?", "weather"]
            .iter()
            .chain(&calls[..count])
            .chain(&results[..count])
        {
            let at = rest.find(part).unwrap_or_else(|| panic!("{name}: {part:?} in {text:?}"));
            rest = &rest[at..];
        }
    }
}

#[test]
fn a_named_tool_is_the_only_one_and_must_be_called() {
    let options = ChatOptions {
        tool_choice: ToolChoice::Named("add".into()),
        ..with_tools()
    };
    let prompt = prompt(&family("qwen"), &conversation(), &options);
    assert!(prompt.text.contains("Adds numbers") && !prompt.text.contains("The weather now"));
    assert_eq!(prompt.answer.call_opening.as_deref(), Some("<tool_call>\n"));
    assert!(prompt.answer.tool_grammar.is_some());
}

#[test]
fn templates_without_tools_get_them_in_the_system_message() {
    for name in ["gemma", "phi", "command-r"] {
        let prompt = prompt(&family(name), &conversation(), &with_tools());
        assert!(
            prompt.text.contains("<tools>") && prompt.text.contains("The weather now"),
            "{name}: {}",
            prompt.text
        );
        let grammar = prompt.answer.tool_grammar.as_ref().unwrap();
        assert!(grammar.is_lazy, "{name}: {grammar:?}");
        let mut reader = AnswerReader::new(&prompt.answer).unwrap();
        let raw = "Let me see.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}}\n</tool_call>";
        let mut parts = reader.push(raw);
        parts.extend(reader.finish(true));
        let text: String = parts
            .iter()
            .filter_map(|part| match part {
                AnswerPart::Text(text) => Some(&**text),
                _ => None,
            })
            .collect();
        assert_eq!(text.trim(), "Let me see.", "{name}");
        let [call] = reader.calls() else {
            panic!("{name}: {:?}", reader.calls())
        };
        assert_eq!((&*call.name, &*call.arguments), ("add", "{\"a\": 1, \"b\": 2}"), "{name}");
    }
}

#[test]
fn thoughts_that_a_template_without_tools_opens_stay_thoughts() {
    let template = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}\
                    {% if add_generation_prompt %}assistant: <think>\n{% endif %}";
    let format = ChatFormat::new(&BUILT_IN, Some(template)).unwrap();
    let prompt = format.prompt(&conversation(), &with_tools(), 100_000).unwrap();
    let mut reader = AnswerReader::new(&prompt.answer).unwrap();
    let mut parts = reader.push("Hm.\n</think>\n\nYes.");
    parts.extend(reader.finish(true));
    let expected = [AnswerPart::Reasoning("Hm.".into()), AnswerPart::Text("Yes.".into())];
    assert_eq!(parts.iter().map(trimmed).collect::<Vec<_>>(), expected);
}

fn trimmed(part: &AnswerPart) -> AnswerPart {
    match part {
        AnswerPart::Text(text) => AnswerPart::Text(text.trim().to_owned()),
        AnswerPart::Reasoning(text) => AnswerPart::Reasoning(text.trim().to_owned()),
        AnswerPart::ToolCall(_) => part.clone(),
    }
}

#[test]
fn templates_without_tools_show_calls_and_results_of_the_history_as_text() {
    let mut messages = vec![Message::new(Role::User, "1 + 2?")];
    messages.push(Message {
        tool_calls: vec![ToolCall {
            id: "1".into(),
            name: "add".into(),
            arguments: "{\"a\":1,\"b\":2}".into(),
        }],
        ..Message::new(Role::Assistant, "")
    });
    messages.push(Message::new(Role::Tool, "3"));
    for name in ["gemma", "phi", "command-r"] {
        for options in [with_tools(), ChatOptions::default()] {
            let text = prompt(&family(name), &messages, &options).text;
            assert!(
                text.contains("<tool_call>") && text.contains("<tool_response>\n3\n</tool_response>"),
                "{name}: {text}"
            );
        }
    }
}

#[test]
fn the_switch_for_thoughts_reaches_the_template() {
    let options = ChatOptions {
        enable_thinking: false,
        ..ChatOptions::default()
    };
    let prompt = prompt(&family("qwen"), &conversation(), &options);
    assert!(
        prompt.text.ends_with("<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        "{:?}",
        prompt.text
    );
    let variables = ChatOptions {
        variables: vec![("reasoning_effort".into(), "\"high\"".into())],
        ..ChatOptions::default()
    };
    let prompt = crate::fixture::prompt(&family("gpt-oss"), &conversation(), &variables);
    assert!(prompt.text.contains("Reasoning: high"), "{:?}", prompt.text);
}

#[test]
fn thoughts_of_answered_questions_are_dropped_by_the_templates_that_do_so() {
    let thoughtful = Message {
        reasoning: "Secretly.".into(),
        ..Message::new(Role::Assistant, "Hello.")
    };
    let messages = [Message::new(Role::User, "Hi!"), thoughtful, Message::new(Role::User, "And now?")];
    for name in ["qwen", "deepseek", "gpt-oss"] {
        assert!(!text(&family(name), &messages).contains("Secretly"), "{name}");
    }
}

/// How often the first token, `<|endoftext|>` here, is in a prompt.
fn beginnings(model: &'static Model, template: &str) -> usize {
    let format = ChatFormat::new(model, Some(template)).unwrap();
    let first = model.special_token("<|endoftext|>").unwrap();
    prompt(&format, &[Message::new(Role::User, "Hi <|endoftext|>")], &ChatOptions::default())
        .tokens
        .iter()
        .filter(|token| **token == first)
        .count()
}

#[test]
fn the_first_token_is_never_there_twice() {
    const WRITES: &str = "{{ bos_token }}{{ messages[0].content }}";
    const WRITES_NONE: &str = "{{ messages[0].content }}";
    const IS_CONTENT: &str = "{{ messages[0].content.split(' ')[1] }}";
    let adding = &*Box::leak(Box::new(changed("bos", |file| file.set_bool("tokenizer.ggml.add_bos_token", true))));
    let cases = [
        (adding, WRITES, 1),
        (adding, WRITES_NONE, 1),
        (&BUILT_IN, WRITES, 1),
        (&BUILT_IN, WRITES_NONE, 0),
        (adding, IS_CONTENT, 1),
    ];
    for (index, (model, template, expected)) in cases.into_iter().enumerate() {
        assert_eq!(beginnings(model, template), expected, "case {index}");
    }
}

#[test]
fn a_model_without_a_template_gets_chatml() {
    let bare = changed("bare", |file| file.remove("tokenizer.chat_template"));
    assert!(!bare.info().has_chat_template);
    let format = ChatFormat::new(&bare, None).unwrap();
    assert_eq!(
        text(&format, &conversation()),
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nHow are you?<|im_end|>\n<|im_start|>assistant\n"
    );
}

#[test]
fn broken_templates_are_coded_errors() {
    let templates = [
        "",
        "{% if %}",
        "{{ unclosed",
        "{% for x in y %}",
        "{{ raise_exception('no') }}",
        "{{ messages[0].content.nothing() }}",
    ];
    for template in templates {
        let result = ChatFormat::check_template(template)
            .and_then(|()| ChatFormat::new(&ALL_FAMILIES, Some(template)))
            .and_then(|format| format.prompt(&conversation(), &ChatOptions::default(), ROOMY));
        assert_eq!(result.unwrap_err().code(), "TEMPLATE_FAILED", "{template}");
    }
}
