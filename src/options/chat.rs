//! What a chat template is told besides the messages: tools, thinking, variables.

use llama_worker_engine::chat::ChatOptions;
use serde_json::Value;

use super::fields::Fields;
use super::{json, tools};
use crate::error::Result;

pub(crate) fn chat(fields: &Fields<'_>) -> Result<ChatOptions> {
    let tools = tools::tools(fields)?.map_or_else(Vec::new, |(_, tools)| tools);
    Ok(ChatOptions {
        tool_choice: tools::choice(fields, &tools)?,
        tools,
        parallel_tool_calls: max_tool_calls(fields)? != Some(1),
        enable_thinking: fields.boolean("reasoning")?.unwrap_or(true),
        variables: variables(fields)?,
    })
}

/// The most tools called in one answer.
pub(crate) fn max_tool_calls(fields: &Fields<'_>) -> Result<Option<usize>> {
    let limit = fields.natural("maxParallelFunctionCalls", 1, "a whole number from 1")?;
    Ok(limit.and_then(|limit| usize::try_from(limit).ok()))
}

fn variables(fields: &Fields<'_>) -> Result<Vec<(String, String)>> {
    const NAME: &str = "chatTemplateKwargs";
    let Some(value) = fields.get(NAME)? else {
        return Ok(Vec::new());
    };
    match json::option(NAME, &value)? {
        Value::Object(variables) => Ok(variables.into_iter().map(|(name, value)| (name, value.to_string())).collect()),
        _ => Err(fields.refused(NAME, &value, "an object of JSON values")),
    }
}
