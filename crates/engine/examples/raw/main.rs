//! The limit that the bench measures against: the barest loop over the same llama.cpp, the same backends and the same number of threads.
//!
//! Only calls `llama_decode`, through the engine's barest owner of a context, and takes the likeliest token. No text, no sessions, no sampling
//! options, no JavaScript. Reads a request as a line of JSON and answers with one:
//! `{ "id", "do": "load" | "prompt" | "decode" | "batch", … }` → `{ "id", "value" }` or `{ "id", "error" }`. Ends with its standard input.
//! `bench/bench.js` is the other end.

mod commands;
mod llama;

use std::io::{self, BufRead, Write};
use std::time::Instant;

use commands::Side;
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut side = Side::new(Instant::now());
    for line in io::stdin().lock().lines() {
        let reply = answer(&mut side, &line?);
        writeln!(io::stdout().lock(), "{reply}")?;
    }
    Ok(())
}

fn answer(side: &mut Side, line: &str) -> Value {
    let request: Value = match serde_json::from_str(line) {
        Ok(request) => request,
        Err(error) => return json!({ "id": null, "error": error.to_string() }),
    };
    match side.answer(&request) {
        Ok(value) => json!({ "id": request["id"], "value": value }),
        Err(reason) => json!({ "id": request["id"], "error": reason }),
    }
}
