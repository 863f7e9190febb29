//! Text is data: whatever people write, a prompt has the control tokens that the template writes, and the model sees the literal text.

use std::collections::HashSet;

use llama_worker_engine::chat::{ChatFormat, ChatOptions, Message, Role, Tool, ToolCall};
use llama_worker_engine::llama::Model;

use crate::fixture::{ALL_FAMILIES, BUILT_IN, CONTROL_TOKENS, FAMILIES, prompt, tools};
use crate::random::Random;

/// Conversations for each template.
const CONVERSATIONS: u64 = 30;

/// The built-in vocabulary's own.
const BUILT_IN_TOKENS: [&str; 11] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<tools>",
    "</tools>",
    "<think>",
    "</think>",
];

/// What hostile texts are made of besides these.
const SCRAPS: [&str; 24] = [
    "<",
    "<|",
    "|>",
    ">",
    "[",
    "]",
    "</",
    "<think",
    "think>",
    "<｜",
    "\u{FDD0}",
    "\\ufdd0",
    "\\",
    "\"",
    "{",
    "}",
    "user",
    "assistant",
    "a",
    "é",
    "漢",
    "🐱",
    " ",
    "\n",
];

/// What a family's conversations may have.
#[derive(Clone, Copy)]
struct Shape {
    has_system: bool,
    /// How many tools one message calls at most.
    calls: usize,
    /// Whether the template itself takes texts apart at the end of a thought.
    splits: bool,
}

fn shape(family: &str) -> Shape {
    let (calls, splits) = match family {
        "llama-3" | "gpt-oss" => (1, false),
        "gemma" | "phi" | "command-r" => (0, false),
        "qwen" | "deepseek" => (2, true),
        _ => (2, false),
    };
    Shape {
        has_system: true,
        calls,
        splits,
    }
}

/// Writes one text: the same random numbers make a hostile or a harmless one.
struct Writer {
    random: Random,
    is_hostile: bool,
}

impl Writer {
    fn text(&mut self) -> String {
        let length = 1 + self.random.below(8);
        let text: String = (0..length).map(|_| self.scrap()).collect();
        // White space and emptiness are the template's business, not a question of tokens.
        if self.is_hostile {
            format!("x{text}x")
        } else {
            "harmless".to_owned()
        }
    }

    fn scrap(&mut self) -> String {
        match self.random.below(3) {
            0 => SCRAPS[self.random.below(SCRAPS.len())].to_owned(),
            1 => self.special().to_owned(),
            _ => {
                let special = self.special();
                let ends: Vec<usize> = special.char_indices().map(|(at, _)| at).collect();
                let cut = ends[self.random.below(ends.len())];
                if self.random.below(2) == 0 {
                    special[..cut].to_owned()
                } else {
                    special[cut..].to_owned()
                }
            }
        }
    }

    fn special(&mut self) -> &'static str {
        let all = CONTROL_TOKENS.len();
        let index = self.random.below(all + 2 * BUILT_IN_TOKENS.len());
        CONTROL_TOKENS
            .get(index)
            .copied()
            .unwrap_or_else(|| BUILT_IN_TOKENS[(index - all) % BUILT_IN_TOKENS.len()])
    }

    /// As the assistant's text, which some templates take apart.
    fn answer(&mut self, shape: Shape) -> String {
        let text = self.text();
        if shape.splits {
            text.replace("</think>", "</thin k>")
        } else {
            text
        }
    }

    fn called(&mut self, shape: Shape) -> Vec<Message> {
        let count = 1 + self.random.below(shape.calls);
        let calls: Vec<ToolCall> = (0..count).map(|index| self.call(index)).collect();
        let ids: Vec<String> = calls.iter().map(|call| call.id.clone()).collect();
        let mut messages = vec![Message {
            reasoning: self.text(),
            tool_calls: calls,
            ..Message::new(Role::Assistant, "")
        }];
        for tool_call_id in ids {
            messages.push(Message {
                tool_call_id,
                tool_name: "weather".into(),
                ..Message::new(Role::Tool, self.text())
            });
        }
        messages
    }

    fn call(&mut self, index: usize) -> ToolCall {
        ToolCall {
            id: format!("callabc0{index}"),
            name: "weather".into(),
            arguments: serde_json::json!({ "city": self.text(), "list": [{ "deep": self.text() }] }).to_string(),
        }
    }

    fn messages(&mut self, shape: Shape) -> Vec<Message> {
        let mut messages = Vec::new();
        if shape.has_system && self.random.below(2) == 0 {
            messages.push(Message::new(Role::System, self.text()));
        }
        for _ in 0..self.random.below(3) {
            messages.push(Message::new(Role::User, self.text()));
            if shape.calls > 0 && self.random.below(2) == 0 {
                messages.extend(self.called(shape));
            }
            messages.push(Message {
                reasoning: if self.random.below(2) == 0 { self.text() } else { String::new() },
                ..Message::new(Role::Assistant, self.answer(shape))
            });
        }
        messages.push(Message::new(Role::User, self.text()));
        match self.random.below(4) {
            0 => messages.push(Message::new(Role::Assistant, self.answer(shape))),
            1 if shape.calls > 0 => messages.extend(self.called(shape)),
            _ => {}
        }
        messages
    }

    fn options(&mut self, shape: Shape) -> ChatOptions {
        let mut options = ChatOptions {
            enable_thinking: self.random.below(2) == 0,
            ..ChatOptions::default()
        };
        if shape.calls > 0 && self.random.below(3) > 0 {
            let schema = serde_json::json!({ "type": "object", "properties": { "city": { "type": "string", "description": self.text(), "enum": [self.text()] } } });
            options.tools = vec![Tool {
                name: "weather".into(),
                description: self.text(),
                parameters: schema.to_string(),
            }];
        }
        options
    }
}

fn specials(model: &Model) -> HashSet<i32> {
    let texts = CONTROL_TOKENS.iter().chain(&BUILT_IN_TOKENS);
    texts.filter_map(|text| model.special_token(text)).map(|token| token.0).collect()
}

fn check_template(name: &str, model: &'static Model, template: Option<&str>) {
    let format = ChatFormat::new(model, template).unwrap();
    let specials = specials(model);
    for seed in 0..CONVERSATIONS {
        let made = |is_hostile| {
            let mut writer = Writer {
                random: Random::new(seed + 1),
                is_hostile,
            };
            let shape = shape(name);
            let (messages, options) = (writer.messages(shape), writer.options(shape));
            (prompt(&format, &messages, &options), messages, options)
        };
        let (hostile, messages, options) = made(true);
        let (harmless, ..) = made(false);
        let count = |tokens: &[_]| {
            tokens
                .iter()
                .filter(|token: &&llama_worker_engine::llama::Token| specials.contains(&token.0))
                .count()
        };
        assert_eq!(
            count(&hostile.tokens),
            count(&harmless.tokens),
            "{name} {seed} {messages:?} {options:?}\n{:?}",
            hostile.text
        );
        let ids: Vec<i32> = hostile.tokens.iter().map(|token| token.0).collect();
        let seen = String::from_utf8(model.detokenize(&ids, true).unwrap()).unwrap();
        assert_eq!(seen, hostile.text, "{name} {seed}");
        check_all_is_there(name, &messages, &hostile.text);
    }
}

/// Every text that a user wrote is in the prompt, but for the characters that are reserved for marks.
fn check_all_is_there(name: &str, messages: &[Message], text: &str) {
    for message in messages.iter().filter(|message| message.role == Role::User) {
        let content = message.content.replace('\u{FDD0}', "");
        assert!(text.contains(&content), "{name}: {content:?} in {text:?}");
    }
}

#[test]
fn no_text_of_a_conversation_becomes_a_control_token() {
    for (name, template) in FAMILIES {
        check_template(name, &ALL_FAMILIES, Some(template));
    }
}

/// What an answer looks like is found out once for each template, and kept.
#[test]
fn prompts_do_not_depend_on_those_before() {
    let own = [("built-in", None)];
    for (name, template) in FAMILIES.map(|(name, template)| (name, Some(template))).into_iter().chain(own) {
        let fresh = || ChatFormat::new(&ALL_FAMILIES, template).unwrap();
        let kept = fresh();
        for seed in 0..CONVERSATIONS {
            let writer = |seed| Writer {
                random: Random::new(seed + 1),
                is_hostile: true,
            };
            let (messages, options) = (writer(seed).messages(shape(name)), writer(seed % 3).options(shape(name)));
            let expected = prompt(&fresh(), &messages, &options);
            assert_eq!(
                prompt(&kept, &messages, &options),
                expected,
                "{name} {seed} {messages:?} {options:?}"
            );
        }
    }
}

#[test]
fn nor_with_the_built_in_models_own_template() {
    check_template("built-in", &BUILT_IN, None);
    check_template("built-in", &ALL_FAMILIES, None);
}

/// Templates see the tags of a past thought that is written into the content, and drop it.
#[test]
fn templates_that_take_texts_apart_still_find_what_they_look_for() {
    for family in ["qwen", "deepseek"] {
        let format = crate::fixture::family(family);
        let with = |answer: &str| {
            let messages = [
                Message::new(Role::User, "Hi"),
                Message::new(Role::Assistant, answer),
                Message::new(Role::User, "And <|im_end|> now?"),
            ];
            prompt(&format, &messages, &ChatOptions::default())
        };
        let (split, dropped) = (
            with("<think>\nHm <|im_end|>\n</think>\n\nHello <|im_end|>."),
            with("Hello <|im_end|>."),
        );
        assert_eq!(
            split.text.replace("\n\nHello", "Hello"),
            dropped.text.replace("\n\nHello", "Hello"),
            "{family}"
        );
        let specials = specials(&ALL_FAMILIES);
        let count = |tokens: &[llama_worker_engine::llama::Token]| tokens.iter().filter(|token| specials.contains(&token.0)).count();
        assert_eq!(count(&split.tokens), count(&dropped.tokens), "{family}");
    }
}

/// Documents, for instance, reach a template as its variables.
#[test]
fn texts_in_the_variables_of_a_template_are_data_too() {
    let template = "{{ bos_token }}{% for text in documents %}{{ text.title }}<|im_start|>{% endfor %}{{ messages[0].content }}";
    let format = ChatFormat::new(&BUILT_IN, Some(template)).unwrap();
    let with = |title: &str| {
        let documents = serde_json::json!([{ "title": title }]).to_string();
        let options = ChatOptions {
            variables: vec![("documents".into(), documents)],
            ..ChatOptions::default()
        };
        prompt(&format, &[Message::new(Role::User, "Hi")], &options)
    };
    let specials = specials(&BUILT_IN);
    let count = |title: &str| with(title).tokens.iter().filter(|token| specials.contains(&token.0)).count();
    assert_eq!(with("<|im_end|>").text, "<|endoftext|><|im_end|><|im_start|>Hi");
    assert_eq!(count("<|im_end|>"), count("harmless"));
}

/// The grammar is about what the model writes: a schema's texts stand in it as they are.
#[test]
fn special_texts_in_a_schema_reach_the_grammar_without_marks() {
    let format = ChatFormat::new(&BUILT_IN, None).unwrap();
    let mut tools = tools();
    tools[0].parameters =
        serde_json::json!({ "type": "object", "properties": { "tag": { "enum": ["<|im_end|>", "\\ufdd0"] } }, "required": ["tag"] })
            .to_string();
    let options = ChatOptions {
        tools,
        ..ChatOptions::default()
    };
    let prompt = prompt(&format, &[Message::new(Role::User, "<|im_end|> \\ufdd0")], &options);
    let grammar = prompt.answer.tool_grammar.clone().unwrap().grammar;
    assert!(grammar.contains("<|im_end|>") && !grammar.contains('\u{FDD0}'), "{grammar}");
    let raw = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"tag\": \"\\\\ufdd0\"}}\n</tool_call>";
    let (seen, reader) = crate::answers::read(&prompt, [raw], true);
    assert_eq!(reader.calls().len(), 1, "{seen:?}");
    assert_eq!(reader.calls()[0].arguments, r#"{"tag": "\\ufdd0"}"#);
}
