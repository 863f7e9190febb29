//! The one thread on which downloads run: born with the first, gone after the last.
//!
//! It only waits for the network; what waits for the disk or for name servers does so on tokio's blocking threads, which end soon after it.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::abort::Abort;
use super::job::{self, Event, Request};
use crate::error::{Error, Result};

/// At most 15 bytes, so that Linux shows it whole.
const THREAD_NAME: &str = "llama-download";

/// Four that files are fetched with, two that files which are there are hashed with (`fetch.rs`), and two for what takes a moment: name look-ups,
/// locks, looks at the disk.
const MOST_BLOCKING_THREADS: usize = 8;

/// How long a process that exits waits for partial files to be written out. They also outlast a kill, with a little less in them.
const EXIT_WAIT: Duration = Duration::from_secs(2);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The way to the thread, while it runs.
static THREAD: Mutex<Option<UnboundedSender<Task>>> = Mutex::new(None);

/// What is under way, for the exit of the process.
static UNDER_WAY: Mutex<Vec<Abort>> = Mutex::new(Vec::new());
static ENDED: Condvar = Condvar::new();

/// Begins a download. `listener` is told on another thread, or on this one when no thread can be had; it must not block.
pub fn start(request: Request, abort: Abort, listener: impl FnMut(Event) + Send + 'static) {
    lock(&UNDER_WAY).push(abort.clone());
    let mut report = Report {
        listener: Box::new(listener),
        abort,
        has_ended: false,
    };
    let task = Box::pin(async move {
        let abort = report.abort.clone();
        let result = job::run(request, &abort, &mut |event| (report.listener)(event)).await;
        report.end(result);
    });
    // A task that nobody takes is dropped, and its report says so.
    let _ = send(task);
}

/// Aborts every download of the process, and waits until they have ended, at most two seconds. For a process that is about to exit.
pub fn stop_all() {
    let under_way = lock(&UNDER_WAY);
    under_way.iter().for_each(Abort::set);
    let _ = ENDED.wait_timeout_while(under_way, EXIT_WAIT, |under_way| !under_way.is_empty());
}

/// Who wants to know of one download. Dropped without an end, as a panic does it, it ends as a defect.
struct Report {
    listener: Box<dyn FnMut(Event) + Send>,
    abort: Abort,
    has_ended: bool,
}

impl Report {
    fn end(&mut self, result: Result<Vec<PathBuf>>) {
        self.has_ended = true;
        (self.listener)(Event::Ended(result));
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !self.has_ended {
            let reason = "the download ended without a result".into();
            self.end(Err(Error::Internal { reason }));
        }
        let mut under_way = lock(&UNDER_WAY);
        if let Some(index) = under_way.iter().position(|abort| abort.is_same(&self.abort)) {
            under_way.swap_remove(index);
        }
        ENDED.notify_all();
    }
}

/// Hands a task to the thread, which is started if there is none.
fn send(task: Task) -> io::Result<()> {
    let mut thread = lock(&THREAD);
    // A thread that ended by a panic has left its channel behind.
    let running = thread.take().filter(|tasks| !tasks.is_closed());
    let tasks = running.map_or_else(spawn, Ok)?;
    let _ = tasks.send(task);
    *thread = Some(tasks);
    Ok(())
}

fn spawn() -> io::Result<UnboundedSender<Task>> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .thread_name(THREAD_NAME)
        .max_blocking_threads(MOST_BLOCKING_THREADS)
        .build()?;
    let (tasks, inbox) = unbounded_channel();
    std::thread::Builder::new().name(THREAD_NAME.into()).spawn(move || {
        runtime.block_on(serve(inbox));
        // A name server that does not answer must not hold up anything.
        runtime.shutdown_background();
    })?;
    Ok(tasks)
}

async fn serve(mut inbox: UnboundedReceiver<Task>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            Some(task) = inbox.recv() => {
                tasks.spawn(task);
            }
            // One that panicked has said so when its report was dropped.
            Some(_) = tasks.join_next() => {}
        }
        if tasks.is_empty() && is_last(&inbox) {
            return;
        }
    }
}

/// Whether nothing waits in the inbox. Then nothing will come any more: the next download starts a new thread.
fn is_last(inbox: &UnboundedReceiver<Task>) -> bool {
    let mut thread = lock(&THREAD);
    let is_last = inbox.is_empty();
    if is_last {
        *thread = None;
    }
    is_last
}

/// OK to go on after a panic: what is locked here cannot be left half done.
fn lock<Value>(mutex: &Mutex<Value>) -> MutexGuard<'_, Value> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
