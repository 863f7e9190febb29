//! Which sequence's memory a generation takes.

/// A sequence that nothing runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle<'tokens, Token> {
    /// Which one.
    pub slot: usize,
    /// The tokens in its memory.
    pub held: &'tokens [Token],
    /// Grows with each use.
    pub used_at: u64,
}

/// Chooses among `idle` for `prompt`: `own`, the session's last one, if it is among them; else the one that holds the longest beginning of
/// the prompt, if that is most of what it holds; else the one that was not used for longest, empty ones first.
#[must_use]
pub fn choose<Token: PartialEq>(idle: &[Idle<'_, Token>], own: Option<usize>, prompt: &[Token]) -> Option<usize> {
    if let Some(own) = own.filter(|own| idle.iter().any(|idle| idle.slot == *own)) {
        return Some(own);
    }
    let common = |idle: &Idle<'_, Token>| idle.held.iter().zip(prompt).take_while(|(held, wanted)| held == wanted).count();
    let similar = idle.iter().filter(|idle| common(idle) * 2 > idle.held.len());
    let longest = similar.max_by_key(|idle| common(idle));
    let oldest = || idle.iter().min_by_key(|idle| (!idle.held.is_empty(), idle.used_at));
    longest.or_else(oldest).map(|idle| idle.slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_then_similar_then_oldest() {
        let idle = |slot, held, used_at| Idle { slot, held, used_at };
        let (mine, other): (&[i32], &[i32]) = (&[1, 2, 3, 4], &[1, 9, 9, 9]);
        let slots = [idle(0, other, 5), idle(1, mine, 2), idle(2, other, 1), idle(3, &[][..], 9)];
        for (own, prompt, among, expected) in [
            (Some(0), &[1, 2, 3, 4, 5][..], &slots[..], Some(0)),
            (Some(7), &[1, 2, 3, 4, 5], &slots, Some(1)),
            (None, &[1, 2, 3, 4, 5], &slots, Some(1)),
            (None, &[1, 7], &slots, Some(3)),
            (None, &[1, 7], &slots[..3], Some(2)),
            (None, &[1, 7], &[], None),
        ] {
            assert_eq!(choose(among, own, prompt), expected, "own {own:?}, prompt {prompt:?}");
        }
    }
}
