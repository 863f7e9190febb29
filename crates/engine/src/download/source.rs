//! The names under which models are asked for. Pure.
//!
//! Knows how a name reads, not whether there is anything under it.

use reqwest::Url;

use crate::error::{Error, Result};

/// The branch that a hub's repository has when nobody names another one.
const DEFAULT_REVISION: &str = "main";

const EXPECTED: &str = "expected `hf://org/repo`, `hf://org/repo/file.gguf`, `hf:org/repo:Q4_K_M` or an https URL";

/// Where a model comes from.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// What the caller called it, without what must not be shown.
    pub(super) id: String,
    pub(super) place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Url(Url),
    Hub(HubFile),
}

/// A file of a repository on the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HubFile {
    /// `org/repo`
    pub(super) repository: String,
    pub(super) revision: String,
    pub(super) wanted: Wanted,
}

/// Which file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The one that is there.
    Any,
    Path(String),
    /// The one with this quantization in its name.
    Quantization(String),
}

impl Source {
    /// Understands the name of a model.
    ///
    /// # Errors
    /// [`Error::InvalidModelId`] when it is none.
    pub fn parse(id: &str) -> Result<Self> {
        let place = place(id.trim());
        let shown = match &place {
            // As it was understood: `https:me@host` has a user too.
            Ok(Place::Url(url)) => without_secrets(url.as_str()),
            _ => without_secrets(id),
        };
        match place {
            Ok(place) => Ok(Self { id: shown, place }),
            Err(reason) => Err(Error::InvalidModelId { id: shown, reason }),
        }
    }

    /// What the caller called it, without what must not be shown.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Source").field(&self.id).finish()
    }
}

/// The name of a model without what may be a secret: the user and the query of a URL.
pub(super) fn without_secrets(id: &str) -> String {
    if id.split_once(':').is_some_and(|(scheme, _)| is_hub_scheme(scheme.trim())) {
        return id.to_owned();
    }
    let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-. ".contains(&byte));
    let Some((scheme, rest)) = id.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        // Whatever it is, a user would stand before the last `@` and a key behind the first `?`.
        let shown = &id[..id.find('?').unwrap_or(id.len())];
        return shown.rsplit('@').next().unwrap_or_default().to_owned();
    };
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let from_host = rest.trim_start_matches(['/', '\\']);
    let (host, path) = from_host.split_at(from_host.find(['/', '\\']).unwrap_or(from_host.len()));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => format!("{scheme}://{rest}"),
    }
}

/// Whether anything may be fetched from there: what comes in plain text could have been changed by anyone on its way.
pub(super) fn is_secure(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// Whether a URL names this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_hub_scheme(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("hf")
}

fn place(id: &str) -> std::result::Result<Place, String> {
    match id.split_once(':') {
        Some((scheme, rest)) if is_hub_scheme(scheme) => hub_file(rest.strip_prefix("//").unwrap_or(rest)).map(Place::Hub),
        Some((scheme, _)) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => url(id).map(Place::Url),
        _ => Err(EXPECTED.into()),
    }
}

fn url(id: &str) -> std::result::Result<Url, String> {
    let mut url = Url::parse(id).map_err(|error| format!("it is no URL: {error}"))?;
    url.set_fragment(None);
    if is_secure(&url) {
        Ok(url)
    } else {
        Err("it must begin with `https://`; `http://` is for this machine's own addresses only".into())
    }
}

/// `org/repo`, `org/repo:quantization` or `org/repo/path`, each with an optional `#revision`.
fn hub_file(name: &str) -> std::result::Result<HubFile, String> {
    let (name, revision) = name.split_once('#').unwrap_or((name, DEFAULT_REVISION));
    let mut parts = name.splitn(3, '/');
    let (organization, repository) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (repository, wanted) = match (repository.split_once(':'), parts.next()) {
        (Some((repository, quantization)), None) if is_word(quantization) => (repository, Wanted::Quantization(quantization.into())),
        (None, None | Some("")) => (repository, Wanted::Any),
        (None, Some(path)) if is_path(path) => (repository, Wanted::Path(path.into())),
        _ => return Err(EXPECTED.into()),
    };
    if !is_word(organization) || !is_word(repository) || !is_path(revision) {
        return Err(EXPECTED.into());
    }
    Ok(HubFile {
        repository: format!("{organization}/{repository}"),
        revision: revision.into(),
        wanted,
    })
}

/// A name as the hub gives them out.
fn is_word(name: &str) -> bool {
    let is_known = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    !name.is_empty() && name.chars().all(is_known) && name.chars().any(|letter| letter != '.')
}

/// A path that stays where it is.
fn is_path(path: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name != "." && name != ".." && !name.contains(|letter: char| letter.is_control());
    path.split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, repository: &str, revision: &str, wanted: Wanted) {
        let expected = Place::Hub(HubFile {
            repository: repository.into(),
            revision: revision.into(),
            wanted,
        });
        assert_eq!(Source::parse(id).map(|source| source.place).unwrap(), expected, "{id}");
    }

    #[test]
    fn understands_the_names_of_the_hub() {
        let path = |path: &str| Wanted::Path(path.into());
        let quantization = |name: &str| Wanted::Quantization(name.into());
        check("hf://org/repo", "org/repo", "main", Wanted::Any);
        check("hf://org/repo/", "org/repo", "main", Wanted::Any);
        check("hf:org/repo", "org/repo", "main", Wanted::Any);
        check(" HF://org/Repo-1.5_x ", "org/Repo-1.5_x", "main", Wanted::Any);
        check("hf://org/repo#v2", "org/repo", "v2", Wanted::Any);
        check("hf://org/repo/model.gguf", "org/repo", "main", path("model.gguf"));
        check("hf://org/repo/a b/ü.gguf", "org/repo", "main", path("a b/ü.gguf"));
        check("hf://org/repo/Q4/m.gguf#refs/pr/1", "org/repo", "refs/pr/1", path("Q4/m.gguf"));
        check("hf:org/repo:Q4_K_M", "org/repo", "main", quantization("Q4_K_M"));
        check("hf://org/repo:q8_0#v2", "org/repo", "v2", quantization("q8_0"));
    }

    #[test]
    fn understands_urls() {
        for (id, expected) in [
            ("https://example.com/a/m.gguf", "https://example.com/a/m.gguf"),
            (
                "HTTPS://Example.com/m.gguf?download=true#part",
                "https://example.com/m.gguf?download=true",
            ),
            ("http://localhost:8080/m.gguf", "http://localhost:8080/m.gguf"),
            ("http://127.0.0.2/m.gguf", "http://127.0.0.2/m.gguf"),
            ("http://[::1]:1/m.gguf", "http://[::1]:1/m.gguf"),
        ] {
            let place = Source::parse(id).unwrap().place;
            assert_eq!(place, Place::Url(Url::parse(expected).unwrap()), "{id}");
        }
    }

    #[test]
    fn refuses_what_is_no_name() {
        for id in [
            "",
            "model.gguf",
            "/models/model.gguf",
            "C:\\models\\model.gguf",
            "hf://",
            "hf://org",
            "hf://org/",
            "hf:///repo",
            "hf://org/..",
            "hf://../repo",
            "hf://org/repo//m.gguf",
            "hf://org/repo/../m.gguf",
            "hf://org/repo/a/./m.gguf",
            "hf://org/repo#",
            "hf://org/repo/m.gguf#../x",
            "hf:org/repo:",
            "hf:org/repo:a b",
            "hf:org/repo:Q4/m.gguf",
            "hf://org/re?po",
            "ftp://example.com/m.gguf",
            "file:///m.gguf",
            "https://",
            "http://example.com/m.gguf",
            "http://localhost.example.com/m.gguf",
            "http://127.0.0.1.example.com/m.gguf",
            "http://128.0.0.1/m.gguf",
            "http://user@example.com:80@127.0.0.1.nip.io/m.gguf",
        ] {
            let error = Source::parse(id).unwrap_err();
            assert_eq!(error.code(), "INVALID_MODEL_ID", "{id}");
        }
    }

    #[test]
    fn shows_no_secrets() {
        for (id, expected) in [
            ("hf://org/repo/m.gguf#v2", "hf://org/repo/m.gguf#v2"),
            ("https://host/m.gguf?token=s3cret#x", "https://host/m.gguf"),
            ("https://me:s3cret@host:1/a/m.gguf", "https://host:1/a/m.gguf"),
            ("https://me:s3@cret@host", "https://host"),
            ("http://me:s3cret@example.com?x", "http://example.com"),
            ("ftp://me:s3cret@host/", "ftp://host/"),
            ("http:/me:s3cret@example.com/m?u=https://x", "example.com/m"),
            ("http:///me:s3cret@example.com/m", "http://example.com/m"),
            ("me:s3cret@[", "["),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_secrets(id), expected);
            let error = Source::parse(id).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.contains("s3cret"), "{error}");
        }
        for id in [
            "https:me:s3cret@host/m.gguf?sig=s3cret",
            "https:/me:s3cret@host/m.gguf",
            "https:///me:s3cret@host/m.gguf",
            "https:/me:s3cret@host/m.gguf?u=https://x",
            "https:/\n/me:s3cret@host/m.gguf",
        ] {
            let source = Source::parse(id).unwrap();
            assert_eq!(source.id(), "https://host/m.gguf", "{id:?}");
            assert!(!format!("{source:?}").contains("s3cret"), "{source:?}");
        }
    }
}
