//! The stages that narrow down and draw a token, as one chain, and the plain maximum.
//!
//! Most are llama.cpp's samplers. Two are not: top-n-sigma only lowers logits there and typical-p divides by what becomes zero, so one
//! after the other chooses wrongly. Decides nothing about which stages there are: that is the room `sampling`. An exception in a stage chooses nothing.

use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;

use super::{Token, shim};

/// One stage of a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SamplerStage {
    /// Keep tokens whose logit is at most n standard deviations below the highest.
    TopNSigma(f32),
    /// Keep the k likeliest tokens.
    TopK(i32),
    /// Keep the tokens whose surprise is nearest to the expected one, until their probabilities sum to p.
    TypicalP(f32),
    /// Keep the likeliest tokens whose probabilities sum to p.
    TopP(f32),
    /// Keep tokens at least p times as likely as the likeliest.
    MinP(f32),
    /// Sometimes remove all likely tokens but the least likely of them.
    Xtc {
        /// How often, 0…1.
        probability: f32,
        /// From which probability on a token is a likely one.
        threshold: f32,
        /// Equal seeds remove equally.
        seed: u32,
    },
    /// Divide the logits.
    Temperature(f32),
    /// Draw one by its probability.
    Distribution {
        /// Equal seeds draw equally.
        seed: u32,
    },
    /// Draw one so that the surprise stays near `tau`, by the first version of Mirostat.
    MirostatV1 {
        /// The number of tokens there are.
        n_vocab: i32,
        /// The surprise to hold, in bits.
        tau: f32,
        /// How fast to correct.
        eta: f32,
        /// Equal seeds draw equally.
        seed: u32,
    },
    /// The same, by the second version.
    MirostatV2 {
        /// The surprise to hold, in bits.
        tau: f32,
        /// How fast to correct.
        eta: f32,
        /// Equal seeds draw equally.
        seed: u32,
    },
}

/// Stages applied in order; the last one must select a token.
#[derive(Debug)]
pub struct SamplerChain {
    links: Vec<Link>,
    /// The chain begins by keeping so many of the likeliest: no other token becomes a candidate.
    first_k: Option<usize>,
    /// Kept between tokens: refilling it is cheaper than allocating 12 bytes for each token of the vocabulary.
    candidates: Vec<sys::llama_token_data>,
}

#[derive(Debug)]
enum Link {
    TopNSigma(f32),
    TypicalP(f32),
    Native(NativeSampler),
}

impl SamplerChain {
    /// A chain of `stages`.
    #[must_use]
    pub fn new(stages: &[SamplerStage]) -> Self {
        Self {
            first_k: match stages.first() {
                Some(SamplerStage::TopK(k)) => usize::try_from(*k).ok().filter(|k| (1..=LONGEST_LIST).contains(k)),
                _ => None,
            },
            links: stages.iter().filter_map(|stage| link(*stage)).collect(),
            candidates: Vec::new(),
        }
    }

    /// Chooses a token. `None` when the highest logit is not finite, llama.cpp would then take any, and when a stage fails.
    pub fn sample(&mut self, logits: &[f32]) -> Option<Token> {
        self.candidates.clear();
        match self.first_k {
            Some(k) => collect_likeliest(&mut self.candidates, logits, k),
            None => collect_possible(&mut self.candidates, logits),
        }
        let highest = self
            .candidates
            .iter()
            .map(|candidate| candidate.logit)
            .fold(f32::NEG_INFINITY, f32::max);
        if !highest.is_finite() {
            return None;
        }
        let mut array = sys::llama_token_data_array {
            data: self.candidates.as_mut_ptr(),
            size: self.candidates.len(),
            selected: -1,
            sorted: self.first_k.is_some(),
        };
        if !self.links.iter_mut().all(|link| link.apply(&mut array)) {
            return None;
        }
        let selected = usize::try_from(array.selected).ok().filter(|index| *index < array.size)?;
        // SAFETY: the array describes a part of `candidates`, which XTC lets begin later, and the index lies inside.
        let id = unsafe { (*array.data.add(selected)).id };
        Some(Token::new(id))
    }
}

/// Longer lists are better sorted than kept sorted.
const LONGEST_LIST: usize = 128;

fn candidate((id, logit): (i32, f32)) -> sys::llama_token_data {
    sys::llama_token_data { id, logit, p: 0.0 }
}

/// All tokens but the impossible. What is no number would make the order of the others arbitrary.
fn collect_possible(candidates: &mut Vec<sys::llama_token_data>, logits: &[f32]) {
    let possible = (0..).zip(logits.iter().copied()).filter(|(_, logit)| *logit > f32::NEG_INFINITY);
    candidates.extend(possible.map(candidate));
}

/// The `k` likeliest of them in falling order, equals in the order of the vocabulary: almost every token is less likely than the last of a short
/// list, and costs one look.
fn collect_likeliest(candidates: &mut Vec<sys::llama_token_data>, logits: &[f32], k: usize) {
    let mut lowest = f32::NEG_INFINITY;
    for (id, &logit) in (0..).zip(logits) {
        // False for what is no number.
        if logit > lowest {
            let place = candidates.partition_point(|other| other.logit >= logit);
            candidates.truncate(k - 1);
            candidates.insert(place, candidate((id, logit)));
            if candidates.len() == k {
                lowest = candidates[k - 1].logit;
            }
        }
    }
}

impl Link {
    /// Returns whether it could.
    fn apply(&mut self, array: &mut sys::llama_token_data_array) -> bool {
        if let Self::Native(sampler) = self {
            return sampler.apply(array);
        }
        // SAFETY: `SamplerChain::sample` made the array over its own vector, and samplers only ever cut it off at either end.
        let candidates = unsafe { std::slice::from_raw_parts_mut(array.data, array.size) };
        match self {
            Self::TopNSigma(n) => array.size = keep_top_n_sigma(candidates, *n),
            Self::TypicalP(p) => {
                array.size = keep_typical(candidates, *p);
                array.sorted = false;
            }
            Self::Native(_) => {}
        }
        true
    }
}

/// A sampler of llama.cpp's.
#[derive(Debug)]
struct NativeSampler(NonNull<sys::llama_sampler>);

// SAFETY: a sampler is plain memory of its own that no thread is tied to, and it is used through `&mut` only.
unsafe impl Send for NativeSampler {}

impl NativeSampler {
    fn apply(&mut self, array: &mut sys::llama_token_data_array) -> bool {
        // SAFETY: the sampler is live and the array describes live memory.
        shim::call(|error| unsafe { shim::lw_sample(self.0.as_ptr(), array, error) }).is_ok()
    }
}

impl Drop for NativeSampler {
    fn drop(&mut self) {
        // SAFETY: it is ours and in no llama.cpp chain, which would free it too.
        unsafe { sys::llama_sampler_free(self.0.as_ptr()) };
    }
}

fn link(stage: SamplerStage) -> Option<Link> {
    /// Filters leave at least one token.
    const MIN_KEEP: usize = 1;
    /// How many tokens Mirostat's first version estimates from, as in its paper.
    const MIROSTAT_M: i32 = 100;
    // SAFETY: these functions only allocate a sampler from numbers; all accept any.
    let sampler = unsafe {
        match stage {
            SamplerStage::TopNSigma(n) => return Some(Link::TopNSigma(n)),
            SamplerStage::TypicalP(p) => return Some(Link::TypicalP(p)),
            SamplerStage::TopK(k) => sys::llama_sampler_init_top_k(k),
            SamplerStage::TopP(p) => sys::llama_sampler_init_top_p(p, MIN_KEEP),
            SamplerStage::MinP(p) => sys::llama_sampler_init_min_p(p, MIN_KEEP),
            SamplerStage::Xtc {
                probability,
                threshold,
                seed,
            } => sys::llama_sampler_init_xtc(probability, threshold, MIN_KEEP, seed),
            SamplerStage::Temperature(temperature) => sys::llama_sampler_init_temp(temperature),
            SamplerStage::Distribution { seed } => sys::llama_sampler_init_dist(seed),
            SamplerStage::MirostatV1 { n_vocab, tau, eta, seed } => sys::llama_sampler_init_mirostat(n_vocab, seed, tau, eta, MIROSTAT_M),
            SamplerStage::MirostatV2 { tau, eta, seed } => sys::llama_sampler_init_mirostat_v2(seed, tau, eta),
        }
    };
    NonNull::new(sampler).map(NativeSampler).map(Link::Native)
}

/// Moves the tokens that stay to the front, in their order, and says how many they are. From [Top-nσ](https://arxiv.org/abs/2411.07641).
fn keep_top_n_sigma(candidates: &mut [sys::llama_token_data], n: f32) -> usize {
    // A vocabulary has far fewer tokens than 2^32.
    let count = f64::from(u32::try_from(candidates.len().max(1)).unwrap_or(u32::MAX));
    let logits = || candidates.iter().map(|candidate| f64::from(candidate.logit));
    let mean = logits().sum::<f64>() / count;
    let deviation = (logits().map(|logit| (logit - mean).powi(2)).sum::<f64>() / count).sqrt();
    let lowest = logits().fold(f64::NEG_INFINITY, f64::max) - f64::from(n) * deviation;
    let mut kept = 0;
    for index in 0..candidates.len() {
        if f64::from(candidates[index].logit) >= lowest {
            candidates.swap(kept, index);
            kept += 1;
        }
    }
    kept
}

/// Moves the tokens that stay to the front and says how many they are. From [Locally Typical Sampling](https://arxiv.org/abs/2202.00666).
fn keep_typical(candidates: &mut [sys::llama_token_data], p: f32) -> usize {
    let highest = candidates.iter().map(|candidate| candidate.logit).fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = candidates.iter().map(|candidate| (candidate.logit - highest).exp()).sum();
    let log_probability = |candidate: &sys::llama_token_data| candidate.logit - highest - sum.ln();
    let surprise = |candidate: &sys::llama_token_data| -log_probability(candidate).exp() * log_probability(candidate);
    let entropy: f32 = candidates.iter().map(surprise).sum();
    // `p` is free to hold the distance while sorting.
    for candidate in candidates.iter_mut() {
        candidate.p = (-log_probability(candidate) - entropy).abs();
    }
    candidates.sort_by(|a, b| a.p.total_cmp(&b.p));
    let mut cumulated = 0.0;
    let above = candidates.iter().position(|candidate| {
        cumulated += log_probability(candidate).exp();
        cumulated > p
    });
    above.map_or(candidates.len(), |last| last + 1)
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
        let logits: Vec<f32> = (0_u8..50).map(|id| -f32::from(id + 1).ln()).collect();
        let ends: [&[SamplerStage]; 4] = [
            &[SamplerStage::Distribution { seed: 42 }],
            &[XTC, SamplerStage::Distribution { seed: 42 }],
            &[SamplerStage::MirostatV1 {
                n_vocab: 50,
                tau: 5.0,
                eta: 0.1,
                seed: 42,
            }],
            &[SamplerStage::MirostatV2 {
                tau: 5.0,
                eta: 0.1,
                seed: 42,
            }],
        ];
        for end in ends {
            let stages = [&[SamplerStage::TopK(20), SamplerStage::Temperature(2.0)], end].concat();
            let draw = || draws(&stages, &logits, 30);
            assert_eq!(draw(), draw(), "{stages:?}");
            assert!(
                draw().windows(2).any(|pair| pair[0] != pair[1]),
                "a temperature of 2 must not always draw the same: {stages:?}"
            );
        }
    }

    #[test]
    fn the_short_list_is_what_sorting_gives() {
        let mut random = 1_u32;
        let logits: Vec<f32> = (0..2000)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Many equals.
                f32::from((random >> 24) as u16)
            })
            .chain([f32::NAN, f32::NEG_INFINITY])
            .collect();
        for k in [1, 2, 40, LONGEST_LIST] {
            let (mut found, mut all) = (Vec::new(), Vec::new());
            collect_likeliest(&mut found, &logits, k);
            collect_possible(&mut all, &logits);
            all.sort_by(|a, b| b.logit.total_cmp(&a.logit));
            let ids = |list: &[sys::llama_token_data]| list.iter().map(|candidate| candidate.id).collect::<Vec<_>>();
            assert_eq!(ids(&found), ids(&all[..k]), "{k}");
        }
        let mut none = Vec::new();
        collect_likeliest(&mut none, &[f32::NAN, f32::NEG_INFINITY], 40);
        assert!(none.is_empty());
    }

    const XTC: SamplerStage = SamplerStage::Xtc {
        probability: 0.5,
        threshold: 0.1,
        seed: 42,
    };

    #[test]
    fn each_stage_leaves_the_tokens_it_promises() {
        use SamplerStage::{MinP, MirostatV1, MirostatV2, TopK, TopNSigma, TopP, TypicalP, Xtc};
        // Probabilities 0.5, 0.25, 0.125, 0.0625 and four times a 64th.
        let logits = [4.0, 3.0, 2.0, 1.0, -1.0, -1.0, -1.0, -1.0].map(|power: f32| power * 2_f32.ln());
        let xtc = |probability, threshold| Xtc {
            probability,
            threshold,
            seed: 7,
        };
        let cases: [(SamplerStage, &[i32]); 14] = [
            (TopK(2), &[0, 1]),
            (TopP(0.6), &[0, 1]),
            (TopP(0.8), &[0, 1, 2]),
            (MinP(0.4), &[0, 1]),
            // The deviation of the logits is 1.94 ln 2.
            (TopNSigma(1.0), &[0, 1]),
            (TopNSigma(2.0), &[0, 1, 2, 3]),
            // The entropy is 2 bits, which is the surprise of 1; those of 0 and 2 are 1 bit away.
            (TypicalP(0.2), &[1]),
            (TypicalP(0.8), &[0, 1, 2]),
            (TypicalP(0.9), &[0, 1, 2, 3]),
            (xtc(1.0, 0.1), &[2, 3, 4, 5, 6, 7]),
            (xtc(1.0, 0.2), &[1, 2, 3, 4, 5, 6, 7]),
            (xtc(0.0, 0.2), &[0, 1, 2, 3, 4, 5, 6, 7]),
            (
                MirostatV1 {
                    n_vocab: 8,
                    tau: 0.01,
                    eta: 0.0,
                    seed: 7,
                },
                &[0],
            ),
            (
                MirostatV2 {
                    tau: 0.75,
                    eta: 0.0,
                    seed: 7,
                },
                &[0],
            ),
        ];
        for (stage, expected) in cases {
            let is_last = matches!(stage, MirostatV1 { .. } | MirostatV2 { .. });
            let stages = [
                vec![stage],
                if is_last {
                    vec![]
                } else {
                    vec![SamplerStage::Distribution { seed: 3 }]
                },
            ]
            .concat();
            let mut drawn: Vec<i32> = draws(&stages, &logits, 2000).into_iter().flatten().collect();
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn, expected, "{stage:?}");
        }
    }

    #[test]
    fn typical_p_chooses_among_probabilities_that_are_zero() {
        // e^-200 is zero as f32; llama.cpp's typical-p takes any token then.
        let logits = [0.0, 0.1, -200.0, -300.0];
        let stages = [
            SamplerStage::TopNSigma(1.0),
            SamplerStage::TypicalP(0.5),
            SamplerStage::Distribution { seed: 1 },
        ];
        for stages in [&stages[..], &stages[1..]] {
            let drawn = draws(stages, &logits, 100);
            assert!(drawn.iter().all(|token| matches!(token, Some(0 | 1))), "{drawn:?}");
        }
    }

    fn draws(stages: &[SamplerStage], logits: &[f32], count: usize) -> Vec<Option<i32>> {
        let mut chain = SamplerChain::new(stages);
        (0..count).map(|_| chain.sample(logits).map(|token| token.0)).collect()
    }
}
