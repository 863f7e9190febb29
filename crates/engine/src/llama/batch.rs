//! Tokens handed to one evaluation.

use llama_cpp_sys_2 as sys;

use super::Token;

/// Room for a fixed number of tokens, each belonging to one sequence.
#[derive(Debug)]
pub struct Batch {
    raw: sys::llama_batch,
    capacity: usize,
}

impl Batch {
    /// Room for `capacity` tokens.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let n_tokens = i32::try_from(capacity).unwrap_or(i32::MAX);
        // SAFETY: allocates arrays for `n_tokens` tokens of one sequence each; freed in `drop`.
        let raw = unsafe { sys::llama_batch_init(n_tokens, 0, 1) };
        Self { raw, capacity }
    }

    /// Makes it empty again.
    pub fn clear(&mut self) {
        self.raw.n_tokens = 0;
    }

    /// The number of tokens in it.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.raw.n_tokens).unwrap_or(0)
    }

    /// Whether it holds no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a token at `position` of `sequence`; with `wants_logits` its logits can be read after the evaluation.
    ///
    /// # Panics
    /// When it is full: the scheduler's plan never exceeds the capacity.
    pub fn add(&mut self, token: Token, position: usize, sequence: i32, wants_logits: bool) {
        let index = self.len();
        assert!(index < self.capacity, "a batch of {} tokens is full", self.capacity);
        let position = i32::try_from(position).unwrap_or(i32::MAX);
        // SAFETY: `index` is below the capacity that every array was allocated with, and `seq_id[index]` has room for one sequence.
        unsafe {
            *self.raw.token.add(index) = token.0;
            *self.raw.pos.add(index) = position;
            *self.raw.n_seq_id.add(index) = 1;
            **self.raw.seq_id.add(index) = sequence;
            *self.raw.logits.add(index) = i8::from(wants_logits);
        }
        self.raw.n_tokens += 1;
    }

    pub(super) fn raw(&self) -> sys::llama_batch {
        self.raw
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: allocated by `llama_batch_init` and freed once.
        unsafe { sys::llama_batch_free(self.raw) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_as_many_tokens_as_it_has_room_for() {
        let mut batch = Batch::new(2);
        assert!(batch.is_empty());
        batch.add(Token::new(7), 0, 0, false);
        batch.add(Token::new(8), 1, 0, true);
        assert_eq!(batch.len(), 2);
        batch.clear();
        assert!(batch.is_empty());
        batch.add(Token::new(9), 2, 0, true);
        assert_eq!(batch.len(), 1);
    }
}
