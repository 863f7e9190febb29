//! A web server on this machine that does what it is told: also what servers should not do.
//!
//! One thread for each connection, and one request for each connection. Everything ends with the test's process.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    /// How many came before it.
    pub(crate) number: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte that is asked for, and the one after the last, if only a part is.
    pub(crate) fn range(&self) -> Option<(usize, Option<usize>)> {
        let (start, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse().ok()?, last.parse::<usize>().ok().map(|last| last + 1)))
    }

    /// Whether it only asks what there is.
    pub(crate) fn is_probe(&self) -> bool {
        self.range() == Some((0, Some(4)))
    }
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The length that is announced, when it is not that of the body.
    pub(crate) announced: Option<usize>,
    /// In chunks, with no length announced.
    pub(crate) is_chunked: bool,
    /// With no length announced at all.
    pub(crate) is_unmeasured: bool,
    /// Only so much of the body is sent, and then the connection ends.
    pub(crate) cut: Option<usize>,
    /// What happens between the body that is sent and the end of the connection.
    pub(crate) stall: Duration,
    /// Between two thousandths of the body.
    pub(crate) pace: Duration,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn cut(self, length: usize) -> Self {
        Self { cut: Some(length), ..self }
    }

    fn send(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Because\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if self.is_chunked {
            head += "Transfer-Encoding: chunked\r\n";
        } else if !self.is_unmeasured {
            let length = self.announced.unwrap_or(self.body.len()).to_string();
            head.extend(["Content-Length: ", &length, "\r\n"]);
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        let sent = &self.body[..self.cut.unwrap_or(self.body.len())];
        for piece in sent.chunks((self.body.len() / 1000).max(1024)) {
            if self.is_chunked {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
            }
            stream.write_all(piece)?;
            if self.is_chunked {
                stream.write_all(b"\r\n")?;
            }
            std::thread::sleep(self.pace);
        }
        if self.is_chunked && self.cut.is_none() {
            stream.write_all(b"0\r\n\r\n")?;
        }
        std::thread::sleep(self.stall);
        Ok(())
    }
}

/// A file on a server.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) etag: String,
}

impl Content {
    /// A file that begins as models do; others with another seed.
    pub(crate) fn model(length: usize, seed: u32) -> Self {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        let bytes = b"GGUF".iter().copied().chain(noise).take(length).collect();
        Self {
            bytes,
            etag: format!("\"{seed}\""),
        }
    }

    /// As a good server answers.
    pub(crate) fn answer(&self, seen: &Seen) -> Reply {
        let total = self.bytes.len();
        let is_current = seen.header("if-range").is_none_or(|tag| tag == self.etag);
        let reply = match seen.range().filter(|_| is_current) {
            None => Reply {
                body: self.bytes.clone(),
                ..Reply::status(200)
            },
            Some((start, _)) if start >= total => return Reply::status(416).with("Content-Range", format!("bytes */{total}")),
            Some((start, end)) => {
                let end = end.unwrap_or(total).min(total);
                let reply = Reply::status(206).with("Content-Range", format!("bytes {start}-{}/{total}", end - 1));
                Reply {
                    body: self.bytes[start..end].to_vec(),
                    ..reply
                }
            }
        };
        reply.with("ETag", self.etag.clone())
    }

    /// As a server answers that knows nothing of ranges.
    pub(crate) fn answer_whole(&self, seen: &Seen) -> Reply {
        let plain = Seen {
            headers: HashMap::new(),
            ..seen.clone()
        };
        self.answer(&plain)
    }
}

pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// A server that answers as `script` says.
    pub(crate) fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, script) = (Arc::new(Mutex::new(Vec::new())), Arc::new(script));
        let log = Arc::clone(&seen);
        std::thread::Builder::new()
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                    let serve = move || {
                        // Whoever asked may be gone before the end.
                        let _ = serve(&stream, &log, &*script);
                    };
                    std::thread::Builder::new().spawn(serve).unwrap();
                }
            })
            .unwrap();
        Self { address, seen }
    }

    /// A server with one file.
    pub(crate) fn of(content: Content) -> Self {
        Self::start(move |seen| content.answer(seen))
    }

    /// A server with one file, whose good answers `alter` spoils.
    pub(crate) fn altered(content: &Content, alter: impl Fn(&Seen, Reply) -> Reply + Send + Sync + 'static) -> Self {
        let content = content.clone();
        Self::start(move |seen| alter(seen, content.answer(seen)))
    }

    /// The same of a server that knows nothing of ranges.
    pub(crate) fn without_ranges(content: &Content, alter: impl Fn(&Seen, Reply) -> Reply + Send + Sync + 'static) -> Self {
        let content = content.clone();
        Self::start(move |seen| alter(seen, content.answer_whole(seen)))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap()
    }

    /// Where the requests for more than the first bytes begin; none for those that ask for all of it.
    pub(crate) fn starts(&self) -> Vec<Option<usize>> {
        self.fetches().iter().map(|seen| Some(seen.range()?.0)).collect()
    }

    /// The requests for more than the first bytes.
    pub(crate) fn fetches(&self) -> Vec<Seen> {
        self.seen().iter().filter(|seen| !seen.is_probe()).cloned().collect()
    }
}

fn serve(stream: &TcpStream, log: &Mutex<Vec<Seen>>, script: &(impl Fn(&Seen) -> Reply + ?Sized)) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    // Clients also open connections that they do not need in the end.
    let Some(first) = lines.next().transpose()? else { return Ok(()) };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = HashMap::new();
    for line in lines {
        let line = line?;
        match line.split_once(':') {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.trim().to_owned()),
            None => break,
        };
    }
    let seen = {
        let mut log = log.lock().unwrap();
        let number = log.len();
        log.push(Seen { path, headers, number });
        log[number].clone()
    };
    script(&seen).send(stream)
}
