//! What may come next in a text, by what came after the same words before: prompt lookup.
//!
//! Texts that quote, edit or repeat themselves are foreseen without a second model. Only a guess: the model decides. Each token costs the same,
//! however long the text is.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// So many tokens must be the same, the more the better.
const SHORTEST: usize = 2;
const LONGEST: usize = 4;

/// A text, and where its parts have been before.
#[derive(Debug)]
pub struct Lookup<Token> {
    tokens: Vec<Token>,
    /// For each row of tokens, by its hash: where it was followed last.
    followed: HashMap<u64, usize>,
    state: RandomState,
}

/// A guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess<Token> {
    /// What comes next.
    pub tokens: Vec<Token>,
    /// How many tokens before it were the same.
    pub n_same: usize,
}

impl<Token: Copy + Eq + Hash> Lookup<Token> {
    /// Over a text to begin with.
    #[must_use]
    pub fn new(tokens: &[Token]) -> Self {
        let mut lookup = Self {
            tokens: Vec::with_capacity(tokens.len()),
            followed: HashMap::new(),
            state: RandomState::new(),
        };
        for token in tokens {
            lookup.push(*token);
        }
        lookup
    }

    /// Takes the next token of the text.
    pub fn push(&mut self, token: Token) {
        let end = self.tokens.len();
        for length in SHORTEST..=LONGEST.min(end) {
            let key = self.key(&self.tokens[end - length..]);
            self.followed.insert(key, end);
        }
        self.tokens.push(token);
    }

    /// At most `n_tokens` that may come next, after the longest row of tokens at the end that has been there before, where it was last.
    #[must_use]
    pub fn guess(&self, n_tokens: usize) -> Option<Guess<Token>> {
        let end = self.tokens.len();
        let mut lengths = (SHORTEST..=LONGEST.min(end)).rev();
        let (n_same, start) = lengths.find_map(|length| Some((length, self.followed_at(length)?)))?;
        let mut tokens: Vec<Token> = Vec::with_capacity(n_tokens);
        for index in start..start + n_tokens {
            // A text that repeats itself goes on with what has just been guessed.
            tokens.push(self.tokens.get(index).copied().unwrap_or_else(|| tokens[index - end]));
        }
        Some(Guess { tokens, n_same })
    }

    fn followed_at(&self, length: usize) -> Option<usize> {
        let row = &self.tokens[self.tokens.len() - length..];
        let at = *self.followed.get(&self.key(row))?;
        // Different rows may have one hash.
        (self.tokens.get(at.checked_sub(length)?..at)? == row).then_some(at)
    }

    fn key(&self, row: &[Token]) -> u64 {
        self.state.hash_one(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, n_tokens: usize, expected: Option<(&str, usize)>) {
        let letters: Vec<char> = text.chars().collect();
        let guess = Lookup::new(&letters).guess(n_tokens);
        let found = guess.map(|guess| (guess.tokens.iter().collect::<String>(), guess.n_same));
        assert_eq!(
            found,
            expected.map(|(tokens, n_same)| (tokens.to_owned(), n_same)),
            "after {text:?}"
        );
    }

    #[test]
    fn what_came_after_the_same_row_is_guessed() {
        check("", 3, None);
        check("a", 3, None);
        check("abcdef", 3, None);
        check("a cat. a c", 3, Some(("at.", 3)));
        check("the cat, the dog, the ca", 2, Some(("t,", 4)));
        check("xay-xbz:x", 1, None);
    }

    #[test]
    fn the_longest_row_wins_and_of_equals_the_last() {
        check("abcX zbcY abc", 1, Some(("X", 3)));
        check("abX-abY:ab", 1, Some(("Y", 2)));
    }

    #[test]
    fn a_repetition_goes_on_without_end() {
        check("abcabc", 7, Some(("abcabca", 3)));
        check("aaaa", 5, Some(("aaaaa", 3)));
    }

    #[test]
    fn it_makes_no_difference_when_tokens_come() {
        let text: Vec<char> = "one two one three one two one".chars().collect();
        let mut grown = Lookup::new(&text[..9]);
        for letter in &text[9..] {
            grown.push(*letter);
        }
        assert_eq!(grown.guess(4), Lookup::new(&text).guess(4));
    }
}
