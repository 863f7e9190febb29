//! What requests answer, as JavaScript sees it: the engine's results with the names and number types of `index.d.ts`.

mod generation;
mod json;
mod message;

use llama_worker_engine::worker::{ContextInfo, Device, DeviceKind, InitInfo, ModelInfo, RenderedPrompt};
use serde::Serialize;

pub(crate) use generation::{GenerationAnswer, LogprobsAnswer, logprobs, parsed, stop_reason_name};
pub(crate) use json::{Json, with_prototypes};
pub(crate) use message::{MessageAnswer, ToolCallAnswer};

/// The value of a finished request.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    Init(InitAnswer),
    Model(ModelAnswer),
    Context(ContextAnswer),
    Generation(Box<GenerationAnswer>),
    Messages(Vec<MessageAnswer>),
    Rendered(RenderedAnswer),
    Tokens(Vec<i32>),
    Text(String),
    Count(usize),
    Download(DownloadAnswer),
}

/// Sizes in bytes and counts beyond 2³² cross as JavaScript numbers.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2⁵³")]
pub(crate) fn js_number(value: u64) -> f64 {
    value as f64
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitAnswer {
    backend: String,
    devices: Vec<DeviceAnswer>,
    cpu_features: Vec<String>,
    cpu_variant: Option<String>,
    warnings: Vec<String>,
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
    is_chosen: bool,
}

impl From<&InitInfo> for InitAnswer {
    fn from(info: &InitInfo) -> Self {
        let takes_layers = |index: usize, device: &Device| {
            if info.chosen_devices.is_empty() {
                device.kind == DeviceKind::Cpu
            } else {
                info.chosen_devices.contains(&index)
            }
        };
        let devices = info.devices.iter().enumerate().map(|(index, device)| DeviceAnswer {
            is_chosen: takes_layers(index, device),
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
            cpu_variant: info.cpu_variant.clone(),
            warnings: info.warnings.clone(),
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
    gpu_layers: u32,
    chat_template: &'static str,
    warnings: Vec<&'static str>,
}

impl ModelAnswer {
    /// `has_own_template`: whether the caller gave a template in place of the model's.
    pub(crate) fn new(info: &ModelInfo, has_own_template: bool) -> Self {
        /// Better than none for most models, but a guess.
        const GUESSED: &str = "the model has no chat template: ChatML is used; the option `chatTemplate` sets another one";
        let (chat_template, warning) = match (has_own_template, info.has_chat_template) {
            (true, _) => ("option", None),
            (false, true) => ("model", None),
            (false, false) => ("chatml", Some(GUESSED)),
        };
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
            gpu_layers: info.gpu_layers,
            chat_template,
            warnings: warning.into_iter().collect(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContextAnswer {
    context_size: usize,
    batch_size: usize,
    sequences: u32,
    threads: u32,
    session_cache_bytes: f64,
}

impl From<ContextInfo> for ContextAnswer {
    fn from(info: ContextInfo) -> Self {
        Self {
            context_size: info.context_size,
            batch_size: info.batch_size,
            sequences: info.sequences,
            threads: info.threads,
            session_cache_bytes: js_number(info.session_cache),
        }
    }
}

/// Where downloaded models are.
#[derive(Debug, Serialize)]
pub(crate) struct DownloadAnswer {
    pub(crate) paths: Vec<String>,
}

/// What the model is given.
#[derive(Debug, Serialize)]
pub(crate) struct RenderedAnswer {
    prompt: String,
    tokens: Vec<i32>,
}

impl From<&RenderedPrompt> for RenderedAnswer {
    fn from(rendered: &RenderedPrompt) -> Self {
        Self {
            prompt: rendered.prompt.clone(),
            tokens: rendered.tokens.clone(),
        }
    }
}
