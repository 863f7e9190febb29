//! When a lazy grammar takes effect: watches the answer for the triggers that a chat template names.
//!
//! The rules are llama.cpp's (`llama_grammar_accept_impl`, `common_sampler_init`): which comes first in the list wins.

use std::borrow::Cow;

use fancy_regex::Regex;

use crate::llama::{GrammarTrigger, Token};

/// The free part of an answer, watched for triggers.
#[derive(Debug)]
pub(super) struct Watch {
    tokens: Vec<Token>,
    texts: Vec<TextTrigger>,
    answer: Vec<u8>,
    /// Each token of the answer and where its bytes end.
    ends: Vec<(Token, usize)>,
    /// What was looked at last, and what it sets off: a token is looked at before it is taken, and a pattern searches the whole answer.
    seen: Option<(Token, Option<Fired>)>,
}

/// Where the constrained part begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fired {
    /// With the newest token.
    Token,
    /// Inside the answer: the tokens that are part of it, with their bytes.
    Text(Vec<(Token, Vec<u8>)>),
}

#[derive(Debug)]
enum TextTrigger {
    Word(Vec<u8>),
    Pattern(Box<Regex>),
}

impl Watch {
    /// Watches for `triggers`. Fails on a pattern that is no regular expression.
    pub(super) fn new(triggers: &[GrammarTrigger]) -> Result<Self, String> {
        let mut watch = Self {
            tokens: Vec::new(),
            texts: Vec::new(),
            answer: Vec::new(),
            ends: Vec::new(),
            seen: None,
        };
        for trigger in triggers {
            match trigger {
                GrammarTrigger::Token(token) => watch.tokens.push(*token),
                GrammarTrigger::Word(word) => watch.texts.push(TextTrigger::Word(word.as_bytes().to_vec())),
                GrammarTrigger::Pattern(pattern) => watch.texts.push(compiled(pattern)?),
                GrammarTrigger::PatternFull(pattern) => watch.texts.push(compiled(&anchored(pattern))?),
            }
        }
        Ok(watch)
    }

    /// What a token would set off. Fails when a pattern gives up.
    pub(super) fn look_at(&mut self, token: Token, bytes: &[u8]) -> Result<Option<Fired>, String> {
        if self.tokens.contains(&token) {
            return Ok(Some(Fired::Token));
        }
        if let Some((_, fired)) = self.seen.as_ref().filter(|(seen, _)| *seen == token) {
            return Ok(fired.clone());
        }
        let known = self.answer.len();
        self.answer.extend_from_slice(bytes);
        self.ends.push((token, self.answer.len()));
        let start = self.start(known);
        let fired = start.map(|start| start.map(|start| Fired::Text(self.tokens_from(start))));
        self.answer.truncate(known);
        self.ends.pop();
        let fired = fired?;
        self.seen = Some((token, fired.clone()));
        Ok(fired)
    }

    /// Where the constrained part begins in the answer, whose first `known` bytes have been searched before.
    fn start(&self, known: usize) -> Result<Option<usize>, String> {
        for trigger in &self.texts {
            if let Some(start) = trigger.start_in(&self.answer, known)? {
                return Ok(Some(start));
            }
        }
        Ok(None)
    }

    /// Takes notice of a token that set nothing off.
    pub(super) fn accept(&mut self, token: Token, bytes: &[u8]) {
        self.seen = None;
        self.answer.extend_from_slice(bytes);
        self.ends.push((token, self.answer.len()));
    }

    /// The tokens that reach beyond `start`, the first of them cut there.
    fn tokens_from(&self, start: usize) -> Vec<(Token, Vec<u8>)> {
        let first = self.ends.partition_point(|(_, end)| *end <= start);
        let mut from = start;
        let rest = self.ends[first..].iter().map(|(token, end)| {
            let bytes = self.answer[from..*end].to_vec();
            from = *end;
            (*token, bytes)
        });
        rest.collect()
    }
}

impl TextTrigger {
    /// Where the constrained part begins in `answer`, whose first `known` bytes have been searched before.
    fn start_in(&self, answer: &[u8], known: usize) -> Result<Option<usize>, String> {
        match self {
            Self::Word(word) if word.is_empty() => Ok(Some(0)),
            Self::Word(word) => {
                let from = known.saturating_sub(word.len() - 1);
                let found = answer[from..].windows(word.len()).position(|window| window == word);
                Ok(found.map(|start| from + start))
            }
            Self::Pattern(pattern) => {
                let text = text_of(answer);
                let found = pattern.captures(&*text);
                let Some(found) = found.map_err(|error| format!("the trigger pattern `{pattern}` gave up: {error}"))? else {
                    return Ok(None);
                };
                let group = found.iter().skip(1).flatten().find(|group| !group.as_str().is_empty());
                Ok(group.or_else(|| found.get(0)).map(|group| group.start()))
            }
        }
    }
}

/// An answer as text. Positions must stay those of the bytes, so what is no text becomes one letter a byte.
fn text_of(answer: &[u8]) -> Cow<'_, str> {
    let to_text = |_| {
        let chunks = answer.utf8_chunks();
        let parts = chunks.map(|chunk| chunk.valid().to_owned() + &"?".repeat(chunk.invalid().len()));
        parts.collect::<String>().into()
    };
    std::str::from_utf8(answer).map_or_else(to_text, Cow::from)
}

fn compiled(pattern: &str) -> Result<TextTrigger, String> {
    let regex = Regex::new(pattern).map_err(|error| format!("the trigger pattern `{pattern}` is not usable: {error}"))?;
    Ok(TextTrigger::Pattern(Box::new(regex)))
}

fn anchored(pattern: &str) -> String {
    let start = if pattern.starts_with('^') { "" } else { "^" };
    let end = if pattern.ends_with('$') { "" } else { "$" };
    [start, pattern, end].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trigger, pieces, and what they set off.
    type Case<'a> = (GrammarTrigger, &'a [&'a str], Option<(i32, &'a str)>);

    /// What the pieces, which are tokens 0, 1, 2…, set off: the piece and what is constrained.
    fn fired(trigger: &GrammarTrigger, pieces: &[&str]) -> Option<(i32, String)> {
        let mut watch = Watch::new(std::slice::from_ref(trigger)).unwrap();
        for (id, piece) in (0..).zip(pieces) {
            match watch.look_at(Token::new(id), piece.as_bytes()).unwrap() {
                Some(Fired::Token) => return Some((id, String::new())),
                Some(Fired::Text(tokens)) => {
                    let bytes = tokens.into_iter().flat_map(|(_, bytes)| bytes).collect();
                    return Some((id, String::from_utf8(bytes).unwrap()));
                }
                None => watch.accept(Token::new(id), piece.as_bytes()),
            }
        }
        None
    }

    #[test]
    fn triggers_fire_where_llama_cpp_fires_them() {
        let word = |text: &str| GrammarTrigger::Word(text.into());
        let pattern = |text: &str| GrammarTrigger::Pattern(text.into());
        let full = |text: &str| GrammarTrigger::PatternFull(text.into());
        let cases: [Case<'_>; 12] = [
            (word("<tool>"), &["Hi <", "to", "ol>{", "x"], Some((2, "<tool>{"))),
            (word("a.b"), &["axb", "a.b"], Some((1, "a.b"))),
            (word("<tool>"), &["<to", "<tool", "!"], None),
            (word("ä"), &["ä"], Some((0, "ä"))),
            (GrammarTrigger::Token(Token::new(1)), &["a", "b"], Some((1, ""))),
            (GrammarTrigger::Token(Token::new(9)), &["a", "b"], None),
            (pattern(">>>(?!all)"), &["x>>>f"], Some((0, ">>>f"))),
            (pattern(">>>(?!all)"), &["x>>>all"], None),
            // The first group that is not empty begins it.
            (
                pattern("<\\|start\\|>assistant(\\s+to)"),
                &["<|start|>assistant", " to", "="],
                Some((1, " to")),
            ),
            (pattern("^\\s+to$"), &["a", " to"], None),
            (full("a+"), &["b", "aa"], None),
            (full("a+"), &["aa"], Some((0, "aa"))),
        ];
        for (trigger, pieces, expected) in cases {
            let expected = expected.map(|(id, text)| (id, text.to_owned()));
            assert_eq!(fired(&trigger, pieces), expected, "{trigger:?} in {pieces:?}");
        }
        assert!(Watch::new(&[pattern("(")]).is_err());
    }

    #[test]
    fn the_token_in_which_it_begins_is_cut() {
        let mut watch = Watch::new(&[GrammarTrigger::Word("<t>".into())]).unwrap();
        watch.accept(Token::new(1), b"ab");
        watch.accept(Token::new(2), b"c<");
        let tokens = vec![(Token::new(2), b"<".to_vec()), (Token::new(3), b"t>x".to_vec())];
        assert_eq!(watch.look_at(Token::new(3), b"t>x"), Ok(Some(Fired::Text(tokens))));
    }

    #[test]
    fn a_token_is_searched_once_and_what_it_sets_off_stays() {
        let mut watch = Watch::new(&[GrammarTrigger::Pattern("a+b".into())]).unwrap();
        assert_eq!(watch.look_at(Token::new(1), b"a"), Ok(None));
        assert_eq!(watch.seen, Some((Token::new(1), None)));
        watch.accept(Token::new(1), b"a");
        assert_eq!(watch.seen, None, "it may come again");
        let fired = Some(Fired::Text(vec![(Token::new(1), b"a".to_vec()), (Token::new(2), b"b".to_vec())]));
        assert_eq!(watch.look_at(Token::new(3), b"c"), Ok(None));
        for _ in 0..2 {
            assert_eq!(watch.look_at(Token::new(2), b"b"), Ok(fired.clone()));
        }
    }

    /// It once counted as not found, and the call was never held to its form.
    #[test]
    fn a_pattern_that_gives_up_is_an_error() {
        let mut watch = Watch::new(&[GrammarTrigger::Pattern("^(a|b|ab)*\\1\\+c".into())]).unwrap();
        let answer = "ab".repeat(50) + "-+c";
        let error = watch.look_at(Token::new(1), answer.as_bytes()).unwrap_err();
        assert!(error.contains("gave up"), "{error}");
    }
}
