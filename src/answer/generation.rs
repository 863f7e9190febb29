//! A finished generation as JavaScript sees it.

use std::time::Duration;

use llama_worker_engine::worker::{GenerationResult, LikelyToken, StopReason, Timings, TokenLogprobs, Usage};
use serde::Serialize;

use super::json::Json;
use super::message::ToolCallAnswer;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GenerationAnswer {
    text: String,
    reasoning: String,
    stop_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequence: Option<String>,
    tool_calls: Vec<ToolCallAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<LogprobsAnswer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parsed: Option<Json>,
    usage: UsageAnswer,
    timings: TimingsAnswer,
}

impl GenerationAnswer {
    /// The answer for `result`, whose text is JSON by a schema if `has_schema`, and whose tokens come with probabilities if `has_logprobs`.
    pub(crate) fn new(result: &GenerationResult, has_schema: bool, has_logprobs: bool) -> Self {
        Self {
            text: result.text.clone(),
            reasoning: result.reasoning.clone(),
            stop_reason: stop_reason_name(result.stop_reason),
            stop_sequence: result.stop_string.clone(),
            tool_calls: result.tool_calls.iter().map(ToolCallAnswer::from).collect(),
            logprobs: has_logprobs.then(|| logprobs(&result.logprobs)),
            parsed: parsed(result).filter(|_| has_schema),
            usage: result.usage.into(),
            timings: result.timings.into(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageAnswer {
    prompt_tokens: usize,
    cached_tokens: usize,
    completion_tokens: usize,
    reasoning_tokens: usize,
    total_tokens: usize,
    dropped_messages: usize,
    drafted_tokens: usize,
    accepted_tokens: usize,
}

impl From<Usage> for UsageAnswer {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.cached_tokens,
            completion_tokens: usage.completion_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            total_tokens: usage.prompt_tokens + usage.completion_tokens,
            dropped_messages: usage.dropped_messages,
            drafted_tokens: usage.drafted_tokens,
            accepted_tokens: usage.accepted_tokens,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TimingsAnswer {
    prompt_ms: f64,
    first_token_ms: f64,
    generation_ms: f64,
    tokens_per_second: f64,
    threads: u32,
}

impl From<Timings> for TimingsAnswer {
    fn from(timings: Timings) -> Self {
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
        Self {
            prompt_ms: milliseconds(timings.prompt),
            first_token_ms: milliseconds(timings.first_token),
            generation_ms: milliseconds(timings.generation),
            tokens_per_second: timings.tokens_per_second,
            threads: timings.threads,
        }
    }
}

/// A token of the answer, and what could have stood in its place.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct LogprobsAnswer {
    #[serde(flatten)]
    chosen: LikelyAnswer,
    top: Vec<LikelyAnswer>,
}

#[derive(Debug, PartialEq, Serialize)]
struct LikelyAnswer {
    token: i32,
    text: String,
    logprob: f32,
}

impl From<&LikelyToken> for LikelyAnswer {
    fn from(token: &LikelyToken) -> Self {
        Self {
            token: token.id,
            text: token.text.clone(),
            logprob: token.logprob,
        }
    }
}

pub(crate) fn logprobs(tokens: &[TokenLogprobs]) -> Vec<LogprobsAnswer> {
    let answer = |token: &TokenLogprobs| LogprobsAnswer {
        chosen: LikelyAnswer::from(&token.token),
        top: token.top.iter().map(LikelyAnswer::from).collect(),
    };
    tokens.iter().map(answer).collect()
}

/// What a text that was written by a schema says. Nothing when it was cut off.
pub(crate) fn parsed(result: &GenerationResult) -> Option<Json> {
    let is_whole = result.is_complete && result.stop_reason == StopReason::EogToken;
    let value = serde_json::from_str(&result.text).ok();
    value.filter(|_| is_whole).map(Json)
}

pub(crate) fn stop_reason_name(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EogToken => "eogToken",
        StopReason::ToolCalls => "toolCalls",
        StopReason::MaxTokens => "maxTokens",
        StopReason::CustomStopTrigger => "customStopTrigger",
        StopReason::ContextFull => "contextFull",
        StopReason::Abort => "abort",
    }
}
