//! One session: its conversation, the generation it runs and the jobs that wait.

use std::collections::VecDeque;
use std::time::Instant;

use super::fit::{Fitted, fit, fit_answer};
use super::gate::Costs;
use super::generation::{Generation, GenerationRequest, GenerationResult, StopReason, Times};
use super::job::{Job, SessionId};
use super::plan::Demand;
use super::reply::Reply;
use super::slot::Slot;
use crate::chat::{ChatFormat, Message, Role};
use crate::error::{Error, Result};
use crate::llama::{Batch, Context, Model, Stake, Token};
use crate::session::{Conversation, Input, Opening};

/// A session and what it does.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) id: SessionId,
    conversation: Conversation,
    jobs: VecDeque<Job>,
    /// The one whose turn has just come, while its prompt is made.
    starting: Option<Reply<GenerationResult>>,
    /// The next one to get a slot, with its prompt.
    ready: Option<Generation>,
    pub(super) running: Option<Running>,
    /// The slot of the last generation.
    pub(super) last_slot: Option<usize>,
    pub(super) is_disposed: bool,
}

/// A generation in a slot.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) generation: Generation,
    pub(super) slot: usize,
    pub(super) since: Instant,
    /// Waits for others to end, because there is no memory for all.
    pub(super) is_parked: bool,
    /// Tokens in the batch under way.
    n_filled: usize,
    /// Those among them that are guessed.
    draft: Vec<Token>,
}

/// What there is for guessed tokens in a batch.
#[derive(Debug)]
pub(super) struct DraftRoom<'costs> {
    pub(super) costs: &'costs Costs,
    /// Tokens that can be added.
    pub(super) n_free: usize,
    /// Tokens that are evaluated without any guesses: so many answers wait.
    pub(super) n_certain: usize,
    /// Tokens that are evaluated without further guesses.
    pub(super) width: usize,
    /// Tokens that a sequence holds.
    pub(super) context_size: usize,
}

impl Lane {
    pub(super) fn new(id: SessionId, conversation: Conversation) -> Self {
        Self {
            id,
            conversation,
            jobs: VecDeque::new(),
            starting: None,
            ready: None,
            running: None,
            last_slot: None,
            is_disposed: false,
        }
    }

    pub(super) fn into_conversation(self) -> Conversation {
        self.conversation
    }

    pub(super) fn submit(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none() && self.ready.is_none() && self.jobs.is_empty()
    }

    /// The prompt of a generation that waits for a slot.
    pub(super) fn waiting_prompt(&self) -> Option<&[Token]> {
        self.ready.as_ref().map(|generation| &*generation.prompt)
    }

    /// Does waiting jobs until a generation is ready or runs, but renders no more than one conversation.
    pub(super) fn work(&mut self, model: &Model, format: &ChatFormat<'_>, context_size: usize) {
        while self.running.is_none() && self.ready.is_none() {
            let Some(job) = self.jobs.pop_front() else { return };
            let renders = matches!(job, Job::Generate(_) | Job::CountTokens { .. });
            self.perform(job, model, format, context_size);
            if renders {
                return;
            }
        }
    }

    fn perform(&mut self, job: Job, model: &Model, format: &ChatFormat<'_>, context_size: usize) {
        if self.is_disposed {
            return job.refuse(Error::SessionDisposed);
        }
        match job {
            Job::Generate(request) => self.start(*request, model, format, context_size),
            Job::CountTokens { prompt, options, reply } => reply.end(self.count(prompt, &options, format)),
            other => self.perform_without_model(other),
        }
    }

    /// Does what is about the conversation alone.
    fn perform_without_model(&mut self, job: Job) {
        match job {
            Job::History(reply) => reply.end(Ok(self.conversation.messages().to_vec())),
            Job::SetHistory(messages, reply) => {
                self.conversation.replace(messages);
                reply.end(Ok(()));
            }
            Job::Reset(reply) => {
                self.conversation.reset();
                reply.end(Ok(()));
            }
            Job::AbandonToolCalls(reply) => {
                self.conversation.abandon_tool_calls();
                reply.end(Ok(()));
            }
            Job::Dispose(reply) => {
                self.is_disposed = true;
                reply.end(Ok(()));
            }
            Job::Generate(_) | Job::CountTokens { .. } => job.refuse(Error::Internal {
                reason: "a job that needs a model was given to a session alone".into(),
            }),
        }
    }

    fn count(&self, prompt: Option<String>, options: &crate::chat::ChatOptions, format: &ChatFormat<'_>) -> Result<usize> {
        let next = prompt.map(|prompt| Message::new(Role::User, prompt));
        let messages: Vec<Message> = self.conversation.messages().iter().cloned().chain(next).collect();
        if messages.is_empty() {
            return Ok(0);
        }
        format.prompt(&messages, options, usize::MAX).map(|prompt| prompt.tokens.len())
    }

    fn start(&mut self, request: GenerationRequest, model: &Model, format: &ChatFormat<'_>, context_size: usize) {
        let GenerationRequest {
            input,
            options,
            abort,
            accepted_at,
            reply,
        } = request;
        let started_at = Instant::now();
        self.starting.insert(reply).started();
        let opening = Opening {
            system_prompt: options.system_prompt.as_deref(),
            response_prefix: options.response_prefix.as_deref(),
        };
        let asked = self.check_input(&input);
        let mut turn = self.conversation.begin(input, opening);
        let fitted = asked.and_then(|()| fit(format, &turn, &options, context_size, &abort));
        let Some(reply) = self.starting.take() else { return };
        let Fitted { prompt, turns, messages } = match fitted {
            Ok(fitted) => fitted,
            Err(Error::Aborted) => return reply.end(Ok(GenerationResult::aborted())),
            Err(error) => return reply.end(Err(error)),
        };
        turn.set_dropped_turns(turns);
        let times = Times { accepted_at, started_at };
        match Generation::new(turn, prompt, options, reply, abort, times, model) {
            Ok(mut generation) => {
                generation.set_dropped(messages);
                self.ready = Some(generation);
            }
            Err((reply, Error::Aborted)) => reply.end(Ok(GenerationResult::aborted())),
            Err((reply, error)) => reply.end(Err(error)),
        }
    }

    fn check_input(&self, input: &Input) -> Result<()> {
        if self.conversation.is_unasked(input) {
            return Err(Error::InvalidMessages {
                reason: "the messages are results of tools, but no tool call waits for them".into(),
            });
        }
        Ok(())
    }

    /// Lets the ready generation run in a slot of which `cached_tokens` are kept.
    pub(super) fn run_in(&mut self, slot: usize, cached_tokens: usize) {
        let Some(mut generation) = self.ready.take() else { return };
        generation.set_cached(cached_tokens);
        self.last_slot = Some(slot);
        self.running = Some(Running {
            generation,
            slot,
            since: Instant::now(),
            is_parked: false,
            n_filled: 0,
            draft: Vec::new(),
        });
    }

    pub(super) fn demand(&self, slots: &[Slot]) -> (Demand, u8) {
        let Some(running) = &self.running else { return (Demand::Idle, 0) };
        let demand = match &running.generation {
            _ if running.is_parked => Demand::Idle,
            generation if generation.next.is_some() => Demand::Token,
            generation => Demand::Prompt(slots[running.slot].remaining(generation.prompt.len())),
        };
        (demand, running.generation.options.priority)
    }

    /// How many tokens are in the memory of its slot.
    pub(super) fn held(&self, slots: &[Slot]) -> usize {
        self.running.as_ref().map_or(0, |running| slots[running.slot].held.len())
    }

    /// Adds this lane's next `n_tokens` to the batch, and guesses of what comes behind. Returns the index whose logits choose its next token,
    /// if they do; those behind the guesses follow.
    pub(super) fn fill(&mut self, batch: &mut Batch, slots: &[Slot], n_tokens: usize, room: &mut DraftRoom<'_>) -> Option<usize> {
        let running = self.running.as_mut()?;
        running.n_filled = n_tokens;
        running.draft = Vec::new();
        let held = slots[running.slot].held.len();
        let sequence = slots[running.slot].sequence;
        if let Some(token) = running.generation.next.filter(|_| n_tokens > 0) {
            batch.add(token, held, sequence, true);
            let index = batch.len() - 1;
            // The token itself takes one place, and so does the one that will be chosen.
            let most = room.n_free.min(room.context_size.saturating_sub(held + 1));
            running.draft = running
                .generation
                .draft(most, |more| room.costs.price(room.n_certain, room.width, more));
            let drafted = &running.draft;
            for (place, guess) in drafted.iter().enumerate() {
                batch.add(*guess, held + 1 + place, sequence, true);
            }
            running.n_filled += drafted.len();
            room.n_free -= drafted.len();
            room.width += drafted.len();
            return Some(index);
        }
        let prompt = &running.generation.prompt;
        let end = held + n_tokens;
        for (position, token) in prompt.iter().enumerate().take(end).skip(held) {
            batch.add(*token, position, sequence, position + 1 == prompt.len());
        }
        (n_tokens > 0 && end == prompt.len()).then(|| batch.len() - 1)
    }

    /// Takes notice that what was filled in is in memory.
    pub(super) fn evaluated(&mut self, slots: &mut [Slot]) {
        let Some(running) = &mut self.running else { return };
        let n_tokens = std::mem::take(&mut running.n_filled);
        if n_tokens == 0 {
            return;
        }
        let held = &mut slots[running.slot].held;
        match running.generation.next.take() {
            Some(token) => held.extend([token].iter().chain(&running.draft)),
            None => held.extend_from_slice(&running.generation.prompt[held.len()..held.len() + n_tokens]),
        }
    }

    /// The slot whose memory the batch under way changes.
    pub(super) fn filled_slot(&self) -> Option<usize> {
        self.running
            .as_ref()
            .filter(|running| running.n_filled > 0)
            .map(|running| running.slot)
    }

    /// Its part of the batch under way.
    pub(super) fn stake(&self) -> Option<Stake> {
        let running = self.running.as_ref().filter(|running| running.n_filled > 0)?;
        Some(Stake {
            abort: running.generation.abort.clone(),
            n_tokens: running.n_filled,
        })
    }

    /// Whether it still wants what is in the batch under way.
    pub(super) fn is_cut_short(&self) -> bool {
        self.stake().is_some_and(|stake| !stake.abort.is_set())
    }

    /// Takes notice of how many threads evaluate.
    pub(super) fn note_threads(&mut self, threads: u32) {
        if let Some(running) = &mut self.running {
            running.generation.note_threads(threads);
        }
    }

    /// Whether tokens of the answer in the batch under way are guessed when that pays.
    pub(super) fn may_guess(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.n_filled > 0 && running.generation.may_guess())
    }

    /// The number of guesses in the batch under way.
    pub(super) fn n_drafted(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.draft.len())
    }

    /// Takes the token that the logits at `index` give and, as long as that is what was guessed, the next. Returns how the generation ended, if it
    /// did, and how many guesses were wrong or came too late. A panic on the way leaves it running, to be failed.
    pub(super) fn advance(
        &mut self,
        context: &Context<'_>,
        index: usize,
        model: &Model,
        piece: &mut Vec<u8>,
    ) -> (Option<Result<StopReason>>, usize) {
        let Some(running) = self.running.as_mut() else { return (None, 0) };
        if running.generation.options.is_preload {
            return (Some(Ok(StopReason::EogToken)), 0);
        }
        let draft = std::mem::take(&mut running.draft);
        let mut n_right = 0;
        let ending = loop {
            let logits = context.logits(index + n_right).map_err(|reason| Error::DecodeFailed { reason });
            let advanced = logits.and_then(|logits| running.generation.advance(logits, model, piece));
            if let Some(ending) = advanced.transpose() {
                break Some(ending);
            }
            if running.generation.next != draft.get(n_right).copied() || running.generation.abort.is_set() {
                break None;
            }
            n_right += 1;
        };
        let n_guessed = draft.len();
        running.generation.note_draft(n_guessed, n_right);
        (ending, n_guessed - n_right)
    }

    /// The slot that it runs in.
    pub(super) fn slot_of<'slots>(&self, slots: &'slots mut [Slot]) -> Option<&'slots mut Slot> {
        self.running.as_ref().and_then(|running| slots.get_mut(running.slot))
    }

    /// Evaluates again what was in memory.
    pub(super) fn restart(&mut self) {
        if let Some(running) = &mut self.running {
            running.generation.restart(None);
        }
    }

    /// Makes room in a full context for the rest of the answer, by leaving out old turns. Returns whether there is room now.
    pub(super) fn make_room(&mut self, format: &ChatFormat<'_>, context_size: usize) -> Result<bool> {
        let Some(running) = &mut self.running else { return Ok(false) };
        let generation = &mut running.generation;
        let Some(fitted) = fit_answer(
            format,
            &generation.turn,
            &generation.options,
            context_size,
            generation.answer_length(),
            &generation.abort,
        )?
        else {
            return Ok(false);
        };
        generation.turn.set_dropped_turns(fitted.turns);
        generation.set_dropped(fitted.messages);
        generation.restart(Some(fitted.prompt.tokens));
        Ok(true)
    }

    /// Ends the generation.
    pub(super) fn end(&mut self, ending: Result<StopReason>) {
        let Some(running) = self.running.take() else { return };
        match ending {
            Ok(reason) => self.keep(running.generation, reason),
            Err(Error::Aborted) => self.keep(running.generation, StopReason::Abort),
            Err(error) => running.generation.fail(error),
        }
    }

    /// Ends a generation well. An aborted turn is not kept, unless that was asked for.
    fn keep(&mut self, generation: Generation, reason: StopReason) {
        let reason = if generation.abort.is_set() { StopReason::Abort } else { reason };
        let is_kept = reason != StopReason::Abort || generation.keeps_aborted();
        let is_preload = generation.options.is_preload;
        let (turn, answer, ending) = generation.finish(reason);
        // Before it is told: what the caller knows of, the session knows of.
        if is_kept && !is_preload {
            self.conversation.commit(turn, answer);
        }
        ending.tell();
    }

    /// Ends what was asked to stop: running, ready or waiting.
    pub(super) fn end_aborted(&mut self) {
        if self.running.as_ref().is_some_and(|running| running.generation.abort.is_set()) {
            self.end(Ok(StopReason::Abort));
        }
        if let Some(generation) = self.ready.take_if(|generation| generation.abort.is_set()) {
            generation.finish(StopReason::Abort).2.tell();
        }
        if self.jobs.iter().any(Job::is_aborted) {
            let (aborted, waiting): (Vec<_>, Vec<_>) = self.jobs.drain(..).partition(Job::is_aborted);
            self.jobs = waiting.into();
            for job in aborted {
                job.refuse(Error::Aborted);
            }
        }
    }

    /// Ends everything that needs the context with an error, without touching memory. What is about the conversation alone is done: the session, or its end,
    /// goes on in another context.
    pub(super) fn fail_all(&mut self, error: impl Fn() -> Error) {
        if let Some(reply) = self.starting.take() {
            reply.end(Err(error()));
        }
        if let Some(generation) = self.ready.take() {
            generation.fail(error());
        }
        self.end(Err(error()));
        for job in std::mem::take(&mut self.jobs) {
            match job {
                Job::Generate(_) | Job::CountTokens { .. } => job.refuse(error()),
                other if self.is_disposed => other.refuse(Error::SessionDisposed),
                other => self.perform_without_model(other),
            }
        }
    }
}
