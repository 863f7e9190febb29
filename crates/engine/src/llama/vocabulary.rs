//! What each token of a model stands for, taken out of llama.cpp once, so that samplers need not hold on to the model.

use super::Token;

/// The bytes of all tokens, and which tokens end an answer.
#[derive(Debug)]
pub struct Vocabulary {
    bytes: Vec<u8>,
    /// Where each token's bytes end; they begin where the previous ones end.
    ends: Vec<usize>,
    is_control: Vec<bool>,
    end_of_generation: Vec<Token>,
}

impl Vocabulary {
    /// A vocabulary of `pieces`, each with whether it is a control token, which people are not shown.
    #[must_use]
    pub fn new(pieces: impl IntoIterator<Item = (Vec<u8>, bool)>, end_of_generation: Vec<Token>) -> Self {
        let mut vocabulary = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            is_control: Vec::new(),
            end_of_generation,
        };
        for (piece, is_control) in pieces {
            vocabulary.bytes.extend_from_slice(&piece);
            vocabulary.ends.push(vocabulary.bytes.len());
            vocabulary.is_control.push(is_control);
        }
        vocabulary
    }

    /// The number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All tokens, in order.
    pub fn tokens(&self) -> impl Iterator<Item = Token> + use<> {
        (0..self.ends.len()).map(|id| Token::new(i32::try_from(id).unwrap_or(i32::MAX)))
    }

    /// Whether `token` belongs to the vocabulary.
    #[must_use]
    pub fn contains(&self, token: Token) -> bool {
        usize::try_from(token.0).is_ok_and(|index| index < self.ends.len())
    }

    /// The bytes of `token`; those of a control token are the text by which templates name it. Empty for one that does not exist.
    #[must_use]
    pub fn piece(&self, token: Token) -> &[u8] {
        let Some((index, end)) = self.index(token).map(|index| (index, self.ends[index])) else {
            return &[];
        };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..end]
    }

    /// Whether `token` steers the model and is shown to nobody.
    #[must_use]
    pub fn is_control(&self, token: Token) -> bool {
        self.index(token).is_some_and(|index| self.is_control[index])
    }

    /// The tokens that end an answer.
    #[must_use]
    pub fn end_of_generation(&self) -> &[Token] {
        &self.end_of_generation
    }

    /// Whether `token` ends an answer.
    #[must_use]
    pub fn is_end_of_generation(&self, token: Token) -> bool {
        self.end_of_generation.contains(&token)
    }

    fn index(&self, token: Token) -> Option<usize> {
        usize::try_from(token.0).ok().filter(|index| *index < self.ends.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found_and_what_does_not_exist_is_empty() {
        let pieces = [("a", false), ("", false), ("<s>", true)].map(|(piece, is_control)| (piece.as_bytes().to_vec(), is_control));
        let vocabulary = Vocabulary::new(pieces, vec![Token::new(2)]);
        assert_eq!(vocabulary.len(), 3);
        let cases: [(i32, &[u8], bool); 5] = [
            (0, b"a", false),
            (1, b"", false),
            (2, b"<s>", true),
            (3, b"", false),
            (-1, b"", false),
        ];
        for (id, piece, is_control) in cases {
            let token = Token::new(id);
            assert_eq!((vocabulary.piece(token), vocabulary.is_control(token)), (piece, is_control), "{id}");
            assert_eq!(vocabulary.contains(token), (0..3).contains(&id), "{id}");
        }
        assert!(vocabulary.is_end_of_generation(Token::new(2)));
    }
}
