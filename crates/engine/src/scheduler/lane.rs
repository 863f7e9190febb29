//! One session's place in the batch: its conversation, its sequence in memory, the generation it runs and those that wait.

use std::collections::VecDeque;
use std::time::Instant;

use super::generation::{Generation, GenerationRequest, GenerationResult, StopReason};
use super::plan::Demand;
use super::reply::Reply;
use crate::chat::ChatFormat;
use crate::error::Error;
use crate::llama::{Batch, Context, Model, Token};
use crate::session::{Conversation, prefix};

/// A session and its sequence.
#[derive(Debug)]
pub(super) struct Lane {
    sequence: i32,
    /// The tokens in the sequence's memory.
    held: Vec<Token>,
    conversation: Conversation,
    /// The one whose turn has just come, while its prompt is made.
    starting: Option<Reply<GenerationResult>>,
    pub(super) running: Option<Generation>,
    waiting: VecDeque<GenerationRequest>,
}

impl Lane {
    pub(super) fn new(sequence: i32, conversation: Conversation) -> Self {
        Self {
            sequence,
            held: Vec::new(),
            conversation,
            starting: None,
            running: None,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn into_conversation(self) -> Conversation {
        self.conversation
    }

    pub(super) fn submit(&mut self, request: GenerationRequest) {
        self.waiting.push_back(request);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// Starts waiting requests until one runs.
    pub(super) fn start_next(&mut self, model: &Model, format: &ChatFormat<'_>, context: &mut Context<'_>) {
        while self.running.is_none() {
            let Some(request) = self.waiting.pop_front() else { return };
            self.start(request, model, format, context);
        }
    }

    fn start(&mut self, request: GenerationRequest, model: &Model, format: &ChatFormat<'_>, context: &mut Context<'_>) {
        let GenerationRequest {
            input,
            options,
            abort,
            accepted_at,
            reply,
        } = request;
        let started_at = Instant::now();
        self.starting.insert(reply).started();
        let turn = self.conversation.begin(input, options.system_prompt.as_deref());
        let prompt = format.prompt(turn.messages(), context.context_size());
        let Some(reply) = self.starting.take() else { return };
        match prompt {
            Ok(prompt) => {
                let cached_tokens = self.reuse_memory(&prompt.tokens, model, context);
                let times = (accepted_at, started_at);
                self.running = Some(Generation::new(turn, prompt, cached_tokens, options, reply, abort, times));
            }
            Err(error) => reply.end(Err(error)),
        }
    }

    /// Cuts the sequence back to what `prompt` begins with; returns how many tokens that is.
    fn reuse_memory(&mut self, prompt: &[Token], model: &Model, context: &mut Context<'_>) -> usize {
        let keep = prefix::plan(&self.held, prompt, model.can_cut_memory()).keep;
        if keep < self.held.len() && !context.cut(self.sequence, keep) {
            self.forget(context);
        }
        self.held.truncate(keep);
        self.held.len()
    }

    pub(super) fn demand(&self) -> Demand {
        match &self.running {
            None => Demand::Idle,
            Some(generation) if generation.next.is_some() => Demand::Token,
            Some(generation) => Demand::Prompt(generation.prompt.len().saturating_sub(self.held.len())),
        }
    }

    /// Adds this lane's next `n_tokens` to the batch. Returns the index whose logits choose its next token, if they do.
    pub(super) fn fill(&mut self, batch: &mut Batch, n_tokens: usize) -> Option<usize> {
        let generation = self.running.as_mut().filter(|_| n_tokens > 0)?;
        if let Some(token) = generation.next.take() {
            batch.add(token, self.held.len(), self.sequence, true);
            self.held.push(token);
            return Some(batch.len() - 1);
        }
        let end = self.held.len() + n_tokens;
        let is_last = end == generation.prompt.len();
        for position in self.held.len()..end {
            batch.add(generation.prompt[position], position, self.sequence, is_last && position + 1 == end);
        }
        self.held.extend_from_slice(&generation.prompt[self.held.len()..end]);
        is_last.then(|| batch.len() - 1)
    }

    /// Takes the token that `logits` give; ends the generation when it is over. A panic on the way leaves it running, to be failed.
    pub(super) fn advance(&mut self, logits: Option<&[f32]>, model: &Model, context_size: usize, piece: &mut Vec<u8>) {
        let Some(generation) = &mut self.running else { return };
        let lost = || Error::Internal {
            reason: "no logits after an evaluation".into(),
        };
        let advanced = logits.ok_or_else(lost).and_then(|logits| generation.advance(logits, model, piece));
        let is_full = self.held.len() >= context_size;
        let ending = match advanced {
            Ok(None) if !is_full => return,
            Ok(None) => Ok(StopReason::ContextFull),
            Ok(Some(reason)) => Ok(reason),
            Err(error) => Err(error),
        };
        match (self.running.take(), ending) {
            (Some(generation), Ok(reason)) => self.keep(generation, reason),
            (Some(generation), Err(error)) => generation.fail(error),
            (None, _) => {}
        }
    }

    /// Ends a generation well, unless it was asked to stop by now: an aborted turn is not kept.
    fn keep(&mut self, generation: Generation, reason: StopReason) {
        if generation.abort.is_set() {
            generation.finish(StopReason::Abort);
            return;
        }
        let (turn, answer) = generation.finish(reason);
        self.conversation.commit(turn, &answer);
    }

    /// Ends what was asked to stop, running or waiting. The conversation stays as it was before it.
    pub(super) fn end_aborted(&mut self) {
        if let Some(generation) = self.running.take_if(|generation| generation.abort.is_set()) {
            generation.finish(StopReason::Abort);
        }
        if self.waiting.iter().any(|request| request.abort.is_set()) {
            let (aborted, waiting): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|request| request.abort.is_set());
            self.waiting = waiting.into();
            for request in aborted {
                request.reply.end(Ok(GenerationResult::aborted()));
            }
        }
    }

    /// Learns from memory what an aborted evaluation left of this sequence.
    pub(super) fn resync(&mut self, model: &Model, context: &mut Context<'_>) {
        let held = context.held(self.sequence).min(self.held.len());
        if model.can_cut_memory() && context.cut(self.sequence, held) {
            self.held.truncate(held);
        } else {
            self.forget(context);
        }
    }

    /// Ends the running generation with an error and forgets its memory, which cannot be trusted any more.
    pub(super) fn fail(&mut self, error: Error, context: &mut Context<'_>) {
        if let Some(generation) = self.running.take() {
            generation.fail(error);
            self.forget(context);
        }
    }

    /// Ends everything with an error, without touching memory.
    pub(super) fn fail_all(&mut self, error: impl Fn() -> Error) {
        if let Some(reply) = self.starting.take() {
            reply.end(Err(error()));
        }
        if let Some(generation) = self.running.take() {
            generation.fail(error());
        }
        for request in self.waiting.drain(..) {
            request.reply.end(Err(error()));
        }
    }

    fn forget(&mut self, context: &mut Context<'_>) {
        context.clear(self.sequence);
        self.held.clear();
    }
}
