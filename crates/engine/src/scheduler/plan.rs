//! Which lanes get how many tokens of the next evaluation. Pure.
//!
//! Answers under way come first, one token each, so that no prompt holds up a stream; prompts share what is left, in order.

/// What a lane has to evaluate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Nothing.
    Idle,
    /// The token sampled last.
    Token,
    /// So many tokens of its prompt.
    Prompt(usize),
}

/// The number of tokens each lane may add to a batch of `capacity`.
pub(super) fn shares(demands: &[Demand], capacity: usize) -> Vec<usize> {
    let mut free = capacity;
    let mut shares = vec![0; demands.len()];
    for (share, demand) in shares.iter_mut().zip(demands) {
        if *demand == Demand::Token {
            *share = free.min(1);
            free -= *share;
        }
    }
    for (share, demand) in shares.iter_mut().zip(demands) {
        if let Demand::Prompt(n_tokens) = demand {
            *share = free.min(*n_tokens);
            free -= *share;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::Demand::{Idle, Prompt, Token};
    use super::*;

    #[test]
    fn answers_come_before_prompts_and_nothing_exceeds_the_batch() {
        let cases: [(&[Demand], usize, &[usize]); 6] = [
            (&[Idle], 8, &[0]),
            (&[Token], 8, &[1]),
            (&[Prompt(20)], 8, &[8]),
            (&[Prompt(20), Token, Token], 8, &[6, 1, 1]),
            (&[Prompt(3), Prompt(20), Idle], 8, &[3, 5, 0]),
            (&[Token, Token, Token, Prompt(1)], 2, &[1, 1, 0, 0]),
        ];
        for (demands, capacity, expected) in cases {
            assert_eq!(shares(demands, capacity), expected, "{demands:?} in {capacity}");
        }
    }
}
