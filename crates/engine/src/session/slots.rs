//! Which sequence's memory a generation takes.

/// A sequence that nothing runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Which one.
    pub slot: usize,
    /// How many tokens are in its memory.
    pub held: usize,
    /// How many of them the prompt can keep.
    pub keep: usize,
    /// Nobody else comes back to what is cut off it.
    pub is_own: bool,
    /// Grows with each use.
    pub used_at: u64,
}

/// Chooses among `idle` for a prompt: the one that keeps the most tokens, where most of what it holds stays and nobody else misses the rest;
/// else the one that was not used for longest, empty ones first. What other sequences hold can be shared, wherever the prompt goes.
#[must_use]
pub fn choose(idle: &[Idle]) -> Option<usize> {
    let continued = idle
        .iter()
        .filter(|idle| idle.is_own && idle.keep > 0 && is_mostly_kept(idle.held, idle.keep));
    let longest = continued.max_by_key(|idle| (idle.keep, idle.used_at));
    let oldest = || idle.iter().min_by_key(|idle| (idle.held > 0, idle.used_at));
    longest.or_else(oldest).map(|idle| idle.slot)
}

/// Whether most of `held` tokens are among the `keep` that stay.
#[must_use]
pub fn is_mostly_kept(held: usize, keep: usize) -> bool {
    keep * 2 > held || held == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_continued_then_empty_then_oldest() {
        let idle = |slot, held, keep, is_own, used_at| Idle {
            slot,
            held,
            keep,
            is_own,
            used_at,
        };
        let cases: [(&[Idle], Option<usize>); 8] = [
            (&[], None),
            (&[idle(0, 9, 1, false, 1), idle(1, 9, 9, true, 2)], Some(1)),
            (&[idle(0, 9, 6, true, 1), idle(1, 9, 9, true, 2), idle(2, 0, 0, true, 0)], Some(1)),
            (&[idle(0, 9, 6, false, 1), idle(1, 0, 0, true, 2)], Some(1)),
            (&[idle(0, 9, 4, true, 1), idle(1, 0, 0, true, 2)], Some(1)),
            (&[idle(0, 9, 4, true, 3), idle(1, 9, 0, false, 2)], Some(1)),
            (&[idle(0, 9, 8, false, 3), idle(1, 9, 0, false, 2)], Some(1)),
            (&[idle(0, 9, 5, true, 3), idle(1, 9, 0, false, 2)], Some(0)),
        ];
        for (idle, expected) in cases {
            assert_eq!(choose(idle), expected, "{idle:?}");
        }
    }

    #[test]
    fn more_than_half_is_most() {
        for (held, keep, expected) in [(0, 0, true), (4, 2, false), (4, 3, true), (4, 0, false), (5, 3, true)] {
            assert_eq!(is_mostly_kept(held, keep), expected, "{keep} of {held}");
        }
    }
}
