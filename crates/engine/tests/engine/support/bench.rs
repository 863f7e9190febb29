//! A model of any kind, in a worker and in a plain loop, and sessions of the worker that know what they should answer.

use std::ops::Range;
use std::time::{Duration, Instant};

use llama_worker_engine::chat::{Message, Role};
use llama_worker_engine::llama::{FlashAttention, KvCacheType};
use llama_worker_engine::worker::{ContextOptions, Event, GenerationOptions, GenerationResult, Input, Job, SessionId, StopReason};

use super::plain::{PlainLoop, options, tokens_of};
use super::small_models::Kind;
use super::{Events, Random, TemporaryFolder, Worker};

pub(crate) const MAX_TOKENS: u32 = 12;

/// A model of one kind, in a worker and in a plain loop. Everything is computed with 32 bits, which the fused
/// attention does not: what batching rounds stays far below the distance of the two likeliest tokens.
pub(crate) struct Bench {
    pub(crate) worker: Worker,
    pub(crate) plain: PlainLoop,
    _folder: TemporaryFolder,
}

impl Bench {
    pub(crate) fn of(kind: Kind, name: &str) -> Self {
        let folder = TemporaryFolder::new(&format!("{name}-{kind:?}"));
        let path = folder.write("model.gguf", &kind.file());
        let worker = Worker::unready();
        worker.init().unwrap();
        worker.load(&path).unwrap();
        Self {
            worker,
            plain: PlainLoop::over(&path, KvCacheType::F32, FlashAttention::Off),
            _folder: folder,
        }
    }

    pub(crate) fn create_context(&self, context_size: u32, batch_size: u32, sequences: u32) {
        self.create_context_with(context_size, batch_size, sequences, 64 << 20);
    }

    pub(crate) fn create_context_with(&self, context_size: u32, batch_size: u32, sequences: u32, session_cache: u64) {
        let options = ContextOptions {
            context_size: Some(context_size),
            batch_size: Some(batch_size),
            sequences: Some(sequences),
            kv_cache_type: KvCacheType::F32,
            flash_attention: FlashAttention::Off,
            session_cache: Some(session_cache),
            ..Default::default()
        };
        self.worker.create_context(options).unwrap();
    }

    pub(crate) fn chat(&self, id: u32) -> Chat<'_> {
        self.chat_with(id, "")
    }

    pub(crate) fn chat_with(&self, id: u32, system: &str) -> Chat<'_> {
        let messages: Vec<Message> = (!system.is_empty())
            .then(|| Message::new(Role::System, system))
            .into_iter()
            .collect();
        self.worker.create_session(SessionId(id), messages.clone());
        Chat {
            bench: self,
            id: SessionId(id),
            messages,
        }
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
        self.messages.push(Message::new(Role::User, text));
        let events = self
            .bench
            .worker
            .start_in(self.id, Input::Prompt(text.to_owned()), options(max_tokens))
            .0;
        Asked { events, max_tokens }
    }

    /// Waits for the answer and compares it; returns how many tokens of the prompt were in memory, and how many it has.
    pub(crate) fn check(&mut self, asked: &Asked) -> (usize, usize) {
        let (tokens, result) = tokens_of(&asked.events);
        let prompt = self.bench.plain.prompt(&self.messages);
        assert_eq!(prompt.len(), result.usage.prompt_tokens);
        let (expected, margins): (Vec<i32>, Vec<f32>) = self.bench.plain.answer_with_margins(&prompt, asked.max_tokens).into_iter().unzip();
        let cached = result.usage.cached_tokens;
        let memory = format!("{cached} of {} tokens kept", prompt.len());
        assert_eq!(tokens, expected, "{:?}, {memory}, {margins:?}: {:?}", self.id, self.messages);
        self.messages.push(Message::new(Role::Assistant, result.text));
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
