//! The correctness oracle: whatever is reused, batched, cut into chunks or left out, the tokens are those of a plain loop over llama.cpp on
//! the same rendered prompt.

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
    let plain = PlainLoop::new();
    let worker = Worker::ready();
    let mut random = Random::new(1);
    let (mut n_compared, mut n_ties) = (0, 0);
    // With room for all states, for none, for a few; with as many places as sessions ask, and with fewer.
    for (batch_size, sequences, session_cache) in [(512, 4, 64 << 20), (7, 2, 1 << 20), (64, 4, 0), (1, 1, 64 << 20)] {
        let context = ContextOptions {
            batch_size: Some(batch_size),
            context_size: Some(2048),
            sequences: Some(sequences),
            session_cache: Some(session_cache),
            ..Default::default()
        };
        worker.create_context(context).unwrap();
        let system = Message::new(Role::System, format!("You are a helpful assistant. {}", saying(&mut random)));
        let begin = |id| (SessionId(id), if id < 3 { vec![] } else { vec![system.clone()] });
        let mut said: Vec<(SessionId, Vec<Message>)> = (1..=6).map(begin).collect();
        for (id, messages) in &said {
            worker.create_session(*id, messages.clone());
        }
        for _round in 0..3 {
            let mut under_way = Vec::new();
            for (id, messages) in &mut said {
                let prompt = saying(&mut random);
                messages.push(Message::new(Role::User, prompt.clone()));
                under_way.push(worker.start_in(*id, Input::Prompt(prompt), options(MAX_TOKENS)).0);
            }
            for ((_, messages), events) in said.iter_mut().zip(under_way) {
                let (tokens, result) = tokens_of(&events);
                let expected = plain.answer_with_margins(&plain.prompt(messages), MAX_TOKENS);
                let answered = format!(
                    "n_batch {batch_size}, {sequences} sequences, {messages:?} was answered with {:?}",
                    result.text
                );
                n_ties += usize::from(is_other_side_of_a_tie(&tokens, &expected, &answered));
                n_compared += tokens.len();
                let answer = Message {
                    reasoning: result.reasoning,
                    ..Message::new(Role::Assistant, result.text)
                };
                messages.push(answer);
            }
        }
    }
    assert!(n_compared > 500, "only {n_compared} tokens were compared");
    assert!(n_ties <= 2, "{n_ties} answers are not those of the plain loop");
}

/// Compares an answer; returns whether it is another one because two tokens were as good as equally likely. The fused attention computes with 16
/// bits: whether a prompt is evaluated at once or a token at a time changes a logit of this model by up to a half.
fn is_other_side_of_a_tie(tokens: &[i32], expected: &[(i32, f32)], case: &str) -> bool {
    const TIE: f32 = 0.5;
    let Some(place) =
        (0..tokens.len().max(expected.len())).find(|place| tokens.get(*place) != expected.get(*place).map(|(token, _)| token))
    else {
        return false;
    };
    let is_tie = expected.get(place).is_some_and(|(_, margin)| *margin < TIE);
    assert!(is_tie, "token {place} is another: {tokens:?}, not {expected:?}: {case}");
    true
}

#[test]
fn what_is_dropped_is_as_if_it_had_never_been_said() {
    const CONTEXT: usize = 512;
    let plain = PlainLoop::new();
    let worker = Worker::ready();
    worker
        .create_context(ContextOptions {
            context_size: Some(512),
            ..Default::default()
        })
        .unwrap();
    let mut random = Random::new(2);
    let mut messages = vec![Message::new(Role::System, "You are a helpful assistant.")];
    worker.create_session(SessionId(1), messages.clone());
    let mut n_dropped = 0;
    for _ in 0..30 {
        let prompt = saying(&mut random);
        messages.push(Message::new(Role::User, prompt.clone()));
        let (tokens, result) = tokens_of(&worker.start_in(SessionId(1), Input::Prompt(prompt), options(MAX_TOKENS)).0);
        n_dropped = result.usage.dropped_messages;
        let n_turns = (0..messages.len())
            .find(|n| overflow::dropped_messages(&messages, *n) == n_dropped)
            .unwrap();
        let shown = overflow::without_oldest(&messages, n_turns);
        let rendered = plain.prompt(&shown);
        // An answer that itself was cut off in the middle went on behind another prompt.
        if rendered.len() == result.usage.prompt_tokens && rendered.len() + tokens.len() < CONTEXT {
            assert_eq!(
                tokens,
                plain.answer(&rendered, MAX_TOKENS),
                "{shown:?} was answered with {:?}",
                result.text
            );
        }
        let answer = Message {
            reasoning: result.reasoning,
            ..Message::new(Role::Assistant, result.text)
        };
        messages.push(answer);
    }
    assert!(n_dropped > 10, "only {n_dropped} messages were dropped");
}

/// When the context is full in the middle of an answer, it goes on behind the shortened conversation and what it has written.
#[test]
fn an_answer_that_fills_the_context_goes_on_behind_a_shorter_conversation() {
    const CONTEXT: usize = 512;
    let plain = PlainLoop::new();
    let worker = Worker::ready();
    worker
        .create_context(ContextOptions {
            context_size: Some(512),
            ..Default::default()
        })
        .unwrap();
    let turn = [
        (Role::User, "What is the capital of France?"),
        (Role::Assistant, "The capital of France is Paris."),
    ];
    let before = turn.iter().cycle().take(24).chain(&[(Role::User, "Tell me a long story.")]);
    let messages: Vec<Message> = before.map(|(role, content)| Message::new(*role, *content)).collect();
    let (tokens, result) = tokens_of(&worker.start(Input::Messages(messages.clone()), options(1000)).0);
    let dropped = result.usage.dropped_messages;
    assert!(dropped > 0 && dropped < 24, "{result:?}");
    assert_eq!(result.stop_reason, StopReason::EogToken);

    let whole = plain.prompt(&messages);
    let n_first = CONTEXT - whole.len() + 1;
    let mut expected = plain.answer(&whole, u32::try_from(n_first).unwrap());
    assert_eq!(expected.len(), n_first, "the answer fills the context");
    let mut shortened = plain.prompt(&messages[dropped..]);
    shortened.extend(expected.iter().map(|token| Token::new(*token)));
    expected.extend(plain.answer(&shortened, 1000));
    assert_eq!(tokens, expected, "{}", result.text);
}
