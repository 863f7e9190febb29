//! What requests answer, as JavaScript sees it: the engine's results with the names and number types of `index.d.ts`.

use std::time::Duration;

use llama_worker_engine::worker::{ContextInfo, DeviceKind, GenerationResult, InitInfo, ModelInfo, StopReason};
use serde::Serialize;

/// The value of a finished request.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    Init(InitAnswer),
    Model(ModelAnswer),
    Context(ContextAnswer),
    Generation(GenerationAnswer),
}

/// Sizes in bytes and counts beyond 2³² cross as JavaScript numbers.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2⁵³")]
fn js_number(value: u64) -> f64 {
    value as f64
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitAnswer {
    backend: String,
    devices: Vec<DeviceAnswer>,
    cpu_features: Vec<String>,
    llama_cpp_version: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceAnswer {
    name: String,
    description: String,
    backend: String,
    r#type: &'static str,
    memory_total: f64,
    memory_free: f64,
}

impl From<&InitInfo> for InitAnswer {
    fn from(info: &InitInfo) -> Self {
        let devices = info.devices.iter().map(|device| DeviceAnswer {
            name: device.name.clone(),
            description: device.description.clone(),
            backend: device.backend.clone(),
            r#type: match device.kind {
                DeviceKind::Cpu => "cpu",
                DeviceKind::Gpu => "gpu",
                DeviceKind::IntegratedGpu => "integratedGpu",
                DeviceKind::Accelerator => "accelerator",
            },
            memory_total: js_number(device.memory_total),
            memory_free: js_number(device.memory_free),
        });
        Self {
            backend: info.backend.clone(),
            devices: devices.collect(),
            cpu_features: info.cpu_features.clone(),
            llama_cpp_version: info.llama_cpp_version.clone(),
        }
    }
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelAnswer {
    name: String,
    size: f64,
    parameters: f64,
    context_size: u32,
    architecture: String,
    description: String,
    has_chat_template: bool,
    vocabulary_size: u32,
    layers: u32,
    embedding_size: u32,
}

impl From<&ModelInfo> for ModelAnswer {
    fn from(info: &ModelInfo) -> Self {
        Self {
            name: info.name.clone(),
            size: js_number(info.size),
            parameters: js_number(info.parameters),
            context_size: info.context_size,
            architecture: info.architecture.clone(),
            description: info.description.clone(),
            has_chat_template: info.has_chat_template,
            vocabulary_size: info.vocabulary_size,
            layers: info.layers,
            embedding_size: info.embedding_size,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContextAnswer {
    context_size: usize,
    batch_size: usize,
    threads: u32,
}

impl From<ContextInfo> for ContextAnswer {
    fn from(info: ContextInfo) -> Self {
        Self {
            context_size: info.context_size,
            batch_size: info.batch_size,
            threads: info.threads,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GenerationAnswer {
    text: String,
    stop_reason: &'static str,
    usage: UsageAnswer,
    timings: TimingsAnswer,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of `index.d.ts`")]
struct UsageAnswer {
    prompt_tokens: usize,
    cached_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TimingsAnswer {
    prompt_ms: f64,
    first_token_ms: f64,
    generation_ms: f64,
    tokens_per_second: f64,
}

impl From<&GenerationResult> for GenerationAnswer {
    fn from(result: &GenerationResult) -> Self {
        let (usage, timings) = (result.usage, result.timings);
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
        Self {
            text: result.text.clone(),
            stop_reason: stop_reason_name(result.stop_reason),
            usage: UsageAnswer {
                prompt_tokens: usage.prompt_tokens,
                cached_tokens: usage.cached_tokens,
                completion_tokens: usage.completion_tokens,
                total_tokens: usage.prompt_tokens + usage.completion_tokens,
            },
            timings: TimingsAnswer {
                prompt_ms: milliseconds(timings.prompt),
                first_token_ms: milliseconds(timings.first_token),
                generation_ms: milliseconds(timings.generation),
                tokens_per_second: timings.tokens_per_second,
            },
        }
    }
}

pub(crate) fn stop_reason_name(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EogToken => "eogToken",
        StopReason::MaxTokens => "maxTokens",
        StopReason::CustomStopTrigger => "customStopTrigger",
        StopReason::ContextFull => "contextFull",
        StopReason::Abort => "abort",
    }
}
