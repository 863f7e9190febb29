//! The memory of a sequence: shared with another one, copied out of the context, and back into it.
//!
//! Says what is possible; which sequence, when and whether it is worth it is decided elsewhere.

use super::{Context, memory, shim};

/// The memory of a sequence, outside of its context. Only a context of the same model and the same parameters can take it back.
#[derive(Debug)]
pub struct SequenceState {
    bytes: Vec<u8>,
    n_tokens: usize,
    shortest: usize,
}

impl SequenceState {
    /// One that no context takes back.
    #[cfg(test)]
    pub(crate) fn fake(n_bytes: usize, n_tokens: usize, shortest: usize) -> Self {
        Self {
            bytes: vec![0; n_bytes],
            n_tokens,
            shortest,
        }
    }

    /// What it takes.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Back in a context it can be cut to this many tokens, or to more.
    #[must_use]
    pub fn shortest(&self) -> usize {
        self.shortest
    }
}

/// Whether the machine has room for a copy, and as much again for everything else: it grants any memory and ends processes when it is used.
fn has_room(n_bytes: usize) -> bool {
    /// Looking costs more than these.
    const SMALL: usize = 1 << 20;
    n_bytes < SMALL || memory::available() / 2 > u64::try_from(n_bytes).unwrap_or(u64::MAX)
}

impl Context<'_> {
    /// Whether sequences can share at all.
    #[must_use]
    pub fn shares(&self) -> bool {
        self.can_share
    }

    /// Whether `sequence` can share its first `n_tokens` with another one.
    #[must_use]
    pub fn can_share(&self, sequence: i32, n_tokens: usize) -> bool {
        let held = self.held(sequence);
        let is_whole = n_tokens == held;
        self.can_share && n_tokens > 0 && n_tokens <= held && (is_whole || self.can_cut_to(sequence, n_tokens))
    }

    /// Lets `to` hold the first `n_tokens` of `from`, in place of what it held. Both then use the same cells, nothing is copied. Returns
    /// whether it did; if not, `to` holds nothing or what it held.
    pub fn share(&mut self, from: i32, to: i32, n_tokens: usize) -> bool {
        if from == to || !self.can_share(from, n_tokens) {
            return false;
        }
        // llama.cpp counts a cell twice that is shared with a sequence which has it already.
        self.clear(to);
        let is_whole = n_tokens == self.held(from);
        let end = if is_whole { -1 } else { i32::try_from(n_tokens).unwrap_or(-1) };
        // SAFETY: the context and its memory are live; -1 means to the end.
        let shared = self.call(|error| unsafe { shim::lw_memory_share(self.raw(), from, to, end, error) });
        let is_shared = shared.is_ok() && self.held(to) == n_tokens;
        if !is_shared {
            self.clear(to);
        }
        is_shared
    }

    /// Bytes that the state of `sequence` would take.
    #[must_use]
    pub fn state_bytes(&self, sequence: i32) -> usize {
        // SAFETY: the context is live.
        self.call(|error| unsafe { shim::lw_state_size(self.raw(), sequence, error) })
            .unwrap_or(0)
    }

    /// Copies out what `sequence` holds; `None` when it holds nothing, or the machine has no room for it.
    pub fn save(&mut self, sequence: i32) -> Option<SequenceState> {
        let n_tokens = self.held(sequence);
        let n_bytes = self.state_bytes(sequence);
        let mut bytes = Vec::new();
        if n_tokens == 0 || n_bytes == 0 || !has_room(n_bytes) || bytes.try_reserve_exact(n_bytes).is_err() {
            return None;
        }
        // SAFETY: the context is live; there is room for `n_bytes`, and llama.cpp writes no more.
        let written = self.call(|error| unsafe { shim::lw_state_save(self.raw(), sequence, bytes.as_mut_ptr(), n_bytes, error) });
        if written != Ok(n_bytes) {
            return None;
        }
        // SAFETY: that many bytes were reserved and have been written.
        unsafe { bytes.set_len(n_bytes) };
        Some(SequenceState {
            bytes,
            n_tokens,
            shortest: self.shortest(sequence, n_tokens),
        })
    }

    /// Lets `sequence` hold what was saved, in place of what it held. Returns whether it does; if not, it holds nothing.
    pub fn restore(&mut self, sequence: i32, state: &SequenceState) -> bool {
        let bytes = &state.bytes;
        // SAFETY: the context is live; the bytes are those of `save`.
        let read = self.call(|error| unsafe { shim::lw_state_restore(self.raw(), sequence, bytes.as_ptr(), bytes.len(), error) });
        let is_restored = read == Ok(bytes.len()) && self.held(sequence) == state.n_tokens;
        if !is_restored {
            self.clear(sequence);
        }
        is_restored
    }

    /// How far the state of `sequence` can be cut back once it is restored: of layers with a sliding window llama.cpp saves the window alone.
    fn shortest(&self, sequence: i32, n_tokens: usize) -> usize {
        let first = self.first_held(sequence).max(n_tokens.saturating_sub(self.window));
        match (self.can_cut, self.window) {
            (false, _) => n_tokens,
            (true, 0) => 0,
            (true, _) if first == 0 => 0,
            (true, window) => (first + window - 1).min(n_tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::testing::{built_in_model, context_params};
    use crate::llama::{Batch, ContextParams, Decoded, Model, Token};

    /// llama.cpp asserts that a sequence has a number below 256; in the functions of states it catches that itself.
    const NO_SEQUENCE: i32 = 100_000;

    /// The state of a sequence that holds a token.
    fn saved(model: &Model, params: &ContextParams) -> Vec<u8> {
        let mut context = Context::new(model, params).unwrap();
        let mut batch = Batch::new(1);
        batch.add(Token::new(1), 0, 0, false);
        assert_eq!(context.decode(&batch, &[]), Ok(Decoded::Done));
        context.save(0).unwrap().bytes
    }

    #[cfg(not(windows))]
    type Call<'call> = &'call dyn Fn(&mut Context<'_>);

    /// Where C frames cannot be unwound, an assertion ends the process.
    #[cfg(not(windows))]
    #[test]
    fn a_context_is_broken_when_an_assertion_fails_on_a_sequence() {
        let (model, params) = (built_in_model(), context_params());
        let state = SequenceState::fake(64, 1, 0);
        let bytes = &saved(&model, &params);
        let calls: [(&str, Call<'_>); 5] = [
            ("held", &|context| assert_eq!(context.held(NO_SEQUENCE), 0)),
            ("first_held", &|context| assert_eq!(context.first_held(NO_SEQUENCE), 0)),
            ("cut", &|context| context.clear(NO_SEQUENCE)),
            ("save", &|context| assert!(context.save(NO_SEQUENCE).is_none())),
            ("state_restore", &|context| {
                // SAFETY: the context is live, and the bytes are.
                let read =
                    context.call(|error| unsafe { shim::lw_state_restore(context.raw(), NO_SEQUENCE, bytes.as_ptr(), bytes.len(), error) });
                assert!(read.is_err());
            }),
        ];
        for (name, call) in calls {
            let mut context = Context::new(&model, &params).unwrap();
            assert!(!context.is_broken());
            call(&mut context);
            assert!(context.is_broken(), "{name}");
        }
        // A state that does not fit is no more than that.
        let mut context = Context::new(&model, &params).unwrap();
        assert!(!context.restore(0, &state) && !context.is_broken());
    }
}
