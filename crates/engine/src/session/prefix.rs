//! How much of a sequence's memory a new prompt can keep.

/// What to do with a sequence before a prompt is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Tokens at the beginning of the sequence that stay.
    pub keep: usize,
}

/// Plans the reuse of `held`, the tokens in memory, for `prompt`.
///
/// At least the prompt's last token is evaluated again, since its logits are needed. A memory that cannot be cut back (`can_cut` false)
/// is kept only when the prompt continues it as a whole.
#[must_use]
pub fn plan<Token: PartialEq>(held: &[Token], prompt: &[Token], can_cut: bool) -> Reuse {
    let keep = common(held, prompt).min(prompt.len().saturating_sub(1));
    Reuse {
        keep: if can_cut || keep == held.len() { keep } else { 0 },
    }
}

/// How many tokens both begin with.
#[must_use]
pub fn common<Token: PartialEq>(one: &[Token], other: &[Token]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(held: &[i32], prompt: &[i32], can_cut: bool, keep: usize) {
        assert_eq!(plan(held, prompt, can_cut), Reuse { keep }, "{held:?} {prompt:?} {can_cut}");
    }

    #[test]
    fn keeps_the_longest_common_beginning() {
        check(&[], &[1, 2, 3], true, 0);
        check(&[1, 2], &[1, 2, 3], true, 2);
        check(&[1, 2, 9, 9], &[1, 2, 3], true, 2);
        check(&[9], &[1, 2, 3], true, 0);
    }

    #[test]
    fn the_last_prompt_token_is_always_evaluated() {
        check(&[1, 2, 3], &[1, 2, 3], true, 2);
        check(&[1, 2, 3, 4], &[1, 2, 3], true, 2);
        check(&[1], &[1], true, 0);
        check(&[1], &[], true, 0);
    }

    #[test]
    fn memory_that_cannot_be_cut_is_kept_whole_or_not_at_all() {
        check(&[1, 2], &[1, 2, 3], false, 2);
        check(&[1, 2, 9], &[1, 2, 3], false, 0);
        check(&[1, 2, 3], &[1, 2, 3], false, 0);
    }
}
