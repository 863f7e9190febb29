//! How many layers of a model fit into the memory of the devices it is put on.
//!
//! Reckons by the file's metadata, before anything is loaded, and rather takes a layer too few than one too many: a graphics card that runs
//! out of memory ends the process. Ends with a plan; llama.cpp's loader carries it out.

use std::path::Path;

use super::gguf::Outline;
use super::{Backend, Device, ModelParams};

/// Layers to keep on the devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GpuLayers {
    /// As many as fit.
    #[default]
    Auto,
    /// All.
    All,
    /// The last ones, the output layer counted.
    Count(u32),
}

/// More than any model has; llama.cpp takes what there is.
const ALL: u32 = u16::MAX as u32;
/// What else a card has to hold: buffers of the evaluation, and what the driver and the screen take meanwhile.
const RESERVE: u64 = 512 << 20;
/// Of an `f16`, in which keys and values are kept by default; smaller formats only leave room.
const NUMBER_BYTES: u64 = 2;
/// Reckoned with while nobody has said how large the context will be.
const USUAL_CONTEXT: u64 = 8192;

/// The layers of `params` to be put on its devices.
pub(super) fn layers(backend: &Backend, params: &ModelParams) -> u32 {
    if params.devices.is_empty() {
        return 0;
    }
    match params.gpu_layers {
        GpuLayers::All => ALL,
        GpuLayers::Count(layers) => layers,
        GpuLayers::Auto => {
            let all = backend.devices();
            let devices: Vec<&Device> = params.devices.iter().filter_map(|index| all.get(*index)).collect();
            fitting(&params.path, params.context_size, &devices)
        }
    }
}

fn fitting(path: &Path, context_size: Option<u32>, devices: &[&Device]) -> u32 {
    // A file that cannot be read is llama.cpp's to refuse; a device that tells no memory leaves nothing to reckon with.
    let (Some(weights), Some(room)) = (Weights::read(path), room(devices)) else {
        return ALL;
    };
    weights.fit(context_size.map_or_else(|| weights.usual_context(), u64::from), room)
}

/// Bytes that the devices have for layers; none when one of them does not tell.
fn room(devices: &[&Device]) -> Option<u64> {
    let of_device = |device: &&Device| (device.memory_total > 0).then(|| device.memory_free.saturating_sub(RESERVE));
    devices.iter().map(of_device).sum()
}

/// What a model's layers weigh.
#[derive(Debug, Default)]
struct Weights {
    /// Bytes of each layer.
    layers: Vec<u64>,
    /// Bytes of what comes after them.
    output: u64,
    /// Bytes of keys and values, of one layer for one token.
    memory: u64,
    trained_context: u64,
}

impl Weights {
    fn read(path: &Path) -> Option<Self> {
        let parts = Outline::of_parts(path).ok()?;
        let mut weights = Self::of_metadata(parts.first()?);
        for part in &parts {
            weights.add(part);
        }
        Some(weights)
    }

    fn of_metadata(outline: &Outline) -> Self {
        let number = |name: &str| outline.architecture_number(name);
        let heads = number("attention.head_count").unwrap_or(1).max(1);
        let length = number("embedding_length").unwrap_or(0) / heads;
        let key = number("attention.key_length").unwrap_or(length);
        let value = number("attention.value_length").unwrap_or(length);
        let key_heads = number("attention.head_count_kv").unwrap_or(heads);
        Self {
            memory: key_heads.saturating_mul(key.saturating_add(value)).saturating_mul(NUMBER_BYTES),
            trained_context: number("context_length").unwrap_or(0),
            ..Self::default()
        }
    }

    fn add(&mut self, outline: &Outline) {
        for (name, bytes) in outline.tensors() {
            match layer_of(name) {
                Some(layer) if layer < ALL as usize => {
                    if self.layers.len() <= layer {
                        self.layers.resize(layer + 1, 0);
                    }
                    self.layers[layer] = self.layers[layer].saturating_add(bytes);
                }
                // The input's embeddings stay with the processor, but a model may use them for its output as well.
                _ => self.output = self.output.saturating_add(bytes),
            }
        }
    }

    fn usual_context(&self) -> u64 {
        if self.trained_context == 0 {
            USUAL_CONTEXT
        } else {
            self.trained_context.min(USUAL_CONTEXT)
        }
    }

    /// The layers that fit into `room`, counted as llama.cpp does: the output first, then from the last one on.
    fn fit(&self, context_size: u64, room: u64) -> u32 {
        let memory = self.memory.saturating_mul(context_size);
        let costs = std::iter::once(self.output).chain(self.layers.iter().rev().map(|bytes| bytes.saturating_add(memory)));
        let mut left = room;
        let mut count = 0;
        for cost in costs {
            let Some(rest) = left.checked_sub(cost) else { break };
            left = rest;
            count += 1;
        }
        count
    }
}

/// The layer that a tensor belongs to, as 12 for `blk.12.ffn_up.weight`.
fn layer_of(name: &str) -> Option<usize> {
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::DeviceKind;

    fn device(memory_total: u64, memory_free: u64) -> Device {
        Device {
            name: "Vulkan0".into(),
            description: String::new(),
            backend: "Vulkan".into(),
            kind: DeviceKind::Gpu,
            memory_total,
            memory_free,
        }
    }

    #[test]
    fn the_last_layers_that_fit_are_taken() {
        let weights = Weights {
            layers: vec![100, 100, 200, 100],
            output: 50,
            memory: 1,
            trained_context: 32,
        };
        for (context_size, room, expected) in [
            (0, 49, 0),
            (0, 50, 1),
            (0, 149, 1),
            (0, 150, 2),
            (0, 349, 2),
            (0, 350, 3),
            (0, 550, 5),
            (0, u64::MAX, 5),
            // Each layer also holds the context.
            (10, 150, 1),
            (10, 160, 2),
            (u64::MAX, u64::MAX - 1, 1),
        ] {
            assert_eq!(weights.fit(context_size, room), expected, "{context_size} tokens in {room} bytes");
        }
        assert_eq!(weights.usual_context(), 32);
        assert_eq!(Weights::default().usual_context(), USUAL_CONTEXT);
    }

    #[test]
    fn devices_keep_a_reserve() {
        const GIB: u64 = 1 << 30;
        let (large, small, silent) = (device(8 * GIB, 3 * GIB), device(GIB, GIB / 4), device(0, 0));
        assert_eq!(room(&[&large]), Some(3 * GIB - RESERVE));
        assert_eq!(room(&[&large, &small]), Some(3 * GIB - RESERVE));
        assert_eq!(room(&[&large, &large]), Some(6 * GIB - 2 * RESERVE));
        assert_eq!(room(&[&large, &silent]), None);
    }

    #[test]
    fn names_tell_layers() {
        for (name, expected) in [
            ("blk.12.ffn_up.weight", Some(12)),
            ("blk.0.attn_q.weight", Some(0)),
            ("output.weight", None),
            ("token_embd.weight", None),
            ("blk.x.weight", None),
        ] {
            assert_eq!(layer_of(name), expected, "{name}");
        }
    }

    #[test]
    fn a_file_is_weighed() {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-chat/tiny-chat.gguf");
        let weights = Weights::read(Path::new(model)).unwrap();
        let bytes = weights.layers.iter().sum::<u64>() + weights.output;
        let file = std::fs::metadata(model).unwrap().len();
        assert!(
            !weights.layers.is_empty() && weights.layers.iter().all(|layer| *layer > 0),
            "{weights:?}"
        );
        assert!(bytes < file && bytes > file / 2, "{bytes} of {file}");
        assert!(weights.memory > 0, "{weights:?}");
        let all = u32::try_from(weights.layers.len()).unwrap() + 1;
        for (free, expected) in [(RESERVE, 0), (8 << 30, all)] {
            assert_eq!(fitting(Path::new(model), None, &[&device(16 << 30, free)]), expected);
        }
    }
}
