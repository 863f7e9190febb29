//! One generation, from its request to its result. Knows its own text, counts and times, not the memory it runs in.

use std::time::{Duration, Instant};

use super::reply::Reply;
use crate::chat::Prompt;
use crate::error::Result;
use crate::llama::{AbortFlag, Model, Token};
use crate::sampling::{Sampler, SamplingOptions};
use crate::session::{Input, Turn};
use crate::text::TextStream;

/// How to generate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationOptions {
    /// The most tokens to generate; `None` = until the model ends or the context is full.
    pub max_tokens: Option<u32>,
    /// How tokens are chosen.
    pub sampling: SamplingOptions,
    /// Texts that end the answer and are not part of it.
    pub stop_strings: Vec<String>,
    /// Instructions for a conversation that has none yet.
    pub system_prompt: Option<String>,
}

/// A wish for an answer.
#[derive(Debug)]
pub struct GenerationRequest {
    /// What to answer.
    pub input: Input,
    /// How.
    pub options: GenerationOptions,
    /// Ends it early, at any moment.
    pub abort: AbortFlag,
    /// When it was asked for.
    pub accepted_at: Instant,
    /// Where the answer goes.
    pub reply: Reply<GenerationResult>,
}

/// A finished answer.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationResult {
    /// The whole text: all pieces concatenated.
    pub text: String,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// What was counted.
    pub usage: Usage,
    /// How long it took.
    pub timings: Timings,
}

impl GenerationResult {
    /// The result of a request that was aborted before its turn came.
    #[must_use]
    pub fn aborted() -> Self {
        Self {
            text: String::new(),
            stop_reason: StopReason::Abort,
            usage: Usage::default(),
            timings: Timings::default(),
        }
    }
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The model ended its answer.
    EogToken,
    /// The limit of tokens was reached.
    MaxTokens,
    /// One of the caller's stop strings appeared.
    CustomStopTrigger,
    /// The context has no room left.
    ContextFull,
    /// The caller aborted it.
    Abort,
}

/// Counts of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the rendered conversation.
    pub prompt_tokens: usize,
    /// How many of them were still in memory and not evaluated again.
    pub cached_tokens: usize,
    /// Tokens generated, the one that ended the answer included.
    pub completion_tokens: usize,
}

/// Times of a generation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Rendering and evaluating the prompt.
    pub prompt: Duration,
    /// From the request to the first token.
    pub first_token: Duration,
    /// From the first token to the end.
    pub generation: Duration,
    /// Tokens after the first one, per second of `generation`; 0 when there were none.
    pub tokens_per_second: f64,
}

/// A generation under way.
#[derive(Debug)]
pub(super) struct Generation {
    reply: Reply<GenerationResult>,
    pub(super) abort: AbortFlag,
    pub(super) turn: Turn,
    pub(super) prompt: Vec<Token>,
    max_tokens: Option<u32>,
    n_custom_stops: usize,
    sampler: Sampler,
    stream: TextStream,
    text: String,
    usage: Usage,
    accepted_at: Instant,
    started_at: Instant,
    first_token_at: Option<Instant>,
    /// Sampled, not yet evaluated.
    pub(super) next: Option<Token>,
}

impl Generation {
    /// A generation that answers `turn`; the request's input has gone into it. `cached_tokens` of its prompt are in memory. `times`: when it
    /// was asked for, and when its turn came.
    pub(super) fn new(
        turn: Turn,
        prompt: Prompt,
        cached_tokens: usize,
        options: GenerationOptions,
        reply: Reply<GenerationResult>,
        abort: AbortFlag,
        times: (Instant, Instant),
    ) -> Self {
        let n_custom_stops = options.stop_strings.len();
        let stops = options.stop_strings.into_iter().chain(prompt.stops).collect();
        Self {
            reply,
            abort,
            turn,
            usage: Usage {
                prompt_tokens: prompt.tokens.len(),
                cached_tokens,
                completion_tokens: 0,
            },
            prompt: prompt.tokens,
            max_tokens: options.max_tokens,
            n_custom_stops,
            sampler: Sampler::new(&options.sampling),
            stream: TextStream::new(stops),
            text: String::new(),
            accepted_at: times.0,
            started_at: times.1,
            first_token_at: None,
            next: None,
        }
    }

    /// Chooses a token from `logits` and streams its text. Returns why the generation is over, if it is.
    pub(super) fn advance(&mut self, logits: &[f32], model: &Model, piece: &mut Vec<u8>) -> Result<Option<StopReason>> {
        let token = self.sampler.sample(logits)?;
        self.first_token_at.get_or_insert_with(Instant::now);
        self.usage.completion_tokens += 1;
        if model.is_end_of_generation(token) {
            return Ok(Some(StopReason::EogToken));
        }
        piece.clear();
        model.append_piece(token, piece);
        let shown = self.stream.push(piece);
        self.show(shown);
        self.next = Some(token);
        Ok(self.stop_reason())
    }

    fn stop_reason(&self) -> Option<StopReason> {
        match self.stream.matched() {
            Some(index) if index < self.n_custom_stops => return Some(StopReason::CustomStopTrigger),
            // A stop of the template's own format is the model's way to end.
            Some(_) => return Some(StopReason::EogToken),
            None => {}
        }
        let is_at_limit = self.max_tokens.is_some_and(|limit| self.usage.completion_tokens >= limit as usize);
        is_at_limit.then_some(StopReason::MaxTokens)
    }

    fn show(&mut self, text: String) {
        if !text.is_empty() {
            self.text.push_str(&text);
            self.reply.text(text);
        }
    }

    /// Ends it well. Returns the turn and the answer, for the conversation to keep.
    pub(super) fn finish(mut self, stop_reason: StopReason) -> (Turn, String) {
        if self.stream.matched().is_none() && stop_reason != StopReason::Abort {
            let rest = self.stream.finish();
            self.show(rest);
        }
        let timings = self.timings();
        let result = GenerationResult {
            text: self.text.clone(),
            stop_reason,
            usage: self.usage,
            timings,
        };
        self.reply.end(Ok(result));
        (self.turn, self.text)
    }

    /// Ends it with an error.
    pub(super) fn fail(self, error: crate::error::Error) {
        self.reply.end(Err(error));
    }

    fn timings(&self) -> Timings {
        let Some(first_token_at) = self.first_token_at else {
            return Timings {
                prompt: self.started_at.elapsed(),
                ..Timings::default()
            };
        };
        let generation = first_token_at.elapsed();
        let seconds = generation.as_secs_f64();
        let later_tokens = u32::try_from(self.usage.completion_tokens.saturating_sub(1)).unwrap_or(u32::MAX);
        Timings {
            prompt: first_token_at - self.started_at,
            first_token: first_token_at - self.accepted_at,
            generation,
            tokens_per_second: if seconds > 0.0 { f64::from(later_tokens) / seconds } else { 0.0 },
        }
    }
}
