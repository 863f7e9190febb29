//! The oracle: a plain loop over llama.cpp, and what is needed to compare a worker with it.

use std::path::{Path, PathBuf};

use llama_worker_engine::chat::{ChatFormat, ChatOptions, Message};
use llama_worker_engine::llama::{
    AbortFlag, Backend, Batch, Context, ContextParams, Decoded, FlashAttention, GpuLayers, KvCacheType, Model, ModelParams, Token, argmax,
};
use llama_worker_engine::worker::{Event, GenerationOptions, GenerationResult};

use super::{Events, model_path};

/// A plain loop: a fresh context for every prompt, one sequence, nothing reused.
pub(crate) struct PlainLoop {
    pub(crate) model: Model,
    kv_cache_type: KvCacheType,
    flash_attention: FlashAttention,
}

impl PlainLoop {
    /// Over the built-in model.
    pub(crate) fn new() -> Self {
        Self::over(&model_path(), KvCacheType::F16, FlashAttention::Auto)
    }

    pub(crate) fn over(path: &Path, kv_cache_type: KvCacheType, flash_attention: FlashAttention) -> Self {
        let backend = Backend::start(&PathBuf::from(env!("LLAMA_WORKER_BUILT_BACKENDS"))).unwrap();
        let params = ModelParams {
            path: path.to_owned(),
            gpu_layers: GpuLayers::Auto,
            context_size: None,
            devices: vec![],
            use_mmap: None,
            use_mlock: false,
        };
        Self {
            model: Model::load(backend, &params, &AbortFlag::default(), |_| {}).unwrap(),
            kv_cache_type,
            flash_attention,
        }
    }

    pub(crate) fn prompt(&self, messages: &[Message]) -> Vec<Token> {
        let format = ChatFormat::new(&self.model, None).unwrap();
        format.prompt(messages, &ChatOptions::default(), usize::MAX).unwrap().tokens
    }

    pub(crate) fn params(&self) -> ContextParams {
        ContextParams {
            context_size: 2048,
            batch_size: 2048,
            sequences: 1,
            threads: 1,
            most_threads: None,
            flash_attention: self.flash_attention,
            kv_cache_type: self.kv_cache_type,
            ignores_memory: false,
            session_cache: Some(0),
        }
    }

    pub(crate) fn answer(&self, prompt: &[Token], max_tokens: u32) -> Vec<i32> {
        self.answer_with_margins(prompt, max_tokens).0
    }

    /// The tokens of an answer, and for each choice, that of the end too, the distance of its logit from the next lower one.
    pub(crate) fn answer_with_margins(&self, prompt: &[Token], max_tokens: u32) -> (Vec<i32>, Vec<f32>) {
        let mut context = Context::new(&self.model, &self.params()).unwrap();
        let mut batch = Batch::new(2048);
        let mut next = prompt.to_vec();
        let (mut position, mut answer, mut margins) = (0, Vec::new(), Vec::new());
        loop {
            batch.clear();
            for (index, token) in next.iter().enumerate() {
                batch.add(*token, position + index, 0, index + 1 == next.len());
            }
            assert_eq!(context.decode(&batch, &[]), Ok(Decoded::Done));
            position += next.len();
            let logits = context.logits(next.len() - 1).unwrap();
            let token = argmax(logits).unwrap();
            margins.push(margin(logits));
            if self.model.is_end_of_generation(token) {
                return (answer, margins);
            }
            answer.push(token.0);
            if answer.len() == max_tokens as usize {
                return (answer, margins);
            }
            next = vec![token];
        }
    }
}

/// How far the two largest of `logits` are apart.
fn margin(logits: &[f32]) -> f32 {
    let largest_two = logits.iter().fold([f32::NEG_INFINITY; 2], |[first, second], logit| {
        if *logit > first {
            [*logit, first]
        } else {
            [first, second.max(*logit)]
        }
    });
    largest_two[0] - largest_two[1]
}

pub(crate) fn options(max_tokens: u32) -> GenerationOptions {
    GenerationOptions {
        max_tokens: Some(max_tokens),
        streams_tokens: true,
        ..Default::default()
    }
}

/// Waits for the end; returns the tokens that came, and the result.
pub(crate) fn tokens_of(events: &Events<GenerationResult>) -> (Vec<i32>, GenerationResult) {
    let mut tokens = Vec::new();
    loop {
        match events.next() {
            Event::Tokens(more) => tokens.extend(more),
            Event::Ended(result) => return (tokens, result.expect("a generation")),
            _ => {}
        }
    }
}
