//! One request: its models one after the other, and what is told of them.

use std::path::PathBuf;
use std::time::Instant;

use super::abort::Abort;
use super::client::{Proxies, client};
use super::hub::Hub;
use super::patience::Patience;
use super::source::{Place, Source};
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

/// Downloads everything that is asked for.
pub(super) async fn run(request: Request, abort: &Abort, tell: &mut (dyn FnMut(Event) + Send)) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for (index, source) in request.sources.iter().enumerate() {
        tell(Event::Started { index });
        let path = abort.or(fetch(&request, index, source, tell)).await?;
        tell(Event::Finished { index, path: path.clone() });
        paths.push(path);
    }
    Ok(paths)
}

async fn fetch(request: &Request, index: usize, source: &Source, tell: &mut (dyn FnMut(Event) + Send)) -> Result<PathBuf> {
    let Place::Url(url) = &source.place else {
        return Err(Error::DownloadNotFound {
            reason: "thin slice".into(),
        });
    };
    let failed = |error: reqwest::Error| Error::DownloadFailed {
        url: source.id.clone(),
        reason: error.without_url().to_string(),
    };
    let client = client(&request.proxies, &request.patience)?;
    let mut response = client
        .get(url.clone())
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(failed)?;
    let file = request.directory.join(url.path().rsplit('/').next().unwrap_or("model.gguf"));
    let total = response.content_length();
    let mut bytes = Vec::new();
    let mut last = Instant::now();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        let downloaded = bytes.len() as u64;
        if last.elapsed().as_millis() >= 100 {
            last = Instant::now();
            let fraction = total.map_or(0.0, |total| downloaded as f64 / total as f64);
            tell(Event::Progress(Progress {
                index,
                file: file.clone(),
                downloaded,
                total,
                fraction,
            }));
        }
    }
    let write = || {
        std::fs::create_dir_all(&request.directory)?;
        std::fs::write(&file, &bytes)
    };
    write().map_err(|source| Error::DownloadWriteFailed {
        path: file.clone(),
        source,
    })?;
    Ok(file)
}
