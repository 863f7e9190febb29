//! Any JavaScript value, an object's properties, and how a refused value is shown.
//!
//! Knows no option by name. `undefined` and `null` count as not given; what a getter throws passes through unchanged.

use std::ops::RangeInclusive;

use llama_worker_engine::error::Error;
use napi::bindgen_prelude::{Either7, JsObjectValue, KeyCollectionMode, KeyConversion, KeyFilter, Null, Object, Undefined, Unknown};
use napi::{JsValue, ValueType};

use crate::error::{Refusal, Result, boundary, refusal};

/// Any JavaScript value.
pub(crate) type Any<'env> = Either7<bool, f64, String, Null, Undefined, Object<'env>, Unknown<'env>>;

/// The properties of an options object, read one by one.
pub(crate) struct Fields<'env> {
    object: Option<Object<'env>>,
    /// Where it was found, to be put before the names of its properties in error messages.
    path: String,
}

impl<'env> Fields<'env> {
    /// The properties of `value`, which is called `name` in error messages. None at all when it is not given.
    pub(crate) fn of(name: &str, value: Any<'env>) -> Result<Self> {
        let object = match value {
            Any::D(_) | Any::E(()) => None,
            Any::F(object) if !is_array(&object)? => Some(object),
            other => return Err(invalid(name, &other, "an object")),
        };
        Ok(Self {
            object,
            path: String::new(),
        })
    }

    /// The same for an option inside an option: its own options are called `name.option`.
    pub(crate) fn inside(name: &str, value: Any<'env>) -> Result<Self> {
        let path = format!("{name}.");
        Ok(Self {
            path,
            ..Self::of(name, value)?
        })
    }

    /// Whether there is an object at all.
    pub(crate) fn is_given(&self) -> bool {
        self.object.is_some()
    }

    /// The full name of a property.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// A property, or nothing when it is not given.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Any<'env>>> {
        Ok(Some(self.read(name)?).filter(is_given))
    }

    /// A property as it is.
    pub(crate) fn read(&self, name: &str) -> Result<Any<'env>> {
        let Some(object) = &self.object else {
            return Ok(Any::E(()));
        };
        Ok(object.get::<Any<'env>>(name).map_err(boundary)?.unwrap_or(Any::E(())))
    }

    /// The value under the first of `names` that is given.
    pub(crate) fn first(&self, names: [&'static str; 2]) -> Result<Option<(&'static str, Any<'env>)>> {
        for name in names {
            if let Some(value) = self.get(name)? {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }

    /// A number that is still within `range` as llama.cpp's `f32`.
    pub(crate) fn number(&self, name: &str, range: RangeInclusive<f32>, expected: &str) -> Result<Option<f32>> {
        match self.get(name)? {
            None => Ok(None),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "llama.cpp samples with f32; the range is checked after"
            )]
            Some(Any::B(number)) if range.contains(&(number as f32)) => Ok(Some(number as f32)),
            Some(other) => Err(self.refused(name, &other, expected)),
        }
    }

    pub(crate) fn integer(&self, name: &str, range: RangeInclusive<i64>, expected: &str) -> Result<Option<i64>> {
        match self.get(name)? {
            None => Ok(None),
            Some(value) => whole(&value)
                .filter(|number| range.contains(number))
                .map(Some)
                .ok_or_else(|| self.refused(name, &value, expected)),
        }
    }

    /// A count from `least`; larger ones than fit are the largest.
    pub(crate) fn natural(&self, name: &str, least: u32, expected: &str) -> Result<Option<u32>> {
        let count = self.integer(name, i64::from(least)..=i64::MAX, expected)?;
        Ok(count.map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
    }

    /// A count; also accepts the word "auto", which means not given.
    pub(crate) fn count(&self, name: &str, range: RangeInclusive<i64>, expected: &str) -> Result<Option<u32>> {
        if matches!(self.get(name)?, Some(Any::C(word)) if word == "auto") {
            return Ok(None);
        }
        Ok(self.integer(name, range, expected)?.and_then(|number| u32::try_from(number).ok()))
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<String>> {
        match self.get(name)? {
            None => Ok(None),
            Some(Any::C(text)) => Ok(Some(text)),
            Some(other) => Err(self.refused(name, &other, "a string")),
        }
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name)? {
            None => Ok(None),
            Some(Any::A(value)) => Ok(Some(value)),
            Some(other) => Err(self.refused(name, &other, "true or false")),
        }
    }

    /// The refusal of a property.
    pub(crate) fn refused(&self, name: &str, value: &Any<'_>, expected: &str) -> Refusal {
        invalid(&self.path(name), value, expected)
    }
}

pub(crate) fn is_given(value: &Any<'_>) -> bool {
    !matches!(value, Any::D(_) | Any::E(()))
}

/// Whether a value is an array.
pub(crate) fn is_list(value: &Any<'_>) -> Result<bool> {
    match value {
        Any::F(object) => is_array(object),
        _ => Ok(false),
    }
}

fn is_array(object: &Object<'_>) -> Result<bool> {
    object.is_array().map_err(boundary)
}

/// The elements of an array, read one by one; `None` for anything else.
pub(crate) fn elements<'env>(value: &Any<'env>) -> Result<Option<impl Iterator<Item = Result<Any<'env>>> + use<'env>>> {
    let Any::F(object) = value else { return Ok(None) };
    if !is_array(object)? {
        return Ok(None);
    }
    let array = *object;
    let length = array.get_array_length().map_err(boundary)?;
    Ok(Some(
        (0..length).map(move |index| array.get_element::<Any<'env>>(index).map_err(boundary)),
    ))
}

/// An object's own properties, as `JSON.stringify` would go through them.
pub(crate) fn entries(object: Object<'_>) -> Result<impl Iterator<Item = Result<(String, Any<'_>)>> + use<'_>> {
    let names = object
        .get_all_property_names(KeyCollectionMode::OwnOnly, KeyFilter::Enumerable, KeyConversion::NumbersToStrings)
        .map_err(boundary)?;
    let length = names.get_array_length().map_err(boundary)?;
    Ok((0..length).filter_map(move |index| entry(object, names, index).transpose()))
}

/// The same for an object that is nothing but its properties; `None` for a `Map` and other objects of classes.
pub(crate) fn plain_entries(object: Object<'_>) -> Result<Option<impl Iterator<Item = Result<(String, Any<'_>)>> + use<'_>>> {
    if !is_plain(&object).map_err(boundary)? {
        return Ok(None);
    }
    entries(object).map(Some)
}

/// Whether an object has no prototype, or one that has none: `Object.prototype` of any realm.
fn is_plain(object: &Object<'_>) -> napi::Result<bool> {
    let prototype = object.get_prototype()?;
    if prototype.get_type()? == ValueType::Null {
        return Ok(true);
    }
    let next = prototype.coerce_to_object()?.get_prototype()?;
    Ok(next.get_type()? == ValueType::Null)
}

/// The property under one of `names`; none when that is a symbol.
fn entry<'env>(object: Object<'env>, names: Object<'_>, index: u32) -> Result<Option<(String, Any<'env>)>> {
    let name = names.get_element::<Unknown<'env>>(index).map_err(boundary)?;
    if name.get_type().map_err(boundary)? == ValueType::Symbol {
        return Ok(None);
    }
    // By the name as JavaScript has it: one that is no valid Unicode is found as well.
    let value = object.get_property::<_, Any<'env>>(name).map_err(boundary)?;
    let text = names.get_element::<String>(index).map_err(boundary)?;
    Ok(Some((text, value)))
}

/// An array of strings. What is none is handed to `refuse` with its place: the empty text for `value` itself, `[0]` for an element.
pub(crate) fn strings(value: &Any<'_>, refuse: impl Fn(&str, &Any<'_>) -> Refusal) -> Result<Vec<String>> {
    let list = elements(value)?.ok_or_else(|| refuse("", value))?;
    list.enumerate()
        .map(|(index, element)| match element? {
            Any::C(text) => Ok(text),
            other => Err(refuse(&format!("[{index}]"), &other)),
        })
        .collect()
}

/// A number without a fraction.
pub(crate) fn whole(value: &Any<'_>) -> Option<i64> {
    /// Beyond this a JavaScript number no longer tells neighbours apart.
    const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the safe integers")]
        Any::B(number) if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER => Some(*number as i64),
        _ => None,
    }
}

/// The refusal of an option.
pub(crate) fn invalid(name: &str, value: &Any<'_>, expected: &str) -> Refusal {
    invalid_text(name, describe(value), expected)
}

/// The same for a value that is already described.
pub(crate) fn invalid_text(name: &str, value: String, expected: &str) -> Refusal {
    refusal(Error::InvalidOption {
        name: name.into(),
        value,
        expected: expected.into(),
    })
}

/// A value as it is shown in an error message.
pub(crate) fn describe(value: &Any<'_>) -> String {
    const LONGEST: usize = 60;
    match value {
        Any::A(boolean) => format!("`{boolean}`"),
        Any::B(number) if number.is_infinite() => format!("`{}Infinity`", if *number < 0.0 { "-" } else { "" }),
        Any::B(number) => format!("`{number}`"),
        Any::C(text) if text.chars().count() > LONGEST => format!("`\"{}…\"`", text.chars().take(LONGEST).collect::<String>()),
        Any::C(text) => format!("`\"{text}\"`"),
        Any::D(_) => "`null`".into(),
        Any::E(()) => "`undefined`".into(),
        Any::F(object) if object.is_array().unwrap_or(false) => "an array".into(),
        Any::F(_) => "an object".into(),
        Any::G(other) => other.get_type().map_or_else(
            |_| "an unknown value".into(),
            |kind| format!("a {}", kind.to_string().to_lowercase()),
        ),
    }
}
