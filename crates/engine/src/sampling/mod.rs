//! Sampling options → the stages that choose a token.
//!
//! Decides which stages there are and in which order; what a stage does is llama.cpp's. The order is node-llama-cpp's: top-k, top-p,
//! min-p, temperature, then a draw.

use crate::error::{Error, Result};
use crate::llama::{SamplerChain, SamplerStage, Token, argmax};

/// How a token is chosen from the model's logits.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingOptions {
    /// 0 always takes the likeliest token; higher is more random. Below a thousandth counts as 0.
    pub temperature: f32,
    /// Only the k likeliest tokens; 0 or less = all.
    pub top_k: i32,
    /// Only the likeliest tokens whose probabilities sum to this; 1 = all.
    pub top_p: f32,
    /// Only tokens at least this times as likely as the likeliest; 0 = all.
    pub min_p: f32,
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
            seed: None,
        }
    }
}

/// Chooses the tokens of one generation.
#[derive(Debug)]
pub enum Sampler {
    /// The likeliest token.
    Greedy,
    /// Filters and a draw.
    Chain(Box<SamplerChain>),
}

impl Sampler {
    /// A sampler for one generation.
    #[must_use]
    pub fn new(options: &SamplingOptions) -> Self {
        /// Dividing logits by less overflows them; the likeliest token would win anyway.
        const GREEDY_BELOW: f32 = 1e-3;
        if options.temperature < GREEDY_BELOW {
            return Self::Greedy;
        }
        let seed = options.seed.unwrap_or_else(random_seed);
        Self::Chain(Box::new(SamplerChain::new(&stages(options, seed))))
    }

    /// Chooses the next token.
    ///
    /// # Errors
    /// [`Error::DecodeFailed`] when the model computed no numbers.
    pub fn sample(&mut self, logits: &[f32]) -> Result<Token> {
        let token = match self {
            Self::Greedy => argmax(logits),
            Self::Chain(chain) => chain.sample(logits),
        };
        token.ok_or_else(|| Error::DecodeFailed {
            reason: "the model computed no usable logits".into(),
        })
    }
}

fn stages(options: &SamplingOptions, seed: u32) -> Vec<SamplerStage> {
    let mut stages = Vec::with_capacity(5);
    if options.top_k > 0 {
        stages.push(SamplerStage::TopK(options.top_k));
    }
    if options.top_p < 1.0 {
        stages.push(SamplerStage::TopP(options.top_p));
    }
    if options.min_p > 0.0 {
        stages.push(SamplerStage::MinP(options.min_p));
    }
    stages.push(SamplerStage::Temperature(options.temperature));
    stages.push(SamplerStage::Distribution { seed });
    stages
}

/// A seed nobody can predict, drawn once for a generation. Below the value by which llama.cpp means "random".
fn random_seed() -> u32 {
    getrandom::u32().unwrap_or(0) % u32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperature_zero_is_greedy() {
        for temperature in [0.0, 1e-38, 9e-4] {
            let options = SamplingOptions {
                temperature,
                ..Default::default()
            };
            assert!(matches!(Sampler::new(&options), Sampler::Greedy), "{temperature}");
        }
        assert!(matches!(
            Sampler::new(&SamplingOptions {
                temperature: 1e-3,
                ..Default::default()
            }),
            Sampler::Chain(_)
        ));
    }

    #[test]
    fn only_stages_that_do_something_are_built() {
        use SamplerStage::{Distribution, MinP, Temperature, TopK, TopP};
        let draw = [Temperature(0.7), Distribution { seed: 1 }];
        let cases: [(i32, f32, f32, &[SamplerStage]); 4] = [
            (40, 0.95, 0.0, &[TopK(40), TopP(0.95)]),
            (0, 1.0, 0.0, &[]),
            (-1, 0.5, 0.1, &[TopP(0.5), MinP(0.1)]),
            (5, 1.0, 0.05, &[TopK(5), MinP(0.05)]),
        ];
        for (top_k, top_p, min_p, filters) in cases {
            let options = SamplingOptions {
                temperature: 0.7,
                top_k,
                top_p,
                min_p,
                seed: None,
            };
            assert_eq!(stages(&options, 1), [filters, &draw].concat(), "{options:?}");
        }
    }

    #[test]
    fn logits_that_are_no_numbers_are_an_error() {
        assert!(Sampler::Greedy.sample(&[f32::NAN, f32::NAN]).is_err());
    }
}
