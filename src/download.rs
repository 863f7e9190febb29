//! Downloads as JavaScript asks for them: a request that needs no engine thread.
//!
//! Where files come from and go to is the engine's room `download`. Invariant: what a worker has begun to download is ended before the
//! worker is.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use llama_worker_engine::download::{self, Abort, Event, Request};
use llama_worker_engine::error::Error;
use napi_derive::napi;

use crate::answer::{Answer, DownloadAnswer, js_number};
use crate::error::Result;
use crate::options::{self, Any, Fields};
use crate::stream::{Abortable, Outgoing, Which};
use crate::worker::{LlamaWorker, failure};

/// The downloads of one worker that are under way.
#[derive(Default)]
pub(crate) struct Downloads {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    under_way: Vec<(u32, Abort)>,
    /// What is to be done when there are none any more.
    waiting: Vec<Box<dyn FnOnce() + Send>>,
}

#[napi]
impl LlamaWorker {
    /// Downloads one model or several, beside everything else.
    #[napi(ts_args_type = "modelIds: string | readonly string[], options?: object")]
    pub fn download_model(&self, model_ids: Any<'_>, options: Any<'_>) -> Result<u32> {
        let request = options::download("modelIds", &model_ids, &Fields::of("options", options)?)?;
        let id = self.begin()?;
        self.begin_download(id, request, move |_, event| answer(id, event).into_iter().collect());
        Ok(id)
    }

    /// Aborts every download. Returns whether there was any.
    #[napi]
    pub fn abort_downloads(&self) -> bool {
        self.outbox.abort(Which::Downloads, None)
    }
}

impl LlamaWorker {
    /// Begins the download `id`. `answers` says what JavaScript is told of an event; it is given the names of the models.
    pub(crate) fn begin_download(&self, id: u32, request: Request, answers: impl Fn(&[String], &Event) -> Vec<Outgoing> + Send + 'static) {
        let ids: Vec<String> = request.sources.iter().map(|source| source.id().to_owned()).collect();
        let abort = Abort::default();
        self.outbox.begin(id, Abortable::Download(abort.clone()));
        self.downloads.begin(id, &abort);
        let (outbox, downloads) = (Arc::clone(&self.outbox), Arc::clone(&self.downloads));
        let flag = abort.clone();
        download::start(request, abort, move |event| {
            if matches!(event, Event::Ended(_)) {
                outbox.end(id, |was_aborted| {
                    // What was reported as aborted is not told as anything else.
                    let event = if was_aborted { Event::Ended(Err(Error::Aborted)) } else { event };
                    answers(&ids, &event).into_iter().map(Some)
                });
                return downloads.end(id);
            }
            for event in answers(&ids, &event) {
                outbox.push_unless(|| flag.is_set(), event);
            }
        });
    }
}

/// An event for who asked through the class.
fn answer(id: u32, event: &Event) -> Option<Outgoing> {
    match event {
        Event::Started { .. } | Event::Finished { .. } => None,
        Event::Progress(progress) => Some(Outgoing::Download {
            id,
            index: progress.index,
            file: progress.file.display().to_string(),
            downloaded_bytes: js_number(progress.downloaded),
            total_bytes: progress.total.map(js_number),
            progress: progress.fraction,
        }),
        Event::Ended(Ok(paths)) => {
            let paths = paths.iter().map(|path| path.display().to_string()).collect();
            let value = Some(Answer::Download(DownloadAnswer { paths }));
            Some(Outgoing::Done { id, value })
        }
        Event::Ended(Err(error)) => Some(failure(id, error)),
    }
}

impl Downloads {
    /// Calls `then` as soon as nothing is under way.
    pub(crate) fn when_none(&self, then: Box<dyn FnOnce() + Send>) {
        let mut state = self.lock();
        if !state.under_way.is_empty() {
            state.waiting.push(then);
            return;
        }
        drop(state);
        then();
    }

    /// Aborts everything and waits until it has ended, but not longer than `timeout`. For an environment that is being torn down.
    pub(crate) fn stop_and_wait(&self, timeout: Duration) {
        let state = self.lock();
        state.under_way.iter().for_each(|(_, abort)| abort.set());
        let _ = self.ended.wait_timeout_while(state, timeout, |state| !state.under_way.is_empty());
    }

    fn begin(&self, id: u32, abort: &Abort) {
        self.lock().under_way.push((id, abort.clone()));
    }

    fn end(&self, id: u32) {
        let mut state = self.lock();
        state.under_way.retain(|(known, _)| *known != id);
        let waiting = if state.under_way.is_empty() {
            std::mem::take(&mut state.waiting)
        } else {
            Vec::new()
        };
        drop(state);
        self.ended.notify_all();
        for then in waiting {
            then();
        }
    }

    /// OK to go on after a panic: the state is changed by single assignments.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
