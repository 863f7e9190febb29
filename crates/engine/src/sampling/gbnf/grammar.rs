//! A grammar in the form that is matched: rules as sequences of elements, one after the other in one list.

use std::sync::Arc;

use crate::llama::Token;

/// A place in [`Grammar::code`].
pub(super) type Position = u32;

/// What is expected at a place of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Element {
    /// One of these characters.
    Char(CharSet),
    /// A token, by its number.
    Token(Token),
    /// Any other token.
    NotToken(Token),
    /// What a rule stands for.
    Rule(u32),
    /// The end of an alternative.
    End,
}

/// Rules ready to be matched.
#[derive(Debug)]
pub(super) struct Grammar {
    /// The elements of all alternatives, each closed by [`Element::End`].
    pub(super) code: Vec<Element>,
    /// Where the alternatives of each rule begin.
    pub(super) rules: Vec<Vec<Position>>,
    /// The rule an answer is held to.
    pub(super) root: u32,
}

/// Characters, as ranges of code points in ascending order that do not touch. A repetition that is written out has many of the same: they share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CharSet(Arc<[(u32, u32)]>);

/// The highest code point of Unicode.
const LAST: u32 = 0x0010_FFFF;

impl CharSet {
    pub(super) fn one(code_point: u32) -> Self {
        Self([(code_point, code_point)].into())
    }

    pub(super) fn any() -> Self {
        Self([(0, LAST)].into())
    }

    /// The characters in any of `ranges`, both ends included; a range from high to low is empty.
    pub(super) fn of(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.retain(|(low, high)| low <= high);
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        Self(merged.into())
    }

    /// All other characters.
    pub(super) fn complement(&self) -> Self {
        let mut others = Vec::with_capacity(self.0.len() + 1);
        let mut next = 0;
        for &(low, high) in &*self.0 {
            if next < low {
                others.push((next, low - 1));
            }
            next = high.saturating_add(1);
        }
        if next <= LAST {
            others.push((next, LAST));
        }
        Self(others.into())
    }

    /// Whether one of the characters lies between `low` and `high`, both included.
    pub(super) fn meets(&self, low: u32, high: u32) -> bool {
        let next = self.0.partition_point(|&(_, last)| last < low);
        self.0.get(next).is_some_and(|&(first, _)| first <= high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_merge_and_complement() {
        let set = CharSet::of(vec![(5, 9), (1, 2), (3, 4), (20, 10), (7, 12)]);
        assert_eq!(set, CharSet([(1, 12)].into()));
        assert_eq!(set.complement(), CharSet([(0, 0), (13, LAST)].into()));
        assert_eq!(set.complement().complement(), set);
        assert_eq!(CharSet::any().complement(), CharSet([].into()));
        assert!(set.meets(12, 40) && !set.meets(13, 40) && set.meets(0, LAST));
        let apart = CharSet::of(vec![(10, 12), (20, 20), (30, 39)]);
        for (low, high, expected) in [
            (0, 9, false),
            (0, 10, true),
            (12, 12, true),
            (13, 19, false),
            (13, 20, true),
            (20, 20, true),
            (21, 29, false),
            (39, 90, true),
            (40, LAST, false),
        ] {
            assert_eq!(apart.meets(low, high), expected, "{low} to {high}");
        }
    }
}
