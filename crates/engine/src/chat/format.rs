//! Messages → tokens, by the model's own template, and what an answer in its format looks like.

use std::cell::OnceCell;

use serde_json::{Value, json};

use super::fallback;
use super::guard::{self, Guard};
use super::message::{Message, Role, Tool, ToolCall, ToolChoice};
use crate::error::{Error, Result};
use crate::llama::{
    AnswerParser, AnswerSyntax, GrammarTrigger, Model, RenderRequest, RenderedChat, Templates, ThinkingTags, Token, ToolGrammar,
};

/// How one model writes conversations.
#[derive(Debug)]
pub struct ChatFormat<'model> {
    model: &'model Model,
    templates: Templates<'model>,
    /// In place of a template that knows no tools; made when it is first needed.
    fallback: OnceCell<Templates<'static>>,
    guard: Guard,
    longest_piece: usize,
}

/// What a template is told besides the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatOptions {
    /// Tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether it may or must.
    pub tool_choice: ToolChoice,
    /// Whether it may call several at once.
    pub parallel_tool_calls: bool,
    /// Whether it is to think before it answers, where the template asks.
    pub enable_thinking: bool,
    /// Further variables of the template: their names and their values as JSON texts.
    pub variables: Vec<(String, String)>,
}

impl Default for ChatOptions {
    fn default() -> Self {
        Self {
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
            enable_thinking: true,
            variables: Vec::new(),
        }
    }
}

/// A conversation ready to be evaluated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// What the template wrote.
    pub text: String,
    /// All its tokens, with the one that the vocabulary wants in front.
    pub tokens: Vec<Token>,
    /// What the answer will look like.
    pub answer: AnswerFormat,
}

/// What an answer looks like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerFormat {
    /// Texts at which the template's format ends an answer.
    pub stops: Vec<String>,
    /// Special tokens whose texts belong to the answer's syntax.
    pub preserved: Vec<Token>,
    /// The texts of the syntax that are special tokens, or would be in the family's own vocabulary.
    pub markers: Vec<String>,
    /// Between which texts the model thinks.
    pub thinking: Option<ThinkingTags>,
    /// What the prompt has of the answer already, by the template's own hand.
    pub opening: String,
    /// What tool calls look like.
    pub tool_grammar: Option<ToolGrammar>,
    /// The text that a call begins with, where one must come: llama.cpp's grammars let any words come before it, and a small model may never
    /// stop talking.
    pub call_opening: Option<String>,
    /// How to take it apart.
    pub syntax: AnswerSyntax,
}

impl<'model> ChatFormat<'model> {
    /// The format of `model`: that of its own template, or of `template` in place of it.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when the template is broken.
    pub fn new(model: &'model Model, template: Option<&str>) -> Result<Self> {
        let templates = Templates::new(model, template)?;
        // What the model's own template writes means something to the model, whichever is used.
        let sources = [model.template_source().as_deref().unwrap_or_default(), template.unwrap_or_default()].concat();
        Ok(Self {
            model,
            templates,
            fallback: OnceCell::new(),
            guard: Guard::new(&model.special_texts(&sources))?,
            longest_piece: model.longest_piece(),
        })
    }

    /// Looks at a template without a model.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when it is broken.
    pub fn check_template(template: &str) -> Result<()> {
        Templates::check_source(template)
    }

    /// The tokens of `messages`, ready for the model to answer. A last message of the assistant is continued instead; an empty one is what
    /// interfaces put where the answer will be, and counts as none.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when the template refuses the messages, [`Error::PromptTooLong`] when they do not fit into `context_size` tokens with one for the answer.
    pub fn prompt(&self, messages: &[Message], options: &ChatOptions, context_size: usize) -> Result<Prompt> {
        let (rendered, call_opening) = self.render(messages, options)?;
        // What cannot fit is not worth the time it takes to tokenize.
        check_length(rendered.prompt.len() / self.longest_piece, context_size)?;
        let tokens = self.tokenize(&rendered.prompt)?;
        check_length(tokens.len(), context_size)?;
        if tokens.is_empty() {
            return Err(Error::TemplateFailed {
                reason: "the rendered conversation is empty".into(),
            });
        }
        Ok(Prompt {
            text: guard::without_marks(&rendered.prompt),
            tokens,
            answer: AnswerFormat {
                call_opening,
                ..self.answer_format(rendered, continued(messages))
            },
        })
    }

    /// Renders, and says how a tool call begins where one must come.
    fn render(&self, messages: &[Message], options: &ChatOptions) -> Result<(RenderedChat, Option<String>)> {
        if !matches!(options.tool_choice, ToolChoice::Required | ToolChoice::Named(_)) {
            let choice = if options.tool_choice == ToolChoice::None { "none" } else { "auto" };
            return Ok((self.render_any(messages, options, choice)?, None));
        }
        let free = self.render_any(messages, options, "auto")?;
        match call_opening(&free) {
            Some(opening) => Ok((free, Some(opening))),
            None => Ok((self.render_any(messages, options, "required")?, None)),
        }
    }

    /// Renders by the template, or around it where it knows no tools.
    fn render_any(&self, messages: &[Message], options: &ChatOptions, tool_choice: &'static str) -> Result<RenderedChat> {
        let abilities = self.templates.abilities();
        let is_about_tools = |message: &Message| message.role == Role::Tool || !message.tool_calls.is_empty();
        let has_tools = !options.tools.is_empty() && !abilities.tools;
        if !has_tools && (abilities.tool_calls || !messages.iter().any(is_about_tools)) {
            return self.render_with(messages, options, tool_choice);
        }
        let tools: Vec<Tool> = if has_tools && tool_choice != "none" {
            called_tools(options).cloned().collect()
        } else {
            Vec::new()
        };
        let without_tools = ChatOptions {
            tools: Vec::new(),
            ..options.clone()
        };
        let rewritten = fallback::rewritten(messages, &tools);
        let rendered = self.render_with(&rewritten, &without_tools, "none")?;
        if tools.is_empty() {
            return Ok(rendered);
        }
        let answer = self.fallback_answer(options, tool_choice, &rendered.generation_prompt)?;
        Ok(RenderedChat {
            prompt: rendered.prompt,
            generation_prompt: rendered.generation_prompt,
            stops: rendered.stops,
            preserved: rendered.preserved,
            ..answer
        })
    }

    /// What an answer with tools looks like where the template knows none.
    fn fallback_answer(&self, options: &ChatOptions, tool_choice: &'static str, opening: &str) -> Result<RenderedChat> {
        let question = [Message::new(Role::User, "?")];
        let options = ChatOptions {
            variables: vec![(
                fallback::OPENS_THOUGHT.to_owned(),
                opening.trim_end().ends_with("<think>").to_string(),
            )],
            ..options.clone()
        };
        let request = request(&question, &options, tool_choice, &|text| text.to_owned())?;
        if self.fallback.get().is_none() {
            // It cannot be there already.
            let _ = self.fallback.set(Templates::without_model(fallback::TEMPLATE)?);
        }
        self.fallback.get().map_or_else(
            || {
                Err(Error::Internal {
                    reason: "a template that was just made is gone".into(),
                })
            },
            |templates| templates.render(&request),
        )
    }

    /// The prompt with marks, and all else as it is without them: grammar and parser are about what the model writes, and it writes none.
    fn render_with(&self, messages: &[Message], options: &ChatOptions, tool_choice: &'static str) -> Result<RenderedChat> {
        let messages = without_placeholder(messages);
        let plain = request(messages, options, tool_choice, &|text| text.to_owned())?;
        let marked = request(messages, options, tool_choice, &|text| self.guard.mark(text))?;
        let rendered = self.templates.render(&marked)?;
        if plain == marked || self.is_beside_the_marks(&rendered, &plain, &marked) {
            return Ok(rendered);
        }
        Ok(RenderedChat {
            prompt: rendered.prompt,
            ..self.templates.render(&plain)?
        })
    }

    /// Whether no mark has come to anything but the prompt: what a template that was tried out makes of messages is seen by its two texts.
    fn is_beside_the_marks(&self, rendered: &RenderedChat, plain: &RenderRequest, marked: &RenderRequest) -> bool {
        let differs_in_messages_only = plain.tools == marked.tools && plain.variables == marked.variables;
        self.templates.is_tried_out() && differs_in_messages_only && !guard::has_mark(&rendered.generation_prompt)
    }

    fn answer_format(&self, rendered: RenderedChat, continued: &str) -> AnswerFormat {
        let preserved = rendered.preserved.iter();
        let format = AnswerFormat {
            stops: rendered.stops,
            preserved: preserved.filter_map(|text| self.model.special_token(text)).collect(),
            markers: rendered.preserved,
            thinking: rendered.thinking,
            opening: opening_of(&rendered.generation_prompt, continued).to_owned(),
            tool_grammar: rendered.tool_grammar,
            call_opening: None,
            syntax: rendered.syntax,
        };
        if continued.is_empty() { format } else { without_unreadable(format) }
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<Token>> {
        let mut tokens: Vec<Token> = self.model.leading_token().into_iter().collect();
        for (index, piece) in guard::pieces(prompt).into_iter().enumerate() {
            let found = if index == 0 {
                self.model.tokenize(piece.text, piece.parse_special)
            } else {
                self.model.tokenize_further(piece.text, piece.parse_special)
            };
            tokens.extend(found?);
        }
        Ok(tokens)
    }
}

fn without_placeholder(messages: &[Message]) -> &[Message] {
    match messages.split_last() {
        Some((last, rest)) if last.role == Role::Assistant && last.content.is_empty() && last.tool_calls.is_empty() => rest,
        _ => messages,
    }
}

/// What of `generation_prompt` is not the text that is continued, which templates may trim.
fn opening_of<'text>(generation_prompt: &'text str, continued: &str) -> &'text str {
    let forms = [continued, continued.trim_end(), continued.trim()];
    let found = forms.iter().find_map(|continued| generation_prompt.strip_suffix(continued));
    found.unwrap_or(generation_prompt)
}

/// Some formats want a text between tags that llama.cpp does not write before one that is continued, and then read nothing at all: such an
/// answer is text.
fn without_unreadable(format: AnswerFormat) -> AnswerFormat {
    let is_readable = || AnswerParser::new(&format.syntax).is_ok_and(|parser| parser.parse("", false).is_some());
    if format.syntax.is_plain() || is_readable() {
        return format;
    }
    AnswerFormat {
        preserved: Vec::new(),
        markers: Vec::new(),
        thinking: None,
        syntax: AnswerSyntax::plain(),
        ..format
    }
}

/// The text that is continued; empty where a message is answered.
fn continued(messages: &[Message]) -> &str {
    let last = messages.last().filter(|message| message.role == Role::Assistant);
    last.map_or("", |message| &message.content)
}

/// The tools that may be called.
fn called_tools(options: &ChatOptions) -> impl Iterator<Item = &Tool> {
    options.tools.iter().filter(|tool| match &options.tool_choice {
        ToolChoice::Named(name) => tool.name == *name,
        _ => true,
    })
}

/// What llama.cpp is asked to render. `mark` goes over every text that does not come from the template.
fn request(messages: &[Message], options: &ChatOptions, tool_choice: &'static str, mark: &dyn Fn(&str) -> String) -> Result<RenderRequest> {
    let tools = called_tools(options).map(|tool| tool_json(tool, mark));
    let variables = options
        .variables
        .iter()
        .map(|(name, value)| Ok((name.clone(), variable_json(name, value, mark)?)));
    Ok(RenderRequest {
        messages: messages.iter().map(|message| message_json(message, mark)).collect(),
        tools: tools.collect::<Result<_>>()?,
        tool_choice,
        parallel_tool_calls: options.parallel_tool_calls,
        enable_thinking: options.enable_thinking,
        variables: variables.collect::<Result<_>>()?,
        is_continued: messages.last().is_some_and(|message| message.role == Role::Assistant),
    })
}

/// A message in the form of `OpenAI`'s chat completions.
fn message_json(message: &Message, mark: &dyn Fn(&str) -> String) -> Value {
    let mut json = json!({ "role": message.role.name(), "content": mark(&message.content) });
    if !message.reasoning.is_empty() {
        json["reasoning_content"] = mark(&message.reasoning).into();
    }
    if !message.tool_calls.is_empty() {
        json["tool_calls"] = message.tool_calls.iter().map(|call| call_json(call, mark)).collect();
    }
    if message.role == Role::Tool {
        json["tool_call_id"] = mark(&message.tool_call_id).into();
        json["name"] = mark(&message.tool_name).into();
    }
    json
}

fn call_json(call: &ToolCall, mark: &dyn Fn(&str) -> String) -> Value {
    let arguments = match serde_json::from_str::<Value>(&call.arguments) {
        Ok(arguments) => arguments,
        Err(_) if call.arguments.trim().is_empty() => json!({}),
        // What is no JSON, or too deep to be looked at, is passed on as the text that it is.
        Err(_) => Value::String(call.arguments.clone()),
    };
    let arguments = marked_json(arguments, mark).to_string();
    json!({ "type": "function", "id": mark(&call.id), "function": { "name": mark(&call.name), "arguments": arguments } })
}

fn tool_json(tool: &Tool, mark: &dyn Fn(&str) -> String) -> Result<Value> {
    let parameters = json_of(&format!("tools.{}.parameters", tool.name), &tool.parameters)?;
    let parameters = marked_json(parameters, mark);
    let function = json!({ "name": tool.name, "description": mark(&tool.description), "parameters": parameters });
    Ok(json!({ "type": "function", "function": function }))
}

fn variable_json(name: &str, value: &str, mark: &dyn Fn(&str) -> String) -> Result<String> {
    Ok(marked_json(json_of(&format!("chatTemplateKwargs.{name}"), value)?, mark).to_string())
}

fn json_of(name: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| Error::InvalidOption {
        name: name.into(),
        value: format!("no JSON text ({error})"),
        expected: "a JSON value of at most 127 levels".into(),
    })
}

/// `value` with `mark` applied to every text in it, keys too.
fn marked_json(value: Value, mark: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => mark(&text).into(),
        Value::Array(list) => list.into_iter().map(|element| marked_json(element, mark)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (mark(&name), marked_json(value, mark)))
            .collect(),
        other => other,
    }
}

/// The text that every tool call begins with, if the format has just one.
fn call_opening(rendered: &RenderedChat) -> Option<String> {
    let grammar = rendered.tool_grammar.as_ref().filter(|grammar| grammar.is_lazy)?;
    match grammar.triggers.as_slice() {
        [GrammarTrigger::Word(word)] => Some(word.clone()),
        _ => None,
    }
}

fn check_length(prompt_tokens: usize, context_size: usize) -> Result<()> {
    if prompt_tokens >= context_size {
        return Err(Error::PromptTooLong {
            prompt_tokens,
            context_size,
        });
    }
    Ok(())
}
