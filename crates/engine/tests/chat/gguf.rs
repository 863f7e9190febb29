//! Changes the metadata of a GGUF file: parses it into entries, and writes it anew with the same tensors.

/// One metadata entry: its key, and its type and value as they stand in the file.
#[derive(Clone, Debug)]
struct Entry {
    key: Vec<u8>,
    value: Vec<u8>,
}

/// A GGUF file taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Gguf {
    version: u32,
    n_tensors: u64,
    entries: Vec<Entry>,
    tensor_infos: Vec<u8>,
    tensors: Vec<u8>,
}

const INT32: u32 = 5;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const LIST: u32 = 9;
const ALIGNMENT: usize = 32;

struct Reader<'file> {
    bytes: &'file [u8],
    at: usize,
}

impl<'file> Reader<'file> {
    fn take(&mut self, length: usize) -> &'file [u8] {
        self.at += length;
        &self.bytes[self.at - length..self.at]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn text(&mut self) -> &'file [u8] {
        let length = usize::try_from(self.u64()).unwrap();
        self.take(length)
    }

    fn skip_value(&mut self, kind: u32) {
        match kind {
            0 | 1 | BOOL => drop(self.take(1)),
            2 | 3 => drop(self.take(2)),
            4..=6 => drop(self.take(4)),
            TEXT => drop(self.text()),
            LIST => {
                let kind = self.u32();
                for _ in 0..self.u64() {
                    self.skip_value(kind);
                }
            }
            _ => drop(self.take(8)),
        }
    }
}

impl Gguf {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut reader = Reader { bytes, at: 4 };
        let (version, n_tensors, n_entries) = (reader.u32(), reader.u64(), reader.u64());
        let entries = (0..n_entries).map(|_| entry(&mut reader)).collect();
        let infos_start = reader.at;
        for _ in 0..n_tensors {
            reader.text();
            let dimensions = usize::try_from(reader.u32()).unwrap();
            reader.take(8 * dimensions + 4 + 8);
        }
        Self {
            version,
            n_tensors,
            entries,
            tensor_infos: bytes[infos_start..reader.at].to_vec(),
            tensors: bytes[reader.at.next_multiple_of(ALIGNMENT)..].to_vec(),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.n_tensors.to_le_bytes());
        bytes.extend((self.entries.len() as u64).to_le_bytes());
        for entry in &self.entries {
            bytes.extend(text(&entry.key));
            bytes.extend(&entry.value);
        }
        bytes.extend(&self.tensor_infos);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes.extend(&self.tensors);
        bytes
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.entries.retain(|entry| entry.key != key.as_bytes());
    }

    pub(crate) fn set_bool(&mut self, key: &str, value: bool) {
        *self.value(key) = [&BOOL.to_le_bytes()[..], &[u8::from(value)]].concat();
    }

    /// The vocabulary's texts.
    pub(crate) fn tokens(&mut self) -> Vec<String> {
        self.texts("tokenizer.ggml.tokens")
    }

    fn texts(&mut self, key: &str) -> Vec<String> {
        let value = self.value(key).clone();
        let mut reader = Reader { bytes: &value, at: 8 };
        (0..reader.u64())
            .map(|_| String::from_utf8(reader.text().to_vec()).unwrap())
            .collect()
    }

    fn set_texts(&mut self, key: &str, texts: &[String]) {
        let mut value = list_of(TEXT, texts.len());
        value.extend(texts.iter().flat_map(|one| text(one.as_bytes())));
        *self.value(key) = value;
    }

    /// Gives the last tokens of the vocabulary these texts, and makes control tokens of them. No text becomes the tokens that were there before.
    pub(crate) fn add_control_tokens(&mut self, texts: &[String]) {
        let mut tokens = self.tokens();
        let first = tokens.len() - texts.len();
        let gone: Vec<String> = tokens.splice(first.., texts.iter().cloned()).collect();
        self.set_texts("tokenizer.ggml.tokens", &tokens);
        self.set_control(first..tokens.len());
        let mut merges = self.texts("tokenizer.ggml.merges");
        merges
            .retain(|merge| !merge.split(' ').any(|part| gone.iter().any(|text| text == part)) && !gone.contains(&merge.replace(' ', "")));
        self.set_texts("tokenizer.ggml.merges", &merges);
    }

    fn set_control(&mut self, tokens: std::ops::Range<usize>) {
        const HEAD: usize = 4 + 4 + 8;
        const CONTROL: i32 = 3;
        let types = self.value("tokenizer.ggml.token_type");
        assert_eq!(types[4..8], INT32.to_le_bytes());
        for token in tokens {
            types[HEAD + 4 * token..HEAD + 4 * (token + 1)].copy_from_slice(&CONTROL.to_le_bytes());
        }
    }

    fn value(&mut self, key: &str) -> &mut Vec<u8> {
        let entry = self.entries.iter_mut().find(|entry| entry.key == key.as_bytes());
        &mut entry.expect("the key").value
    }
}

fn entry(reader: &mut Reader<'_>) -> Entry {
    let key = reader.text().to_vec();
    let start = reader.at;
    let kind = reader.u32();
    reader.skip_value(kind);
    Entry {
        key,
        value: reader.bytes[start..reader.at].to_vec(),
    }
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}

fn list_of(kind: u32, length: usize) -> Vec<u8> {
    [&LIST.to_le_bytes()[..], &kind.to_le_bytes(), &(length as u64).to_le_bytes()].concat()
}
