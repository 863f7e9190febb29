//! Answers in the families' forms, taken apart as they come.

use std::time::Duration;

use llama_worker_engine::chat::{AnswerPart, AnswerReader, ChatOptions, Prompt, ThoughtWatch};

use crate::fixture::{conversation, family, prompt, with_tools};
use crate::random::Random;

/// An answer of a family and what is in it.
pub(crate) struct Answer {
    pub(crate) family: &'static str,
    pub(crate) raw: &'static str,
    pub(crate) reasoning: &'static str,
    pub(crate) text: &'static str,
    pub(crate) calls: &'static [(&'static str, &'static str)],
}

const ROME: (&str, &str) = ("weather", r#"{"city": "Rome"}"#);
const SUM: (&str, &str) = ("add", r#"{"a": 1, "b": 2}"#);

const fn said(family: &'static str, raw: &'static str, text: &'static str) -> Answer {
    thought(family, raw, "", text)
}

const fn thought(family: &'static str, raw: &'static str, reasoning: &'static str, text: &'static str) -> Answer {
    called(family, raw, reasoning, text, &[])
}

const fn called(
    family: &'static str,
    raw: &'static str,
    reasoning: &'static str,
    text: &'static str,
    calls: &'static [(&'static str, &'static str)],
) -> Answer {
    Answer {
        family,
        raw,
        reasoning,
        text,
        calls,
    }
}

/// With tools given.
pub(crate) const ANSWERS: [Answer; 24] = [
    said("llama-3", "It is sunny.", "It is sunny."),
    said("llama-3", r#"{"mood": "good"} is JSON"#, r#"{"mood": "good"} is JSON"#),
    called("llama-3", r#"{"name": "weather", "parameters": {"city": "Rome"}}"#, "", "", &[ROME]),
    said("mistral", "It is [sunny] <b>.", "It is [sunny] <b>."),
    called(
        "mistral",
        r#"[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Rome"}, "id": "abcdefghi"}]"#,
        "",
        "",
        &[ROME],
    ),
    called(
        "mistral",
        r#"[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Rome"}, "id": "abcdefghi"}, {"name": "add", "arguments": {"a": 1, "b": 2}, "id": "abcdefghj"}]"#,
        "",
        "",
        &[ROME, SUM],
    ),
    said("qwen", "1 < 2 <t <tool <think é 漢", "1 < 2 <t <tool <think é 漢"),
    thought("qwen", "<think>\nIs 1 < 2? </thin\n</think>\n\nYes.", "Is 1 < 2? </thin", "Yes."),
    called(
        "qwen",
        "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>",
        "",
        "",
        &[ROME],
    ),
    called(
        "qwen",
        "<think>\nHm.\n</think>\n\nLet me look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}}\n</tool_call>",
        "Hm.",
        "Let me look.\n",
        &[ROME, SUM],
    ),
    thought("deepseek", "Hm, 1 < 2.\n</think>\n\nYes, 1 < 2.", "Hm, 1 < 2.\n", "Yes, 1 < 2."),
    called(
        "deepseek",
        "Hm.</think><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{\"city\": \"Rome\"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "Hm.",
        "",
        &[ROME],
    ),
    called(
        "deepseek",
        "Hm.</think>One moment.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{\"city\": \"Rome\"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{\"a\": 1, \"b\": 2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "Hm.",
        "One moment.",
        &[ROME, SUM],
    ),
    said("gpt-oss", "<|channel|>final<|message|>Yes, 1 < 2 <|.", "Yes, 1 < 2 <|."),
    thought(
        "gpt-oss",
        "<|channel|>analysis<|message|>Hm < 3.<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
        "Hm < 3.",
        "Yes.",
    ),
    called(
        "gpt-oss",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{\"city\": \"Rome\"}",
        "Hm.",
        "",
        &[ROME],
    ),
    called(
        "gpt-oss",
        "<|channel|>commentary<|message|>Let me look.<|end|><|start|>assistant to=functions.weather<|channel|>commentary json<|message|>{\"city\": \"Rome\"}",
        "",
        "Let me look.",
        &[ROME],
    ),
    said("granite", "It is <sunny>.", "It is <sunny>."),
    called(
        "granite",
        r#"<|tool_call|>[{"name": "weather", "arguments": {"city": "Rome"}}]"#,
        "",
        "",
        &[ROME],
    ),
    called(
        "granite",
        r#"<|tool_call|>[{"name": "weather", "arguments": {"city": "Rome"}}, {"name": "add", "arguments": {"a": 1, "b": 2}}]"#,
        "",
        "",
        &[ROME, SUM],
    ),
    said("command-r7b", "<|START_RESPONSE|>It is < sunny.<|END_RESPONSE|>", "It is < sunny."),
    thought(
        "command-r7b",
        "<|START_THINKING|>Hm < 3.<|END_THINKING|><|START_RESPONSE|>Yes.<|END_RESPONSE|>",
        "Hm < 3.",
        "Yes.",
    ),
    called(
        "command-r7b",
        r#"<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "weather", "parameters": {"city": "Rome"}}]<|END_ACTION|>"#,
        "",
        "",
        &[ROME],
    ),
    called(
        "command-r7b",
        r#"<|START_THINKING|>Hm.<|END_THINKING|><|START_ACTION|>[{"tool_call_id": "0", "tool_name": "weather", "parameters": {"city": "Rome"}}, {"tool_call_id": "1", "tool_name": "add", "parameters": {"a": 1, "b": 2}}]<|END_ACTION|>"#,
        "Hm.",
        "",
        &[ROME, SUM],
    ),
];

/// What a reader has handed out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    /// Name, arguments, whether complete.
    pub(crate) calls: Vec<(String, String, bool)>,
}

impl Seen {
    pub(crate) fn take(&mut self, parts: Vec<AnswerPart>) {
        for part in parts {
            match part {
                AnswerPart::Text(text) => self.text.push_str(&text),
                AnswerPart::Reasoning(text) => self.reasoning.push_str(&text),
                AnswerPart::ToolCall(part) => {
                    assert!(part.index <= self.calls.len(), "calls come in order");
                    if part.index == self.calls.len() {
                        self.calls.push((part.name.clone(), String::new(), false));
                    }
                    let call = &mut self.calls[part.index];
                    assert_eq!(call.0, part.name, "a call's name never changes");
                    assert!(!call.2, "nothing follows the end of a call");
                    call.1.push_str(&part.arguments);
                    call.2 = part.is_done;
                }
            }
        }
    }
}

/// Reads an answer in pieces.
pub(crate) fn read<'text>(prompt: &Prompt, pieces: impl IntoIterator<Item = &'text str>, is_whole: bool) -> (Seen, AnswerReader) {
    let mut reader = AnswerReader::new(&prompt.answer).unwrap();
    let mut seen = Seen::default();
    for piece in pieces {
        seen.take(reader.push(piece));
    }
    seen.take(reader.finish(is_whole));
    (seen, reader)
}

pub(crate) fn letters(text: &str) -> Vec<&str> {
    text.char_indices().map(|(at, letter)| &text[at..at + letter.len_utf8()]).collect()
}

fn random_pieces<'text>(text: &'text str, random: &mut Random) -> Vec<&'text str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let wanted = 1 + random.below(9);
        let end = (wanted..rest.len()).find(|&at| rest.is_char_boundary(at)).unwrap_or(rest.len());
        pieces.push(&rest[..end]);
        rest = &rest[end..];
    }
    pieces
}

fn check(answer: &Answer, how: &str, (seen, reader): &(Seen, AnswerReader)) {
    let at = format!("{} {:?}, {how}: {seen:?}", answer.family, answer.raw);
    assert_eq!(seen.text, answer.text, "{at}");
    assert_eq!(seen.reasoning.trim_end(), answer.reasoning.trim_end(), "{at}");
    let calls: Vec<_> = answer
        .calls
        .iter()
        .map(|(name, arguments)| ((*name).to_owned(), (*arguments).to_owned(), true))
        .collect();
    assert_eq!(seen.calls, calls, "{at}");
    let listed: Vec<_> = reader
        .calls()
        .iter()
        .map(|call| (call.name.as_str(), call.arguments.as_str()))
        .collect();
    assert_eq!(listed, answer.calls, "{at}");
}

#[test]
fn an_answer_is_taken_apart_however_it_comes() {
    let mut random = Random::new(1);
    for answer in &ANSWERS {
        let format = family(answer.family);
        let prompt = prompt(&format, &conversation(), &with_tools());
        check(answer, "whole", &read(&prompt, [answer.raw], true));
        check(answer, "letter by letter", &read(&prompt, letters(answer.raw), true));
        for _ in 0..10 {
            check(answer, "in pieces", &read(&prompt, random_pieces(answer.raw, &mut random), true));
        }
    }
}

/// The reader looks at a piece only when it has rested since the last look: here it has, at each letter.
#[test]
fn every_look_on_the_way_is_right() {
    const REST: Duration = Duration::from_millis(1);
    for answer in &ANSWERS {
        let prompt = prompt(&family(answer.family), &conversation(), &with_tools());
        let pieces = letters(answer.raw).into_iter().inspect(|_| std::thread::sleep(REST));
        check(answer, "slowly", &read(&prompt, pieces, true));
    }
}

#[test]
fn without_tools_thoughts_and_text_are_told_apart_too() {
    for answer in ANSWERS.iter().filter(|answer| answer.calls.is_empty()) {
        let prompt = prompt(&family(answer.family), &conversation(), &ChatOptions::default());
        check(answer, "whole", &read(&prompt, [answer.raw], true));
        check(answer, "letter by letter", &read(&prompt, letters(answer.raw), true));
    }
}

#[test]
fn an_answer_cut_anywhere_loses_no_text_and_invents_no_call() {
    for answer in &ANSWERS {
        let prompt = prompt(&family(answer.family), &conversation(), &with_tools());
        for cut in (0..=answer.raw.len()).filter(|&at| answer.raw.is_char_boundary(at)) {
            let raw = &answer.raw[..cut];
            let (seen, reader) = read(&prompt, [raw], false);
            check_cut(answer, raw, &seen, &reader);
            let (seen, reader) = read(&prompt, letters(raw), false);
            check_cut(answer, raw, &seen, &reader);
        }
    }
}

fn check_cut(answer: &Answer, raw: &str, seen: &Seen, reader: &AnswerReader) {
    let at = format!("{} {raw:?}: {seen:?}", answer.family);
    // What may still become a tag is text once nothing follows.
    let is_half_tag = |text: &str| raw.ends_with(text);
    let grows = |whole: &str, now: &str| {
        let same = whole.bytes().zip(now.bytes()).take_while(|(a, b)| a == b).count();
        same == now.len() || is_half_tag(&now[same..])
    };
    assert!(grows(answer.text, &seen.text), "{at}");
    assert!(grows(answer.reasoning, &seen.reasoning.replace("\n\n", "\n")), "{at}");
    if let Some(text) = visible(answer, raw) {
        assert_eq!(seen.text, text, "{at}");
    }
    assert!(seen.calls.len() <= answer.calls.len(), "{at}");
    for (call, expected) in seen.calls.iter().zip(answer.calls) {
        assert!(call.0 == expected.0 && expected.1.starts_with(&call.1), "{at}");
    }
    for (call, expected) in reader.calls().iter().zip(answer.calls) {
        assert_eq!((call.name.as_str(), call.arguments.as_str()), *expected, "{at}");
    }
}

/// The text of `raw` where the answer ends in nothing but text.
fn visible<'raw>(answer: &Answer, raw: &'raw str) -> Option<&'raw str> {
    let start = answer.raw.len() - answer.text.len();
    (answer.raw.ends_with(answer.text) && raw.len() > start).then(|| &raw[start..])
}

/// What came while the watch saw a thought is the thought, and the watch ends with it.
#[test]
fn the_watch_over_thoughts_agrees_with_the_reader() {
    for answer in &ANSWERS {
        let prompt = prompt(&family(answer.family), &conversation(), &with_tools());
        let mut watch = ThoughtWatch::new(prompt.answer.thinking.clone(), &prompt.answer.opening);
        let mut thought = String::new();
        for letter in letters(answer.raw) {
            let was_open = watch.is_open();
            watch.push(letter);
            if was_open {
                thought.push_str(letter);
            }
        }
        let thought = thought.strip_suffix(watch.ending().unwrap_or_default().trim()).unwrap_or(&thought);
        assert_eq!(thought.trim(), answer.reasoning.trim(), "{} {:?}", answer.family, answer.raw);
        assert!(!watch.is_open(), "{} {:?}", answer.family, answer.raw);
    }
}
