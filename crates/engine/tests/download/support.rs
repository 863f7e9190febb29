//! What the tests have in common: a folder, a request with little patience, and a download whose events are kept.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use llama_worker_engine::download::{Abort, Event, Hub, Patience, Progress, Proxies, Request, Source, start};
use llama_worker_engine::error::Error;

/// Longer than anything takes on a busy machine; a test that hangs ends.
const LIMIT: Duration = Duration::from_secs(60);

/// A folder that goes away with the test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// What is in it, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    /// Leaves a partial file there, as an earlier download of `url` would have: a part of `total` bytes, of which nothing but the tag is known.
    pub(crate) fn leave_part(&self, url: &str, total: usize, tag: &str, bytes: &[u8]) {
        let (end, address) = (bytes.len(), hex(&sha256(url.as_bytes())));
        self.leave_with_note(
            bytes,
            &format!(r#"{{"version":1,"total":{total},"validator":"\"{tag}\"","sha256":null,"address":"{address}","done":[[0,{end}]]}}"#),
        );
    }

    /// Leaves a partial file there, and what is said of it.
    pub(crate) fn leave_with_note(&self, bytes: &[u8], note: &str) {
        std::fs::write(self.path().join("m.gguf.part"), bytes).unwrap();
        std::fs::write(self.path().join("m.gguf.part.json"), note).unwrap();
    }

    /// A request for files into it.
    pub(crate) fn request(&self, ids: &[&str]) -> Request {
        Request {
            sources: ids.iter().map(|id| Source::parse(id).unwrap()).collect(),
            directory: self.path().join("."),
            sha256: None,
            hub: Hub::new(Hub::DEFAULT_ENDPOINT, None).unwrap(),
            proxies: Proxies::default(),
            certificates: None,
            patience: patience(),
        }
    }
}

/// So little that a test takes no longer than it must.
pub(crate) fn patience() -> Patience {
    Patience {
        stall: Duration::from_secs(10),
        tries: 4,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(10),
        longest_asked_wait: Duration::from_secs(2),
        lock_poll: Duration::from_millis(10),
        progress: Duration::from_millis(5),
        note: Duration::from_millis(10),
        ..Patience::default()
    }
}

/// A download under way.
pub(crate) struct Download {
    pub(crate) abort: Abort,
    events: Receiver<Event>,
    pub(crate) seen: Vec<Event>,
}

/// How it ended.
pub(crate) type Ending = Result<Vec<PathBuf>, Error>;

impl Download {
    pub(crate) fn start(request: Request) -> Self {
        let (sender, events) = channel();
        let abort = Abort::default();
        start(request, abort.clone(), move |event| {
            let _ = sender.send(event);
        });
        Self {
            abort,
            events,
            seen: Vec::new(),
        }
    }

    /// Waits for the end.
    pub(crate) fn end(&mut self) -> Ending {
        loop {
            match self.events.recv_timeout(LIMIT).unwrap() {
                Event::Ended(result) => return result,
                event => self.seen.push(event),
            }
        }
    }

    /// Waits until something is here.
    pub(crate) fn wait_for_bytes(&mut self) {
        loop {
            let event = self.events.recv_timeout(LIMIT).unwrap();
            let has_bytes = matches!(&event, Event::Progress(progress) if progress.downloaded > 0);
            assert!(!matches!(event, Event::Ended(_)), "{event:?}");
            self.seen.push(event);
            if has_bytes {
                return;
            }
        }
    }

    pub(crate) fn progress(&self) -> Vec<&Progress> {
        let mut progress = Vec::new();
        for event in &self.seen {
            if let Event::Progress(one) = event {
                progress.push(one);
            }
        }
        progress
    }
}

/// Downloads and waits.
pub(crate) fn download(request: Request) -> Ending {
    Download::start(request).end()
}

/// The code of a failure.
pub(crate) fn code(ending: &Ending) -> &'static str {
    ending.as_ref().map_or_else(Error::code, |_| "OK")
}

/// Waits until `holds`.
pub(crate) fn wait_until(holds: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().try_into().unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
