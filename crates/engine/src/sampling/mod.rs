//! Sampling options and constraints → which token comes next.
//!
//! Decides which steps there are and in which order; what a filter does is llama.cpp's. The order is that of
//! [`SamplingOptions`]. Knows the answer's tokens, not the prompt, and nothing of text that is shown.

mod constraint;
mod dry;
mod gbnf;
mod json_schema;
mod logprobs;
mod numbers;
mod options;
mod penalties;
mod tokens;

use std::sync::Arc;

use self::constraint::Constrained;
pub use self::constraint::Constraint;
use self::dry::Dry;
pub use self::logprobs::{TokenLogprobs, top_logprobs};
pub use self::options::{BiasTarget, DryRepeatPenalty, Mirostat, MirostatVersion, RepeatPenalty, SamplingOptions, TokenBias, Xtc};
use crate::error::{Error, Result};
use crate::llama::{AbortFlag, Model, SamplerChain, SamplerStage, Token, Vocabulary, argmax};
pub use crate::llama::{GrammarTrigger, ToolGrammar};

/// Chooses the tokens of one generation.
#[derive(Debug)]
pub struct Sampler {
    /// `None` when nothing changes the logits.
    adjustments: Option<Adjustments>,
    choice: Choice,
    constraint: Option<Constrained>,
    /// The constraint is not looked at for now.
    is_free: bool,
}

impl Sampler {
    /// A sampler for one generation. A constraint that takes long ends early when `abort` is set, now or later, with [`Error::Aborted`].
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a token that the model does not have, [`Error::InvalidGrammar`] and [`Error::UnsupportedSchema`] for a
    /// constraint that cannot be held.
    pub fn new(options: &SamplingOptions, constraint: Option<&Constraint>, model: &Model, abort: &AbortFlag) -> Result<Self> {
        let constraint = constraint
            .map(|constraint| Constrained::new(constraint, model, abort))
            .transpose()?;
        Ok(Self {
            adjustments: Adjustments::new(options, model)?,
            choice: Choice::new(options, model.info().vocabulary_size),
            constraint: constraint.flatten(),
            is_free: false,
        })
    }

    /// Whether the constraint counts for the tokens that come: it is about the answer, not about what the model thinks before.
    pub fn set_constrained(&mut self, is_constrained: bool) {
        self.is_free = !is_constrained;
    }

    /// Chooses the next token from the model's logits. It counts only when it is accepted.
    ///
    /// # Errors
    /// [`Error::DecodeFailed`] when the model computed no numbers, [`Error::ConstraintFailed`] when no token fits the constraint, or when
    /// every token is forbidden.
    pub fn sample(&mut self, logits: &[f32]) -> Result<Token> {
        let adjusted = match &mut self.adjustments {
            Some(adjustments) => adjustments.adjust(logits),
            None => logits,
        };
        let token = match &mut self.constraint {
            Some(constraint) if !self.is_free => constraint.choose(&mut self.choice, adjusted)?,
            _ => self.choice.choose(adjusted),
        };
        token.ok_or_else(|| match argmax(logits) {
            Some(_) => Error::ConstraintFailed {
                reason: "`tokenBias` and `ignoreEos` forbid every token of the model".into(),
            },
            None => Error::DecodeFailed {
                reason: "the model computed no usable logits".into(),
            },
        })
    }

    /// The likeliest token by the logits and the biases and penalties on them, whatever the constraint.
    pub fn likeliest(&mut self, logits: &[f32]) -> Option<Token> {
        match &mut self.adjustments {
            Some(adjustments) => argmax(adjustments.adjust(logits)),
            None => argmax(logits),
        }
    }

    /// Takes notice of a token that becomes part of the answer, chosen here or forced by the caller. Not called for the token that ends it.
    ///
    /// # Errors
    /// [`Error::ConstraintFailed`] for a forced token that does not fit.
    pub fn accept(&mut self, token: Token) -> Result<()> {
        if let Some(constraint) = self.constraint.as_mut().filter(|_| !self.is_free) {
            constraint.accept(token)?;
        }
        if let Some(adjustments) = &mut self.adjustments {
            adjustments.accept(token);
        }
        Ok(())
    }

    /// Whether the answer so far satisfies the constraint; true without one.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.constraint.as_ref().is_none_or(Constrained::is_complete)
    }
}

/// What changes logits before a token is chosen.
#[derive(Debug)]
struct Adjustments {
    bias: Vec<(Token, f32)>,
    repeat_penalty: Option<RepeatPenalty>,
    dry: Option<Dry>,
    vocabulary: Arc<Vocabulary>,
    answer: Vec<Token>,
    /// Kept between tokens.
    logits: Vec<f32>,
}

impl Adjustments {
    fn new(options: &SamplingOptions, model: &Model) -> Result<Option<Self>> {
        let repeat_penalty = options.repeat_penalty.filter(penalizes);
        let dry = options.dry_repeat_penalty.as_ref().filter(|dry| dry.strength != 0.0);
        if options.token_bias.is_empty() && !options.ignore_eos && repeat_penalty.is_none() && dry.is_none() {
            return Ok(None);
        }
        let vocabulary = model.vocabulary();
        Ok(Some(Self {
            bias: bias(options, model)?,
            repeat_penalty,
            dry: dry.map(|dry| Dry::new(dry, Arc::clone(vocabulary))),
            vocabulary: Arc::clone(vocabulary),
            answer: Vec::new(),
            logits: Vec::new(),
        }))
    }

    fn adjust(&mut self, logits: &[f32]) -> &[f32] {
        self.logits.clear();
        self.logits.extend_from_slice(logits);
        penalties::add_bias(&mut self.logits, &self.bias);
        if let Some(options) = &self.repeat_penalty {
            penalties::penalize_repetition(&mut self.logits, &self.answer, options, &self.vocabulary);
        }
        if let Some(dry) = &self.dry {
            dry.apply(&mut self.logits);
        }
        &self.logits
    }

    fn accept(&mut self, token: Token) {
        self.answer.push(token);
        if let Some(dry) = &mut self.dry {
            dry.accept(token);
        }
    }
}

#[expect(clippy::float_cmp, reason = "exactly 1 is off, anything else is meant")]
fn penalizes(options: &RepeatPenalty) -> bool {
    options.penalty != 1.0 || options.frequency_penalty != 0.0 || options.presence_penalty != 0.0
}

/// Each token with what is added to its logit.
fn bias(options: &SamplingOptions, model: &Model) -> Result<Vec<(Token, f32)>> {
    /// Larger ones make no difference, and their sum must stay finite.
    const HIGHEST: f32 = 1e30;
    let vocabulary = model.vocabulary();
    let mut bias = Vec::new();
    for entry in &options.token_bias {
        if entry.bias.is_nan() {
            return Err(invalid_bias(entry.bias, "a number, or negative infinity for never"));
        }
        let tokens = match &entry.target {
            BiasTarget::Token(id) if vocabulary.contains(Token::new(*id)) => vec![Token::new(*id)],
            BiasTarget::Token(id) => {
                let expected = format!("a token of the model, 0 to {}", vocabulary.len().saturating_sub(1));
                return Err(invalid_bias(id, &expected));
            }
            BiasTarget::Text(text) => model.tokenize_text(text, false)?,
        };
        let value = if entry.bias == f32::NEG_INFINITY {
            entry.bias
        } else {
            entry.bias.clamp(-HIGHEST, HIGHEST)
        };
        bias.extend(tokens.into_iter().map(|token| (token, value)));
    }
    if options.ignore_eos {
        bias.extend(vocabulary.end_of_generation().iter().map(|token| (*token, f32::NEG_INFINITY)));
    }
    Ok(bias)
}

fn invalid_bias(value: impl ToString, expected: &str) -> Error {
    Error::InvalidOption {
        name: "tokenBias".into(),
        value: value.to_string(),
        expected: expected.into(),
    }
}

/// How one of the tokens is chosen when the logits are settled.
#[derive(Debug)]
enum Choice {
    /// The likeliest token.
    Greedy,
    /// Filters and a draw. With Mirostat it learns from each draw.
    Chain { chain: SamplerChain, learns: bool },
}

impl Choice {
    fn new(options: &SamplingOptions, n_vocab: u32) -> Self {
        /// Dividing logits by less overflows them; the likeliest token would win anyway.
        const GREEDY_BELOW: f32 = 1e-3;
        if options.temperature < GREEDY_BELOW {
            return Self::Greedy;
        }
        let seed = options.seed.unwrap_or_else(random_seed);
        Self::Chain {
            chain: SamplerChain::new(&stages(options, seed, n_vocab)),
            learns: options.mirostat.is_some(),
        }
    }

    /// Chooses a token; `None` when the highest logit is not finite.
    fn choose(&mut self, logits: &[f32]) -> Option<Token> {
        match self {
            Self::Greedy => argmax(logits),
            Self::Chain { chain, .. } => chain.sample(logits),
        }
    }

    /// Whether a choice changes the next one beyond the random numbers, so that none must be made in vain.
    fn learns(&self) -> bool {
        matches!(self, Self::Chain { learns: true, .. })
    }
}

fn stages(options: &SamplingOptions, seed: u32, n_vocab: u32) -> Vec<SamplerStage> {
    let temperature = SamplerStage::Temperature(options.temperature);
    if let Some(Mirostat { version, tau, eta }) = options.mirostat {
        let n_vocab = i32::try_from(n_vocab).unwrap_or(i32::MAX);
        let draw = match version {
            MirostatVersion::V1 => SamplerStage::MirostatV1 { n_vocab, tau, eta, seed },
            MirostatVersion::V2 => SamplerStage::MirostatV2 { tau, eta, seed },
        };
        return vec![temperature, draw];
    }
    // Not the same random numbers as the draw: a removal would go with a certain place in it.
    let xtc_seed = (seed ^ 0x9E37_79B9) % u32::MAX;
    let xtc = options.xtc.filter(|xtc| xtc.probability > 0.0).map(|xtc| SamplerStage::Xtc {
        probability: xtc.probability,
        threshold: xtc.threshold,
        seed: xtc_seed,
    });
    let filters = [
        (options.top_n_sigma > 0.0).then_some(SamplerStage::TopNSigma(options.top_n_sigma)),
        (options.top_k > 0).then_some(SamplerStage::TopK(options.top_k)),
        (options.typical_p < 1.0).then_some(SamplerStage::TypicalP(options.typical_p)),
        (options.top_p < 1.0).then_some(SamplerStage::TopP(options.top_p)),
        (options.min_p > 0.0).then_some(SamplerStage::MinP(options.min_p)),
        xtc,
    ];
    let draw = [temperature, SamplerStage::Distribution { seed }];
    filters.into_iter().flatten().chain(draw).collect()
}

/// A seed nobody can predict, drawn once for a generation. Below the value by which llama.cpp means "random".
fn random_seed() -> u32 {
    getrandom::u32().unwrap_or(0) % u32::MAX
}

#[cfg(test)]
mod tests;
