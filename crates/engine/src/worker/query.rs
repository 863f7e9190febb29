//! Questions about the loaded model that need no context.

use super::command::{ApplyTemplate, Query, RenderedPrompt};
use crate::chat::ChatFormat;
use crate::error::{Error, Result};
use crate::llama::Model;

/// Answers `query`. `format`: how the model writes conversations; `None` when its template is broken.
pub(super) fn answer(model: &Model, format: Option<&ChatFormat<'_>>, query: Query) {
    match query {
        Query::Tokenize {
            text,
            parse_special,
            reply,
        } => {
            let tokens = model.tokenize_text(&text, parse_special);
            reply.end(tokens.map(|tokens| tokens.into_iter().map(|token| token.0).collect()));
        }
        Query::Detokenize {
            tokens,
            with_special,
            reply,
        } => {
            let bytes = model.detokenize(&tokens, with_special);
            reply.end(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
        }
        Query::ApplyTemplate(query) => {
            let rendered = render(model, format, &query);
            query.reply.end(rendered);
        }
    }
}

fn render(model: &Model, format: Option<&ChatFormat<'_>>, query: &ApplyTemplate) -> Result<RenderedPrompt> {
    let other = match &query.template {
        Some(template) => Some(ChatFormat::new(model, Some(template))?),
        None => None,
    };
    let format = other.as_ref().or(format).ok_or_else(|| Error::TemplateFailed {
        reason: "the model's template is broken".into(),
    })?;
    let prompt = format.prompt(&query.messages, &query.options, usize::MAX)?;
    Ok(RenderedPrompt {
        prompt: prompt.text,
        tokens: prompt.tokens.into_iter().map(|token| token.0).collect(),
    })
}
