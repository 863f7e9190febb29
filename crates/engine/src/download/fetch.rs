//! One file: from its address to its name on the disk.
//!
//! Sends and writes nothing itself, `transfer` and `part` do. Invariant: however it ends, it leaves no partial file that cannot be gone on with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Url;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;

use super::abort::Abort;
use super::connection::{Connection, Problem, failed};
use super::meter::Meter;
use super::note::{Remote, address};
use super::part::{Fault, MAGIC, NO_MODEL, Part, available, may_be_whole, missing, whole_length};
use super::sha256::{Sha256, hex};
use super::source::without_secrets;
use super::transfer::{Outcome, Transfer};
use crate::error::{Error, Result};

/// Files that are fetched at the same time; each holds a thread. Others wait.
static FILES: Semaphore = Semaphore::const_new(4);

/// Files that are there already and are hashed at the same time; each holds a thread. Whoever has a place here waits for no other.
static LOOKS: Semaphore = Semaphore::const_new(2);

/// Pieces between the network and the disk. A slow disk slows the network down.
const QUEUE: usize = 16;

/// A file to fetch, and where to.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) file: PathBuf,
    /// What the caller says that it has.
    pub(super) sha256: Option<Sha256>,
}

/// Fetches files for one request.
pub(super) struct Fetcher {
    pub(super) connection: Arc<Connection>,
    pub(super) abort: Abort,
}

impl Fetcher {
    /// What the server says of a file, without fetching it. What does not begin as a model does is none, whatever is said of it: so a page in
    /// its place is found out before anything that is here is given up for it.
    pub(super) async fn probe(&self, target: &Target) -> std::result::Result<Remote, Problem> {
        let Target { url, .. } = target;
        // Not `HEAD`: an address that was signed for one method answers no other.
        let opened = self.connection.patiently(url, || self.connection.beginning(url, MAGIC.len())).await;
        let mut remote = match opened {
            Ok((remote, beginning)) if beginning == MAGIC => remote,
            Ok(_) => return Err(corrupt(target, NO_MODEL).into()),
            // The answer of an empty file.
            Err(Problem::Unsatisfiable) => return Err(corrupt(target, "it is empty").into()),
            Err(Problem::Contradiction(reason)) => return Err(corrupt(target, &reason).into()),
            Err(problem) => return Err(problem),
        };
        if let (Some(wanted), Some(stated)) = (target.sha256, remote.sha256)
            && wanted != stated
        {
            let reason = format!("the hub's file has the SHA-256 `{}`, expected `{}`", hex(&stated), hex(&wanted));
            return Err(corrupt(target, &reason).into());
        }
        remote.sha256 = target.sha256.or(remote.sha256);
        remote.address = Some(address(url));
        Ok(remote)
    }

    /// How long the file is, if it is there already, as a whole.
    pub(super) async fn whole_length(&self, target: &Target, remote: &Remote) -> Result<Option<u64>> {
        let (path, known) = (target.file.clone(), remote.clone());
        if !blocking(move || may_be_whole(&path, &known)).await? {
            return Ok(None);
        }
        let place = async { LOOKS.acquire().await.map_err(|error| defect(&error)) };
        let _place = match remote.sha256 {
            Some(_) => Some(self.abort.or(place).await?),
            // Its first bytes tell, at once.
            None => None,
        };
        let (path, remote, abort) = (target.file.clone(), remote.clone(), self.abort.clone());
        let looked = blocking(move || whole_length(&path, &remote, &abort)).await?;
        looked.map_err(|fault| error_of(target, fault))
    }

    /// Whether there is room for all of these, before the first of them is fetched.
    pub(super) async fn check_space(&self, files: &[(Target, Remote)]) -> Result<()> {
        let wanted: Vec<_> = files.iter().map(|(target, remote)| (target.file.clone(), remote.total)).collect();
        blocking(move || {
            let missing = wanted.iter().map(|(file, total)| missing(file, total.unwrap_or_default()));
            let needed = missing.fold(0, u64::saturating_add);
            let Some((first, _)) = wanted.first() else { return Ok(()) };
            match available(first) {
                Some(available) if available < needed => Err(Error::DownloadNoSpace {
                    path: first.clone(),
                    needed,
                    available,
                }),
                // Where nobody knows, the disk itself will say.
                _ => Ok(()),
            }
        })
        .await?
    }

    /// Fetches a file, unless it is there.
    pub(super) async fn fetch(&self, target: &Target, remote: Remote, meter: &Arc<Meter>) -> Result<()> {
        if let Some(length) = self.whole_length(target, &remote).await? {
            meter.set_here(length);
            return Ok(());
        }
        let part = self.lock(target, meter).await?;
        // Another download may have brought it meanwhile.
        match self.whole_length(target, &remote).await {
            Ok(None) => {}
            Ok(Some(length)) => {
                meter.set_here(length);
                return discard(target, part).await;
            }
            Err(error) => return Err(abandon(target, part, error.into()).await),
        }
        // Only now: who waits for another download needs no place of his own.
        let place = async { FILES.acquire().await.map_err(|error| defect(&error)) };
        match self.abort.or(place).await {
            Ok(_place) => Box::pin(self.complete(target, remote, part)).await,
            Err(error) => Err(abandon(target, part, error.into()).await),
        }
    }

    /// Gets what is missing, also when the file turns out to be another one than before, and gives it its name.
    async fn complete(&self, target: &Target, mut remote: Remote, mut part: Part) -> Result<()> {
        let (mut n_changes, mut may_begin_anew) = (0, true);
        loop {
            let transferred = self.transfer(target, &remote, part).await?;
            part = transferred.part;
            let problem = match transferred.outcome {
                Ok(Outcome::Complete) => {
                    let finished;
                    (part, finished) = finish(target, part).await?;
                    match finished {
                        Ok(()) => return Ok(()),
                        // What is wrong may be what an earlier download has left, or what another server had.
                        Err(failure) if failure.is_spoilt && transferred.is_pieced && may_begin_anew => {
                            may_begin_anew = false;
                            part = forget(target, part).await?;
                            continue;
                        }
                        Err(failure) => failure,
                    }
                }
                Ok(Outcome::Changed) if n_changes < self.connection.patience.restarts => {
                    n_changes += 1;
                    match self.probe_again(target, n_changes).await {
                        Ok(now) => {
                            remote = now;
                            continue;
                        }
                        Err(error) => error.into(),
                    }
                }
                Ok(Outcome::Replaced) if n_changes < self.connection.patience.restarts => {
                    n_changes += 1;
                    part = forget(target, part).await?;
                    continue;
                }
                Ok(Outcome::Changed | Outcome::Replaced) => changed(target, &part).into(),
                Err(failure) => failure,
            };
            return Err(abandon(target, part, problem).await);
        }
    }

    async fn probe_again(&self, target: &Target, n_changes: u32) -> Result<Remote> {
        let probe = async { self.probe(target).await.map_err(|problem| problem.into_error(&target.url)) };
        let mut remote = self.abort.or(probe).await?;
        // A server that says two things about ranges is not asked for any.
        remote.has_ranges &= n_changes == 1;
        Ok(remote)
    }

    /// Waits for the partial file.
    async fn lock(&self, target: &Target, meter: &Arc<Meter>) -> Result<Part> {
        loop {
            // Not in the middle: what was locked then would lie there for ever.
            if self.abort.is_set() {
                return Err(Error::Aborted);
            }
            let (path, abort, meter) = (target.file.clone(), self.abort.clone(), Arc::clone(meter));
            let locked = blocking(move || {
                std::fs::create_dir_all(path.parent().unwrap_or_else(|| Path::new(".")))?;
                Part::lock(&path, &abort, &meter)
            });
            if let Some(part) = locked.await?.map_err(|error| error_of(target, error.into()))? {
                return Ok(part);
            }
            let pause = async {
                tokio::time::sleep(self.connection.patience.lock_poll).await;
                Ok(())
            };
            self.abort.or(pause).await?;
        }
    }

    /// Gets what is missing into the partial file. What has come stays in it, however this ends.
    async fn transfer(&self, target: &Target, remote: &Remote, mut part: Part) -> Result<Transferred> {
        let known = remote.clone();
        let (part, begun) = blocking(move || {
            let begun = part.begin(&known);
            (part, begun)
        })
        .await?;
        if let Err(fault) = begun {
            return Ok(Transferred {
                part,
                outcome: Err(Failure::of(target, fault)),
                is_pieced: false,
            });
        }
        let done = part.done().clone();
        let (writer, commands) = mpsc::channel(QUEUE);
        let (handle, every) = (Handle::current(), self.connection.patience.note);
        let writing = spawn_blocking(move || part.write_all(commands, &handle, every));
        let has_other_tags = Arc::new(AtomicBool::new(false));
        let transfer = Transfer {
            connection: Arc::clone(&self.connection),
            url: target.url.clone(),
            remote: remote.clone(),
            writer,
            has_other_tags: Arc::clone(&has_other_tags),
        };
        let transferred = self.abort.or(transfer.run(&done)).await;
        let (part, written) = writing.await.map_err(|error| defect(&error))?;
        Ok(Transferred {
            part,
            outcome: match written {
                Ok(()) => transferred.map_err(Failure::from),
                Err(fault) => Err(Failure::of(target, fault)),
            },
            is_pieced: !done.is_empty() || has_other_tags.load(Ordering::Relaxed),
        })
    }
}

/// How far a transfer came.
struct Transferred {
    part: Part,
    outcome: std::result::Result<Outcome, Failure>,
    /// Whether what is here came at several times, or under several tags.
    is_pieced: bool,
}

/// Why a file is not here.
struct Failure {
    error: Error,
    /// Whether what came of it is wrong.
    is_spoilt: bool,
}

impl Failure {
    fn of(target: &Target, fault: Fault) -> Self {
        Self {
            is_spoilt: matches!(fault, Fault::Corrupt(_)),
            error: error_of(target, fault),
        }
    }
}

/// Whatever a server answers now, what it sent before is good.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, is_spoilt: false }
    }
}

/// What is kept is kept to go on with: not what is wrong, and not where there is no going on.
async fn abandon(target: &Target, part: Part, failure: Failure) -> Error {
    if part.can_resume() && !failure.is_spoilt {
        return failure.error;
    }
    discard(target, part).await.err().unwrap_or(failure.error)
}

async fn finish(target: &Target, mut part: Part) -> Result<(Part, std::result::Result<(), Failure>)> {
    let (part, finished) = blocking(move || {
        let finished = part.finish();
        (part, finished)
    })
    .await?;
    Ok((part, finished.map_err(|fault| Failure::of(target, fault))))
}

async fn forget(target: &Target, mut part: Part) -> Result<Part> {
    let forgotten = blocking(move || part.forget().map(|()| part)).await?;
    forgotten.map_err(|fault| error_of(target, fault))
}

async fn discard(target: &Target, part: Part) -> Result<()> {
    let discarded = blocking(move || part.discard()).await?;
    discarded.map_err(|error| error_of(target, error.into()))
}

/// Why it is given up that a server has another file each time.
fn changed(target: &Target, part: &Part) -> Error {
    let reason = "the server has another file each time it is asked";
    if part.can_resume() {
        failed(&target.url, reason)
    } else {
        corrupt(target, reason)
    }
}

/// What waits for the disk does so elsewhere.
async fn blocking<Value: Send + 'static>(work: impl FnOnce() -> Value + Send + 'static) -> Result<Value> {
    spawn_blocking(work).await.map_err(|error| defect(&error))
}

fn error_of(target: &Target, fault: Fault) -> Error {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let path = target.file.clone();
    match fault {
        Fault::Aborted => Error::Aborted,
        Fault::Corrupt(reason) => corrupt(target, &reason),
        Fault::Disk(error, needed) if matches!(error.kind(), StorageFull | QuotaExceeded) => {
            let available = available(&path).unwrap_or_default();
            Error::DownloadNoSpace { path, needed, available }
        }
        Fault::Disk(source, _) => Error::DownloadWriteFailed { path, source },
    }
}

fn corrupt(target: &Target, reason: &str) -> Error {
    Error::DownloadCorrupt {
        url: without_secrets(target.url.as_str()),
        reason: reason.into(),
    }
}

fn defect(error: &dyn std::error::Error) -> Error {
    Error::Internal {
        reason: format!("a step of a download ended: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn what_the_disk_says_is_told_apart() {
        let target = Target {
            url: Url::parse("https://me:s3cret@example.com/m.gguf?s3cret").unwrap(),
            file: std::env::temp_dir().join("m.gguf"),
            sha256: None,
        };
        for (fault, expected) in [
            (Fault::Disk(ErrorKind::StorageFull.into(), 5), "DOWNLOAD_NO_SPACE"),
            (Fault::Disk(ErrorKind::QuotaExceeded.into(), 5), "DOWNLOAD_NO_SPACE"),
            (Fault::Disk(ErrorKind::PermissionDenied.into(), 5), "DOWNLOAD_WRITE_FAILED"),
            (Fault::Corrupt("it is no GGUF file".into()), "DOWNLOAD_CORRUPT"),
            (Fault::Aborted, "ABORTED"),
        ] {
            let error = error_of(&target, fault);
            assert_eq!(error.code(), expected);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
