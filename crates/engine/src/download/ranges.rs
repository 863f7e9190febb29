//! Which bytes of a file are here, and in which pieces the rest is fetched. Pure.

use std::collections::VecDeque;
use std::ops::Range;

/// Sets of bytes. Invariant: the ranges are in order, none is empty, and none touches the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// From any ranges; empty ones and those that end before they begin count for nothing.
    pub(super) fn of(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut all = Self::default();
        ranges.into_iter().for_each(|range| all.add(range));
        all
    }

    pub(super) fn add(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        let first = self.0.partition_point(|known| known.end < range.start);
        let last = self.0.partition_point(|known| known.start <= range.end);
        let touched = &self.0[first..last];
        let start = touched.first().map_or(range.start, |known| known.start.min(range.start));
        let end = touched.last().map_or(range.end, |known| known.end.max(range.end));
        self.0.splice(first..last, std::iter::once(start..end));
    }

    /// What of it is before `end`.
    pub(super) fn before(&self, end: u64) -> Self {
        Self::of(self.0.iter().map(|range| range.start..range.end.min(end)))
    }

    /// How many bytes.
    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How far it goes from the first byte on, without a gap.
    pub(super) fn beginning(&self) -> u64 {
        self.0.first().filter(|range| range.start == 0).map_or(0, |range| range.end)
    }

    /// What of a file with `total` bytes is not in it.
    pub(super) fn missing(&self, total: u64) -> Vec<Range<u64>> {
        self.gaps(&(0..total))
    }

    /// What of `whole` is not in it.
    pub(super) fn gaps(&self, whole: &Range<u64>) -> Vec<Range<u64>> {
        let starts = std::iter::once(whole.start).chain(self.0.iter().map(|range| range.end));
        let ends = self.0.iter().map(|range| range.start).chain([whole.end]);
        let gaps = starts.zip(ends).map(|(start, end)| start.max(whole.start)..end.min(whole.end));
        gaps.filter(|gap| gap.start < gap.end).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }
}

/// How the `missing` bytes are fetched: the pieces in order, none longer than `piece`, for this many connections.
pub(super) fn plan(missing: &[Range<u64>], large: u64, piece: u64, connections: usize) -> (VecDeque<Range<u64>>, usize) {
    let bytes: u64 = missing.iter().map(|range| range.end - range.start).sum();
    if bytes < large || connections < 2 {
        return (missing.iter().cloned().collect(), 1);
    }
    let cut = |range: &Range<u64>| {
        let end = range.end;
        let starts = (range.start..end).step_by(usize::try_from(piece.max(1)).unwrap_or(usize::MAX));
        starts
            .map(move |start| start..end.min(start.saturating_add(piece)))
            .collect::<Vec<_>>()
    };
    let pieces: VecDeque<_> = missing.iter().flat_map(cut).collect();
    let connections = connections.min(pieces.len());
    (pieces, connections)
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "ranges of bytes, one of them")]
mod tests {
    use super::*;

    #[test]
    fn adding_joins_what_touches() {
        type Set = &'static [Range<u64>];
        let cases: [(Set, Range<u64>, Set); 8] = [
            (&[], 3..5, &[3..5]),
            (&[3..5], 5..6, &[3..6]),
            (&[3..5], 1..3, &[1..5]),
            (&[3..5], 6..7, &[3..5, 6..7]),
            (&[3..5, 7..9], 5..7, &[3..9]),
            (&[3..5, 7..9], 0..20, &[0..20]),
            (&[3..5], 4..4, &[3..5]),
            (&[0..10], 3..4, &[0..10]),
        ];
        for (before, added, expected) in cases {
            let mut ranges = Ranges::of(before.iter().cloned());
            ranges.add(added.clone());
            assert_eq!(ranges.0, expected, "{before:?} + {added:?}");
        }
    }

    #[test]
    fn in_any_order_it_is_the_same() {
        let parts = [0..3, 10..12, 3..4, 8..10, 20..21];
        let mut reversed = parts.clone();
        reversed.reverse();
        let expected = Ranges(vec![0..4, 8..12, 20..21]);
        assert_eq!((Ranges::of(parts), Ranges::of(reversed)), (expected.clone(), expected.clone()));
        assert_eq!((expected.len(), expected.beginning()), (9, 4));
        assert_eq!(expected.missing(25), [4..8, 12..20, 21..25]);
        assert_eq!(expected.missing(9), [4..8]);
        assert_eq!(expected.gaps(&(2..9)), [4..8]);
        assert_eq!(expected.gaps(&(5..22)), [5..8, 12..20, 21..22]);
        assert_eq!(expected.gaps(&(9..11)), []);
        assert_eq!(expected.before(9).0, [0..4, 8..9]);
        assert_eq!(Ranges::default().missing(2), [0..2]);
        assert_eq!(Ranges::of([1..2]).beginning(), 0);
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "what a damaged note may say")]
    fn what_ends_before_it_begins_is_nothing() {
        assert_eq!(Ranges::of([5..3, 2..2]), Ranges::default());
    }

    #[test]
    fn only_much_is_cut_into_pieces() {
        assert_eq!(plan(&[0..9], 10, 4, 4), ([0..9].into(), 1));
        assert_eq!(plan(&[0..10], 10, 4, 1), ([0..10].into(), 1));
        assert_eq!(plan(&[0..10], 10, 4, 4), ([0..4, 4..8, 8..10].into(), 3));
        assert_eq!(plan(&[2..7, 9..16], 10, 4, 2), ([2..6, 6..7, 9..13, 13..16].into(), 2));
        assert_eq!(plan(&[], 0, 4, 4), ([].into(), 0));
    }
}
