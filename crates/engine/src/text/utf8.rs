//! Holds back the bytes of an unfinished UTF-8 character until the rest arrives.
//!
//! Invalid bytes become U+FFFD, as `String::from_utf8_lossy` does it.

/// At most three bytes of an unfinished character.
#[derive(Debug, Default)]
pub struct Utf8Carry {
    pending: Vec<u8>,
}

impl Utf8Carry {
    /// Whether no character is unfinished.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes bytes and returns all whole characters so far.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::with_capacity(self.pending.len());
        let mut start = 0;
        loop {
            match std::str::from_utf8(&self.pending[start..]) {
                Ok(valid) => {
                    text.push_str(valid);
                    self.pending.clear();
                    return text;
                }
                Err(error) => {
                    let valid_end = start + error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.pending[start..valid_end]));
                    let Some(invalid_length) = error.error_len() else {
                        self.pending.drain(..valid_end);
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    start = valid_end + invalid_length;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_of_valid_text_gives_the_text() {
        let text = "aé€😀 ãçõ 日本";
        for size in 1..=text.len() {
            let mut carry = Utf8Carry::default();
            let joined: String = text.as_bytes().chunks(size).map(|chunk| carry.push(chunk)).collect();
            assert_eq!(joined, text, "chunks of {size} bytes");
        }
    }

    #[test]
    fn an_invalid_byte_does_not_hold_up_what_follows() {
        let mut carry = Utf8Carry::default();
        assert_eq!(carry.push(&[b'a', 0xFF, b'b', 0xC3]), "a\u{FFFD}b");
        assert_eq!(carry.push(b"c"), "\u{FFFD}c");
    }
}
