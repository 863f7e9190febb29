//! One generation, from its request to its result. Knows its own text, counts and times, not the memory it runs in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::gate::Hopes;
use super::reply::Reply;
use crate::chat::{AnswerFormat, AnswerPart, AnswerReader, ChatOptions, Message, Prompt, Role, ThoughtWatch, ToolCall};
use crate::error::{Error, Result};
use crate::llama::{AbortFlag, Model, Token};
use crate::sampling::{Constraint, Sampler, SamplingOptions, top_logprobs};
use crate::session::lookup::Lookup;
use crate::session::{Input, Turn};
use crate::text::TextStream;

/// How to generate.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the caller's")]
pub struct GenerationOptions {
    /// The most tokens to generate; `None` = until the model ends or the context is full.
    pub max_tokens: Option<u32>,
    /// How tokens are chosen.
    pub sampling: SamplingOptions,
    /// What the answer must look like.
    pub constraint: Option<Constraint>,
    /// Texts that end the answer and are not part of it.
    pub stop_strings: Vec<String>,
    /// Instructions for a conversation that has none yet.
    pub system_prompt: Option<String>,
    /// The beginning of the answer.
    pub response_prefix: Option<String>,
    /// Tools, thinking and variables for the template.
    pub chat: ChatOptions,
    /// The most tools called in one answer; `None` = any number.
    pub max_tool_calls: Option<usize>,
    /// The most tokens of a thought; `None` = any number.
    pub thought_tokens: Option<u32>,
    /// Drop white space at the end of the answer.
    pub trims_end: bool,
    /// Tell the logarithms of the probabilities of each token and of so many of the likeliest.
    pub logprobs: Option<usize>,
    /// Hand out tokens as they are chosen.
    pub streams_tokens: bool,
    /// An aborted answer is kept, as far as it came.
    pub keeps_aborted: bool,
    /// What happens to a conversation that is too long.
    pub overflow: Overflow,
    /// 1…5; more important generations are evaluated first.
    pub priority: u8,
    /// Whether tokens are guessed, to evaluate several at once. The answer is the same.
    pub speculation: Speculation,
    /// Only evaluate the prompt, so that an answer to it can begin sooner. The conversation stays as it is.
    pub is_preload: bool,
}

impl Default for GenerationOptions {
    fn default() -> Self {
        Self {
            max_tokens: None,
            sampling: SamplingOptions::default(),
            constraint: None,
            stop_strings: Vec::new(),
            system_prompt: None,
            response_prefix: None,
            chat: ChatOptions::default(),
            max_tool_calls: None,
            thought_tokens: None,
            trims_end: false,
            logprobs: None,
            streams_tokens: false,
            keeps_aborted: false,
            overflow: Overflow::default(),
            priority: HIGHEST_PRIORITY,
            speculation: Speculation::default(),
            is_preload: false,
        }
    }
}

/// The default, as in node-llama-cpp.
pub const HIGHEST_PRIORITY: u8 = 5;

/// What happens to a conversation that is too long for the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The model is not shown the oldest turns any more.
    #[default]
    DropOldest,
    /// The generation fails, or ends where the context is full.
    Error,
}

/// Whether tokens are guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speculation {
    /// They are not.
    #[default]
    Off,
    /// By what came after the same tokens before, in the prompt and the answer. Not with memory that cannot be cut.
    Lookup,
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationResult {
    /// The whole text: all pieces concatenated.
    pub text: String,
    /// What the model thought before, and nothing of it is in `text`.
    pub reasoning: String,
    /// The tools it wants called.
    pub tool_calls: Vec<ToolCall>,
    /// For each token, if that was asked for.
    pub logprobs: Vec<TokenLogprobs>,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// The stop string that ended it, if one did.
    pub stop_string: Option<String>,
    /// Whether the text satisfies the grammar or schema that was given.
    pub is_complete: bool,
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
            stop_reason: StopReason::Abort,
            ..Self::default()
        }
    }
}

/// How likely a token was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenLogprobs {
    /// The token that was chosen.
    pub token: LikelyToken,
    /// The likeliest, in falling order.
    pub top: Vec<LikelyToken>,
}

/// A token and the natural logarithm of its probability, by the model alone, before any option.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LikelyToken {
    /// Its number.
    pub id: i32,
    /// Its text; parts of characters read U+FFFD.
    pub text: String,
    /// The logarithm.
    pub logprob: f32,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopReason {
    /// The model ended its answer.
    #[default]
    EogToken,
    /// It wants tools called.
    ToolCalls,
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
    /// Tokens generated, thoughts and the one that ended the answer included.
    pub completion_tokens: usize,
    /// How many of those were thoughts.
    pub reasoning_tokens: usize,
    /// Messages that did not fit and were not shown to the model.
    pub dropped_messages: usize,
    /// Tokens that were guessed.
    pub drafted_tokens: usize,
    /// How many of those were right.
    pub accepted_tokens: usize,
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
    /// The threads by which its tokens were evaluated at the end.
    pub threads: u32,
}

/// A generation under way.
#[derive(Debug)]
pub(super) struct Generation {
    reply: Reply<GenerationResult>,
    pub(super) abort: AbortFlag,
    pub(super) turn: Turn,
    pub(super) options: GenerationOptions,
    /// What to evaluate before the next token is chosen: the rendered conversation and, after a restart, the answer so far.
    pub(super) prompt: Vec<Token>,
    /// How much of it is the conversation.
    n_rendered: usize,
    /// Every token of the answer so far.
    answer: Vec<Token>,
    format: AnswerFormat,
    n_custom_stops: usize,
    sampler: Sampler,
    stream: TextStream,
    reader: AnswerReader,
    thought: ThoughtWatch,
    /// In a thought, or in the white space behind one.
    awaits_answer: bool,
    /// Tokens that come next, whatever the model would choose.
    forced: VecDeque<Forced>,
    /// White space that is only handed out when something follows it.
    held_space: String,
    result: GenerationResult,
    accepted_at: Instant,
    started_at: Instant,
    first_token_at: Option<Instant>,
    /// Chosen, not yet evaluated.
    pub(super) next: Option<Token>,
    /// `None`: nothing is guessed.
    guesses: Option<Guesses>,
}

/// Where guesses come from, and whether they pay.
#[derive(Debug)]
struct Guesses {
    lookup: Lookup<Token>,
    hopes: Hopes,
}

/// A token that the model does not choose.
#[derive(Clone, Copy, Debug)]
struct Forced {
    token: Token,
    /// It belongs to a thought, and is no matter of the caller's grammar.
    is_thought: bool,
}

/// What a generation that has ended has yet to tell.
#[derive(Debug)]
#[must_use]
pub(super) struct Ending {
    reply: Reply<GenerationResult>,
    result: GenerationResult,
}

impl Ending {
    pub(super) fn tell(self) {
        self.reply.end(Ok(self.result));
    }
}

/// When a generation was asked for, and when its turn came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) accepted_at: Instant,
    pub(super) started_at: Instant,
}

impl Generation {
    /// A generation that answers `turn`; the request's input has gone into it. An error gives the reply back.
    pub(super) fn new(
        turn: Turn,
        prompt: Prompt,
        options: GenerationOptions,
        reply: Reply<GenerationResult>,
        abort: AbortFlag,
        times: Times,
        model: &Model,
    ) -> std::result::Result<Self, (Reply<GenerationResult>, Error)> {
        let format = prompt.answer;
        let tool_calls = format.tool_grammar.clone().map(Constraint::ToolCalls);
        let constraint = options.constraint.clone().or(tool_calls);
        let made = Sampler::new(&options.sampling, constraint.as_ref(), model, &abort)
            .and_then(|sampler| Ok((sampler, AnswerReader::new(&format)?)));
        let (sampler, reader) = match made {
            Ok(made) => made,
            Err(error) => return Err((reply, error)),
        };
        let stops = options.stop_strings.iter().chain(&format.stops).cloned().collect();
        let may_guess = options.speculation == Speculation::Lookup && model.can_cut_memory() && !options.is_preload;
        let guesses = may_guess.then(|| Guesses {
            lookup: Lookup::new(&prompt.tokens),
            hopes: Hopes::new(),
        });
        let mut generation = Self {
            reply,
            abort,
            turn,
            n_rendered: prompt.tokens.len(),
            prompt: prompt.tokens,
            answer: Vec::new(),
            n_custom_stops: options.stop_strings.len(),
            sampler,
            stream: TextStream::new(stops),
            reader,
            thought: ThoughtWatch::new(format.thinking.clone(), &format.opening),
            awaits_answer: false,
            forced: VecDeque::new(),
            held_space: String::new(),
            result: GenerationResult::default(),
            accepted_at: times.accepted_at,
            started_at: times.started_at,
            first_token_at: None,
            next: None,
            guesses,
            format,
            options,
        };
        generation.result.usage.prompt_tokens = generation.prompt.len();
        generation.show_prefix();
        Ok(generation)
    }

    /// The caller's beginning of the answer is part of what is handed out.
    fn show_prefix(&mut self) {
        if let Some(prefix) = self.options.response_prefix.clone().filter(|_| !self.options.is_preload) {
            self.hand_out(prefix);
        }
    }

    /// Takes notice of how much of the prompt was in memory.
    pub(super) fn set_cached(&mut self, cached_tokens: usize) {
        self.result.usage.cached_tokens = cached_tokens;
    }

    /// Takes notice of how many messages the model is not shown.
    pub(super) fn set_dropped(&mut self, dropped_messages: usize) {
        self.result.usage.dropped_messages = dropped_messages;
    }

    /// Takes notice of how many threads evaluate.
    pub(super) fn note_threads(&mut self, threads: u32) {
        self.result.timings.threads = threads;
    }

    /// The tokens of the answer so far, evaluated or not.
    pub(super) fn answer_length(&self) -> usize {
        self.answer.len()
    }

    /// Goes on behind `prompt`, or the present one, and the answer so far, all of which is to be evaluated again.
    pub(super) fn restart(&mut self, prompt: Option<Vec<Token>>) {
        if let Some(prompt) = prompt {
            self.prompt = prompt;
            self.n_rendered = self.prompt.len();
        }
        self.prompt.truncate(self.n_rendered);
        self.prompt.extend(&self.answer);
        self.next = None;
    }

    /// Chooses a token from `logits` and streams its text. Returns why the generation is over, if it is.
    pub(super) fn advance(&mut self, logits: &[f32], model: &Model, piece: &mut Vec<u8>) -> Result<Option<StopReason>> {
        let token = self.choose(logits, model)?;
        self.first_token_at.get_or_insert_with(Instant::now);
        self.result.usage.completion_tokens += 1;
        self.note_logprobs(token, logits, model);
        if model.is_end_of_generation(token) {
            return Ok(Some(StopReason::EogToken));
        }
        self.sampler.accept(token)?;
        self.answer.push(token);
        if let Some(guesses) = &mut self.guesses {
            let guess = guesses.lookup.guess(1);
            guesses.hopes.note(guess.map(|guess| (guess.n_same, guess.tokens == [token])));
            guesses.lookup.push(token);
        }
        if self.options.streams_tokens {
            self.reply.tokens(vec![token.0]);
        }
        piece.clear();
        model.append_piece(token, self.format.preserved.contains(&token), piece);
        let text = if self.is_beside_the_answer(piece) {
            self.stream.push_unmatched(piece)
        } else {
            self.stream.push(piece)
        };
        self.take(&text);
        self.limit_thought(model)?;
        self.next = Some(token);
        Ok(self.stop_reason())
    }

    /// Guesses at most `most` of the tokens that come behind the chosen one, as many as pay. `price`: what so many cost.
    pub(super) fn draft(&self, most: usize, price: impl Fn(usize) -> f64) -> Vec<Token> {
        let left = self.options.max_tokens.map_or(usize::MAX, |limit| {
            (limit as usize).saturating_sub(self.result.usage.completion_tokens)
        });
        // One more is chosen than was guessed.
        let most = most.min(left.saturating_sub(1));
        let guess = self.guesses.as_ref().filter(|_| most > 0).and_then(|guesses| {
            let mut guess = guesses.lookup.guess(most)?;
            guess.tokens.truncate(guesses.hopes.length(guess.n_same, most, price));
            Some(guess.tokens)
        });
        guess.unwrap_or_default()
    }

    /// Whether tokens are guessed when that pays.
    pub(super) fn may_guess(&self) -> bool {
        self.guesses.is_some()
    }

    /// Takes notice of how many of the tokens that were guessed were right.
    pub(super) fn note_draft(&mut self, n_guessed: usize, n_right: usize) {
        self.result.usage.drafted_tokens += n_guessed;
        self.result.usage.accepted_tokens += n_right;
    }

    fn choose(&mut self, logits: &[f32], model: &Model) -> Result<Token> {
        let must_call = self.forced.is_empty() && !self.thought.is_open();
        if let Some(opening) = self.format.call_opening.take_if(|_| must_call) {
            self.force(&opening, false, model)?;
        }
        self.begin_thought(logits, model)?;
        let forced = self.forced.pop_front();
        let is_thought = self.thought.is_open() || forced.is_some_and(|forced| forced.is_thought);
        self.sampler.set_constrained(!is_thought || self.is_form_of_everything());
        forced.map_or_else(|| self.sampler.sample(logits), |forced| Ok(forced.token))
    }

    /// Whether what the answer must look like is the form of tool calls that must come, which thoughts are a part of. What the caller wants
    /// of the answer is not about them.
    fn is_form_of_everything(&self) -> bool {
        self.options.constraint.is_none() && self.format.tool_grammar.as_ref().is_some_and(|grammar| !grammar.is_lazy)
    }

    /// Lets an answer with a constraint begin with a thought, if that is what the model likes most.
    fn begin_thought(&mut self, logits: &[f32], model: &Model) -> Result<()> {
        /// Fewer bytes may be the beginning of anything.
        const SHORTEST: usize = 4;
        let may_begin = self.options.constraint.is_some() && self.options.chat.enable_thinking && !self.thought.is_open();
        if !may_begin || !self.answer.is_empty() || !self.forced.is_empty() {
            return Ok(());
        }
        let Some(start) = self.thought.start_tag().map(ToOwned::to_owned) else {
            return Ok(());
        };
        let wanted = self.sampler.likeliest(logits).map(|token| model.text_of(token)).unwrap_or_default();
        if wanted.len() >= SHORTEST && start.starts_with(&wanted) {
            self.force(&start, true, model)?;
        }
        Ok(())
    }

    fn force(&mut self, text: &str, is_thought: bool, model: &Model) -> Result<()> {
        let tokens = model.tokenize_further(text, true)?;
        self.forced.extend(tokens.into_iter().map(|token| Forced { token, is_thought }));
        Ok(())
    }

    fn note_logprobs(&mut self, token: Token, logits: &[f32], model: &Model) {
        let Some(n_top) = self.options.logprobs else { return };
        let likely = |(token, logprob): (Token, f32)| LikelyToken {
            id: token.0,
            text: model.text_of(token),
            logprob,
        };
        let found = top_logprobs(logits, token, n_top);
        self.result.logprobs.push(TokenLogprobs {
            token: likely((token, found.logprob_of_chosen)),
            top: found.top.into_iter().map(likely).collect(),
        });
    }

    /// Whether `piece` is none of the reader's: of a thought, or the white space behind one. No stop string ends the answer there.
    fn is_beside_the_answer(&mut self, piece: &[u8]) -> bool {
        self.awaits_answer = self.thought.is_open() || (self.awaits_answer && piece.trim_ascii().is_empty());
        self.awaits_answer
    }

    fn take(&mut self, text: &str) {
        self.thought.push(text);
        for part in self.reader.push(text) {
            self.show(part);
        }
    }

    /// Ends a thought that has become too long.
    fn limit_thought(&mut self, model: &Model) -> Result<()> {
        if !self.thought.is_open() || !self.forced.is_empty() {
            return Ok(());
        }
        self.result.usage.reasoning_tokens += 1;
        let is_over = |limit: u32| self.result.usage.reasoning_tokens >= limit as usize;
        if !self.options.thought_tokens.is_some_and(is_over) || self.stream.is_inside_character() {
            return Ok(());
        }
        match self.thought.ending() {
            // A form that knows the tag knows no space around it.
            Some(ending) if self.is_form_of_everything() => self.force(ending.trim(), true, model),
            Some(ending) => self.force(&ending, true, model),
            None => Ok(()),
        }
    }

    fn stop_reason(&self) -> Option<StopReason> {
        match self.stream.matched() {
            Some(index) if index < self.n_custom_stops => return Some(StopReason::CustomStopTrigger),
            // A stop of the template's own format is the model's way to end.
            Some(_) => return Some(StopReason::EogToken),
            None => {}
        }
        let n_calls = self.reader.calls().len();
        if self.options.max_tool_calls.is_some_and(|limit| n_calls >= limit) {
            return Some(StopReason::ToolCalls);
        }
        let is_at_limit = self
            .options
            .max_tokens
            .is_some_and(|limit| self.result.usage.completion_tokens >= limit as usize);
        is_at_limit.then_some(StopReason::MaxTokens)
    }

    fn show(&mut self, part: AnswerPart) {
        match part {
            AnswerPart::Text(text) => self.show_text(text),
            AnswerPart::Reasoning(text) => {
                self.result.reasoning.push_str(&text);
                self.reply.reasoning(text);
            }
            AnswerPart::ToolCall(part) if self.options.max_tool_calls.is_some_and(|limit| part.index >= limit) => {}
            AnswerPart::ToolCall(part) => self.reply.tool_call(part),
        }
    }

    fn show_text(&mut self, text: String) {
        let text = if self.options.trims_end { self.hold_space(&text) } else { text };
        self.hand_out(text);
    }

    fn hand_out(&mut self, text: String) {
        if !text.is_empty() {
            self.result.text.push_str(&text);
            self.reply.text(text);
        }
    }

    /// What may be handed out of `text` when white space at the end of the answer may not.
    fn hold_space(&mut self, text: &str) -> String {
        let mut held = std::mem::take(&mut self.held_space);
        held.push_str(text);
        let end = held.trim_end().len();
        self.held_space = held.split_off(end);
        held
    }

    /// Ends it well. Returns the turn and the answer, for the conversation to keep, and what is to be told.
    pub(super) fn finish(mut self, stop_reason: StopReason) -> (Turn, Message, Ending) {
        if self.stream.matched().is_none() && stop_reason != StopReason::Abort {
            let rest = self.stream.finish();
            self.take(&rest);
        }
        for part in self.reader.finish(stop_reason == StopReason::EogToken) {
            self.show(part);
        }
        self.result.timings = self.timings();
        self.result.is_complete = stop_reason == StopReason::EogToken && self.sampler.is_complete();
        let mut calls = self.reader.calls().to_vec();
        calls.truncate(self.options.max_tool_calls.unwrap_or(usize::MAX));
        let is_ended = stop_reason == StopReason::EogToken;
        let wants_calls = stop_reason == StopReason::ToolCalls || (is_ended && !calls.is_empty());
        self.result.stop_reason = if wants_calls { StopReason::ToolCalls } else { stop_reason };
        if !wants_calls {
            // Nobody will answer the calls of an answer that was cut off.
            calls.clear();
        }
        self.result.stop_string = self
            .stream
            .matched()
            .and_then(|index| self.options.stop_strings.get(index).cloned());
        self.result.tool_calls = calls;
        let answer = self.message();
        let ending = Ending {
            reply: self.reply,
            result: self.result,
        };
        (self.turn, answer, ending)
    }

    /// The answer as a message. The caller's beginning of it is in the conversation already.
    fn message(&self) -> Message {
        let prefix = self.options.response_prefix.as_deref().unwrap_or_default();
        Message {
            reasoning: self.result.reasoning.clone(),
            tool_calls: self.result.tool_calls.clone(),
            ..Message::new(Role::Assistant, self.result.text.strip_prefix(prefix).unwrap_or(&self.result.text))
        }
    }

    /// Whether an abort keeps what there is.
    pub(super) fn keeps_aborted(&self) -> bool {
        self.options.keeps_aborted && self.result.usage.completion_tokens > 0
    }

    /// Ends it with an error.
    pub(super) fn fail(self, error: Error) {
        self.reply.end(Err(error));
    }

    fn timings(&self) -> Timings {
        let Some(first_token_at) = self.first_token_at else {
            return Timings {
                prompt: self.started_at.elapsed(),
                threads: self.result.timings.threads,
                ..Timings::default()
            };
        };
        let generation = first_token_at.elapsed();
        let seconds = generation.as_secs_f64();
        let later_tokens = u32::try_from(self.result.usage.completion_tokens.saturating_sub(1)).unwrap_or(u32::MAX);
        Timings {
            prompt: first_token_at - self.started_at,
            first_token: first_token_at - self.accepted_at,
            generation,
            tokens_per_second: if seconds > 0.0 { f64::from(later_tokens) / seconds } else { 0.0 },
            threads: self.result.timings.threads,
        }
    }
}
