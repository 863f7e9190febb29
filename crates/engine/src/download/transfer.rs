//! Gets the missing bytes of one file to its writer, over one connection or several.
//!
//! Knows nothing of files. Whether the bytes are the right ones, the writer finds out.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Url;
use reqwest::header::TRANSFER_ENCODING;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::connection::{Connection, Opened, Problem, failed, interrupted, is_tag, transient};
use super::note::Remote;
use super::part::Command;
use super::ranges::{Ranges, plan};
use super::source::without_secrets;
use crate::error::{Error, Result};

/// How a transfer ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Complete,
    /// The server has another file now, or will not give parts of it any more.
    Changed,
    /// The server gives only all of a file that may be another one, though it is as long: what is here is worth nothing there.
    Replaced,
}

/// What an answer with all of a file is worth.
enum All {
    /// It is the file, with so many bytes, if that is known.
    Same(Option<u64>),
    Other(Outcome),
}

/// What its connections have in common.
pub(super) struct Transfer {
    pub(super) connection: Arc<Connection>,
    pub(super) url: Url,
    pub(super) remote: Remote,
    pub(super) writer: Sender<Command>,
    /// Set when servers state more than one tag for a file that is known by its hash.
    pub(super) has_other_tags: Arc<AtomicBool>,
}

/// A transfer in pieces.
struct Pieces {
    transfer: Transfer,
    state: Mutex<State>,
}

/// Under one lock, so that no piece is left behind when the last connection ends.
struct State {
    waiting: VecDeque<Range<u64>>,
    n_workers: usize,
}

impl Transfer {
    /// Sends all that is not `done` to the writer.
    pub(super) async fn run(self, done: &Ranges) -> Result<Outcome> {
        match self.remote.total.filter(|_| self.remote.can_resume()) {
            Some(total) => self.in_pieces(&done.missing(total)).await,
            None => self.whole(done).await,
        }
    }

    async fn in_pieces(self, missing: &[Range<u64>]) -> Result<Outcome> {
        let patience = &self.connection.patience;
        let (waiting, n_workers) = plan(missing, patience.large, patience.piece, patience.connections);
        let pieces = Arc::new(Pieces {
            transfer: self,
            state: Mutex::new(State { waiting, n_workers }),
        });
        let mut workers = JoinSet::new();
        for _ in 0..n_workers {
            workers.spawn(Arc::clone(&pieces).work());
        }
        drop(pieces);
        while let Some(ended) = workers.join_next().await {
            let panicked = |error| Error::Internal {
                reason: format!("a connection ended: {error}"),
            };
            let outcome = ended.map_err(panicked)??;
            if outcome != Outcome::Complete {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Complete)
    }

    /// From the first byte on, each time anew; but what an earlier download has left of this file is passed over.
    async fn whole(self, done: &Ranges) -> Result<Outcome> {
        let mut here = done.clone();
        let mut failures = 0;
        loop {
            if done.is_empty() {
                here = Ranges::default();
                self.send(Command::Restart).await?;
            }
            match self.stream_all(&mut here).await {
                Ok(outcome) => return Ok(outcome),
                Err(Problem::Transient { reason, asked_wait }) => {
                    failures += 1;
                    self.connection.pause(&self.url, failures, reason, asked_wait).await?;
                }
                Err(problem) => return self.ended_by(problem),
            }
        }
    }

    /// Sends what is not `here` to the writer, and adds it.
    async fn stream_all(&self, here: &mut Ranges) -> std::result::Result<Outcome, Problem> {
        let mut opened = self.connection.all(&self.url).await.map_err(Problem::in_the_middle)?;
        let total = match self.judge_all(&opened, here)? {
            All::Same(total) => total,
            All::Other(outcome) => return Ok(outcome),
        };
        let mut offset = 0;
        while let Some(bytes) = opened.response.chunk().await.map_err(|error| interrupted(&error))? {
            let end = offset + bytes.len() as u64;
            if total.is_some_and(|total| end > total) {
                return Err(self.corrupt("more bytes came than were announced").into());
            }
            for gap in here.gaps(&(offset..end)) {
                let index = |at: u64| usize::try_from(at - offset).unwrap_or(bytes.len());
                let bytes = bytes.slice(index(gap.start)..index(gap.end));
                here.add(gap.clone());
                self.send(Command::Write { offset: gap.start, bytes }).await?;
            }
            offset = end;
        }
        match total {
            Some(total) if offset < total => Err(transient(&format!("the connection ended after {offset} of {total} bytes"))),
            _ => Ok(Outcome::Complete),
        }
    }

    /// Whether an answer with all of a file can be taken where a part of it is `here`.
    fn judge_all(&self, opened: &Opened, here: &Ranges) -> std::result::Result<All, Problem> {
        if opened.part.is_some() {
            return Err(transient("the server sends a part, though it was asked for all"));
        }
        if let (Some(now), Some(before)) = (opened.remote.sha256, self.remote.sha256)
            && now != before
        {
            return Ok(All::Other(Outcome::Changed));
        }
        // Not every answer says how long the file is.
        let (now, before) = (opened.remote.total, self.remote.total);
        if now.is_some() && before.is_some() && now != before {
            return Ok(All::Other(Outcome::Changed));
        }
        if !here.is_empty() && !self.is_same(opened) {
            let outcome = if now.is_some() { Outcome::Replaced } else { Outcome::Changed };
            return Ok(All::Other(outcome));
        }
        let total = now.or(before);
        // Where a server only hangs up at the end, nobody can tell whether that was the end.
        if total.is_none() && self.remote.sha256.is_none() && !opened.response.headers().contains_key(TRANSFER_ENCODING) {
            return Err(failed(&self.url, "the server does not say how long the file is").into());
        }
        Ok(All::Same(total))
    }

    /// Sends the bytes of `piece` to the writer, and takes them from it.
    async fn stream(&self, piece: &mut Range<u64>) -> std::result::Result<Outcome, Problem> {
        let mut opened = self.ask(piece).await?;
        // All of the file will do, too, where it begins with the piece.
        let has_piece = opened.part.is_some() || piece.start == 0;
        if !has_piece || !self.is_same(&opened) {
            return Ok(Outcome::Changed);
        }
        if opened.part.map_or(0, |(start, _)| start) != piece.start {
            return Err(transient("the server sends other bytes than it was asked for"));
        }
        while let Some(mut bytes) = opened.response.chunk().await.map_err(|error| interrupted(&error))? {
            bytes.truncate(usize::try_from(piece.end - piece.start).unwrap_or(usize::MAX));
            let offset = piece.start;
            piece.start += bytes.len() as u64;
            self.send(Command::Write { offset, bytes }).await?;
            if piece.start == piece.end {
                return Ok(Outcome::Complete);
            }
        }
        Err(transient(&format!("the connection ended after {} bytes", piece.start)))
    }

    /// Asks for a piece of the file that its tag stands for; or, where a hash will tell in the end, under whatever tag it is.
    async fn ask(&self, piece: &Range<u64>) -> std::result::Result<Opened, Problem> {
        let ask = async |tag| {
            let opened = self.connection.bytes(&self.url, piece.start, Some(piece.end), tag).await;
            opened.map_err(Problem::in_the_middle)
        };
        let ours = self
            .remote
            .validator
            .as_deref()
            .filter(|_| !self.has_other_tags.load(Ordering::Relaxed));
        let opened = ask(ours).await?;
        let theirs = opened.remote.validator.as_deref();
        if theirs.is_none() || ours.is_none() || theirs == ours || self.remote.sha256.is_none() || !self.is_same(&opened) {
            return Ok(opened);
        }
        self.has_other_tags.store(true, Ordering::Relaxed);
        if opened.part.is_some() { Ok(opened) } else { ask(None).await }
    }

    /// Whether an answer is of the file that was begun.
    fn is_same(&self, opened: &Opened) -> bool {
        let (ours, theirs) = (&self.remote, &opened.remote);
        let is_part = opened.part.is_some();
        let same_tag = match (&ours.validator, &theirs.validator) {
            // With a part that was asked for by a date, servers need not repeat the date; a tag they must.
            (Some(ours), None) => is_part && !is_tag(ours),
            (None, None) => is_part,
            (ours, theirs) => ours == theirs,
        };
        let same_length = theirs.total.map_or(is_part || same_tag, |total| Some(total) == ours.total);
        let same_bytes = match (ours.sha256, theirs.sha256) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (Some(_), None) => true,
            (None, _) => same_tag,
        };
        same_length && same_bytes
    }

    /// A writer that takes nothing any more has a reason of its own, which counts before this one.
    async fn send(&self, command: Command) -> Result<()> {
        self.writer.send(command).await.map_err(|_| Error::Internal {
            reason: "the writer has ended".into(),
        })
    }

    fn ended_by(&self, problem: Problem) -> Result<Outcome> {
        match problem {
            Problem::Unsatisfiable => Ok(Outcome::Changed),
            other => Err(other.into_error(&self.url)),
        }
    }

    fn corrupt(&self, reason: &str) -> Error {
        Error::DownloadCorrupt {
            url: without_secrets(self.url.as_str()),
            reason: reason.into(),
        }
    }
}

impl Pieces {
    async fn work(self: Arc<Self>) -> Result<Outcome> {
        while let Some(piece) = self.next() {
            match self.fetch(piece).await? {
                Some(Outcome::Complete) => {}
                Some(other) => return Ok(other),
                None => break,
            }
        }
        Ok(Outcome::Complete)
    }

    /// None when the piece was left to others, as this connection was not wanted.
    async fn fetch(&self, mut piece: Range<u64>) -> Result<Option<Outcome>> {
        let mut failures = 0;
        loop {
            let before = piece.start;
            let (reason, asked_wait) = match self.transfer.stream(&mut piece).await {
                Ok(outcome) => return Ok(Some(outcome)),
                Err(Problem::Transient { reason, asked_wait }) => (reason, asked_wait),
                Err(problem) => return self.transfer.ended_by(problem).map(Some),
            };
            let is_stuck = piece.start == before;
            if is_stuck && self.leave(&piece) {
                return Ok(None);
            }
            failures = if is_stuck { failures + 1 } else { 1 };
            let Transfer { connection, url, .. } = &self.transfer;
            connection.pause(url, failures, reason, asked_wait).await?;
        }
    }

    /// The next piece; when there is none, this connection is not needed any more.
    fn next(&self) -> Option<Range<u64>> {
        let mut state = self.lock();
        let piece = state.waiting.pop_front();
        state.n_workers -= usize::from(piece.is_none());
        piece
    }

    /// Leaves a piece to the other connections, if there are any: a server may not want so many.
    fn leave(&self, piece: &Range<u64>) -> bool {
        let mut state = self.lock();
        let has_others = state.n_workers > 1;
        if has_others {
            state.n_workers -= 1;
            state.waiting.push_front(piece.clone());
        }
        has_others
    }

    /// OK to go on after a panic: that ends the transfer.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
