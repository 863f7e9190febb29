//! The caller's end of an engine thread.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::command::{Command, CreateContext, CreateSession, Init, LoadModel, Query, Standing};
use super::engine::Engine;
use super::inbox::Inbox;
use crate::error::{Error, Result};
use crate::llama::{self, AbortFlag};
use crate::scheduler::{GenerationRequest, Job, Reply, SessionId};

/// At most 15 bytes, so that Linux shows it whole.
const THREAD_NAME: &str = "llama-worker";

/// llama.cpp's tokenizers recurse for each character of a long row, see `llama/rows.rs`. Only what is used of it takes memory.
const STACK_BYTES: usize = 256 << 20;

/// How long an exiting process waits for its engine threads. One graph node of the largest model takes far less.
const EXIT_WAIT: Duration = Duration::from_secs(2);

/// Every thread that may still run, for the exit of the process.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

/// An engine thread. Dropping the handle aborts what it does and lets it end by itself, without waiting.
#[derive(Debug)]
pub struct WorkerHandle {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
}

/// What both ends of a thread know.
#[derive(Debug, Default)]
struct Shared {
    /// Ends everything under way, and refuses the rest.
    stop: AbortFlag,
    has_ended: Mutex<bool>,
    ended: Condvar,
}

/// A thread as the whole process knows it. Weak: neither the thread nor its handle is kept by being listed.
#[derive(Debug)]
struct Running {
    commands: mpsc::WeakUnboundedSender<Command>,
    shared: Weak<Shared>,
}

impl WorkerHandle {
    /// Starts a thread that waits for commands.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system gives no thread.
    pub fn start() -> Result<Self> {
        let (commands, inbox) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let on_thread = Arc::clone(&shared);
        let engine = Engine::new(Inbox::new(inbox, shared.stop.clone()));
        let spawned = std::thread::Builder::new()
            .name(THREAD_NAME.into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let _ended = EndMark(on_thread);
                engine.run();
            });
        spawned.map_err(|error| Error::Internal {
            reason: format!("no thread could be started: {error}"),
        })?;
        let handle = Self { commands, shared };
        handle.remember();
        Ok(handle)
    }

    /// A flag for one request, which also obeys the end of the worker.
    #[must_use]
    pub fn abort_flag(&self) -> AbortFlag {
        self.shared.stop.child()
    }

    /// Loads the backends.
    pub fn init(&self, command: Init) {
        self.send(Command::Init(command));
    }

    /// Loads a model.
    pub fn load_model(&self, command: LoadModel) {
        self.send(Command::LoadModel(command));
    }

    /// Creates the context.
    pub fn create_context(&self, command: CreateContext) {
        self.send(Command::CreateContext(command));
    }

    /// Begins a session.
    pub fn create_session(&self, command: CreateSession) {
        self.send(Command::CreateSession(command));
    }

    /// Generates in a session.
    pub fn generate(&self, session: SessionId, request: GenerationRequest) {
        self.submit(session, Job::Generate(Box::new(request)));
    }

    /// Asks something of a session.
    pub fn submit(&self, session: SessionId, job: Job) {
        self.send(Command::Job(session, job));
    }

    /// Asks something about the model.
    pub fn query(&self, query: Query) {
        self.send(Command::Query(query));
    }

    /// Ends `reply` when everything asked for before is done, so that an answer of the caller's own keeps its place.
    pub fn barrier(&self, reply: Reply<Standing>) {
        self.send(Command::Barrier(reply));
    }

    /// Aborts everything, frees context and model and ends the thread; `reply` ends when all is free.
    pub fn stop(&self, reply: Reply<()>) {
        self.shared.stop.set();
        self.send(Command::Stop(reply));
    }

    /// Aborts everything and waits until the thread has ended, but not longer than `timeout`. For an environment that is being torn down.
    pub fn stop_and_wait(&self, timeout: Duration) {
        self.stop(Reply::new(|_| {}));
        self.shared.wait(timeout);
    }

    fn remember(&self) {
        let mut running = lock(&RUNNING);
        running.retain(|known| known.shared.strong_count() > 0);
        running.push(Running {
            commands: self.commands.downgrade(),
            shared: Arc::downgrade(&self.shared),
        });
    }

    /// A thread that has ended drops the command, and so its reply answers.
    fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.shared.stop.set();
    }
}

impl Shared {
    fn wait(&self, timeout: Duration) {
        let has_ended = lock(&self.has_ended);
        let _ = self.ended.wait_timeout_while(has_ended, timeout, |has_ended| !*has_ended);
    }
}

/// Says that the thread has ended, also after a panic.
struct EndMark(Arc<Shared>);

impl Drop for EndMark {
    fn drop(&mut self) {
        *lock(&self.0.has_ended) = true;
        self.0.ended.notify_all();
    }
}

/// Makes `exit()` wait for engine threads: llama.cpp's static destructors must not run while one evaluates.
///
/// Call it again after each step that may have made llama.cpp create more of its statics: exit handlers and destructors run in the reverse
/// order of their registration, and this one must come before all of theirs.
pub(super) fn stop_threads_at_exit() {
    llama::at_exit(stop_all_at_exit);
}

extern "C" fn stop_all_at_exit() {
    stop_all();
}

/// Ends every engine thread of the process, and waits for them, at most two seconds. For a process that is about to exit.
pub fn stop_all() {
    let running = std::mem::take(&mut *lock(&RUNNING));
    let threads: Vec<Arc<Shared>> = running.iter().filter_map(Running::stop).collect();
    let deadline = Instant::now() + EXIT_WAIT;
    for thread in threads {
        thread.wait(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Running {
    /// Aborts what the thread does, or wakes it if it does nothing. Returns it if it has not ended.
    fn stop(&self) -> Option<Arc<Shared>> {
        let shared = self.shared.upgrade()?;
        shared.stop.set();
        if let Some(commands) = self.commands.upgrade() {
            // A thread that has ended needs no command.
            let _ = commands.send(Command::Stop(Reply::new(|_| {})));
        }
        Some(shared)
    }
}

/// OK to go on after a panic: what is locked here cannot be left half done.
fn lock<Value>(mutex: &Mutex<Value>) -> MutexGuard<'_, Value> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
