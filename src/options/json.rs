//! JavaScript values → JSON texts, for schemas, arguments, results and template variables.
//!
//! As `JSON.stringify` does, properties that are `undefined` are left out and keys keep their order. `toJSON` is not called, and what is no
//! JSON (functions, dates, NaN …) is refused instead of being dropped or changed.

use napi::JsValue;
use napi::bindgen_prelude::Object;
use serde_json::{Map, Number, Value};

use super::fields::{Any, describe, elements, entries, invalid_text, whole};
use crate::error::{Refusal, Result, boundary};

/// Deeper than any schema is written by hand. A value that contains itself gets here, too.
const MAX_DEPTH: usize = 64;

/// What holds itself many times over is endless before it is deep.
const MAX_VALUES: usize = 1 << 20;

/// Why a value is no JSON: where, what is there, and what was expected.
type Refuse<'call> = &'call dyn Fn(&str, String, &str) -> Refusal;

/// `value` as JSON. Where it is none, the option `name` is refused.
pub(crate) fn option(name: &str, value: &Any<'_>) -> Result<Value> {
    read(value, &|place, found, expected| {
        invalid_text(&format!("{name}{place}"), found, expected)
    })
}

/// `value` as JSON. What is none is handed to `refuse` with its place, its description and what was expected.
pub(crate) fn read(value: &Any<'_>, refuse: Refuse<'_>) -> Result<Value> {
    let mut reader = Reader {
        n_values: 0,
        place: Vec::new(),
        refuse,
    };
    reader.value(value)
}

/// Reads one value and everything in it.
struct Reader<'call> {
    n_values: usize,
    /// The steps from the outermost value to the present one, as they are written.
    place: Vec<String>,
    refuse: Refuse<'call>,
}

impl Reader<'_> {
    fn value(&mut self, value: &Any<'_>) -> Result<Value> {
        self.n_values += 1;
        if self.n_values > MAX_VALUES {
            return Err(self.refusal("too large", "a JSON value of at most a million parts"));
        }
        match value {
            Any::A(boolean) => Ok(Value::Bool(*boolean)),
            Any::B(number) => self.number(*number),
            Any::C(text) => Ok(Value::String(text.clone())),
            Any::D(_) => Ok(Value::Null),
            Any::F(object) => self.deeper(value, *object),
            Any::E(()) | Any::G(_) => Err(self.refusal(&describe(value), "a JSON value")),
        }
    }

    fn number(&self, number: f64) -> Result<Value> {
        let json = match whole(&Any::B(number)) {
            Some(whole) => Some(Number::from(whole)),
            None => Number::from_f64(number),
        };
        json.map(Value::Number)
            .ok_or_else(|| self.refusal(&describe(&Any::B(number)), "a JSON value"))
    }

    fn deeper(&mut self, value: &Any<'_>, object: Object<'_>) -> Result<Value> {
        if self.place.len() >= MAX_DEPTH {
            return Err(self.refusal("nested too deep", "at most 64 levels, and nothing that contains itself"));
        }
        match elements(value)? {
            Some(list) => self.array(list),
            None if is_special(&object)? => Err(self.refusal("an object of a class of its own", "a JSON value")),
            None => self.object(object),
        }
    }

    fn array<'env>(&mut self, list: impl Iterator<Item = Result<Any<'env>>>) -> Result<Value> {
        let mut array = Vec::new();
        for (index, element) in list.enumerate() {
            // A hole or `undefined` is `null`, as everywhere in JavaScript: the other elements keep their places.
            let element = match element? {
                Any::E(()) => Any::D(napi::bindgen_prelude::Null),
                other => other,
            };
            self.place.push(format!("[{index}]"));
            array.push(self.value(&element)?);
            self.place.pop();
        }
        Ok(Value::Array(array))
    }

    fn object(&mut self, object: Object<'_>) -> Result<Value> {
        let mut fields = Map::new();
        for entry in entries(object)? {
            let (name, value) = entry?;
            if matches!(value, Any::E(())) {
                continue;
            }
            self.place.push(format!(".{name}"));
            fields.insert(name, self.value(&value)?);
            self.place.pop();
        }
        Ok(Value::Object(fields))
    }

    fn refusal(&self, found: &str, expected: &str) -> Refusal {
        /// A path as deep as a cycle allows tells nothing more.
        const LONGEST: usize = 8;
        let shown = self.place.iter().take(LONGEST).map(String::as_str).collect::<String>();
        let more = if self.place.len() > LONGEST { "…" } else { "" };
        (self.refuse)(&format!("{shown}{more}"), found.to_owned(), expected)
    }
}

/// Whether an object's properties are not what it is: dates, bytes, promises, errors.
fn is_special(object: &Object<'_>) -> Result<bool> {
    let is_special =
        || Ok(object.is_date()? || object.is_typedarray()? || object.is_arraybuffer()? || object.is_promise()? || object.is_error()?);
    is_special().map_err(boundary)
}
