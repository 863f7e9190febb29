//! Keeps the numbers of a JSON text short enough to be read back: a schema's `number` may have any digits, and `1e999` is JSON that no
//! reader can represent. Follows the text only far enough to tell numbers from strings.

/// More digits than a double or a safe integer distinguishes.
const MAX_DIGITS: u32 = 16;
/// Exponents up to 99.
const MAX_EXPONENT_DIGITS: u32 = 2;

/// How far a JSON text has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    is_in_string: bool,
    is_escaped: bool,
    is_in_exponent: bool,
    digits: u32,
}

impl Numbers {
    /// After `bytes` more. `None` when a number in them is too long.
    pub(super) fn after(mut self, bytes: &[u8]) -> Option<Self> {
        bytes.iter().all(|byte| self.push(*byte)).then_some(self)
    }

    /// After `bytes` more, however long.
    pub(super) fn forced(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.push(*byte);
        }
        self
    }

    /// Whether the text ends within a number.
    pub(super) fn is_in_number(self) -> bool {
        self.digits > 0 || self.is_in_exponent
    }

    fn push(&mut self, byte: u8) -> bool {
        if self.is_in_string {
            self.is_in_string = self.is_escaped || byte != b'"';
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            return true;
        }
        match byte {
            b'"' => {
                *self = Self {
                    is_in_string: true,
                    ..Self::default()
                }
            }
            b'0'..=b'9' => self.digits += 1,
            // Letters of `true` and `false` are no exponents: no digits stand before them.
            b'e' | b'E' if self.digits > 0 => {
                *self = Self {
                    is_in_exponent: true,
                    ..Self::default()
                }
            }
            b'+' | b'-' if self.is_in_exponent => {}
            _ => *self = Self::default(),
        }
        self.digits <= if self.is_in_exponent { MAX_EXPONENT_DIGITS } else { MAX_DIGITS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_too_long() {
        let cases = [
            ("1234567890123456", true),
            ("12345678901234567", false),
            ("0.1234567890123456", true),
            ("[1.5,12345678901234567", false),
            ("1e99", true),
            ("1E-99]", true),
            ("-1.0e+100", false),
            ("{\"12345678901234567890\":1", true),
            ("\"a\\\"12345678901234567890\"", true),
            ("\"\\\\\"12345678901234567", false),
            ("true,false,1e12,1e12", true),
        ];
        for (text, expected) in cases {
            assert_eq!(Numbers::default().after(text.as_bytes()).is_some(), expected, "{text}");
        }
        let forced = Numbers::default().forced(b"1e1000");
        assert_eq!((forced.after(b"0"), forced.after(b",1").is_some()), (None, true));
    }
}
