//! An answer as it comes: taken apart into text, thought and tool calls, as soon as each is sure.
//!
//! Formats with nothing to take apart cost nothing. For the others llama.cpp's parser reads the whole answer again with each look, so a long
//! one is looked at less often: looking takes at most a thirtieth of the time.

use std::time::{Duration, Instant};

use super::format::AnswerFormat;
use super::message::ToolCall;
use crate::error::Result;
use crate::llama::{AnswerParser, ParsedAnswer, ThinkingTags};

/// Something new in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerPart {
    /// Text for the reader.
    Text(String),
    /// Text of a thought.
    Reasoning(String),
    /// More of a tool call.
    ToolCall(ToolCallPart),
}

/// More of a tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCallPart {
    /// Which call of the answer, from 0.
    pub index: usize,
    /// The tool's name.
    pub name: String,
    /// What came to its arguments.
    pub arguments: String,
    /// Whether they are complete.
    pub is_done: bool,
}

/// Takes one answer apart.
#[derive(Debug)]
pub struct AnswerReader {
    /// `None`: all of it is text.
    parser: Option<AnswerParser>,
    format: ReadFormat,
    raw: String,
    shown: Shown,
    calls: Vec<ToolCall>,
    pace: Pace,
}

/// What there is to know of the format besides its parser.
#[derive(Debug)]
struct ReadFormat {
    thinking: Option<ThinkingTags>,
    markers: Vec<String>,
    /// What the prompt has of the answer already: it is not news.
    before: ParsedAnswer,
}

/// How much has been handed out.
#[derive(Debug, Default)]
struct Shown {
    content: String,
    reasoning: String,
    /// For each call how much of its arguments, and whether its end has been told.
    calls: Vec<(usize, bool)>,
}

impl AnswerReader {
    /// A reader of one answer in `format`.
    ///
    /// # Errors
    /// When llama.cpp has no parser for the format.
    pub fn new(format: &AnswerFormat) -> Result<Self> {
        let parser = if format.syntax.is_plain() {
            None
        } else {
            Some(AnswerParser::new(&format.syntax)?)
        };
        let before = parser.as_ref().and_then(|parser| parser.parse("", true)).unwrap_or_default();
        let format = ReadFormat {
            thinking: format.thinking.clone(),
            markers: format.markers.clone(),
            before,
        };
        Ok(Self {
            shown: Shown {
                content: format.content(&format.before).to_owned(),
                reasoning: format.before.reasoning.trim().to_owned(),
                calls: Vec::new(),
            },
            parser,
            format,
            raw: String::new(),
            calls: Vec::new(),
            pace: Pace::default(),
        })
    }

    /// Takes more of the answer. What is new in it may come later.
    pub fn push(&mut self, text: &str) -> Vec<AnswerPart> {
        if text.is_empty() {
            return Vec::new();
        }
        let Some(parser) = &self.parser else {
            return vec![AnswerPart::Text(text.to_owned())];
        };
        self.raw.push_str(text);
        if !self.pace.may_look() {
            return Vec::new();
        }
        let looked_at = Instant::now();
        let parsed = parser.parse(&self.raw, true);
        self.pace.looked(looked_at);
        parsed.map(|parsed| self.news(&parsed, false)).unwrap_or_default()
    }

    /// Hands out the rest. `is_whole`: the model ended the answer by itself.
    pub fn finish(&mut self, is_whole: bool) -> Vec<AnswerPart> {
        let Some(parser) = &self.parser else { return Vec::new() };
        let parsed = self.format.text_to_the_end(parser, &self.raw);
        let parsed = parsed.unwrap_or_else(|| self.format.to_the_end(parser, &self.raw));
        self.news(&parsed, is_whole)
    }

    /// The calls whose arguments are complete.
    #[must_use]
    pub fn calls(&self) -> &[ToolCall] {
        &self.calls
    }

    fn news(&mut self, parsed: &ParsedAnswer, is_whole: bool) -> Vec<AnswerPart> {
        let mut parts = Vec::new();
        if let Some(text) = growth(&mut self.shown.reasoning, parsed.reasoning.trim()) {
            parts.push(AnswerPart::Reasoning(text));
        }
        if let Some(text) = growth(&mut self.shown.content, self.format.content(parsed)) {
            parts.push(AnswerPart::Text(text));
        }
        let calls = parsed.tool_calls.get(self.format.before.tool_calls.len()..).unwrap_or_default();
        for (index, (name, arguments, id)) in calls.iter().enumerate() {
            // A call is complete when the next one has begun, or the answer has ended well.
            let is_done = is_whole || index + 1 < calls.len();
            parts.extend(self.call_news(index, (name, arguments, id), is_done));
        }
        parts
    }

    fn call_news(&mut self, index: usize, call: (&str, &str, &str), is_done: bool) -> Option<AnswerPart> {
        let (name, arguments, id) = call;
        if self.shown.calls.len() <= index {
            self.shown.calls.push((0, false));
        }
        let (shown, was_done) = self.shown.calls.get_mut(index)?;
        let is_done = is_done && serde_json::from_str::<serde_json::Value>(arguments).is_ok();
        let more = arguments.get(*shown..).unwrap_or_default();
        let is_news = !*was_done && (is_done || !more.is_empty());
        if !is_news {
            return None;
        }
        *shown = arguments.len().max(*shown);
        *was_done = is_done;
        if is_done {
            self.calls.push(ToolCall {
                id: if id.is_empty() { random_id() } else { id.to_owned() },
                name: name.to_owned(),
                arguments: arguments.to_owned(),
            });
        }
        Some(AnswerPart::ToolCall(ToolCallPart {
            index,
            name: name.to_owned(),
            arguments: more.to_owned(),
            is_done,
        }))
    }
}

impl ReadFormat {
    /// The text of an answer. Where there may be a thought in front, the space between both belongs to neither.
    fn content<'parsed>(&self, parsed: &'parsed ParsedAnswer) -> &'parsed str {
        if self.thinking.is_some() {
            parsed.content.trim_start()
        } else {
            &parsed.content
        }
    }

    /// An answer that ends in text or thought. llama.cpp holds back what may become a tag: it is none when it is followed by what no tag has.
    fn text_to_the_end(&self, parser: &AnswerParser, raw: &str) -> Option<ParsedAnswer> {
        const NO_TAG: char = '\u{FDD0}';
        let mut parsed = parser.parse(&format!("{raw}{NO_TAG}"), false)?;
        let is_text = parsed.content.ends_with(NO_TAG) && parsed.content.len() > self.before.content.len();
        let last = if is_text { &mut parsed.content } else { &mut parsed.reasoning };
        (last.pop() == Some(NO_TAG)).then_some(parsed)
    }

    /// Any other answer. What is in no known format is text.
    fn to_the_end(&self, parser: &AnswerParser, raw: &str) -> ParsedAnswer {
        let known = parser.parse(raw, false);
        let is_known = known.as_ref().is_some_and(|known| !self.is_nothing(known) || self.has_marker(raw));
        let mut parsed = known.or_else(|| parser.parse(raw, true)).unwrap_or_else(|| self.before.clone());
        if !is_known && parsed.tool_calls.len() == self.before.tool_calls.len() {
            let rest = self.rest(&parsed, raw).to_owned();
            parsed.content.push_str(&rest);
        }
        parsed
    }

    /// Whether nothing came after what the prompt has.
    fn is_nothing(&self, parsed: &ParsedAnswer) -> bool {
        *parsed == self.before
    }

    fn has_marker(&self, raw: &str) -> bool {
        self.markers.iter().any(|marker| raw.contains(marker))
    }

    /// What of `raw` lies behind the text and the thought of `parsed`.
    fn rest<'raw>(&self, parsed: &ParsedAnswer, raw: &'raw str) -> &'raw str {
        let behind = |text: &str, rest: &'raw str| match rest.find(text) {
            Some(at) if !text.is_empty() => &rest[at + text.len()..],
            _ => rest,
        };
        let mut rest = behind(new_in(&parsed.reasoning, &self.before.reasoning), raw);
        let mut ends = self.thinking.iter().flat_map(|tags| &tags.ends);
        if let Some(end) = ends.find(|end| rest.trim_start().starts_with(end.as_str())) {
            rest = &rest.trim_start()[end.len()..];
        }
        behind(new_in(&parsed.content, &self.before.content), rest)
    }
}

/// What `now` has behind `before`.
fn new_in<'now>(now: &'now str, before: &str) -> &'now str {
    now.strip_prefix(before).unwrap_or(now)
}

/// What `now` has more than `shown`, which it becomes. Nothing while the parser sees it otherwise than before: what has been handed out
/// cannot be taken back.
fn growth(shown: &mut String, now: &str) -> Option<String> {
    let more = now.strip_prefix(shown.as_str()).filter(|more| !more.is_empty())?.to_owned();
    now.clone_into(shown);
    Some(more)
}

/// Nine letters and digits: some templates want exactly these.
fn random_id() -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut bytes = [0_u8; 9];
    // Without randomness ids repeat, which only matters to templates that look calls up by them.
    let _ = getrandom::fill(&mut bytes);
    bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect()
}

/// How often to look.
#[derive(Debug, Default)]
struct Pace {
    last: Option<(Instant, Duration)>,
}

impl Pace {
    fn may_look(&self) -> bool {
        const REST: u32 = 29;
        self.last.is_none_or(|(ended_at, took)| ended_at.elapsed() >= took * REST)
    }

    fn looked(&mut self, began_at: Instant) {
        let now = Instant::now();
        self.last = Some((now, now - began_at));
    }
}
