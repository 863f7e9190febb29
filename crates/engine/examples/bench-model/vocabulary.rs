//! A byte-pair vocabulary of invented words, of any size, with the merges that lead to each token.
//!
//! Syllables of a consonant and a vowel, pairs of them, both with a space before, and then longer ones until it is full. Every pair with a
//! space before it is one token, so `bench/prompts.js` can write a text of a given number of tokens.

use std::ops::Range;

use super::Result;
use super::description::Description;
use super::gguf::Metadata;

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const BEGIN: u32 = 1;
const END: u32 = 2;
/// How byte-level vocabularies write a space.
const SPACE: &str = "Ġ";

pub(crate) struct Vocabulary {
    tokens: Vec<String>,
    merges: Vec<String>,
    /// The tokens that are a whole word with a space before it.
    pub(crate) words: Range<u32>,
}

impl Vocabulary {
    pub(crate) fn new(description: &Description) -> Result<Self> {
        let mut vocabulary = Self {
            tokens: SPECIAL.iter().map(ToString::to_string).chain(byte_tokens()).collect(),
            merges: Vec::new(),
            words: 0..0,
        };
        vocabulary.fill(description);
        let (wanted, size) = (description.vocabulary as usize, vocabulary.tokens.len());
        if size == wanted && !vocabulary.words.is_empty() {
            return Ok(vocabulary);
        }
        Err(format!("`vocabulary` is `{wanted}`, these letters make {size} tokens at most"))
    }

    /// In the order of the merges: what is longer is made of what came before, and a tokenizer prefers what came before.
    fn fill(&mut self, description: &Description) {
        let size = description.vocabulary as usize;
        let (consonants, vowels) = (description.consonants.chars(), description.vowels.as_str());
        let syllables: Vec<(String, String)> = consonants
            .flat_map(|consonant| vowels.chars().map(move |vowel| (consonant.to_string(), vowel.to_string())))
            .collect();
        let syllables = self.merge(syllables);
        let pairs = self.merge(product(&syllables, &syllables));
        self.merge(with_space(&syllables));
        let first_word = self.len();
        let words = self.merge(with_space(&pairs));
        self.words = first_word..self.len();
        let rest = size.saturating_sub(self.tokens.len());
        self.merge(product(&words, &syllables).into_iter().take(rest).collect());
    }

    /// Adds the token of each pair, and returns them.
    fn merge(&mut self, pairs: Vec<(String, String)>) -> Vec<String> {
        let mut merged = Vec::new();
        for (left, right) in pairs {
            self.merges.push(format!("{left} {right}"));
            merged.push(left + &right);
        }
        self.tokens.extend_from_slice(&merged);
        merged
    }

    fn len(&self) -> u32 {
        // OK because the description's size is of the same type.
        u32::try_from(self.tokens.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn describe(&self, metadata: &mut Metadata) {
        let kinds: Vec<i32> = (0..self.tokens.len())
            .map(|index| if index < SPECIAL.len() { CONTROL } else { NORMAL })
            .collect();
        metadata.text("tokenizer.ggml.model", "gpt2");
        metadata.text("tokenizer.ggml.pre", "gpt-2");
        metadata.texts("tokenizer.ggml.tokens", &self.tokens);
        metadata.numbers("tokenizer.ggml.token_type", &kinds);
        metadata.texts("tokenizer.ggml.merges", &self.merges);
        metadata.number("tokenizer.ggml.bos_token_id", BEGIN);
        metadata.number("tokenizer.ggml.eos_token_id", END);
        metadata.flag("tokenizer.ggml.add_bos_token", false);
    }
}

fn product(left: &[String], right: &[String]) -> Vec<(String, String)> {
    left.iter()
        .flat_map(|first| right.iter().map(move |second| (first.clone(), second.clone())))
        .collect()
}

fn with_space(texts: &[String]) -> Vec<(String, String)> {
    texts.iter().map(|text| (SPACE.to_owned(), text.clone())).collect()
}

/// Every byte as a visible character, as byte-level vocabularies write them: what is visible as itself, the rest from U+0100 on.
fn byte_tokens() -> Vec<String> {
    let mut next = 0x100;
    (0..=u8::MAX)
        .map(|byte| {
            if matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) {
                return char::from(byte).to_string();
            }
            next += 1;
            char::from_u32(next - 1).map(String::from).unwrap_or_default()
        })
        .collect()
}
