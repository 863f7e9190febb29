//! Holds an answer to a GBNF grammar, from its start or from a trigger on.
//!
//! Written here and not called in llama.cpp, because llama.cpp ends the process on a grammar without a way on, and fills the memory on
//! ambiguous ones. The language, the laziness and what counts as allowed are llama.cpp's; a test holds the two against each other.

mod grammar;
mod matcher;
mod parse;
mod recursion;
mod seen;
mod trigger;

use std::sync::Arc;

use toktrie::{Recognizer, SimpleVob, TokTrie};

use self::matcher::Matcher;
use self::parse::{LongRepetition, parse};
use self::trigger::{Fired, Watch};
use super::tokens::{SPECIAL_MARK, Tokens};
use crate::error::{Error, Result};
use crate::llama::{AbortFlag, Token, ToolGrammar};

/// An answer's state in its grammar.
#[derive(Debug)]
pub(super) struct GbnfMatcher {
    tokens: Arc<Tokens>,
    matcher: Matcher,
    /// There until the trigger of a lazy grammar has come.
    watch: Option<Watch>,
}

impl GbnfMatcher {
    /// For a grammar that counts from the first token on. Its work ends early when `abort` is set.
    pub(super) fn new(grammar: &str, tokens: Arc<Tokens>, abort: &AbortFlag) -> Result<Self> {
        Self::parsed(grammar, tokens, LongRepetition::Refuse, abort)
    }

    /// For the grammar of a chat template's tools. `prefill`: the tokens that its prompt begins the answer with.
    pub(super) fn for_tools(tools: &ToolGrammar, prefill: &[Token], tokens: Arc<Tokens>, abort: &AbortFlag) -> Result<Self> {
        let mut matcher = Self::parsed(&tools.grammar, tokens, LongRepetition::Unlimited, abort)?;
        if tools.is_lazy {
            matcher.watch = Some(Watch::new(&tools.triggers).map_err(invalid)?);
            return Ok(matcher);
        }
        for (index, token) in prefill.iter().enumerate() {
            let piece = matcher.tokens.vocabulary().piece(*token);
            let is_added_space = index == 0
                && piece.first().is_some_and(u8::is_ascii_whitespace)
                && !tools.prefill.starts_with(|letter: char| letter.is_ascii_whitespace());
            // Some tokenizers put a space before the first token.
            if !is_added_space && !matcher.accept(*token)? {
                return Err(invalid(format!(
                    "it does not allow the beginning `{}` of the answer",
                    tools.prefill
                )));
            }
        }
        Ok(matcher)
    }

    fn parsed(grammar: &str, tokens: Arc<Tokens>, long: LongRepetition, abort: &AbortFlag) -> Result<Self> {
        let grammar = parse(grammar, tokens.vocabulary(), long).map_err(invalid)?;
        let matcher = Matcher::new(Arc::new(grammar), abort.clone());
        if matcher.is_exhausted() && matcher.is_aborted() {
            return Err(Error::Aborted);
        }
        if matcher.is_exhausted() {
            return Err(invalid("it has too many ways to begin".into()));
        }
        Ok(Self {
            tokens,
            matcher,
            watch: None,
        })
    }

    /// Whether the answer may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.watch.is_some() || self.matcher.is_complete()
    }

    /// Whether everything is allowed that sets no trigger off.
    pub(super) fn is_waiting(&self) -> bool {
        self.watch.is_some()
    }

    /// Whether `token`, which does not end the answer, may come next.
    pub(super) fn allows(&mut self, token: Token) -> Result<bool> {
        self.matcher.begin();
        let piece = self.tokens.vocabulary().piece(token);
        let looked = self.watch.as_mut().map(|watch| watch.look_at(token, piece)).transpose();
        let is_allowed = match looked.map_err(gave_up)? {
            Some(None) => true,
            None | Some(Some(Fired::Token)) => self.matcher.allows(token, piece),
            Some(Some(Fired::Text(tokens))) => self.allows_all(&tokens),
        };
        self.checked(is_allowed)
    }

    /// Goes on by `token`; false, and nothing changes, when it is not allowed.
    pub(super) fn accept(&mut self, token: Token) -> Result<bool> {
        self.matcher.begin();
        let piece = self.tokens.vocabulary().piece(token);
        let Some(watch) = &mut self.watch else {
            let is_accepted = self.matcher.accept(token, piece);
            return self.checked(is_accepted);
        };
        let tokens = match watch.look_at(token, piece).map_err(gave_up)? {
            None => {
                watch.accept(token, piece);
                return Ok(true);
            }
            Some(Fired::Token) => vec![(token, piece.to_vec())],
            Some(Fired::Text(tokens)) => tokens,
        };
        let is_accepted = self.allows_all(&tokens) && tokens.iter().all(|(token, piece)| self.matcher.accept(*token, piece));
        if is_accepted {
            self.watch = None;
        }
        self.checked(is_accepted)
    }

    /// All tokens that may come next, those that end the answer left out.
    pub(super) fn mask(&mut self) -> Result<SimpleVob> {
        self.matcher.begin();
        let tokens = Arc::clone(&self.tokens);
        let trie: &TokTrie = tokens.trie();
        let mut allowed = trie.alloc_token_set();
        trie.add_bias(&mut Walk(&mut self.matcher), &mut allowed, &[]);
        self.allow_named(&mut allowed);
        self.checked(allowed)
    }

    /// Lets in the tokens that the grammar names.
    fn allow_named(&self, allowed: &mut SimpleVob) {
        let mut allow = |token: Token| allowed.allow_token(token.0.unsigned_abs());
        // What is all but one, and all but another, is all.
        let (mut unwanted, mut is_all) = (None, false);
        for (token, is_unwanted) in self.matcher.named_tokens() {
            if is_unwanted {
                is_all |= *unwanted.get_or_insert(token) != token;
            } else {
                allow(token);
            }
        }
        if let Some(unwanted) = unwanted {
            let tokens = self.tokens.vocabulary().tokens();
            tokens.filter(|token| is_all || *token != unwanted).for_each(allow);
        }
    }

    /// Whether a text of several tokens is allowed. Tokens that the grammar names by number count only one at a time.
    fn allows_all(&mut self, tokens: &[(Token, Vec<u8>)]) -> bool {
        if let [(token, bytes)] = tokens {
            return self.matcher.allows(*token, bytes);
        }
        let is_allowed = tokens.iter().flat_map(|(_, bytes)| bytes).all(|byte| self.matcher.push_byte(*byte));
        self.matcher.rollback();
        is_allowed
    }

    fn checked<T>(&self, value: T) -> Result<T> {
        if self.matcher.is_exhausted() && self.matcher.is_aborted() {
            return Err(Error::Aborted);
        }
        if self.matcher.is_exhausted() {
            return Err(Error::ConstraintFailed {
                reason: "the grammar is too ambiguous: too many ways to read the answer".into(),
            });
        }
        Ok(value)
    }
}

/// The walk over all tokens at once, by their common beginnings.
struct Walk<'a>(&'a mut Matcher);

impl Recognizer for Walk<'_> {
    fn pop_bytes(&mut self, count: usize) {
        self.0.pop(count);
    }

    fn collapse(&mut self) {}

    fn trie_finished(&mut self) {
        self.0.rollback();
    }

    fn try_push_byte(&mut self, byte: u8) -> bool {
        // Control tokens are told from text by this byte; a grammar means both by their text.
        if byte == SPECIAL_MARK && self.0.is_at_base() {
            self.0.push_nothing();
            return true;
        }
        self.0.push_byte(byte)
    }
}

fn gave_up(reason: String) -> Error {
    Error::ConstraintFailed { reason }
}

fn invalid(reason: String) -> Error {
    Error::InvalidGrammar { reason }
}
