//! Holds an answer to a JSON schema. The matching is [llguidance](https://github.com/guidance-ai/llguidance)'s.
//!
//! Decides how white space may be written and how much work a schema may make. What cannot be held to is refused, never ignored.

use std::sync::Arc;

use llguidance::Matcher;
use llguidance::api::TopLevelGrammar;
use serde_json::{Map, Value, json};
use toktrie::SimpleVob;

use super::numbers::Numbers;
use super::tokens::Tokens;
use crate::error::{Error, Result};
use crate::llama::Token;

/// White space between two parts of the text: a space, or a line break with its indentation. Without a limit a small model may never
/// write anything else.
const WHITE_SPACE: &str = r"( |\r?\n[ \t]{0,32})";
/// The most bytes of a schema.
const MAX_SCHEMA: usize = 1 << 20;
/// What may stand behind a backslash. Without `u`, so that a name has one spelling only, and no half of a character is written.
const ESCAPES: &str = "nrbtf\\\"";
/// The name under which llguidance takes its settings out of a schema; a caller's schema has none to make.
const SETTINGS: &str = "x-guidance";

/// An answer's state in its schema.
pub(super) struct SchemaMatcher {
    tokens: Arc<Tokens>,
    matcher: Matcher,
    is_complete: bool,
    numbers: Numbers,
}

impl std::fmt::Debug for SchemaMatcher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SchemaMatcher")
            .field("is_complete", &self.is_complete)
            .finish_non_exhaustive()
    }
}

impl SchemaMatcher {
    /// For the schema in `text`.
    pub(super) fn new(text: &str, tokens: &Arc<Tokens>) -> Result<Self> {
        let schema = with_settings(read(text)?)?;
        let parser = tokens.schemas()?.create_parser(TopLevelGrammar::from_json_schema(schema));
        let parser = parser.map_err(|error| unsupported(&error.to_string()))?;
        let mut schema = Self {
            tokens: Arc::clone(tokens),
            matcher: Matcher::new(Ok(parser)),
            is_complete: false,
            numbers: Numbers::default(),
        };
        // What is too large shows itself at the first mask.
        schema.mask().map_err(|error| unsupported(&error.cause().unwrap_or_default()))?;
        schema.look_for_the_end();
        Ok(schema)
    }

    /// Whether the answer may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether `token`, which does not end the answer, may come next.
    pub(super) fn allows(&mut self, token: Token) -> Result<bool> {
        let Ok(id) = u32::try_from(token.0) else { return Ok(false) };
        let fits = self.matcher.validate_tokens(&[id]).map_err(failed)? == 1;
        Ok(fits && (self.is_short(id) || self.mask()?.is_allowed(id)))
    }

    /// Goes on by `token`; false, and nothing changes, when it is not allowed.
    pub(super) fn accept(&mut self, token: Token) -> Result<bool> {
        if !self.allows(token)? {
            return Ok(false);
        }
        self.matcher.consume_token(token.0.unsigned_abs()).map_err(failed)?;
        self.numbers = self.numbers.forced(self.tokens.vocabulary().piece(token));
        self.look_for_the_end();
        Ok(true)
    }

    /// All tokens that may come next.
    pub(super) fn mask(&mut self) -> Result<SimpleVob> {
        let fitting = self.matcher.compute_mask_or_eos().map_err(failed)?;
        if !self.numbers.is_in_number() {
            // No token is a number that is too long by itself.
            return Ok(fitting);
        }
        let mut short = fitting.clone();
        for id in fitting.iter().filter(|id| !self.is_short(*id)) {
            short.disallow_token(id);
        }
        // A schema may ask for long numbers and leave nothing else.
        Ok(if short.is_zero() { fitting } else { short })
    }

    /// Whether a token makes no number too long.
    fn is_short(&self, id: u32) -> bool {
        let piece = self.tokens.trie().token(id);
        self.numbers.after(piece).is_some()
    }

    fn look_for_the_end(&mut self) {
        let is_accepting = self.matcher.is_accepting().unwrap_or(false);
        self.is_complete = is_accepting || self.matcher.is_stopped() && !self.matcher.is_error();
    }
}

fn read(text: &str) -> Result<Value> {
    if text.len() > MAX_SCHEMA {
        return Err(unsupported(&format!("it has more than {MAX_SCHEMA} bytes")));
    }
    serde_json::from_str(text).map_err(|error| unsupported(&format!("it is not JSON: {error}")))
}

fn with_settings(schema: Value) -> Result<Value> {
    let mut schema = match schema {
        Value::Object(schema) => schema,
        Value::Bool(true) => Map::new(),
        Value::Bool(false) => return Err(unsupported("nothing satisfies `false`")),
        other => return Err(unsupported(&format!("it is `{other}`, expected an object"))),
    };
    if schema.contains_key(SETTINGS) {
        return Err(unsupported(&format!("unknown keyword `{SETTINGS}`")));
    }
    check_counts(&Value::Object(schema.clone()))?;
    let settings = json!({ "whitespace_flexible": true, "whitespace_pattern": WHITE_SPACE, "json_allowed_escapes": ESCAPES });
    schema.insert(SETTINGS.into(), settings);
    Ok(Value::Object(schema))
}

/// Refuses `minProperties` where names are free: the same name written twice would count twice.
fn check_counts(schema: &Value) -> Result<()> {
    let Value::Object(keywords) = schema else { return Ok(()) };
    let is_closed = keywords.get("additionalProperties") == Some(&Value::Bool(false)) && !keywords.contains_key("patternProperties");
    if keywords.contains_key("minProperties") && !is_closed {
        return Err(unsupported(
            "`minProperties` needs `additionalProperties: false` and no `patternProperties`",
        ));
    }
    keywords
        .iter()
        .flat_map(|(keyword, value)| schemas_in(keyword, value))
        .try_for_each(check_counts)
}

/// The schemas that a keyword holds.
fn schemas_in<'a>(keyword: &str, value: &'a Value) -> Vec<&'a Value> {
    match (keyword, value) {
        // Data, not schemas.
        ("const" | "enum" | "default" | "examples", _) => Vec::new(),
        ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(named)) => named.values().collect(),
        (_, Value::Array(schemas)) => schemas.iter().collect(),
        (_, schema) => vec![schema],
    }
}

fn unsupported(reason: &str) -> Error {
    Error::UnsupportedSchema { reason: reason.into() }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::ConstraintFailed { reason: error.to_string() }
}
