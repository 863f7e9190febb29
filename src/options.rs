//! JavaScript options → engine options. The only place that checks types and ranges.
//!
//! `undefined` and `null` count as not given. Names that are not known are never looked at. A known name with a bad value is refused with
//! its name, its value and what was expected.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use llama_worker_engine::chat::{Message, Role};
use llama_worker_engine::error::Error;
use llama_worker_engine::sampling::SamplingOptions;
use llama_worker_engine::worker::{ContextOptions, FlashAttention, GenerationOptions, Gpu, Input, KvCacheType, ModelParams};
use napi::JsValue;
use napi::bindgen_prelude::{Either7, JsObjectValue, Null, Object, Undefined, Unknown};

use crate::error::{Refusal, boundary, refusal};

/// Any JavaScript value.
pub(crate) type Any<'env> = Either7<bool, f64, String, Null, Undefined, Object<'env>, Unknown<'env>>;

type Result<Value> = std::result::Result<Value, Refusal>;

/// ggml has room for this many threads in a pool.
const MAX_THREADS: i64 = 512;

/// The properties of an options object, read one by one.
pub(crate) struct Fields<'env>(Option<Object<'env>>);

impl<'env> Fields<'env> {
    /// The properties of `value`, which is called `name` in error messages. None at all when it is not given.
    pub(crate) fn of(name: &str, value: Any<'env>) -> Result<Self> {
        match value {
            Any::D(_) | Any::E(()) => Ok(Self(None)),
            Any::F(object) if !object.is_array().map_err(boundary)? => Ok(Self(Some(object))),
            other => Err(invalid(name, &other, "an object")),
        }
    }

    /// A property, or nothing when it is not given.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Any<'env>>> {
        Ok(Some(self.read(name)?).filter(|value| !matches!(value, Any::D(_) | Any::E(()))))
    }

    /// A property as it is.
    pub(crate) fn read(&self, name: &str) -> Result<Any<'env>> {
        let Some(object) = &self.0 else { return Ok(Any::E(())) };
        Ok(object.get::<Any<'env>>(name).map_err(boundary)?.unwrap_or(Any::E(())))
    }

    /// The value under the first of `names` that is given.
    fn first(&self, names: [&'static str; 2]) -> Result<Option<(&'static str, Any<'env>)>> {
        for name in names {
            if let Some(value) = self.get(name)? {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }

    pub(crate) fn number(&self, name: &str, range: RangeInclusive<f32>, expected: &str) -> Result<Option<f32>> {
        match self.get(name)? {
            None => Ok(None),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "llama.cpp samples with f32; the range is checked after"
            )]
            Some(Any::B(number)) if range.contains(&(number as f32)) => Ok(Some(number as f32)),
            Some(other) => Err(invalid(name, &other, expected)),
        }
    }

    pub(crate) fn integer(&self, name: &str, range: RangeInclusive<i64>, expected: &str) -> Result<Option<i64>> {
        match self.get(name)? {
            None => Ok(None),
            Some(value) => whole(&value)
                .filter(|number| range.contains(number))
                .map(Some)
                .ok_or_else(|| invalid(name, &value, expected)),
        }
    }

    /// A count; also accepts the word "auto", which means not given.
    fn count(&self, name: &str, range: RangeInclusive<i64>, expected: &str) -> Result<Option<u32>> {
        if matches!(self.get(name)?, Some(Any::C(word)) if word == "auto") {
            return Ok(None);
        }
        Ok(self.integer(name, range, expected)?.and_then(|number| u32::try_from(number).ok()))
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<String>> {
        match self.get(name)? {
            None => Ok(None),
            Some(Any::C(text)) => Ok(Some(text)),
            Some(other) => Err(invalid(name, &other, "a string")),
        }
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name)? {
            None => Ok(None),
            Some(Any::A(value)) => Ok(Some(value)),
            Some(other) => Err(invalid(name, &other, "true or false")),
        }
    }
}

/// What `init` was asked for.
pub(crate) struct InitOptions {
    pub(crate) gpu: Gpu,
    pub(crate) threads: Option<u32>,
    pub(crate) debug: bool,
}

pub(crate) fn init(fields: &Fields<'_>) -> Result<InitOptions> {
    let gpu = match fields.get("gpu")? {
        None => Gpu::Auto,
        Some(Any::A(false)) => Gpu::Off,
        Some(Any::C(name)) if name == "auto" => Gpu::Auto,
        Some(Any::C(name)) if name == "off" => Gpu::Off,
        Some(Any::C(name)) if name == "cuda" => Gpu::Cuda,
        Some(Any::C(name)) if name == "metal" => Gpu::Metal,
        Some(Any::C(name)) if name == "vulkan" => Gpu::Vulkan,
        Some(other) => {
            return Err(invalid(
                "gpu",
                &other,
                "\"auto\", \"cuda\", \"metal\", \"vulkan\", \"off\" or false",
            ));
        }
    };
    let threads = threads(fields, "numThreads")?;
    Ok(InitOptions {
        gpu,
        threads,
        debug: fields.boolean("debug")?.unwrap_or(false),
    })
}

pub(crate) fn model(path: Option<Any<'_>>, fields: &Fields<'_>) -> Result<ModelParams> {
    let path = match path {
        Some(Any::C(path)) if !path.is_empty() && !path.contains('\0') => PathBuf::from(path),
        other => return Err(invalid("modelPath", &other.unwrap_or(Any::E(())), "the path of a GGUF file")),
    };
    let gpu_layers = match fields.get("gpuLayers")? {
        Some(Any::C(word)) if word == "max" => None,
        _ => fields.count("gpuLayers", 0..=i64::from(u16::MAX), "a whole number from 0, \"auto\" or \"max\"")?,
    };
    let use_mmap = match fields.get("useMmap")? {
        Some(Any::C(word)) if word == "auto" => None,
        _ => fields.boolean("useMmap")?,
    };
    Ok(ModelParams {
        path,
        gpu_layers,
        // What `init` chose; the engine knows.
        devices: None,
        use_mmap,
        use_mlock: fields.boolean("useMlock")?.unwrap_or(false),
    })
}

pub(crate) fn context(fields: &Fields<'_>) -> Result<ContextOptions> {
    let size = 1..=i64::from(i32::MAX);
    Ok(ContextOptions {
        context_size: fields.count("contextSize", size.clone(), "a whole number of tokens from 1, or \"auto\"")?,
        batch_size: fields.count("batchSize", size, "a whole number of tokens from 1")?,
        threads: threads(fields, "threads")?,
        flash_attention: flash_attention(fields)?,
        kv_cache_type: kv_cache_type(fields)?,
        ignores_memory: fields.boolean("ignoreMemorySafetyChecks")?.unwrap_or(false),
    })
}

fn threads(fields: &Fields<'_>, name: &str) -> Result<Option<u32>> {
    fields.count(name, 1..=MAX_THREADS, "a whole number from 1 to 512, or \"auto\"")
}

fn flash_attention(fields: &Fields<'_>) -> Result<FlashAttention> {
    match fields.get("flashAttention")? {
        None => Ok(FlashAttention::Auto),
        Some(Any::C(word)) if word == "auto" => Ok(FlashAttention::Auto),
        Some(Any::A(is_on)) => Ok(if is_on { FlashAttention::On } else { FlashAttention::Off }),
        Some(other) => Err(invalid("flashAttention", &other, "\"auto\", true or false")),
    }
}

fn kv_cache_type(fields: &Fields<'_>) -> Result<KvCacheType> {
    const EXPECTED: &str = "\"f32\", \"f16\", \"bf16\", \"q8_0\", \"q5_1\", \"q5_0\", \"q4_1\" or \"q4_0\"";
    let Some(value) = fields.get("kvCacheType")? else {
        return Ok(KvCacheType::default());
    };
    let Any::C(name) = &value else {
        return Err(invalid("kvCacheType", &value, EXPECTED));
    };
    match name.as_str() {
        "f32" => Ok(KvCacheType::F32),
        "f16" => Ok(KvCacheType::F16),
        "bf16" => Ok(KvCacheType::Bf16),
        "q8_0" => Ok(KvCacheType::Q8_0),
        "q5_1" => Ok(KvCacheType::Q5_1),
        "q5_0" => Ok(KvCacheType::Q5_0),
        "q4_1" => Ok(KvCacheType::Q4_1),
        "q4_0" => Ok(KvCacheType::Q4_0),
        _ => Err(invalid("kvCacheType", &value, EXPECTED)),
    }
}

/// A seed, below the value by which llama.cpp means "random".
pub(crate) fn seed(fields: &Fields<'_>) -> Result<Option<u32>> {
    let seed = fields.integer("seed", 0..=i64::from(u32::MAX) - 1, "a whole number from 0 to 4294967294")?;
    Ok(seed.and_then(|seed| u32::try_from(seed).ok()))
}

pub(crate) fn generation(fields: &Fields<'_>) -> Result<GenerationOptions> {
    let defaults = SamplingOptions::default();
    let top_k = fields.integer("topK", i64::from(i32::MIN)..=i64::from(i32::MAX), "a whole number, 0 for no limit")?;
    Ok(GenerationOptions {
        max_tokens: max_tokens(fields)?,
        sampling: SamplingOptions {
            temperature: fields
                .number("temperature", 0.0..=f32::MAX, "a number from 0")?
                .unwrap_or(defaults.temperature),
            top_k: top_k.and_then(|top_k| i32::try_from(top_k).ok()).unwrap_or(defaults.top_k),
            top_p: fields.number("topP", 0.0..=1.0, "a number from 0 to 1")?.unwrap_or(defaults.top_p),
            min_p: fields.number("minP", 0.0..=1.0, "a number from 0 to 1")?.unwrap_or(defaults.min_p),
            seed: seed(fields)?,
        },
        stop_strings: stop_strings(fields)?,
        system_prompt: fields.string("systemPrompt")?,
    })
}

/// Zero, negative numbers and Infinity mean no limit, as in node-llama-cpp.
fn max_tokens(fields: &Fields<'_>) -> Result<Option<u32>> {
    if matches!(fields.get("maxTokens")?, Some(Any::B(number)) if number == f64::INFINITY) {
        return Ok(None);
    }
    let limit = fields.integer("maxTokens", i64::MIN..=i64::MAX, "a whole number of tokens, 0 for no limit")?;
    Ok(limit
        .filter(|limit| *limit > 0)
        .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)))
}

fn stop_strings(fields: &Fields<'_>) -> Result<Vec<String>> {
    const EXPECTED: &str = "an array of strings";
    match fields.first(["stopSequences", "customStopTriggers"])? {
        None => Ok(Vec::new()),
        Some((name, value)) => strings(&value, |place, bad| invalid(&format!("{name}{place}"), bad, EXPECTED)),
    }
}

/// An array of strings. What is none is handed to `refuse` with its place: the empty text for `value` itself, `[0]` for an element.
fn strings(value: &Any<'_>, refuse: impl Fn(&str, &Any<'_>) -> Refusal) -> Result<Vec<String>> {
    let list = elements(value)?.ok_or_else(|| refuse("", value))?;
    list.enumerate()
        .map(|(index, element)| match element? {
            Any::C(text) => Ok(text),
            other => Err(refuse(&format!("[{index}]"), &other)),
        })
        .collect()
}

/// The elements of an array, read one by one; `None` for anything else.
fn elements<'env>(value: &Any<'env>) -> Result<Option<impl Iterator<Item = Result<Any<'env>>>>> {
    let Any::F(object) = value else { return Ok(None) };
    if !object.is_array().map_err(boundary)? {
        return Ok(None);
    }
    let array = *object;
    let length = array.get_array_length().map_err(boundary)?;
    Ok(Some(
        (0..length).map(move |index| array.get_element::<Any<'env>>(index).map_err(boundary)),
    ))
}

/// What to generate from: a prompt, or messages in either of the two forms.
pub(crate) fn input(value: Any<'_>) -> Result<Input> {
    match value {
        Any::C(prompt) => Ok(Input::Prompt(prompt)),
        other => messages(&other).map(Input::Messages),
    }
}

/// A list of `{ role, content }`, or of node-llama-cpp's chat history items, also mixed.
pub(crate) fn messages(value: &Any<'_>) -> Result<Vec<Message>> {
    let Some(list) = elements(value)? else {
        return Err(bad_messages(format!(
            "the input is {}, expected a string or an array of messages",
            describe(value)
        )));
    };
    let messages = list
        .enumerate()
        .map(|(index, element)| message(index, element?))
        .collect::<Result<Vec<_>>>()?;
    if messages.is_empty() {
        return Err(bad_messages("the list of messages is empty".into()));
    }
    Ok(messages)
}

fn message(index: usize, value: Any<'_>) -> Result<Message> {
    let description = describe(&value);
    let Ok(fields) = Fields::of("message", value) else {
        return Err(bad_messages(format!("message {index} is {description}, expected an object")));
    };
    let (name, role) = match fields.first(["role", "type"])? {
        Some((name, Any::C(role))) => (name, role),
        Some((name, other)) => return Err(bad_part(name, index, &other, "a string")),
        None if fields.0.is_none() => return Err(bad_messages(format!("message {index} is {description}, expected an object"))),
        None => return Err(bad_messages(format!("message {index} has neither `role` nor `type`"))),
    };
    match (name, role.as_str()) {
        ("role", "system") => content(index, &fields, "content").map(|text| Message::new(Role::System, text)),
        ("role", "user") => content(index, &fields, "content").map(|text| Message::new(Role::User, text)),
        ("role", "assistant") => content(index, &fields, "content").map(|text| Message::new(Role::Assistant, text)),
        ("type", "system") => content(index, &fields, "text").map(|text| Message::new(Role::System, text)),
        ("type", "user") => content(index, &fields, "text").map(|text| Message::new(Role::User, text)),
        ("type", "model") => response(index, &fields).map(|text| Message::new(Role::Assistant, text)),
        ("role", _) => Err(bad_part(name, index, &Any::C(role), "\"system\", \"user\" or \"assistant\"")),
        _ => Err(bad_part(name, index, &Any::C(role), "\"system\", \"user\" or \"model\"")),
    }
}

fn content(index: usize, fields: &Fields<'_>, name: &str) -> Result<String> {
    match fields.read(name)? {
        Any::C(text) => Ok(text),
        other => Err(bad_part(name, index, &other, "a string")),
    }
}

fn response(index: usize, fields: &Fields<'_>) -> Result<String> {
    let parts = strings(&fields.read("response")?, |place, bad| {
        bad_part(&format!("response{place}"), index, bad, "an array of strings")
    });
    parts.map(|parts| parts.concat())
}

fn bad_part(name: &str, index: usize, value: &Any<'_>, expected: &str) -> Refusal {
    bad_messages(format!("`{name}` of message {index} is {}, expected {expected}", describe(value)))
}

fn whole(value: &Any<'_>) -> Option<i64> {
    /// Beyond this a JavaScript number no longer tells neighbours apart.
    const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the safe integers")]
        Any::B(number) if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER => Some(*number as i64),
        _ => None,
    }
}

pub(crate) fn invalid(name: &str, value: &Any<'_>, expected: &str) -> Refusal {
    refusal(Error::InvalidOption {
        name: name.into(),
        value: describe(value),
        expected: expected.into(),
    })
}

fn bad_messages(reason: String) -> Refusal {
    refusal(Error::InvalidMessages { reason })
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
