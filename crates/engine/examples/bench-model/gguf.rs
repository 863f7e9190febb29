//! Writes GGUF files, version 3, whose tensors are made while they are written: no tensor is in memory as a whole.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::Path;

const ALIGNMENT: u64 = 32;
const VERSION: u32 = 3;

/// How numbers are stored.
#[derive(Clone, Copy)]
pub(crate) enum Format {
    F32,
    Bf16,
}

impl Format {
    fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::Bf16 => 30,
        }
    }

    fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// Cut off, not rounded: the numbers are random anyway.
    fn write(self, number: f32, out: &mut impl Write) -> Result<()> {
        let [first, second, third, fourth] = number.to_le_bytes();
        match self {
            Self::F32 => out.write_all(&[first, second, third, fourth]),
            Self::Bf16 => out.write_all(&[third, fourth]),
        }
    }
}

/// Puts the numbers of a row into a vector.
pub(crate) type MakeRow = dyn Fn(u32, &mut Vec<f32>);

/// A tensor that makes its numbers row by row.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) format: Format,
    /// The numbers of a row.
    pub(crate) columns: u32,
    pub(crate) rows: u32,
    /// The number of dimensions in the file: vectors have one.
    pub(crate) is_vector: bool,
    /// Makes the next row.
    pub(crate) row: Box<MakeRow>,
}

impl Tensor {
    fn bytes(&self) -> u64 {
        u64::from(self.columns) * u64::from(self.rows) * self.format.bytes()
    }

    fn write_head(&self, offset: u64, out: &mut impl Write) -> Result<()> {
        write_text(&self.name, out)?;
        let dimensions: &[u32] = if self.is_vector {
            &[self.columns]
        } else {
            &[self.columns, self.rows]
        };
        out.write_all(&if self.is_vector { 1_u32 } else { 2 }.to_le_bytes())?;
        for length in dimensions {
            out.write_all(&u64::from(*length).to_le_bytes())?;
        }
        out.write_all(&self.format.code().to_le_bytes())?;
        out.write_all(&offset.to_le_bytes())
    }

    fn write_numbers(&self, out: &mut impl Write) -> Result<()> {
        let mut numbers = Vec::new();
        for row in 0..self.rows {
            numbers.clear();
            (self.row)(row, &mut numbers);
            for number in &numbers {
                self.format.write(*number, out)?;
            }
        }
        Ok(())
    }
}

/// Keys and values in the order in which they were given.
#[derive(Default)]
pub(crate) struct Metadata {
    bytes: Vec<u8>,
    n_entries: u64,
}

/// Types of values, by their numbers in GGUF.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const LIST: u32 = 9;

impl Metadata {
    pub(crate) fn number(&mut self, key: &str, value: u32) {
        self.entry(key, U32, &value.to_le_bytes());
    }

    pub(crate) fn fraction(&mut self, key: &str, value: f32) {
        self.entry(key, F32, &value.to_le_bytes());
    }

    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.entry(key, BOOL, &[u8::from(value)]);
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.entry(key, TEXT, &text_bytes(value));
    }

    pub(crate) fn texts(&mut self, key: &str, values: &[String]) {
        let items: Vec<u8> = values.iter().flat_map(|text| text_bytes(text)).collect();
        self.list(key, TEXT, values.len(), &items);
    }

    pub(crate) fn numbers(&mut self, key: &str, values: &[i32]) {
        let items: Vec<u8> = values.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.list(key, I32, values.len(), &items);
    }

    fn list(&mut self, key: &str, kind: u32, length: usize, items: &[u8]) {
        let bytes = [&kind.to_le_bytes()[..], &(length as u64).to_le_bytes(), items].concat();
        self.entry(key, LIST, &bytes);
    }

    fn entry(&mut self, key: &str, kind: u32, value: &[u8]) {
        self.bytes.extend(text_bytes(key));
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(value);
        self.n_entries += 1;
    }
}

pub(crate) fn write(path: &Path, metadata: &Metadata, tensors: &[Tensor]) -> Result<()> {
    let mut out = Counted {
        inner: BufWriter::with_capacity(1 << 20, File::create(path)?),
        written: 0,
    };
    out.write_all(b"GGUF")?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&(tensors.len() as u64).to_le_bytes())?;
    out.write_all(&metadata.n_entries.to_le_bytes())?;
    out.write_all(&metadata.bytes)?;
    let mut offset = 0;
    for tensor in tensors {
        tensor.write_head(offset, &mut out)?;
        offset += tensor.bytes().next_multiple_of(ALIGNMENT);
    }
    for tensor in tensors {
        out.align()?;
        tensor.write_numbers(&mut out)?;
    }
    out.align()?;
    out.flush()
}

/// Knows how much went through it.
struct Counted<Inner> {
    inner: Inner,
    written: u64,
}

impl<Inner: Write> Counted<Inner> {
    fn align(&mut self) -> Result<()> {
        while !self.written.is_multiple_of(ALIGNMENT) {
            self.write_all(&[0])?;
        }
        Ok(())
    }
}

impl<Inner: Write> Write for Counted<Inner> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = self.inner.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.inner.flush()
    }
}

fn text_bytes(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn write_text(text: &str, out: &mut impl Write) -> Result<()> {
    out.write_all(&text_bytes(text))
}
