//! Which lanes get how many tokens of the next evaluation. Pure.
//!
//! Answers under way come first, one token each, so that no prompt holds up a stream; prompts share what is left. Within both the more
//! important go first, and the earlier of equals.

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

/// The number of tokens each lane may add to a batch of `capacity`. `lanes`: what each has to evaluate, and its priority.
pub(super) fn shares(lanes: &[(Demand, u8)], capacity: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    order.sort_by_key(|&lane| (!matches!(lanes[lane].0, Demand::Token), std::cmp::Reverse(lanes[lane].1)));
    let mut free = capacity;
    let mut shares = vec![0; lanes.len()];
    for lane in order {
        let wanted = match lanes[lane].0 {
            Demand::Idle => 0,
            Demand::Token => 1,
            Demand::Prompt(n_tokens) => n_tokens,
        };
        shares[lane] = free.min(wanted);
        free -= shares[lane];
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
            let lanes: Vec<_> = demands.iter().map(|demand| (*demand, 5)).collect();
            assert_eq!(shares(&lanes, capacity), expected, "{demands:?} in {capacity}");
        }
    }

    #[test]
    fn the_more_important_come_first() {
        assert_eq!(shares(&[(Prompt(9), 1), (Prompt(9), 5)], 10), [1, 9]);
        assert_eq!(shares(&[(Token, 1), (Token, 5)], 1), [0, 1]);
        assert_eq!(shares(&[(Token, 1), (Prompt(9), 5)], 5), [1, 4]);
    }
}
