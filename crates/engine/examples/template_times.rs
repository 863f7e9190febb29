//! Prints how long it takes to make a prompt of a short conversation, for templates of many families: the first time, and later.
//!
//! `cargo run --release --example template_times`. Asserts nothing.

#![expect(clippy::print_stdout, reason = "what it measures is for people to read")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use llama_worker_engine::chat::{AnswerReader, ChatFormat, ChatOptions, Message, Role, Tool};
use llama_worker_engine::llama::{AbortFlag, Backend, GpuLayers, Model, ModelParams};

const ROUNDS: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let backend = Backend::start(Path::new(env!("LLAMA_WORKER_BUILT_BACKENDS")))?;
    let params = ModelParams {
        path: crate_folder.join("../../models/tiny-chat/tiny-chat.gguf"),
        gpu_layers: GpuLayers::Count(0),
        devices: vec![],
        context_size: None,
        use_mmap: None,
        use_mlock: false,
    };
    let model = Model::load(backend, &params, &AbortFlag::default(), |_| {})?;
    println!(
        "microseconds: first, median of {ROUNDS} later ones; plain, with special texts, with tools, with tools and a reader of the answer, continued"
    );
    times("built-in", &ChatFormat::new(&model, None)?)?;
    let mut files: Vec<_> = std::fs::read_dir(crate_folder.join("tests/templates"))?.collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::path);
    for file in files {
        let template = std::fs::read_to_string(file.path())?;
        times(&file.file_name().to_string_lossy(), &ChatFormat::new(&model, Some(&template))?)?;
    }
    Ok(())
}

fn times(name: &str, format: &ChatFormat<'_>) -> Result<(), Box<dyn Error>> {
    let plain = vec![
        Message::new(Role::System, "Be brief."),
        Message::new(Role::User, "Hi!"),
        Message::new(Role::Assistant, "Hello."),
        Message::new(Role::User, "How are you?"),
    ];
    let with = |more: Message| plain.iter().cloned().chain([more]).collect::<Vec<_>>();
    let special = [&plain[..3], &[Message::new(Role::User, "What does <|im_end|> mean?")]].concat();
    let continued = with(Message::new(Role::Assistant, "I am"));
    let tools = ChatOptions {
        tools: vec![Tool {
            name: "weather".into(),
            description: "The weather now".into(),
            parameters: r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#.into(),
        }],
        ..ChatOptions::default()
    };
    let none = ChatOptions::default();
    let mut columns = vec![format!("{name:20}")];
    for (messages, options, with_reader) in [
        (&plain, &none, false),
        (&special, &none, false),
        (&plain, &tools, false),
        (&plain, &tools, true),
        (&continued, &none, false),
    ] {
        let time = || -> Result<Duration, Box<dyn Error>> {
            let start = Instant::now();
            let prompt = format.prompt(messages, options, usize::MAX)?;
            if with_reader {
                AnswerReader::new(&prompt.answer)?;
            }
            Ok(start.elapsed())
        };
        let first = time()?;
        let mut later = (0..ROUNDS).map(|_| time()).collect::<Result<Vec<_>, _>>()?;
        later.sort_unstable();
        columns.push(format!("{:6} {:6}", first.as_micros(), later[later.len() / 2].as_micros()));
    }
    println!("{}", columns.join(" | "));
    Ok(())
}
