//! Which saved states of sequences a prompt can use, which go when there are too many, and where in a prompt one is worth saving. Pure: whoever
//! calls holds the states.

use super::prefix;

/// A saved state.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'tokens, Token> {
    /// The tokens that it is the state of.
    pub tokens: &'tokens [Token],
    /// It can be cut back to this many of them, or to more; where it cannot be cut, to all of them.
    pub shortest: usize,
    /// What it takes.
    pub bytes: usize,
    /// Grows with each use.
    pub used_at: u64,
}

/// A state that a prompt can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which one.
    pub index: usize,
    /// How many of its tokens.
    pub keep: usize,
}

impl<Token: PartialEq> Saved<'_, Token> {
    /// How many of its tokens `prompt` can use. The prompt's last token is evaluated in any case.
    fn usable(&self, prompt: &[Token]) -> usize {
        let keep = prefix::common(self.tokens, prompt).min(prompt.len().saturating_sub(1));
        if keep == self.tokens.len() || keep >= self.shortest {
            keep
        } else {
            0
        }
    }

    /// Whether whoever has it needs no state of `tokens`.
    fn covers(&self, tokens: &[Token]) -> bool {
        self.tokens.starts_with(tokens) && (self.tokens.len() == tokens.len() || self.shortest <= tokens.len())
    }
}

/// The state of which `prompt` can use the most; the smallest of equals.
#[must_use]
pub fn find<Token: PartialEq>(all: &[Saved<'_, Token>], prompt: &[Token]) -> Option<Found> {
    let usable = all.iter().enumerate().map(|(index, saved)| (index, saved.usable(prompt)));
    let best = usable
        .filter(|(_, keep)| *keep > 0)
        .max_by_key(|(index, keep)| (*keep, std::cmp::Reverse(all[*index].bytes)));
    best.map(|(index, keep)| Found { index, keep })
}

/// The state that makes one of `tokens` needless.
#[must_use]
pub fn covering<Token: PartialEq>(all: &[Saved<'_, Token>], tokens: &[Token]) -> Option<usize> {
    all.iter().position(|saved| saved.covers(tokens))
}

/// Those that `new` makes needless.
#[must_use]
pub fn covered<Token: PartialEq>(all: &[Saved<'_, Token>], new: &Saved<'_, Token>) -> Vec<usize> {
    let is_covered = |(index, saved): (usize, &Saved<'_, Token>)| new.covers(saved.tokens).then_some(index);
    all.iter().enumerate().filter_map(is_covered).collect()
}

/// Those that go, the least recently used first, so that all take at most `budget` bytes.
#[must_use]
pub fn surplus<Token>(all: &[Saved<'_, Token>], budget: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|index| all[*index].used_at);
    let mut total: usize = all.iter().map(|saved| saved.bytes).sum();
    let goes = |index: &usize| {
        let is_too_much = total > budget;
        total -= if is_too_much { all[*index].bytes } else { 0 };
        is_too_much
    };
    order.into_iter().take_while(goes).collect()
}

/// Where the evaluation of a prompt pauses, `held` tokens of which have been evaluated and `saved` can be restored, so that a later prompt
/// which is different further on can begin there: near its end, at `last`, and at `beginnings`, which it has in common with other prompts.
#[must_use]
pub fn checkpoints(held: usize, saved: usize, last: usize, beginnings: &[usize]) -> Vec<usize> {
    /// Fewer tokens are evaluated again sooner.
    const FEWEST: usize = 32;
    let mut wanted: Vec<usize> = beginnings.iter().copied().chain([last]).collect();
    wanted.sort_unstable();
    let mut previous = saved;
    wanted.retain(|position| {
        let is_far = *position > held && *position >= previous + FEWEST && *position <= last;
        if is_far {
            previous = *position;
        }
        is_far
    });
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(tokens: &[u32], shortest: usize, bytes: usize, used_at: u64) -> Saved<'_, u32> {
        Saved {
            tokens,
            shortest,
            bytes,
            used_at,
        }
    }

    #[test]
    fn the_state_is_found_of_which_most_can_be_used() {
        let all = [
            saved(&[1, 2, 3, 4], 0, 4, 1),
            saved(&[1, 2], 2, 2, 2),
            saved(&[1, 2, 3, 9, 9], 4, 5, 3),
            saved(&[7, 7, 7], 3, 3, 4),
        ];
        let found = |index, keep| Some(Found { index, keep });
        let cases: [(&[u32], Option<Found>); 9] = [
            (&[1, 2, 3, 4, 5], found(0, 4)),
            (&[1, 2, 3, 4], found(0, 3)),
            (&[1, 2, 3, 9, 9, 9], found(2, 5)),
            (&[1, 2, 3, 9, 9], found(2, 4)),
            (&[1, 2, 3, 8], found(0, 3)),
            (&[1, 2, 8], found(1, 2)),
            (&[7, 7, 7], None),
            (&[7, 7, 7, 7], found(3, 3)),
            (&[8], None),
        ];
        for (prompt, expected) in cases {
            assert_eq!(find(&all, prompt), expected, "{prompt:?}");
        }
    }

    #[test]
    fn a_state_that_can_be_cut_makes_shorter_ones_needless() {
        let (long, short, other): (&[u32], &[u32], &[u32]) = (&[1, 2, 3], &[1, 2], &[1, 5]);
        for (shortest, covers_short) in [(0, true), (2, true), (3, false)] {
            let new = saved(long, shortest, 1, 9);
            assert_eq!(covering(&[saved(other, 0, 1, 1), new], short).is_some(), covers_short, "{shortest}");
            let before = [saved(short, 0, 1, 1), saved(other, 0, 1, 2), saved(long, 0, 1, 3)];
            let expected: &[usize] = if covers_short { &[0, 2] } else { &[2] };
            assert_eq!(covered(&before, &new), expected, "{shortest}");
        }
    }

    #[test]
    fn the_least_recently_used_go_until_the_rest_fits() {
        let all = [saved(&[1], 0, 10, 5), saved(&[2], 0, 20, 1), saved(&[3], 0, 30, 3)];
        let cases: [(usize, &[usize]); 5] = [(60, &[]), (59, &[1]), (40, &[1]), (39, &[1, 2]), (0, &[1, 2, 0])];
        for (budget, expected) in cases {
            assert_eq!(surplus(&all, budget), expected, "{budget}");
        }
    }

    #[test]
    fn checkpoints_are_apart_and_not_behind_the_last() {
        type Case = (usize, usize, usize, &'static [usize], &'static [usize]);
        let cases: [Case; 11] = [
            (0, 0, 92, &[], &[92]),
            (0, 0, 31, &[], &[]),
            (0, 0, 32, &[], &[32]),
            (0, 0, 92, &[50], &[50, 92]),
            (0, 0, 92, &[70, 50], &[50, 92]),
            (30, 30, 92, &[50], &[92]),
            (61, 61, 92, &[50], &[]),
            (61, 60, 92, &[50], &[92]),
            (85, 0, 92, &[50], &[92]),
            (92, 0, 92, &[50], &[]),
            (0, 0, 92, &[93, 120, 20], &[92]),
        ];
        for (held, saved, last, beginnings, expected) in cases {
            let found = checkpoints(held, saved, last, beginnings);
            assert_eq!(found, expected, "{held} and {saved} of {last}, {beginnings:?}");
        }
    }
}
