//! Models of every kind of memory - attention, sliding window, recurrent, hybrid - answer token by token as a plain loop over llama.cpp does,
//! whatever is kept in memory, edited, aborted, forgotten or left out.

use std::time::Duration;

use crate::support::Random;
use crate::support::bench::{Asked, Bench, Chat, MAX_TOKENS, wait, words};
use crate::support::plain::{options, tokens_of};
use crate::support::small_models::{Kind, Vocabulary};
use llama_worker_engine::chat::{Message, Role};
use llama_worker_engine::llama::{AbortFlag, Batch, Context, ContextParams, Decoded, Stake, Token};
use llama_worker_engine::session::overflow;
use llama_worker_engine::worker::{Input, SessionId};

fn microseconds(random: &mut Random, below: usize) -> Duration {
    Duration::from_micros(random.below(below) as u64)
}

/// Something that happens to a conversation before the next question.
fn change(chat: &mut Chat<'_>, random: &mut Random) {
    let n_messages = chat.messages.len();
    match random.below(6) {
        0 if n_messages > 0 => {
            let text = words(random, 1..20);
            chat.edit(random.below(n_messages), &text);
        }
        1 => {
            let n_system = chat.n_system();
            chat.shorten(n_system + random.below((n_messages - n_system) / 2 + 1) * 2);
        }
        2 => chat.abort(&words(random, 1..30), Duration::ZERO, random.below(2) == 0),
        3 => {
            let delay = microseconds(random, 8000);
            chat.abort(&words(random, 1..30), delay, random.below(2) == 0);
        }
        _ => {}
    }
}

/// What a round of conversations runs over: the context's size, that of a batch, sequences, bytes for saved states, sessions.
type Setting = (u32, u32, u32, u64, u32);

const SETTINGS: [Setting; 4] = [
    (1536, 512, 2, 64 << 20, 3),
    (1536, 24, 2, 0, 3),
    // Room for a state or two; and a context that is full all the time.
    (1536, 64, 2, 200 << 10, 4),
    (1024, 64, 4, 64 << 20, 5),
];

/// More sessions than sequences: each question comes from another session or from the same, so that memory is continued, shared, cut, given away
/// and restored. All but the first begin with the same words.
fn check_conversations(kind: Kind, seed: u64) {
    const ROUNDS: usize = 6;
    let bench = Bench::of(kind, "conversations");
    let mut random = Random::new(seed);
    let mut n_cached = 0;
    for (context_size, batch_size, sequences, session_cache, n_sessions) in SETTINGS {
        bench.create_context_with(context_size, batch_size, sequences, session_cache);
        let system = words(&mut random, 20..40);
        let begin = |id| bench.chat_with(id, if id == 1 { "" } else { &system });
        let mut chats: Vec<Chat<'_>> = (1..=n_sessions).map(begin).collect();
        for _ in 0..ROUNDS {
            for chat in &mut chats {
                change(chat, &mut random);
            }
            let together = 1 + random.below(chats.len());
            for chats in chats.chunks_mut(together) {
                let asked: Vec<Asked> = chats
                    .iter_mut()
                    .map(|chat| chat.ask(&words(&mut random, 1..30), MAX_TOKENS))
                    .collect();
                n_cached += chats.iter_mut().zip(&asked).map(|(chat, asked)| chat.check(asked).0).sum::<usize>();
            }
            let longest = if context_size < 1536 { 0 } else { 6 };
            for chat in chats.iter_mut().filter(|chat| chat.messages.len() > longest) {
                chat.shorten(chat.n_system() + longest / 3);
            }
        }
    }
    assert!(n_cached > 500, "{kind:?} has kept {n_cached} tokens");
}

#[test]
fn conversations_over_attention_with_byte_pairs() {
    check_conversations(Kind::Attention(Vocabulary::BytePairs), 1);
}

#[test]
fn conversations_over_attention_with_sentence_pieces() {
    check_conversations(Kind::Attention(Vocabulary::SentencePiece { puts_space: true }), 2);
}

#[test]
fn conversations_over_a_sliding_window() {
    check_conversations(Kind::SlidingWindow, 3);
}

#[test]
fn conversations_over_recurrent_memory() {
    check_conversations(Kind::Recurrent, 4);
}

#[test]
fn conversations_over_hybrid_memory() {
    check_conversations(Kind::Hybrid, 5);
}

/// Without this the other tests would prove nothing: an answer depends on words long before it.
#[test]
fn every_kind_remembers_the_beginning_of_a_conversation() {
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "beginning");
        let answer_after = |first: &str| {
            let turns = [
                (Role::User, first),
                (Role::Assistant, "ABC"),
                (Role::User, "the hat is in the house"),
            ];
            let messages: Vec<Message> = turns.iter().map(|(role, text)| Message::new(*role, *text)).collect();
            bench.plain.answer(&bench.plain.prompt(&messages), 24)
        };
        let answers = ["mother", "mothes", "another"].map(answer_after);
        assert!(answers[0] != answers[1] && answers[1] != answers[2], "{kind:?}: {answers:?}");
    }
}

#[test]
fn only_memory_that_continues_as_a_whole_is_kept_where_it_cannot_be_cut() {
    for kind in [Kind::Recurrent, Kind::Hybrid] {
        let bench = Bench::of(kind, "whole");
        bench.create_context_with(1024, 512, 1, 0);
        let mut chat = bench.chat(1);
        chat.say("the hat");
        let (cached, _) = chat.say("is it you?");
        assert!(cached > 20, "{kind:?} continues: {cached} {:?}", chat.messages);
        chat.edit(2, "is it me?");
        assert_eq!(chat.say("no").0, 0, "{kind:?} begins anew");
    }
}

/// llama.cpp gives cells that no window shows any more to whoever needs one, whether the sequence they belong to may be cut back or not.
#[test]
fn a_window_that_others_have_written_over_is_not_taken_for_whole() {
    let bench = Bench::of(Kind::SlidingWindow, "window");
    bench.create_context(1024, 512, 2);
    let (mut one, mut two) = (bench.chat(1), bench.chat(2));
    let mut random = Random::new(6);
    one.say(&words(&mut random, 60..61));
    two.say(&words(&mut random, 10..11));
    two.say(&words(&mut random, 40..41));
    two.say(&words(&mut random, 40..41));
    one.shorten(0);
    one.say(&words(&mut random, 120..121));
    two.edit(2, "the hat");
    let (cached, length) = two.say("is it you?");
    assert!(cached < length, "{cached} of {length} tokens kept");
    assert!(two.say("and me?").0 > 0, "the rest of the conversation is kept again");
}

/// When the context is full in the middle of an answer, it goes on behind the shortened conversation and what it has written.
#[test]
fn answers_that_fill_the_context_go_on_behind_a_shorter_conversation() {
    const CONTEXT: usize = 512;
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "full");
        bench.create_context(512, 64, 2);
        let mut random = Random::new(8);
        let mut messages = Vec::new();
        while bench.plain.prompt(&messages_and(&messages)).len() < CONTEXT - 60 {
            messages.push(Message::new(Role::User, words(&mut random, 2..5)));
            messages.push(Message::new(Role::Assistant, "ABC"));
        }
        messages.truncate(messages.len() - 2);
        let messages = messages_and(&messages);
        let whole = bench.plain.prompt(&messages);
        let n_first = CONTEXT - whole.len() + 1;
        let max_tokens = u32::try_from(n_first + 20).unwrap();
        let (tokens, result) = tokens_of(&bench.worker.start(Input::Messages(messages.clone()), options(max_tokens)).0);
        let dropped = result.usage.dropped_messages;
        assert!(dropped > 0, "{kind:?}: {result:?}");

        let mut expected = bench.plain.answer(&whole, u32::try_from(n_first).unwrap());
        let mut shortened = bench.plain.prompt(&messages[dropped..]);
        shortened.extend(expected.iter().map(|token| Token::new(*token)));
        expected.extend(bench.plain.answer(&shortened, 20));
        assert_eq!(tokens, expected, "{kind:?}");
    }
}

fn messages_and(messages: &[Message]) -> Vec<Message> {
    let question = Message::new(Role::User, "the hat?");
    messages.iter().cloned().chain([question]).collect()
}

#[test]
fn what_is_dropped_is_as_if_it_had_never_been_said() {
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "dropped");
        bench.create_context(256, 64, 1);
        bench.worker.create_session(SessionId(1), vec![]);
        let (mut random, mut messages, mut n_dropped) = (Random::new(9), Vec::new(), 0);
        for _ in 0..10 {
            let text = words(&mut random, 1..8);
            messages.push(Message::new(Role::User, text.clone()));
            let (tokens, result) = tokens_of(&bench.worker.start_in(SessionId(1), Input::Prompt(text), options(MAX_TOKENS)).0);
            n_dropped = result.usage.dropped_messages;
            let n_turns = (0..messages.len())
                .find(|n| overflow::dropped_messages(&messages, *n) == n_dropped)
                .unwrap();
            let prompt = bench.plain.prompt(&overflow::without_oldest(&messages, n_turns));
            // An answer that itself was cut off in the middle went on behind another prompt.
            if prompt.len() == result.usage.prompt_tokens && prompt.len() + tokens.len() < 256 {
                assert_eq!(tokens, bench.plain.answer(&prompt, MAX_TOKENS), "{kind:?}: {messages:?}");
            }
            messages.push(Message::new(Role::Assistant, result.text));
        }
        assert!(n_dropped > 4, "{kind:?} has dropped {n_dropped} messages");
    }
}

/// llama.cpp moves the states of others about when it evaluates several sequences: cut short, these are lost.
#[test]
fn an_evaluation_cut_short_costs_no_other_session_its_memory() {
    for kind in [Kind::Recurrent, Kind::Hybrid] {
        let bench = Bench::of(kind, "bystander");
        bench.create_context(2048, 1024, 4);
        let mut random = Random::new(10);
        let mut chats: Vec<Chat<'_>> = (1..=4).map(|id| bench.chat(id)).collect();
        for _ in 0..10 {
            for chat in &mut chats {
                chat.shorten(0);
                chat.say(&words(&mut random, 1..4));
            }
            cut_two_short(&chats, &mut random);
            for chat in &mut chats {
                // What was answered all the same is taken back.
                chat.set(chat.messages.clone());
                chat.say("is it you?");
            }
        }
    }
}

/// Aborts two sessions in an evaluation of both, at any moment of it. They begin together when a third has ended.
fn cut_two_short(chats: &[Chat<'_>], random: &mut Random) {
    let text = words(random, 60..61);
    let mut order = [0, 1, 2, 3];
    (1..order.len()).rev().for_each(|end| order.swap(end, random.below(end + 1)));
    let start = |chat: &Chat<'_>, n: u32| chat.bench.worker.start_in(chat.id, Input::Prompt(text.clone()), options(n));
    let before = start(&chats[order[0]], 1);
    let under_way = [order[1], order[2]].map(|index| start(&chats[index], 200));
    drop(tokens_of(&before.0));
    wait(microseconds(random, 8000));
    for (_, abort) in &under_way {
        abort.set();
    }
    for (events, _) in &under_way {
        drop(tokens_of(events));
    }
}

/// What is evaluated together ends early when half of it is not wanted any more.
#[test]
fn a_prompt_aborted_at_any_moment_changes_nothing_for_the_answer_beside_it() {
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "beside");
        bench.create_context(2048, 512, 2);
        let mut random = Random::new(11);
        let (mut answering, mut aborted) = (bench.chat(1), bench.chat(2));
        for _ in 0..12 {
            let asked = answering.ask(&words(&mut random, 1..8), MAX_TOKENS);
            let delay = microseconds(&mut random, 4000);
            aborted.abort(&words(&mut random, 60..90), delay, false);
            answering.check(&asked);
            answering.shorten(0);
        }
        aborted.say("is it you?");
    }
}

/// Evaluates `tokens` behind the first `from` of each of `sequences`; returns the logits behind the last one.
fn evaluate(context: &mut Context<'_>, sequences: &[i32], from: usize, tokens: &[Token], stakes: &[Stake]) -> (Decoded, Vec<f32>) {
    let mut batch = Batch::new(512);
    for sequence in sequences {
        for (index, token) in tokens.iter().enumerate() {
            batch.add(*token, from + index, *sequence, index + 1 == tokens.len());
        }
    }
    let decoded = context.decode(&batch, stakes).unwrap();
    let logits = context.logits(batch.len() - 1).ok().filter(|_| decoded == Decoded::Done);
    (decoded, logits.unwrap_or_default().to_vec())
}

#[test]
fn where_memory_cannot_be_cut_an_evaluation_ends_early_only_when_nobody_wants_it() {
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "half");
        let prompt = bench.plain.prompt(&[Message::new(Role::User, "the hat is in the house")]);
        let params = ContextParams {
            sequences: 2,
            ..bench.plain.params()
        };
        let can_cut = bench.plain.model.can_cut_memory();
        for (unwanted, is_ended) in [([false, false], false), ([true, false], can_cut), ([true, true], true)] {
            let mut context = Context::new(&bench.plain.model, &params).unwrap();
            let stakes = unwanted.map(|is_unwanted| {
                let abort = AbortFlag::default();
                if is_unwanted {
                    abort.set();
                }
                let n_tokens = prompt.len();
                Stake { abort, n_tokens }
            });
            let decoded = evaluate(&mut context, &[0, 1], 0, &prompt, &stakes).0;
            let expected = if is_ended { Decoded::Aborted } else { Decoded::Done };
            assert_eq!(decoded, expected, "{kind:?}, {unwanted:?}");
        }
    }
}

/// The logits behind the second of three sequences; where it `is_disturbed`, after the evaluation of the two others was cut short.
fn second_of_three(bench: &Bench, is_disturbed: bool) -> Vec<f32> {
    const HELD: usize = 16;
    let params = ContextParams {
        sequences: 3,
        ..bench.plain.params()
    };
    let texts = ["the hat is in the house", "my hat is not in the house", "you and me and the house"];
    let prompts = texts.map(|text| bench.plain.prompt(&[Message::new(Role::User, text)]));
    let mut context = Context::new(&bench.plain.model, &params).unwrap();
    for (sequence, prompt) in (0..).zip(&prompts) {
        evaluate(&mut context, &[sequence], 0, &prompt[..HELD], &[]);
    }
    if is_disturbed {
        let stake = Stake {
            abort: AbortFlag::default(),
            n_tokens: 1,
        };
        stake.abort.set();
        let decoded = evaluate(&mut context, &[0, 2], HELD, &prompts[0][HELD..], &[stake]).0;
        assert_eq!(decoded, Decoded::Aborted);
    }
    let held = context.held(1);
    assert!(held == HELD || is_disturbed && held == 0, "{held}");
    evaluate(&mut context, &[1], held, &prompts[1][held..], &[]).1
}

#[test]
fn an_evaluation_cut_short_spoils_no_other_sequence_unnoticed() {
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "other");
        let logits = [false, true].map(|is_disturbed| second_of_three(&bench, is_disturbed));
        let differences = logits[0].iter().zip(&logits[1]).map(|(one, other)| (one - other).abs());
        let largest = differences.fold(0.0, f32::max);
        assert!(!logits[0].is_empty() && largest < 1e-3, "{kind:?}: {largest}");
    }
}

/// Neither refuses what needs little.
#[test]
fn the_memory_of_states_is_not_reckoned_as_that_of_attention() {
    for kind in Kind::ALL {
        let bench = Bench::of(kind, "memory");
        let huge = ContextParams {
            context_size: u32::MAX,
            ..bench.plain.params()
        };
        assert!(Context::check(&bench.plain.model, &bench.plain.params(), 0).is_ok(), "{kind:?}");
        let is_refused = Context::check(&bench.plain.model, &huge, 0).is_err();
        assert_eq!(is_refused, !matches!(kind, Kind::Recurrent | Kind::Hybrid), "{kind:?}");
    }
}
