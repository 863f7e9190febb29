//! One request: its models one after the other, and what is told of them.
//!
//! Knows names, totals and the order of files; how one file comes is `fetch`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::time::Instant;

use super::abort::Abort;
use super::choice::choose;
use super::client::Proxies;
use super::connection::{Connection, Problem, failed};
use super::fetch::{Fetcher, Target};
use super::file_name::file_name;
use super::hub::{Hub, files};
use super::meter::Meter;
use super::note::Remote;
use super::patience::Patience;
use super::source::{HubFile, Place, Source, Wanted, without_secrets};
use super::split::parts;
use crate::error::{Error, Result};

/// What to download.
#[derive(Clone, Debug)]
pub struct Request {
    /// One after the other.
    pub sources: Vec<Source>,
    /// Made if it is not there.
    pub directory: PathBuf,
    /// What the one file must have, whatever the server says.
    pub sha256: Option<[u8; 32]>,
    /// Where names without a host lead.
    pub hub: Hub,
    /// How the network is reached.
    pub proxies: Proxies,
    /// A PEM file with certificates of servers or companies that the system does not know.
    pub certificates: Option<PathBuf>,
    /// How long to wait for it.
    pub patience: Patience,
}

/// What is told of a request.
#[derive(Debug)]
pub enum Event {
    /// The source at `index` begins.
    Started {
        /// Which source.
        index: usize,
    },
    /// More of it has come.
    Progress(Progress),
    /// It is whole.
    Finished {
        /// Which source.
        index: usize,
        /// Its file, the first of several.
        path: PathBuf,
    },
    /// Nothing follows: a path for each source, or why not.
    Ended(Result<Vec<PathBuf>>),
}

/// How far one source is. Never goes back.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Which source.
    pub index: usize,
    /// Its file, the first of several.
    pub file: PathBuf,
    /// Bytes that are here.
    pub downloaded: u64,
    /// Bytes that there are, if the server says so.
    pub total: Option<u64>,
    /// The part that is here, 0…1.
    pub fraction: f64,
}

impl Progress {
    /// Of a file that was there already.
    fn whole(index: usize, file: PathBuf, length: u64) -> Self {
        Self {
            index,
            file,
            downloaded: length,
            total: Some(length),
            fraction: 1.0,
        }
    }
}

/// Downloads everything that is asked for.
pub(super) async fn run(request: Request, abort: &Abort, tell: &mut (dyn FnMut(Event) + Send)) -> Result<Vec<PathBuf>> {
    let request = Arc::new(request);
    let opened = {
        let request = Arc::clone(&request);
        tokio::task::spawn_blocking(move || Connection::open(&request))
    };
    let connection = opened.await.map_err(|error| Error::Internal { reason: error.to_string() })??;
    let mut job = Job {
        fetcher: Fetcher {
            connection: Arc::new(connection),
            abort: abort.clone(),
        },
        request,
        taken: Vec::new(),
    };
    let mut paths = Vec::new();
    for index in 0..job.request.sources.len() {
        tell(Event::Started { index });
        let path = job.fetch(index, tell).await?;
        tell(Event::Finished { index, path: path.clone() });
        paths.push(path);
    }
    Ok(paths)
}

/// A request under way.
struct Job {
    request: Arc<Request>,
    fetcher: Fetcher,
    /// The files of this request, and where each comes from.
    taken: Vec<(PathBuf, Url)>,
}

impl Job {
    /// Fetches all files of one source, and returns the first one's path.
    async fn fetch(&mut self, index: usize, tell: &mut (dyn FnMut(Event) + Send)) -> Result<PathBuf> {
        let source = self.request.sources[index].clone();
        let abort = self.fetcher.abort.clone();
        if let Some((file, length)) = self.known_by_hash(&source).await? {
            tell(Event::Progress(Progress::whole(index, file.clone(), length)));
            return Ok(file);
        }
        let targets = abort.or(self.targets(&source)).await?;
        targets.iter().try_for_each(|target| self.take(&source, target))?;
        let mut files = Vec::new();
        for target in targets {
            let remote = abort.or(self.probe(&source, &target)).await?;
            files.push((target, remote));
        }
        self.fetcher.check_space(&files).await?;
        let total = sum(files.iter().map(|(_, remote)| remote.total));
        let (first, meter) = (files[0].0.file.clone(), Arc::new(Meter::default()));
        // The first part, by which the model is loaded, comes last: where there was no older one of that name, all others are there when it is.
        files.rotate_left(1);
        let mut reports = Reports::new(index, total, Arc::clone(&meter), self.request.patience.progress);
        for (target, remote) in files {
            meter.begin(&target.file);
            reports.during(tell, self.fetcher.fetch(&target, remote, &meter)).await?;
        }
        abort.or(reports.last(tell)).await?;
        Ok(first)
    }

    /// What is there and has the wanted hash needs no server at all. Only an address says what the file is called.
    async fn known_by_hash(&self, source: &Source) -> Result<Option<(PathBuf, u64)>> {
        let (Place::Url(url), Some(sha256)) = (&source.place, self.request.sha256) else {
            return Ok(None);
        };
        if parts(url.path()).is_some() {
            return Ok(None);
        }
        let target = self.target(source, url.clone())?;
        let remote = Remote {
            sha256: Some(sha256),
            ..Remote::default()
        };
        let length = self.fetcher.whole_length(&target, &remote).await?;
        Ok(length.map(|length| (target.file, length)))
    }

    /// The files that a source means, in order.
    async fn targets(&self, source: &Source) -> Result<Vec<Target>> {
        let Request { hub, sha256, .. } = &*self.request;
        let urls = match &source.place {
            Place::Url(url) => parts_of_url(&hub.file_of_page(url.clone())),
            Place::Hub(file) => {
                let path = match &file.wanted {
                    Wanted::Path(path) => path.clone(),
                    wanted => choose(&self.files(source, file).await?, wanted).map_err(|choices| unclear(source, &choices))?,
                };
                let paths = parts(&path).unwrap_or_else(|| vec![path]);
                paths
                    .iter()
                    .map(|path| hub.file_url(&file.repository, &file.revision, path))
                    .collect()
            }
        };
        if sha256.is_some() && urls.len() > 1 {
            return Err(Error::InvalidOption {
                name: "sha256".into(),
                value: format!("given for `{}`, which has {} files", source.id(), urls.len()),
                expected: "one model that is one file".into(),
            });
        }
        urls.into_iter().map(|url| self.target(source, url)).collect()
    }

    fn target(&self, source: &Source, url: Url) -> Result<Target> {
        let name = file_name(url.path()).ok_or_else(|| Error::InvalidModelId {
            id: source.id().into(),
            reason: "it does not end with the name of a file".into(),
        })?;
        Ok(Target {
            url,
            file: self.request.directory.join(name),
            sha256: self.request.sha256,
        })
    }

    /// Two different files of one request must not take each other's place, which they do on many disks when only their case differs.
    fn take(&mut self, source: &Source, target: &Target) -> Result<()> {
        let place = |file: &Path| file.to_string_lossy().to_lowercase();
        match self.taken.iter().find(|(file, _)| place(file) == place(&target.file)) {
            Some((_, url)) if *url != target.url => Err(Error::InvalidModelId {
                id: source.id().into(),
                reason: format!(
                    "`{}` is another model of this download already; give each a `dir` of its own",
                    target.file.display()
                ),
            }),
            Some(_) => Ok(()),
            None => {
                self.taken.push((target.file.clone(), target.url.clone()));
                Ok(())
            }
        }
    }

    async fn probe(&self, source: &Source, target: &Target) -> Result<Remote> {
        match self.fetcher.probe(target).await {
            Ok(remote) => Ok(remote),
            Err(Problem::NotFound | Problem::Unsatisfiable) => match &source.place {
                Place::Url(url) => Err(Error::DownloadNotFound {
                    reason: format!("there is no file at `{}`", without_secrets(url.as_str())),
                }),
                Place::Hub(file) => Err(unclear(source, &self.models(source, file).await?)),
            },
            Err(problem) => Err(problem.into_error(&target.url)),
        }
    }

    async fn models(&self, source: &Source, file: &HubFile) -> Result<Vec<String>> {
        let files = self.files(source, file).await?;
        // No path is empty, so this one is not there, and what is comes out.
        Ok(choose(&files, &Wanted::Path(String::new())).err().unwrap_or_default())
    }

    /// All files of a repository.
    async fn files(&self, source: &Source, file: &HubFile) -> Result<Vec<String>> {
        let url = self.request.hub.list_url(&file.repository, &file.revision);
        let connection = &self.fetcher.connection;
        let list = connection
            .patiently(&url, || connection.text(&url))
            .await
            .map_err(|problem| match problem {
                Problem::NotFound | Problem::Unsatisfiable => Error::DownloadNotFound {
                    reason: format!(
                        "`{}`: there is no repository `{}` with a revision `{}`, or it needs a token",
                        source.id(),
                        file.repository,
                        file.revision
                    ),
                },
                problem => problem.into_error(&url),
            })?;
        files(&list).ok_or_else(|| failed(&url, "the answer is no list of files"))
    }
}

/// Tells how far a source is: at most once in `every`, and never less than before.
struct Reports {
    index: usize,
    total: Option<u64>,
    meter: Arc<Meter>,
    every: Duration,
    begun: Instant,
    last: Option<(Instant, Progress)>,
}

impl Reports {
    fn new(index: usize, total: Option<u64>, meter: Arc<Meter>, every: Duration) -> Self {
        Self {
            index,
            total,
            meter,
            every,
            begun: Instant::now(),
            last: None,
        }
    }

    /// Does `work` and tells of it meanwhile.
    async fn during<Value>(&mut self, tell: &mut (dyn FnMut(Event) + Send), work: impl Future<Output = Result<Value>>) -> Result<Value> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return result,
                () = tokio::time::sleep_until(self.next()) => self.tell(tell, false),
            }
        }
    }

    /// Tells that all is here.
    async fn last(&mut self, tell: &mut (dyn FnMut(Event) + Send)) -> Result<()> {
        if self.last.is_some() {
            tokio::time::sleep_until(self.next()).await;
        }
        self.tell(tell, true);
        Ok(())
    }

    fn next(&self) -> Instant {
        self.last.as_ref().map_or(self.begun, |(last, _)| *last) + self.every
    }

    fn tell(&mut self, tell: &mut (dyn FnMut(Event) + Send), is_last: bool) {
        let (here, file) = self.meter.read();
        let before = self.last.as_ref().map_or(0, |(_, progress)| progress.downloaded);
        let downloaded = self.total.map_or(here, |total| here.min(total)).max(before);
        let progress = Progress {
            index: self.index,
            file,
            downloaded,
            total: self.total,
            fraction: if is_last { 1.0 } else { fraction(downloaded, self.total) },
        };
        let is_news = self.last.as_ref().is_none_or(|(_, last)| *last != progress);
        self.last = Some((Instant::now(), progress.clone()));
        if is_news {
            tell(Event::Progress(progress));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a fraction for people")]
fn fraction(downloaded: u64, total: Option<u64>) -> f64 {
    total
        .filter(|total| *total > 0)
        .map_or(0.0, |total| downloaded as f64 / total as f64)
}

/// How many bytes all files have, if each says it. Servers may say anything.
fn sum(totals: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    totals.into_iter().try_fold(0_u64, |sum, total| Some(sum.saturating_add(total?)))
}

/// The addresses of all parts, when one of them is given.
fn parts_of_url(url: &Url) -> Vec<Url> {
    let Some(all) = parts(url.path()) else { return vec![url.clone()] };
    let with_path = |path: String| {
        let mut part = url.clone();
        part.set_path(&path);
        part
    };
    all.into_iter().map(with_path).collect()
}

/// What is said when a name means no file, or more than one.
fn unclear(source: &Source, choices: &[String]) -> Error {
    let names: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    let there = match names.as_slice() {
        [] => "it has no GGUF file".into(),
        names => format!("name one of its files: {}", names.join(", ")),
    };
    Error::DownloadNotFound {
        reason: format!("`{}` is not one file of that repository; {there}", source.id()),
    }
}
