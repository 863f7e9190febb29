//! A sequence of the context's memory, and what it holds. Generations come and go; what they evaluated stays for the next one.

use super::job::SessionId;
use crate::llama::{Context, Model, Token};
use crate::session::prefix;

/// One sequence.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) sequence: i32,
    /// The tokens in its memory.
    pub(super) held: Vec<Token>,
    /// The session that used it last.
    pub(super) owner: Option<SessionId>,
    pub(super) is_busy: bool,
    /// Grows with each use.
    pub(super) used_at: u64,
}

impl Slot {
    pub(super) fn new(sequence: i32) -> Self {
        Self {
            sequence,
            held: Vec::new(),
            owner: None,
            is_busy: false,
            used_at: 0,
        }
    }

    /// Cuts it back to what `prompt` begins with; returns how many tokens that is.
    pub(super) fn reuse(&mut self, prompt: &[Token], model: &Model, context: &mut Context<'_>) -> usize {
        if context.held(self.sequence) < self.held.len() {
            // Others' evaluation has cost it its memory.
            self.forget(context);
        }
        let keep = prefix::plan(&self.held, prompt, model.can_cut_memory()).keep;
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

    /// Learns from memory what an aborted evaluation left.
    pub(super) fn resync(&mut self, model: &Model, context: &mut Context<'_>) {
        let held = context.held(self.sequence).min(self.held.len());
        if model.can_cut_memory() && context.cut(self.sequence, held) {
            self.held.truncate(held);
        } else {
            self.forget(context);
        }
    }

    pub(super) fn forget(&mut self, context: &mut Context<'_>) {
        context.clear(self.sequence);
        self.held.clear();
    }
}
