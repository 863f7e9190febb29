//! The correctness oracle: whatever is reused, batched, cut into chunks or left out, the tokens are those of a plain loop over llama.cpp on
//! the same rendered prompt.

use crate::support::bench::{Asked, Bench, Chat, answer};
use crate::support::plain::{PlainLoop, options, tokens_of};
use crate::support::{Random, Worker};
use llama_worker_engine::chat::{Message, Role};
use llama_worker_engine::llama::Token;
use llama_worker_engine::session::overflow;
use llama_worker_engine::worker::{ContextOptions, Input, SessionId, StopReason};

const MAX_TOKENS: u32 = 40;

/// Something that a user may say; some of it long.
fn saying(random: &mut Random) -> String {
    const SAYINGS: [&str; 12] = [
        "What is the capital of France?",
        "My name is Ana.",
        "What is my name?",
        "Hello!",
        "Count from 1 to 12.",
        "What is the opposite of hot?",
        "Qual é a capital do Brasil?",
        "How much is 7 + 5?",
        "Tell me a story about a cat.",
        "What do you think of this? 🐱 é ü 日本",
        "Who are you?",
        "I live in Lisbon and my favourite colour is green.",
    ];
    let saying = SAYINGS[random.below(SAYINGS.len())];
    if random.below(6) == 0 {
        return format!(
            "{saying} {}",
            "The quick brown fox jumps over the lazy dog. ".repeat(random.below(12))
        );
    }
    saying.to_owned()
}

#[test]
fn reuse_batching_and_any_chunking_give_the_tokens_of_a_plain_loop() {
    let bench = Bench::built_in("oracle");
    let mut random = Random::new(1);
    let (mut n_bytes, mut n_cached) = (0, 0);
    // With room for all states, for none, for a few; with as many places as sessions ask, and with fewer.
    for (batch_size, sequences, session_cache) in [(512, 4, 64 << 20), (7, 2, 1 << 20), (64, 4, 0), (1, 1, 64 << 20)] {
        bench.create_context_with(2048, batch_size, sequences, session_cache);
        let system = format!("You are a helpful assistant. {}", saying(&mut random));
        let begin = |id| bench.chat_with(id, if id < 3 { "" } else { &system });
        let mut chats: Vec<Chat<'_>> = (1..=6).map(begin).collect();
        for _round in 0..3 {
            let asked: Vec<Asked> = chats.iter_mut().map(|chat| chat.ask(&saying(&mut random), MAX_TOKENS)).collect();
            for (chat, asked) in chats.iter_mut().zip(&asked) {
                n_cached += chat.check(asked).0;
                n_bytes += chat.messages.last().map_or(0, |answer| answer.content.len());
            }
        }
    }
    assert!(
        n_bytes > 2000 && n_cached > 1000,
        "answers of {n_bytes} bytes, {n_cached} tokens reused"
    );
}

/// As the built-in model is used: 8-bit weights, and attention as the machine likes it. Prompts are evaluated at once, as in the plain loop, because
/// another way to cut them rounds otherwise, see [`crate::support::bench`].
#[test]
fn what_is_evaluated_alike_is_the_same_with_every_rounding() {
    let plain = PlainLoop::new();
    let worker = Worker::ready();
    let context = ContextOptions {
        context_size: Some(2048),
        batch_size: Some(2048),
        sequences: Some(1),
        session_cache: Some(0),
        ..Default::default()
    };
    let mut random = Random::new(4);
    for _ in 0..12 {
        // Nothing is in memory.
        worker.create_context(context.clone()).unwrap();
        let messages = vec![Message::new(Role::User, saying(&mut random))];
        let prompt = plain.prompt(&messages);
        let (tokens, result) = tokens_of(&worker.start(Input::Messages(messages.clone()), options(MAX_TOKENS)).0);
        assert_eq!(result.usage.cached_tokens, 0);
        assert_eq!(tokens, plain.answer(&prompt, MAX_TOKENS), "{messages:?}");
    }
}

#[test]
fn what_is_dropped_is_as_if_it_had_never_been_said() {
    const CONTEXT: usize = 512;
    let bench = Bench::built_in("oracle-dropped");
    bench.create_context(512, 512, 4);
    let mut random = Random::new(2);
    let mut messages = vec![Message::new(Role::System, "You are a helpful assistant.")];
    bench.worker.create_session(SessionId(1), messages.clone());
    let (mut n_dropped, mut n_compared) = (0, 0);
    for _ in 0..30 {
        let text = saying(&mut random);
        messages.push(Message::new(Role::User, text.clone()));
        let (tokens, result) = tokens_of(&bench.worker.start_in(SessionId(1), Input::Prompt(text), options(MAX_TOKENS)).0);
        n_dropped = result.usage.dropped_messages;
        let n_turns = (0..messages.len())
            .find(|n| overflow::dropped_messages(&messages, *n) == n_dropped)
            .unwrap();
        let shown = overflow::without_oldest(&messages, n_turns);
        let rendered = bench.plain.prompt(&shown);
        // An answer that itself was cut off in the middle went on behind another prompt.
        if rendered.len() == result.usage.prompt_tokens && rendered.len() + tokens.len() < CONTEXT {
            bench.compare(&tokens, &rendered, MAX_TOKENS, &format!("{shown:?}"));
            n_compared += 1;
        }
        messages.push(answer(&result));
    }
    assert!(
        n_dropped > 10 && n_compared > 20,
        "{n_dropped} messages were dropped, {n_compared} answers compared"
    );
}

/// When the context is full in the middle of an answer, it goes on behind the shortened conversation and what it has written.
#[test]
fn an_answer_that_fills_the_context_goes_on_behind_a_shorter_conversation() {
    const CONTEXT: usize = 760;
    let bench = Bench::built_in("oracle-full");
    bench.create_context(760, 512, 4);
    let turn = [
        (Role::User, "What is the capital of France?"),
        (Role::Assistant, "The capital of France is Paris."),
    ];
    let before = turn.iter().cycle().take(24).chain(&[(Role::User, "Tell me a long story.")]);
    let messages: Vec<Message> = before.map(|(role, content)| Message::new(*role, *content)).collect();
    let (tokens, result) = tokens_of(&bench.worker.start(Input::Messages(messages.clone()), options(1000)).0);
    let dropped = result.usage.dropped_messages;
    assert!(dropped > 0 && dropped < 24, "{result:?}");
    assert_eq!(result.stop_reason, StopReason::EogToken);

    let whole = bench.plain.prompt(&messages);
    let n_first = CONTEXT - whole.len() + 1;
    assert!(tokens.len() > n_first, "the answer fills the context");
    let (first, rest) = tokens.split_at(n_first);
    bench.compare(first, &whole, u32::try_from(n_first).unwrap(), "before");
    let mut shortened = bench.plain.prompt(&messages[dropped..]);
    shortened.extend(first.iter().map(|token| Token::new(*token)));
    bench.compare(rest, &shortened, 1000, "behind");
}
