//! A model, in a worker and in a plain loop, and sessions of the worker that know what they should answer.
//!
//! Everything is computed with 32 bits, so that every token can be compared. llama.cpp rounds otherwise, and not always alike: 8-bit weights round what
//! they are multiplied with to 8 bits, the fused attention computes with 16, and a difference in the last place, from how many tokens are evaluated
//! at once or from where they lie in memory, becomes one of up to 1.2 in a logit of the built-in model. With 32 bits it is below 0.0001.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use llama_worker_engine::chat::{Message, Role};
use llama_worker_engine::llama::{FlashAttention, KvCacheType, Token, WeightFormat, write_quantized};
use llama_worker_engine::worker::{ContextOptions, Event, GenerationOptions, GenerationResult, Input, Job, SessionId, StopReason};

use super::plain::{PlainLoop, options, tokens_of};
use super::small_models::Kind;
use super::{Events, Random, TemporaryFolder, Worker, model_path};

pub(crate) const MAX_TOKENS: u32 = 12;

/// More than what the order of sums changes in the distance of the built-in model's two likeliest tokens, which rarely are that close. A question where
/// they are proves nothing.
const ROUNDING: f32 = 2e-4;

/// A model, in a worker and in a plain loop.
pub(crate) struct Bench {
    pub(crate) worker: Worker,
    pub(crate) plain: PlainLoop,
    /// The plain loop's two likeliest tokens are never closer.
    least_margin: f32,
    _folder: TemporaryFolder,
}

impl Bench {
    pub(crate) fn of(kind: Kind, name: &str) -> Self {
        let folder = TemporaryFolder::new(&format!("{name}-{kind:?}"));
        let path = folder.write("model.gguf", &kind.file());
        Self::over(&path, folder, 0.0)
    }

    /// Over the built-in model, see [`unrounded_model`].
    pub(crate) fn built_in(name: &str) -> Self {
        let folder = TemporaryFolder::new(&format!("{name}-built-in"));
        Self::over(&unrounded_model(&folder), folder, ROUNDING)
    }

    fn over(path: &Path, folder: TemporaryFolder, least_margin: f32) -> Self {
        let worker = Worker::unready();
        worker.init().unwrap();
        worker.load(path).unwrap();
        Self {
            worker,
            plain: PlainLoop::over(path, KvCacheType::F32, FlashAttention::Off),
            least_margin,
            _folder: folder,
        }
    }

    pub(crate) fn create_context(&self, context_size: u32, batch_size: u32, sequences: u32) {
        self.create_context_with(context_size, batch_size, sequences, 64 << 20);
    }

    pub(crate) fn create_context_with(&self, context_size: u32, batch_size: u32, sequences: u32, session_cache: u64) {
        let options = ContextOptions {
            batch_size: Some(batch_size),
            sequences: Some(sequences),
            session_cache: Some(session_cache),
            ..unrounded_context(context_size)
        };
        self.worker.create_context(options).unwrap();
    }

    /// Asserts that `tokens` are what a plain loop answers to `prompt`.
    pub(crate) fn compare(&self, tokens: &[i32], prompt: &[Token], max_tokens: u32, case: &str) {
        let (expected, margins) = self.plain.answer_with_margins(prompt, max_tokens);
        let narrowest = margins.iter().copied().fold(f32::INFINITY, f32::min);
        assert_eq!(tokens, expected, "{margins:?}, {case}");
        assert!(
            narrowest >= self.least_margin,
            "two tokens are as good as equally likely, ask something else: {margins:?}, {case}"
        );
    }

    pub(crate) fn chat(&self, id: u32) -> Chat<'_> {
        self.chat_with(id, "")
    }

    pub(crate) fn chat_with(&self, id: u32, system: &str) -> Chat<'_> {
        let said = (!system.is_empty()).then(|| Message::new(Role::System, system));
        let messages: Vec<Message> = said.into_iter().collect();
        self.worker.create_session(SessionId(id), messages.clone());
        Chat {
            bench: self,
            id: SessionId(id),
            messages,
        }
    }
}

/// The built-in model with the numbers that its weights stand for, in `folder`.
pub(crate) fn unrounded_model(folder: &TemporaryFolder) -> PathBuf {
    let path = folder.path().join("model.gguf");
    write_quantized(&model_path(), &path, WeightFormat::F32).unwrap();
    path
}

pub(crate) fn unrounded_context(context_size: u32) -> ContextOptions {
    ContextOptions {
        context_size: Some(context_size),
        kv_cache_type: KvCacheType::F32,
        flash_attention: FlashAttention::Off,
        ..Default::default()
    }
}

/// A session, and what it should know.
pub(crate) struct Chat<'bench> {
    pub(crate) bench: &'bench Bench,
    pub(crate) id: SessionId,
    pub(crate) messages: Vec<Message>,
}

/// An answer under way.
pub(crate) struct Asked {
    pub(crate) events: Events<GenerationResult>,
    pub(crate) max_tokens: u32,
}

impl Chat<'_> {
    pub(crate) fn ask(&mut self, text: &str, max_tokens: u32) -> Asked {
        self.ask_with(text, options(max_tokens))
    }

    pub(crate) fn ask_with(&mut self, text: &str, options: GenerationOptions) -> Asked {
        self.messages.push(Message::new(Role::User, text));
        let max_tokens = options.max_tokens.unwrap_or(u32::MAX);
        let input = Input::Prompt(text.to_owned());
        let events = self.bench.worker.start_in(self.id, input, options).0;
        Asked { events, max_tokens }
    }

    /// Waits for the answer and compares it; returns how many tokens of the prompt were in memory, and how many it has.
    pub(crate) fn check(&mut self, asked: &Asked) -> (usize, usize) {
        let (tokens, result) = tokens_of(&asked.events);
        let prompt = self.bench.plain.prompt(&self.messages);
        assert_eq!(prompt.len(), result.usage.prompt_tokens);
        let cached = result.usage.cached_tokens;
        let case = format!("{:?}, {cached} of {} tokens kept: {:?}", self.id, prompt.len(), self.messages);
        self.bench.compare(&tokens, &prompt, asked.max_tokens, &case);
        self.messages.push(answer(&result));
        (cached, prompt.len())
    }

    pub(crate) fn say(&mut self, text: &str) -> (usize, usize) {
        let asked = self.ask(text, MAX_TOKENS);
        self.check(&asked)
    }

    pub(crate) fn set(&mut self, messages: Vec<Message>) {
        self.bench
            .worker
            .job(self.id, |reply| Job::SetHistory(messages.clone(), reply))
            .unwrap();
        self.messages = messages;
    }

    /// Other words in place of something said before.
    pub(crate) fn edit(&mut self, index: usize, text: &str) {
        let mut messages = self.messages.clone();
        text.clone_into(&mut messages[index].content);
        self.set(messages);
    }

    /// Messages before the first turn.
    pub(crate) fn n_system(&self) -> usize {
        usize::from(self.messages.first().is_some_and(|message| message.role == Role::System))
    }

    /// Back to the first `n_messages`.
    pub(crate) fn shorten(&mut self, n_messages: usize) {
        self.set(self.messages[..n_messages].to_vec());
    }

    /// Begins a long answer and aborts it after `delay`. What there was of it is right, and is kept when asked for.
    pub(crate) fn abort(&mut self, text: &str, delay: Duration, keeps_aborted: bool) {
        let options = GenerationOptions {
            keeps_aborted,
            ..options(400)
        };
        let (events, abort) = self.bench.worker.start_in(self.id, Input::Prompt(text.to_owned()), options);
        if delay.is_zero() {
            while !matches!(events.next(), Event::Tokens(_)) {}
        } else {
            wait(delay);
        }
        abort.set();
        let result = tokens_of(&events).1;
        // On a busy machine the answer may have come to its end before.
        let is_aborted = result.stop_reason == StopReason::Abort;
        assert!(is_aborted || result.stop_reason == StopReason::MaxTokens, "{result:?}");
        if !is_aborted || keeps_aborted && result.usage.completion_tokens > 0 {
            let turn = [Message::new(Role::User, text), Message::new(Role::Assistant, result.text)];
            self.messages.extend(turn);
        }
        assert_eq!(self.bench.worker.history(self.id).unwrap(), self.messages);
    }
}

/// An answer as it stands in the conversation.
pub(crate) fn answer(result: &GenerationResult) -> Message {
    Message {
        reasoning: result.reasoning.clone(),
        ..Message::new(Role::Assistant, result.text.clone())
    }
}

/// Busy, because a sleep is too long.
pub(crate) fn wait(duration: Duration) {
    let since = Instant::now();
    while since.elapsed() < duration {
        std::hint::spin_loop();
    }
}

pub(crate) fn words(random: &mut Random, lengths: Range<usize>) -> String {
    const WORDS: [&str; 10] = ["the", "hat", "is", "QX", "user", "7", "mother", "É", "no", "assistant?"];
    let n_words = lengths.start + random.below(lengths.end - lengths.start);
    let words: Vec<&str> = (0..n_words).map(|_| WORDS[random.below(WORDS.len())]).collect();
    words.join(" ")
}
