//! What llama.cpp's chat code says about the form of an answer, as plain data.
//!
//! Only carries it: the room `chat` gets it from a rendered conversation, the room `sampling` holds answers to it.

use super::Token;

/// The grammar that a chat template asks for when there are tools: the fields of llama.cpp's `common_chat_params`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolGrammar {
    /// GBNF with a rule `root`; empty = no grammar.
    pub grammar: String,
    /// Whether the answer is free until a trigger appears in it (`grammar_lazy`).
    pub is_lazy: bool,
    /// What begins the constrained part; of use only when lazy.
    pub triggers: Vec<GrammarTrigger>,
    /// The end of the prompt that belongs to the answer's form (`generation_prompt`); of use only when not lazy.
    pub prefill: String,
}

/// What makes a lazy grammar take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrammarTrigger {
    /// This text.
    Word(String),
    /// A match of this regular expression anywhere; the grammar begins at its first non-empty group, or at the match.
    Pattern(String),
    /// A match of this regular expression with the whole answer so far.
    PatternFull(String),
    /// This token.
    Token(Token),
}

/// llama.cpp's own grammar sampler, to hold ours against it. It ends the process when it is asked for more than it allows.
#[cfg(test)]
pub(crate) mod native {
    use std::ffi::CString;

    use llama_cpp_sys_2 as sys;

    use crate::llama::{Model, Token};

    pub(crate) struct NativeGrammar<'model> {
        sampler: *mut sys::llama_sampler,
        model: &'model Model,
    }

    impl<'model> NativeGrammar<'model> {
        pub(crate) fn new(model: &'model Model, grammar: &str) -> Option<Self> {
            let grammar = CString::new(grammar).unwrap();
            // SAFETY: the model lives as long as this, and the texts are copied.
            let sampler = unsafe {
                let vocab = sys::llama_model_get_vocab(model.raw());
                sys::llama_sampler_init_grammar(vocab, grammar.as_ptr(), c"root".as_ptr())
            };
            (!sampler.is_null()).then_some(Self { sampler, model })
        }

        /// For each token, whether it may come next.
        pub(crate) fn allowed(&mut self) -> Vec<bool> {
            let ids = 0..i32::try_from(self.model.n_vocab()).unwrap();
            let mut data: Vec<_> = ids.map(|id| sys::llama_token_data { id, logit: 0.0, p: 0.0 }).collect();
            let mut array = sys::llama_token_data_array {
                data: data.as_mut_ptr(),
                size: data.len(),
                selected: -1,
                sorted: false,
            };
            // SAFETY: the sampler is live and the array describes live memory.
            unsafe { sys::llama_sampler_apply(self.sampler, &raw mut array) };
            data.iter().map(|candidate| candidate.logit == 0.0).collect()
        }

        /// Goes on by a token that is allowed and does not end the answer.
        pub(crate) fn accept(&mut self, token: Token) {
            // SAFETY: the sampler is live; it throws only for what is not allowed.
            unsafe { sys::llama_sampler_accept(self.sampler, token.0) };
        }
    }

    impl Drop for NativeGrammar<'_> {
        fn drop(&mut self) {
            // SAFETY: it is ours.
            unsafe { sys::llama_sampler_free(self.sampler) };
        }
    }
}
