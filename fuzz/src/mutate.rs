//! Changes a file a little, and makes the files to begin with.

use crate::random::Random;

const LARGEST_FILE: usize = 1 << 14;
const NUMBERS: [u64; 14] = [0, 1, 2, 4, 8, 9, 32, 255, 65_536, 1 << 31, 1 << 32, 1 << 62, 1 << 63, u64::MAX];

/// `file` with one to eight changes; `other` lends it pieces.
pub(crate) fn mutated(random: &mut Random, file: &[u8], other: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    for _ in 0..=random.below(8) {
        change(random, &mut file, other);
    }
    file.truncate(LARGEST_FILE);
    file
}

fn change(random: &mut Random, file: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(file.len());
    match random.below(8) {
        0 if !file.is_empty() => file[at] ^= 1 << random.below(8),
        1 if !file.is_empty() => file[at] = random.below(256) as u8,
        2 => overwrite(file, at, &NUMBERS[random.below(NUMBERS.len())].to_le_bytes()),
        3 => overwrite(file, at, &(NUMBERS[random.below(NUMBERS.len())] as u32).to_le_bytes()),
        4 => {
            let end = (at + 1 + random.below(64)).min(file.len());
            file.drain(at..end);
        }
        5 => {
            let from = random.below(other.len());
            let piece = &other[from..(from + 1 + random.below(128)).min(other.len())];
            file.splice(at..at, piece.iter().copied());
        }
        6 => {
            let from = random.below(other.len());
            let piece = other[from..(from + 1 + random.below(128)).min(other.len())].to_vec();
            overwrite(file, at, &piece);
        }
        _ => file.truncate(at.max(24)),
    }
}

fn overwrite(file: &mut [u8], at: usize, bytes: &[u8]) {
    let length = bytes.len().min(file.len().saturating_sub(at));
    file[at..at + length].copy_from_slice(&bytes[..length]);
}

/// A small model with an entry of every kind, and the same with experts and with lists for its layers.
pub(crate) fn first_files() -> Vec<Vec<u8>> {
    let number = |number: u32| (4, number.to_le_bytes().to_vec());
    let texts = |texts: &[&str]| {
        let items: Vec<u8> = texts.iter().flat_map(|one| text(one)).collect();
        (9, [&8_u32.to_le_bytes()[..], &(texts.len() as u64).to_le_bytes(), &items].concat())
    };
    let numbers = |kind: u32, numbers: &[u32]| {
        let items: Vec<u8> = numbers.iter().flat_map(|one| one.to_le_bytes()).collect();
        (9, [&kind.to_le_bytes()[..], &(numbers.len() as u64).to_le_bytes(), &items].concat())
    };
    let mut entries: Vec<(&str, (u32, Vec<u8>))> = vec![
        ("general.architecture", (8, text("a"))),
        ("general.alignment", number(32)),
        ("a.block_count", number(2)),
        ("a.context_length", number(64)),
        ("a.embedding_length", number(32)),
        ("a.attention.head_count", number(4)),
        ("a.attention.head_count_kv", number(2)),
        ("a.attention.key_length", number(8)),
        ("a.attention.layer_norm_rms_epsilon", (6, 1e-5_f32.to_le_bytes().to_vec())),
        ("a.rope.scaling.type", (8, text("yarn"))),
        ("a.use_it", (7, vec![1])),
        ("a.wide", (10, 7_u64.to_le_bytes().to_vec())),
        ("a.exact", (12, 7_f64.to_le_bytes().to_vec())),
        ("split.count", (2, vec![1, 0])),
        ("tokenizer.ggml.tokens", texts(&["x", "y", "", "z"])),
        ("tokenizer.ggml.scores", numbers(6, &[0; 4])),
        ("tokenizer.ggml.token_type", numbers(5, &[1; 4])),
        ("tokenizer.ggml.merges", texts(&["x y", "y z"])),
    ];
    let tensors = [("token_embd.weight", vec![32, 4], 8), ("blk.0.attn_norm.weight", vec![32], 0)];
    let plain = file(&entries, &tensors);
    entries.retain(|(key, _)| !key.starts_with("a.attention.head_count"));
    entries.extend([
        ("a.attention.head_count", numbers(4, &[4, 4])),
        ("a.expert_count", number(8)),
        ("a.expert_used_count", number(2)),
        ("a.expert_group_count", number(4)),
        ("a.expert_group_used_count", number(2)),
        ("a.nextn_predict_layers", number(1)),
    ]);
    vec![plain, file(&entries, &tensors)]
}

fn file(entries: &[(&str, (u32, Vec<u8>))], tensors: &[(&str, Vec<u64>, u32)]) -> Vec<u8> {
    let mut bytes = [&b"GGUF"[..], &3_u32.to_le_bytes()].concat();
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((entries.len() as u64).to_le_bytes());
    for (key, (kind, value)) in entries {
        bytes.extend(text(key));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(value);
    }
    let mut offset = 0_u64;
    for (name, lengths, format) in tensors {
        bytes.extend(text(name));
        bytes.extend((lengths.len() as u32).to_le_bytes());
        lengths.iter().for_each(|length| bytes.extend(length.to_le_bytes()));
        bytes.extend(format.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        // The first, four rows of 34 bytes, takes as much with what follows it; there are but two.
        offset += 160;
    }
    bytes.resize(bytes.len().next_multiple_of(32) + 512, 0);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}
