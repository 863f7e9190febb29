//! One generation of the port, over all rounds of tool calls: what is asked for in the next round, and what is said at the end.
//!
//! Sends nothing and waits for nothing; `turns` does.

use std::time::Duration;

use llama_worker_engine::chat::{Message, Role, ToolCall, ToolChoice};
use llama_worker_engine::error::Error;
use llama_worker_engine::sampling::Constraint;
use llama_worker_engine::worker::{AbortFlag, Event, GenerationOptions, GenerationResult, Input};

use crate::contract::{Body, Outbound, Phrase, Step};
use crate::error::Code;

/// A generation of the port, as far as it has come.
pub(crate) struct Turn {
    pub(crate) step: Step,
    pub(crate) abort: AbortFlag,
    /// For the next round.
    pub(crate) options: GenerationOptions,
    limits: Limits,
    /// Rounds in which the model has called tools.
    n_rounds: u32,
    /// All rounds so far as one.
    total: GenerationResult,
}

/// What the port is asked for beside the engine's options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_tool_rounds: u32,
    pub(crate) streams_reasoning: bool,
}

/// Why a turn failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Engine(Error),
    /// The model called tools again after this many rounds.
    TooManyRounds(u32),
}

impl Turn {
    pub(crate) fn new(step: Step, abort: AbortFlag, options: GenerationOptions, limits: Limits) -> Self {
        Self {
            step,
            abort,
            options,
            limits,
            n_rounds: 0,
            total: GenerationResult::default(),
        }
    }

    /// Whether it may wait for results of tools.
    pub(crate) fn has_tools(&self) -> bool {
        let chat = &self.options.chat;
        !chat.tools.is_empty() && chat.tool_choice != ToolChoice::None
    }

    /// Whether the conversation has calls of this turn.
    pub(crate) fn has_called(&self) -> bool {
        self.n_rounds > 0
    }

    /// What is said while a round goes on.
    pub(crate) fn news(&self, event: Event<GenerationResult>) -> Option<Outbound> {
        match event {
            Event::Started if self.n_rounds == 0 => Some(self.step.info(&Phrase::Generating)),
            Event::Text(chunk) => Some(self.step.message(Body::CompletionChunk { chunk })),
            Event::Reasoning(chunk) if self.limits.streams_reasoning => Some(self.step.message(Body::ReasoningChunk { chunk })),
            _ => None,
        }
    }

    /// Takes notice of a round that ended well.
    pub(crate) fn add(&mut self, result: GenerationResult) {
        add(&mut self.total, result);
    }

    /// Takes notice that the model calls tools. Refused after too many rounds.
    pub(crate) fn begin_round(&mut self) -> Result<(), Failure> {
        self.n_rounds += 1;
        let limit = self.limits.max_tool_rounds;
        if self.n_rounds > limit {
            return Err(Failure::TooManyRounds(limit));
        }
        Ok(())
    }

    /// Prepares the next round: what the first was asked for beside tools has happened. A tool that must be called would be for ever.
    pub(crate) fn prepare_next(&mut self) {
        self.options.chat.tool_choice = ToolChoice::Auto;
        self.options.response_prefix = None;
    }

    /// The last messages. `was_aborted`: whether the caller has been told so.
    pub(crate) fn ending(&self, result: Result<(), Failure>, was_aborted: bool) -> [Option<Outbound>; 3] {
        if was_aborted {
            return [Some(self.step.info(&Phrase::GenerationAborted)), None, None];
        }
        if let Err(failure) = result {
            let message = self
                .step
                .failure_text(&Phrase::GenerationFailed, failure.details(&self.step), failure.code());
            return [Some(message), None, None];
        }
        let n_dropped = self.total.usage.dropped_messages;
        let shortened = (n_dropped > 0).then(|| self.step.info(&Phrase::HistoryShortened(n_dropped)));
        let has_schema = matches!(self.options.constraint, Some(Constraint::JsonSchema(_)));
        let done = self.step.completion_done(&self.total, has_schema, self.options.logprobs.is_some());
        [shortened, Some(done), Some(self.step.info(&Phrase::Generated))]
    }
}

impl Failure {
    fn details(&self, step: &Step) -> String {
        match self {
            Self::Engine(error) => step.details(error),
            Self::TooManyRounds(limit) => format!("the model called tools again after {limit} rounds (option `maxToolRounds`)"),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.code(),
            Self::TooManyRounds(_) => Code::TOOL_LOOP_LIMIT.name(),
        }
    }
}

/// The results of tools as what the model is given next.
pub(crate) fn tool_messages(results: impl Iterator<Item = (ToolCall, String)>) -> Input {
    let message = |(call, result): (ToolCall, String)| Message {
        tool_call_id: call.id,
        tool_name: call.name,
        ..Message::new(Role::Tool, result)
    };
    Input::Messages(results.map(message).collect())
}

/// Lets a round follow those before it: texts and counts are those of all, the way it ended is the last one's.
fn add(total: &mut GenerationResult, round: GenerationResult) {
    let before = std::mem::take(total);
    let (mut usage, mut timings) = (round.usage, round.timings);
    usage.prompt_tokens += before.usage.prompt_tokens;
    usage.cached_tokens += before.usage.cached_tokens;
    usage.completion_tokens += before.usage.completion_tokens;
    usage.reasoning_tokens += before.usage.reasoning_tokens;
    usage.drafted_tokens += before.usage.drafted_tokens;
    usage.accepted_tokens += before.usage.accepted_tokens;
    timings.prompt += before.timings.prompt;
    timings.generation += before.timings.generation;
    if !before.timings.first_token.is_zero() {
        timings.first_token = before.timings.first_token;
    }
    let speeds = [
        (before.timings.tokens_per_second, before.timings.generation),
        (round.timings.tokens_per_second, round.timings.generation),
    ];
    timings.tokens_per_second = mean_speed(&speeds);
    *total = GenerationResult {
        text: before.text + &round.text,
        reasoning: before.reasoning + &round.reasoning,
        logprobs: before.logprobs.into_iter().chain(round.logprobs).collect(),
        usage,
        timings,
        ..round
    };
}

/// All tokens in all the time.
fn mean_speed(speeds: &[(f64, Duration)]) -> f64 {
    let tokens: f64 = speeds.iter().map(|(speed, duration)| speed * duration.as_secs_f64()).sum();
    let seconds: f64 = speeds.iter().map(|(_, duration)| duration.as_secs_f64()).sum();
    if seconds > 0.0 { tokens / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use llama_worker_engine::worker::{StopReason, Timings, Usage};

    use super::*;

    fn round(text: &str, n_tokens: usize, seconds: u64) -> GenerationResult {
        let generation = Duration::from_secs(seconds);
        GenerationResult {
            text: text.into(),
            stop_reason: StopReason::ToolCalls,
            usage: Usage {
                prompt_tokens: 10,
                cached_tokens: 4,
                completion_tokens: n_tokens,
                reasoning_tokens: 1,
                dropped_messages: n_tokens,
                drafted_tokens: 3,
                accepted_tokens: 2,
            },
            timings: Timings {
                prompt: Duration::from_secs(1),
                first_token: generation,
                generation,
                tokens_per_second: 10.0 * f64::from(u32::try_from(seconds).unwrap()),
                threads: 2,
            },
            ..GenerationResult::default()
        }
    }

    #[test]
    fn rounds_add_up_and_end_as_the_last() {
        let mut total = GenerationResult::default();
        add(&mut total, round("a", 3, 1));
        let last = GenerationResult {
            stop_reason: StopReason::MaxTokens,
            ..round("b", 2, 3)
        };
        add(&mut total, last);
        assert_eq!((&*total.text, total.stop_reason), ("ab", StopReason::MaxTokens));
        let expected = Usage {
            prompt_tokens: 20,
            cached_tokens: 8,
            completion_tokens: 5,
            reasoning_tokens: 2,
            dropped_messages: 2,
            drafted_tokens: 6,
            accepted_tokens: 4,
        };
        assert_eq!(total.usage, expected);
        assert_eq!(
            (total.timings.prompt, total.timings.generation),
            (Duration::from_secs(2), Duration::from_secs(4))
        );
        assert_eq!(total.timings.first_token, Duration::from_secs(1), "the first of all");
        assert!((total.timings.tokens_per_second - 25.0).abs() < 1e-9, "10 tokens in 1 s, 90 in 3 s");
    }

    #[test]
    fn one_round_stays_as_it_is() {
        let mut total = GenerationResult::default();
        add(&mut total, round("a", 3, 2));
        assert_eq!(total, round("a", 3, 2));
    }
}
