//! The options by which tokens are chosen, and what they mean. Plain data; ranges are checked where options enter.

/// How a token is chosen from the model's logits.
///
/// The order of the steps is: token bias and `ignore_eos`, repeat penalty, DRY, top-n-sigma, top-k, typical-p, top-p, min-p, XTC,
/// temperature, and a draw. With Mirostat: bias, penalties, DRY, temperature, Mirostat.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingOptions {
    /// 0 always takes the likeliest token; higher is more random. Below a thousandth counts as 0. Default 0.
    pub temperature: f32,
    /// Only the k likeliest tokens; 0 or less = all. Default 40.
    pub top_k: i32,
    /// Only the likeliest tokens whose probabilities sum to this; 1 = all. Default 0.95.
    pub top_p: f32,
    /// Only tokens at least this times as likely as the likeliest; 0 = all. Default 0.
    pub min_p: f32,
    /// Only the tokens whose surprise is nearest to the expected one, until their probabilities sum to this; 1 = all. Default 1.
    /// From [Locally Typical Sampling](https://arxiv.org/abs/2202.00666).
    pub typical_p: f32,
    /// Only tokens whose logit is at most this many standard deviations below the highest; 0 or less = all. Default 0.
    /// From [Top-nσ](https://arxiv.org/abs/2411.07641).
    pub top_n_sigma: f32,
    /// Sometimes leaves the likeliest tokens out. Default off.
    pub xtc: Option<Xtc>,
    /// Makes tokens of the answer less likely. Default off.
    pub repeat_penalty: Option<RepeatPenalty>,
    /// Makes what continues a repeated sequence of the answer less likely. Default off.
    pub dry_repeat_penalty: Option<DryRepeatPenalty>,
    /// Holds the surprise of the text instead of filtering by the options above it. Default off.
    pub mirostat: Option<Mirostat>,
    /// Makes tokens more or less likely; several for one token add up. Default none.
    pub token_bias: Vec<TokenBias>,
    /// Never ends the answer: tokens that would are never chosen, unless a finished constraint leaves nothing else. Default false.
    pub ignore_eos: bool,
    /// Equal seeds give equal texts; `None` draws one for the generation.
    pub seed: Option<u32>,
}

impl Default for SamplingOptions {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.0,
            typical_p: 1.0,
            top_n_sigma: 0.0,
            xtc: None,
            repeat_penalty: None,
            dry_repeat_penalty: None,
            mirostat: None,
            token_bias: Vec::new(),
            ignore_eos: false,
            seed: None,
        }
    }
}

/// Exclude Top Choices: removes all likely tokens but the least likely of them. From
/// [text-generation-webui #6335](https://github.com/oobabooga/text-generation-webui/pull/6335).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Xtc {
    /// How often, 0…1.
    pub probability: f32,
    /// From which probability on a token is a likely one; above 0.5 nothing is ever removed.
    pub threshold: f32,
}

/// Makes the tokens less likely that are among the last ones of this answer. The prompt does not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RepeatPenalty {
    /// Divides positive logits and multiplies negative ones; 1 = off, above 0. Default 1.1.
    pub penalty: f32,
    /// How many tokens back. Default 64.
    pub last_tokens: u32,
    /// Subtracted once for each time the token is there. Default 0.
    pub frequency_penalty: f32,
    /// Subtracted once when the token is there. Default 0.
    pub presence_penalty: f32,
    /// Whether line breaks count too: tokens of nothing but white space with a `\n` among it. Default false.
    pub penalize_new_line: bool,
}

impl Default for RepeatPenalty {
    fn default() -> Self {
        Self {
            penalty: 1.1,
            last_tokens: 64,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            penalize_new_line: false,
        }
    }
}

/// Don't Repeat Yourself: a token that would continue a repetition of length n loses `strength · base ^ (n - allowed_length)`. From
/// [text-generation-webui #5677](https://github.com/oobabooga/text-generation-webui/pull/5677). The prompt does not count.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRepeatPenalty {
    /// How strong; 0 = off. Default 0.8.
    pub strength: f32,
    /// How fast the penalty grows with the length, from 1. Default 1.75.
    pub base: f32,
    /// The longest repetition without penalty, in tokens. Default 2.
    pub allowed_length: u32,
    /// How many tokens back; `None` = the whole answer. Default `None`.
    pub last_tokens: Option<u32>,
    /// Texts over which no repetition reaches. Default line break, colon, quotation mark and asterisk.
    pub sequence_breakers: Vec<String>,
}

impl Default for DryRepeatPenalty {
    fn default() -> Self {
        Self {
            strength: 0.8,
            base: 1.75,
            allowed_length: 2,
            last_tokens: None,
            sequence_breakers: ["\n", ":", "\"", "*"].map(String::from).to_vec(),
        }
    }
}

/// Chooses so that the text stays equally surprising. From [Mirostat](https://arxiv.org/abs/2007.14966).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mirostat {
    /// Which algorithm.
    pub version: MirostatVersion,
    /// The surprise to hold, in bits. Default 5.
    pub tau: f32,
    /// How fast to correct, 0…1. Default 0.1.
    pub eta: f32,
}

impl Default for Mirostat {
    fn default() -> Self {
        Self {
            version: MirostatVersion::V2,
            tau: 5.0,
            eta: 0.1,
        }
    }
}

/// The two algorithms of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirostatVersion {
    /// Estimates how the probabilities fall off.
    V1,
    /// Cuts off by surprise alone.
    V2,
}

/// Makes tokens more or less likely.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenBias {
    /// Which.
    pub target: BiasTarget,
    /// Added to the logit; negative infinity = never.
    pub bias: f32,
}

/// What a bias is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BiasTarget {
    /// A token by its number.
    Token(i32),
    /// Each token that this text is made of, as in llama-server's `logit_bias`.
    Text(String),
}
