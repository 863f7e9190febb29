//! Reads what stands before the weights of a GGUF file: metadata, and the list of tensors.
//!
//! Nothing that the file says is believed before it is compared with the bytes that are left and with a limit, so that neither time nor
//! memory grows beyond the file's own. Knows the form only; what the values have to be is `rules.rs`'s.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use super::types::{self, Format};

pub(super) type Result<T> = std::result::Result<T, String>;

const MAGIC: &[u8] = b"GGUF";
/// Magic, version, number of tensors, number of metadata entries.
const HEADER_BYTES: usize = 4 + 4 + 8 + 8;

const MOST_KEYS: u64 = 1 << 16;
const MOST_TENSORS: u64 = 1 << 17;
const LONGEST_KEY: u64 = u16::MAX as u64;
/// ggml keeps names in 64 bytes, the last of them a zero.
const LONGEST_TENSOR_NAME: u64 = 63;
/// Of a text that is no key or name. The longest there are, chat templates, have some ten thousand bytes.
const LONGEST_TEXT: u64 = 64 << 20;
/// llama.cpp keeps several copies of each, in forms that are larger than in the file. The largest vocabularies have a quarter million.
const MOST_TEXTS: u64 = 4 << 20;
const MOST_NUMBERS: u64 = 64 << 20;
/// Metadata beyond this is not read, whatever the file's size.
const MOST_METADATA_BYTES: u64 = 1 << 30;
const MOST_DIMENSIONS: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;
/// Longer lists of numbers are not kept: only those of vocabularies are, and nobody asks for their values.
const MOST_KEPT_NUMBERS: u64 = 1024;
/// The one list of texts whose texts are asked for.
const TOKENS: &str = "tokenizer.ggml.tokens";

/// What stands before the weights.
#[derive(Debug, Default)]
pub(super) struct Header {
    values: HashMap<String, Value>,
    pub(super) tensors: Vec<Tensor>,
    /// Where the weights begin.
    pub(super) data_offset: u64,
}

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(Number),
    Bool(bool),
    Text(Vec<u8>),
    List { kind: ValueKind, length: u64, items: Items },
}

/// What is kept of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Items {
    Numbers(Vec<Number>),
    Texts(Vec<Vec<u8>>),
    Forgotten,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(i128),
    Fraction(f64),
}

/// The type of a value, as GGUF numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    List,
    U64,
    I64,
    F64,
}

/// A tensor as the list names it.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) name: String,
    /// The fastest first; four of them, and none is 0.
    pub(super) dimensions: [u64; MOST_DIMENSIONS as usize],
    pub(super) format_number: u32,
    pub(super) format: Format,
    /// From the beginning of the weights.
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl Header {
    /// Reads a file of `length` bytes up to its weights.
    pub(super) fn read(source: impl Read, length: u64) -> Result<Self> {
        let mut reader = Reader {
            source,
            left: length.min(MOST_METADATA_BYTES),
            position: 0,
        };
        let (n_tensors, n_keys) = reader.counts()?;
        let mut header = Self::default();
        for _ in 0..n_keys {
            let key = reader.key()?;
            let value = reader.value(&key)?;
            if header.values.insert(key.clone(), value).is_some() {
                return Err(format!("its metadata has the key `{key}` twice"));
            }
        }
        let alignment = header.alignment()?;
        header.tensors = reader.tensors(n_tensors)?;
        header.data_offset = padded(reader.position, alignment).ok_or("its weights begin nowhere")?;
        header.check_offsets(alignment)?;
        Ok(header)
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    fn alignment(&self) -> Result<u64> {
        match self.value("general.alignment") {
            None => Ok(DEFAULT_ALIGNMENT),
            Some(Value::Number(Number::Whole(alignment @ 1..=0xFFFF_FFFF))) if alignment.count_ones() == 1 => {
                Ok(u64::try_from(*alignment).unwrap_or(DEFAULT_ALIGNMENT))
            }
            Some(other) => Err(format!("its `general.alignment` is {}, expected a power of 2", other.shown())),
        }
    }

    /// Tensors lie one behind the other, in the order of the list.
    fn check_offsets(&self, alignment: u64) -> Result<()> {
        let mut expected = 0;
        for tensor in &self.tensors {
            if tensor.offset != expected {
                let (name, offset) = (&tensor.name, tensor.offset);
                return Err(format!(
                    "its tensor `{name}` begins at byte {offset} of the weights, expected {expected}"
                ));
            }
            let end = padded(tensor.bytes, alignment).and_then(|bytes| bytes.checked_add(expected));
            expected = end.ok_or_else(|| format!("its tensor `{}` is too large", tensor.name))?;
        }
        Ok(())
    }
}

impl Value {
    /// For an error message.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Number(Number::Whole(number)) => format!("`{number}`"),
            Self::Number(Number::Fraction(number)) => format!("`{number}`"),
            Self::Bool(value) => format!("`{value}`"),
            Self::Text(text) => format!("`{}`", shown_text(text)),
            Self::List { length, .. } => format!("a list of {length}"),
        }
    }
}

/// Bytes of a file as a text for people, and no more of it than they read.
pub(super) fn shown_text(text: &[u8]) -> String {
    const LONGEST_SHOWN: usize = 100;
    String::from_utf8_lossy(&text[..text.len().min(LONGEST_SHOWN)]).into_owned()
}

fn padded(bytes: u64, alignment: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(alignment)
}

/// The bytes of a file, from the beginning.
struct Reader<Source> {
    source: Source,
    left: u64,
    position: u64,
}

impl<Source: Read> Reader<Source> {
    /// The numbers of tensors and of metadata entries.
    fn counts(&mut self) -> Result<(u64, u64)> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        let read = self.source.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut header);
        read.map_err(|error| error.to_string())?;
        check_start(&header)?;
        self.left = self.left.saturating_sub(HEADER_BYTES as u64);
        self.position = HEADER_BYTES as u64;
        let number = |at: usize| {
            header[at..at + 8]
                .iter()
                .rev()
                .fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
        };
        let (n_tensors, n_keys) = (number(8), number(16));
        for (count, what, most) in [(n_tensors, "tensors", MOST_TENSORS), (n_keys, "metadata keys", MOST_KEYS)] {
            if count > most {
                return Err(format!("it says that it has {count} {what}, at most {most} are possible"));
            }
        }
        Ok((n_tensors, n_keys))
    }

    fn key(&mut self) -> Result<String> {
        let bytes = self.text("a metadata key", LONGEST_KEY)?;
        if bytes.is_empty() || bytes.contains(&0) {
            return Err("its metadata has a key without a name".into());
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn value(&mut self, key: &str) -> Result<Value> {
        match self.kind(key)? {
            ValueKind::Bool => Ok(Value::Bool(self.array::<1>()? != [0])),
            ValueKind::Text => Ok(Value::Text(self.text(&format!("`{key}`"), LONGEST_TEXT)?)),
            ValueKind::List => self.list(key),
            kind => Ok(Value::Number(self.number(kind)?)),
        }
    }

    fn kind(&mut self, key: &str) -> Result<ValueKind> {
        use ValueKind::{Bool, F32, F64, I8, I16, I32, I64, List, Text, U8, U16, U32, U64};
        const KINDS: [ValueKind; 13] = [U8, I8, U16, I16, U32, I32, F32, Bool, Text, List, U64, I64, F64];
        let number = self.u32()?;
        let kind = usize::try_from(number).ok().and_then(|number| KINDS.get(number));
        kind.copied()
            .ok_or_else(|| format!("its metadata `{key}` has the unknown type {number}"))
    }

    fn number(&mut self, kind: ValueKind) -> Result<Number> {
        Ok(match kind {
            ValueKind::U8 => Number::Whole(u8::from_le_bytes(self.array()?).into()),
            ValueKind::I8 => Number::Whole(i8::from_le_bytes(self.array()?).into()),
            ValueKind::U16 => Number::Whole(u16::from_le_bytes(self.array()?).into()),
            ValueKind::I16 => Number::Whole(i16::from_le_bytes(self.array()?).into()),
            ValueKind::U32 => Number::Whole(u32::from_le_bytes(self.array()?).into()),
            ValueKind::I32 => Number::Whole(i32::from_le_bytes(self.array()?).into()),
            ValueKind::U64 => Number::Whole(u64::from_le_bytes(self.array()?).into()),
            ValueKind::I64 => Number::Whole(i64::from_le_bytes(self.array()?).into()),
            ValueKind::F32 => Number::Fraction(f32::from_le_bytes(self.array()?).into()),
            ValueKind::F64 => Number::Fraction(f64::from_le_bytes(self.array()?)),
            ValueKind::Bool | ValueKind::Text | ValueKind::List => return Err("a value is no number".into()),
        })
    }

    fn list(&mut self, key: &str) -> Result<Value> {
        let kind = self.kind(key)?;
        let length = self.u64()?;
        let items = match kind {
            ValueKind::List => return Err(format!("its metadata `{key}` is a list of lists")),
            ValueKind::Text => self.texts(key, length)?,
            kind => self.numbers(key, kind, length)?,
        };
        Ok(Value::List { kind, length, items })
    }

    fn texts(&mut self, key: &str, length: u64) -> Result<Items> {
        let least_bytes = length.checked_mul(8);
        self.check_length(key, length, MOST_TEXTS, least_bytes)?;
        if key != TOKENS {
            for _ in 0..length {
                self.skip_text(key)?;
            }
            return Ok(Items::Forgotten);
        }
        let texts: Result<Vec<_>> = (0..length).map(|_| self.text(&format!("`{key}`"), LONGEST_TEXT)).collect();
        Ok(Items::Texts(texts?))
    }

    fn numbers(&mut self, key: &str, kind: ValueKind, length: u64) -> Result<Items> {
        let bytes = length.checked_mul(kind.bytes());
        self.check_length(key, length, MOST_NUMBERS, bytes)?;
        if length > MOST_KEPT_NUMBERS {
            self.skip(bytes.unwrap_or(u64::MAX))?;
            return Ok(Items::Forgotten);
        }
        let one = |_| match kind {
            ValueKind::Bool => Ok(Number::Whole(i128::from(self.array::<1>()? != [0]))),
            kind => self.number(kind),
        };
        Ok(Items::Numbers((0..length).map(one).collect::<Result<_>>()?))
    }

    fn check_length(&self, key: &str, length: u64, most: u64, bytes: Option<u64>) -> Result<()> {
        if length > most {
            return Err(format!("its metadata `{key}` is a list of {length}, at most {most} are possible"));
        }
        if bytes.is_none_or(|bytes| bytes > self.left) {
            return Err(self.ended(&format!("the list `{key}`")));
        }
        Ok(())
    }

    fn tensors(&mut self, count: u64) -> Result<Vec<Tensor>> {
        let (mut tensors, mut names) = (Vec::new(), HashSet::new());
        for _ in 0..count {
            let tensor = self.tensor()?;
            if !names.insert(tensor.name.clone()) {
                return Err(format!("it has the tensor `{}` twice", tensor.name));
            }
            tensors.push(tensor);
        }
        Ok(tensors)
    }

    fn tensor(&mut self) -> Result<Tensor> {
        let name = self.text("a tensor's name", LONGEST_TENSOR_NAME)?;
        let name = String::from_utf8(name).ok().filter(|name| !name.contains('\0'));
        let name = name.ok_or("it has a tensor whose name is no text")?;
        let n_dimensions = self.u32()?;
        if n_dimensions > MOST_DIMENSIONS {
            return Err(format!(
                "its tensor `{name}` has {n_dimensions} dimensions, at most {MOST_DIMENSIONS} are possible"
            ));
        }
        let mut dimensions = [1; MOST_DIMENSIONS as usize];
        for dimension in dimensions.iter_mut().take(n_dimensions as usize) {
            *dimension = self.u64()?;
        }
        let format_number = self.u32()?;
        let format = types::format(format_number);
        let format = format.ok_or_else(|| format!("its tensor `{name}` has the unknown number format {format_number}"))?;
        let bytes = tensor_bytes(dimensions, format).map_err(|reason| format!("its tensor `{name}` {reason}"))?;
        Ok(Tensor {
            name,
            dimensions,
            format_number,
            format,
            offset: self.u64()?,
            bytes,
        })
    }

    fn text(&mut self, what: &str, longest: u64) -> Result<Vec<u8>> {
        let length = self.text_length(what, longest)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| self.ended(what))?];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    fn skip_text(&mut self, what: &str) -> Result<()> {
        let length = self.text_length(what, LONGEST_TEXT)?;
        self.skip(length)
    }

    fn text_length(&mut self, what: &str, longest: u64) -> Result<u64> {
        let length = self.u64()?;
        if length > self.left {
            return Err(self.ended(what));
        }
        if length > longest {
            return Err(format!("{what} in it has {length} bytes, at most {longest} are possible"));
        }
        Ok(length)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH]> {
        let mut bytes = [0; LENGTH];
        self.fill(&mut bytes, "its metadata")?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8], what: &str) -> Result<()> {
        let length = bytes.len() as u64;
        if length > self.left || self.source.read_exact(bytes).is_err() {
            return Err(self.ended(what));
        }
        self.left -= length;
        self.position += length;
        Ok(())
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        let skipped = std::io::copy(&mut self.source.by_ref().take(length), &mut std::io::sink());
        if length > self.left || skipped.ok() != Some(length) {
            return Err(self.ended("its metadata"));
        }
        self.left -= length;
        self.position += length;
        Ok(())
    }

    fn ended(&self, what: &str) -> String {
        if self.position + self.left >= MOST_METADATA_BYTES {
            return "its metadata has more than 1 GiB".into();
        }
        format!("it ends inside {what}")
    }
}

impl ValueKind {
    /// Bytes of one such value in a list.
    fn bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::Text | Self::List => 8,
        }
    }
}

/// What every GGUF file begins with.
fn check_start(header: &[u8]) -> Result<()> {
    if !header.starts_with(MAGIC) {
        return Err("it is not a GGUF file".into());
    }
    if header.len() < HEADER_BYTES {
        return Err("it ends inside its header".into());
    }
    let version = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    if !(2..=3).contains(&version) {
        return Err(format!("its GGUF version is {version}, expected 2 or 3"));
    }
    Ok(())
}

/// ggml counts numbers and bytes with signed 64 bits.
const MOST_BYTES: u64 = i64::MAX as u64;

fn tensor_bytes(dimensions: [u64; MOST_DIMENSIONS as usize], format: Format) -> Result<u64> {
    if dimensions.contains(&0) {
        return Err("has no numbers".into());
    }
    if !dimensions[0].is_multiple_of(format.numbers) {
        let (length, numbers) = (dimensions[0], format.numbers);
        return Err(format!("has rows of {length} numbers, no multiple of the {numbers} of its format"));
    }
    let numbers = dimensions.iter().try_fold(1_u64, |numbers, length| numbers.checked_mul(*length));
    let numbers = numbers.filter(|numbers| *numbers <= MOST_BYTES);
    let bytes = numbers.and_then(|numbers| (numbers / format.numbers).checked_mul(format.bytes));
    bytes.filter(|bytes| *bytes <= MOST_BYTES).ok_or_else(|| "is too large".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::gguf::sample::{entry, file, tensor, text};

    fn header(version: u32) -> Vec<u8> {
        [MAGIC, &version.to_le_bytes(), &38_u64.to_le_bytes(), &7_u64.to_le_bytes()].concat()
    }

    #[test]
    fn tells_models_from_other_files() {
        let cases: [(&[u8], &str); 5] = [
            (&header(3), ""),
            (&header(2), ""),
            (b"", "not a GGUF"),
            (b"PK\x03\x04 something else entirely", "not a GGUF"),
            (&header(3)[..20], "ends inside"),
        ];
        for (bytes, expected) in cases {
            let reason = check_start(bytes).err().unwrap_or_default();
            assert!(
                reason.contains(expected) && reason.is_empty() == expected.is_empty(),
                "{bytes:?}: {reason}"
            );
        }
        assert!(check_start(&header(1)).unwrap_err().contains("version is 1"));
        assert!(check_start(&header(3_u32.swap_bytes())).unwrap_err().contains("expected 2 or 3"));
    }

    fn reason(bytes: &[u8]) -> String {
        Header::read(bytes, bytes.len() as u64).err().unwrap_or_default()
    }

    #[test]
    fn reads_values_of_every_kind() {
        let list = |kind: u32, length: u64, items: &[u8]| [&kind.to_le_bytes()[..], &length.to_le_bytes(), items].concat();
        let bytes = file(
            &[
                &entry("a", 4, &7_u32.to_le_bytes()),
                &entry("b", 5, &(-7_i32).to_le_bytes()),
                &entry("c", 6, &0.5_f32.to_le_bytes()),
                &entry("d", 7, &[1]),
                &entry("e", 8, &text("words")),
                &entry("f", 9, &list(2, 2, &[1, 0, 2, 0])),
                &entry("g", 9, &list(8, 1, &text("forgotten"))),
                &entry(TOKENS, 9, &list(8, 2, &[text("kept"), text("too")].concat())),
            ],
            &[&tensor("x", &[32, 2], 8, 0), &tensor("y", &[3], 0, 96)],
        );
        let header = Header::read(&bytes[..], bytes.len() as u64).unwrap();
        let whole = |number| Value::Number(Number::Whole(number));
        for (key, expected) in [
            ("a", whole(7)),
            ("b", whole(-7)),
            ("d", Value::Bool(true)),
            ("e", Value::Text(b"words".into())),
        ] {
            assert_eq!(header.value(key), Some(&expected), "{key}");
        }
        let expected = Items::Numbers(vec![Number::Whole(1), Number::Whole(2)]);
        assert!(matches!(header.value("f"), Some(Value::List { items, .. }) if *items == expected));
        let expected = Items::Texts(vec![b"kept".into(), b"too".into()]);
        assert!(matches!(header.value(TOKENS), Some(Value::List { items, .. }) if *items == expected));
        assert_eq!(header.tensors.iter().map(|tensor| tensor.bytes).collect::<Vec<_>>(), [68, 12]);
        assert_eq!(header.data_offset % 32, 0);
        for length in 0..bytes.len() {
            assert!(
                Header::read(&bytes[..length], length as u64).is_err(),
                "the first {length} bytes are no file"
            );
        }
    }

    #[test]
    fn nothing_is_believed() {
        let huge = u64::MAX.to_le_bytes();
        let huge_list = |kind: u32| entry("k", 9, &[&kind.to_le_bytes()[..], &huge].concat());
        let cases = [
            ([&header(3)[..8], &huge, &huge].concat(), "tensors, at most"),
            (file(&[&huge], &[]), "ends inside a metadata key"),
            (file(&[&text("")], &[]), "without a name"),
            (file(&[&entry("k", 13, &[])], &[]), "unknown type 13"),
            (file(&[&huge_list(8)], &[]), "at most 4194304"),
            (file(&[&huge_list(0)], &[]), "at most"),
            (file(&[&huge_list(9)], &[]), "list of lists"),
            (file(&[&entry("k", 8, &huge)], &[]), "ends inside `k`"),
            (file(&[&entry("k", 7, &[1]), &entry("k", 7, &[1])], &[]), "`k` twice"),
            (
                file(&[&entry("general.alignment", 4, &24_u32.to_le_bytes())], &[]),
                "`24`, expected a power of 2",
            ),
            (
                file(&[&entry("general.alignment", 8, &text("32"))], &[]),
                "`32`, expected a power of 2",
            ),
            (file(&[], &[&tensor("t", &[1; 5], 0, 0)]), "5 dimensions"),
            (file(&[], &[&tensor("t", &[1, 0], 0, 0)]), "no numbers"),
            (file(&[], &[&tensor("t", &[u64::MAX, 2], 0, 0)]), "too large"),
            (file(&[], &[&tensor("t", &[1 << 31, 1 << 31], 27, 0)]), "too large"),
            (file(&[], &[&tensor("t", &[33], 8, 0)]), "no multiple of the 32"),
            (file(&[], &[&tensor("t", &[32], 4, 0)]), "unknown number format 4"),
            (file(&[], &[&tensor("t", &[8], 0, 0), &tensor("t", &[8], 0, 32)]), "`t` twice"),
            (file(&[], &[&tensor("t", &[8], 0, 0), &tensor("u", &[8], 0, 64)]), "expected 32"),
            (file(&[], &[&tensor(&"n".repeat(64), &[8], 0, 0)]), "64 bytes, at most 63"),
        ];
        for (bytes, expected) in cases {
            let reason = reason(&bytes);
            assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
        }
    }
}
