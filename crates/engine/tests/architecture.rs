//! Holds the arrows between the rooms. The same table is in ARCHITECTURE.md.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may use. `error` is free to all.
const ARROWS: [(&str, &[&str]); 8] = [
    ("text", &[]),
    ("download", &[]),
    ("llama", &[]),
    ("chat", &["llama"]),
    ("sampling", &["llama"]),
    ("session", &["chat"]),
    ("scheduler", &["llama", "session", "sampling", "chat", "text"]),
    // `llama` for backend, model and context, which live in the thread's stack frames; `session` for the input of a generation.
    ("worker", &["scheduler", "chat", "sampling", "llama", "session"]),
];

#[test]
fn every_room_uses_only_the_rooms_it_is_given() {
    let mut broken = Vec::new();
    for (room, allowed) in ARROWS {
        for file in rust_files(&source().join(room)) {
            for used in rooms_named_in(&fs::read_to_string(&file).unwrap(), "crate::") {
                if used != room && used != "error" && !allowed.contains(&used.as_str()) {
                    broken.push(format!("{} uses `{used}`, `{room}` may use {allowed:?}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_addon_uses_the_worker_downloads_and_plain_data_only() {
    const ALLOWED: [&str; 5] = ["worker", "download", "chat", "sampling", "error"];
    for file in rust_files(&addon()) {
        for used in rooms_named_in(&fs::read_to_string(&file).unwrap(), "llama_worker_engine::") {
            assert!(
                ALLOWED.contains(&used.as_str()),
                "{} uses `{used}`, the addon may use {ALLOWED:?}",
                file.display()
            );
        }
    }
}

#[test]
fn no_path_climbs_out_of_a_room_unseen() {
    for file in rust_files(&source()) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            !text.contains("super::super::"),
            "{} climbs by `super::super::`, name the room by `crate::`",
            file.display()
        );
    }
}

#[test]
fn every_room_is_in_the_table() {
    for entry in fs::read_dir(source()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_known = ARROWS.iter().any(|(room, _)| *room == name) || name == "lib" || name == "error";
        assert!(is_known, "`{name}` has no arrows");
    }
}

/// Tests, examples, the addon and the build scripts included. `fuzz/` is no part of them: a program of its own, which counts what the compiler and the
/// allocator do.
#[test]
fn only_the_room_llama_names_llama_cpp_or_is_unsafe() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [crate_folder.to_owned(), addon()];
    let scripts = [crate_folder.join("../../build.rs")];
    let room = source().join("llama");
    let files: Vec<PathBuf> = folders.iter().flat_map(|folder| rust_files(folder)).chain(scripts).collect();
    let (inside, outside): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.starts_with(&room));
    let has = |file: &Path, word: &str| fs::read_to_string(file).unwrap().contains(word);
    for word in ["llama_cpp_2", "llama_cpp_sys_2", "unsafe "] {
        assert!(inside.iter().any(|file| has(file, word)), "the room `llama` has no `{word}`");
        // This file names what it looks for.
        for file in outside.iter().filter(|file| !file.ends_with("tests/architecture.rs")) {
            assert!(!has(file, word), "{} contains `{word}`", file.display());
        }
    }
    assert!(
        outside.iter().any(|file| file.ends_with("examples/raw/main.rs")),
        "examples are looked at"
    );
}

#[test]
fn only_the_addon_names_napi() {
    let addon = addon();
    for file in rust_files(&source()) {
        assert!(
            !fs::read_to_string(&file).unwrap().contains("napi"),
            "{} names napi",
            file.display()
        );
    }
    assert!(
        rust_files(&addon)
            .iter()
            .any(|file| fs::read_to_string(file).unwrap().contains("napi"))
    );
}

#[test]
fn every_file_says_its_duty_first() {
    for file in rust_files(&source()) {
        assert!(
            fs::read_to_string(&file).unwrap().starts_with("//! "),
            "{} has no `//!` first",
            file.display()
        );
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn addon() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src")
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Every room named behind `prefix`.
fn rooms_named_in(text: &str, prefix: &str) -> Vec<String> {
    let after = text.match_indices(prefix).map(|(start, _)| &text[start + prefix.len()..]);
    after
        .map(|rest| {
            rest.chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect()
        })
        .collect()
}
