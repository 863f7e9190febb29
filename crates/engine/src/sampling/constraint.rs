//! What an answer must look like, and how a token is chosen that fits.
//!
//! Masks cost much more than a look at one token, so a token is chosen freely first, and only when it does not fit, all that do not are
//! left out and another one is chosen.

use std::sync::Arc;

use toktrie::SimpleVob;

use super::Choice;
use super::gbnf::GbnfMatcher;
use super::json_schema::SchemaMatcher;
use super::tokens::Tokens;
use crate::error::{Error, Result};
use crate::llama::{AbortFlag, Model, Token, ToolGrammar, argmax};

/// What an answer must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// A grammar in llama.cpp's language GBNF; the answer is what its rule `root` describes.
    Grammar(String),
    /// A JSON schema, as JSON text; the answer is JSON that satisfies it.
    JsonSchema(String),
    /// The tool calls of a chat template.
    ToolCalls(ToolGrammar),
}

/// A free choice that missed, and is repeated, before a lazy grammar gives up: only a token that begins a tool call wrongly can miss.
const MAX_MISSES: usize = 100;

/// One answer under a constraint.
#[derive(Debug)]
pub(super) struct Constrained {
    tokens: Arc<Tokens>,
    matcher: Matcher,
    /// The logits without what does not fit; kept between tokens.
    fitting: Vec<f32>,
    /// The token that was found to fit last.
    chosen: Option<Token>,
}

#[derive(Debug)]
enum Matcher {
    Gbnf(Box<GbnfMatcher>),
    Schema(Box<SchemaMatcher>),
}

impl Constrained {
    /// At the beginning of an answer. `None` when the constraint allows everything. A grammar's work ends early when `abort` is set, with
    /// [`Error::Aborted`]. That of a schema is little at a time.
    pub(super) fn new(constraint: &Constraint, model: &Model, abort: &AbortFlag) -> Result<Option<Self>> {
        let tokens = || Tokens::of(model);
        let (tokens, matcher) = match constraint {
            Constraint::ToolCalls(tools) if tools.grammar.is_empty() => return Ok(None),
            Constraint::ToolCalls(tools) => {
                let prefill = model.tokenize(&tools.prefill, true)?;
                let matcher = GbnfMatcher::for_tools(tools, &prefill, tokens()?, abort)?;
                (tokens()?, Matcher::Gbnf(Box::new(matcher)))
            }
            Constraint::Grammar(grammar) => (tokens()?, Matcher::Gbnf(Box::new(GbnfMatcher::new(grammar, tokens()?, abort)?))),
            Constraint::JsonSchema(schema) => (tokens()?, Matcher::Schema(Box::new(SchemaMatcher::new(schema, &tokens()?)?))),
        };
        Ok(Some(Self {
            tokens,
            matcher,
            fitting: Vec::new(),
            chosen: None,
        }))
    }

    /// Chooses a token that fits. `None` when the logits are unusable.
    pub(super) fn choose(&mut self, choice: &mut Choice, logits: &[f32]) -> Result<Option<Token>> {
        self.chosen = None;
        // What must not be asked twice is asked only for what fits.
        if !choice.learns() {
            let Some(token) = choice.choose(logits) else { return Ok(None) };
            if self.allows(token)? {
                self.chosen = Some(token);
                return Ok(Some(token));
            }
        } else if argmax(logits).is_none() {
            return Ok(None);
        }
        let token = self.choose_fitting(choice, logits)?;
        self.chosen = Some(token);
        Ok(Some(token))
    }

    /// Takes notice of a token of the answer; it must fit.
    pub(super) fn accept(&mut self, token: Token) -> Result<()> {
        let was_chosen = self.chosen.take() == Some(token);
        if was_chosen && self.tokens.vocabulary().is_end_of_generation(token) {
            return Ok(());
        }
        if self.matcher.accept(token)? {
            return Ok(());
        }
        let piece = String::from_utf8_lossy(self.tokens.vocabulary().piece(token)).into_owned();
        Err(failed(format!("`{piece}` does not fit the constraint here")))
    }

    pub(super) fn is_complete(&self) -> bool {
        self.matcher.is_complete()
    }

    fn choose_fitting(&mut self, choice: &mut Choice, logits: &[f32]) -> Result<Token> {
        self.fitting.clear();
        self.fitting.extend_from_slice(logits);
        if self.matcher.is_waiting() {
            return self.choose_harmless(choice);
        }
        let allowed = self.mask()?;
        for (id, logit) in (0..).zip(&mut self.fitting) {
            if !allowed.is_allowed(id) {
                *logit = f32::NEG_INFINITY;
            }
        }
        choice.choose(&self.fitting).map_or_else(|| self.end(), Ok)
    }

    /// Chooses while nearly everything is allowed: what misses is left out by name.
    fn choose_harmless(&mut self, choice: &mut Choice) -> Result<Token> {
        for _ in 0..MAX_MISSES {
            let Some(token) = choice.choose(&self.fitting) else { break };
            if self.allows(token)? {
                return Ok(token);
            }
            if let Some(logit) = usize::try_from(token.0).ok().and_then(|index| self.fitting.get_mut(index)) {
                *logit = f32::NEG_INFINITY;
            }
        }
        self.end()
    }

    /// Nothing else is possible: the end, if it is allowed here.
    fn end(&self) -> Result<Token> {
        let end = self.tokens.vocabulary().end_of_generation().first();
        match end {
            Some(end) if self.is_complete() => Ok(*end),
            _ => Err(failed(
                "no token of the model continues the answer as the constraint asks for".into(),
            )),
        }
    }

    /// All tokens that fit.
    pub(super) fn mask(&mut self) -> Result<SimpleVob> {
        let is_complete = self.is_complete();
        let mut allowed = self.matcher.mask()?;
        for end in self.tokens.vocabulary().end_of_generation() {
            let Ok(id) = u32::try_from(end.0) else { continue };
            if is_complete {
                allowed.allow_token(id);
            } else {
                allowed.disallow_token(id);
            }
        }
        Ok(allowed)
    }

    /// Whether a token fits.
    pub(super) fn allows(&mut self, token: Token) -> Result<bool> {
        if self.tokens.vocabulary().is_end_of_generation(token) {
            return Ok(self.is_complete());
        }
        self.matcher.allows(token)
    }
}

impl Matcher {
    fn is_complete(&self) -> bool {
        match self {
            Self::Gbnf(matcher) => matcher.is_complete(),
            Self::Schema(matcher) => matcher.is_complete(),
        }
    }

    fn is_waiting(&self) -> bool {
        match self {
            Self::Gbnf(matcher) => matcher.is_waiting(),
            Self::Schema(_) => false,
        }
    }

    fn allows(&mut self, token: Token) -> Result<bool> {
        match self {
            Self::Gbnf(matcher) => matcher.allows(token),
            Self::Schema(matcher) => matcher.allows(token),
        }
    }

    fn accept(&mut self, token: Token) -> Result<bool> {
        match self {
            Self::Gbnf(matcher) => matcher.accept(token),
            Self::Schema(matcher) => matcher.accept(token),
        }
    }

    fn mask(&mut self) -> Result<SimpleVob> {
        match self {
            Self::Gbnf(matcher) => matcher.mask(),
            Self::Schema(matcher) => matcher.mask(),
        }
    }
}

fn failed(reason: String) -> Error {
    Error::ConstraintFailed { reason }
}
