//! The decode loop: gives every session its share of each evaluation and turns logits into text.
//!
//! Owns a context; knows nothing of threads, commands or JavaScript. Each [`Scheduler::step`] is at most one evaluation, so that between
//! two steps the thread can look at its inbox.

mod generation;
mod lane;
mod plan;
mod reply;

pub use generation::{GenerationOptions, GenerationRequest, GenerationResult, StopReason, Timings, Usage};
pub use reply::{Event, Reply};

use crate::chat::ChatFormat;
use crate::error::{Error, Result};
use crate::llama::{AbortFlag, Batch, Context, ContextParams, Decoded, Model};
use crate::session::Conversation;
use lane::Lane;

/// Sessions over one context.
#[derive(Debug)]
pub struct Scheduler<'model> {
    model: &'model Model,
    format: ChatFormat<'model>,
    context: Context<'model>,
    batch: Batch,
    lanes: Vec<Lane>,
    /// Kept between tokens to save an allocation each.
    piece: Vec<u8>,
}

impl<'model> Scheduler<'model> {
    /// A context over `model` with one session, in which `conversation` has been said.
    ///
    /// # Errors
    /// When the context cannot be created, or the model's chat template is broken.
    pub fn new(model: &'model Model, params: &ContextParams, conversation: Conversation) -> Result<Self> {
        let format = ChatFormat::new(model)?;
        let context = Context::new(model, params)?;
        let batch = Batch::new(context.batch_size());
        Ok(Self {
            model,
            format,
            context,
            batch,
            lanes: vec![Lane::new(0, conversation)],
            piece: Vec::new(),
        })
    }

    /// Tokens that fit, as llama.cpp rounded them.
    #[must_use]
    pub fn context_size(&self) -> usize {
        self.context.context_size()
    }

    /// The most tokens one evaluation takes.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.context.batch_size()
    }

    /// Takes a request; generations of one session run in the order they came.
    pub fn submit(&mut self, request: GenerationRequest) {
        // OK because there is always the one lane.
        self.lanes[0].submit(request);
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lanes.iter().all(Lane::is_idle)
    }

    /// Ends what was aborted, starts what waits, and does one evaluation.
    pub fn step(&mut self) {
        for lane in &mut self.lanes {
            lane.end_aborted();
            lane.start_next(self.model, &self.format, &mut self.context);
        }
        let outputs = self.fill_batch();
        if self.batch.is_empty() {
            return;
        }
        match self.context.decode(&self.batch, &self.abort_flags()) {
            Ok(Decoded::Done) => self.advance(&outputs),
            Ok(Decoded::Aborted) => self.lanes.iter_mut().for_each(|lane| lane.resync(self.model, &mut self.context)),
            Ok(Decoded::NoSpace) => self.fail_running(&|| Error::DecodeFailed {
                reason: "the context has no room left".into(),
            }),
            Err(reason) => self.fail_running(&|| Error::DecodeFailed { reason: reason.clone() }),
        }
    }

    /// Ends every generation, running or waiting, with an error.
    pub fn fail_all(&mut self, error: impl Fn() -> Error) {
        self.lanes.iter_mut().for_each(|lane| lane.fail_all(&error));
    }

    /// Frees the context; what was said in the session stays.
    #[must_use]
    pub fn into_conversation(mut self) -> Conversation {
        self.lanes.pop().map(Lane::into_conversation).unwrap_or_default()
    }

    /// Fills the batch; returns for each lane the index of the logits that it waits for.
    fn fill_batch(&mut self) -> Vec<Option<usize>> {
        self.batch.clear();
        let demands: Vec<_> = self.lanes.iter().map(Lane::demand).collect();
        let shares = plan::shares(&demands, self.context.batch_size());
        self.lanes
            .iter_mut()
            .zip(shares)
            .map(|(lane, share)| lane.fill(&mut self.batch, share))
            .collect()
    }

    /// One evaluation serves all lanes: it is cut short only when every one of them wants to stop.
    fn abort_flags(&self) -> Vec<AbortFlag> {
        self.lanes
            .iter()
            .filter_map(|lane| lane.running.as_ref())
            .map(|generation| generation.abort.clone())
            .collect()
    }

    fn advance(&mut self, outputs: &[Option<usize>]) {
        let context_size = self.context.context_size();
        for (lane, output) in self.lanes.iter_mut().zip(outputs) {
            if let Some(index) = output {
                lane.advance(self.context.logits(*index), self.model, context_size, &mut self.piece);
            }
        }
    }

    fn fail_running(&mut self, error: &dyn Fn() -> Error) {
        self.lanes.iter_mut().for_each(|lane| lane.fail(error(), &mut self.context));
    }
}
