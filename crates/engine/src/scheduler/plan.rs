//! Which lanes get how many tokens of the next evaluation, and how many it has. Pure.
//!
//! Answers under way come first, one token each, so that no prompt holds up a stream; prompts share what is left, which is less while somebody
//! waits for the next token. Within both the more important go first, and the earlier of equals.

/// On processors attention passes over keys by tiles of so many. Where tokens do not begin at the first of a tile, it passes over one more for
/// each tile of them: 3 % of the time of a prompt on a model of 135 million weights.
const TILE: usize = 64;
/// The keys that attention passes over are a multiple of this, most of the last ones in vain.
const PADDING: usize = 256;

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

/// Whose turn it is of those who wait, behind the one who had the last turn: the numbers go round.
pub(super) fn next_turn<Id: Ord + Copy>(waiting: &[Id], last: Option<Id>) -> Option<Id> {
    let behind = waiting.iter().filter(|id| last.is_none_or(|last| **id > last)).min();
    behind.or_else(|| waiting.iter().min()).copied()
}

/// How many of a prompt's `left` tokens are evaluated when there is nothing else to do and an evaluation has room for `capacity`: `held` are in
/// memory. Ends where a tile does, if that makes no more evaluations of it.
pub(super) fn part(held: usize, left: usize, capacity: usize) -> usize {
    if left <= capacity {
        return left;
    }
    let n_parts = left.div_ceil(capacity);
    let ending_at_multiple = |unit: usize| capacity.saturating_sub((held + capacity) % unit);
    let is_worth_it = |part: &usize| *part >= TILE && 1 + (left - part).div_ceil(capacity) == n_parts;
    let aligned = [PADDING, TILE].map(ending_at_multiple).into_iter().find(is_worth_it);
    aligned.unwrap_or(capacity)
}

/// How many tokens of prompts are evaluated at once while answers are under way, which wait for them: of `n_in_time`, as many as are evaluated in
/// the time that answers may wait, if that is known.
pub(super) fn chunk(n_in_time: Option<usize>, batch_size: usize) -> usize {
    let n_tokens = n_in_time.unwrap_or(0);
    (n_tokens - n_tokens % TILE).max(TILE).min(batch_size)
}

/// How many of the `n_kept` tokens that a prompt finds in memory it uses when `n_left` are to be evaluated behind them. When the last few stand in
/// an unfinished tile they are evaluated again, if that is next to nothing beside the others.
pub(super) fn used(n_kept: usize, n_left: usize) -> usize {
    let n_ragged = n_kept % TILE;
    if n_ragged * TILE <= n_left { n_kept - n_ragged } else { n_kept }
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

    #[test]
    fn turns_go_round_whatever_order_who_waits_is_in() {
        assert_eq!(next_turn::<u8>(&[], Some(1)), None);
        for (waiting, last, expected) in [
            ([3, 1, 2], None, 1),
            ([3, 1, 2], Some(1), 2),
            ([2, 3, 1], Some(2), 3),
            ([1, 2, 3], Some(3), 1),
            ([5, 7, 9], Some(6), 7),
            ([5, 7, 9], Some(20), 5),
        ] {
            assert_eq!(next_turn(&waiting, last), Some(expected), "{waiting:?} after {last:?}");
        }
    }

    #[test]
    fn a_prompt_is_taken_apart_where_tiles_end() {
        let cases = [
            ("it fits", 5, 512, 512, 512),
            ("nothing is in memory", 0, 528, 512, 512),
            ("a few tokens are", 5, 523, 512, 507),
            ("the end of the padding", 300, 1100, 512, 468),
            ("at least the end of a tile", 300, 1020, 500, 468),
            ("one evaluation more would be needed", 300, 1024, 512, 512),
            ("small batches", 5, 523, 32, 32),
        ];
        for (name, held, left, capacity, expected) in cases {
            assert_eq!(part(held, left, capacity), expected, "{name}: {left} behind {held}");
        }
        for held in 0..600 {
            for left in (1..3000).step_by(7) {
                let (mut position, mut rest, mut count) = (held, left, 0);
                while rest > 0 {
                    let part = part(position, rest, 512);
                    assert!((1..=512).contains(&part));
                    (position, rest, count) = (position + part, rest - part, count + 1);
                }
                assert_eq!(count, left.div_ceil(512), "{left} behind {held}");
            }
        }
    }

    #[test]
    fn chunks_beside_answers_are_whole_tiles() {
        let cases = [
            (None, 512, 64),
            (Some(0), 512, 64),
            (Some(143), 512, 128),
            (Some(9000), 512, 512),
            (Some(9000), 32, 32),
        ];
        for (n_in_time, batch_size, expected) in cases {
            assert_eq!(chunk(n_in_time, batch_size), expected, "{n_in_time:?} in {batch_size}");
        }
    }

    #[test]
    fn what_is_kept_is_given_up_only_when_it_is_next_to_nothing() {
        for (n_kept, n_left, expected) in [
            (5, 523, 0),
            (5, 319, 5),
            (5, 320, 0),
            (64, 10, 64),
            (67, 200, 64),
            (100, 2000, 100),
            (0, 9, 0),
        ] {
            assert_eq!(used(n_kept, n_left), expected, "{n_kept} before {n_left}");
        }
    }
}
