//! The ways that a step has been on.

use super::matcher::Thread;

/// A table with room for more than it holds. What was put in before the last [`Self::clear`] is known by its number, so that a step of many ways
/// makes no later one slow.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// A power of two of them, or none.
    places: Vec<Place>,
    n_ways: usize,
    /// That of the ways that count.
    number: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    number: u32,
    thread: Thread,
}

impl Seen {
    /// Forgets all ways. To be called before the first.
    pub(super) fn clear(&mut self) {
        self.n_ways = 0;
        self.number = self.number.wrapping_add(1);
        if self.number == 0 {
            // The numbers begin anew.
            self.places.clear();
            self.number = 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.n_ways
    }

    /// Puts a way in; false when it is there already.
    pub(super) fn insert(&mut self, thread: Thread) -> bool {
        if self.n_ways >= self.places.len() / 4 * 3 {
            self.grow();
        }
        let place = self.place_of(thread);
        let is_new = self.places[place].number != self.number;
        if is_new {
            self.places[place] = Place {
                number: self.number,
                thread,
            };
            self.n_ways += 1;
        }
        is_new
    }

    /// Where it is, or would be.
    fn place_of(&self, thread: Thread) -> usize {
        let last = self.places.len() - 1;
        let mut place = spread(thread) & last;
        while self.places[place].number == self.number && self.places[place].thread != thread {
            place = (place + 1) & last;
        }
        place
    }

    fn grow(&mut self) {
        /// Most steps have fewer ways.
        const FIRST: usize = 64;
        let length = (self.places.len() * 2).max(FIRST);
        let before = std::mem::replace(&mut self.places, vec![Place::default(); length]);
        for place in before.into_iter().filter(|place| place.number == self.number) {
            let index = self.place_of(place.thread);
            self.places[index] = place;
        }
    }
}

/// Ways that differ little come to lie far from each other. Fibonacci hashing.
fn spread(thread: Thread) -> usize {
    let mixed = (u64::from(thread.position) << 32 | u64::from(thread.node)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    // 32 bits fit everywhere.
    usize::try_from(mixed >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_new_once() {
        let ways = |n: u32| (0..n).flat_map(|position| (0..30).map(move |node| Thread { position, node }));
        let mut seen = Seen::default();
        for n in [1, 1000, 3, 100] {
            seen.clear();
            assert!(ways(n).all(|thread| seen.insert(thread)), "{n}");
            assert!(ways(n).all(|thread| !seen.insert(thread)), "{n}");
            assert_eq!(seen.len(), n as usize * 30);
        }
    }

    #[test]
    fn numbers_that_begin_anew_bring_nothing_back() {
        let mut seen = Seen::default();
        let thread = Thread { position: 7, node: 9 };
        seen.clear();
        assert!(seen.insert(thread));
        seen.number = u32::MAX;
        seen.clear();
        assert!(seen.insert(thread) && !seen.insert(thread));
    }
}
