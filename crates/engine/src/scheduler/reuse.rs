//! What prompts get without evaluating it: what another sequence holds is shared, what was saved is restored. And what is saved for that: states
//! of sequences that lose their place, and, where memory cannot be cut back, states on the way.
//!
//! Effects only; the plans are those of the room `session`. Whatever fails here, what is missing is evaluated.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::Scheduler;
use super::cache::Kept;
use super::job::SessionId;
use super::lane::Lane;
use super::slot::{Checkpoint, Slot};
use crate::chat::{ChatFormat, ChatOptions, Message, Role};
use crate::llama::{Context, Token};
use crate::session::sharing::{self, Evaluating};
use crate::session::slots::{self, Idle, Owner};
use crate::session::{prefix, saved};

/// Fewer tokens are evaluated sooner than found.
const FEWEST_SHARED: usize = 16;
/// Fewer tokens are evaluated sooner than saved.
const FEWEST_SAVED: usize = 64;
/// How a prompt ends - the opening of an answer, switches about thinking - is often not how the next one goes on.
const ENDING: usize = 8;
/// How long others may wait for a state to be saved: while they answer, and when nobody does.
const PATIENCE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Something that another sequence holds.
struct Source {
    slot: usize,
    keep: usize,
}

impl Scheduler<'_> {
    /// Gives prompts under way what has been evaluated before, and decides how far each is evaluated next.
    pub(super) fn reuse_memory(&mut self) {
        if self.slots.iter().any(|slot| !slot.checkpoints.is_empty()) {
            for id in self.active.clone() {
                self.save_checkpoint(id);
            }
        }
        let prompts = self.prompts();
        if prompts.is_empty() {
            return;
        }
        for id in &prompts {
            let is_fresh = self.look_through_saved(*id);
            self.share(*id);
            if is_fresh {
                self.plan_checkpoints(*id);
            }
        }
        self.plan_pauses(&prompts);
        for id in prompts {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            let Some(running) = lane.running.as_mut().filter(|running| running.generation.answer_length() == 0) else {
                continue;
            };
            running.generation.set_cached(self.slots[running.slot].reused);
        }
    }

    /// Chooses the slot for a session that waits for one. What another session has in it is saved.
    pub(super) fn take_slot(&mut self, id: SessionId) -> Option<usize> {
        let prompt = self.lanes.get(&id)?.waiting_prompt()?;
        let free = self.slots.iter().enumerate().filter(|(_, slot)| !slot.is_busy);
        let idle: Vec<Idle> = free.map(|(index, slot)| self.idle(id, prompt, index, slot)).collect();
        let index = slots::choose(&idle)?;
        let keep = idle.iter().find(|idle| idle.slot == index)?.keep;
        if self.slots[index].owner != Some(id) {
            self.save_slot(index, keep);
        }
        Some(index)
    }

    fn idle(&self, id: SessionId, prompt: &[Token], index: usize, slot: &Slot) -> Idle {
        let (held, keep) = (slot.held.len(), slot.keepable(prompt, self.model, &self.context));
        let is_continued = self.model.can_cut_memory() && keep == held;
        let owner = match slot.owner {
            Some(owner) if owner == id => Owner::Own,
            // Its session shares what was its own.
            Some(_) if !is_continued => Owner::Other,
            _ => Owner::Nobody,
        };
        Idle {
            slot: index,
            held,
            keep,
            owner,
            used_at: slot.used_at,
        }
    }

    /// Saves what the slot holds before it is cut back to `keep` tokens, if somebody may come back to it.
    pub(super) fn save_slot(&mut self, index: usize, keep: usize) {
        let slot = &self.slots[index];
        let n_lost = slot.held.len() - keep;
        let is_missed = slot.owner.is_some() && n_lost >= FEWEST_SAVED;
        if self.cache.is_off() || !is_missed || !slot.is_whole(&self.context) || self.is_elsewhere(index) {
            return;
        }
        let (tokens, owner) = (slot.held.clone(), slot.owner);
        self.save(index, tokens, owner, n_lost);
    }

    /// Forgets the session's states. What sequences hold stays for others until it is in the way.
    pub(super) fn forget_states_of(&mut self, id: SessionId) {
        self.cache.forget(id);
        for slot in self.slots.iter_mut().filter(|slot| slot.owner == Some(id)) {
            slot.owner = None;
        }
    }

    /// The idle slot that was not used for longest, of those that hold something.
    pub(super) fn oldest_idle(&self) -> Option<usize> {
        let idle = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| !slot.is_busy && !slot.held.is_empty());
        idle.min_by_key(|(_, slot)| slot.used_at).map(|(index, _)| index)
    }

    /// Those that have prompt left to evaluate, the more important first, as they get their shares.
    fn prompts(&self) -> Vec<SessionId> {
        let is_prompt = |lane: &&Lane| {
            let running = lane.running.as_ref().filter(|running| !running.is_parked);
            running.is_some_and(|running| running.generation.next.is_none())
        };
        let mut prompts: Vec<&Lane> = self.active_lanes().filter(is_prompt).collect();
        prompts.sort_by_key(|lane| Reverse(lane.running.as_ref().map(|running| running.generation.options.priority)));
        prompts.into_iter().map(|lane| lane.id).collect()
    }

    fn prompt(&self, id: SessionId) -> Option<(&[Token], usize)> {
        let running = self.lanes.get(&id)?.running.as_ref()?;
        Some((&running.generation.prompt, running.slot))
    }

    /// Whether another sequence holds all that this one does.
    fn is_elsewhere(&self, index: usize) -> bool {
        let held = &self.slots[index].held;
        let others = self.slots.iter().enumerate().filter(|(other, _)| *other != index);
        let mut able = others.filter(|(_, slot)| slot.held.starts_with(held) && slot.is_whole(&self.context));
        able.any(|(_, slot)| self.context.can_share(slot.sequence, held.len()))
    }

    /// Saves the state of a slot, which is that of `tokens`, if that is worth it and not there already.
    fn save(&mut self, index: usize, tokens: Vec<Token>, owner: Option<SessionId>, n_spared: usize) {
        let sequence = self.slots[index].sequence;
        if self.context.held(sequence) != tokens.len() {
            // It would be the state of something else.
            return;
        }
        let n_bytes = self.context.state_bytes(sequence);
        let others_answer = self.active_lanes().any(|lane| {
            lane.running
                .as_ref()
                .is_some_and(|running| running.slot != index && !running.is_parked)
        });
        let patience = PATIENCE[usize::from(!others_answer)];
        if !self.cache.wants(n_spared, n_bytes, patience) || self.cache.covers(&tokens) {
            return;
        }
        let since = Instant::now();
        let Some(state) = self.context.save(sequence) else { return };
        self.cache.pace.saved(n_bytes, since.elapsed());
        self.cache.keep(Kept::new(tokens, state, owner));
    }

    /// Restores the saved state of which a new prompt can use the most, if that is more than what sequences hold. Returns whether it is new.
    fn look_through_saved(&mut self, id: SessionId) -> bool {
        let Some((prompt, index)) = self.prompt(id) else { return false };
        if !self.slots[index].is_fresh {
            return false;
        }
        let held = best_source(&self.slots, index, prompt, &self.context).map_or(0, |source| source.keep);
        let held = held.max(self.slots[index].held.len());
        let found = self.cache.find(prompt).filter(|found| {
            let n_gained = found.keep.saturating_sub(held);
            n_gained >= FEWEST_SHARED && self.cache.pace.should_restore(n_gained, self.cache.n_bytes(found.index))
        });
        if let Some(found) = found {
            let kept = self.cache.take(found.index);
            let is_used_up = kept.state.shortest() < kept.tokens.len() && found.keep + 1 >= kept.tokens.len();
            let is_kept = if self.restore(index, &kept, found.keep) {
                // It is in the sequence again, and is saved again when that loses its place; what cannot be cut back to it is kept.
                !is_used_up
            } else {
                // Another time there may be room. What does not come back although there is, never will.
                !self.has_room_for(kept.tokens.len())
            };
            if is_kept {
                self.cache.keep(kept);
            }
        }
        self.slots[index].is_fresh = false;
        true
    }

    /// Whether so many tokens fit beside what busy slots hold, even if they share nothing.
    fn has_room_for(&self, n_tokens: usize) -> bool {
        let busy = self.slots.iter().filter(|slot| slot.is_busy);
        busy.map(|slot| slot.held.len()).sum::<usize>() + n_tokens <= self.context.context_size()
    }

    /// Puts a saved state into a slot, if need be in place of what idle ones hold, and cuts it back to `keep` tokens.
    fn restore(&mut self, index: usize, kept: &Kept, keep: usize) -> bool {
        let sequence = self.slots[index].sequence;
        loop {
            let since = Instant::now();
            if self.context.restore(sequence, &kept.state) {
                self.cache.pace.restored(kept.state.n_bytes(), since.elapsed());
                break;
            }
            let Some(idle) = self.oldest_idle() else {
                self.slots[index].forget(&mut self.context);
                return false;
            };
            self.save_slot(idle, 0);
            self.slots[idle].forget(&mut self.context);
        }
        let slot = &mut self.slots[index];
        if keep < kept.tokens.len() && !self.context.cut(sequence, keep) {
            slot.forget(&mut self.context);
            return false;
        }
        slot.receive(&kept.tokens[..keep]);
        true
    }

    /// Shares what another sequence holds of the prompt, if that is more than the own one does.
    fn share(&mut self, id: SessionId) {
        let Some((prompt, index)) = self.prompt(id) else { return };
        let Some(source) = best_source(&self.slots, index, prompt, &self.context) else {
            return;
        };
        let (from, to) = (self.slots[source.slot].sequence, self.slots[index].sequence);
        if source.keep < self.slots[index].held.len() + FEWEST_SHARED {
            return;
        }
        let tokens = prompt[..source.keep].to_vec();
        if self.context.share(from, to, source.keep) {
            self.slots[index].receive(&tokens);
        } else if !self.slots[index].is_whole(&self.context) {
            self.slots[index].forget(&mut self.context);
        }
    }

    /// Saves the state of a prompt, evaluated so far or as a whole, that has come to a place where that was planned.
    fn save_checkpoint(&mut self, id: SessionId) {
        let Some((prompt, index)) = self.prompt(id) else { return };
        let slot = &self.slots[index];
        let n_held = slot.held.len();
        let Some(checkpoint) = slot.checkpoints.iter().copied().find(|checkpoint| checkpoint.n_tokens == n_held) else {
            return;
        };
        let Some(tokens) = prompt.get(..n_held).map(<[Token]>::to_vec) else {
            return;
        };
        let owner = slot.owner.filter(|_| !checkpoint.is_everyones);
        self.slots[index].checkpoints.retain(|checkpoint| checkpoint.n_tokens > n_held);
        // Without it the next prompt would begin further back, with what was saved before, or anew.
        let n_spared = n_held - self.cache.n_usable(&tokens);
        self.save(index, tokens, owner, n_spared);
    }

    /// Where memory cannot be cut back, or not always, a prompt is evaluated with pauses, in which its state is saved.
    fn plan_checkpoints(&mut self, id: SessionId) {
        let can_always_cut = self.model.can_cut_memory() && !self.context.has_window();
        if can_always_cut || self.cache.is_off() {
            return;
        }
        let Some((prompt, index)) = self.prompt(id) else { return };
        let Some(running) = self.lanes.get(&id).and_then(|lane| lane.running.as_ref()) else {
            return;
        };
        let opening = opening(
            self.format,
            running.generation.turn.messages(),
            &running.generation.options.chat,
            prompt,
        );
        let others = self.slots.iter().enumerate().filter(|(other, _)| *other != index);
        let common = others.map(|(_, slot)| prefix::common(&slot.held, prompt)).max().unwrap_or(0);
        let common = common.max(self.cache.longest_common(prompt));
        let held = self.slots[index].held.len();
        // A window can be cut by the last token.
        let last = if self.model.can_cut_memory() {
            prompt.len()
        } else {
            prompt.len().saturating_sub(ENDING)
        };
        let positions = saved::checkpoints(held, self.cache.n_usable(prompt), last, &[opening, common]);
        let checkpoints = positions.into_iter().map(|n_tokens| Checkpoint {
            n_tokens,
            is_everyones: n_tokens <= opening,
        });
        self.slots[index].checkpoints = checkpoints.collect();
    }

    /// Lets prompts that begin alike wait for one of them, and stops where states are to be saved.
    fn plan_pauses(&mut self, prompts: &[SessionId]) {
        let under_way: Vec<_> = prompts.iter().filter_map(|id| self.prompt(*id)).collect();
        let evaluating: Vec<_> = under_way
            .iter()
            .map(|(tokens, index)| Evaluating {
                tokens,
                held: self.slots[*index].held.len(),
            })
            .collect();
        let stops_there = !self.model.can_cut_memory() || self.context.has_window();
        let targets = if self.context.shares() {
            sharing::targets(&evaluating, stops_there)
        } else {
            evaluating.iter().map(|prompt| prompt.tokens.len()).collect()
        };
        let pauses: Vec<(usize, usize)> = under_way.iter().zip(targets).map(|((_, index), target)| (*index, target)).collect();
        for (index, target) in pauses {
            let slot = &mut self.slots[index];
            let checkpoint = slot
                .checkpoints
                .iter()
                .map(|checkpoint| checkpoint.n_tokens)
                .find(|at| *at > slot.held.len());
            slot.pause_at = target.min(checkpoint.unwrap_or(usize::MAX));
        }
    }
}

/// The sequence, other than that of `own`, which holds most of `prompt`.
fn best_source(slots: &[Slot], own: usize, prompt: &[Token], context: &Context<'_>) -> Option<Source> {
    let held = slots[own].held.len();
    // Most differ early.
    let is_near = |slot: &Slot| slot.held.get(held) == prompt.get(held);
    let others = slots.iter().enumerate().filter(|(index, slot)| *index != own && is_near(slot));
    let sources = others.map(|(slot, other)| Source {
        slot,
        keep: other.shareable(prompt, context),
    });
    sources.max_by_key(|source| source.keep).filter(|source| source.keep > held)
}

/// How much of `prompt` comes before the first thing that a user says: system prompt and tools.
fn opening(format: &ChatFormat<'_>, messages: &[Message], options: &ChatOptions, prompt: &[Token]) -> usize {
    let system = messages.iter().take_while(|message| message.role == Role::System);
    let other: Vec<Message> = system.cloned().chain([Message::new(Role::User, "?")]).collect();
    let other = format.prompt(&other, options, usize::MAX);
    other.map_or(0, |other| prefix::common(&other.tokens, prompt))
}
