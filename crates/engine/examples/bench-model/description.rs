//! What a model is made of, as `bench/models.js` describes it.

use std::fs;
use std::path::Path;

use llama_worker_engine::llama::WeightFormat;
use serde_json::Value;

use super::Result;
use super::gguf::Metadata;
use super::vocabulary::Vocabulary;

pub(crate) struct Description {
    name: String,
    pub(crate) layers: u32,
    pub(crate) embedding: u32,
    pub(crate) heads: u32,
    pub(crate) kv_heads: u32,
    pub(crate) feed_forward: u32,
    pub(crate) vocabulary: u32,
    /// Whether the last matrix is the first one.
    pub(crate) is_tied: bool,
    context_size: u32,
    /// The letters of which words are made.
    pub(crate) consonants: String,
    pub(crate) vowels: String,
    template: String,
    /// After so many tokens the model says the same again; 0 = it does not repeat itself.
    pub(crate) period: u32,
    /// How llama.cpp stores the weights.
    pub(crate) format: WeightFormat,
}

impl Description {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).map_err(|error| format!("`{}`: {error}", file.display()))?;
        let value: Value = serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", file.display()))?;
        Ok(Self {
            name: text_of(&value, "name")?,
            layers: number_of(&value, "layers")?,
            embedding: number_of(&value, "embedding")?,
            heads: number_of(&value, "heads")?,
            kv_heads: number_of(&value, "kvHeads")?,
            feed_forward: number_of(&value, "feedForward")?,
            vocabulary: number_of(&value, "vocabulary")?,
            is_tied: value["isTied"] == true,
            context_size: number_of(&value, "contextSize")?,
            consonants: text_of(&value, "consonants")?,
            vowels: text_of(&value, "vowels")?,
            template: text_of(&value, "template")?,
            period: number_of(&value, "period")?,
            format: match value["quantization"].as_str() {
                Some("Q8_0") => WeightFormat::Q8_0,
                Some("Q4_K_M") => WeightFormat::Q4KM,
                other => return Err(format!("`quantization` is `{other:?}`, expected Q8_0 or Q4_K_M")),
            },
        })
    }

    /// The numbers in a head's key.
    pub(crate) fn head_length(&self) -> u32 {
        self.embedding / self.heads
    }

    pub(crate) fn metadata(&self, vocabulary: &Vocabulary) -> Metadata {
        let mut metadata = Metadata::default();
        metadata.text("general.architecture", "llama");
        metadata.text("general.name", &self.name);
        metadata.number("llama.block_count", self.layers);
        metadata.number("llama.context_length", self.context_size);
        metadata.number("llama.embedding_length", self.embedding);
        metadata.number("llama.feed_forward_length", self.feed_forward);
        metadata.number("llama.attention.head_count", self.heads);
        metadata.number("llama.attention.head_count_kv", self.kv_heads);
        metadata.fraction("llama.attention.layer_norm_rms_epsilon", 1e-5);
        metadata.number("llama.rope.dimension_count", self.head_length());
        metadata.fraction("llama.rope.freq_base", 10_000.0);
        metadata.number("llama.vocab_size", self.vocabulary);
        metadata.text("tokenizer.chat_template", &self.template);
        vocabulary.describe(&mut metadata);
        metadata
    }
}

fn text_of(value: &Value, key: &str) -> Result<String> {
    let text = value[key].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("`{key}` is `{}`, expected a text", value[key]))
}

fn number_of(value: &Value, key: &str) -> Result<u32> {
    let number = value[key].as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("`{key}` is `{}`, expected a whole number", value[key]))
}
