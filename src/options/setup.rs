//! Options of `init`, `loadModel` and `createContext`.

use std::path::PathBuf;

use llama_worker_engine::worker::{ContextOptions, FlashAttention, Gpu, GpuBackend, GpuLayers, KvCacheType, ModelParams};

use super::fields::{Any, Fields, elements, invalid};
use crate::error::Result;

/// ggml has room for this many threads in a pool.
const MAX_THREADS: i64 = 512;

/// llama.cpp has room for this many sequences in a context.
const MAX_SEQUENCES: i64 = 256;

/// JavaScript's largest number between which and 0 no whole number is missing.
const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

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

/// The GPU backends that `js/gpu-packages.js` found, or knows how to get.
pub(crate) fn gpu_backends(value: &Any<'_>) -> Result<Vec<GpuBackend>> {
    let Some(list) = elements(value)? else { return Ok(Vec::new()) };
    list.map(|entry| gpu_backend(&Fields::of("gpuBackends", entry?)?)).collect()
}

fn gpu_backend(fields: &Fields<'_>) -> Result<GpuBackend> {
    let gpu = match fields.string("gpu")?.as_deref() {
        Some("cuda") => Gpu::Cuda,
        Some("metal") => Gpu::Metal,
        Some("vulkan") => Gpu::Vulkan,
        _ => return Err(invalid("gpuBackends", &fields.read("gpu")?, "\"cuda\", \"metal\" or \"vulkan\"")),
    };
    Ok(GpuBackend {
        gpu,
        library: fields.string("library")?.map(PathBuf::from),
        remedy: fields.string("remedy")?.unwrap_or_default(),
    })
}

pub(crate) fn model(path: Option<Any<'_>>, fields: &Fields<'_>) -> Result<ModelParams> {
    let path = match path {
        Some(Any::C(path)) if !path.is_empty() && !path.contains('\0') => PathBuf::from(path),
        other => return Err(invalid("modelPath", &other.unwrap_or(Any::E(())), "the path of a GGUF file")),
    };
    let gpu_layers = match fields.get("gpuLayers")? {
        Some(Any::C(word)) if word == "max" => GpuLayers::All,
        _ => fields
            .count("gpuLayers", 0..=i64::from(u16::MAX), "a whole number from 0, \"auto\" or \"max\"")?
            .map_or(GpuLayers::Auto, GpuLayers::Count),
    };
    let use_mmap = match fields.get("useMmap")? {
        Some(Any::C(word)) if word == "auto" => None,
        _ => fields.boolean("useMmap")?,
    };
    Ok(ModelParams {
        path,
        gpu_layers,
        // What `init` chose, and the defaults of contexts; the engine knows.
        devices: Vec::new(),
        context_size: None,
        use_mmap,
        use_mlock: fields.boolean("useMlock")?.unwrap_or(false),
    })
}

/// A chat template in place of the model's own.
pub(crate) fn chat_template(fields: &Fields<'_>) -> Result<Option<String>> {
    match fields.get("chatTemplate")? {
        Some(empty @ Any::C(_)) if matches!(&empty, Any::C(text) if text.trim().is_empty()) => {
            Err(fields.refused("chatTemplate", &empty, "a Jinja template"))
        }
        _ => fields.string("chatTemplate"),
    }
}

pub(crate) fn context(fields: &Fields<'_>) -> Result<ContextOptions> {
    let size = 1..=i64::from(i32::MAX);
    Ok(ContextOptions {
        context_size: fields.count("contextSize", size.clone(), "a whole number of tokens from 1, or \"auto\"")?,
        batch_size: fields.count("batchSize", size, "a whole number of tokens from 1")?,
        sequences: fields.count("sequences", 1..=MAX_SEQUENCES, "a whole number from 1 to 256")?,
        threads: threads(fields, "threads")?,
        flash_attention: flash_attention(fields)?,
        kv_cache_type: kv_cache_type(fields)?,
        ignores_memory: fields.boolean("ignoreMemorySafetyChecks")?.unwrap_or(false),
        session_cache: session_cache(fields)?,
    })
}

fn session_cache(fields: &Fields<'_>) -> Result<Option<u64>> {
    const NAME: &str = "sessionCacheBytes";
    if matches!(fields.get(NAME)?, Some(Any::C(word)) if word == "auto") {
        return Ok(None);
    }
    let bytes = fields.integer(NAME, 0..=MAX_SAFE_INTEGER, "a whole number of bytes from 0, or \"auto\"")?;
    Ok(bytes.map(i64::cast_unsigned))
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
