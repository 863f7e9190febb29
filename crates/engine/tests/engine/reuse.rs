//! What has been evaluated once is not evaluated again: sessions share what they begin with, come back after they have lost their place, and, where
//! memory cannot be cut back, begin at a saved state. Every answer is compared token by token with that of a plain loop.

use crate::support::bench::{Asked, Bench, Chat, MAX_TOKENS, words};
use crate::support::plain::options;
use crate::support::small_models::Kind;
use crate::support::{Random, Worker};
use llama_worker_engine::chat::{Message, Role};
use llama_worker_engine::error::Error;
use llama_worker_engine::llama::{Batch, Context, ContextParams, Decoded, FlashAttention, KvCacheType, Token};
use llama_worker_engine::worker::{ContextOptions, GenerationOptions, Input, Job, SessionId};

/// What a template puts around a message, and what of a beginning may differ where texts meet.
const AROUND: usize = 24;

fn system(seed: u64) -> String {
    words(&mut Random::new(seed), 60..61)
}

/// Tokens of what `chat` has said, up to its newest answer.
fn said(chat: &Chat<'_>) -> usize {
    chat.bench.plain.prompt(&chat.messages).len() - AROUND
}

fn can_cut(kind: Kind) -> bool {
    !matches!(kind, Kind::Recurrent | Kind::Hybrid)
}

/// Four sessions that ask at the same time evaluate what they begin with once, in one batch or in many.
#[test]
fn sessions_that_ask_at_the_same_time_evaluate_their_common_beginning_once() {
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "together");
        for (batch_size, session_cache) in [(512, 64 << 20), (16, 0)] {
            bench.create_context_with(4096, batch_size, 5, session_cache);
            let mut chats: Vec<Chat<'_>> = (1..=4).map(|id| bench.chat_with(id, &system(1))).collect();
            // They begin when this is over.
            let long = Input::Prompt(words(&mut Random::new(2), 400..401));
            let before = bench.worker.start(long, options(1)).0;
            let common = said(&chats[0]);
            let questions = ["the hat", "is it you?", "my mother", "no"];
            let asked: Vec<Asked> = chats
                .iter_mut()
                .zip(questions)
                .map(|(chat, text)| chat.ask(text, MAX_TOKENS))
                .collect();
            let cached: Vec<usize> = chats.iter_mut().zip(&asked).map(|(chat, asked)| chat.check(asked).0).collect();
            before.end().1.unwrap();
            assert!(cached[0] < AROUND, "{kind:?}: one of them evaluates it, {cached:?}");
            assert!(
                cached[1..].iter().all(|cached| *cached > common),
                "{kind:?}: {common} in common, {cached:?}"
            );
        }
    }
}

/// One that begins later finds the beginning in a sequence that has gone on since, if that can be cut back.
#[test]
fn a_session_shares_what_an_older_one_began_with() {
    for kind in Kind::ALL.into_iter().filter(|kind| can_cut(*kind)) {
        let bench = Bench::of(kind, "older");
        bench.create_context_with(2048, 512, 4, 0);
        let mut old = bench.chat_with(1, &system(2));
        let common = said(&old);
        old.say("the hat");
        old.say("is it you?");
        let mut new = bench.chat_with(2, &system(2));
        assert!(new.say("no").0 > common, "{kind:?}");
        assert!(old.say("and me?").0 > said(&old) / 2, "{kind:?}: the older one has lost nothing");
    }
}

/// Where it cannot be cut back, the third one finds a state: the second has shown where beginnings part, or the first where its system prompt ends.
#[test]
fn a_system_prompt_has_a_state_of_its_own_where_memory_cannot_be_cut() {
    for kind in [Kind::Recurrent, Kind::Hybrid] {
        let bench = Bench::of(kind, "system");
        bench.create_context(2048, 512, 1);
        let mut first = bench.chat_with(1, &system(3));
        let common = said(&first);
        first.say("the hat");
        let cached: Vec<usize> = (2..=3).map(|id| bench.chat_with(id, &system(3)).say("is it you?").0).collect();
        assert!(
            cached.iter().all(|cached| *cached > common),
            "{kind:?}: {common} in common, {cached:?}"
        );
        // It is nobody's: the session that left it may go.
        bench.worker.job(SessionId(1), Job::Dispose).unwrap();
        assert!(bench.chat_with(4, &system(3)).say("my mother").0 > common, "{kind:?}");
    }
}

#[test]
fn a_session_that_has_lost_its_place_comes_back_without_evaluation() {
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "back");
        for session_cache in [64 << 20, 0] {
            bench.create_context_with(2048, 512, 1, session_cache);
            let mut chats: Vec<Chat<'_>> = (1..=3).map(|id| bench.chat_with(id, &system(10 + u64::from(id)))).collect();
            for round in 0..3 {
                for chat in &mut chats {
                    let before = said(chat);
                    let (cached, length) = chat.say("is it you?");
                    let comes_back = round > 0 && session_cache > 0;
                    let case = format!("{kind:?}, round {round}: {cached} of {length} tokens, {before} said before");
                    assert_eq!(cached > before, comes_back, "{case}");
                }
            }
        }
    }
}

/// When all sequences have their place but the memory is full, the oldest goes; it comes back too.
#[test]
fn a_session_that_was_forgotten_for_want_of_room_comes_back() {
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Recurrent) {
        let bench = Bench::of(kind, "room");
        bench.create_context(1024, 512, 4);
        let mut chats: Vec<Chat<'_>> = (1..=4)
            .map(|id| bench.chat_with(id, &words(&mut Random::new(u64::from(id)), 110..111)))
            .collect();
        let mut n_back = 0;
        for round in 0..2 {
            for chat in &mut chats {
                let before = said(chat);
                let (cached, _) = chat.say("is it you?");
                n_back += usize::from(round > 0 && cached > before);
            }
        }
        assert_eq!(n_back, 4, "{kind:?}");
    }
}

/// A budget for one state holds one.
#[test]
fn states_beyond_the_budget_are_dropped_the_oldest_first() {
    let kind = Kind::ALL[0];
    let bench = Bench::of(kind, "budget");
    // Keys and values of this model take 512 bytes a token, what is said below some 300 tokens.
    bench.create_context_with(2048, 512, 1, 300 << 10);
    let mut chats: Vec<Chat<'_>> = (1..=3).map(|id| bench.chat_with(id, &system(20 + u64::from(id)))).collect();
    for chat in &mut chats {
        chat.say("the hat");
    }
    // The third has its place, the second its state. What the first then needs is gone, and the state of the third goes for that of the second.
    let cached = [1, 0, 2, 0].map(|index: usize| chats[index].say("no").0 > AROUND);
    assert_eq!(cached, [true, false, false, true]);
}

/// What was saved for a session goes with it.
#[test]
fn a_disposed_session_leaves_no_states() {
    let kind = Kind::ALL[0];
    for is_disposed in [false, true] {
        let bench = Bench::of(kind, "disposed");
        bench.create_context(2048, 512, 1);
        let mut first = bench.chat_with(1, &system(30));
        first.say("the hat");
        bench.chat_with(2, &system(31)).say("no");
        let messages = first.messages.clone();
        if is_disposed {
            bench.worker.job(SessionId(1), Job::Dispose).unwrap();
            assert!(matches!(bench.worker.history(SessionId(1)), Err(Error::SessionDisposed)));
        }
        let mut heir = bench.chat(3);
        heir.set(messages);
        let cached = heir.say("is it you?").0;
        assert_eq!(cached < AROUND, is_disposed, "{cached}");
    }
}

/// The newest question is asked otherwise: all before it is kept, or nearly so.
#[test]
fn an_edited_conversation_begins_at_the_last_state_that_fits() {
    for kind in [Kind::Recurrent, Kind::Hybrid] {
        let bench = Bench::of(kind, "edited");
        bench.create_context(2048, 512, 2);
        let mut chat = bench.chat_with(1, &system(40));
        for text in ["the hat is in the house", "is it you or is it me?", "my mother is not in the house"] {
            chat.say(text);
        }
        let before = bench.plain.prompt(&chat.messages[..3]).len() - AROUND;
        chat.shorten(5);
        assert!(chat.say("no and no and no").0 > before, "{kind:?}: another third question");
        chat.shorten(3);
        chat.edit(1, "the house is in the hat");
        let (cached, _) = chat.say("is it you?");
        let first = bench.plain.prompt(&chat.messages[..1]).len() - AROUND;
        assert!(cached > first, "{kind:?}: another first question, {cached} of {first}");
        // Asked once more, word by word.
        chat.shorten(3);
        let (cached, length) = chat.say("is it you?");
        assert!(cached + AROUND > length, "{kind:?}: {cached} of {length}");
    }
}

/// Generations that wait for memory go on where they were.
#[test]
fn answers_that_had_to_wait_for_memory_are_those_of_a_plain_loop() {
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "waiting");
        for session_cache in [64 << 20, 0] {
            bench.create_context_with(512, 128, 4, session_cache);
            let mut chats: Vec<Chat<'_>> = (1..=4)
                .map(|id| bench.chat_with(id, &words(&mut Random::new(u64::from(id)), 40..50)))
                .collect();
            let asked: Vec<Asked> = chats.iter_mut().map(|chat| chat.ask("the hat", 100)).collect();
            for (chat, asked) in chats.iter_mut().zip(&asked) {
                chat.check(asked);
            }
        }
    }
}

/// Prompts that wait for the beginning that another evaluates go on by themselves when that is aborted.
#[test]
fn nobody_waits_for_a_prompt_that_was_aborted() {
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "leader");
        bench.create_context_with(2048, 8, 4, 0);
        let mut random = Random::new(50);
        for _ in 0..5 {
            let text = words(&mut random, 60..61);
            let (first, abort) = bench.worker.start_in(
                SessionId::DEFAULT,
                Input::Prompt(format!("{text} the hat")),
                GenerationOptions::default(),
            );
            let mut chats: Vec<Chat<'_>> = (1..=2).map(|id| bench.chat(id)).collect();
            let asked: Vec<Asked> = chats.iter_mut().map(|chat| chat.ask(&text, MAX_TOKENS)).collect();
            abort.set();
            first.end().1.unwrap();
            for (chat, asked) in chats.iter_mut().zip(&asked) {
                chat.check(asked);
            }
            for id in 1..=2 {
                bench.worker.job(SessionId(id), Job::Dispose).unwrap();
            }
        }
    }
}

/// Logits behind `tokens`, which go on behind the first `from` of `sequence`.
fn logits(context: &mut Context<'_>, sequence: i32, from: usize, tokens: &[Token]) -> Vec<f32> {
    let mut batch = Batch::new(512);
    for (index, token) in tokens.iter().enumerate() {
        batch.add(*token, from + index, sequence, index + 1 == tokens.len());
    }
    assert_eq!(context.decode(&batch, &[]), Ok(Decoded::Done));
    context.logits(batch.len() - 1).unwrap().to_vec()
}

fn assert_close(one: &[f32], other: &[f32], case: &str) {
    let largest = one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(one.len() == other.len() && largest < 1e-3, "{case}: {largest}");
}

/// One that failed to come back leaves nothing behind, and costs no other anything.
#[test]
fn a_state_for_which_there_is_no_room_leaves_an_empty_sequence() {
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Recurrent) {
        let bench = Bench::of(kind, "no-room");
        let params = ContextParams {
            context_size: 256,
            batch_size: 256,
            sequences: 2,
            ..bench.plain.params()
        };
        let prompt = bench.plain.prompt(&[Message::new(Role::User, system(60))]);
        let (text, more) = (&prompt[..100], &prompt[100..110]);
        let mut context = Context::new(&bench.plain.model, &params).unwrap();
        let n_cells = context.context_size();
        logits(&mut context, 0, 0, text);
        let state = context.save(0).expect("a state");
        assert!(state.n_bytes() > 0 && state.n_bytes() == context.state_bytes(0));
        let expected = logits(&mut context, 0, 100, more);
        // What is in the way fills the memory but for less than the state needs.
        context.clear(0);
        let filler: Vec<Token> = (0..n_cells - 50).map(|index| prompt[index % 100]).collect();
        logits(&mut context, 1, 0, &filler);
        assert!(!context.restore(0, &state), "{kind:?}");
        assert_eq!((context.held(0), context.held(1)), (0, filler.len()), "{kind:?}");
        context.clear(1);
        assert!(context.restore(0, &state), "{kind:?}");
        assert_close(&logits(&mut context, 0, 100, more), &expected, &format!("{kind:?}"));
    }
}

/// Whatever the format of keys and values is, and however the cells of several sequences lie among each other.
#[test]
fn states_of_every_format_come_back_in_another_sequence() {
    let bench = Bench::built_in("formats");
    let plain = &bench.plain;
    let prompt = plain.prompt(&[Message::new(Role::User, "The quick brown fox jumps over the lazy dog. ".repeat(12))]);
    let (text, more) = (&prompt[..100], &prompt[100..110]);
    for kv_cache_type in [KvCacheType::F16, KvCacheType::F32, KvCacheType::Q8_0, KvCacheType::Q4_0] {
        let params = ContextParams {
            sequences: 2,
            kv_cache_type,
            // Formats of blocks need the fused attention.
            flash_attention: FlashAttention::Auto,
            ..plain.params()
        };
        let mut context = Context::new(&plain.model, &params).unwrap();
        for (index, part) in text.chunks(7).enumerate() {
            for sequence in [0, 1] {
                logits(&mut context, sequence, index * 7, part);
            }
        }
        let state = context.save(0).expect("a state");
        let expected = logits(&mut context, 0, 100, more);
        context.clear(0);
        assert!(context.restore(1, &state), "{kv_cache_type:?}");
        let found = logits(&mut context, 1, 100, more);
        let difference = expected
            .iter()
            .zip(&found)
            .map(|(one, other)| (one - other).abs())
            .fold(0.0, f32::max);
        assert!(difference < 0.1, "{kv_cache_type:?}: {difference}");
    }
}

/// Whichever of two that share cells goes on, is cut or is forgotten: the other one notices nothing.
#[test]
fn what_one_does_with_shared_memory_is_not_seen_by_the_other() {
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "shared");
        let params = ContextParams {
            sequences: 3,
            ..bench.plain.params()
        };
        let prompt = bench.plain.prompt(&[Message::new(Role::User, system(70))]);
        let (text, more, other) = (&prompt[..60], &prompt[60..70], &prompt[20..50]);
        let mut context = Context::new(&bench.plain.model, &params).unwrap();
        logits(&mut context, 0, 0, text);
        assert_eq!(context.can_share(0, 40), can_cut(kind), "{kind:?}: a part");
        assert!(
            !context.can_share(0, 61) && !context.can_share(1, 1),
            "{kind:?}: more than there is"
        );
        for to in [1, 2] {
            assert!(context.share(0, to, 60), "{kind:?}");
        }
        let expected = logits(&mut context, 0, 60, more);
        logits(&mut context, 1, 60, other);
        context.clear(0);
        assert_close(&logits(&mut context, 2, 60, more), &expected, &format!("{kind:?}"));
        assert_eq!((context.held(0), context.held(1), context.held(2)), (0, 90, 70), "{kind:?}");
    }
}

/// More than the machine has is refused, whatever the model; nothing at all is kept when that was asked for.
#[test]
fn the_budget_is_told_and_checked() {
    let worker = Worker::ready();
    let with = |session_cache| ContextOptions {
        session_cache,
        ..Default::default()
    };
    for wanted in [0, 1, 12_345_678] {
        assert_eq!(worker.create_context(with(Some(wanted))).unwrap().session_cache, wanted);
    }
    let default = worker.create_context(with(None)).unwrap().session_cache;
    assert!(default <= 512 << 20, "{default}");
    worker.prompt("My name is Ana.");
    assert!(matches!(
        worker.create_context(with(Some(1 << 50))),
        Err(Error::InsufficientMemory { .. })
    ));
    assert!(worker.prompt("What is my name?").text.contains("Ana"), "a refusal changes nothing");
    for kind in [Kind::Recurrent, Kind::Hybrid] {
        let bench = Bench::of(kind, "budget-of");
        assert!(matches!(
            bench.worker.create_context(with(Some(1 << 50))),
            Err(Error::InsufficientMemory { .. })
        ));
    }
}
