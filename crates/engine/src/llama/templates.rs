//! The chat templates of a model, rendered by llama.cpp's own Jinja engine.
//!
//! Returns text; how it becomes tokens is the room `chat`.

use std::ffi::CString;
use std::marker::PhantomData;
use std::ptr::NonNull;

use serde_json::{Value, json};

use super::model::Model;
use super::shim;
use crate::error::{Error, Result};

/// The parsed templates of a model.
#[derive(Debug)]
pub struct Templates<'model> {
    raw: NonNull<shim::RawTemplates>,
    model: PhantomData<&'model Model>,
}

/// A conversation as the model's template writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedChat {
    /// The text to evaluate, without the BOS token that the vocabulary adds by itself.
    pub prompt: String,
    /// Texts at which the template's format wants generation to end, besides end-of-generation tokens.
    pub stops: Vec<String>,
}

impl<'model> Templates<'model> {
    /// Parses the templates of `model`; a model without one gets the ChatML form.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when the template is no valid Jinja.
    pub fn new(model: &'model Model) -> Result<Self> {
        // SAFETY: the model lives during the call, and a null source means the model's own templates.
        let raw = shim::call(|error| unsafe { shim::lw_templates_new(model.raw(), std::ptr::null(), error) }).map_err(failed)?;
        let raw = NonNull::new(raw).ok_or_else(|| failed("no template"))?;
        Ok(Self { raw, model: PhantomData })
    }

    /// Renders `messages` (pairs of role and content), ready for the model to answer; with `is_continued` ready for it to go on with the
    /// last message instead.
    ///
    /// # Errors
    /// [`Error::TemplateFailed`] when the template refuses the messages, for instance their order.
    pub fn render(&self, messages: &[(&str, &str)], is_continued: bool) -> Result<RenderedChat> {
        let messages: Vec<Value> = messages
            .iter()
            .map(|(role, content)| json!({ "role": role, "content": content }))
            .collect();
        let request = json!({ "messages": messages, "continue_final_message": is_continued }).to_string();
        // OK because JSON escapes zero bytes, but an error is better than a panic if it ever did not.
        let request = CString::new(request).map_err(failed)?;
        // SAFETY: the templates are live until `drop`, and `request` is zero-terminated.
        let answer = shim::call(|error| unsafe { shim::lw_templates_render(self.raw.as_ptr(), request.as_ptr(), error) });
        let answer = answer.map_err(failed)?;
        parse(&shim::take_text(answer).ok_or_else(|| failed("out of memory"))?)
    }
}

impl Drop for Templates<'_> {
    fn drop(&mut self) {
        // SAFETY: created by `lw_templates_new` and freed once.
        unsafe { shim::lw_templates_free(self.raw.as_ptr()) };
    }
}

fn failed(reason: impl ToString) -> Error {
    let reason = reason.to_string();
    // llama.cpp loses the text when it passes a syntax error on.
    let is_lost = reason == "std::exception";
    Error::TemplateFailed {
        reason: if is_lost { "it is no valid Jinja template".into() } else { reason },
    }
}

fn parse(answer: &str) -> Result<RenderedChat> {
    let answer: Value = serde_json::from_str(answer).map_err(failed)?;
    let prompt = answer["prompt"].as_str().ok_or_else(|| failed("no prompt"))?.to_owned();
    let stops = answer["additional_stops"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(RenderedChat {
        prompt,
        stops: stops.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
    })
}
