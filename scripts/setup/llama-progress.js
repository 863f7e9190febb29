/**
 * How far llama.cpp's own build is, which cargo hides until it is over.
 *
 * Read from ninja's files, so it knows nothing before CMake is done and nothing of what cargo compiles besides.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");

/** A step that makes a file: CMake's rules are named after the language and what they do. */
const STEP = /^build (.+?): (?:C|CXX|ASM|OBJC|OBJCXX)_[A-Z_]*(?:COMPILER|LINKER)__/gm;

/** @typedef {{ done: number, total: number }} Progress */

/**
 * @param {string} rules the text of `build.ninja`
 * @param {string} log the text of `.ninja_log`
 * @returns {Progress}
 */
function countSteps(rules, log) {
  const finished = new Set(log.split("\n").map((line) => line.split("\t")[3]));
  const outputs = [...rules.matchAll(STEP)].map((match) => match[1].split(" ")[0]);
  return { done: outputs.filter((output) => finished.has(output)).length, total: outputs.length };
}

/**
 * @param {string[]} buildFolders
 * @param {number} since in milliseconds; a log that is older belongs to an earlier build
 * @returns {Progress | undefined}
 */
function llamaProgress(buildFolders, since) {
  const folder = buildFolders.find((candidate) => changedAt(path.join(candidate, ".ninja_log")) >= since);
  if (!folder) return undefined;
  const read = (/** @type {string} */ name) => fs.readFileSync(path.join(folder, name), "utf8");
  return countSteps(read("build.ninja"), read(".ninja_log"));
}

/** @param {string} file */
function changedAt(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? -1;
}

module.exports = { countSteps, llamaProgress };
