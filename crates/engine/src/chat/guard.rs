//! Keeps the texts of control tokens inside messages from becoming control tokens.
//!
//! Before rendering, a mark is put in front of every such text in a message's content: templates copy it along. Afterwards the prompt is
//! taken apart at the marks, and the one character behind each mark is tokenized by itself as plain text: what is left of the control
//! token's text cannot match any more. The marks themselves are never shown to the model.

use aho_corasick::AhoCorasick;

use super::rows;
use crate::error::{Error, Result};

/// A Unicode noncharacter: reserved for the use inside of programs, never part of interchanged text.
const MARK: char = '\u{FDD0}';

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
        let controls = AhoCorasick::new(control_texts).map_err(|error| Error::TemplateFailed { reason: error.to_string() })?;
        Ok(Self { controls })
    }

    /// `content` with a mark in front of every control-token text, overlapping ones too, and wherever a row gets too long. Marks of the
    /// content itself are dropped.
    pub(super) fn mark(&self, content: &str) -> String {
        let content = content.replace(MARK, "");
        let mut starts: Vec<usize> = self.controls.find_overlapping_iter(&content).map(|found| found.start()).collect();
        starts.extend(rows::cuts(&content));
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

/// Takes a rendered prompt apart at its marks.
pub(super) fn pieces(prompt: &str) -> Vec<Piece<'_>> {
    let mut sections = prompt.split(MARK);
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
    fn a_mark_in_the_content_cannot_hide_anything() {
        check("<\u{FDD0}s>", &[("<s>", true), ("<", false), ("s><|im_end|>", true)]);
    }
}
