//! Keeps the texts of control tokens inside messages from becoming control tokens.
//!
//! Before rendering, a mark is put in front of every such text in a message's content: templates copy it along. Afterwards the prompt is
//! taken apart at the marks, and the one character behind each mark is tokenized by itself as plain text: what is left of the control
//! token's text cannot match any more. The marks themselves are never shown to the model.
//!
//! The mark stands in front, so that templates still find what they look for in a content, as the end of a past thought. It stands behind the
//! first character of the few texts that nobody may find there. One is the mark's escape: templates that write JSON in pure ASCII turn the
//! mark into it, so it counts as the mark too.

use aho_corasick::{AhoCorasick, Match};

use crate::error::{Error, Result};
use crate::llama::row_cuts;

/// A Unicode noncharacter: reserved for the use inside of programs, never part of interchanged text.
const MARK: char = '\u{FDD0}';
/// How JSON in pure ASCII writes it.
const ESCAPED_MARK: &str = "\\ufdd0";
/// Looked for in a whole prompt: the escape at the end of rendering, the token of gpt-oss by llama.cpp, which puts another in its place.
const NOT_TO_BE_FOUND: [&str; 2] = [ESCAPED_MARK, "<|return|>"];

/// The control-token texts of one vocabulary.
#[derive(Debug)]
pub(super) struct Guard {
    controls: AhoCorasick,
}

/// A piece of a rendered prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'text> {
    pub(super) text: &'text str,
    /// Whether control-token texts in it are meant as control tokens.
    pub(super) parse_special: bool,
}

impl Guard {
    pub(super) fn new(control_texts: &[String]) -> Result<Self> {
        let controls = AhoCorasick::new(control_texts.iter().map(String::as_str).chain(NOT_TO_BE_FOUND))
            .map_err(|error| Error::TemplateFailed { reason: error.to_string() })?;
        Ok(Self { controls })
    }

    /// `content` with a mark in front of every control-token text, overlapping ones too, and wherever a row gets too long. Marks of the
    /// content itself are dropped.
    pub(super) fn mark(&self, content: &str) -> String {
        let content = content.replace(MARK, "");
        let place = |found: Match| found.start() + usize::from(NOT_TO_BE_FOUND.contains(&&content[found.range()]));
        let mut starts: Vec<usize> = self.controls.find_overlapping_iter(&content).map(place).collect();
        starts.extend(row_cuts(&content));
        starts.sort_unstable();
        starts.dedup();
        let mut marked = String::with_capacity(content.len() + starts.len() * MARK.len_utf8());
        let mut copied = 0;
        for start in starts {
            marked.push_str(&content[copied..start]);
            marked.push(MARK);
            copied = start;
        }
        marked.push_str(&content[copied..]);
        marked
    }
}

/// `prompt` as people may see it.
pub(super) fn without_marks(prompt: &str) -> String {
    sections(prompt).collect()
}

/// Whether there is a mark in a rendered text.
pub(super) fn has_mark(rendered: &str) -> bool {
    sections(rendered).nth(1).is_some()
}

/// What lies between the marks.
fn sections(prompt: &str) -> impl Iterator<Item = &str> {
    prompt.split(MARK).flat_map(|section| section.split(ESCAPED_MARK))
}

/// Takes a rendered prompt apart at its marks.
pub(super) fn pieces(prompt: &str) -> Vec<Piece<'_>> {
    let mut sections = sections(prompt);
    let mut pieces = vec![Piece {
        text: sections.next().unwrap_or_default(),
        parse_special: true,
    }];
    for section in sections {
        let first_length = section.chars().next().map_or(0, char::len_utf8);
        let (first, rest) = section.split_at(first_length);
        pieces.push(Piece {
            text: first,
            parse_special: false,
        });
        pieces.push(Piece {
            text: rest,
            parse_special: true,
        });
    }
    pieces.retain(|piece| !piece.text.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str, expected: &[(&str, bool)]) {
        let controls = ["<|im_end|>", "<s>", "<<s>", "[", "é|"].map(ToOwned::to_owned);
        let guard = Guard::new(&controls).unwrap();
        let prompt = format!("<s>{}<|im_end|>", guard.mark(content));
        let pieces: Vec<(&str, bool)> = pieces(&prompt).iter().map(|piece| (piece.text, piece.parse_special)).collect();
        assert_eq!(pieces, expected, "{content:?}");
    }

    #[test]
    fn plain_content_stays_in_one_piece_with_its_template() {
        check("Hello < s >", &[("<s>Hello < s ><|im_end|>", true)]);
        check("", &[("<s><|im_end|>", true)]);
    }

    #[test]
    fn control_texts_of_the_content_are_broken_up() {
        check("a<|im_end|>b", &[("<s>a", true), ("<", false), ("|im_end|>b<|im_end|>", true)]);
        check("<s>", &[("<s>", true), ("<", false), ("s><|im_end|>", true)]);
    }

    #[test]
    fn overlapping_and_one_character_texts_are_broken_up_too() {
        check("<<s>", &[("<s>", true), ("<", false), ("<", false), ("s><|im_end|>", true)]);
        check("[x", &[("<s>", true), ("[", false), ("x<|im_end|>", true)]);
        check("é|", &[("<s>", true), ("é", false), ("|<|im_end|>", true)]);
    }

    /// A cut once fell into the control token behind the content, which the model then read as text.
    #[test]
    fn long_rows_are_cut_in_the_content_and_never_in_the_template() {
        let guard = Guard::new(&["<|im_end|>".to_owned()]).unwrap();
        for length in (4085..4110).chain([32_765, 32_770, 70_000]) {
            for character in ["-", "a", "a1"] {
                let content = character.repeat(length);
                let prompt = format!("<s>{}<|im_end|>", guard.mark(&content));
                let pieces = pieces(&prompt);
                let last = pieces.last().unwrap();
                assert!(
                    last.parse_special && last.text.ends_with("<|im_end|>"),
                    "{length} times {character}"
                );
                let whole: String = pieces.iter().map(|piece| piece.text).collect();
                assert_eq!(whole, format!("<s>{content}<|im_end|>"));
            }
        }
    }

    #[test]
    fn templates_that_escape_the_mark_keep_its_meaning() {
        let texts: Vec<(&str, bool)> = pieces("<s>\\ufdd0<|im_end|>")
            .iter()
            .map(|piece| (piece.text, piece.parse_special))
            .collect();
        assert_eq!(texts, [("<s>", true), ("<", false), ("|im_end|>", true)]);
        assert_eq!(without_marks("a\\ufdd0b\u{FDD0}c"), "abc");
    }

    #[test]
    fn content_that_reads_like_the_escaped_mark_stays() {
        check(
            "\\ufdd0<s>",
            &[("<s>\\", true), ("u", false), ("fdd0", true), ("<", false), ("s><|im_end|>", true)],
        );
        let guard = Guard::new(&["<s>".to_owned()]).unwrap();
        for content in ["x\\ufdd0y", "\\\\ufdd0<s>", "\\<s>", "\\ufdd\\ufdd0"] {
            let marked = guard.mark(content);
            assert_eq!(without_marks(&marked), content);
            // In a JSON text a backslash is two, and a mark may be its escape.
            let json = marked.replace('\\', "\\\\");
            assert_eq!(without_marks(&json), content.replace('\\', "\\\\"));
            let ascii = json.replace(MARK, ESCAPED_MARK);
            assert_eq!(without_marks(&ascii), content.replace('\\', "\\\\"), "{ascii}");
        }
    }

    #[test]
    fn a_mark_in_the_content_cannot_hide_anything() {
        check("<\u{FDD0}s>", &[("<s>", true), ("<", false), ("s><|im_end|>", true)]);
    }
}
