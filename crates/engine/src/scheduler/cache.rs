//! States of sequences that have lost their place, in the machine's memory and within a budget. Holds them; what is done with them is decided
//! by `reuse`, which go by the plans of `session::saved`.

use std::time::Duration;

use super::job::SessionId;
use crate::llama::{SequenceState, Token};
use crate::session::pace::Pace;
use crate::session::prefix;
use crate::session::saved::{self, Found, Saved};

/// Saved states.
#[derive(Debug, Default)]
pub(super) struct StateCache {
    states: Vec<Kept>,
    /// Bytes.
    budget: usize,
    n_uses: u64,
    pub(super) pace: Pace,
}

/// A saved state.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) tokens: Vec<Token>,
    pub(super) state: SequenceState,
    /// The session with which it goes; `None`: no session's in particular.
    pub(super) owner: Option<SessionId>,
    used_at: u64,
}

/// More states of one conversation would crowd out the others'.
const MOST_OF_ONE: usize = 8;

impl Kept {
    pub(super) fn new(tokens: Vec<Token>, state: SequenceState, owner: Option<SessionId>) -> Self {
        Self {
            tokens,
            state,
            owner,
            used_at: 0,
        }
    }

    fn as_saved(&self) -> Saved<'_, Token> {
        Saved {
            tokens: &self.tokens,
            shortest: self.state.shortest(),
            bytes: self.state.n_bytes() + size_of_val(&*self.tokens),
            used_at: self.used_at,
        }
    }
}

impl StateCache {
    pub(super) fn new(budget: u64) -> Self {
        Self {
            budget: usize::try_from(budget).unwrap_or(usize::MAX),
            ..Self::default()
        }
    }

    pub(super) fn is_off(&self) -> bool {
        self.budget == 0
    }

    /// The state of which `prompt` can use the most.
    pub(super) fn find(&self, prompt: &[Token]) -> Option<Found> {
        saved::find(&self.all(), prompt)
    }

    /// How many tokens of `prompt` can be restored.
    pub(super) fn n_usable(&self, prompt: &[Token]) -> usize {
        self.find(prompt).map_or(0, |found| found.keep)
    }

    pub(super) fn n_bytes(&self, index: usize) -> usize {
        self.states[index].state.n_bytes()
    }

    /// Takes a state out. What is used again is given back by [`Self::keep`].
    pub(super) fn take(&mut self, index: usize) -> Kept {
        self.states.swap_remove(index)
    }

    /// Whether a state of `tokens` would be needless; takes notice that somebody wanted it.
    pub(super) fn covers(&mut self, tokens: &[Token]) -> bool {
        let covering = saved::covering(&self.all(), tokens);
        self.n_uses += 1;
        if let Some(index) = covering {
            self.states[index].used_at = self.n_uses;
        }
        covering.is_some()
    }

    /// Whether a state of `n_bytes`, which spares an evaluation of `n_tokens`, should be kept.
    pub(super) fn wants(&self, n_tokens: usize, n_bytes: usize, patience: Duration) -> bool {
        n_bytes > 0 && n_bytes <= self.budget && self.pace.should_save(n_tokens, n_bytes, patience)
    }

    /// Keeps a state, and drops those that it makes needless or that no longer fit.
    pub(super) fn keep(&mut self, mut new: Kept) {
        self.n_uses += 1;
        new.used_at = self.n_uses;
        let covered = saved::covered(&self.all(), &new.as_saved());
        self.remove(covered);
        self.states.push(new);
        self.limit_newest_owner();
        let surplus = saved::surplus(&self.all(), self.budget);
        self.remove(surplus);
    }

    /// The longest beginning that `tokens` have in common with any.
    pub(super) fn longest_common(&self, tokens: &[Token]) -> usize {
        let common = self.states.iter().map(|kept| prefix::common(&kept.tokens, tokens));
        common.max().unwrap_or(0)
    }

    /// Drops what is `owner`'s.
    pub(super) fn forget(&mut self, owner: SessionId) {
        self.states.retain(|kept| kept.owner != Some(owner));
    }

    fn limit_newest_owner(&mut self) {
        let owner = self.states.last().and_then(|kept| kept.owner);
        let of_owner = || {
            self.states
                .iter()
                .enumerate()
                .filter(|(_, kept)| owner.is_some() && kept.owner == owner)
        };
        let oldest = of_owner().min_by_key(|(_, kept)| kept.used_at).map(|(index, _)| index);
        if of_owner().count() > MOST_OF_ONE {
            self.remove(oldest.into_iter().collect());
        }
    }

    fn remove(&mut self, mut indices: Vec<usize>) {
        indices.sort_unstable();
        for index in indices.into_iter().rev() {
            self.states.swap_remove(index);
        }
    }

    fn all(&self) -> Vec<Saved<'_, Token>> {
        self.states.iter().map(Kept::as_saved).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: SessionId = SessionId(1);
    const TWO: SessionId = SessionId(2);
    const PATIENT: Duration = Duration::from_secs(1);

    fn tokens(numbers: &[i32]) -> Vec<Token> {
        numbers.iter().copied().map(Token::new).collect()
    }

    /// A state of 100 bytes that can be cut anywhere, or not at all.
    fn kept(numbers: &[i32], can_cut: bool, owner: Option<SessionId>) -> Kept {
        let shortest = if can_cut { 0 } else { numbers.len() };
        Kept::new(tokens(numbers), SequenceState::fake(100, numbers.len(), shortest), owner)
    }

    fn n_usable(cache: &StateCache, numbers: &[i32]) -> usize {
        cache.n_usable(&tokens(numbers))
    }

    #[test]
    fn the_budget_is_kept_and_what_is_used_stays() {
        let mut cache = StateCache::new(240);
        cache.keep(kept(&[1, 1], true, Some(ONE)));
        cache.keep(kept(&[2, 2], true, Some(TWO)));
        assert!(cache.covers(&tokens(&[1])), "used");
        cache.keep(kept(&[3, 3], true, Some(TWO)));
        assert_eq!([1, 2, 3].map(|number| n_usable(&cache, &[number; 3])), [2, 0, 2]);
        let taken = cache.take(cache.find(&tokens(&[1, 1, 1])).unwrap().index);
        assert_eq!((taken.owner, n_usable(&cache, &[1, 1, 1])), (Some(ONE), 0));
    }

    #[test]
    fn what_does_not_fit_or_is_switched_off_is_not_wanted() {
        assert!(StateCache::new(0).is_off() && !StateCache::new(0).wants(1000, 1, PATIENT));
        assert!(StateCache::new(100).wants(1000, 100, PATIENT) && !StateCache::new(100).wants(1000, 101, PATIENT));
        assert!(!StateCache::new(100).wants(1000, 0, PATIENT), "a state that cannot be saved");
        assert!(!StateCache::new(u64::MAX).wants(1000, 1 << 40, PATIENT), "it would take too long");
    }

    #[test]
    fn one_longer_state_that_can_be_cut_replaces_shorter_ones() {
        for (can_cut, n_bytes) in [(true, 112), (false, 220)] {
            let mut cache = StateCache::new(10_000);
            cache.keep(kept(&[1, 2], can_cut, Some(ONE)));
            cache.keep(kept(&[1, 2, 3], can_cut, Some(ONE)));
            assert_eq!(cache.all().iter().map(|saved| saved.bytes).sum::<usize>(), n_bytes);
            assert_eq!(n_usable(&cache, &[1, 2, 9]), 2, "cut: {can_cut}");
        }
    }

    #[test]
    fn a_conversation_has_few_states_and_they_go_with_its_session() {
        let mut cache = StateCache::new(u64::MAX);
        cache.keep(kept(&[7], false, None));
        cache.keep(kept(&[8], false, Some(TWO)));
        for length in 1..=20 {
            cache.keep(kept(&vec![1; length], false, Some(ONE)));
        }
        assert_eq!(cache.states.len(), 2 + MOST_OF_ONE);
        assert_eq!(n_usable(&cache, &[1; 21]), 20, "the newest are there");
        cache.forget(ONE);
        assert_eq!([1, 7, 8].map(|number| n_usable(&cache, &[number; 21])), [0, 1, 1]);
    }
}
