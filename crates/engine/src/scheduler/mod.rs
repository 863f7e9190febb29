//! The decode loop: gives every session its share of each evaluation and turns logits into text.
//!
//! Owns a context; knows nothing of threads, commands or JavaScript. Each [`Scheduler::step`] is at most one evaluation, so that between
//! two steps the thread can look at its inbox.

mod batching;
mod cache;
mod fit;
mod gate;
mod generation;
mod governor;
mod job;
mod lane;
mod plan;
mod reply;
mod reuse;
mod slot;

pub use generation::{
    GenerationOptions, GenerationRequest, GenerationResult, HIGHEST_PRIORITY, LikelyToken, Overflow, Speculation, StopReason, Timings,
    TokenLogprobs, Usage,
};
pub use job::{Job, SessionId};
pub use reply::{Event, Reply};

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::chat::ChatFormat;
use crate::error::{Error, Result};
use crate::llama::{Batch, Context, ContextParams, Decoded, MOST_DRAFTED, Model, Stake};
use crate::session::Conversation;
use batching::Batching;
use cache::StateCache;
use gate::{Budget, Costs};
use governor::Governor;
use lane::{DraftRoom, Lane, Running};
use plan::Demand;
use slot::Slot;

/// How long answers under way wait for each part of another prompt, at least by the tokens of one tile, see `plan::chunk`.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// What was said in each session.
pub type Conversations = BTreeMap<SessionId, Conversation>;

/// Sessions over one context.
#[derive(Debug)]
pub struct Scheduler<'model> {
    model: &'model Model,
    format: &'model ChatFormat<'model>,
    context: Context<'model>,
    governor: Governor,
    batching: Batching,
    /// Where answers take turns: whose turn is under way, and whose was the last one that was done.
    turn: Option<SessionId>,
    last_turn: Option<SessionId>,
    /// Who was in an evaluation that others' aborts ended.
    cut_short: Vec<SessionId>,
    costs: Costs,
    budget: Budget,
    /// The memory was too full for guesses.
    skips_drafts: bool,
    /// There are tokens of a prompt in the batch.
    fills_prompt: bool,
    batch: Batch,
    slots: Vec<Slot>,
    lanes: BTreeMap<SessionId, Lane>,
    /// Those with something to do, in the order in which it came.
    active: Vec<SessionId>,
    n_uses: u64,
    cache: StateCache,
    /// Kept between tokens to save an allocation each.
    piece: Vec<u8>,
}

impl<'model> Scheduler<'model> {
    /// A context over `model` with the sessions in `conversations`, and the default one.
    ///
    /// # Errors
    /// When the context cannot be created.
    pub fn new(
        model: &'model Model,
        format: &'model ChatFormat<'model>,
        params: &ContextParams,
        conversations: Conversations,
    ) -> Result<Self> {
        let context = Context::new(model, params)?;
        let mut lanes: BTreeMap<SessionId, Lane> = conversations.into_iter().map(|(id, said)| (id, Lane::new(id, said))).collect();
        lanes
            .entry(SessionId::DEFAULT)
            .or_insert_with(|| Lane::new(SessionId::DEFAULT, Conversation::default()));
        let n_sequences = i32::try_from(params.sequences).unwrap_or(1).max(1);
        Ok(Self {
            model,
            format,
            batch: Batch::new(context.batch_size()),
            context,
            governor: Governor::new(params.threads, params.most_threads),
            batching: Batching::new(!model.is_offloaded()),
            turn: None,
            last_turn: None,
            cut_short: Vec::new(),
            costs: Costs::default(),
            budget: Budget::default(),
            skips_drafts: false,
            fills_prompt: false,
            slots: (0..n_sequences).map(Slot::new).collect(),
            lanes,
            active: Vec::new(),
            n_uses: 0,
            cache: StateCache::new(params.session_cache.unwrap_or(0)),
            piece: Vec::new(),
        })
    }

    /// Tokens that fit, as llama.cpp rounded them.
    #[must_use]
    pub fn context_size(&self) -> usize {
        self.context.context_size()
    }

    /// By how many threads it evaluates at first: where the system lets fewer start, fewer than it was asked for.
    #[must_use]
    pub fn threads(&self) -> u32 {
        self.context.threads()
    }

    /// The most tokens one evaluation takes.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.context.batch_size()
    }

    /// Begins a session. One that has this number already stays as it is: another in its place would leave its slot busy forever.
    pub fn create_session(&mut self, id: SessionId, conversation: Conversation) {
        self.lanes.entry(id).or_insert_with(|| Lane::new(id, conversation));
    }

    /// Takes a job; those of one session are done in the order in which they came.
    pub fn submit(&mut self, id: SessionId, job: Job) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return job.refuse(Error::SessionDisposed);
        };
        lane.submit(job);
        if !self.active.contains(&id) {
            self.active.push(id);
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.active.is_empty()
    }

    /// Does what can be done with at most one evaluation.
    pub fn step(&mut self) {
        self.start_waiting();
        self.reuse_memory();
        if self.is_broken() {
            // A state that came back half, or a device that failed. Whoever calls makes everything anew.
            return;
        }
        let outputs = self.fill_batch();
        if self.batch.is_empty() {
            return self.wake_parked();
        }
        let (width, n_guessed) = (self.batch.len(), self.n_drafted());
        self.governor.set_prompts(self.fills_prompt);
        let is_looking = self.batching.is_looking();
        let (threads, patience) = if n_guessed > 0 || is_looking {
            // Looks at other numbers of threads would be billed to the guesses, or to batches and turns.
            let settled = if is_looking {
                self.governor.settled_for_look(width)
            } else {
                self.settled_threads()
            };
            (settled, self.governor.patience_apart(width))
        } else {
            (self.governor.threads(width), self.governor.patience(width))
        };
        self.context.set_threads(threads);
        self.context.set_patience(patience);
        let begun_at = Instant::now();
        let decoded = self.context.decode(&self.batch, &self.stakes());
        match decoded {
            Ok(Decoded::Done) => {}
            Ok(Decoded::Aborted) => self.batching.put_off(),
            _ => self.batching.give_up(),
        }
        match decoded {
            Ok(Decoded::Done) => self.take_results(&outputs, begun_at),
            Ok(Decoded::Aborted) => {
                self.cut_short = self.active_lanes().filter(|lane| lane.is_cut_short()).map(|lane| lane.id).collect();
                self.resync();
            }
            // The same once more, without guesses.
            Ok(Decoded::Late) if n_guessed > 0 => {
                let spent = begun_at.elapsed().as_secs_f64();
                self.budget.observe(n_guessed, 0, self.costs.bill(width, n_guessed, spent));
                self.skips_drafts = true;
                self.resync();
            }
            Ok(Decoded::Late) if is_looking => {
                self.governor.be_patient_apart(width, begun_at.elapsed());
                self.resync();
            }
            // The same once more, by fewer threads.
            Ok(Decoded::Late) => {
                self.governor.give_up(width, begun_at.elapsed());
                self.resync();
            }
            // Nobody makes room for a guess.
            Ok(Decoded::NoSpace) if n_guessed > 0 => self.skips_drafts = true,
            Ok(Decoded::NoSpace) => self.make_room(),
            Err(reason) => self.fail_filled(&reason),
        }
        self.retire();
    }

    /// Ends every generation, running or waiting, with an error.
    pub fn fail_all(&mut self, error: impl Fn() -> Error) {
        self.lanes.values_mut().for_each(|lane| lane.fail_all(&error));
        self.retire();
    }

    /// Whether only a new context can be trusted.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.context.is_broken()
    }

    /// Lets the next evaluation end by an assertion of llama.cpp.
    #[cfg(all(test, not(windows)))]
    pub(crate) fn fail_next_evaluation(&mut self) {
        self.context.fails_next = true;
    }

    /// Frees the context; what was said in the sessions stays.
    #[must_use]
    pub fn into_conversations(self) -> Conversations {
        let lanes = self.lanes.into_iter().filter(|(_, lane)| !lane.is_disposed);
        lanes.map(|(id, lane)| (id, lane.into_conversation())).collect()
    }

    /// Ends what was aborted, does what needs no evaluation, and gives free slots to who waits for one.
    fn start_waiting(&mut self) {
        let context_size = self.context.context_size();
        for id in &self.active {
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.end_aborted();
            }
        }
        // Before others look for a slot, and so that who waits for memory goes on.
        self.retire();
        for id in self.active.clone() {
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.work(self.model, self.format, context_size);
            }
            self.give_slot(id);
        }
        self.retire();
    }

    fn give_slot(&mut self, id: SessionId) {
        let Some(index) = self.take_slot(id) else { return };
        self.n_uses += 1;
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(prompt) = lane.waiting_prompt() else { return };
        let slot = &mut self.slots[index];
        let cached_tokens = slot.reuse(prompt, self.model, &mut self.context);
        (slot.owner, slot.is_busy, slot.used_at) = (Some(id), true, self.n_uses);
        (slot.reused, slot.is_fresh) = (cached_tokens, true);
        slot.checkpoints.clear();
        lane.run_in(index, cached_tokens);
    }

    /// Frees the slots of generations that have ended, and forgets sessions that have nothing to do. A session that has had its turn is the
    /// last to get the next one.
    fn retire(&mut self) {
        let lanes = &self.lanes;
        let ended = |id: &SessionId| lanes.get(id).is_some_and(|lane| release(&mut self.slots, lane));
        let (ended, going): (Vec<_>, Vec<_>) = std::mem::take(&mut self.active).into_iter().partition(ended);
        if !ended.is_empty() {
            self.wake_parked();
        }
        let is_busy = |id: &SessionId| self.lanes.get(id).is_some_and(|lane| !lane.is_idle());
        self.active = going.into_iter().chain(ended).filter(is_busy).collect();
        let over = self.lanes.values().filter(|lane| lane.is_disposed && lane.is_idle());
        for id in over.map(|lane| lane.id).collect::<Vec<_>>() {
            self.lanes.remove(&id);
            self.forget_states_of(id);
        }
    }

    /// Lets go on who waits for memory.
    fn wake_parked(&mut self) {
        for running in self.lanes.values_mut().filter_map(|lane| lane.running.as_mut()) {
            running.is_parked = false;
        }
    }

    /// Fills the batch; returns the lanes in it, each with the index of the logits that it waits for.
    fn fill_batch(&mut self) -> Vec<(SessionId, Option<usize>)> {
        self.batch.clear();
        let mut demands: Vec<_> = self.active.iter().map(|id| self.lanes[id].demand(&self.slots)).collect();
        self.let_first(&mut demands);
        // A prompt is evaluated as fast as can be, and with it nothing that may be in vain.
        self.fills_prompt = demands.iter().any(|(demand, _)| matches!(demand, Demand::Prompt(_)));
        self.turn = None;
        if self.fills_prompt {
            self.batching.pass_over();
        } else {
            self.take_turns(&mut demands);
        }
        let batch_size = self.context.batch_size();
        let shares = plan::shares(&demands, self.capacity(&demands));
        let width = shares.iter().sum();
        let may_draft = !std::mem::take(&mut self.skips_drafts) && !self.fills_prompt && !self.is_measuring() && self.budget.allows();
        let n_free = if may_draft { batch_size - width } else { 0 };
        let mut room = DraftRoom {
            costs: &self.costs,
            n_free: n_free.min(MOST_DRAFTED),
            n_certain: width,
            width,
            context_size: self.context.context_size(),
        };
        let mut outputs = Vec::with_capacity(shares.len());
        for (id, share) in self.active.iter().zip(shares) {
            if let Some(lane) = self.lanes.get_mut(id) {
                outputs.push((*id, lane.fill(&mut self.batch, &self.slots, share, &mut room)));
            }
        }
        outputs
    }

    /// Whether the evaluation under way is to be compared with others. Guesses would put that off, and in turns all others would wait.
    fn is_measuring(&self) -> bool {
        self.batching.is_looking() || (self.turn.is_some() && self.governor.compares_with_last())
    }

    /// Leaves who was cut short in `demands`, those of the lanes in `active`, for one evaluation: whoever asks and aborts again and again would
    /// cut them short each time.
    fn let_first(&mut self, demands: &mut [(Demand, u8)]) {
        let first = std::mem::take(&mut self.cut_short);
        let is_left =
            |(id, (demand, _)): (&SessionId, &(Demand, u8))| first.contains(id) && !matches!(demand, Demand::Idle | Demand::Prompt(0));
        if !self.active.iter().zip(&*demands).any(is_left) {
            return;
        }
        for (id, (demand, _)) in self.active.iter().zip(demands) {
            if !first.contains(id) {
                *demand = Demand::Idle;
            }
        }
    }

    /// Leaves one of several answers in `demands`, those of the lanes in `active`, where that is faster than all of them at once.
    fn take_turns(&mut self, demands: &mut [(Demand, u8)]) {
        let waiting = self
            .active
            .iter()
            .zip(&*demands)
            .filter(|(_, (demand, _))| *demand == Demand::Token);
        let waiting: Vec<SessionId> = waiting.map(|(id, _)| *id).collect();
        if self.batching.is_together(waiting.len()) {
            return;
        }
        let is_compared = !self.batching.is_looking() && self.governor.compares_with_last();
        let again = self.last_turn.filter(|last| is_compared && waiting.contains(last));
        let next = again.or_else(|| plan::next_turn(&waiting, self.last_turn));
        self.turn = next;
        for (id, (demand, _)) in self.active.iter().zip(demands) {
            if Some(*id) != next {
                *demand = Demand::Idle;
            }
        }
    }

    /// How many tokens the next evaluation may have. `demands`: those of the lanes in `active`, in their order.
    fn capacity(&mut self, demands: &[(Demand, u8)]) -> usize {
        let batch_size = self.context.batch_size();
        if !self.fills_prompt {
            return batch_size;
        }
        let widest = self.governor.widest(batch_size);
        let n_answers = demands.iter().filter(|(demand, _)| *demand == Demand::Token).count();
        if n_answers > 0 {
            let n_in_time = self.cache.pace.tokens_in(LONGEST_WAIT);
            return batch_size.min(n_answers + plan::chunk(n_in_time, batch_size).min(widest));
        }
        let mut prompts = self.active.iter().zip(demands).filter_map(|(id, (demand, _))| match demand {
            Demand::Prompt(left) if *left > 0 => Some((id, *left)),
            _ => None,
        });
        match (prompts.next(), prompts.next()) {
            (Some((id, left)), None) if widest == batch_size => plan::part(self.lanes[id].held(&self.slots), left, batch_size),
            _ => widest,
        }
    }

    /// Takes notice of an evaluation that was done.
    fn take_results(&mut self, outputs: &[(SessionId, Option<usize>)], begun_at: Instant) {
        let (width, took) = (self.batch.len(), begun_at.elapsed());
        let (may_guess, n_guessed) = (self.active_lanes().any(Lane::may_guess), self.n_drafted());
        let is_looking = self.batching.is_looking();
        let is_usual = n_guessed == 0 && !self.fills_prompt && (is_looking || !self.governor.is_looking(width));
        self.last_turn = self.turn.or(self.last_turn);
        if n_guessed == 0 && !is_looking {
            self.governor.observe(width, took);
        }
        let n_right = n_guessed - self.advance(outputs);
        // With what choosing took, and cutting what was wrong out of memory.
        let spent = begun_at.elapsed().as_secs_f64();
        self.batching.observe(width, is_usual.then_some(spent));
        if self.fills_prompt {
            self.costs.pass_over(width);
        } else {
            if may_guess {
                self.budget.observe(n_guessed, n_right, self.costs.bill(width, n_guessed, spent));
            }
            self.costs.observe(width, n_guessed, spent);
        }
        // Without logits that were waited for, a GPU is still at it.
        if outputs.iter().any(|(_, output)| output.is_some()) {
            self.cache.pace.evaluated(width, begun_at.elapsed());
        }
    }

    /// Whom the tokens in the batch are for.
    fn stakes(&self) -> Vec<Stake> {
        self.active_lanes().filter_map(Lane::stake).collect()
    }

    /// The number of threads that has proved best for evaluations as that in the batch; guesses are none.
    fn settled_threads(&mut self) -> u32 {
        let width = if self.n_drafted() > 0 { 1 } else { self.batch.len() };
        self.governor.settled_for(width)
    }

    fn n_drafted(&self) -> usize {
        self.active_lanes().map(Lane::n_drafted).sum()
    }

    /// Returns how many guesses were wrong or came too late.
    fn advance(&mut self, outputs: &[(SessionId, Option<usize>)]) -> usize {
        let mut n_wrong_of_all = 0;
        let settled = self.settled_threads();
        let threads = self.context.threads_for(settled);
        for (id, output) in outputs {
            let Some(lane) = self.lanes.get_mut(id) else { continue };
            lane.evaluated(&mut self.slots);
            let Some(index) = output else { continue };
            lane.note_threads(threads);
            let (ending, n_wrong) = lane.advance(&self.context, *index, self.model, &mut self.piece);
            n_wrong_of_all += n_wrong;
            let kept = lane
                .slot_of(&mut self.slots)
                .is_none_or(|slot| slot.drop_last(n_wrong, &mut self.context));
            if !kept && ending.is_none() {
                lane.restart();
                continue;
            }
            match ending {
                Some(ending) => lane.end(ending),
                None => self.check_room(*id),
            }
        }
        n_wrong_of_all
    }

    /// When the sequence has no room for another token, leaves out old turns or ends the answer.
    fn check_room(&mut self, id: SessionId) {
        let context_size = self.context.context_size();
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(slot) = lane.running.as_ref().map(|running| running.slot) else {
            return;
        };
        if self.slots[slot].held.len() < context_size {
            return;
        }
        match lane.make_room(self.format, context_size) {
            Ok(true) => {
                if let Some(running) = &lane.running {
                    let slot = &mut self.slots[slot];
                    slot.reuse(&running.generation.prompt, self.model, &mut self.context);
                    // Those were places in another prompt.
                    slot.checkpoints.clear();
                    slot.is_fresh = true;
                }
            }
            Ok(false) => lane.end(Ok(StopReason::ContextFull)),
            Err(error) => lane.end(Err(error)),
        }
    }

    /// Learns what an aborted evaluation left of the sequences in it.
    fn resync(&mut self) {
        for lane in self.lanes.values_mut() {
            let Some(index) = lane.filled_slot() else { continue };
            // The token that comes next would stand behind what is no longer there.
            if !self.slots[index].resync(self.model, &mut self.context) {
                lane.restart();
            }
        }
        self.restore_lost();
    }

    /// Where memory cannot be cut back, an evaluation cut short takes that of sequences that had no part in it too: what was in it is
    /// evaluated again.
    fn restore_lost(&mut self) {
        for running in self.lanes.values_mut().filter_map(|lane| lane.running.as_mut()) {
            let slot = &mut self.slots[running.slot];
            if self.context.held(slot.sequence) < slot.held.len() {
                running.generation.restart(None);
                slot.forget(&mut self.context);
            }
        }
    }

    /// All sequences share one memory. When it is full the one goes that was not used for longest; when all are busy, the generation that
    /// began last waits until another one has ended.
    fn make_room(&mut self) {
        if let Some(oldest) = self.oldest_idle() {
            self.save_slot(oldest, 0);
            return self.slots[oldest].forget(&mut self.context);
        }
        let awake = |lane: &&mut Lane| lane.running.as_ref().is_some_and(|running| !running.is_parked);
        let n_awake = self
            .active_lanes()
            .filter(|lane| lane.running.as_ref().is_some_and(|running| !running.is_parked))
            .count();
        let newest = self.lanes.values_mut().filter(awake).max_by_key(|lane| since(lane));
        let Some(running) = newest.and_then(|lane| lane.running.as_mut()).filter(|_| n_awake > 1) else {
            return self.fail_filled("the context has no room left");
        };
        running.is_parked = true;
        running.generation.restart(None);
        let slot = running.slot;
        self.save_slot(slot, 0);
        self.slots[slot].forget(&mut self.context);
    }

    /// Ends what was being evaluated and forgets its memory, which cannot be trusted any more.
    fn fail_filled(&mut self, reason: &str) {
        for index in self.filled_slots() {
            self.slots[index].forget(&mut self.context);
        }
        for lane in self.lanes.values_mut().filter(|lane| lane.filled_slot().is_some()) {
            lane.end(Err(Error::DecodeFailed { reason: reason.to_owned() }));
        }
        self.restore_lost();
    }

    fn filled_slots(&self) -> Vec<usize> {
        self.active_lanes().filter_map(Lane::filled_slot).collect()
    }

    fn active_lanes(&self) -> impl Iterator<Item = &Lane> {
        self.active.iter().filter_map(|id| self.lanes.get(id))
    }
}

fn since(lane: &Lane) -> Option<Instant> {
    lane.running.as_ref().map(|running: &Running| running.since)
}

/// Frees the slot of a generation that is over. Returns whether there was one.
fn release(slots: &mut [Slot], lane: &Lane) -> bool {
    let Some(index) = lane.last_slot.filter(|_| lane.running.is_none()) else {
        return false;
    };
    let slot = &mut slots[index];
    let was_busy = slot.is_busy && slot.owner == Some(lane.id);
    slot.is_busy &= !was_busy;
    was_busy
}

#[cfg(test)]
mod tests;
