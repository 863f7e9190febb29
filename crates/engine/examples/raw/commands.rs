//! What the bench can ask for, and how it is timed.
//!
//! Times as the bench's other sides take them: from the request to the first token, and from the first token to the last.

use std::path::Path;
use std::time::Instant;

use llama_worker_engine::llama::BareParams;
use serde_json::{Value, json};

use super::llama::{Entry, Llama};

type Answer = Result<Value, String>;

pub(crate) struct Side {
    started: Instant,
    llama: Option<Llama>,
    /// The tokens of the first sequence.
    held: Vec<i32>,
}

impl Side {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            llama: None,
            held: Vec::new(),
        }
    }

    pub(crate) fn answer(&mut self, request: &Value) -> Answer {
        match request["do"].as_str() {
            Some("load") => self.load(request),
            Some("prompt") => self.prompt(request),
            Some("decode") => self.decode(request),
            Some("batch") => self.batch(request),
            other => Err(format!("`do` is `{other:?}`, expected load, prompt, decode or batch")),
        }
    }

    fn load(&mut self, request: &Value) -> Answer {
        let params = BareParams {
            context_size: number(request, "contextSize")?,
            batch_size: number(request, "batchSize")?,
            sequences: number(request, "sequences")?,
            threads: number(request, "threads")?,
        };
        let path = |key: &str| request[key].as_str().ok_or_else(|| format!("`{key}` is missing"));
        // The one before must be gone first: two contexts would count double in its memory.
        self.llama = None;
        self.held.clear();
        self.llama = Some(Llama::load(Path::new(path("backends")?), Path::new(path("model")?), &params)?);
        Ok(json!({ "sinceStartMs": milliseconds(self.started) }))
    }

    /// Evaluates a prompt of which the first `keep` tokens are in memory.
    fn prompt(&mut self, request: &Value) -> Answer {
        let (prompt, keep) = (tokens(&request["tokens"])?, number(request, "keep")? as usize);
        let start = Instant::now();
        let chunks = self.evaluate(&prompt, keep)?;
        Ok(json!({ "ms": milliseconds(start), "chunksMs": chunks, "sinceStartMs": milliseconds(self.started) }))
    }

    /// Evaluates what of a prompt is not in memory, and then `count` tokens one by one.
    fn decode(&mut self, request: &Value) -> Answer {
        let (prompt, count) = (tokens(&request["tokens"])?, number(request, "count")?);
        let shared = self.held.iter().zip(&prompt).take_while(|(left, right)| left == right).count();
        let start = Instant::now();
        self.evaluate(&prompt, shared.min(prompt.len().saturating_sub(1)))?;
        let llama = loaded(&mut self.llama)?;
        let mut token = llama.likeliest(-1)?;
        let first_token_ms = milliseconds(start);
        let (first, mut longest, mut last) = (Instant::now(), 0.0_f64, Instant::now());
        for _ in 1..count {
            llama.evaluate(&[Entry::last(token, self.held.len(), 0)])?;
            self.held.push(token);
            token = llama.likeliest(-1)?;
            longest = longest.max(milliseconds(last));
            last = Instant::now();
        }
        Ok(json!({
            "count": count,
            "firstTokenMs": first_token_ms,
            "tokensPerSecond": f64::from(count - 1) * 1000.0 / milliseconds(first),
            "longestGapMs": longest,
            "sinceStartMs": milliseconds(self.started),
        }))
    }

    /// As many sequences as there are prompts, a token of each in every evaluation.
    fn batch(&mut self, request: &Value) -> Answer {
        let prompts = request["prompts"].as_array().ok_or("`prompts` is missing")?;
        let prompts: Vec<Vec<i32>> = prompts.iter().map(tokens).collect::<Result<_, _>>()?;
        let count = number(request, "count")?;
        self.held.clear();
        let llama = loaded(&mut self.llama)?;
        llama.clear();
        let start = Instant::now();
        let mut next = begin(llama, &prompts)?;
        for step in 1..count as usize {
            let entries = next.iter().zip(&prompts).zip(0..);
            let entries: Vec<Entry> = entries
                .map(|((token, prompt), sequence)| Entry::last(*token, prompt.len() + step - 1, sequence))
                .collect();
            llama.evaluate(&entries)?;
            next = (0..)
                .take(entries.len())
                .map(|row| llama.likeliest(row))
                .collect::<Result<_, _>>()?;
        }
        let took = milliseconds(start);
        let width = u32::try_from(prompts.len()).map_err(|error| error.to_string())?;
        Ok(json!({ "tokensPerSecond": f64::from(count) * f64::from(width) * 1000.0 / took }))
    }

    /// The time of each chunk, with the logits of the last token ready at the end.
    fn evaluate(&mut self, prompt: &[i32], keep: usize) -> Result<Vec<f64>, String> {
        let llama = loaded(&mut self.llama)?;
        if keep > self.held.len() || keep >= prompt.len() {
            return Err(format!(
                "`keep` is `{keep}`, expected at most the {} tokens in memory, and fewer than the prompt's {}",
                self.held.len(),
                prompt.len()
            ));
        }
        llama.cut(0, keep)?;
        self.held.truncate(keep);
        let entries: Vec<Entry> = (keep..prompt.len())
            .map(|position| Entry::new(prompt[position], position, 0, position + 1 == prompt.len()))
            .collect();
        let mut times = Vec::new();
        for chunk in entries.chunks(llama.batch_size()) {
            let start = Instant::now();
            llama.evaluate(chunk)?;
            times.push(milliseconds(start));
        }
        self.held.extend_from_slice(&prompt[keep..]);
        Ok(times)
    }
}

/// Evaluates all prompts together; returns the first token of each.
fn begin(llama: &mut Llama, prompts: &[Vec<i32>]) -> Result<Vec<i32>, String> {
    let entries: Vec<Entry> = prompts
        .iter()
        .zip(0..)
        .flat_map(|(prompt, sequence)| {
            let tokens = prompt.iter().enumerate();
            tokens.map(move |(position, token)| Entry::new(*token, position, sequence, position + 1 == prompt.len()))
        })
        .collect();
    if entries.len() > llama.batch_size() {
        return Err(format!(
            "the prompts have {} tokens, expected at most a batch of {}",
            entries.len(),
            llama.batch_size()
        ));
    }
    llama.evaluate(&entries)?;
    let ends = prompts.iter().scan(0, |end, prompt| {
        *end += prompt.len();
        Some(*end)
    });
    ends.map(|end| llama.likeliest(i32::try_from(end - 1).map_err(|error| error.to_string())?))
        .collect()
}

fn loaded(llama: &mut Option<Llama>) -> Result<&mut Llama, String> {
    llama.as_mut().ok_or_else(|| "no model is loaded".into())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn number(request: &Value, key: &str) -> Result<u32, String> {
    let number = request[key].as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("`{key}` is `{}`, expected a whole number", request[key]))
}

fn tokens(list: &Value) -> Result<Vec<i32>, String> {
    let items = list.as_array().ok_or_else(|| format!("the tokens are `{list}`, expected a list"))?;
    let numbers = items.iter().map(|item| item.as_i64().and_then(|number| i32::try_from(number).ok()));
    numbers.collect::<Option<_>>().ok_or_else(|| "a token is no whole number".into())
}
