//! A model's tokens in the forms in which constraints look at them. Made once for each model.

use std::sync::{Arc, OnceLock};

use llguidance::ParserFactory;
use toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};

use crate::error::{Error, Result};
use crate::llama::{Model, Vocabulary};

/// Stands before the text of a control token, as no text contains it.
pub(super) const SPECIAL_MARK: u8 = TokTrie::SPECIAL_TOKEN_MARKER;

/// The tokens of a model.
pub(super) struct Tokens {
    vocabulary: Arc<Vocabulary>,
    environment: TokEnv,
    schemas: OnceLock<std::result::Result<ParserFactory, String>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tokens")
            .field("count", &self.vocabulary.len())
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// The tokens of `model`; walks its vocabulary at the first call.
    pub(super) fn of(model: &Model) -> Result<Arc<Self>> {
        let vocabulary = model.vocabulary();
        if vocabulary.end_of_generation().is_empty() {
            return Err(Error::ConstraintFailed {
                reason: "the model has no token that ends an answer, so a constrained one could not end".into(),
            });
        }
        let tokens = model.companion(|| Self::new(Arc::clone(vocabulary)));
        tokens.ok_or_else(|| Error::Internal {
            reason: "the model keeps something else beside its vocabulary".into(),
        })
    }

    fn new(vocabulary: Arc<Vocabulary>) -> Self {
        let environment = Arc::new(ApproximateTokEnv::new(trie(&vocabulary)));
        Self {
            vocabulary,
            environment,
            schemas: OnceLock::new(),
        }
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub(super) fn trie(&self) -> &TokTrie {
        self.environment.tok_trie()
    }

    /// What compiles schemas for these tokens; made at the first call.
    pub(super) fn schemas(&self) -> Result<&ParserFactory> {
        let factory = self.schemas.get_or_init(|| new_factory(&self.environment)).as_ref();
        factory.map_err(|reason| Error::Internal { reason: reason.clone() })
    }
}

/// What compiles schemas, with limits so that one that explodes ends with an error: about a second of work and 100 MB for one answer.
fn new_factory(environment: &TokEnv) -> std::result::Result<ParserFactory, String> {
    // No slices of the vocabulary with masks made beforehand: they take three times as long to make and as much memory as the tokens.
    let factory = ParserFactory::new(environment, InferenceCapabilities::default(), &[]);
    let mut factory = factory.map_err(|error| error.to_string())?;
    factory.quiet();
    let limits = factory.limits_mut();
    limits.max_lexer_states = 50_000;
    limits.verbose_errors = false;
    Ok(factory)
}

fn trie(vocabulary: &Vocabulary) -> TokTrie {
    let ends: Vec<u32> = vocabulary.end_of_generation().iter().map(|token| token.0.unsigned_abs()).collect();
    let size = u32::try_from(vocabulary.len()).unwrap_or(u32::MAX);
    let words: Vec<Vec<u8>> = vocabulary
        .tokens()
        .map(|token| word(vocabulary.piece(token), vocabulary.is_control(token)))
        .collect();
    TokTrie::from(&TokRxInfo::new(size, ends[0]), &words).with_eos_tokens(&ends)
}

fn word(piece: &[u8], is_control: bool) -> Vec<u8> {
    /// A trie of toktrie's cannot hold longer ones; such tokens are runs of spaces.
    const LONGEST: usize = 1000;
    match piece {
        _ if piece.len() > LONGEST => Vec::new(),
        // Stands for nothing, or would be taken for a control token.
        [] | [SPECIAL_MARK, ..] => Vec::new(),
        _ if is_control => [&[SPECIAL_MARK], piece].concat(),
        _ => piece.to_vec(),
    }
}
