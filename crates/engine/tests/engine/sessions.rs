//! Several sessions on one engine thread, their histories, and conversations that become too long.

use crate::support::{Events, Worker};
use llama_worker_engine::chat::{ChatOptions, Message, Role};
use llama_worker_engine::error::Error;
use llama_worker_engine::worker::{ContextOptions, Event, GenerationOptions, Input, Job, Overflow, SessionId, StopReason};

const ONE: SessionId = SessionId(1);
const TWO: SessionId = SessionId(2);

fn prompt(text: &str) -> Input {
    Input::Prompt(text.into())
}

fn context_of(size: u32) -> ContextOptions {
    ContextOptions {
        context_size: Some(size),
        ..Default::default()
    }
}

fn contents(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| &*message.content).collect()
}

#[test]
fn sessions_do_not_know_of_each_other() {
    let worker = Worker::ready();
    worker.create_session(ONE, vec![]);
    worker.create_session(TWO, vec![]);
    worker.ask(ONE, "My name is Ana.");
    worker.ask(TWO, "My name is Bruno.");
    worker.prompt("My name is Clara.");
    assert!(worker.ask(ONE, "What is my name?").text.contains("Ana"));
    assert!(worker.ask(TWO, "What is my name?").text.contains("Bruno"));
    assert!(worker.prompt("What is my name?").text.contains("Clara"));
}

#[test]
fn sessions_generate_at_the_same_time() {
    let worker = Worker::ready();
    worker.create_session(ONE, vec![]);
    worker.create_session(TWO, vec![]);
    let long = worker
        .start_in(ONE, prompt("Tell me a long story."), GenerationOptions::default())
        .0;
    while !matches!(long.next(), Event::Text(_)) {}
    let short = worker.ask(TWO, "What is the capital of France?");
    assert!(short.text.contains("Paris"));
    let (text, result) = long.end();
    assert!(text.len() > 100, "the story went on after the short answer was there");
    assert_eq!(result.unwrap().stop_reason, StopReason::EogToken);
}

#[test]
fn more_sessions_than_sequences_take_turns_and_lose_nothing() {
    let worker = Worker::ready();
    worker
        .create_context(ContextOptions {
            sequences: Some(2),
            ..context_of(1024)
        })
        .unwrap();
    let names = ["Ana", "Bruno", "Clara", "Diego", "Elena"];
    let sessions: Vec<SessionId> = (1..=5).map(SessionId).collect();
    for id in &sessions {
        worker.create_session(*id, vec![]);
    }
    for (question, is_telling) in [("My name is ", true), ("What is my name?", false)] {
        let asked = sessions.iter().zip(names).map(|(id, name)| {
            let text = if is_telling {
                format!("{question}{name}.")
            } else {
                question.to_owned()
            };
            worker.start_in(*id, Input::Prompt(text), GenerationOptions::default()).0
        });
        let asked: Vec<_> = asked.collect();
        for (events, name) in asked.iter().zip(names) {
            let text = events.end().1.unwrap().text;
            assert!(text.contains(name), "{text}");
        }
    }
}

/// All sequences share the context's memory: when it is full, idle ones are forgotten and running ones wait, but every answer is whole.
#[test]
fn sessions_that_do_not_fit_together_get_their_answers_one_after_another() {
    let worker = Worker::ready();
    worker
        .create_context(ContextOptions {
            sequences: Some(4),
            ..context_of(512)
        })
        .unwrap();
    let alone = worker.generate(prompt("Tell me a long story."), GenerationOptions::default());
    let filler = "The quick brown fox jumps over the lazy dog. ".repeat(8);
    let sessions: Vec<SessionId> = (1..=4).map(SessionId).collect();
    for id in &sessions {
        let before = vec![Message::new(Role::User, filler.clone()), Message::new(Role::Assistant, "I see.")];
        worker.create_session(*id, before);
    }
    let stories: Vec<_> = sessions
        .iter()
        .map(|id| {
            worker
                .start_in(*id, prompt("Tell me a long story."), GenerationOptions::default())
                .0
        })
        .collect();
    for events in &stories {
        let (streamed, result) = events.end();
        let result = result.unwrap();
        assert_eq!(streamed, result.text);
        assert_eq!(result.stop_reason, StopReason::EogToken);
        assert_eq!(result.text.len() > 100, alone.text.len() > 100, "{}", result.text);
    }
}

/// One that waited for memory once waited for ever when the other was aborted.
#[test]
fn who_waits_for_memory_goes_on_when_another_is_aborted() {
    let worker = Worker::ready();
    worker.create_context(context_of(512)).unwrap();
    let filler = "The quick brown fox jumps over the lazy dog. ".repeat(8);
    for id in [ONE, TWO] {
        let before = vec![Message::new(Role::User, filler.clone()), Message::new(Role::Assistant, "I see.")];
        worker.create_session(id, before);
    }
    let options = || GenerationOptions {
        streams_tokens: true,
        ..Default::default()
    };
    // Together they need more than there is after some 150 tokens; the one that began last then waits.
    for n_tokens in [100, 200, 230] {
        let (first, abort) = worker.start_in(ONE, prompt("Tell me a long story."), options());
        let second = worker.start_in(TWO, prompt("Tell me a long story."), options()).0;
        let mut n_heard = 0;
        while n_heard < n_tokens {
            match first.next() {
                Event::Tokens(tokens) => n_heard += tokens.len(),
                Event::Ended(result) => panic!("the story is too short: {result:?}"),
                _ => {}
            }
        }
        abort.set();
        assert_eq!(second.end().1.unwrap().stop_reason, StopReason::EogToken);
        first.end().1.unwrap();
        worker.job(TWO, Job::Reset).unwrap();
    }
}

#[test]
fn histories_come_out_go_in_and_go_back() {
    let worker = Worker::ready();
    let system = Message::new(Role::System, "You are a helpful assistant.");
    worker.create_session(ONE, vec![system.clone()]);
    let answer = worker.ask(ONE, "My name is Ana.").text;
    let history = worker.history(ONE).unwrap();
    assert_eq!(contents(&history), ["You are a helpful assistant.", "My name is Ana.", &answer]);

    let renamed: Vec<Message> = history
        .into_iter()
        .map(|message| Message {
            content: message.content.replace("Ana", "Bruno"),
            ..message
        })
        .collect();
    worker.job(ONE, |reply| Job::SetHistory(renamed, reply)).unwrap();
    assert!(worker.ask(ONE, "What is my name?").text.contains("Bruno"));

    worker.job(ONE, Job::Reset).unwrap();
    assert_eq!(worker.history(ONE).unwrap(), [system]);
}

#[test]
fn jobs_of_a_session_wait_for_its_generations() {
    let worker = Worker::ready();
    worker.create_session(ONE, vec![]);
    let answer = worker
        .start_in(ONE, prompt("Tell me a long story."), GenerationOptions::default())
        .0;
    let history = worker.history(ONE).unwrap();
    assert_eq!(contents(&history), ["Tell me a long story.", &answer.end().1.unwrap().text]);
}

#[test]
fn a_disposed_session_answers_so() {
    let worker = Worker::ready();
    worker.create_session(ONE, vec![]);
    let last = worker.start_in(ONE, prompt("Hello!"), GenerationOptions::default()).0;
    worker.job(ONE, Job::Dispose).unwrap();
    assert!(last.end().1.is_ok(), "what was asked before is answered");
    assert!(matches!(worker.history(ONE), Err(Error::SessionDisposed)));
    let late = worker.start_in(ONE, prompt("Hello!"), GenerationOptions::default()).0;
    assert!(matches!(late.end().1, Err(Error::SessionDisposed)));
    worker.create_session(TWO, vec![]);
    worker.create_context(ContextOptions::default()).unwrap();
    assert!(
        matches!(worker.history(TWO), Err(Error::SessionDisposed)),
        "a new context begins anew"
    );
}

#[test]
fn a_preloaded_prompt_is_not_evaluated_again_and_leaves_no_trace() {
    let worker = Worker::ready();
    let question = format!("{} What is the capital of France?", "The quick brown fox jumps. ".repeat(20));
    let preload = GenerationOptions {
        is_preload: true,
        ..Default::default()
    };
    let loaded = worker.generate(prompt(&question), preload);
    assert_eq!((&*loaded.text, loaded.usage.completion_tokens), ("", 0));
    assert!(worker.history(SessionId::DEFAULT).unwrap().is_empty());
    let answer = worker.prompt(&question);
    assert_eq!(answer.usage.cached_tokens, answer.usage.prompt_tokens - 1);
}

#[test]
fn the_tokens_of_a_conversation_can_be_counted() {
    let worker = Worker::ready();
    let count = |text: Option<&str>| {
        worker.job(SessionId::DEFAULT, |reply| Job::CountTokens {
            prompt: text.map(ToOwned::to_owned),
            options: Box::new(ChatOptions::default()),
            reply,
        })
    };
    assert_eq!(count(None).unwrap(), 0);
    let counted = count(Some("Hello!")).unwrap();
    assert_eq!(counted, worker.prompt("Hello!").usage.prompt_tokens);
}

#[test]
fn an_aborted_answer_is_kept_if_that_was_asked_for() {
    let worker = Worker::ready();
    for keeps_aborted in [false, true] {
        let options = GenerationOptions {
            keeps_aborted,
            ..Default::default()
        };
        let (events, abort) = worker.start(prompt("Tell me a long story."), options);
        while !matches!(events.next(), Event::Text(_)) {}
        abort.set();
        let result = events.end().1.unwrap();
        assert_eq!(result.stop_reason, StopReason::Abort);
        let history = worker.history(SessionId::DEFAULT).unwrap();
        let expected: &[&str] = if keeps_aborted {
            &["Tell me a long story.", &result.text]
        } else {
            &[]
        };
        assert_eq!(contents(&history), expected);
    }
}

#[test]
fn old_turns_are_dropped_and_system_prompt_and_history_stay() {
    let worker = Worker::ready();
    worker.create_context(context_of(256)).unwrap();
    worker.create_session(ONE, vec![Message::new(Role::System, "Your name is Zed.")]);
    let mut dropped = 0;
    for round in 0..12 {
        let result = worker.ask(ONE, "What is the capital of France?");
        assert!(result.text.contains("Paris"), "round {round}: {}", result.text);
        assert!(result.usage.dropped_messages >= dropped, "what is gone stays gone");
        dropped = result.usage.dropped_messages;
    }
    assert!(dropped > 4, "{dropped} messages were dropped");
    assert_eq!(worker.history(ONE).unwrap().len(), 1 + 12 * 2, "the history is whole");
    assert!(worker.ask(ONE, "What is your name?").text.contains("Zed"));
}

#[test]
fn turns_are_dropped_seldom_so_that_memory_can_be_reused() {
    let worker = Worker::ready();
    worker.create_context(context_of(512)).unwrap();
    let changes = (0..30).map(|_| worker.prompt("What is the capital of France?").usage.dropped_messages);
    let changes: Vec<usize> = changes.collect();
    let n_drops = changes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!((1..=6).contains(&n_drops), "dropped at {n_drops} of 30 turns: {changes:?}");
}

#[test]
fn a_prompt_that_alone_does_not_fit_is_refused_with_both_numbers() {
    let worker = Worker::ready();
    worker.create_context(context_of(256)).unwrap();
    worker.prompt("My name is Ana.");
    let too_long = "The quick brown fox jumps over the lazy dog. ".repeat(40);
    let error = worker.start(prompt(&too_long), GenerationOptions::default()).0.end().1.unwrap_err();
    let Error::PromptTooLong {
        prompt_tokens,
        context_size,
    } = error
    else {
        panic!("{error}")
    };
    assert!(prompt_tokens >= 256 && context_size == 256, "{prompt_tokens} {context_size}");
    assert!(worker.prompt("What is my name?").text.contains("Ana"), "nothing was lost");
}

#[test]
fn overflow_can_be_an_error() {
    let worker = Worker::ready();
    worker.create_context(context_of(256)).unwrap();
    let strict = || GenerationOptions {
        overflow: Overflow::Error,
        ..Default::default()
    };
    let mut errors = Vec::new();
    for _ in 0..12 {
        let (_, result) = worker.start(prompt("What is the capital of France?"), strict()).0.end();
        errors.extend(result.err());
    }
    assert!(errors.iter().all(|error| matches!(error, Error::PromptTooLong { .. })) && !errors.is_empty());
    worker.create_context(context_of(256)).unwrap();
    worker.prompt("My name is Ana.");
    let full = worker.generate(prompt("Tell me a long story."), strict());
    assert_eq!(full.stop_reason, StopReason::ContextFull);
}

#[test]
fn an_answer_longer_than_the_context_ends_where_it_is_full() {
    let worker = Worker::ready();
    worker.create_context(context_of(256)).unwrap();
    let result = worker.generate(prompt("Tell me a long story."), GenerationOptions::default());
    assert_eq!(result.stop_reason, StopReason::ContextFull);
    assert_eq!(
        result.usage.prompt_tokens + result.usage.completion_tokens,
        257,
        "the last token needs no room"
    );
}

#[test]
fn important_sessions_get_their_prompts_evaluated_first() {
    let worker = Worker::ready();
    worker
        .create_context(ContextOptions {
            batch_size: Some(64),
            ..context_of(2048)
        })
        .unwrap();
    worker.create_session(ONE, vec![]);
    worker.create_session(TWO, vec![]);
    let long = "The quick brown fox jumps over the lazy dog. ".repeat(30);
    let with = |priority| GenerationOptions {
        priority,
        max_tokens: Some(1),
        ..Default::default()
    };
    // What they have in common would be evaluated once.
    let blocker = worker.start(prompt(&long), with(5)).0;
    let unimportant = worker.start_in(ONE, prompt(&format!("One. {long}")), with(1)).0;
    let important = worker.start_in(TWO, prompt(&format!("Two. {long}")), with(5)).0;
    blocker.end().1.unwrap();
    let important = important.end().1.unwrap();
    let unimportant = unimportant.end().1.unwrap();
    assert!(important.timings.first_token < unimportant.timings.first_token);
}

#[test]
fn every_command_of_a_session_is_answered_when_the_worker_stops() {
    let worker = Worker::ready();
    worker.create_session(ONE, vec![]);
    let events: Vec<_> = (0..5)
        .map(|_| {
            worker
                .start_in(ONE, prompt("Tell me a long story."), GenerationOptions::default())
                .0
        })
        .collect();
    let (reply, history) = Events::reply();
    worker.handle.submit(ONE, Job::History(reply));
    drop(worker);
    for events in events {
        let _ = events.end();
    }
    let _ = history.end();
}
