//! Puts the bytes of small GGUF files together for tests, right or wrong.

/// A file with the given metadata entries and tensors, as bytes.
pub(super) fn file(entries: &[&[u8]], tensors: &[&[u8]]) -> Vec<u8> {
    let counts = [tensors.len() as u64, entries.len() as u64].map(u64::to_le_bytes).concat();
    [
        &b"GGUF".to_vec(),
        &3_u32.to_le_bytes().to_vec(),
        &counts,
        &entries.concat(),
        &tensors.concat(),
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect()
}

pub(super) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

pub(super) fn entry(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(key), &kind.to_le_bytes()[..], value].concat()
}

pub(super) fn tensor(name: &str, dimensions: &[u64], format: u32, offset: u64) -> Vec<u8> {
    let lengths: Vec<u8> = dimensions.iter().flat_map(|length| length.to_le_bytes()).collect();
    let count = u32::try_from(dimensions.len()).unwrap().to_le_bytes();
    [&text(name), &count[..], &lengths, &format.to_le_bytes(), &offset.to_le_bytes()].concat()
}

/// A list of 32-bit numbers, as a value.
pub(super) fn numbers(kind: u32, numbers: &[u32]) -> Vec<u8> {
    let items: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    [&kind.to_le_bytes()[..], &(numbers.len() as u64).to_le_bytes(), &items].concat()
}

/// A list of texts, as a value.
pub(super) fn texts(texts: &[&str]) -> Vec<u8> {
    let items: Vec<u8> = texts.iter().flat_map(|one| text(one)).collect();
    [&8_u32.to_le_bytes()[..], &(texts.len() as u64).to_le_bytes(), &items].concat()
}
