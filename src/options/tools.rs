//! Tools that the model may call, in the forms of this package, of node-llama-cpp and of `OpenAI`.

use llama_worker_engine::chat::{Tool, ToolChoice};
use serde_json::{Value, json};

use super::fields::{Any, Fields, elements, invalid, invalid_text, is_list, plain_entries};
use super::json;
use crate::error::Result;

const EXPECTED_TOOLS: &str = "an object of tools by name, or an array of { type: \"function\", function }";
const EXPECTED_CHOICE: &str = "\"auto\", \"none\", \"required\" or { name }";

/// The tools of `tools` or `functions`, with the name of the option that has them.
pub(crate) fn tools(fields: &Fields<'_>) -> Result<Option<(&'static str, Vec<Tool>)>> {
    let (tools, functions) = (fields.get("tools")?, fields.get("functions")?);
    let (name, found) = match (tools, functions) {
        (None, None) => return Ok(None),
        (Some(_), Some(functions)) => return Err(invalid("functions", &functions, "only one of `tools` and `functions`")),
        (Some(tools), None) => ("tools", read_tools(&tools)?),
        (None, Some(Any::F(functions))) if !is_list(&Any::F(functions))? => ("functions", by_name("functions", functions, "params")?),
        (None, Some(other)) => return Err(invalid("functions", &other, "an object of functions by name")),
    };
    check_names(name, &found)?;
    Ok(Some((name, found)).filter(|(_, tools)| !tools.is_empty()))
}

fn read_tools(value: &Any<'_>) -> Result<Vec<Tool>> {
    if let Some(list) = elements(value)? {
        return list.enumerate().map(|(index, tool)| listed(index, tool?)).collect();
    }
    match value {
        Any::F(object) => by_name("tools", *object, "parameters"),
        other => Err(invalid("tools", other, EXPECTED_TOOLS)),
    }
}

/// `{ name: { description, … } }`
fn by_name(option: &str, object: napi::bindgen_prelude::Object<'_>, parameters: &str) -> Result<Vec<Tool>> {
    let read = |(name, value): (String, Any<'_>)| {
        let fields = Fields::inside(&format!("{option}.{name}"), value)?;
        tool(name, &fields, parameters)
    };
    let Some(entries) = plain_entries(object)? else {
        return Err(invalid_text(
            option,
            "an object of a class of its own".into(),
            "a plain object by name",
        ));
    };
    entries.map(|entry| entry.and_then(read)).collect()
}

/// `{ type: "function", function: { name, description, parameters } }`
fn listed(index: usize, value: Any<'_>) -> Result<Tool> {
    let fields = Fields::inside(&format!("tools[{index}]"), value)?;
    match fields.get("type")? {
        Some(Any::C(kind)) if kind == "function" => {}
        other => return Err(fields.refused("type", &other.unwrap_or(Any::E(())), "\"function\"")),
    }
    let function = Fields::inside(&fields.path("function"), fields.read("function")?)?;
    let name = function.string("name")?;
    let name = name.ok_or_else(|| function.refused("name", &Any::E(()), "a string"))?;
    tool(name, &function, "parameters")
}

fn tool(name: String, fields: &Fields<'_>, parameters: &str) -> Result<Tool> {
    Ok(Tool {
        description: fields.string("description")?.unwrap_or_default(),
        parameters: schema_of(fields, parameters)?.to_string(),
        name,
    })
}

/// The schema of a tool's parameters.
fn schema_of(fields: &Fields<'_>, name: &str) -> Result<Value> {
    const EXPECTED: &str = "a JSON schema of an object";
    let Some(value) = fields.get(name)? else {
        return Ok(json!({ "type": "object", "properties": {} }));
    };
    let schema = json::option(&fields.path(name), &value)?;
    let kind = schema.get("type");
    if !schema.is_object() || kind.is_some_and(|kind| kind != "object") {
        return Err(fields.refused(name, &value, EXPECTED));
    }
    Ok(schema)
}

/// Names go into prompts, grammars and back: those that every template and every API can write.
fn check_names(option: &str, tools: &[Tool]) -> Result<()> {
    const LONGEST: usize = 64;
    /// Working out how a template writes this many calls takes llama.cpp seconds.
    const MOST: usize = 1000;
    if tools.len() > MOST {
        return Err(invalid_text(option, format!("{} tools", tools.len()), "at most 1000 tools"));
    }
    for (index, Tool { name, .. }) in tools.iter().enumerate() {
        let is_plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter));
        if name.is_empty() || name.len() > LONGEST || !is_plain {
            let expected = "names of 1 to 64 letters, digits, `_`, `.` and `-`";
            return Err(invalid(option, &Any::C(name.clone()), expected));
        }
        if tools[..index].iter().any(|before| before.name == *name) {
            return Err(invalid(option, &Any::C(name.clone()), "each name once"));
        }
    }
    Ok(())
}

/// Whether one of `tools` may or must be called.
pub(crate) fn choice(fields: &Fields<'_>, tools: &[Tool]) -> Result<ToolChoice> {
    let Some(value) = fields.get("toolChoice")? else {
        return Ok(ToolChoice::Auto);
    };
    let choice = match &value {
        Any::C(word) if word == "auto" => ToolChoice::Auto,
        Any::C(word) if word == "none" => ToolChoice::None,
        Any::C(word) if word == "required" => ToolChoice::Required,
        Any::F(_) => ToolChoice::Named(chosen_name(&value)?),
        other => return Err(fields.refused("toolChoice", other, EXPECTED_CHOICE)),
    };
    let is_there = match &choice {
        ToolChoice::Auto | ToolChoice::None => true,
        ToolChoice::Required => !tools.is_empty(),
        ToolChoice::Named(name) => tools.iter().any(|tool| tool.name == *name),
    };
    match choice {
        choice if is_there => Ok(choice),
        ToolChoice::Named(name) => Err(fields.refused("toolChoice", &Any::C(name), "the name of one of the `tools`")),
        _ => Err(fields.refused("toolChoice", &value, "`tools` beside it")),
    }
}

/// `{ name }`, or `OpenAI`'s `{ type: "function", function: { name } }`.
fn chosen_name(value: &Any<'_>) -> Result<String> {
    let fields = match value {
        Any::F(object) => Fields::inside("toolChoice", Any::F(*object))?,
        other => return Err(invalid("toolChoice", other, EXPECTED_CHOICE)),
    };
    if let Some(function) = fields.get("function")? {
        let function = Fields::inside("toolChoice.function", function)?;
        return name_in(&function);
    }
    name_in(&fields)
}

fn name_in(fields: &Fields<'_>) -> Result<String> {
    fields
        .string("name")?
        .ok_or_else(|| fields.refused("name", &Any::E(()), "a string"))
}
