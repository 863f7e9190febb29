//! What is noted beside a partial file, so that a later download can go on there. Pure.
//!
//! A note is a claim about bytes that were written out before it was. Invariant: when anything about it is doubtful, it is worth nothing.

use std::ops::Range;

use serde_json::{Value, json};

use super::ranges::Ranges;
use super::sha256::{Sha256, hex, parse_sha256};

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
}

/// What is here of which file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) total: u64,
    pub(super) validator: Option<String>,
    pub(super) sha256: Option<Sha256>,
    pub(super) done: Ranges,
}

impl Remote {
    /// Whether a download that was cut off can go on where it was: the server gives ranges, and a change would be noticed.
    pub(super) fn can_resume(&self) -> bool {
        self.has_ranges && self.total.is_some() && (self.validator.is_some() || self.sha256.is_some())
    }
}

impl Note {
    /// The note of a file of which `done` is here.
    pub(super) fn of(remote: &Remote, done: &Ranges) -> Option<Self> {
        Some(Self {
            total: remote.total.filter(|_| remote.can_resume())?,
            validator: remote.validator.clone(),
            sha256: remote.sha256,
            done: done.clone(),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let done: Vec<[u64; 2]> = self.done.iter().map(|range| [range.start, range.end]).collect();
        let sha256 = self.sha256.as_ref().map(hex);
        json!({ "version": VERSION, "total": self.total, "validator": self.validator, "sha256": sha256, "done": done }).to_string()
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        if value["version"].as_u64() != Some(VERSION) {
            return None;
        }
        let optional = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Self {
            total: value["total"].as_u64()?,
            validator: optional("validator"),
            sha256: optional("sha256").as_deref().and_then(parse_sha256),
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

/// Which bytes of a partial file of `length` bytes are those that the server has.
pub(super) fn usable(note: Option<&Note>, length: u64, remote: &Remote) -> Ranges {
    let same = |note: &&Note| remote.can_resume() && Some(note.total) == remote.total && is_same_file(note, remote);
    note.filter(same)
        .map_or_else(Ranges::default, |note| note.done.before(length.min(note.total)))
}

/// The same bytes by their hash, which outlasts a move to another server; otherwise by what the server says.
fn is_same_file(note: &Note, remote: &Remote) -> bool {
    match (note.sha256, remote.sha256) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => note.validator.is_some() && note.validator == remote.validator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        Note {
            total: 100,
            validator: Some("\"a\"".into()),
            sha256: Some([7; 32]),
            done: Ranges::of([0..10, 50..80]),
        }
    }

    fn remote() -> Remote {
        Remote {
            total: Some(100),
            validator: Some("\"a\"".into()),
            sha256: Some([7; 32]),
            has_ranges: true,
        }
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let plain = Note {
            validator: None,
            sha256: None,
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
            ("the same, elsewhere", other(|remote| remote.validator = Some("\"b\"".into())), &all),
            ("the same, without its hash", other(|remote| remote.sha256 = None), &all),
            ("another hash", other(|remote| remote.sha256 = Some([8; 32])), &none),
            ("another length", other(|remote| remote.total = Some(101)), &none),
            ("no length", other(|remote| remote.total = None), &none),
            ("no ranges", other(|remote| remote.has_ranges = false), &none),
            (
                "another tag",
                other(|remote| (remote.sha256, remote.validator) = (None, Some("\"b\"".into()))),
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
    fn nothing_is_noted_of_what_cannot_go_on() {
        assert!(Note::of(&remote(), &Ranges::default()).is_some());
        for remote in [
            Remote {
                has_ranges: false,
                ..remote()
            },
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
}
