//! One file: from its address to its name on the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Url;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;

use super::abort::Abort;
use super::connection::{Connection, Problem, failed};
use super::meter::Meter;
use super::note::Remote;
use super::part::{Fault, Part, available, is_whole, missing};
use super::sha256::{Sha256, hex};
use super::source::without_secrets;
use super::transfer::{Outcome, Transfer};
use crate::error::{Error, Result};

/// Files that are fetched at the same time; each holds a thread. Others wait.
static FILES: Semaphore = Semaphore::const_new(4);

/// Pieces between the network and the disk. A slow disk slows the network down.
const QUEUE: usize = 16;

/// A file to fetch, and where to.
#[derive(Clone, Debug)]
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
    /// What the server says of a file, without fetching it.
    pub(super) async fn probe(&self, target: &Target) -> std::result::Result<Remote, Problem> {
        let Target { url, .. } = target;
        // Not `HEAD`: an address that was signed for one method answers no other.
        let opened = self
            .connection
            .patiently(url, || self.connection.bytes(url, 0, Some(1), None))
            .await;
        let mut remote = match opened {
            Ok(opened) => opened.remote,
            // The answer of an empty file.
            Err(Problem::Unsatisfiable) => return Err(corrupt(target, "it is empty").into()),
            Err(problem) => return Err(problem),
        };
        if let (Some(wanted), Some(stated)) = (target.sha256, remote.sha256)
            && wanted != stated
        {
            let reason = format!("the hub's file has the SHA-256 `{}`, expected `{}`", hex(&stated), hex(&wanted));
            return Err(corrupt(target, &reason).into());
        }
        remote.sha256 = target.sha256.or(remote.sha256);
        Ok(remote)
    }

    /// Whether the file is there already, as a whole.
    pub(super) async fn is_whole(&self, target: &Target, remote: &Remote) -> Result<bool> {
        let (path, remote, abort) = (target.file.clone(), remote.clone(), self.abort.clone());
        let looked = blocking(move || is_whole(&path, &remote, &abort)).await?;
        looked.map_err(|fault| error_of(target, fault))
    }

    /// Whether there is room for all of these, before the first of them is fetched.
    pub(super) async fn check_space(&self, files: &[(Target, Remote)]) -> Result<()> {
        let wanted: Vec<_> = files.iter().map(|(target, remote)| (target.file.clone(), remote.total)).collect();
        blocking(move || {
            let needed = wanted.iter().map(|(file, total)| missing(file, total.unwrap_or_default())).sum();
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
    pub(super) async fn fetch(&self, target: &Target, mut remote: Remote, meter: &Arc<Meter>) -> Result<()> {
        let permit = async { FILES.acquire().await.map_err(|error| defect(&error)) };
        let _permit = self.abort.or(permit).await?;
        if self.is_whole(target, &remote).await? {
            meter.set_here(remote.total.unwrap_or_default());
            return Ok(());
        }
        let mut part = self.abort.or(self.lock(target, meter)).await?;
        // Another download may have brought it meanwhile.
        if self.is_whole(target, &remote).await? {
            meter.set_here(remote.total.unwrap_or_default());
            return discard(target, part).await;
        }
        for restart in 0..=self.connection.patience.restarts {
            let outcome;
            (part, outcome) = self.transfer(target, &remote, part).await?;
            if outcome == Outcome::Complete {
                return finish(target, part).await;
            }
            remote = self.abort.or(self.probe_again(target)).await?;
            // A server that says two things about ranges is not asked for any.
            remote.has_ranges &= restart == 0;
        }
        discard(target, part).await?;
        Err(corrupt(target, "the server has another file each time it is asked"))
    }

    async fn probe_again(&self, target: &Target) -> Result<Remote> {
        self.probe(target).await.map_err(|problem| match problem {
            Problem::Final(error) => error,
            Problem::Transient { reason, .. } => failed(&target.url, &reason),
            Problem::NotFound | Problem::Unsatisfiable => failed(&target.url, "the file is not there any more"),
        })
    }

    /// Waits for the partial file.
    async fn lock(&self, target: &Target, meter: &Arc<Meter>) -> Result<Part> {
        loop {
            let (path, abort, meter) = (target.file.clone(), self.abort.clone(), Arc::clone(meter));
            let locked = blocking(move || {
                std::fs::create_dir_all(path.parent().unwrap_or_else(|| Path::new(".")))?;
                Part::lock(&path, &abort, &meter)
            });
            match locked.await?.map_err(|error| error_of(target, error.into()))? {
                Some(part) => return Ok(part),
                None => tokio::time::sleep(self.connection.patience.lock_poll).await,
            }
        }
    }

    /// Gets what is missing into the partial file. What has come stays in it, however this ends.
    async fn transfer(&self, target: &Target, remote: &Remote, mut part: Part) -> Result<(Part, Outcome)> {
        let known = remote.clone();
        let (part, begun) = blocking(move || {
            let begun = part.begin(&known);
            (part, begun)
        })
        .await?;
        if let Err(fault) = begun {
            return Err(without_waste(target, part, error_of(target, fault)).await);
        }
        let done = part.done().clone();
        let (writer, commands) = mpsc::channel(QUEUE);
        let (handle, every) = (Handle::current(), self.connection.patience.note);
        let writing = spawn_blocking(move || part.write_all(commands, &handle, every));
        let transfer = Transfer {
            connection: Arc::clone(&self.connection),
            url: target.url.clone(),
            remote: remote.clone(),
            writer,
        };
        let transferred = self.abort.or(transfer.run(&done)).await;
        let (part, written) = writing.await.map_err(|error| defect(&error))?;
        match written.map_err(|fault| error_of(target, fault)).and(transferred) {
            Ok(outcome) => Ok((part, outcome)),
            Err(error) => Err(without_waste(target, part, error).await),
        }
    }
}

/// What is kept is kept to go on with: not what is wrong, and not where there is no going on.
async fn without_waste(target: &Target, part: Part, error: Error) -> Error {
    if part.can_resume() && !matches!(error, Error::DownloadCorrupt { .. }) {
        return error;
    }
    discard(target, part).await.err().unwrap_or(error)
}

async fn finish(target: &Target, mut part: Part) -> Result<()> {
    let (part, finished) = blocking(move || {
        let finished = part.finish();
        (part, finished)
    })
    .await?;
    match finished.map_err(|fault| error_of(target, fault)) {
        Ok(()) => Ok(()),
        Err(error) => Err(without_waste(target, part, error).await),
    }
}

async fn discard(target: &Target, part: Part) -> Result<()> {
    let discarded = blocking(move || part.discard()).await?;
    discarded.map_err(|error| error_of(target, error.into()))
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
