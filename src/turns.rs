//! The order of the port's steps, when one of them waits for results of tools.
//!
//! Steps go to the engine as they come, in order. A generation that has tools holds back what comes after it until it has ended, since
//! between two of its rounds the engine has nothing of it to do. Both threads come here: JavaScript's with messages, the engine's with the
//! ends of rounds. Invariants: nothing is sent to the engine under the lock, because a thread that has ended answers a command at once, on
//! the spot; the outbox may be used under the lock, but nothing of the outbox leads here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use llama_worker_engine::chat::ToolCall;
use llama_worker_engine::error::Error;
use llama_worker_engine::worker::{
    CreateContext, Event, GenerationRequest, GenerationResult, Init, Input, Job, LoadModel, Reply, SessionId, Standing, StopReason,
    WorkerHandle,
};

use crate::answer::ToolCallAnswer;
use crate::contract::Body;
use crate::stream::{Outbox, Outgoing};
use crate::turn::{Failure, Turn, tool_messages};

/// A step on its way to the engine.
pub(crate) enum Command {
    Init(Init),
    LoadModel(LoadModel),
    CreateContext(CreateContext),
    Barrier(Reply<Standing>),
    Generate(Box<Turn>, Input),
    /// The last one.
    Stop(Reply<()>),
}

/// What the port has asked for, and what it waits for.
pub(crate) struct Turns {
    /// Weak: replies that the engine holds lead here, and must not keep the worker alive.
    handle: Weak<WorkerHandle>,
    outbox: Arc<Outbox>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Not sent yet.
    queue: VecDeque<Command>,
    /// Whether a thread is sending what is in the queue; it also sends what comes meanwhile.
    is_sending: bool,
    open: Open,
    /// Nothing is held back any more.
    is_stopping: bool,
}

/// The generation that holds back others.
#[derive(Default)]
enum Open {
    #[default]
    None,
    /// The engine, or an end on its way, has it.
    Running,
    /// The caller has it.
    Waiting(Box<Waiting>),
}

/// A turn that waits for results.
struct Waiting {
    turn: Box<Turn>,
    calls: Vec<(ToolCall, Option<String>)>,
}

impl Turns {
    pub(crate) fn new(handle: &Arc<WorkerHandle>, outbox: &Arc<Outbox>) -> Self {
        Self {
            handle: Arc::downgrade(handle),
            outbox: Arc::clone(outbox),
            state: Mutex::default(),
        }
    }

    /// Takes a step, which is sent to the engine in its turn.
    pub(crate) fn submit(self: &Arc<Self>, command: Command) {
        self.lock().queue.push_back(command);
        self.send_waiting();
    }

    /// Takes results of tools, each with the id of its call, all or none. Returns the first id of a call that nobody waits for.
    pub(crate) fn take_results(self: &Arc<Self>, results: Vec<(String, String)>) -> Result<(), String> {
        let complete = self.lock().open.fill(results)?;
        if let Some(Waiting { mut turn, calls }) = complete {
            turn.prepare_next();
            let results = calls.into_iter().map(|(call, result)| (call, result.unwrap_or_default()));
            self.generate(turn, tool_messages(results));
        }
        Ok(())
    }

    /// Ends the turn that waits, if it was aborted.
    pub(crate) fn end_aborted(self: &Arc<Self>) {
        let aborted = self.lock().open.take_if(|waiting| waiting.turn.abort.is_set());
        if let Some(waiting) = aborted {
            self.finish(*waiting.turn, Ok(()));
        }
    }

    /// Sends everything and then stops the worker, also where another thread is sending: what it answers must come before its end.
    pub(crate) fn stop(self: &Arc<Self>, reply: Reply<()>) {
        self.lock().is_stopping = true;
        self.end_aborted();
        self.submit(Command::Stop(reply));
    }

    fn send_waiting(self: &Arc<Self>) {
        if std::mem::replace(&mut self.lock().is_sending, true) {
            return;
        }
        while let Some(command) = self.next() {
            self.send(command);
        }
    }

    fn next(&self) -> Option<Command> {
        let mut state = self.lock();
        let is_held_back = !state.is_stopping && !matches!(state.open, Open::None);
        let next = if is_held_back { None } else { state.queue.pop_front() };
        match &next {
            Some(Command::Generate(turn, _)) if turn.has_tools() => state.open = Open::Running,
            Some(_) => {}
            None => state.is_sending = false,
        }
        next
    }

    fn send(self: &Arc<Self>, command: Command) {
        // Without a handle the worker is garbage: nobody is left to be answered.
        let Some(handle) = self.handle.upgrade() else { return };
        match command {
            Command::Init(command) => handle.init(command),
            Command::LoadModel(command) => handle.load_model(command),
            Command::CreateContext(command) => handle.create_context(command),
            Command::Barrier(reply) => handle.barrier(reply),
            Command::Generate(turn, input) => self.generate(turn, input),
            Command::Stop(reply) => handle.stop(reply),
        }
    }

    /// Has the engine do a round of a turn.
    fn generate(self: &Arc<Self>, turn: Box<Turn>, input: Input) {
        let Some(handle) = self.handle.upgrade() else { return };
        let (options, abort) = (turn.options.clone(), turn.abort.clone());
        let turns = Arc::clone(self);
        let mut turn = Some(turn);
        let reply = Reply::new(move |event| match event {
            Event::Ended(result) => {
                if let Some(turn) = turn.take() {
                    turns.end_round(turn, result);
                }
            }
            event => {
                if let Some((turn, message)) = turn.as_ref().and_then(|turn| Some((turn, turn.news(event)?))) {
                    turns.outbox.push_unless(|| turn.abort.is_set(), Outgoing::Message { message });
                }
            }
        });
        handle.generate(
            SessionId::DEFAULT,
            GenerationRequest {
                input,
                options,
                abort,
                accepted_at: Instant::now(),
                reply,
            },
        );
    }

    fn end_round(self: &Arc<Self>, mut turn: Box<Turn>, result: Result<GenerationResult, Error>) {
        let mut result = match result {
            Ok(result) => result,
            Err(error) => return self.finish(*turn, Err(Failure::Engine(error))),
        };
        let calls = std::mem::take(&mut result.tool_calls);
        let stop_reason = result.stop_reason;
        turn.add(result);
        // Who has given no tools is asked for no results.
        if stop_reason != StopReason::ToolCalls || calls.is_empty() || !turn.has_tools() {
            return self.finish(*turn, Ok(()));
        }
        match turn.begin_round() {
            Ok(()) => self.wait(turn, calls),
            Err(failure) => self.finish(*turn, Err(failure)),
        }
    }

    /// Asks the caller for results, unless the turn was aborted.
    fn wait(self: &Arc<Self>, turn: Box<Turn>, calls: Vec<ToolCall>) {
        let tool_calls = calls.iter().map(ToolCallAnswer::from).collect();
        let message = turn.step.message(Body::ToolCall { tool_calls });
        let mut state = self.lock();
        // Under the lock, so that an abort finds it either not asked for or waiting.
        if self.outbox.push_unless(|| turn.abort.is_set(), Outgoing::Message { message }) {
            let calls = calls.into_iter().map(|call| (call, None)).collect();
            state.open = Open::Waiting(Box::new(Waiting { turn, calls }));
            return;
        }
        drop(state);
        self.finish(*turn, Ok(()));
    }

    /// Ends a turn, and lets go what it held back.
    fn finish(self: &Arc<Self>, turn: Turn, result: Result<(), Failure>) {
        if turn.has_called() && (result.is_err() || turn.abort.is_set()) {
            self.abandon();
        }
        let id = turn.step.id;
        self.outbox.end(id, |was_aborted| {
            let [first, second, third] = turn.ending(result, was_aborted);
            let sent = |message: Option<_>| message.map(|message| Outgoing::Message { message });
            [sent(first), sent(second), sent(third), Some(Outgoing::Done { id, value: None })]
        });
        if turn.has_tools() {
            self.lock().open = Open::None;
            self.send_waiting();
        }
    }

    /// Takes back the turn's calls. What is asked of the conversation later comes after it.
    fn abandon(&self) {
        if let Some(handle) = self.handle.upgrade() {
            handle.submit(SessionId::DEFAULT, Job::AbandonToolCalls(Reply::new(|_| {})));
        }
    }

    /// OK to go on after a panic: the state is changed by single assignments.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Takes results, all or none. Returns the turn when it has all of them, or the first id that nobody waits for.
    fn fill(&mut self, results: Vec<(String, String)>) -> Result<Option<Waiting>, String> {
        let Self::Waiting(waiting) = self else {
            return Err(results.into_iter().next().map(|(id, _)| id).unwrap_or_default());
        };
        let mut calls = waiting.calls.clone();
        for (id, result) in results {
            match calls.iter_mut().find(|(call, known)| call.id == id && known.is_none()) {
                Some((_, known)) => *known = Some(result),
                None => return Err(id),
            }
        }
        waiting.calls = calls;
        Ok(self.take_if(|waiting| waiting.calls.iter().all(|(_, result)| result.is_some())))
    }

    /// Takes the turn that waits, if it is meant; it goes on or ends, and still holds back others.
    fn take_if(&mut self, is_meant: impl FnOnce(&Waiting) -> bool) -> Option<Waiting> {
        match std::mem::replace(self, Self::Running) {
            Self::Waiting(waiting) if is_meant(&waiting) => Some(*waiting),
            other => {
                *self = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use llama_worker_engine::worker::{AbortFlag, GenerationOptions};

    use super::*;
    use crate::contract::{Locale, Step};
    use crate::turn::Limits;

    fn waiting(ids: &[&str]) -> Open {
        let step = Step {
            id: 1,
            request_id: None,
            locale: Locale::English,
        };
        let limits = Limits {
            max_tool_rounds: 1,
            streams_reasoning: false,
        };
        let turn = Turn::new(step, AbortFlag::default(), GenerationOptions::default(), limits);
        let call = |id: &&str| ToolCall {
            id: (*id).to_owned(),
            ..ToolCall::default()
        };
        Open::Waiting(Box::new(Waiting {
            turn: Box::new(turn),
            calls: ids.iter().map(|id| (call(id), None)).collect(),
        }))
    }

    fn results(results: &[(&str, &str)]) -> Vec<(String, String)> {
        results
            .iter()
            .map(|(id, result)| ((*id).to_owned(), (*result).to_owned()))
            .collect()
    }

    #[test]
    fn results_are_complete_with_the_last_in_the_order_of_the_calls() {
        let mut open = waiting(&["a", "b"]);
        assert!(open.fill(results(&[("b", "2")])).unwrap().is_none());
        let complete = open.fill(results(&[("a", "1")])).unwrap().unwrap();
        let told: Vec<_> = complete
            .calls
            .into_iter()
            .map(|(call, result)| (call.id, result.unwrap()))
            .collect();
        assert_eq!(told, results(&[("a", "1"), ("b", "2")]));
        assert!(matches!(open, Open::Running), "it still holds back others");
    }

    #[test]
    fn what_nobody_waits_for_changes_nothing() {
        let mut open = waiting(&["a", "b"]);
        for (given, refused) in [
            (results(&[("c", "1")]), "c"),
            (results(&[("a", "1"), ("c", "1")]), "c"),
            (results(&[("a", "1"), ("a", "2")]), "a"),
        ] {
            assert_eq!(open.fill(given).err().as_deref(), Some(refused));
        }
        assert!(open.fill(results(&[("a", "1")])).unwrap().is_none());
        assert_eq!(open.fill(results(&[("a", "1")])).err().as_deref(), Some("a"), "a second result");
        assert!(open.fill(results(&[("b", "1")])).unwrap().is_some());
        for mut other in [Open::None, Open::Running] {
            assert_eq!(other.fill(results(&[("a", "1")])).err().as_deref(), Some("a"));
        }
    }

    #[test]
    fn calls_of_one_id_take_a_result_each() {
        let mut open = waiting(&["", ""]);
        assert!(open.fill(results(&[("", "1")])).unwrap().is_none());
        assert!(open.fill(results(&[("", "2")])).unwrap().is_some());
    }
}
