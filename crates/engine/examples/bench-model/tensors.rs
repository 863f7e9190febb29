//! The tensors of a llama-like model, with random numbers.
//!
//! Numbers are as large as training leaves them, so that values neither die out nor explode over the layers. Only the tokens of
//! whole words win: all others have so small rows in the last matrix that their scores are next to zero, and of hundreds of random scores the
//! largest is far above that. So an answer never ends by itself and is text at every token, for each of the programs that are compared.
//!
//! A model that repeats itself has so large embeddings that the layers add next to nothing to them, and a last matrix in which the row of
//! each word is the embedding of the one before it, in a circle.

use std::ops::Range;

use super::description::Description;
use super::gguf::{Format, Tensor};
use super::vocabulary::Vocabulary;

const EMBEDDING_DEVIATION: f32 = 0.02;
/// What the rows of tokens that are no words are multiplied with. Not 0: of nothing but zeros no layer makes anything.
const FAINT: f32 = 0.05;
/// Far above what a layer adds, which is about 1.
const REPEATING_DEVIATION: f32 = 100.0;
const EMBEDDING: &str = "token_embd.weight";

pub(crate) fn of(description: &Description, vocabulary: &Vocabulary) -> Vec<Tensor> {
    let embedding = description.embedding;
    let mut tensors = vec![
        words(EMBEDDING, description, vocabulary, Numbers::of(EMBEDDING)),
        ones("output_norm.weight", embedding),
    ];
    if !description.is_tied {
        tensors.push(words(
            "output.weight",
            description,
            vocabulary,
            last_numbers(description, vocabulary),
        ));
    }
    for layer in 0..description.layers {
        tensors.extend(layer_tensors(description, layer));
    }
    tensors
}

fn layer_tensors(description: &Description, layer: u32) -> Vec<Tensor> {
    let (embedding, feed_forward) = (description.embedding, description.feed_forward);
    let kv = description.kv_heads * description.head_length();
    let name = |part: &str| format!("blk.{layer}.{part}.weight");
    vec![
        ones(&name("attn_norm"), embedding),
        matrix(&name("attn_q"), embedding, embedding),
        matrix(&name("attn_k"), embedding, kv),
        matrix(&name("attn_v"), embedding, kv),
        matrix(&name("attn_output"), embedding, embedding),
        ones(&name("ffn_norm"), embedding),
        matrix(&name("ffn_gate"), embedding, feed_forward),
        matrix(&name("ffn_up"), embedding, feed_forward),
        matrix(&name("ffn_down"), feed_forward, embedding),
    ]
}

fn ones(name: &str, length: u32) -> Tensor {
    Tensor {
        name: name.to_owned(),
        format: Format::F32,
        columns: length,
        rows: 1,
        is_vector: true,
        row: Box::new(move |_, numbers| numbers.extend((0..length).map(|_| 1.0))),
    }
}

fn matrix(name: &str, columns: u32, rows: u32) -> Tensor {
    let wide = f64::from(columns);
    #[expect(clippy::cast_possible_truncation, reason = "a deviation needs no precision")]
    let deviation = wide.sqrt().recip() as f32;
    random(name, [columns, rows], deviation, 0..rows, Numbers::of(name))
}

/// A row for each token, a faint one for all that are no words.
fn words(name: &str, description: &Description, vocabulary: &Vocabulary, numbers: Numbers) -> Tensor {
    let is_embedding = name == EMBEDDING;
    let deviation = if is_embedding && description.period > 0 {
        REPEATING_DEVIATION
    } else {
        EMBEDDING_DEVIATION
    };
    let size = [description.embedding, description.vocabulary];
    random(name, size, deviation, vocabulary.words.clone(), numbers)
}

fn last_numbers(description: &Description, vocabulary: &Vocabulary) -> Numbers {
    if description.period == 0 {
        return Numbers::of("output.weight");
    }
    Numbers {
        circle: Some((vocabulary.words.start, description.period)),
        ..Numbers::of(EMBEDDING)
    }
}

/// Which random numbers a matrix has.
struct Numbers {
    seed: u64,
    /// Each row has the numbers of the row before it, in circles of so many rows from the given one on.
    circle: Option<(u32, u32)>,
}

impl Numbers {
    /// Those that belong to a name.
    fn of(name: &str) -> Self {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self {
            seed: name.bytes().fold(0xcbf2_9ce4_8422_2325, fold),
            circle: None,
        }
    }

    fn row(&self, row: u32) -> Random {
        let row = match self.circle {
            Some((first, period)) if row >= first => {
                let start = first + (row - first) / period * period;
                start + (row - start + period - 1) % period
            }
            _ => row,
        };
        Random::new(self.seed.wrapping_add(u64::from(row).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

/// Random numbers, faint ones outside the rows `strong`.
fn random(name: &str, [columns, rows]: [u32; 2], deviation: f32, strong: Range<u32>, numbers: Numbers) -> Tensor {
    Tensor {
        name: name.to_owned(),
        format: Format::Bf16,
        columns,
        rows,
        is_vector: false,
        row: Box::new(move |row, out| {
            let mut random = numbers.row(row);
            let factor = if strong.contains(&row) { deviation } else { deviation * FAINT };
            out.extend((0..columns).map(|_| random.normal() * factor));
        }),
    }
}

/// Marsaglia's xorshift with a multiplication behind it.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed | 1);
        // Seeds of neighbouring rows differ in few bits.
        for _ in 0..4 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Nearly normal, with deviation 1: the sum of four even numbers from 0 to 65535, less their mean, over the deviation of that sum.
    fn normal(&mut self) -> f32 {
        let bytes = self.next().to_le_bytes();
        let pairs = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let sum: f32 = pairs.map(f32::from).sum();
        (sum - 131_070.0) / 37_837.0
    }
}
