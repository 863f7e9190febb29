//! DRY: the penalty for what would continue a repetition. Knows the answer's tokens, not the prompt.
//!
//! The algorithm is llama.cpp's, except that a sequence breaker is looked for in the answer's text and not among all tokenizations of it:
//! llama.cpp walks the whole vocabulary for each breaker before the first token.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::options::DryRepeatPenalty;
use super::penalties::logit_of;
use crate::llama::{Token, Vocabulary};

/// The penalty of one generation.
#[derive(Debug)]
pub(super) struct Dry {
    options: DryRepeatPenalty,
    vocabulary: Arc<Vocabulary>,
    answer: Vec<Token>,
    /// How many tokens there were when a breaker last ended.
    broken_at: usize,
    /// The end of the text, one byte shorter than the longest breaker.
    tail: Vec<u8>,
}

impl Dry {
    pub(super) fn new(options: &DryRepeatPenalty, vocabulary: Arc<Vocabulary>) -> Self {
        let mut options = options.clone();
        options.sequence_breakers.retain(|breaker| !breaker.is_empty());
        Self {
            options,
            vocabulary,
            answer: Vec::new(),
            broken_at: 0,
            tail: Vec::new(),
        }
    }

    /// Takes notice of a token of the answer.
    pub(super) fn accept(&mut self, token: Token) {
        self.answer.push(token);
        let known = self.tail.len();
        self.tail.extend_from_slice(self.vocabulary.piece(token));
        let ends_here = |breaker: &String| last_end(&self.tail, breaker.as_bytes()).is_some_and(|end| end > known);
        if self.options.sequence_breakers.iter().any(ends_here) {
            self.broken_at = self.answer.len();
        }
        let longest = self.options.sequence_breakers.iter().map(String::len).max().unwrap_or(1);
        let excess = self.tail.len().saturating_sub(longest - 1);
        self.tail.drain(..excess);
    }

    /// Lowers the logits of the tokens that would continue a repetition.
    pub(super) fn apply(&self, logits: &mut [f32]) {
        for (token, length) in self.continuations() {
            if self.is_breaker(token) {
                continue;
            }
            if let Some(logit) = logit_of(logits, token) {
                *logit -= self.penalty(length);
            }
        }
    }

    /// Each token that would continue a repetition, with the length of the longest.
    fn continuations(&self) -> BTreeMap<Token, usize> {
        let window = self.options.last_tokens.map_or(usize::MAX, |n| n as usize).min(self.answer.len());
        let recent = &self.answer[self.answer.len() - window..];
        let limit = (self.answer.len() - self.broken_at).min(window);
        let allowed = self.options.allowed_length as usize;
        let mut continuations = BTreeMap::new();
        if limit < allowed || window <= allowed {
            return continuations;
        }
        for (distance, length) in repetitions(recent).into_iter().enumerate().skip(1) {
            let length = length.min(limit);
            // A length of 0 continues nothing, even where nothing is allowed.
            if length >= allowed.max(1) {
                let next = recent[window - distance];
                let longest = continuations.entry(next).or_insert(length);
                *longest = length.max(*longest);
            }
        }
        continuations
    }

    fn is_breaker(&self, token: Token) -> bool {
        let piece = self.vocabulary.piece(token);
        let mut breakers = self.options.sequence_breakers.iter();
        breakers.any(|breaker| last_end(piece, breaker.as_bytes()).is_some())
    }

    fn penalty(&self, length: usize) -> f32 {
        // Longer repetitions than this have the highest penalty anyway.
        let exponent = u16::try_from(length - self.options.allowed_length as usize).unwrap_or(u16::MAX);
        // No bias beyond this makes a difference, and an infinite one would end the generation.
        (self.options.strength * self.options.base.powf(f32::from(exponent))).clamp(-f32::MAX / 2.0, f32::MAX / 2.0)
    }
}

/// For each distance: how many tokens at the end of `tokens` are the same as those that far before. A
/// [Z-function](https://cp-algorithms.com/string/z-function.html) from the end, so that it takes linear time.
fn repetitions(tokens: &[Token]) -> Vec<usize> {
    let from_end = |index: usize| tokens[tokens.len() - 1 - index];
    let mut lengths = vec![0; tokens.len()];
    let (mut left, mut right) = (0, 0);
    for distance in 1..tokens.len() {
        let mut length = if distance < right {
            lengths[distance - left].min(right - distance)
        } else {
            0
        };
        while distance + length < tokens.len() && from_end(length) == from_end(distance + length) {
            length += 1;
        }
        if distance + length > right {
            (left, right) = (distance, distance + length);
        }
        lengths[distance] = length;
    }
    lengths
}

/// Where the last occurrence of `wanted` in `text` ends.
fn last_end(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .rposition(|window| window == wanted)
        .map(|start| start + wanted.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens are the letters of the alphabet, then `:`, `a:` and the halves of `<br>`.
    fn vocabulary() -> Arc<Vocabulary> {
        let letters = (b'a'..=b'z').map(|letter| vec![letter]);
        let others = [":", "a:", "<b", "r>"].map(|piece| piece.as_bytes().to_vec());
        Arc::new(Vocabulary::new(letters.chain(others).map(|piece| (piece, false)), vec![]))
    }

    /// Options, an answer, and each token that would continue a repetition with its length.
    type Case<'a> = (DryRepeatPenalty, &'a [i32], &'a [(i32, usize)]);

    fn continuations(options: DryRepeatPenalty, answer: &[i32]) -> Vec<(i32, usize)> {
        let mut dry = Dry::new(&options, vocabulary());
        for id in answer {
            dry.accept(Token::new(*id));
        }
        dry.continuations().into_iter().map(|(token, length)| (token.0, length)).collect()
    }

    #[test]
    fn what_continues_a_repetition_is_found() {
        let options = DryRepeatPenalty::default;
        let allowed = |allowed_length| DryRepeatPenalty {
            allowed_length,
            ..options()
        };
        let last = |last_tokens| DryRepeatPenalty {
            last_tokens: Some(last_tokens),
            ..options()
        };
        let breaker = |text: &str| DryRepeatPenalty {
            sequence_breakers: vec![text.into(), String::new()],
            ..options()
        };
        let (colon, a_colon, left, right) = (26, 27, 28, 29);
        let cases: [Case<'_>; 14] = [
            (options(), &[], &[]),
            (options(), &[0, 1, 2], &[]),
            // llama.cpp's own example: a b c c b c y a b c.
            (options(), &[0, 1, 2, 2, 1, 2, 24, 0, 1, 2], &[(2, 3), (24, 2)]),
            (allowed(1), &[0, 1, 2, 2, 1, 2, 24, 0, 1, 2], &[(1, 1), (2, 3), (24, 2)]),
            (allowed(4), &[0, 1, 2, 2, 1, 2, 24, 0, 1, 2], &[]),
            (allowed(0), &[0, 1], &[]),
            // One token over and over.
            (options(), &[5, 5, 5, 5], &[(5, 3)]),
            // The window ends before the first occurrence.
            (last(4), &[0, 1, 2, 24, 0, 1], &[]),
            (last(6), &[0, 1, 2, 24, 0, 1], &[(2, 2)]),
            (last(0), &[5, 5, 5, 5], &[]),
            // A breaker in between, alone or in a larger token, ends what repeats.
            (options(), &[0, 1, colon, 2, 0, 1, colon], &[]),
            (options(), &[0, a_colon, 1, 2, 0, a_colon, 1, 2], &[(0, 2)]),
            (breaker("<br>"), &[0, left, right, 0, 0, left, right, 0], &[]),
            (breaker("<br>"), &[0, left, 0, 0, left, 0, 0, left, 0], &[(0, 6)]),
        ];
        for (options, answer, expected) in cases {
            assert_eq!(continuations(options.clone(), answer), expected, "{options:?} after {answer:?}");
        }
    }

    #[test]
    fn the_penalty_grows_with_the_length_and_spares_breakers() {
        let penalized = |options: &DryRepeatPenalty, answer: &[i32], token: usize| {
            let mut dry = Dry::new(options, vocabulary());
            for id in answer {
                dry.accept(Token::new(*id));
            }
            let mut logits = [0.0; 30];
            dry.apply(&mut logits);
            logits[token]
        };
        let options = DryRepeatPenalty {
            strength: 0.5,
            base: 2.0,
            ..Default::default()
        };
        assert_eq!(penalized(&options, &[0, 1, 2, 24, 0, 1], 2).to_string(), "-0.5");
        assert_eq!(penalized(&options, &[25, 0, 1, 2, 24, 25, 0, 1], 2).to_string(), "-1");
        assert_eq!(
            penalized(&options, &[0, 1, 26, 24, 0, 1], 26).to_string(),
            "0",
            "a breaker is never penalized"
        );
        assert!(penalized(&options, &[5; 500], 5).is_finite());
    }
}
