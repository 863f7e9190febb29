//! Requests: who is told the token, which redirects are followed, and what answers mean.
//!
//! Reads no body but a list's, and how a file begins. Invariant: no error has a query, a user or the token in it.

use std::time::{Duration, SystemTime};

use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::{Client, Response, Url};

use super::client::client;
use super::hub::Hub;
use super::job::Request;
use super::note::Remote;
use super::patience::Patience;
use super::retry::{asked_wait, is_transient, wait};
use super::sha256::parse_sha256;
use super::source::{is_loopback, is_secure, without_secrets};
use crate::error::{Error, Result};

/// Longer chains are loops.
const MOST_REDIRECTS: usize = 10;

/// A repository's list of files is far smaller.
const LONGEST_LIST: usize = 64 << 20;

/// The way to servers.
pub(super) struct Connection {
    client: Client,
    hub: Hub,
    pub(super) patience: Patience,
}

/// Why a request did not get what it was for.
#[derive(Debug)]
pub(super) enum Problem {
    /// Another try may.
    Transient {
        reason: String,
        asked_wait: Option<Duration>,
    },
    /// There is no such file, in the server's words if it has any.
    NotFound,
    /// The file has no such bytes, or is another one now.
    Unsatisfiable,
    /// The hub and the server that has the file say different things of it.
    Contradiction(String),
    Final(Error),
}

impl Problem {
    /// The same in the middle of a file: servers that agreed before will do so again.
    pub(super) fn in_the_middle(self) -> Self {
        match self {
            Self::Contradiction(reason) => transient(&reason),
            other => other,
        }
    }

    /// What is said of it when the file at `url` has been there before.
    pub(super) fn into_error(self, url: &Url) -> Error {
        match self {
            Self::Final(error) => error,
            Self::Transient { reason, .. } | Self::Contradiction(reason) => failed(url, &reason),
            Self::NotFound | Self::Unsatisfiable => failed(url, "the file is not there any more"),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// An answer with bytes of a file.
pub(super) struct Opened {
    pub(super) response: Response,
    /// Where the bytes begin, and how many the file has; `None` when the server sends all of it, asked or not.
    pub(super) part: Option<(u64, Option<u64>)>,
    /// What the servers on the way said of the file.
    pub(super) remote: Remote,
}

impl Connection {
    /// Reads the system's certificates, which takes a moment.
    pub(super) fn open(request: &Request) -> Result<Self> {
        Ok(Self {
            client: client(request)?,
            hub: request.hub.clone(),
            patience: request.patience.clone(),
        })
    }

    /// Asks for the bytes from `start`, or from `start` to before `end`; for those of the file that `validator` stands for, if there is one.
    pub(super) async fn bytes(
        &self,
        url: &Url,
        start: u64,
        end: Option<u64>,
        validator: Option<&str>,
    ) -> std::result::Result<Opened, Problem> {
        let mut headers = HeaderMap::new();
        let last = end.map_or_else(String::new, |end| end.saturating_sub(1).to_string());
        headers.insert(RANGE, value(&format!("bytes={start}-{last}"))?);
        if let Some(validator) = validator {
            headers.insert(IF_RANGE, value(validator)?);
        }
        self.get(url, headers).await
    }

    /// Asks for the first `length` bytes and reads them, or fewer where the file has no more; with what is said of the file.
    pub(super) async fn beginning(&self, url: &Url, length: usize) -> std::result::Result<(Remote, Vec<u8>), Problem> {
        let mut opened = self.bytes(url, 0, Some(length as u64), None).await?;
        if opened.part.is_some_and(|(start, _)| start > 0) {
            return Err(transient("the server sends other bytes than it was asked for"));
        }
        let mut beginning = Vec::new();
        // Of a server that sends all of the file the rest is left.
        while beginning.len() < length
            && let Some(bytes) = opened.response.chunk().await.map_err(|error| interrupted(&error))?
        {
            beginning.extend_from_slice(&bytes);
        }
        beginning.truncate(length);
        let is_all = beginning.len() == length || opened.remote.total.is_none_or(|total| total <= beginning.len() as u64);
        if !is_all {
            return Err(transient("the server sends fewer bytes than it was asked for"));
        }
        Ok((opened.remote, beginning))
    }

    /// Asks for all bytes.
    pub(super) async fn all(&self, url: &Url) -> std::result::Result<Opened, Problem> {
        self.get(url, HeaderMap::new()).await
    }

    /// The text at `url`.
    pub(super) async fn text(&self, url: &Url) -> std::result::Result<Vec<u8>, Problem> {
        let mut opened = self.all(url).await?;
        let mut text = Vec::new();
        while let Some(bytes) = opened.response.chunk().await.map_err(|error| interrupted(&error))? {
            text.extend_from_slice(&bytes);
            if text.len() > LONGEST_LIST {
                return Err(failed(url, "it answers more than any list is long").into());
            }
        }
        Ok(text)
    }

    /// Does it again as long as there is hope.
    pub(super) async fn patiently<Value, Work>(&self, url: &Url, mut work: impl FnMut() -> Work) -> std::result::Result<Value, Problem>
    where
        Work: Future<Output = std::result::Result<Value, Problem>>,
    {
        let mut failures = 0;
        loop {
            match work().await {
                Err(Problem::Transient { reason, asked_wait }) => {
                    failures += 1;
                    self.pause(url, failures, reason, asked_wait).await?;
                }
                other => return other,
            }
        }
    }

    /// Waits before another try, or says why there is none.
    pub(super) async fn pause(&self, url: &Url, failures: u32, reason: String, asked: Option<Duration>) -> Result<()> {
        match wait(&self.patience, failures, asked, chance()) {
            Some(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            None => Err(failed(url, &with_wait(reason, asked, self.patience.longest_asked_wait))),
        }
    }

    async fn get(&self, url: &Url, headers: HeaderMap) -> std::result::Result<Opened, Problem> {
        let mut hop = url.clone();
        let mut remote = Remote::default();
        let mut is_at_hub = true;
        for _ in 0..=MOST_REDIRECTS {
            is_at_hub = is_at_hub && hop.origin() == self.hub.endpoint.origin();
            let response = self.send(&hop, &headers, is_at_hub).await?;
            if is_at_hub {
                learn_from_hub(response.headers(), &mut remote);
            }
            match target(&hop, &response) {
                None => return opened(url, response, remote),
                Some(next) => hop = next.map_err(|reason| failed(url, &reason))?,
            }
        }
        Err(failed(url, &format!("it redirects more than {MOST_REDIRECTS} times")).into())
    }

    async fn send(&self, hop: &Url, headers: &HeaderMap, is_at_hub: bool) -> std::result::Result<Response, Problem> {
        let mut request = self.client.get(hop.clone()).headers(headers.clone());
        // What the server would compress is not what its lengths and hashes speak of.
        request = request.header(ACCEPT_ENCODING, "identity");
        if let Some(token) = self.hub.token.as_ref().filter(|_| is_at_hub) {
            let mut authorization = value(&format!("Bearer {token}"))?;
            authorization.set_sensitive(true);
            request = request.header(AUTHORIZATION, authorization);
        }
        // The client's own limit is one for each read; this one is for the answer as a whole to begin.
        let sent = tokio::time::timeout(self.patience.connect + self.patience.stall, request.send()).await;
        sent.map_err(|_| transient("the server does not answer"))?
            .map_err(|error| refused(hop, &error))
    }
}

/// Where an answer leads on to.
fn target(from: &Url, response: &Response) -> Option<std::result::Result<Url, String>> {
    let leads_on = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| leads_on)?;
    let next = location.to_str().ok().and_then(|location| from.join(location).ok());
    Some(match next {
        None => Err("it redirects to nowhere".into()),
        // From far away nobody is sent to what is open on this machine.
        Some(next) if is_secure(&next) && (next.scheme() == "https" || is_loopback(from)) => Ok(next),
        Some(next) => Err(format!("it redirects to `{}`, which is not https", without_secrets(next.as_str()))),
    })
}

fn opened(url: &Url, response: Response, mut remote: Remote) -> std::result::Result<Opened, Problem> {
    let status = response.status().as_u16();
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value: &reqwest::header::HeaderValue| value.to_str().ok())
    };
    let shown = || without_secrets(url.as_str());
    match status {
        200 | 206 => {}
        // The hub answers so to who is not known, whether there is something or not; then it says more.
        401 | 403 if header("x-error-code").is_some_and(|code| code.ends_with("NotFound")) => return Err(Problem::NotFound),
        401 | 403 => return Err(Error::DownloadUnauthorized { url: shown(), status }.into()),
        404 | 410 => return Err(Problem::NotFound),
        412 | 416 => return Err(Problem::Unsatisfiable),
        _ if is_transient(status) => {
            return Err(Problem::Transient {
                reason: format!("the server answers {status}"),
                asked_wait: asked_wait(header(RETRY_AFTER.as_str()), SystemTime::now()),
            });
        }
        _ => return Err(failed(url, &format!("the server answers {status}")).into()),
    }
    let mut encodings = response.headers().get_all(CONTENT_ENCODING).iter();
    if let Some(encoding) = encodings.find_map(|value| value.to_str().ok().filter(|encoding| is_coding(encoding))) {
        return Err(failed(
            url,
            &format!("the server sends it encoded as `{encoding}`, though it was asked not to"),
        )
        .into());
    }
    let unknown_part = || transient("the server sends a part, but does not say which");
    let part = match header(CONTENT_RANGE.as_str()) {
        range if status == 206 => Some(range.and_then(content_range).ok_or_else(unknown_part)?),
        _ => None,
    };
    let announced = match part {
        Some((_, total)) => total,
        None => response.content_length(),
    };
    remote.validator = validator(response.headers());
    remote.has_ranges = part.is_some();
    remote.total = match (remote.total, announced) {
        (Some(linked), Some(announced)) if linked != announced => {
            let reason = format!("the hub says that it has {linked} bytes, the server that has it says {announced}");
            return Err(Problem::Contradiction(reason));
        }
        (linked, announced) => announced.or(linked),
    };
    Ok(Opened { response, part, remote })
}

/// Whether a `Content-Encoding` says that other bytes come than the file's. Stores of objects also put there what is none: `utf-8`, `binary`, nothing.
fn is_coding(encoding: &str) -> bool {
    const CODINGS: [&str; 7] = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"];
    let mut names = encoding.split(',').map(str::trim);
    names.any(|name| CODINGS.iter().any(|coding| name.eq_ignore_ascii_case(coding)))
}

/// What only the hub knows: it stores large files under their hash.
fn learn_from_hub(headers: &HeaderMap, remote: &mut Remote) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    remote.total = header("x-linked-size").and_then(|size| size.parse().ok()).or(remote.total);
    remote.sha256 = header("x-linked-etag")
        .and_then(|tag| parse_sha256(tag.trim_matches('"')))
        .or(remote.sha256);
}

/// What `If-Range` may be asked with: a tag that stands for the very bytes, or else the date.
fn validator(headers: &HeaderMap) -> Option<String> {
    let header = |name| {
        headers
            .get(name)
            .and_then(|value: &reqwest::header::HeaderValue| value.to_str().ok())
    };
    let tag = header(ETAG).filter(|tag| is_tag(tag));
    tag.or(header(LAST_MODIFIED)).map(str::to_owned)
}

/// Whether it is a tag for the very bytes, neither a weak one nor a date.
pub(super) fn is_tag(validator: &str) -> bool {
    validator.starts_with('"')
}

/// The first byte and the length of the file, as `bytes 5-9/100` says it.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.trim().parse().ok()?;
    match total.trim() {
        "*" => Some((start, None)),
        total => Some((start, Some(total.parse().ok()?))),
    }
}

pub(super) fn failed(url: &Url, reason: &str) -> Error {
    Error::DownloadFailed {
        url: without_secrets(url.as_str()),
        reason: reason.into(),
    }
}

/// A body that broke off.
pub(super) fn interrupted(error: &reqwest::Error) -> Problem {
    transient(&reason(error))
}

pub(super) fn transient(reason: &str) -> Problem {
    Problem::Transient {
        reason: reason.into(),
        asked_wait: None,
    }
}

/// The reason, and how long a server asks to wait when that is too long.
fn with_wait(reason: String, asked: Option<Duration>, longest: Duration) -> String {
    match asked.filter(|asked| *asked > longest) {
        Some(asked) => format!("{reason}, to be asked again in {} s", asked.as_secs()),
        None => reason,
    }
}

fn refused(url: &Url, error: &reqwest::Error) -> Problem {
    let reason = reason(error);
    // A certificate that is not trusted will not be trusted later; a request that could not be made will not be made either.
    if error.is_builder() || sources(error).any(is_about_trust) {
        return failed(url, &reason).into();
    }
    transient(&reason)
}

/// The deepest reason, which is what the system says. Never the error as a whole: it names the URL.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the server does not answer any more".into();
    }
    let deepest = sources(error).last().map(ToString::to_string);
    deepest.unwrap_or_else(|| "the request could not be sent".into())
}

fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let first = std::error::Error::source(error);
    std::iter::successors(first, |error| {
        // What is inside an error of input and output is not its source.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        inner
            .map(|inner| inner as &(dyn std::error::Error + 'static))
            .or_else(|| error.source())
    })
}

fn is_about_trust(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_)))
}

fn value(text: &str) -> Result<reqwest::header::HeaderValue> {
    text.parse().map_err(|_| Error::Internal {
        reason: "a header has letters that it cannot have".into(),
    })
}

/// From 0 to 1.
fn chance() -> f64 {
    f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_which_part_it_is() {
        for (text, expected) in [
            ("bytes 5-9/100", Some((5, Some(100)))),
            ("bytes 0-0/*", Some((0, None))),
            ("bytes */100", None),
            ("bytes 5-9", None),
            ("bytes a-9/100", None),
            ("items 5-9/100", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }

    #[test]
    fn a_weak_tag_stands_for_nothing() {
        let headers = |tag: Option<&str>, date: Option<&str>| {
            let pairs = [(ETAG, tag), (LAST_MODIFIED, date)];
            let given = pairs.into_iter().filter_map(|(name, text)| Some((name, text?.parse().unwrap())));
            given.collect::<HeaderMap>()
        };
        for (tag, date, expected) in [
            (Some("\"a\""), Some("today"), Some("\"a\"")),
            (Some("W/\"a\""), Some("today"), Some("today")),
            (Some("W/\"a\""), None, None),
            (None, None, None),
        ] {
            assert_eq!(validator(&headers(tag, date)).as_deref(), expected);
        }
    }
}
