//! What makes answers fast never changes them: numbers of threads, and guessed tokens.

use crate::support::bench::{Asked, Bench, Chat};
use crate::support::plain::{PlainLoop, options, tokens_of};
use crate::support::small_models::Kind;
use crate::support::{Random, TemporaryFolder, Worker};
use llama_worker_engine::chat::{ChatOptions, Message, Role, Tool, ToolChoice};
use llama_worker_engine::llama::{Batch, Context, Decoded, FlashAttention, KvCacheType, Token, argmax};
use llama_worker_engine::sampling::{Constraint, DryRepeatPenalty, Mirostat, MirostatVersion, RepeatPenalty, SamplingOptions, Xtc};
use llama_worker_engine::worker::{ContextOptions, GenerationOptions, GenerationResult, Input, Speculation};

/// Texts to which a model answers with what it has been told, or again and again the same.
const REPETITIVE: [&str; 4] = [
    "Say this again: the cat sat on the mat and the dog sat on the log and the cat sat on the mat.",
    "Count from 1 to 12.",
    "Tell me a long story about a cat, a cat, a cat and a cat.",
    "What is the capital of France? What is the capital of France? What is the capital of France?",
];

#[test]
fn the_tokens_do_not_depend_on_the_number_of_threads() {
    let plain = PlainLoop::new();
    let long = format!("{} Who are you?", "The quick brown fox jumps over the lazy dog. ".repeat(60));
    for text in ["What is the capital of France?", "Count from 1 to 12.", &long] {
        let prompt = plain.prompt(&[Message::new(Role::User, text)]);
        let mut context = Context::new(&plain.model, &plain.params()).unwrap();
        let mut batch = Batch::new(2048);
        let (mut next, mut answer, mut position) = (prompt.clone(), Vec::new(), 0);
        while answer.len() < 40 {
            batch.clear();
            for (index, token) in next.iter().enumerate() {
                batch.add(*token, position + index, 0, index + 1 == next.len());
            }
            context.set_threads(1 + u32::try_from(answer.len() % 2).unwrap());
            assert_eq!(context.decode(&batch, &[]), Ok(Decoded::Done));
            position += next.len();
            let token = argmax(context.logits(next.len() - 1).unwrap()).unwrap();
            if plain.model.is_end_of_generation(token) {
                break;
            }
            answer.push(token.0);
            next = vec![token];
        }
        assert_eq!(answer, plain.answer(&prompt, 40), "{} tokens of prompt", prompt.len());
    }
}

#[test]
fn a_number_of_threads_that_was_asked_for_stays() {
    let worker = Worker::ready();
    let answer = worker.generate(Input::Prompt("Tell me a long story.".into()), GenerationOptions::default());
    assert_eq!(answer.timings.threads, 1);
}

/// To which a look at a second thread would cost hundreds of tokens.
#[test]
fn a_tiny_model_has_one_thread_when_nobody_says() {
    let worker = Worker::unready();
    worker.init_with_threads(None).unwrap();
    worker.load(&crate::support::model_path()).unwrap();
    worker.create_context(ContextOptions::default()).unwrap();
    let answer = worker.generate(Input::Prompt("Tell me a long story about a cat.".into()), options(40));
    assert_eq!(answer.timings.threads, 1);
}

fn guessing(options: &GenerationOptions) -> GenerationOptions {
    GenerationOptions {
        speculation: Speculation::Lookup,
        ..options.clone()
    }
}

/// All that must be equal.
fn told(tokens: Vec<i32>, result: GenerationResult) -> impl PartialEq + std::fmt::Debug {
    (
        tokens,
        result.text,
        result.reasoning,
        result.stop_reason,
        result.stop_string,
        result
            .tool_calls
            .into_iter()
            .map(|call| (call.name, call.arguments))
            .collect::<Vec<_>>(),
        result.logprobs.iter().map(|chosen| chosen.token.id).collect::<Vec<_>>(),
        result.is_complete,
        result.usage.completion_tokens,
    )
}

type Case = (&'static str, GenerationOptions);

/// Everything by which a token can be drawn.
fn draws() -> Vec<Case> {
    let with = |change: &dyn Fn(&mut SamplingOptions)| {
        let mut sampling = SamplingOptions {
            temperature: 0.8,
            seed: Some(7),
            ..Default::default()
        };
        change(&mut sampling);
        GenerationOptions { sampling, ..options(80) }
    };
    let xtc = Xtc {
        probability: 0.5,
        threshold: 0.1,
    };
    let mirostat = Mirostat {
        version: MirostatVersion::V2,
        tau: 5.0,
        eta: 0.1,
    };
    vec![
        ("a draw", with(&|_| {})),
        ("all tokens", with(&|sampling| (sampling.top_k, sampling.top_p) = (0, 1.0))),
        ("without end", with(&|sampling| sampling.ignore_eos = true)),
        (
            "repeat penalty",
            with(&|sampling| sampling.repeat_penalty = Some(RepeatPenalty::default())),
        ),
        (
            "dry",
            with(&|sampling| sampling.dry_repeat_penalty = Some(DryRepeatPenalty::default())),
        ),
        ("xtc", with(&|sampling| sampling.xtc = Some(xtc))),
        ("mirostat", with(&|sampling| sampling.mirostat = Some(mirostat))),
    ]
}

/// Everything that forces or ends an answer.
fn forms() -> Vec<Case> {
    let constrained = |constraint| GenerationOptions {
        constraint: Some(constraint),
        ..options(80)
    };
    let grammar = r#"root ::= ("yes " | "no " | "maybe "){20} "!""#;
    let schema = r#"{"type":"array","items":{"enum":["one","two"]},"minItems":8,"maxItems":8}"#;
    let stops = GenerationOptions {
        stop_strings: vec!["7".into(), "the cat sat on the m".into()],
        ..options(80)
    };
    let logprobs = GenerationOptions {
        logprobs: Some(2),
        ..options(60)
    };
    let prefix = GenerationOptions {
        response_prefix: Some("1, 2, 3, 4, 1, 2, 3,".into()),
        ..options(60)
    };
    vec![
        ("greedy", options(100)),
        ("one token", options(1)),
        ("two tokens", options(2)),
        ("stop strings", stops),
        ("grammar", constrained(Constraint::Grammar(grammar.into()))),
        ("schema", constrained(Constraint::JsonSchema(schema.into()))),
        ("tools", with_tools()),
        ("logprobs", logprobs),
        ("prefix", prefix),
    ]
}

fn with_tools() -> GenerationOptions {
    let tool = Tool {
        name: "get_weather".into(),
        description: "The weather in a city".into(),
        parameters: r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#.into(),
    };
    let chat = ChatOptions {
        tools: vec![tool],
        tool_choice: ToolChoice::Required,
        ..Default::default()
    };
    GenerationOptions { chat, ..options(80) }
}

#[test]
fn guesses_change_no_answer_whatever_chooses_the_tokens() {
    let worker = Worker::ready();
    let (mut n_drafted, mut n_accepted) = (0, 0);
    for (name, options) in draws().into_iter().chain(forms()) {
        for text in REPETITIVE {
            let ask = |options: GenerationOptions| {
                worker.create_context(ContextOptions::default()).unwrap();
                tokens_of(&worker.start(Input::Prompt(text.into()), options).0)
            };
            let (tokens, plain) = ask(options.clone());
            assert_eq!(plain.usage.drafted_tokens, 0);
            let (guessed_tokens, guessed) = ask(guessing(&options));
            n_drafted += guessed.usage.drafted_tokens;
            n_accepted += guessed.usage.accepted_tokens;
            assert!(guessed.usage.accepted_tokens <= guessed.usage.drafted_tokens);
            assert_eq!(told(guessed_tokens, guessed), told(tokens, plain), "{name}: {text}");
        }
    }
    assert!(
        n_drafted > n_accepted && n_accepted > 50,
        "{n_accepted} of {n_drafted} guesses were right"
    );
}

/// Fewer evaluations than tokens: a token that was accepted took none of its own.
#[test]
fn repetitive_text_takes_fewer_evaluations_than_tokens() {
    let worker = Worker::ready();
    let again = GenerationOptions {
        constraint: Some(Constraint::Grammar(r#"root ::= ("one two three four five "){30}"#.into())),
        ..options(400)
    };
    let (tokens, result) = tokens_of(&worker.start(Input::Prompt("Count!".into()), guessing(&again)).0);
    let n_evaluations = tokens.len() - result.usage.accepted_tokens;
    // How many fewer depends on what guesses cost on the machine of the day.
    assert!(
        n_evaluations < tokens.len() - 5,
        "{n_evaluations} evaluations for {} tokens",
        tokens.len()
    );
}

/// What is in memory after an answer with guesses is what the next prompt finds.
#[test]
fn conversations_go_on_behind_guesses_and_beside_each_other() {
    let bench = Bench::built_in("guesses");
    for (batch_size, context_size) in [(512, 2048), (3, 2048), (1, 2048), (64, 600)] {
        bench.create_context(context_size, batch_size, 4);
        let mut random = Random::new(3);
        let mut chats: Vec<Chat<'_>> = (1..=6).map(|id| bench.chat(id)).collect();
        for _ in 0..3 {
            let asked: Vec<Asked> = chats
                .iter_mut()
                .map(|chat| chat.ask_with(REPETITIVE[random.below(REPETITIVE.len())], guessing(&options(40))))
                .collect();
            for (chat, asked) in chats.iter_mut().zip(&asked) {
                chat.check(asked);
            }
        }
    }
}

/// Attention and sliding windows can be cut; recurrent and hybrid memory cannot, and guesses nothing.
#[test]
fn every_kind_of_memory_answers_as_without_guesses() {
    for kind in Kind::ALL {
        let folder = TemporaryFolder::new(&format!("guesses-{kind:?}"));
        let path = folder.write("model.gguf", &kind.file());
        let worker = Worker::unready();
        worker.init().unwrap();
        worker.load(&path).unwrap();
        let plain = PlainLoop::over(&path, KvCacheType::F32, FlashAttention::Off);
        worker
            .create_context(ContextOptions {
                context_size: Some(1024),
                kv_cache_type: KvCacheType::F32,
                flash_attention: FlashAttention::Off,
                ..Default::default()
            })
            .unwrap();
        let mut n_drafted = 0;
        for text in [
            "the hat is in the house",
            "my hat is not in the house and the hat is in the house",
            "you and me",
        ] {
            let prompt: Vec<Token> = plain.prompt(&[Message::new(Role::User, text)]);
            let input = Input::Messages(vec![Message::new(Role::User, text)]);
            let (tokens, result) = tokens_of(&worker.start(input, guessing(&options(150))).0);
            n_drafted += result.usage.drafted_tokens;
            assert_eq!(tokens, plain.answer(&prompt, 150), "{kind:?}: {text}");
        }
        assert_eq!(n_drafted > 0, plain.model.can_cut_memory(), "{kind:?}");
    }
}
