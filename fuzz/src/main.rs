//! `npm run fuzz:reader`: a coverage-guided fuzzer for the reader of model files.
//!
//! Keeps every mutation that reaches new code and mutates it again. A finding is a panic (also of a number that goes round), more memory than some
//! times the file, or much time. Compiles the reader's own source files into itself, so that nothing of llama.cpp is needed.
//!
//!     cargo run --release -- [--count N] [--seed S] [--seconds T]

mod coverage;
mod gguf;
mod memory;
mod mutate;
#[path = "../../crates/engine/tests/shared/random.rs"]
mod random;

use std::time::{Duration, Instant};

use coverage::Reached;
use gguf::check;
use mutate::{first_files, mutated};
use random::Random;

const MOST_MEMORY_PER_BYTE: usize = 64;
const MOST_MEMORY: usize = 1 << 16;
const LONGEST: Duration = Duration::from_secs(1);

struct Options {
    count: u64,
    seed: u64,
    limit: Duration,
}

fn options() -> Options {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, otherwise: u64| {
        let value = words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
        value.map_or(otherwise, |value| {
            value
                .parse()
                .unwrap_or_else(|_| panic!("option `{name}` is `{value}`, expected a number"))
        })
    };
    Options {
        count: number("--count", 5_000_000),
        seed: number("--seed", 1),
        limit: Duration::from_secs(number("--seconds", 3600)),
    }
}

/// Looks at one file; says what is wrong with how that went.
fn look(file: &[u8]) -> Option<String> {
    let start = Instant::now();
    let mut panicked = false;
    let most = memory::most_held(|| panicked = std::panic::catch_unwind(|| drop(check(file))).is_err());
    if panicked {
        return Some("it panicked".into());
    }
    if most > MOST_MEMORY + MOST_MEMORY_PER_BYTE * file.len() {
        return Some(format!("{most} bytes of memory for a file of {}", file.len()));
    }
    (start.elapsed() > LONGEST).then(|| format!("it took {:?}", start.elapsed()))
}

fn main() {
    let options = options();
    let mut random = Random::new(options.seed);
    let (mut reached, mut kept) = (Reached::new(), first_files());
    for file in &kept {
        assert!(check(file).is_ok(), "the first files are models: {:?}", check(file));
        reached.is_news(|| drop(look(file)));
    }
    let (start, mut done, mut findings) = (Instant::now(), 0, 0);
    while done < options.count && start.elapsed() < options.limit {
        let (one, other) = (random.below(kept.len()), random.below(kept.len()));
        let file = mutated(&mut random, &kept[one], &kept[other]);
        let mut finding = None;
        let is_news = reached.is_news(|| finding = look(&file));
        if let Some(finding) = finding {
            findings += 1;
            let path = std::env::temp_dir().join(format!("llama-worker-reader-{}-{done}.gguf", options.seed));
            println!("FAILED: {finding}; the file is {}", path.display());
            std::fs::write(&path, &file).expect("room for a finding");
        }
        if is_news {
            kept.push(file);
        }
        done += 1;
    }
    let (taken, branches) = reached.share();
    println!(
        "files read: {done} (seed {}) in {:.0} s",
        options.seed,
        start.elapsed().as_secs_f64()
    );
    println!("files kept because they reached something new: {}", kept.len());
    println!("branches taken: {taken} of {branches}");
    println!("findings: {findings}");
    if findings == 0 {
        println!("passed");
    }
    std::process::exit(i32::from(findings > 0));
}
