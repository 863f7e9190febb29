//! SHA-256 of what comes, in the order of the file.
//!
//! Opens no file; in which order bytes come, its caller sees to.

use ring::digest::{Context, SHA256};

/// The 32 bytes.
pub(super) type Sha256 = [u8; 32];

/// The SHA-256 that 64 hexadecimal digits say.
#[must_use]
pub fn parse_sha256(text: &str) -> Option<Sha256> {
    let value = |digit: char| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits = text.chars().map(value).collect::<Option<Vec<u8>>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.try_into().ok().filter(|_| digits.len() == 64)
}

pub(super) fn hex(sha256: &Sha256) -> String {
    use std::fmt::Write;
    sha256.iter().fold(String::new(), |mut text, byte| {
        // OK because writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A hash on its way.
pub(super) struct Hasher(Context);

impl Hasher {
    pub(super) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> Sha256 {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.0.finish().as_ref());
        sha256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_64_digits_and_nothing_else() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut hasher = Hasher::new();
        hasher.update(b"ab");
        hasher.update(b"c");
        let sha256 = hasher.finish();
        assert_eq!(
            (parse_sha256(text), parse_sha256(&text.to_uppercase())),
            (Some(sha256), Some(sha256))
        );
        assert_eq!(hex(&sha256), text);
        for other in [
            "",
            &text[1..],
            &text[2..],
            &format!("{text}00"),
            &text.replace('b', "g"),
            &text.replace('b', "ü"),
        ] {
            assert_eq!(parse_sha256(other), None, "{other}");
        }
    }
}
