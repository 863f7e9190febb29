//! What a loop needs of llama.cpp, and nothing more, over the engine's bare owner of a model and a context.
//!
//! Nothing else of the engine is used: what it costs is what the bench wants to see.

use std::path::Path;

use llama_worker_engine::llama::{Backend, Bare, BareParams, Batch, Token, argmax};

/// A token to evaluate.
pub(crate) struct Entry {
    token: i32,
    position: usize,
    sequence: i32,
    wants_logits: bool,
}

impl Entry {
    pub(crate) fn new(token: i32, position: usize, sequence: i32, wants_logits: bool) -> Self {
        Self {
            token,
            position,
            sequence,
            wants_logits,
        }
    }

    /// The newest token of a sequence.
    pub(crate) fn last(token: i32, position: usize, sequence: i32) -> Self {
        Self::new(token, position, sequence, true)
    }
}

pub(crate) struct Llama {
    bare: Bare,
    batch: Batch,
}

impl Llama {
    pub(crate) fn load(backends: &Path, model: &Path, params: &BareParams) -> Result<Self, String> {
        let backend = Backend::start(backends).map_err(|error| error.to_string())?;
        let bare = Bare::load(backend, model, params).map_err(|error| error.to_string())?;
        Ok(Self {
            batch: Batch::new(bare.batch_size()),
            bare,
        })
    }

    pub(crate) fn batch_size(&self) -> usize {
        self.bare.batch_size()
    }

    pub(crate) fn evaluate(&mut self, entries: &[Entry]) -> Result<(), String> {
        if entries.len() > self.batch_size() {
            return Err(format!("{} tokens at once, expected at most {}", entries.len(), self.batch_size()));
        }
        self.batch.clear();
        for entry in entries {
            self.batch
                .add(Token::new(entry.token), entry.position, entry.sequence, entry.wants_logits);
        }
        self.bare.decode(&self.batch).map_err(|error| error.to_string())
    }

    /// The token with the largest logit in `row` of the last evaluation; -1 is the last row.
    pub(crate) fn likeliest(&self, row: i32) -> Result<i32, String> {
        let logits = self.bare.logits(row).ok_or_else(|| format!("row {row} has no logits"))?;
        let token = argmax(logits).ok_or_else(|| format!("the logits of row {row} are no numbers"))?;
        Ok(token.0)
    }

    /// Cuts a sequence back to its first `n_tokens`.
    pub(crate) fn cut(&mut self, sequence: i32, n_tokens: usize) -> Result<(), String> {
        let is_cut = self.bare.cut(sequence, n_tokens);
        is_cut.then_some(()).ok_or_else(|| "this memory cannot be cut".into())
    }

    pub(crate) fn clear(&mut self) {
        self.bare.clear();
    }
}
