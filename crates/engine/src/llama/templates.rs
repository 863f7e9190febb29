//! The chat templates of a model, rendered by llama.cpp's own Jinja engine, and its parsers of what models answer.
//!
//! JSON in, text out; how a text becomes tokens is the room `chat`. For templates that it has no code of its own for, llama.cpp finds out what
//! answers look like by rendering dozens of small conversations; what comes of that is kept. Invariant: every exception of the C++ code becomes
//! an error.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CString, c_char};
use std::marker::PhantomData;
use std::ptr::NonNull;

use serde_json::{Value, json};

use super::grammar::{GrammarTrigger, ToolGrammar};
use super::model::Model;
use super::{Token, shim};
use crate::error::{Error, Result};

/// The parsed templates of a model.
#[derive(Debug)]
pub struct Templates<'model> {
    raw: NonNull<shim::RawTemplates>,
    abilities: TemplateAbilities,
    /// What llama.cpp finds out depends on the messages by the generation prompt only.
    is_tried_out: bool,
    /// The newest last.
    found_out: RefCell<VecDeque<FoundOut>>,
    model: PhantomData<&'model Model>,
}

/// What llama.cpp found out by trying a template out.
#[derive(Debug)]
struct FoundOut {
    /// What was asked besides the messages.
    circumstances: String,
    /// How the template opens the answer. The only other thing that counts.
    opening: String,
    /// Without the prompt, and without the text that is continued.
    rendered: RenderedChat,
}

/// With tools one of them takes some ten kilobytes.
const MOST_FOUND_OUT: usize = 16;

/// What a template can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateAbilities {
    /// Descriptions of tools.
    pub tools: bool,
    /// An assistant's calls of tools.
    pub tool_calls: bool,
    /// System messages of their own; elsewhere they are put in front of the first user message.
    pub system_role: bool,
}

/// What to render.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RenderRequest {
    /// Messages in the form of `OpenAI`'s chat completions.
    pub messages: Vec<Value>,
    /// Tools in the same form.
    pub tools: Vec<Value>,
    /// `auto`, `none` or `required`.
    pub tool_choice: &'static str,
    /// Whether several tools may be called at once.
    pub parallel_tool_calls: bool,
    /// Whether the model is to think, where the template asks.
    pub enable_thinking: bool,
    /// Further variables of the template: their names and their values as JSON texts.
    pub variables: Vec<(String, String)>,
    /// Go on with the last message instead of answering it.
    pub is_continued: bool,
}

/// A conversation as the model's template writes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RenderedChat {
    /// The text to evaluate, without the BOS token that the vocabulary adds by itself.
    pub prompt: String,
    /// The end of `prompt` that belongs to the answer: its opening, and what is continued.
    pub generation_prompt: String,
    /// Texts at which the template's format wants generation to end, besides end-of-generation tokens.
    pub stops: Vec<String>,
    /// Texts of special tokens that the format's parser needs to see.
    pub preserved: Vec<String>,
    /// Between which texts the model thinks.
    pub thinking: Option<ThinkingTags>,
    /// What tool calls look like; without tools none.
    pub tool_grammar: Option<ToolGrammar>,
    /// How to take an answer apart.
    pub syntax: AnswerSyntax,
}

impl RenderedChat {
    fn set_generation_prompt(&mut self, generation_prompt: String) {
        if let Some(grammar) = &mut self.tool_grammar {
            grammar.prefill.clone_from(&generation_prompt);
        }
        self.syntax.generation_prompt.clone_from(&generation_prompt);
        self.generation_prompt = generation_prompt;
    }
}

/// The texts around a thought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThinkingTags {
    /// Before it.
    pub start: String,
    /// After it: any of these, the first is the usual one.
    pub ends: Vec<String>,
}

/// How a template's answers are to be read; made by llama.cpp for [`AnswerParser`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerSyntax {
    format: i64,
    parser: String,
    generation_prompt: String,
    is_plain: bool,
}

impl AnswerSyntax {
    /// Of answers that are nothing but text.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            is_plain: true,
            ..Self::default()
        }
    }

    /// Whether an answer is nothing but its text: there is nothing to take apart.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }
}

/// An answer, or the beginning of one, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedAnswer {
    /// What is meant for the reader.
    pub content: String,
    /// What the model thought.
    pub reasoning: String,
    /// Name, arguments (JSON text, in a partial answer its beginning) and id of each call; ids may be empty.
    pub tool_calls: Vec<(String, String, String)>,
}

/// Takes answers apart.
#[derive(Debug)]
pub struct AnswerParser(NonNull<shim::RawParser>);

// SAFETY: the C++ object is plain data without references to anything outside, and is only ever used through `&self`/`drop` by one owner.
unsafe impl Send for AnswerParser {}

impl Templates<'static> {
    /// Parses a template that writes no token of a model's.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when it is no valid Jinja.
    pub fn without_model(source: &str) -> Result<Self> {
        Self::parse(std::ptr::null(), Some(source))
    }
}

impl<'model> Templates<'model> {
    /// Parses the templates of `model`, or `source` in place of them; a model without any gets the ChatML form.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when the template is no valid Jinja.
    pub fn new(model: &'model Model, source: Option<&str>) -> Result<Self> {
        check_size(model.template_source().as_deref().unwrap_or_default())?;
        Self::parse(model.raw(), source)
    }

    fn parse(model: *const llama_cpp_sys_2::llama_model, source: Option<&str>) -> Result<Self> {
        let source = source.map(source_text).transpose()?;
        let source = source.as_ref().map_or(std::ptr::null(), |source| source.as_ptr());
        // SAFETY: the model, if there is one, and the zero-terminated source live during the call; a null source means the model's own templates.
        let raw = shim::call(|error| unsafe { shim::lw_templates_new(model, source, error) }).map_err(failed)?;
        let raw = NonNull::new(raw).ok_or_else(|| failed("no template"))?;
        let mut templates = Self {
            raw,
            abilities: TemplateAbilities {
                tools: false,
                tool_calls: false,
                system_role: false,
            },
            is_tried_out: false,
            found_out: RefCell::default(),
            model: PhantomData,
        };
        (templates.abilities, templates.is_tried_out) = templates.read_abilities()?;
        Ok(templates)
    }

    /// Looks at a template without a model.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when it is no valid Jinja.
    pub fn check_source(source: &str) -> Result<()> {
        let source = source_text(source)?;
        // SAFETY: the source is zero-terminated; without a model llama.cpp only parses it.
        let raw = shim::call(|error| unsafe { shim::lw_templates_new(std::ptr::null(), source.as_ptr(), error) }).map_err(failed)?;
        // SAFETY: just made, and used by nobody.
        unsafe { shim::lw_templates_free(raw) };
        Ok(())
    }

    /// What the template can write.
    #[must_use]
    pub fn abilities(&self) -> TemplateAbilities {
        self.abilities
    }

    /// Whether nothing but the prompt and the generation prompt depends on the messages.
    #[must_use]
    pub fn is_tried_out(&self) -> bool {
        self.is_tried_out
    }

    fn read_abilities(&self) -> Result<(TemplateAbilities, bool)> {
        // SAFETY: the templates are live until `drop`.
        let answer = shim::call(|error| unsafe { shim::lw_templates_abilities(self.raw.as_ptr(), error) });
        let answer: Value = json_of(answer.map_err(failed)?)?;
        let has = |name: &str| answer[name].as_bool().unwrap_or(false);
        let abilities = TemplateAbilities {
            tools: has("supports_tools"),
            tool_calls: has("supports_tool_calls"),
            system_role: has("supports_system_role"),
        };
        Ok((abilities, has("is_tried_out")))
    }

    /// Renders a conversation.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when the template refuses the messages, for instance their order.
    pub fn render(&self, request: &RenderRequest) -> Result<RenderedChat> {
        let asked = request_json(request);
        let continued = continued_text(request).filter(|_| self.is_tried_out);
        let Some(continued) = continued else {
            return rendered(&self.ask(shim::lw_templates_render, &asked)?);
        };
        let mut circumstances = asked.clone();
        circumstances["messages"].take();
        let circumstances = circumstances.to_string();
        if let Some(rendered) = self.render_as_before(&asked, &circumstances, continued) {
            return Ok(rendered);
        }
        let rendered = rendered(&self.ask(shim::lw_templates_render, &asked)?)?;
        let opening = if request.is_continued {
            text_of(&self.ask(shim::lw_templates_write, &asked)?["generation_prompt"])
        } else {
            rendered.generation_prompt.clone()
        };
        self.remember(circumstances, opening, &rendered, continued);
        Ok(rendered)
    }

    /// Renders where what an answer looks like has been found out before. An error is left to the long way, whose words are better.
    fn render_as_before(&self, asked: &Value, circumstances: &str, continued: &str) -> Option<RenderedChat> {
        let is_known = |known: &&FoundOut| known.circumstances == circumstances;
        let found_out = self.found_out.borrow();
        found_out.iter().find(is_known)?;
        let written = self.ask(shim::lw_templates_write, asked).ok()?;
        let opening = written["generation_prompt"].as_str()?;
        let known = found_out.iter().filter(is_known).find(|known| known.opening == opening)?;
        let mut rendered = known.rendered.clone();
        rendered.prompt = text_of(&written["prompt"]);
        if asked["is_continued"] == true {
            rendered.set_generation_prompt(rendered.generation_prompt.clone() + continued);
            rendered.prompt.push_str(&rendered.generation_prompt);
        }
        Some(rendered)
    }

    fn remember(&self, circumstances: String, opening: String, rendered: &RenderedChat, continued: &str) {
        let Some(generation_prompt) = rendered.generation_prompt.strip_suffix(continued) else {
            return;
        };
        let mut kept = RenderedChat {
            prompt: String::new(),
            ..rendered.clone()
        };
        kept.set_generation_prompt(generation_prompt.to_owned());
        let mut found_out = self.found_out.borrow_mut();
        if found_out.len() >= MOST_FOUND_OUT {
            found_out.pop_front();
        }
        found_out.push_back(FoundOut {
            circumstances,
            opening,
            rendered: kept,
        });
    }

    fn ask(&self, function: AskTemplates, asked: &Value) -> Result<Value> {
        // OK because JSON escapes zero bytes, but an error is better than a panic if it ever did not.
        let asked = CString::new(asked.to_string()).map_err(failed)?;
        // SAFETY: the templates are live until `drop`, and `asked` is zero-terminated.
        let answer = shim::call(|error| unsafe { function(self.raw.as_ptr(), asked.as_ptr(), error) });
        json_of(answer.map_err(failed)?)
    }
}

/// A function of the shim that takes a request.
type AskTemplates = unsafe extern "C" fn(*const shim::RawTemplates, *const c_char, *mut *mut c_char) -> *mut c_char;

/// The text that is continued, empty where a message is answered. `None` where more than a text is continued.
fn continued_text(request: &RenderRequest) -> Option<&str> {
    if !request.is_continued {
        return Some("");
    }
    let last = request.messages.last()?;
    let is_text = last.get("reasoning_content").is_none() && last.get("tool_calls").is_none();
    last["content"].as_str().filter(|_| is_text)
}

fn request_json(request: &RenderRequest) -> Value {
    let variables: serde_json::Map<String, Value> = request.variables.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "messages": request.messages,
        "tools": request.tools,
        "tool_choice": request.tool_choice,
        "parallel_tool_calls": request.parallel_tool_calls,
        "enable_thinking": request.enable_thinking,
        "variables": variables,
        "is_continued": request.is_continued,
    })
}

impl Drop for Templates<'_> {
    fn drop(&mut self) {
        // SAFETY: created by `lw_templates_new` and freed once.
        unsafe { shim::lw_templates_free(self.raw.as_ptr()) };
    }
}

impl AnswerParser {
    /// A parser for answers in `syntax`.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when llama.cpp does not understand its own description.
    pub fn new(syntax: &AnswerSyntax) -> Result<Self> {
        let description = json!({
            "format": syntax.format,
            "parser": syntax.parser,
            "generation_prompt": syntax.generation_prompt,
        });
        let description = CString::new(description.to_string()).map_err(failed)?;
        // SAFETY: `description` is zero-terminated and only read during the call.
        let raw = shim::call(|error| unsafe { shim::lw_parser_new(description.as_ptr(), error) }).map_err(failed)?;
        NonNull::new(raw).map(Self).ok_or_else(|| failed("no parser"))
    }

    /// Takes `text` apart; `is_partial` when more of it is to come. `None` when it is not in the format.
    #[must_use]
    pub fn parse(&self, text: &str, is_partial: bool) -> Option<ParsedAnswer> {
        let (start, length) = (text.as_ptr().cast(), text.len());
        // SAFETY: the parser is live until `drop`, and `text` has `length` bytes.
        let answer = shim::call(|error| unsafe { shim::lw_parser_parse(self.0.as_ptr(), start, length, is_partial, error) }).ok()?;
        let answer = json_of(answer).ok()?;
        Some(ParsedAnswer {
            content: text_of(&answer["content"]),
            reasoning: text_of(&answer["reasoning"]),
            tool_calls: list_of(&answer["tool_calls"])
                .map(|call| (text_of(&call["name"]), text_of(&call["arguments"]), text_of(&call["id"])))
                .collect(),
        })
    }
}

impl Drop for AnswerParser {
    fn drop(&mut self) {
        // SAFETY: created by `lw_parser_new` and freed once.
        unsafe { shim::lw_parser_free(self.0.as_ptr()) };
    }
}

/// A template that llama.cpp may be given. It takes an empty one for none, and ends the process when there is no other; what is nested too
/// deep uses up its stack.
fn source_text(source: &str) -> Result<CString> {
    if source.is_empty() {
        return Err(failed("it is empty"));
    }
    check_size(source)?;
    CString::new(source).map_err(failed)
}

fn check_size(source: &str) -> Result<()> {
    const LARGEST: usize = 256 << 10;
    const DEEPEST: i64 = 10_000;
    let nesting = source.bytes().scan(0_i64, |depth, byte| {
        *depth += i64::from(b"([{".contains(&byte)) - i64::from(b")]}".contains(&byte));
        Some(*depth)
    });
    if source.len() > LARGEST || nesting.max().unwrap_or(0) > DEEPEST {
        return Err(failed(format!(
            "it is larger than {LARGEST} bytes, or nested deeper than {DEEPEST} levels"
        )));
    }
    Ok(())
}

fn failed(reason: impl ToString) -> Error {
    let reason = reason.to_string();
    // llama.cpp loses the text when it passes a syntax error on.
    let is_lost = reason == "std::exception";
    Error::TemplateFailed {
        reason: if is_lost { "it is no valid Jinja template".into() } else { reason },
    }
}

fn json_of(text: *mut std::ffi::c_char) -> Result<Value> {
    let text = shim::take_text(text).ok_or_else(|| failed("out of memory"))?;
    serde_json::from_str(&text).map_err(failed)
}

fn rendered(answer: &Value) -> Result<RenderedChat> {
    let prompt = answer["prompt"].as_str().ok_or_else(|| failed("no prompt"))?.to_owned();
    let generation_prompt = text_of(&answer["generation_prompt"]);
    Ok(RenderedChat {
        prompt,
        stops: list_of(&answer["additional_stops"]).map(text_of).collect(),
        preserved: list_of(&answer["preserved_tokens"]).map(text_of).collect(),
        thinking: thinking(answer),
        tool_grammar: tool_grammar(answer, &generation_prompt),
        syntax: AnswerSyntax {
            format: answer["format"].as_i64().unwrap_or(0),
            parser: text_of(&answer["parser"]),
            generation_prompt: generation_prompt.clone(),
            is_plain: answer["is_plain"].as_bool().unwrap_or(true),
        },
        generation_prompt,
    })
}

fn thinking(answer: &Value) -> Option<ThinkingTags> {
    let start = text_of(&answer["thinking_start"]);
    let ends: Vec<String> = list_of(&answer["thinking_ends"])
        .map(text_of)
        .filter(|end| !end.is_empty())
        .collect();
    (!start.is_empty() && !ends.is_empty()).then_some(ThinkingTags { start, ends })
}

fn tool_grammar(answer: &Value, generation_prompt: &str) -> Option<ToolGrammar> {
    let grammar = text_of(&answer["grammar"]);
    let triggers = list_of(&answer["grammar_triggers"]).filter_map(|trigger| {
        let value = text_of(&trigger["value"]);
        match trigger["type"].as_str()? {
            "word" => Some(GrammarTrigger::Word(value)),
            "pattern" => Some(GrammarTrigger::Pattern(value)),
            "pattern_full" => Some(GrammarTrigger::PatternFull(value)),
            _ => Some(GrammarTrigger::Token(Token::new(i32::try_from(trigger["token"].as_i64()?).ok()?))),
        }
    });
    (!grammar.is_empty()).then(|| ToolGrammar {
        grammar,
        is_lazy: answer["grammar_lazy"].as_bool().unwrap_or(false),
        triggers: triggers.collect(),
        prefill: generation_prompt.to_owned(),
    })
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list_of(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
