//! Changes of the logits before any filter: token bias and repeat penalty. Pure functions over the whole vocabulary's logits.

use std::collections::BTreeMap;

use super::options::RepeatPenalty;
use crate::llama::{Token, Vocabulary};

/// Adds each bias to its token's logit.
pub(super) fn add_bias(logits: &mut [f32], bias: &[(Token, f32)]) {
    for (token, bias) in bias {
        if let Some(logit) = logit_of(logits, *token) {
            *logit += bias;
        }
    }
}

/// Lowers the logits of the tokens in the window over `answer`'s end; the formula is llama.cpp's.
pub(super) fn penalize_repetition(logits: &mut [f32], answer: &[Token], options: &RepeatPenalty, vocabulary: &Vocabulary) {
    let window = &answer[answer.len().saturating_sub(options.last_tokens as usize)..];
    let mut counts = BTreeMap::new();
    for token in window {
        *counts.entry(*token).or_insert(0.0) += 1.0;
    }
    counts.retain(|token, _| options.penalize_new_line || !is_line_break(vocabulary.piece(*token)));
    for (token, count) in counts {
        let Some(logit) = logit_of(logits, token) else { continue };
        *logit = if *logit > 0.0 {
            *logit / options.penalty
        } else {
            *logit * options.penalty
        };
        *logit -= options.frequency_penalty.mul_add(count, options.presence_penalty);
    }
}

pub(super) fn logit_of(logits: &mut [f32], token: Token) -> Option<&mut f32> {
    logits.get_mut(usize::try_from(token.0).ok()?)
}

/// Whether a token is a line break and nothing else that is seen, for instance `\n`, `\r\n` or `\n\n  `.
fn is_line_break(piece: &[u8]) -> bool {
    piece.contains(&b'\n') && piece.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let pieces = ["a", "b", "\n", "\n\n ", ";\n"].map(|piece| (piece.as_bytes().to_vec(), false));
        Vocabulary::new(pieces, vec![])
    }

    fn penalized(options: RepeatPenalty, answer: &[i32]) -> Vec<f32> {
        let mut logits = [2.0, -2.0, 2.0, 2.0, 2.0];
        let answer: Vec<Token> = answer.iter().map(|id| Token::new(*id)).collect();
        penalize_repetition(&mut logits, &answer, &options, &vocabulary());
        logits.to_vec()
    }

    #[test]
    fn tokens_of_the_window_become_less_likely() {
        let double = RepeatPenalty {
            penalty: 2.0,
            ..Default::default()
        };
        let counted = RepeatPenalty {
            penalty: 1.0,
            frequency_penalty: 0.5,
            presence_penalty: 0.25,
            ..Default::default()
        };
        let last = |last_tokens| RepeatPenalty { last_tokens, ..double };
        let with_line_breaks = RepeatPenalty {
            penalize_new_line: true,
            ..double
        };
        let cases: [(RepeatPenalty, &[i32], [f32; 5]); 9] = [
            (double, &[], [2.0, -2.0, 2.0, 2.0, 2.0]),
            (double, &[0, 0], [1.0, -2.0, 2.0, 2.0, 2.0]),
            (double, &[0, 1], [1.0, -4.0, 2.0, 2.0, 2.0]),
            // Line breaks are free; a token that holds more than one is not.
            (double, &[2, 3, 4], [2.0, -2.0, 2.0, 2.0, 1.0]),
            (with_line_breaks, &[2, 3, 4], [2.0, -2.0, 1.0, 1.0, 1.0]),
            (counted, &[0, 0, 1], [0.75, -2.75, 2.0, 2.0, 2.0]),
            (last(1), &[0, 1], [2.0, -4.0, 2.0, 2.0, 2.0]),
            (last(0), &[0, 1], [2.0, -2.0, 2.0, 2.0, 2.0]),
            // What does not exist changes nothing.
            (double, &[99, -1], [2.0, -2.0, 2.0, 2.0, 2.0]),
        ];
        for (options, answer, expected) in cases {
            assert_eq!(penalized(options, answer), expected, "{options:?} after {answer:?}");
        }
    }

    #[test]
    fn biases_add_up_and_forbid() {
        let mut logits = [1.0, 1.0, 1.0];
        let bias = [(0, 0.5), (0, 1.0), (1, f32::NEG_INFINITY), (7, 1.0)].map(|(id, bias)| (Token::new(id), bias));
        add_bias(&mut logits, &bias);
        assert_eq!(format!("{logits:?}"), "[2.5, -inf, 1.0]");
    }
}
