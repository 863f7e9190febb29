//! The decode loop a step at a time, over the built-in model.

use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver};

use super::*;
use crate::chat::{Message, Role};
use crate::llama::{AbortFlag, KvCacheType, ModelParams, WeightFormat, testing, write_quantized};
use crate::sampling::Constraint;
use crate::session::Input;

/// With the numbers that its weights stand for: what is evaluated at once and what is evaluated one by one rounds otherwise with 8 bits.
fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let backend = testing::backend();
        let path = std::env::temp_dir().join(format!("llama-worker-scheduler-{}.gguf", std::process::id()));
        write_quantized(&testing::built_in_path(), &path, WeightFormat::F32).unwrap();
        let params = ModelParams {
            use_mmap: Some(false),
            ..testing::model_params(path.clone())
        };
        let model = Model::load(backend, &params, &AbortFlag::default(), |_| {}).unwrap();
        std::fs::remove_file(path).unwrap();
        model
    })
}

fn format() -> ChatFormat<'static> {
    ChatFormat::new(model(), None).unwrap()
}

fn scheduler<'model>(format: &'model ChatFormat<'model>) -> Scheduler<'model> {
    let params = ContextParams {
        context_size: 512,
        batch_size: 512,
        sequences: 2,
        kv_cache_type: KvCacheType::F32,
        ..testing::context_params()
    };
    Scheduler::new(model(), format, &params, Conversations::new()).unwrap()
}

const QUESTION: &str = "What is the capital of France?";

fn request(
    question: &str,
    options: GenerationOptions,
    abort: &AbortFlag,
    mut on_event: impl FnMut(&Event<GenerationResult>) + Send + 'static,
) -> (Job, Receiver<Event<GenerationResult>>) {
    let (sender, events) = mpsc::channel();
    let request = GenerationRequest {
        input: Input::Prompt(question.into()),
        options,
        abort: abort.clone(),
        accepted_at: Instant::now(),
        reply: Reply::new(move |event| {
            on_event(&event);
            sender.send(event).unwrap();
        }),
    };
    (Job::Generate(Box::new(request)), events)
}

/// An evaluation that comes too late. With a full memory of layers that have a window it takes what the newest tokens do not see; here all.
fn lose_memory(scheduler: &mut Scheduler<'_>) {
    scheduler.start_waiting();
    scheduler.reuse_memory();
    scheduler.fill_batch();
    scheduler.context.set_patience(Some(Duration::ZERO));
    assert_eq!(scheduler.context.decode(&scheduler.batch, &[]), Ok(Decoded::Late));
    scheduler.context.clear(scheduler.slots[0].sequence);
    scheduler.resync();
}

/// The tokens of an answer that loses its memory after so many steps.
fn answer(lost_after: usize) -> Vec<i32> {
    let format = format();
    let mut scheduler = scheduler(&format);
    let (job, events) = request(QUESTION, streaming(), &AbortFlag::default(), |_| {});
    scheduler.submit(SessionId::DEFAULT, job);
    let mut n_steps = 0;
    while !scheduler.is_idle() {
        scheduler.step();
        n_steps += 1;
        if n_steps == lost_after {
            lose_memory(&mut scheduler);
        }
    }
    tokens_of(&events)
}

#[test]
fn an_answer_whose_memory_an_evaluation_took_is_the_same() {
    let undisturbed = answer(usize::MAX);
    assert!(undisturbed.len() > 5, "{undisturbed:?}");
    for lost_after in 1..undisturbed.len() {
        assert_eq!(answer(lost_after), undisturbed, "lost after {lost_after} steps");
    }
}

fn tokens_of(events: &Receiver<Event<GenerationResult>>) -> Vec<i32> {
    let tokens = |event| match event {
        Event::Tokens(tokens) => tokens,
        Event::Ended(Err(error)) => panic!("{error}"),
        _ => vec![],
    };
    events.try_iter().flat_map(tokens).collect()
}

fn streaming() -> GenerationOptions {
    GenerationOptions {
        max_tokens: Some(12),
        streams_tokens: true,
        ..Default::default()
    }
}

/// An answer under way in the default session, beside a session that has nothing to do yet.
fn begin_stream(scheduler: &mut Scheduler<'_>) -> Receiver<Event<GenerationResult>> {
    let (job, events) = request(QUESTION, streaming(), &AbortFlag::default(), |_| {});
    scheduler.submit(SessionId::DEFAULT, job);
    while scheduler.lanes[&SessionId::DEFAULT].demand(&scheduler.slots).0 != Demand::Token {
        scheduler.step();
    }
    scheduler.create_session(SessionId(1), Conversation::default());
    events
}

#[test]
fn an_aborted_prompt_does_not_wait_for_the_evaluation_that_it_shares() {
    let undisturbed = answer(usize::MAX);
    let format = format();
    let mut scheduler = scheduler(&format);
    let answered = begin_stream(&mut scheduler);
    let abort = AbortFlag::default();
    let (job, asked) = request("Say something about the sea, please!", streaming(), &abort, |_| {});
    scheduler.submit(SessionId(1), job);
    scheduler.start_waiting();
    scheduler.reuse_memory();
    scheduler.fill_batch();
    assert!(scheduler.batch.len() > 2 && scheduler.stakes().len() == 2);
    abort.set();
    assert_eq!(
        scheduler.context.decode(&scheduler.batch, &scheduler.stakes()),
        Ok(Decoded::Aborted)
    );
    scheduler.resync();
    while !scheduler.is_idle() {
        scheduler.step();
    }
    let last = asked.try_iter().last();
    assert!(
        matches!(&last, Some(Event::Ended(Ok(result))) if result.stop_reason == StopReason::Abort),
        "{last:?}"
    );
    assert_eq!(tokens_of(&answered), undisturbed);
}

#[test]
fn answers_that_take_turns_are_the_same() {
    let undisturbed = answer(usize::MAX);
    let format = format();
    let mut scheduler = scheduler(&format);
    // Turns pay by far, as this seems to have been measured.
    loop {
        let (width, seconds) = if scheduler.batching.is_together(2) { (2, 9.0) } else { (1, 1.0) };
        if width == 1 && !scheduler.batching.is_looking() {
            break;
        }
        scheduler.batching.observe(width, Some(seconds));
    }
    let ids = [SessionId::DEFAULT, SessionId(1)];
    let answers = ids.map(|id| {
        scheduler.create_session(id, Conversation::default());
        let (job, events) = request(QUESTION, streaming(), &AbortFlag::default(), |_| {});
        scheduler.submit(id, job);
        events
    });
    let mut turns = Vec::new();
    while !scheduler.is_idle() {
        scheduler.step();
        if !scheduler.fills_prompt && scheduler.active.len() == 2 && scheduler.batch.len() == 1 {
            turns.extend(scheduler.last_turn);
        }
    }
    assert!(turns.len() > 5 && turns.windows(2).all(|pair| pair[0] != pair[1]), "{turns:?}");
    for answer in answers {
        assert_eq!(tokens_of(&answer), undisturbed);
    }
}

#[test]
fn an_abort_while_a_grammar_is_made_ends_the_generation_as_aborted() {
    let format = format();
    let mut scheduler = scheduler(&format);
    let options = GenerationOptions {
        constraint: Some(Constraint::Grammar("root ::= ((\"a\"?){0,3000}){0,20} \"!\"".into())),
        ..Default::default()
    };
    let abort = AbortFlag::default();
    let aborts = abort.clone();
    let (job, events) = request(QUESTION, options, &abort, move |event| {
        if matches!(event, Event::Started) {
            aborts.set();
        }
    });
    scheduler.submit(SessionId::DEFAULT, job);
    scheduler.step();
    assert!(scheduler.is_idle());
    let last = events.iter().last();
    assert!(
        matches!(&last, Some(Event::Ended(Ok(result))) if result.stop_reason == StopReason::Abort),
        "{last:?}"
    );
}

/// Whoever asks and aborts faster than a part of a prompt is evaluated would hold up a stream for ever.
#[test]
fn who_was_cut_short_by_another_goes_first() {
    let format = format();
    let mut scheduler = scheduler(&format);
    let _answered = begin_stream(&mut scheduler);
    for _ in 0..3 {
        let abort = AbortFlag::default();
        let (job, _asked) = request("Say something about the sea, please!", streaming(), &abort, |_| {});
        scheduler.submit(SessionId(1), job);
        scheduler.start_waiting();
        scheduler.reuse_memory();
        scheduler.fill_batch();
        assert!(scheduler.batch.len() > 2, "both");
        scheduler.cut_short = vec![SessionId::DEFAULT];
        scheduler.step();
        assert_eq!(scheduler.batch.len(), 1, "the stream alone");
        abort.set();
        scheduler.step();
    }
}

/// A session that was to end stayed for good, because another one's evaluation had failed.
#[test]
fn a_failure_ends_what_needs_the_context_and_nothing_else() {
    let format = format();
    let mut scheduler = scheduler(&format);
    let id = SessionId(1);
    scheduler.create_session(id, Conversation::default());
    let (job, asked) = request(QUESTION, streaming(), &AbortFlag::default(), |_| {});
    scheduler.submit(id, job);
    let replies: Vec<_> = [Job::Reset, Job::Dispose, Job::AbandonToolCalls]
        .into_iter()
        .map(|job| {
            let (sender, events) = mpsc::channel();
            scheduler.submit(id, job(Reply::new(move |event| sender.send(event).unwrap())));
            events
        })
        .collect();
    scheduler.step();
    scheduler.fail_all(|| Error::DecodeFailed { reason: "a test".into() });
    let ended = |events: &Receiver<Event<()>>| match events.try_iter().last() {
        Some(Event::Ended(result)) => result.map_err(|error| error.code()),
        other => panic!("{other:?}"),
    };
    let failed = asked.try_iter().last();
    assert!(matches!(&failed, Some(Event::Ended(Err(Error::DecodeFailed { .. })))), "{failed:?}");
    let ends: Vec<_> = replies.iter().map(ended).collect();
    assert_eq!(ends, [Ok(()), Ok(()), Err("SESSION_DISPOSED")]);
    assert!(!scheduler.into_conversations().contains_key(&id));
}

#[test]
fn what_was_told_is_in_the_conversation_even_if_telling_panics() {
    let format = format();
    let mut scheduler = scheduler(&format);
    let (job, _events) = request(QUESTION, streaming(), &AbortFlag::default(), |event| {
        assert!(!matches!(event, Event::Ended(_)), "a defect");
    });
    scheduler.submit(SessionId::DEFAULT, job);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        while !scheduler.is_idle() {
            scheduler.step();
        }
    }));
    assert!(panicked.is_err());
    assert_eq!(scheduler.into_conversations()[&SessionId::DEFAULT].messages().len(), 2);
}

#[test]
fn a_session_whose_number_is_taken_changes_nothing() {
    let format = format();
    let mut scheduler = scheduler(&format);
    for text in ["first", "second"] {
        scheduler.create_session(SessionId(1), Conversation::new(vec![Message::new(Role::User, text)]));
    }
    let (sender, events) = mpsc::channel();
    let reply = Reply::new(move |event| sender.send(event).unwrap());
    scheduler.submit(SessionId(1), Job::History(reply));
    scheduler.step();
    let history = events.recv().unwrap();
    assert!(
        matches!(&history, Event::Ended(Ok(messages)) if messages[0].content == "first"),
        "{history:?}"
    );
}
