//! llama.cpp's samplers as one chain, and the plain maximum.
//!
//! Decides nothing about which stages there are: that is the room `sampling`. None of these stages throws.

use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use super::Token;

/// One stage of a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SamplerStage {
    /// Keep the k likeliest tokens.
    TopK(i32),
    /// Keep the likeliest tokens whose probabilities sum to p.
    TopP(f32),
    /// Keep tokens at least p times as likely as the likeliest.
    MinP(f32),
    /// Divide the logits.
    Temperature(f32),
    /// Draw one by its probability.
    Distribution {
        /// Equal seeds draw equally.
        seed: u32,
    },
}

/// Stages applied in order; the last one must select a token.
#[derive(Debug)]
pub struct SamplerChain {
    chain: LlamaSampler,
    /// Kept between tokens: refilling it is cheaper than allocating 12 bytes for each token of the vocabulary.
    candidates: LlamaTokenDataArray,
}

impl SamplerChain {
    /// A chain of `stages`.
    #[must_use]
    pub fn new(stages: &[SamplerStage]) -> Self {
        let chain = LlamaSampler::chain(stages.iter().map(|stage| sampler(*stage)), true);
        Self {
            chain,
            candidates: LlamaTokenDataArray::new(Vec::new(), false),
        }
    }

    /// Chooses a token. `None` when the highest logit is not finite: llama.cpp would then take any.
    pub fn sample(&mut self, logits: &[f32]) -> Option<Token> {
        argmax(logits)?;
        let candidates = &mut self.candidates;
        candidates.data.clear();
        // What is no number would make the order of the others arbitrary.
        let numbers = logits.iter().map(|logit| if logit.is_nan() { f32::NEG_INFINITY } else { *logit });
        candidates
            .data
            .extend(numbers.zip(0..).map(|(logit, id)| LlamaTokenData::new(Token::new(id), logit, 0.0)));
        candidates.sorted = false;
        candidates.selected = None;
        self.chain.apply(candidates);
        candidates.selected_token()
    }
}

fn sampler(stage: SamplerStage) -> LlamaSampler {
    /// Filters leave at least one token.
    const MIN_KEEP: usize = 1;
    match stage {
        SamplerStage::TopK(k) => LlamaSampler::top_k(k),
        SamplerStage::TopP(p) => LlamaSampler::top_p(p, MIN_KEEP),
        SamplerStage::MinP(p) => LlamaSampler::min_p(p, MIN_KEEP),
        SamplerStage::Temperature(temperature) => LlamaSampler::temp(temperature),
        SamplerStage::Distribution { seed } => LlamaSampler::dist(seed),
    }
}

/// The likeliest token, the first of equals. `None` when its logit is not finite.
#[must_use]
pub fn argmax(logits: &[f32]) -> Option<Token> {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, &logit) in (0..).zip(logits) {
        if logit > best.1 {
            best = (id, logit);
        }
    }
    best.1.is_finite().then(|| Token::new(best.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_takes_the_first_of_equals_and_skips_what_is_no_number() {
        let cases: [(&[f32], Option<i32>); 7] = [
            (&[0.1, 3.0, 2.0], Some(1)),
            (&[2.0, 2.0], Some(0)),
            (&[f32::NAN, -1.0, f32::NEG_INFINITY], Some(1)),
            (&[f32::NAN], None),
            (&[f32::NEG_INFINITY, f32::NEG_INFINITY], None),
            (&[1.0, f32::INFINITY], None),
            (&[], None),
        ];
        for (logits, expected) in cases {
            assert_eq!(argmax(logits).map(|token| token.0), expected, "{logits:?}");
            let mut chain = SamplerChain::new(&[SamplerStage::TopK(1), SamplerStage::Distribution { seed: 1 }]);
            assert_eq!(chain.sample(logits).map(|token| token.0), expected, "chain over {logits:?}");
        }
    }

    #[test]
    fn one_seed_draws_the_same_tokens_again() {
        let logits: Vec<f32> = (0_u8..50).map(|id| f32::from(id % 7)).collect();
        let stages = [
            SamplerStage::TopK(20),
            SamplerStage::Temperature(2.0),
            SamplerStage::Distribution { seed: 42 },
        ];
        let draw = || {
            let mut chain = SamplerChain::new(&stages);
            (0..30).map(|_| chain.sample(&logits)).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
        assert!(
            draw().windows(2).any(|pair| pair[0] != pair[1]),
            "a temperature of 2 must not always draw the same"
        );
    }
}
