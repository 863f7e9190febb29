//! Makes a model for the bench: random weights at a real shape, a vocabulary of invented words, quantised by llama.cpp itself.
//!
//! `bench-model <description.json> <file.gguf>`. Knows no shape by itself: `bench/models.js` describes them. The same description gives the
//! same file. Writes a file of unquantised weights beside the result first and removes it at the end.

mod description;
mod gguf;
mod tensors;
mod vocabulary;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use description::Description;
use llama_worker_engine::llama::write_quantized;
use vocabulary::Vocabulary;

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // A failure to report a failure has nobody to tell.
            let _ = writeln!(std::io::stderr(), "bench-model: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [description, file] = arguments.as_slice() else {
        return Err("expected two arguments: the description, and the file to write".into());
    };
    let description = Description::read(Path::new(description))?;
    make(&description, Path::new(file))
}

fn make(description: &Description, file: &Path) -> Result<()> {
    let (plain, unfinished) = (with_extension(file, "plain"), with_extension(file, "part"));
    write_plain(description, &plain)?;
    write_quantized(&plain, &unfinished, description.format).map_err(|error| error.to_string())?;
    fs::remove_file(&plain).map_err(|error| format!("`{}`: {error}", plain.display()))?;
    fs::rename(&unfinished, file).map_err(|error| format!("`{}`: {error}", file.display()))
}

fn write_plain(description: &Description, file: &Path) -> Result<()> {
    let vocabulary = Vocabulary::new(description)?;
    let tensors = tensors::of(description, &vocabulary);
    gguf::write(file, &description.metadata(&vocabulary), &tensors).map_err(|error| format!("`{}`: {error}", file.display()))
}

fn with_extension(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}
