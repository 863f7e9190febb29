//! Messages → tokens, by the model's own template.

use super::guard::{self, Guard};
use super::message::{Message, Role};
use crate::error::{Error, Result};
use crate::llama::{Model, Templates, Token};

/// How one model writes conversations.
#[derive(Debug)]
pub struct ChatFormat<'model> {
    model: &'model Model,
    templates: Templates<'model>,
    guard: Guard,
    longest_piece: usize,
}

/// A conversation ready to be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// All its tokens.
    pub tokens: Vec<Token>,
    /// Texts at which the template's format ends an answer.
    pub stops: Vec<String>,
}

impl<'model> ChatFormat<'model> {
    /// The format of `model`.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when the model's template is broken.
    pub fn new(model: &'model Model) -> Result<Self> {
        let guard = Guard::new(&model.control_texts())?;
        Ok(Self {
            model,
            templates: Templates::new(model)?,
            guard,
            longest_piece: model.longest_piece(),
        })
    }

    /// The tokens of `messages`, ready for the model to answer. A last message of the assistant is continued instead; an empty one is what
    /// interfaces put where the answer will be, and counts as none.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when the template refuses the messages, [`Error::PromptTooLong`] when they do not fit into `context_size`
    /// tokens with one for the answer.
    pub fn prompt(&self, messages: &[Message], context_size: usize) -> Result<Prompt> {
        let messages = without_placeholder(messages);
        let contents: Vec<String> = messages.iter().map(|message| self.guard.mark(&message.content)).collect();
        let roles = messages.iter().map(|message| message.role.name());
        let pairs: Vec<(&str, &str)> = roles.zip(contents.iter().map(String::as_str)).collect();
        let is_continued = messages.last().is_some_and(|message| message.role == Role::Assistant);
        let rendered = self.templates.render(&pairs, is_continued)?;
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
            tokens,
            stops: rendered.stops,
        })
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
        Some((last, rest)) if last.role == Role::Assistant && last.content.is_empty() => rest,
        _ => messages,
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
