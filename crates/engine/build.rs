//! Compiles the C++ shim against the vendored llama.cpp that llama-cpp-sys-2 has built.

use std::path::{Path, PathBuf};

fn main() {
    // OK because llama-cpp-sys-2 is a direct dependency and declares `links = "llama"`: cargo sets these for us.
    let cmake_dir = PathBuf::from(std::env::var("DEP_LLAMA_GGML_CMAKE_DIR").expect("llama-cpp-sys-2 announces its CMake folder"));
    // <out>/lib/cmake -> <out>
    let out_dir = cmake_dir
        .parent()
        .and_then(Path::parent)
        .expect("the CMake folder lies two levels below the out folder");
    let source_dir = vendored_source(&out_dir.join("build").join("CMakeCache.txt"));

    let mut shim = cc::Build::new();
    shim.cpp(true).std("c++17").file("src/llama/shim.cpp");
    for include in ["common", "include", "ggml/include", "vendor", "."] {
        shim.include(source_dir.join(include));
    }
    // The vendored headers are not ours to warn about.
    shim.warnings(false).compile("llama_worker_shim");

    println!("cargo:rerun-if-changed=src/llama/shim.cpp");
    println!("cargo:rerun-if-changed=src/llama/shim.h");
    // Tests load the CPU backend from where the build left it; the addon loads it from its own folder.
    println!("cargo:rustc-env=LLAMA_WORKER_BUILT_BACKENDS={}", out_dir.join("bin").display());
}

/// The root of the vendored llama.cpp: llama-cpp-sys-2 exports no include path, but CMake remembers where it was configured from.
fn vendored_source(cmake_cache: &Path) -> PathBuf {
    let cache = std::fs::read_to_string(cmake_cache).expect("llama.cpp was configured before this script runs");
    let line = cache.lines().find_map(|line| line.strip_prefix("CMAKE_HOME_DIRECTORY:INTERNAL="));
    PathBuf::from(line.expect("every CMake cache names its source folder"))
}
