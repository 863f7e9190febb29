//! Messages → tokens, by the model's own template.

use super::guard::{self, Guard};
use super::message::{Message, Role};
use crate::error::Result;
use crate::llama::{Model, Templates, Token};

/// How one model writes conversations.
#[derive(Debug)]
pub struct ChatFormat<'model> {
    model: &'model Model,
    templates: Templates<'model>,
    guard: Guard,
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
    /// [`crate::error::Error::TemplateFailed`] when the model's template is broken.
    pub fn new(model: &'model Model) -> Result<Self> {
        let guard = Guard::new(&model.control_texts())?;
        Ok(Self {
            model,
            templates: Templates::new(model)?,
            guard,
        })
    }

    /// The tokens of `messages`, ready for the model to answer. A last message of the assistant is continued instead.
    ///
    /// # Errors
    /// [`crate::error::Error::TemplateFailed`] when the template refuses the messages.
    pub fn prompt(&self, messages: &[Message]) -> Result<Prompt> {
        let contents: Vec<String> = messages.iter().map(|message| self.guard.mark(&message.content)).collect();
        let pairs: Vec<(&str, &str)> = messages
            .iter()
            .map(|message| message.role.name())
            .zip(contents.iter().map(String::as_str))
            .collect();
        let is_continued = messages.last().is_some_and(|message| message.role == Role::Assistant);
        let rendered = self.templates.render(&pairs, is_continued)?;
        Ok(Prompt {
            tokens: self.tokenize(&rendered.prompt)?,
            stops: rendered.stops,
        })
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<Token>> {
        let mut tokens: Vec<Token> = self.model.leading_token().into_iter().collect();
        for piece in guard::pieces(prompt) {
            tokens.extend(self.model.tokenize(piece.text, piece.parse_special)?);
        }
        Ok(tokens)
    }
}
