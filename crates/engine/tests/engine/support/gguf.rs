//! Writes GGUF files, version 3, every tensor as F32. Knows nothing of models.

use std::collections::BTreeMap;

const ALIGNMENT: usize = 32;
const F32: u32 = 0;

/// A file in the making.
#[derive(Default)]
pub(crate) struct Gguf {
    metadata: BTreeMap<String, Vec<u8>>,
    tensors: BTreeMap<String, Tensor>,
}

struct Tensor {
    /// The fastest first.
    dimensions: Vec<usize>,
    numbers: Vec<f32>,
}

/// A metadata value.
pub(crate) trait Value {
    /// Its type's number in GGUF.
    const TYPE: u32;

    fn write(&self, bytes: &mut Vec<u8>);
}

impl Value for u32 {
    const TYPE: u32 = 4;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

impl Value for i32 {
    const TYPE: u32 = 5;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

impl Value for f32 {
    const TYPE: u32 = 6;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

impl Value for bool {
    const TYPE: u32 = 7;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(*self));
    }
}

impl Value for &str {
    const TYPE: u32 = 8;

    fn write(&self, bytes: &mut Vec<u8>) {
        write_text(self, bytes);
    }
}

impl Value for String {
    const TYPE: u32 = 8;

    fn write(&self, bytes: &mut Vec<u8>) {
        write_text(self, bytes);
    }
}

impl<Item: Value> Value for &[Item] {
    const TYPE: u32 = 9;

    fn write(&self, bytes: &mut Vec<u8>) {
        Item::TYPE.write(bytes);
        bytes.extend((self.len() as u64).to_le_bytes());
        self.iter().for_each(|item| item.write(bytes));
    }
}

impl Gguf {
    pub(crate) fn set<Of: Value>(&mut self, key: &str, value: Of) {
        let mut bytes = Vec::new();
        write_text(key, &mut bytes);
        Of::TYPE.write(&mut bytes);
        value.write(&mut bytes);
        self.metadata.insert(key.to_owned(), bytes);
    }

    /// Adds a tensor. `dimensions`: the fastest first, as llama.cpp names them.
    pub(crate) fn add(&mut self, name: &str, dimensions: &[usize], numbers: Vec<f32>) {
        assert_eq!(numbers.len(), dimensions.iter().product::<usize>(), "{name}");
        let tensor = Tensor {
            dimensions: dimensions.to_vec(),
            numbers,
        };
        assert!(self.tensors.insert(name.to_owned(), tensor).is_none(), "{name} is there twice");
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&b"GGUF"[..], &3_u32.to_le_bytes()].concat();
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.metadata.len() as u64).to_le_bytes());
        self.metadata.values().for_each(|entry| bytes.extend(entry));
        let mut offset = 0;
        for (name, tensor) in &self.tensors {
            write_text(name, &mut bytes);
            tensor.write_head(offset, &mut bytes);
            offset += (tensor.numbers.len() * size_of::<f32>()).next_multiple_of(ALIGNMENT);
        }
        for tensor in self.tensors.values() {
            bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
            tensor.numbers.iter().for_each(|number| number.write(&mut bytes));
        }
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes
    }
}

impl Tensor {
    fn write_head(&self, offset: usize, bytes: &mut Vec<u8>) {
        u32::try_from(self.dimensions.len()).unwrap().write(bytes);
        for length in &self.dimensions {
            bytes.extend((*length as u64).to_le_bytes());
        }
        F32.write(bytes);
        bytes.extend((offset as u64).to_le_bytes());
    }
}

fn write_text(text: &str, bytes: &mut Vec<u8>) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}
