/**
 * Is libclang where bindgen, which makes llama.cpp's Rust bindings, will look for it?
 *
 * An approximation of bindgen's own search, good enough to tell "not installed" before the build does so in twenty lines.
 */

"use strict";

const path = require("node:path");

/** Not `libclang-cpp`, which is another library. */
const FILE_NAME = /^(lib)?clang(-\d[\d.]*)?\.(so[\d.]*|dylib|dll)$/;

/** A step of a path that stands for every folder of that beginning, as in `llvm-14`. */
const FOLDERS = {
  linux: [
    "/usr/lib/llvm*/lib",
    "/usr/lib/llvm*/lib64",
    "/usr/lib64/llvm*/lib",
    "/usr/lib64/llvm*/lib64",
    "/usr/lib/*-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/llvm*/lib",
  ],
  darwin: [
    "/Library/Developer/CommandLineTools/usr/lib",
    "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib",
    "/opt/homebrew/opt/llvm/lib",
    "/usr/local/opt/llvm/lib",
  ],
  win32: ["C:\\Program Files\\LLVM\\bin", "C:\\Program Files\\LLVM\\lib"],
};

/** @param {Pick<import("./machine").Machine, "platform" | "environment" | "filesIn">} machine */
function hasLibclang(machine) {
  const { LIBCLANG_PATH } = machine.environment;
  if (LIBCLANG_PATH) return FILE_NAME.test(path.basename(LIBCLANG_PATH)) || holdsLibclang(machine, LIBCLANG_PATH);
  const patterns = FOLDERS[/** @type {keyof typeof FOLDERS} */ (machine.platform)] ?? FOLDERS.linux;
  return patterns.flatMap((pattern) => expand(machine, pattern)).some((folder) => holdsLibclang(machine, folder));
}

/**
 * @param {Pick<import("./machine").Machine, "filesIn">} machine
 * @param {string} folder
 */
function holdsLibclang(machine, folder) {
  return machine.filesIn(folder).some((name) => FILE_NAME.test(name));
}

/**
 * @param {Pick<import("./machine").Machine, "filesIn">} machine
 * @param {string} pattern with at most one `*`
 * @returns {string[]}
 */
function expand(machine, pattern) {
  const steps = pattern.split("/");
  const index = steps.findIndex((step) => step.includes("*"));
  if (index < 0) return [pattern];
  const parent = steps.slice(0, index).join("/");
  const [beginning, ending] = steps[index].split("*");
  const names = machine.filesIn(parent).filter((name) => name.startsWith(beginning) && name.endsWith(ending));
  return names.map((name) => [parent, name, ...steps.slice(index + 1)].join("/"));
}

module.exports = { hasLibclang };
