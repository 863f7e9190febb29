//! The one ordered way out: everything that JavaScript is told goes through one outbox and one threadsafe function per worker.
//!
//! The engine thread never waits for JavaScript. When JavaScript is slow, pieces of one generation merge in the outbox into one.
//! Invariant: events arrive in the order in which they were put in, whatever thread did it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llama_worker_engine::download::Abort;
use llama_worker_engine::worker::AbortFlag;
use napi::bindgen_prelude::{FnArgs, Function, JsObjectValue, Object, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode, UnknownReturnValue};
use napi::{Env, Status};
use serde::Serialize;

use crate::answer::{Answer, with_prototypes};
use crate::contract::{Body, Outbound};

/// One thing JavaScript is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum Outgoing {
    /// How far a load is, 0…1.
    Progress { id: u32, progress: f32 },
    /// How far a download is. `index` counts the models of its request.
    #[serde(rename_all = "camelCase")]
    Download {
        id: u32,
        index: usize,
        file: String,
        downloaded_bytes: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<f64>,
        progress: f64,
    },
    /// Text of a generation.
    Text { id: u32, text: String },
    /// Text of a thought.
    Reasoning { id: u32, text: String },
    /// Tokens of an answer.
    Tokens { id: u32, tokens: Vec<i32> },
    /// More of a tool call: what came to its arguments.
    ToolCall {
        id: u32,
        index: usize,
        name: String,
        arguments: String,
        done: bool,
    },
    /// A request's result; nothing follows for it.
    Done {
        id: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<Answer>,
    },
    /// A request's failure; nothing follows for it.
    Error {
        id: u32,
        code: &'static str,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// A message of the contract.
    Message { message: Outbound },
}

/// The JavaScript function that takes events: gets an array of them.
pub(crate) type OnEvents<'env> = Function<'env, FnArgs<(Unknown<'static>,)>, UnknownReturnValue>;

/// Wakes JavaScript's thread to empty the outbox. The call carries nothing (`()`); the events are taken from the outbox when it arrives.
/// Not error-first (`false`). Weak (`true`): an idle worker does not keep the process alive. No limit (`0`): there is at most one call
/// under way, see `State::is_woken`.
type Wake = ThreadsafeFunction<(), UnknownReturnValue, FnArgs<(Unknown<'static>,)>, Status, false, true, 0>;

/// Events on their way to JavaScript, and what may still be aborted. One lock over both, so that nothing of a generation is put in after
/// its abort has been reported.
pub(crate) struct Outbox {
    state: Arc<Mutex<State>>,
    wake: Wake,
}

#[derive(Default)]
struct State {
    events: Vec<Outgoing>,
    is_woken: bool,
    active: Vec<Active>,
}

/// A request that can be aborted.
struct Active {
    id: u32,
    abort: Abortable,
}

/// What is under way, with what ends it early.
#[derive(Clone)]
pub(crate) enum Abortable {
    Load(AbortFlag),
    Generation(AbortFlag),
    Download(Abort),
}

/// What is to be aborted.
#[derive(Clone, Copy)]
pub(crate) enum Which {
    Request(u32),
    Generations,
    Downloads,
}

impl Abortable {
    fn set(&self) {
        match self {
            Self::Load(flag) | Self::Generation(flag) => flag.set(),
            Self::Download(abort) => abort.set(),
        }
    }

    fn is_set(&self) -> bool {
        match self {
            Self::Load(flag) | Self::Generation(flag) => flag.is_set(),
            Self::Download(abort) => abort.is_set(),
        }
    }
}

impl Active {
    fn is_meant(&self, which: Which) -> bool {
        match which {
            Which::Request(id) => self.id == id,
            Which::Generations => matches!(self.abort, Abortable::Generation(_)),
            Which::Downloads => matches!(self.abort, Abortable::Download(_)),
        }
    }
}

impl Outbox {
    /// An outbox that is emptied into `on_events`.
    pub(crate) fn new(on_events: &OnEvents<'_>) -> napi::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let inbox = Arc::clone(&state);
        let wake = on_events
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build_callback(move |context| Ok(FnArgs::from((take_events(context.env, &inbox)?,))))?;
        Ok(Self { state, wake })
    }

    /// Tells JavaScript something.
    pub(crate) fn push(&self, event: Outgoing) {
        self.with(|state| state.put(event));
    }

    /// Takes notice of a request that can be aborted.
    pub(crate) fn begin(&self, id: u32, abort: Abortable) {
        self.lock().active.push(Active { id, abort });
    }

    /// Ends a request: it cannot be aborted any more. `events` learns whether it was, and says what JavaScript is told last.
    pub(crate) fn end<Events: IntoIterator<Item = Option<Outgoing>>>(&self, id: u32, events: impl FnOnce(bool) -> Events) {
        self.with(|state| {
            let index = state.active.iter().position(|active| active.id == id);
            let was_aborted = index.is_some_and(|index| state.active.swap_remove(index).abort.is_set());
            for event in events(was_aborted).into_iter().flatten() {
                state.put(event);
            }
        });
    }

    /// Tells JavaScript something about a request, unless that `is_aborted`. Returns whether it did.
    pub(crate) fn push_unless(&self, is_aborted: impl FnOnce() -> bool, event: Outgoing) -> bool {
        self.with(|state| {
            let is_wanted = !is_aborted();
            if is_wanted {
                state.put(event);
            }
            is_wanted
        })
    }

    /// Aborts what is meant, unless that was done before. Tells JavaScript `note` if there was something to abort, and returns whether.
    pub(crate) fn abort(&self, which: Which, note: Option<Outgoing>) -> bool {
        self.with(|state| {
            let wanted = |active: &&Active| active.is_meant(which) && !active.abort.is_set();
            let found: Vec<Abortable> = state.active.iter().filter(wanted).map(|active| active.abort.clone()).collect();
            found.iter().for_each(Abortable::set);
            if let Some(note) = note.filter(|_| !found.is_empty()) {
                state.put(note);
            }
            !found.is_empty()
        })
    }

    /// Changes the state, then wakes JavaScript if there is something new for it.
    fn with<Value>(&self, change: impl FnOnce(&mut State) -> Value) -> Value {
        let mut state = self.lock();
        let value = change(&mut state);
        let must_wake = !state.events.is_empty() && !state.is_woken;
        state.is_woken |= must_wake;
        drop(state);
        if must_wake {
            // Anything but Ok means that the environment is going away: nobody is left to be told.
            let _ = self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
        value
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// OK to go on after a panic: the state is changed by pushes and flags only, which cannot be left half done.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_events(env: Env, state: &Mutex<State>) -> napi::Result<Unknown<'static>> {
    let events = {
        let mut state = lock(state);
        state.is_woken = false;
        std::mem::take(&mut state.events)
    };
    let (value, has_prototype) = with_prototypes(|| env.to_js_value(&events));
    if !has_prototype {
        return value;
    }
    // JSON.parse defines every property, where setting one would set the object's prototype.
    let text = serde_json::to_string(&events)?;
    let json: Object<'_> = env.get_global()?.get_named_property("JSON")?;
    let parse: Function<'_, String, Unknown<'static>> = json.get_named_property("parse")?;
    parse.call(text)
}

impl State {
    /// Adds an event, or lets it grow the last one when both are pieces of the same.
    fn put(&mut self, event: Outgoing) {
        let rest = match self.events.last_mut() {
            Some(last) => merge(last, event),
            None => Some(event),
        };
        self.events.extend(rest);
    }
}

/// Lets `event` grow the `last` one; gives it back when they do not belong together.
fn merge(last: &mut Outgoing, event: Outgoing) -> Option<Outgoing> {
    match (last, event) {
        (Outgoing::Text { id: last, text: all }, Outgoing::Text { id, text })
        | (Outgoing::Reasoning { id: last, text: all }, Outgoing::Reasoning { id, text })
            if *last == id =>
        {
            all.push_str(&text);
            None
        }
        (Outgoing::Tokens { id: last, tokens: all }, Outgoing::Tokens { id, tokens }) if *last == id => {
            all.extend(tokens);
            None
        }
        (Outgoing::Message { message: last }, Outgoing::Message { message }) => {
            merge_messages(last, message).map(|message| Outgoing::Message { message })
        }
        (_, event) => Some(event),
    }
}

/// Appends a chunk to the chunk before it; gives back any other message.
fn merge_messages(last: &mut Outbound, message: Outbound) -> Option<Outbound> {
    if last.step != message.step {
        return Some(message);
    }
    match (&mut last.body, &message.body) {
        (Body::CompletionChunk { chunk: all }, Body::CompletionChunk { chunk })
        | (Body::ReasoningChunk { chunk: all }, Body::ReasoningChunk { chunk }) => {
            all.push_str(chunk);
            None
        }
        _ => Some(message),
    }
}
