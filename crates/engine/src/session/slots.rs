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
    /// Who comes back to it.
    pub owner: Owner,
    /// Grows with each use.
    pub used_at: u64,
}

/// Who misses what is cut off a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The session that the prompt is of, which has left that behind.
    Own,
    /// Nobody.
    Nobody,
    /// Another session.
    Other,
}

/// Chooses among `idle` for a prompt: its session's own one; else, of those that nobody misses, the one that keeps most; else the one that was
/// not used for longest.
///
/// What other sequences hold can be shared, wherever the prompt goes. And what is left in memory for nobody makes every answer slower: attention
/// passes over it.
#[must_use]
pub fn choose(idle: &[Idle]) -> Option<usize> {
    let free = idle.iter().filter(|idle| idle.owner != Owner::Other);
    let best = free.max_by_key(|idle| (idle.owner == Owner::Own, idle.keep, idle.held));
    let oldest = || idle.iter().min_by_key(|idle| idle.used_at);
    best.or_else(oldest).map(|idle| idle.slot)
}

#[cfg(test)]
mod tests {
    use super::Owner::{Nobody, Other, Own};
    use super::*;

    #[test]
    fn own_then_nobodys_then_oldest() {
        let idle = |slot, held, keep, owner, used_at| Idle {
            slot,
            held,
            keep,
            owner,
            used_at,
        };
        let cases: [(&[Idle], Option<usize>); 8] = [
            (&[], None),
            (&[idle(0, 9, 1, Own, 1), idle(1, 9, 9, Nobody, 2)], Some(0)),
            (&[idle(0, 9, 1, Own, 1), idle(1, 9, 5, Own, 2)], Some(1)),
            (&[idle(0, 9, 6, Other, 1), idle(1, 0, 0, Nobody, 2)], Some(1)),
            (&[idle(0, 0, 0, Nobody, 0), idle(1, 9, 0, Nobody, 2)], Some(1)),
            (&[idle(0, 9, 4, Nobody, 3), idle(1, 20, 3, Nobody, 2)], Some(0)),
            (&[idle(0, 9, 8, Other, 3), idle(1, 9, 0, Other, 2)], Some(1)),
            (&[idle(0, 9, 8, Other, 1), idle(1, 9, 0, Other, 2)], Some(0)),
        ];
        for (idle, expected) in cases {
            assert_eq!(choose(idle), expected, "{idle:?}");
        }
    }
}
