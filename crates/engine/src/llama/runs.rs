//! Cuts texts on which llama.cpp's tokenizers would use up the stack.
//!
//! For many vocabularies they split text by a regular expression that recurses once for each character of one kind in a row. Real text has
//! no such rows; where it is cut, a few tokens differ from those of the whole.

/// Characters of one kind in a row. Far more than any word has, and far less than the engine thread's stack holds.
const LONGEST_RUN: usize = 4096;

/// `text`, cut wherever a row of characters of one kind gets too long.
pub(super) fn bounded(text: &str) -> Vec<&str> {
    let mut sections = Vec::new();
    let (mut section_start, mut run_length, mut run_kind) = (0, 0, None);
    for (position, character) in text.char_indices() {
        let kind = Some(kind_of(character));
        run_length = if kind == run_kind { run_length + 1 } else { 1 };
        run_kind = kind;
        if run_length > LONGEST_RUN {
            sections.push(&text[section_start..position]);
            (section_start, run_length) = (position, 1);
        }
    }
    sections.push(&text[section_start..]);
    sections
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
    fn only_long_rows_of_one_kind_are_cut() {
        let cases = [
            (String::new(), 1),
            ("word 123 ... ".repeat(5000), 1),
            ("a".repeat(LONGEST_RUN), 1),
            ("a".repeat(LONGEST_RUN + 1), 2),
            ("漢".repeat(3 * LONGEST_RUN), 3),
            (" ".repeat(2 * LONGEST_RUN) + "x", 2),
            ("-".repeat(LONGEST_RUN) + &"1".repeat(LONGEST_RUN), 1),
        ];
        for (text, expected) in cases {
            let sections = bounded(&text);
            assert_eq!(sections.len(), expected, "{} characters", text.chars().count());
            assert_eq!(sections.concat(), text);
        }
    }
}
