//! How likely the model finds tokens, before any option changes that.

use crate::llama::Token;

/// The likeliest tokens at one place of an answer. Logarithms are natural, as in the `logprobs` of `OpenAI`.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprobs {
    /// The logarithm of the probability of the token that was chosen; negative infinity for an impossible one.
    pub logprob_of_chosen: f32,
    /// The likeliest tokens, the likeliest first, equals in the order of the vocabulary.
    pub top: Vec<(Token, f32)>,
}

/// How likely the model's own logits make `chosen` and the `n` likeliest tokens. What is no number counts as impossible.
#[must_use]
pub fn top_logprobs(logits: &[f32], chosen: Token, n: usize) -> TokenLogprobs {
    #[expect(clippy::cast_possible_truncation, reason = "logits are no more precise")]
    let narrow = |logprob: f64| logprob as f32;
    let (highest, log_sum) = log_sum_exp(logits);
    let logprob = |logit: f32| match f64::from(logit) - highest - log_sum {
        impossible if impossible.is_nan() => f32::NEG_INFINITY,
        logprob => narrow(logprob),
    };
    let logit_of_chosen = usize::try_from(chosen.0).ok().and_then(|index| logits.get(index));
    TokenLogprobs {
        logprob_of_chosen: logit_of_chosen.map_or(f32::NEG_INFINITY, |logit| logprob(*logit)),
        top: largest(logits, n)
            .into_iter()
            .map(|(token, logit)| (token, logprob(logit)))
            .collect(),
    }
}

/// The logarithm of the sum that makes probabilities of logits, as the highest logit and what is above it: no overflow, nothing lost.
fn log_sum_exp(logits: &[f32]) -> (f64, f64) {
    let highest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    if !highest.is_finite() {
        return (highest, 0.0);
    }
    let sum: f64 = logits
        .iter()
        .filter(|logit| !logit.is_nan())
        .map(|logit| (f64::from(*logit) - highest).exp())
        .sum();
    (highest, sum.ln())
}

/// The `n` largest logits in one pass: a short sorted list, since almost all tokens are smaller than its last.
fn largest(logits: &[f32], n: usize) -> Vec<(Token, f32)> {
    let mut largest: Vec<(Token, f32)> = Vec::with_capacity(n.min(logits.len()) + 1);
    for (id, &logit) in (0..).zip(logits) {
        let is_small = largest.len() >= n && largest.last().is_none_or(|last| logit <= last.1);
        if is_small || logit.is_nan() {
            continue;
        }
        let place = largest.partition_point(|other| other.1 >= logit);
        largest.insert(place, (Token::new(id), logit));
        largest.truncate(n);
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(logprobs: &TokenLogprobs) -> Vec<i32> {
        logprobs.top.iter().map(|(token, _)| token.0).collect()
    }

    #[test]
    fn the_likeliest_come_first() {
        // Probabilities 1/8, 1/2, 1/4, 1/8.
        let logits = [0.0, 2.0, 1.0, 0.0].map(|power: f32| power * 2_f32.ln());
        let cases: [(usize, &[i32]); 4] = [(0, &[]), (1, &[1]), (3, &[1, 2, 0]), (9, &[1, 2, 0, 3])];
        for (n, expected) in cases {
            let logprobs = top_logprobs(&logits, Token::new(2), n);
            assert_eq!(ids(&logprobs), expected);
            assert!((logprobs.logprob_of_chosen - 0.25_f32.ln()).abs() < 1e-6, "{logprobs:?}");
        }
        let all = top_logprobs(&logits, Token::new(0), 4);
        let sum: f32 = all.top.iter().map(|(_, logprob)| logprob.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{all:?}");
    }

    #[test]
    fn extreme_logits_keep_their_order_and_sum() {
        let huge = top_logprobs(&[3e38, 3e38, -3e38], Token::new(2), 3);
        assert!(
            (huge.top[0].1 - 0.5_f32.ln()).abs() < 1e-6 && huge.logprob_of_chosen == f32::NEG_INFINITY,
            "{huge:?}"
        );
        let odd = top_logprobs(&[f32::NAN, 1.0, f32::NEG_INFINITY], Token::new(0), 2);
        assert_eq!((ids(&odd), odd.logprob_of_chosen), (vec![1, 2], f32::NEG_INFINITY));
        assert_eq!(odd.top[0].1.to_string(), "0");
        for outside in [-1, 7] {
            assert!(top_logprobs(&[1.0], Token::new(outside), 1).logprob_of_chosen < f32::MIN);
        }
        assert_eq!(top_logprobs(&[], Token::new(0), 3).top, []);
    }

    #[test]
    fn the_short_list_is_what_sorting_gives() {
        let logits: Vec<f32> = (0_u32..1000)
            .map(|id| f32::from((id.wrapping_mul(2_654_435_761) >> 20) as u16))
            .collect();
        let mut sorted: Vec<usize> = (0..logits.len()).collect();
        sorted.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        let top = ids(&top_logprobs(&logits, Token::new(0), 20));
        assert!(top.iter().zip(sorted).all(|(id, expected)| usize::try_from(*id) == Ok(expected)));
    }
}
