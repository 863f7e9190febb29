//! Compiles the C++ shim against the vendored llama.cpp that llama-cpp-sys-2 has built.

use std::path::{Path, PathBuf};

const SHIM: &str = "src/llama/shim.cpp";
const OTHER_SOURCES: [&str; 2] = ["src/llama/fatal.cpp", "src/llama/template_watch.cpp"];
const HEADERS: [&str; 3] = ["src/llama/shim.h", "src/llama/fatal.h", "src/llama/template_watch.h"];
/// What the shim copies from llama.cpp.
const COPIED_STRUCT: &str = "struct common_chat_templates";

fn main() {
    // OK because llama-cpp-sys-2 is a direct dependency and declares `links = "llama"`: cargo sets these for us.
    let cmake_dir = PathBuf::from(std::env::var("DEP_LLAMA_GGML_CMAKE_DIR").expect("llama-cpp-sys-2 announces its CMake folder"));
    // <out>/lib/cmake -> <out>
    let out_dir = cmake_dir
        .parent()
        .and_then(Path::parent)
        .expect("the CMake folder lies two levels below the out folder");
    let source_dir = vendored_source(&out_dir.join("build").join("CMakeCache.txt"));

    check_copied_struct(&source_dir.join("common/chat.cpp"));

    let mut shim = cc::Build::new();
    shim.cpp(true).std("c++17").file(SHIM).files(OTHER_SOURCES);
    let is_msvc = shim.get_compiler().is_like_msvc();
    for include in ["common", "include", "ggml/include", "vendor", "."] {
        let folder = source_dir.join(include);
        if is_msvc {
            shim.include(folder);
        } else {
            // The vendored headers are not ours to warn about.
            shim.flag("-isystem").flag(folder.as_os_str());
        }
    }
    shim.warnings(!is_msvc).extra_warnings(!is_msvc).compile("llama_worker_shim");

    println!("cargo:rerun-if-changed={SHIM}");
    for file in OTHER_SOURCES.into_iter().chain(HEADERS) {
        println!("cargo:rerun-if-changed={file}");
    }
    // Tests load the CPU backend from where the build left it; the addon loads it from its own folder.
    println!("cargo:rustc-env=LLAMA_WORKER_BUILT_BACKENDS={}", out_dir.join("bin").display());
}

/// The root of the vendored llama.cpp: llama-cpp-sys-2 exports no include path, but CMake remembers where it was configured from.
fn vendored_source(cmake_cache: &Path) -> PathBuf {
    let cache = std::fs::read_to_string(cmake_cache).expect("llama.cpp was configured before this script runs");
    let line = cache.lines().find_map(|line| line.strip_prefix("CMAKE_HOME_DIRECTORY:INTERNAL="));
    PathBuf::from(line.expect("every CMake cache names its source folder"))
}

/// The shim copies a struct that llama.cpp keeps to itself. A copy that is not the original would be undefined behaviour.
fn check_copied_struct(original: &Path) {
    println!("cargo:rerun-if-changed={}", original.display());
    let (copy, original) = (struct_text(Path::new(SHIM)), struct_text(original));
    assert_eq!(
        copy, original,
        "`{COPIED_STRUCT}` of {SHIM} (left) is not that of the vendored llama.cpp (right): copy it anew, and look at what uses it"
    );
}

/// The struct's definition in a source file, without comments, and with single spaces.
fn struct_text(source: &Path) -> String {
    let text = std::fs::read_to_string(source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    let start = text.find(&format!("{COPIED_STRUCT} {{"));
    let start = start.unwrap_or_else(|| panic!("{} does not define `{COPIED_STRUCT}` any more", source.display()));
    let end = text[start..].find("\n};").expect("every struct ends");
    let lines = text[start..start + end]
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}
