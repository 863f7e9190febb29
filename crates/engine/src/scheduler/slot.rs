//! A sequence of the context's memory, and what it holds. Generations come and go; what they evaluated stays for the next one.

use super::job::SessionId;
use super::plan;
use crate::llama::{Context, Model, Token};
use crate::session::prefix;

/// One sequence.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) sequence: i32,
    /// The tokens in its memory.
    pub(super) held: Vec<Token>,
    /// The session that used it last, if it may come back.
    pub(super) owner: Option<SessionId>,
    pub(super) is_busy: bool,
    /// Grows with each use.
    pub(super) used_at: u64,
    /// How many tokens its generation has not had to evaluate.
    pub(super) reused: usize,
    /// Saved states have not been looked through yet for what is to be evaluated.
    pub(super) is_fresh: bool,
    /// Where its prompt's state is to be saved, the next place first.
    pub(super) checkpoints: Vec<Checkpoint>,
    /// How far its prompt may be evaluated now.
    pub(super) pause_at: usize,
}

/// A length of a prompt at which its state is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) n_tokens: usize,
    /// Nothing of a conversation is in it yet.
    pub(super) is_everyones: bool,
}

impl Slot {
    pub(super) fn new(sequence: i32) -> Self {
        Self {
            sequence,
            held: Vec::new(),
            owner: None,
            is_busy: false,
            used_at: 0,
            reused: 0,
            is_fresh: false,
            checkpoints: Vec::new(),
            pause_at: 0,
        }
    }

    /// Whether its memory still holds what it should. Others' evaluation can cost it that.
    pub(super) fn is_whole(&self, context: &Context<'_>) -> bool {
        context.held(self.sequence) >= self.held.len()
    }

    /// How many of its tokens `prompt` can keep.
    pub(super) fn keepable(&self, prompt: &[Token], model: &Model, context: &Context<'_>) -> usize {
        let keep = prefix::plan(&self.held, prompt, model.can_cut_memory()).keep;
        let is_possible = self.is_whole(context) && (keep == self.held.len() || context.can_cut_to(self.sequence, keep));
        if is_possible { keep } else { 0 }
    }

    /// How many of its tokens another sequence can share for `prompt`.
    pub(super) fn shareable(&self, prompt: &[Token], context: &Context<'_>) -> usize {
        let common = prefix::common(&self.held, prompt).min(prompt.len().saturating_sub(1));
        let is_possible = self.is_whole(context) && context.can_share(self.sequence, common);
        if is_possible { common } else { 0 }
    }

    /// Cuts it back to what `prompt` begins with, or a little further where that makes evaluation faster; returns how many tokens are left.
    pub(super) fn reuse(&mut self, prompt: &[Token], model: &Model, context: &mut Context<'_>) -> usize {
        if !self.is_whole(context) {
            self.forget(context);
        }
        let kept = prefix::plan(&self.held, prompt, model.can_cut_memory()).keep;
        let used = plan::used(kept, prompt.len() - kept);
        let can_always_cut = model.can_cut_memory() && !context.has_window();
        let keep = if can_always_cut { used } else { kept };
        if keep < self.held.len() && !context.cut(self.sequence, keep) {
            self.forget(context);
        }
        self.held.truncate(keep);
        self.held.len()
    }

    /// Cuts off its last tokens. Returns whether its memory allows that; otherwise it is forgotten.
    pub(super) fn drop_last(&mut self, n_tokens: usize, context: &mut Context<'_>) -> bool {
        let keep = self.held.len().saturating_sub(n_tokens);
        if n_tokens > 0 && !context.cut(self.sequence, keep) {
            self.forget(context);
            return false;
        }
        self.held.truncate(keep);
        true
    }

    /// Takes notice of a beginning of its prompt, longer than what it held, that it has got from elsewhere.
    pub(super) fn receive(&mut self, tokens: &[Token]) {
        self.reused += tokens.len() - self.held.len();
        self.held.clear();
        self.held.extend_from_slice(tokens);
        self.checkpoints.retain(|checkpoint| checkpoint.n_tokens > tokens.len());
    }

    /// How much of a prompt of `n_tokens` is to be evaluated now.
    pub(super) fn remaining(&self, n_tokens: usize) -> usize {
        self.pause_at.min(n_tokens).saturating_sub(self.held.len())
    }

    /// Learns from memory what an evaluation that was cut short left. Returns whether that is all that was held before it.
    pub(super) fn resync(&mut self, model: &Model, context: &mut Context<'_>) -> bool {
        let n_before = self.held.len();
        let held = context.held(self.sequence).min(n_before);
        if model.can_cut_memory() && context.cut(self.sequence, held) {
            self.held.truncate(held);
        } else {
            self.forget(context);
        }
        self.held.len() == n_before
    }

    pub(super) fn forget(&mut self, context: &mut Context<'_>) {
        context.clear(self.sequence);
        self.held.clear();
        (self.reused, self.is_fresh) = (0, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Coming to one of them later, in a shorter prompt, was out of that prompt's range.
    #[test]
    fn states_are_not_saved_at_places_that_were_found_elsewhere() {
        let mut slot = Slot::new(0);
        let checkpoint = |n_tokens| Checkpoint {
            n_tokens,
            is_everyones: false,
        };
        slot.checkpoints = vec![checkpoint(2), checkpoint(3), checkpoint(4)];
        slot.receive(&[1, 2, 3].map(Token::new));
        assert_eq!((slot.checkpoints, slot.reused), (vec![checkpoint(4)], 3));
    }
}
