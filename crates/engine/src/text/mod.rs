//! Bytes in, safe text out: what a model samples becomes text that may be shown.
//!
//! Knows nothing of tokens or models. The text handed out, concatenated, is exactly the answer: never half a character, never the
//! beginning of what may turn out to be a stop string.

mod stop;
mod utf8;

pub use stop::StopMatcher;
pub use utf8::Utf8Carry;

/// One generation's way from token bytes to visible text.
#[derive(Debug)]
pub struct TextStream {
    carry: Utf8Carry,
    stops: StopMatcher,
}

impl TextStream {
    /// Ends at the first occurrence of any of `stop_strings`, which itself is not part of the text.
    #[must_use]
    pub fn new(stop_strings: Vec<String>) -> Self {
        Self {
            carry: Utf8Carry::default(),
            stops: StopMatcher::new(stop_strings),
        }
    }

    /// Takes the bytes of one token and returns what may be shown now. After a stop string was found, everything further is dropped.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let text = self.carry.push(bytes);
        self.stops.push(&text)
    }

    /// Takes the bytes of one token in which no stop string is looked for, and returns what may be shown now.
    pub fn push_unmatched(&mut self, bytes: &[u8]) -> String {
        let text = self.carry.push(bytes);
        if self.matched().is_some() {
            return String::new();
        }
        self.stops.finish() + &text
    }

    /// Which stop string has been found, as an index into those given.
    #[must_use]
    pub fn matched(&self) -> Option<usize> {
        self.stops.matched()
    }

    /// Whether the last bytes are the beginning of a character.
    #[must_use]
    pub fn is_inside_character(&self) -> bool {
        !self.carry.is_empty()
    }

    /// Returns what was held back: the answer has ended, so it was no stop string. An unfinished character is dropped.
    pub fn finish(&mut self) -> String {
        self.stops.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stops: &[&str], pieces: &[&[u8]], expected: &[&str], expected_end: &str) {
        let mut stream = TextStream::new(stops.iter().map(ToString::to_string).collect());
        let shown: Vec<String> = pieces.iter().map(|piece| stream.push(piece)).collect();
        assert_eq!(shown, expected, "stops {stops:?}, pieces {pieces:?}");
        assert_eq!(stream.finish(), expected_end, "end with stops {stops:?}, pieces {pieces:?}");
    }

    #[test]
    fn passes_plain_text_through() {
        check(&[], &[b"The", b" capital"], &["The", " capital"], "");
    }

    #[test]
    fn holds_back_half_a_character() {
        let pieces: &[&[u8]] = &[b"a", &[0xF0, 0x9F], &[0x98], &[0x80, b'!']];
        check(&[], pieces, &["a", "", "", "😀!"], "");
    }

    #[test]
    fn holds_back_half_a_stop_string_and_drops_the_rest() {
        check(&["STOP"], &[b"go S", b"TO", b"P now", b"more"], &["go ", "", "", ""], "");
    }

    #[test]
    fn gives_back_what_was_no_stop_string_after_all() {
        check(&["STOP"], &[b"go ST", b"AR"], &["go ", "STAR"], "");
        check(&["STOP"], &[b"go ST"], &["go "], "ST");
    }

    #[test]
    fn finds_a_stop_string_that_ends_inside_a_multi_byte_token() {
        check(&["é"], &[&[b'c', b'a', b'f', 0xC3], &[0xA9, b's']], &["caf", ""], "");
    }

    #[test]
    fn looks_for_no_stop_string_where_it_is_told_so() {
        let mut stream = TextStream::new(vec!["ab".into()]);
        assert_eq!(stream.push_unmatched(b"ab"), "ab");
        assert_eq!(stream.push(b"xa"), "x");
        assert_eq!(stream.push_unmatched(b"b"), "ab", "what was held back is given back first");
        assert_eq!((stream.push(b"ab"), stream.push_unmatched(b"c")), (String::new(), String::new()));
    }

    #[test]
    fn drops_an_incomplete_end() {
        check(&[], &[&[b'x', 0xE2, 0x82]], &["x"], "");
    }
}
