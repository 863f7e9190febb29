//! How to generate: everything but sampling, tools and the template's variables, which have files of their own.

use llama_worker_engine::chat::ToolChoice;
use llama_worker_engine::sampling::Constraint;
use llama_worker_engine::worker::{GenerationOptions, HIGHEST_PRIORITY, Overflow, Speculation};
use serde_json::Value;

use super::fields::{Any, Fields, elements};
use super::{chat, json, sampling};
use crate::error::{Refusal, Result};

pub(crate) fn generation(fields: &Fields<'_>) -> Result<GenerationOptions> {
    let mut chat = chat::chat(fields)?;
    let constraint = constraint(fields, !chat.tools.is_empty() && chat.tool_choice != ToolChoice::None)?;
    let thought_tokens = thought_tokens(fields)?;
    // No thought at all is what templates can be told; what they then still let through is cut off.
    chat.enable_thinking &= thought_tokens != Some(0);
    Ok(GenerationOptions {
        max_tokens: max_tokens(fields)?,
        sampling: sampling::sampling(fields)?,
        constraint,
        stop_strings: stop_strings(fields)?,
        system_prompt: fields.string("systemPrompt")?,
        response_prefix: fields.string("responsePrefix")?,
        chat,
        max_tool_calls: chat::max_tool_calls(fields)?,
        thought_tokens,
        trims_end: fields.boolean("trimWhitespaceSuffix")?.unwrap_or(false),
        logprobs: logprobs(fields)?,
        streams_tokens: fields.boolean("streamTokens")?.unwrap_or(false),
        keeps_aborted: fields.boolean("stopOnAbortSignal")?.unwrap_or(false),
        overflow: overflow(fields)?,
        priority: priority(fields)?,
        speculation: speculation(fields)?,
        is_preload: false,
    })
}

/// The most rounds of tool calls before the model must have answered in words.
pub(crate) fn max_tool_rounds(fields: &Fields<'_>) -> Result<u32> {
    const DEFAULT: u32 = 10;
    Ok(fields.natural("maxToolRounds", 1, "a whole number from 1")?.unwrap_or(DEFAULT))
}

/// Zero, negative numbers and Infinity mean no limit, as in node-llama-cpp.
fn max_tokens(fields: &Fields<'_>) -> Result<Option<u32>> {
    if is_infinite(fields, "maxTokens")? {
        return Ok(None);
    }
    let limit = fields.integer("maxTokens", i64::MIN..=i64::MAX, "a whole number of tokens, 0 for no limit")?;
    Ok(limit
        .filter(|limit| *limit > 0)
        .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)))
}

fn is_infinite(fields: &Fields<'_>, name: &str) -> Result<bool> {
    Ok(matches!(fields.get(name)?, Some(Any::B(number)) if number == f64::INFINITY))
}

fn thought_tokens(fields: &Fields<'_>) -> Result<Option<u32>> {
    const NAME: &str = "thoughtTokens";
    let Some(value) = fields.get("budgets")? else {
        return Ok(None);
    };
    let budgets = Fields::inside("budgets", value)?;
    if is_infinite(&budgets, NAME)? {
        return Ok(None);
    }
    budgets.natural(NAME, 0, "a whole number of tokens from 0, or Infinity")
}

/// What the answer must look like: one of a grammar, a schema, and tools.
fn constraint(fields: &Fields<'_>, has_tools: bool) -> Result<Option<Constraint>> {
    let (grammar, schema) = (fields.get("grammar")?, fields.get("jsonSchema")?);
    let tools = if fields.get("functions")?.is_some() { "functions" } else { "tools" };
    let clash = match (&grammar, &schema) {
        (Some(_), Some(schema)) => Some(("jsonSchema", schema, "grammar")),
        (Some(grammar), None) if has_tools => Some(("grammar", grammar, tools)),
        (None, Some(schema)) if has_tools => Some(("jsonSchema", schema, tools)),
        _ => None,
    };
    if let Some((name, value, other)) = clash {
        return Err(fields.refused(name, value, &format!("only one of `{other}` and `{name}`")));
    }
    let name = if grammar.is_some() { "grammar" } else { "jsonSchema" };
    if let Some(prefix) = fields.string("responsePrefix")?.filter(|prefix| !prefix.is_empty())
        && (grammar.is_some() || schema.is_some())
    {
        let expected = format!("only one of `{name}` and `responsePrefix`");
        return Err(fields.refused("responsePrefix", &Any::C(prefix), &expected));
    }
    match (grammar, schema) {
        (Some(_), _) => Ok(fields.string("grammar")?.map(Constraint::Grammar)),
        (None, Some(schema)) => json_schema(fields, &schema).map(|text| Some(Constraint::JsonSchema(text))),
        (None, None) => Ok(None),
    }
}

/// A schema as an object or as a JSON text.
fn json_schema(fields: &Fields<'_>, value: &Any<'_>) -> Result<String> {
    let refused = || fields.refused("jsonSchema", value, "a JSON schema, as an object or as text");
    let schema = match value {
        Any::C(text) => serde_json::from_str(text).map_err(|_| refused())?,
        other => json::option("jsonSchema", other)?,
    };
    match schema {
        // `true` and `false` are schemas, too, of anything and of nothing; there is no use for either here.
        Value::Object(_) => Ok(schema.to_string()),
        _ => Err(refused()),
    }
}

/// A text, or an array of texts, each of which may be in an array of its own.
fn stop_strings(fields: &Fields<'_>) -> Result<Vec<String>> {
    match fields.first(["stopSequences", "customStopTriggers"])? {
        None => Ok(Vec::new()),
        Some((_, Any::C(text))) => Ok(vec![text]),
        Some((name, value)) => match elements(&value)? {
            Some(list) => list
                .enumerate()
                .map(|(index, stop)| stop_string(fields, name, index, &stop?))
                .collect(),
            None => Err(bad_stop(fields, name, &value)),
        },
    }
}

fn stop_string(fields: &Fields<'_>, name: &str, index: usize, value: &Any<'_>) -> Result<String> {
    let place = format!("{name}[{index}]");
    if let Any::C(text) = value {
        return Ok(text.clone());
    }
    let Some(mut list) = elements(value)? else {
        return Err(bad_stop(fields, &place, value));
    };
    match (list.next().transpose()?, list.next()) {
        (Some(Any::C(text)), None) => Ok(text),
        _ => Err(bad_stop(fields, &place, value)),
    }
}

fn bad_stop(fields: &Fields<'_>, name: &str, value: &Any<'_>) -> Refusal {
    fields.refused(name, value, "a string or an array of strings")
}

/// `true` asks for the tokens themselves, a number for so many of the likeliest besides.
fn logprobs(fields: &Fields<'_>) -> Result<Option<usize>> {
    if let Some(Any::A(is_on)) = fields.get("logprobs")? {
        return Ok(is_on.then_some(0));
    }
    let n_top = fields.integer("logprobs", 0..=20, "true, false or a whole number from 0 to 20")?;
    Ok(n_top.and_then(|n_top| usize::try_from(n_top).ok()))
}

fn overflow(fields: &Fields<'_>) -> Result<Overflow> {
    match fields.get("contextOverflow")? {
        None => Ok(Overflow::default()),
        Some(Any::C(word)) if word == "dropOldest" => Ok(Overflow::DropOldest),
        Some(Any::C(word)) if word == "error" => Ok(Overflow::Error),
        Some(other) => Err(fields.refused("contextOverflow", &other, "\"dropOldest\" or \"error\"")),
    }
}

fn speculation(fields: &Fields<'_>) -> Result<Speculation> {
    match fields.get("speculative")? {
        None | Some(Any::A(false)) => Ok(Speculation::Off),
        Some(Any::C(word)) if word == "lookup" => Ok(Speculation::Lookup),
        Some(other) => Err(fields.refused("speculative", &other, "\"lookup\" or false")),
    }
}

fn priority(fields: &Fields<'_>) -> Result<u8> {
    let priority = fields.integer("evaluationPriority", 1..=i64::from(HIGHEST_PRIORITY), "a whole number from 1 to 5")?;
    Ok(priority
        .and_then(|priority| u8::try_from(priority).ok())
        .unwrap_or(HIGHEST_PRIORITY))
}
