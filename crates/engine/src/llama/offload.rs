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
    let (Some(weights), Some(rooms)) = (Weights::read(path), rooms(devices)) else {
        return ALL;
    };
    weights.fit(context_size.map_or_else(|| weights.usual_context(), u64::from), &rooms)
}

/// What a device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    /// By this llama.cpp shares the layers out.
    free: u64,
    /// So much of it is for layers.
    usable: u64,
}

/// None when one of the devices does not tell.
fn rooms(devices: &[&Device]) -> Option<Vec<Room>> {
    let of_device = |device: &&Device| {
        (device.memory_total > 0).then(|| Room {
            free: device.memory_free,
            usable: device.memory_free.saturating_sub(RESERVE),
        })
    };
    devices.iter().map(of_device).collect()
}

/// Where each device's share of `count` layers ends. llama.cpp goes through layers and devices in order and gives each device as large a part
/// of the number of layers as it has of the free memory, whatever the layers weigh.
fn shares(count: usize, rooms: &[Room]) -> Vec<usize> {
    let total: u128 = rooms.iter().map(|room| u128::from(room.free)).sum();
    let mut before: u128 = 0;
    let end = |room: &Room| {
        before += u128::from(room.free);
        // Without any memory nobody gets anything.
        usize::try_from((before * count as u128).div_ceil(total.max(1))).unwrap_or(count)
    };
    rooms.iter().map(end).collect()
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

    /// How many layers fit, counted as llama.cpp does: the output first, then from the last one on. No device gets more than it can hold,
    /// even if another one had room for it.
    fn fit(&self, context_size: u64, rooms: &[Room]) -> u32 {
        let memory = self.memory.saturating_mul(context_size);
        let layers = self.layers.iter().map(|bytes| bytes.saturating_add(memory));
        let costs = layers.chain(std::iter::once(self.output));
        // The cost of everything before each place.
        let sums: Vec<u128> = std::iter::once(0)
            .chain(costs.scan(0, |sum: &mut u128, cost| {
                *sum += u128::from(cost);
                Some(*sum)
            }))
            .collect();
        let all = sums.len() - 1;
        let fits = |count: &usize| {
            let mut start = all - count;
            let holds = |(room, end): (&Room, usize)| {
                let end = all - count + end;
                let cost = sums[end] - sums[start];
                start = end;
                cost <= u128::from(room.usable)
            };
            rooms.iter().zip(shares(*count, rooms)).all(holds) && start == all
        };
        let count = (0..=all).rev().find(fits).unwrap_or(0);
        u32::try_from(count).unwrap_or(ALL)
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
        for (context_size, usable, expected) in [
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
            let room = Room { free: usable, usable };
            assert_eq!(
                weights.fit(context_size, &[room]),
                expected,
                "{context_size} tokens in {usable} bytes"
            );
        }
        assert_eq!(weights.usual_context(), 32);
        assert_eq!(Weights::default().usual_context(), USUAL_CONTEXT);
    }

    #[test]
    fn every_device_holds_its_own_share() {
        // Five layers with the output, as llama.cpp counts them.
        let weights = Weights {
            layers: vec![100; 4],
            output: 100,
            memory: 0,
            trained_context: 0,
        };
        let room = |bytes| Room {
            free: bytes,
            usable: bytes,
        };
        for (rooms, expected) in [
            (vec![room(300), room(300)], 5),
            // Together they would hold three, but a layer is never on both.
            (vec![room(150), room(150)], 2),
            (vec![room(250), room(50)], 2),
            (vec![room(1000), room(0)], 5),
            (vec![room(0), room(0)], 0),
            // Shared out by what is free: the second gets half, and its reserve leaves room for one.
            (vec![room(400), Room { free: 400, usable: 100 }], 3),
        ] {
            assert_eq!(weights.fit(0, &rooms), expected, "{rooms:?}");
        }
    }

    #[test]
    fn layers_are_shared_out_as_llama_cpp_does() {
        let room = |free| Room { free, usable: 0 };
        for (count, free, expected) in [
            (4, vec![1, 1], vec![2, 4]),
            (5, vec![1, 1], vec![3, 5]),
            (5, vec![3, 1], vec![4, 5]),
            (3, vec![1, 1, 1], vec![1, 2, 3]),
            (0, vec![1, 1], vec![0, 0]),
            (1, vec![u64::MAX, u64::MAX], vec![1, 1]),
        ] {
            let rooms: Vec<Room> = free.iter().map(|free| room(*free)).collect();
            assert_eq!(shares(count, &rooms), expected, "{count} layers over {free:?}");
        }
    }

    #[test]
    fn devices_keep_a_reserve() {
        const GIB: u64 = 1 << 30;
        let (large, small, silent) = (device(8 * GIB, 3 * GIB), device(GIB, GIB / 4), device(0, 0));
        let room = |free| Room {
            free,
            usable: free - RESERVE,
        };
        assert_eq!(rooms(&[&large]), Some(vec![room(3 * GIB)]));
        let full = Room { free: GIB / 4, usable: 0 };
        assert_eq!(rooms(&[&large, &small]), Some(vec![room(3 * GIB), full]));
        assert_eq!(rooms(&[&large, &silent]), None);
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
