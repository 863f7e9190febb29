//! Where to cut content on which llama.cpp's tokenizers would use up the stack.
//!
//! For many vocabularies they split text by a regular expression that recurses once for each character of a row: of one kind, or of
//! anything but space. Real text has no such rows; where one is cut, a few tokens differ from those of the whole.

/// Characters of one kind in a row. Far more than any word has.
const LONGEST_OF_ONE_KIND: usize = 4096;
/// Characters in a row without any space. Far less than the engine thread's stack holds.
const LONGEST_WITHOUT_SPACE: usize = 32_768;

/// The positions at which `content` is to be cut.
pub(crate) fn row_cuts(content: &str) -> Vec<usize> {
    let mut cuts = Vec::new();
    let (mut of_one_kind, mut without_space, mut row_kind) = (0, 0, None);
    for (position, character) in content.char_indices() {
        let kind = kind_of(character);
        of_one_kind = if row_kind == Some(kind) { of_one_kind + 1 } else { 1 };
        without_space = if kind == Kind::Space { 0 } else { without_space + 1 };
        row_kind = Some(kind);
        if of_one_kind > LONGEST_OF_ONE_KIND || without_space > LONGEST_WITHOUT_SPACE {
            cuts.push(position);
            (of_one_kind, without_space) = (1, 1);
        }
    }
    cuts
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Number,
    Space,
    Other,
}

fn kind_of(character: char) -> Kind {
    match character {
        letter if letter.is_alphabetic() => Kind::Letter,
        number if number.is_numeric() => Kind::Number,
        space if space.is_whitespace() => Kind::Space,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_rows_are_cut() {
        let (kind, any) = (LONGEST_OF_ONE_KIND, LONGEST_WITHOUT_SPACE);
        let cases = [
            (String::new(), 0),
            ("word 123 ... ".repeat(5000), 0),
            ("a".repeat(kind), 0),
            ("a".repeat(kind + 1), 1),
            ("漢".repeat(3 * kind), 2),
            (" ".repeat(2 * kind) + "x", 1),
            ("-".repeat(kind) + &"1".repeat(kind), 0),
            ("a1".repeat(any / 2), 0),
            ("a1".repeat(any), 1),
            ("e\u{301}".repeat(any), 1),
        ];
        for (text, expected) in cases {
            assert_eq!(row_cuts(&text).len(), expected, "{} characters", text.chars().count());
        }
    }
}
