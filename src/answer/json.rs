//! JSON from models → JavaScript values.
//!
//! Numbers are JavaScript's: a large one is rounded, as by `JSON.parse`, and never a `BigInt`.

use std::cell::Cell;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// To set this property of an object is to set its prototype, to whatever the model wrote.
const PROTOTYPE: &str = "__proto__";

thread_local! {
    static HAS_PROTOTYPE: Cell<bool> = const { Cell::new(false) };
}

/// What `serialize` makes, and whether the JSON in it had a property that must not be set, but defined.
pub(crate) fn with_prototypes<Made>(serialize: impl FnOnce() -> Made) -> (Made, bool) {
    HAS_PROTOTYPE.set(false);
    let made = serialize();
    (made, HAS_PROTOTYPE.get())
}

/// A JSON value on its way to JavaScript.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Json(pub(crate) Value);

impl Json {
    /// The value that `text` writes; `text` itself where it is no JSON.
    pub(crate) fn parse_or_text(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
    }
}

impl Serialize for Json {
    fn serialize<Target: Serializer>(&self, target: Target) -> Result<Target::Ok, Target::Error> {
        Borrowed(&self.0).serialize(target)
    }
}

struct Borrowed<'json>(&'json Value);

impl Serialize for Borrowed<'_> {
    fn serialize<Target: Serializer>(&self, target: Target) -> Result<Target::Ok, Target::Error> {
        match self.0 {
            Value::Number(number) => target.serialize_f64(number.as_f64().unwrap_or(f64::NAN)),
            Value::Array(list) => target.collect_seq(list.iter().map(Borrowed)),
            Value::Object(fields) => {
                let mut map = target.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    if name == PROTOTYPE {
                        HAS_PROTOTYPE.set(true);
                    }
                    map.serialize_entry(name, &Borrowed(value))?;
                }
                map.end()
            }
            other => other.serialize(target),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_what_their_text_says() {
        for (text, expected) in [
            (r#"{"b":[1,null,true],"a":"x"}"#, r#"{"b":[1.0,null,true],"a":"x"}"#),
            ("12345678901234567890", "1.2345678901234567e+19"),
            (r#"{"__proto__":{"x":1},"y":2}"#, r#"{"__proto__":{"x":1.0},"y":2.0}"#),
            ("no JSON", r#""no JSON""#),
        ] {
            assert_eq!(serde_json::to_string(&Json::parse_or_text(text)).unwrap(), expected);
        }
        for (text, expected) in [(r#"{"a":[{"__proto__":1}]}"#, true), (r#"{"a":"__proto__"}"#, false)] {
            let (_, has_prototype) = with_prototypes(|| serde_json::to_string(&Json::parse_or_text(text)));
            assert_eq!(has_prototype, expected, "{text}");
        }
        assert_eq!(Json::parse_or_text("[]"), Json(json!([])));
    }
}
