//! The hub: its address, the token that only it may see, and its URLs. Pure.

use reqwest::Url;
use serde_json::Value;

use super::source::{is_secure, without_secrets};
use crate::error::{Error, Result};

/// A hub like Hugging Face's.
#[derive(Clone)]
pub struct Hub {
    pub(super) endpoint: Url,
    pub(super) token: Option<String>,
}

impl Hub {
    /// The hub that everybody means.
    pub const DEFAULT_ENDPOINT: &'static str = "https://huggingface.co";

    /// The hub at `endpoint`, where `token` says who asks.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for an address that is no https URL, and for a token that cannot be sent.
    pub fn new(endpoint: &str, token: Option<String>) -> Result<Self> {
        let refused = || Error::InvalidOption {
            name: "endpoint".into(),
            value: format!("`\"{}\"`", without_secrets(endpoint)),
            expected: "an https URL, or an http URL of this machine".into(),
        };
        let parsed = Url::parse(endpoint).ok().filter(is_secure);
        let endpoint = parsed.filter(|url| !url.cannot_be_a_base()).ok_or_else(refused)?;
        // The token itself is never shown, also when it is wrong.
        if token
            .as_ref()
            .is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(Error::InvalidOption {
                name: "token".into(),
                value: "a text with spaces, line breaks or letters beyond ASCII".into(),
                expected: "an access token".into(),
            });
        }
        let token = token.filter(|token| !token.is_empty());
        Ok(Self { endpoint, token })
    }

    /// Whether the server at `endpoint` is this hub's, so that what is this hub's secret is no news to it.
    #[must_use]
    pub fn is_at(&self, endpoint: &str) -> bool {
        Url::parse(endpoint).is_ok_and(|url| url.origin() == self.endpoint.origin())
    }

    /// Where a repository's file is.
    pub(super) fn file_url(&self, repository: &str, revision: &str, path: &str) -> Url {
        let before = repository.split('/').chain(["resolve", revision]);
        self.url(before.chain(path.split('/')))
    }

    /// Where a repository's files are listed.
    pub(super) fn list_url(&self, repository: &str, revision: &str) -> Url {
        let before = ["api", "models"].into_iter().chain(repository.split('/'));
        self.url(before.chain(["revision", revision]))
    }

    /// The file that is meant by the address of its page, as browsers show it; any other address as it is.
    pub(super) fn file_of_page(&self, mut url: Url) -> Url {
        let page: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        if url.origin() == self.endpoint.origin() && page.len() > 4 && page[2] == "blob" {
            let path = url.path().replacen("/blob/", "/resolve/", 1);
            url.set_path(&path);
        }
        url
    }

    fn url<'name>(&self, names: impl Iterator<Item = &'name str>) -> Url {
        let mut url = self.endpoint.clone();
        url.set_query(None);
        url.set_fragment(None);
        // OK because an endpoint can be a base.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(names);
        }
        url
    }
}

/// The paths in a repository's list of files.
pub(super) fn files(list: &[u8]) -> Option<Vec<String>> {
    let list: Value = serde_json::from_slice(list).ok()?;
    let path = |file: &Value| file["rfilename"].as_str().map(str::to_owned);
    list["siblings"].as_array()?.iter().map(path).collect()
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        let endpoint = without_secrets(self.endpoint.as_str());
        formatter
            .debug_struct("Hub")
            .field("endpoint", &endpoint)
            .field("token", &token)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_segment_of_the_address() {
        let hub = Hub::new("https://hub.example/mirror/", None).unwrap();
        let url = hub.file_url("org/repo", "refs/pr/1", "a b/50%#?.gguf");
        assert_eq!(
            url.as_str(),
            "https://hub.example/mirror/org/repo/resolve/refs%2Fpr%2F1/a%20b/50%25%23%3F.gguf"
        );
        assert_eq!(
            hub.list_url("org/repo", "main").as_str(),
            "https://hub.example/mirror/api/models/org/repo/revision/main"
        );
    }

    #[test]
    fn a_page_of_the_hub_is_its_file() {
        let hub = Hub::new(Hub::DEFAULT_ENDPOINT, None).unwrap();
        for (page, expected) in [
            (
                "https://huggingface.co/o/r/blob/main/a/m.gguf",
                "https://huggingface.co/o/r/resolve/main/a/m.gguf",
            ),
            (
                "https://huggingface.co/o/r/resolve/main/m.gguf",
                "https://huggingface.co/o/r/resolve/main/m.gguf",
            ),
            (
                "https://huggingface.co/o/r/tree/blob/m.gguf",
                "https://huggingface.co/o/r/tree/blob/m.gguf",
            ),
            (
                "https://example.com/o/r/blob/main/m.gguf",
                "https://example.com/o/r/blob/main/m.gguf",
            ),
        ] {
            assert_eq!(hub.file_of_page(Url::parse(page).unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn refuses_what_is_no_hub_and_shows_no_token() {
        for endpoint in [
            "",
            "hub",
            "http://hub.example",
            "ftp://hub.example",
            "data:text/plain,hub",
            "https://me:s3cret@",
        ] {
            let error = Hub::new(endpoint, None).unwrap_err();
            assert_eq!(error.code(), "INVALID_OPTION", "{endpoint}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        let error = Hub::new(Hub::DEFAULT_ENDPOINT, Some("s3\ncret".into())).unwrap_err();
        assert!(error.code() == "INVALID_OPTION" && !error.to_string().contains("cret"), "{error}");
        let hub = Hub::new("http://me:s3cret@localhost:1", Some("t0ken".into())).unwrap();
        let shown = format!("{hub:?}");
        assert!(!shown.contains("t0ken") && !shown.contains("s3cret"), "{shown}");
        assert_eq!(Hub::new("https://hub.example", Some(String::new())).unwrap().token, None);
    }

    #[test]
    fn a_hub_is_at_its_own_server_only() {
        let hub = Hub::new(Hub::DEFAULT_ENDPOINT, None).unwrap();
        for (endpoint, expected) in [
            ("https://huggingface.co", true),
            ("https://HuggingFace.co:443/mirror/", true),
            ("https://huggingface.co.example.com", false),
            ("https://huggingface.co@example.com", false),
            ("https://huggingface.co:444", false),
            ("http://huggingface.co", false),
            ("huggingface.co", false),
            ("", false),
        ] {
            assert_eq!(hub.is_at(endpoint), expected, "{endpoint}");
        }
    }

    #[test]
    fn reads_a_list_of_files() {
        let list = br#"{"sha":"1","siblings":[{"rfilename":"README.md"},{"rfilename":"a/m.gguf","size":1}]}"#;
        assert_eq!(files(list).unwrap(), ["README.md", "a/m.gguf"]);
        for other in ["", "[]", "{}", r#"{"siblings":[{}]}"#, "<html>"] {
            assert_eq!(files(other.as_bytes()), None, "{other}");
        }
    }
}
