//! What is noted beside a partial file, so that a later download can go on there. Pure.
//!
//! A note is a claim about bytes that were written out before it was. Invariant: when anything about it is doubtful, it is worth nothing.

use std::ops::Range;

use reqwest::Url;
use serde_json::{Value, json};

use super::ranges::Ranges;
use super::sha256::{Hasher, Sha256, hex, parse_sha256};

/// A note of this version is understood.
const VERSION: u64 = 1;

/// What a server says of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) total: Option<u64>,
    /// What changes with the file: its `ETag` or date, for `If-Range`.
    pub(super) validator: Option<String>,
    /// What it must have, from whoever knows.
    pub(super) sha256: Option<Sha256>,
    pub(super) has_ranges: bool,
    /// Where it was asked for, as [`address`] tells it: two servers may have the same tag for two files.
    pub(super) address: Option<Sha256>,
}

/// What is here of which file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) total: u64,
    pub(super) validator: Option<String>,
    pub(super) sha256: Option<Sha256>,
    pub(super) address: Option<Sha256>,
    pub(super) done: Ranges,
}

impl Remote {
    /// Whether a download that was cut off can go on where it was: the server gives ranges, and a change would be noticed.
    pub(super) fn can_resume(&self) -> bool {
        self.has_ranges && self.is_known()
    }

    /// Whether it would be noticed that the file is another one.
    pub(super) fn is_known(&self) -> bool {
        self.total.is_some() && (self.validator.is_some() || self.sha256.is_some())
    }
}

/// What stands for an address in a note: its query and its user may be secrets, and change with each signature.
pub(super) fn address(url: &Url) -> Sha256 {
    let mut hasher = Hasher::new();
    hasher.update(url.origin().ascii_serialization().as_bytes());
    hasher.update(url.path().as_bytes());
    hasher.finish()
}

impl Note {
    /// The note of a file of which `done` is here.
    pub(super) fn of(remote: &Remote, done: &Ranges) -> Option<Self> {
        Some(Self {
            total: remote.total.filter(|_| remote.is_known())?,
            validator: remote.validator.clone(),
            sha256: remote.sha256,
            address: remote.address,
            done: done.clone(),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let done: Vec<[u64; 2]> = self.done.iter().map(|range| [range.start, range.end]).collect();
        let (sha256, address) = (self.sha256.as_ref().map(hex), self.address.as_ref().map(hex));
        let Self { total, validator, .. } = self;
        json!({ "version": VERSION, "total": total, "validator": validator, "sha256": sha256, "address": address, "done": done })
            .to_string()
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        if value["version"].as_u64() != Some(VERSION) {
            return None;
        }
        let hash = |name: &str| value[name].as_str().and_then(parse_sha256);
        Some(Self {
            total: value["total"].as_u64()?,
            validator: value["validator"].as_str().map(str::to_owned),
            sha256: hash("sha256"),
            address: hash("address"),
            done: Ranges::of(value["done"].as_array()?.iter().map(range).collect::<Option<Vec<_>>>()?),
        })
    }
}

fn range(pair: &Value) -> Option<Range<u64>> {
    match pair.as_array()?.as_slice() {
        [start, end] => Some(start.as_u64()?..end.as_u64()?),
        _ => None,
    }
}

/// Which bytes of a partial file of `length` bytes are those that the server has, whether it gives the rest alone or only all of it.
pub(super) fn usable(note: Option<&Note>, length: u64, remote: &Remote) -> Ranges {
    let same = |note: &&Note| Some(note.total) == remote.total && is_same_file(note, remote);
    note.filter(same)
        .map_or_else(Ranges::default, |note| note.done.before(length.min(note.total)))
}

/// The same bytes by their hash, which outlasts a move to another server; otherwise by what the same server says.
fn is_same_file(note: &Note, remote: &Remote) -> bool {
    if let (Some(ours), Some(theirs)) = (note.sha256, remote.sha256) {
        return ours == theirs;
    }
    let is_stated = note.validator.is_some() && note.address.is_some();
    is_stated && note.validator == remote.validator && note.address == remote.address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        Note {
            total: 100,
            validator: Some("\"a\"".into()),
            sha256: Some([7; 32]),
            address: Some([1; 32]),
            done: Ranges::of([0..10, 50..80]),
        }
    }

    fn remote() -> Remote {
        Remote {
            total: Some(100),
            validator: Some("\"a\"".into()),
            sha256: Some([7; 32]),
            has_ranges: true,
            address: Some([1; 32]),
        }
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let plain = Note {
            validator: None,
            sha256: None,
            address: None,
            ..note()
        };
        for note in [note(), plain, Note::default()] {
            assert_eq!(Note::parse(&note.to_text()), Some(note));
        }
    }

    #[test]
    fn what_is_no_note_is_worth_nothing() {
        let whole = note().to_text();
        for text in [
            "",
            "{}",
            &whole[..whole.len() - 1],
            r#"{"version":2,"total":1,"done":[]}"#,
            r#"{"version":1,"total":-1,"done":[]}"#,
            r#"{"version":1,"total":1,"done":[[0]]}"#,
            r#"{"version":1,"total":1,"done":[[0,"1"]]}"#,
            r#"{"version":1,"total":1}"#,
        ] {
            assert_eq!(Note::parse(text), None, "{text}");
        }
    }

    #[test]
    fn goes_on_only_with_the_very_same_file() {
        let all = note().done;
        let none = Ranges::default();
        let other = |change: fn(&mut Remote)| {
            let mut remote = remote();
            change(&mut remote);
            remote
        };
        for (name, remote, expected) in [
            ("the same", remote(), &all),
            (
                "the same, with another tag",
                other(|remote| remote.validator = Some("\"b\"".into())),
                &all,
            ),
            ("the same, elsewhere", other(|remote| remote.address = Some([2; 32])), &all),
            ("the same, without its hash", other(|remote| remote.sha256 = None), &all),
            ("the same, only as a whole", other(|remote| remote.has_ranges = false), &all),
            ("another hash", other(|remote| remote.sha256 = Some([8; 32])), &none),
            ("another length", other(|remote| remote.total = Some(101)), &none),
            ("no length", other(|remote| remote.total = None), &none),
            (
                "another tag",
                other(|remote| (remote.sha256, remote.validator) = (None, Some("\"b\"".into()))),
                &none,
            ),
            (
                "the same tag elsewhere",
                other(|remote| (remote.sha256, remote.address) = (None, Some([2; 32]))),
                &none,
            ),
            (
                "nothing to know it by",
                other(|remote| (remote.sha256, remote.validator) = (None, None)),
                &none,
            ),
        ] {
            assert_eq!(&usable(Some(&note()), 100, &remote), expected, "{name}");
        }
        assert_eq!(usable(None, 100, &remote()), none);
    }

    #[test]
    fn believes_no_more_than_there_is() {
        assert_eq!(usable(Some(&note()), 60, &remote()), Ranges::of([0..10, 50..60]));
        assert_eq!(usable(Some(&note()), 0, &remote()), Ranges::default());
        let boasting = Note {
            done: Ranges::of([Range { start: 0, end: 500 }]),
            ..note()
        };
        assert_eq!(usable(Some(&boasting), 500, &remote()).len(), 100);
    }

    #[test]
    fn nothing_is_noted_of_what_nobody_would_know_again() {
        assert!(Note::of(&remote(), &Ranges::default()).is_some());
        for remote in [
            Remote { total: None, ..remote() },
            Remote {
                validator: None,
                sha256: None,
                ..remote()
            },
        ] {
            assert_eq!(Note::of(&remote, &Ranges::default()), None);
        }
    }

    #[test]
    fn an_address_is_a_server_and_a_path() {
        let of = |url: &str| address(&Url::parse(url).unwrap());
        let ours = of("https://host/a/m.gguf");
        assert_eq!(of("https://me:s3cret@HOST:443/a/m.gguf?signature=1"), ours);
        for other in [
            "https://host/b/m.gguf",
            "https://other/a/m.gguf",
            "https://host:1/a/m.gguf",
            "http://host/a/m.gguf",
        ] {
            assert_ne!(of(other), ours, "{other}");
        }
    }
}
