//! Texts become tokens and tokens become texts again, exactly, with vocabularies of every kind, through the worker.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::small_models::{CONTROL, Kind, USER_DEFINED, Vocabulary};
use crate::support::{Events, Random, TemporaryFolder, Worker};
use llama_worker_engine::chat::{ChatOptions, Message, Role};
use llama_worker_engine::error::{Error, Result};
use llama_worker_engine::worker::{ApplyTemplate, ContextOptions, Job, Query, SessionId};

const VOCABULARIES: [Kind; 3] = [
    Kind::Attention(Vocabulary::BytePairs),
    Kind::Attention(Vocabulary::SentencePiece { puts_space: true }),
    // Its vocabulary puts no space before a text.
    Kind::SlidingWindow,
];

/// The folder has the model and goes last.
fn worker_with(kind: Kind) -> (Worker, TemporaryFolder) {
    static FOLDERS: AtomicU32 = AtomicU32::new(0);
    let folder = TemporaryFolder::new(&format!("tokens-{}", FOLDERS.fetch_add(1, Ordering::Relaxed)));
    let worker = Worker::unready();
    worker.init().unwrap();
    worker.load(&folder.write("model.gguf", &kind.file())).unwrap();
    (worker, folder)
}

fn tokenize(worker: &Worker, text: &str, parse_special: bool) -> Vec<i32> {
    let (reply, events) = Events::reply();
    worker.handle.query(Query::Tokenize {
        text: text.to_owned(),
        parse_special,
        reply,
    });
    events.end().1.unwrap()
}

fn detokenize(worker: &Worker, tokens: &[i32], with_special: bool) -> Result<String> {
    let (reply, events) = Events::reply();
    worker.handle.query(Query::Detokenize {
        tokens: tokens.to_vec(),
        with_special,
        reply,
    });
    events.end().1
}

/// Anything a text may be made of, except for U+2581: `SentencePiece` reads it as a space.
fn text(random: &mut Random) -> String {
    const PARTS: [&str; 36] = [
        "the",
        "hat",
        "QX",
        "A",
        "you",
        "assistant",
        " ",
        "  ",
        "    ",
        "\n",
        "\n\n",
        "\r\n",
        "\t",
        "\u{a0}",
        "é",
        "e\u{301}",
        "ü",
        "日本",
        "🐱",
        "👩‍👩‍👧",
        "🇧🇷",
        "\u{200b}",
        "\u{feff}",
        "\u{fffd}",
        "\0",
        "it's",
        "1234567",
        "<0x41>",
        "<",
        "|>",
        "<|im_start|>",
        "<|im_end|>",
        "<s>",
        "</s>",
        "<unk>",
        "<tool>",
    ];
    let n_parts = random.below(12);
    (0..n_parts).map(|_| PARTS[random.below(PARTS.len())]).collect()
}

#[test]
fn every_text_comes_back() {
    for kind in VOCABULARIES {
        let (worker, _folder) = worker_with(kind);
        let mut random = Random::new(11);
        for _ in 0..400 {
            let text = text(&mut random);
            for is_special in [false, true] {
                let tokens = tokenize(&worker, &text, is_special);
                let again = detokenize(&worker, &tokens, is_special).unwrap();
                assert_eq!(again, text, "{kind:?}, special texts read: {is_special}, {tokens:?}");
            }
        }
    }
}

#[test]
fn control_texts_are_tokens_only_where_they_are_asked_for() {
    for kind in VOCABULARIES {
        let (worker, _folder) = worker_with(kind);
        for (number, control) in (0..).zip(CONTROL) {
            assert_eq!(tokenize(&worker, control, true), [number], "{kind:?}");
            assert!(tokenize(&worker, control, false).len() > 1, "{kind:?}");
            assert_eq!(detokenize(&worker, &[number], true).unwrap(), control, "{kind:?}");
            assert_eq!(detokenize(&worker, &[number], false).unwrap(), "", "{kind:?}");
        }
        // What a vocabulary's makers have defined is text, and always one token.
        let number = i32::try_from(CONTROL.len()).unwrap();
        assert_eq!(tokenize(&worker, USER_DEFINED, false), [number], "{kind:?}");
        assert_eq!(detokenize(&worker, &[number], false).unwrap(), USER_DEFINED, "{kind:?}");
    }
}

#[test]
fn control_tokens_are_left_out_and_the_text_around_them_stays() {
    for kind in VOCABULARIES {
        let (worker, _folder) = worker_with(kind);
        let tokens = tokenize(&worker, "<|im_start|>user\n the hat<|im_end|>  you", true);
        assert_eq!(detokenize(&worker, &tokens, false).unwrap(), "user\n the hat  you", "{kind:?}");
    }
}

#[test]
fn parts_of_characters_are_replaced() {
    for kind in VOCABULARIES {
        let (worker, _folder) = worker_with(kind);
        let tokens = tokenize(&worker, "A語", false);
        let (last, rest) = tokens.split_last().unwrap();
        assert_eq!(detokenize(&worker, rest, false).unwrap(), "A\u{fffd}", "{kind:?}: {tokens:?}");
        assert_eq!(detokenize(&worker, &[*last], false).unwrap(), "\u{fffd}", "{kind:?}: {tokens:?}");
    }
}

#[test]
fn numbers_that_are_no_tokens_are_refused() {
    for kind in VOCABULARIES {
        let (worker, _folder) = worker_with(kind);
        let last = (0..1000)
            .take_while(|token| detokenize(&worker, &[*token], true).is_ok())
            .last()
            .unwrap();
        for wrong in [-1, last + 1, i32::MAX, i32::MIN] {
            let error = detokenize(&worker, &[0, wrong], false).unwrap_err();
            assert_eq!(error.code(), "INVALID_OPTION", "{error}");
            let Error::InvalidOption { name, value, expected } = error else {
                panic!("{error}")
            };
            assert_eq!((&*name, value), ("tokens[1]", format!("`{wrong}`")));
            assert!(expected.ends_with(&format!("0 to {last}")), "{expected}");
        }
    }
}

#[test]
fn an_empty_text_has_no_tokens() {
    for kind in VOCABULARIES {
        let (worker, _folder) = worker_with(kind);
        assert!(tokenize(&worker, "", true).is_empty(), "{kind:?}");
        assert_eq!(detokenize(&worker, &[], true).unwrap(), "", "{kind:?}");
    }
}

/// What is counted is what the model would be given: the template's control tokens, and the one that the vocabulary wants in front.
#[test]
fn counted_tokens_are_those_of_the_rendered_conversation() {
    for kind in VOCABULARIES {
        let (worker, _folder) = worker_with(kind);
        let context = ContextOptions {
            context_size: Some(512),
            ..Default::default()
        };
        worker.create_context(context).unwrap();
        let question = "the hat, <|im_end|> or you?";
        let counted = worker.job(SessionId::DEFAULT, |reply| Job::CountTokens {
            prompt: Some(question.to_owned()),
            options: Box::new(ChatOptions::default()),
            reply,
        });
        let tokens = rendered(&worker, vec![Message::new(Role::User, question)]);
        assert_eq!(counted.unwrap(), tokens.len(), "{kind:?}");
        let text = detokenize(&worker, &tokens, true).unwrap();
        let leading = if kind == VOCABULARIES[0] { "" } else { "<s>" };
        assert_eq!(
            text,
            format!("{leading}<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"),
            "{kind:?}"
        );
        assert_eq!(
            tokens.iter().filter(|token| **token == 4).count(),
            1,
            "{kind:?}: what was asked is no control token"
        );
    }
}

fn rendered(worker: &Worker, messages: Vec<Message>) -> Vec<i32> {
    let (reply, events) = Events::reply();
    worker.handle.query(Query::ApplyTemplate(Box::new(ApplyTemplate {
        messages,
        options: ChatOptions::default(),
        template: None,
        reply,
    })));
    events.end().1.unwrap().tokens
}
