/**
 * `npm run fuzz`: loads mutations of valid model files of several architectures for real, in child processes. Each must end in an error with a code or in a model that
 * generates; the process must not die, nor stand still.
 *
 *   node stress/fuzz.js [--count 10000] [--seed 1] [--seconds …] [--from 0]
 *
 * A failure names its number: `--seed S --from N --count 1` repeats it.
 */

"use strict";

const { fork } = require("node:child_process");
const path = require("node:path");
const { readOptions, row, runStress, timeLimit } = require("./options");

const CHILD = path.join(__dirname, "fuzz-child.js");
/** Files of one child; what a file leaves behind in it meets at most so many others. */
const FILES_OF_A_CHILD = 500;
/** Far above what any file takes. */
const LONGEST_FILE_MS = 60_000;

/**
 * Lets one child process do the files from `from` to `to`.
 *
 * @param {{ seed: number, from: number, to: number, isOver?: () => boolean }} range
 * @returns {Promise<{ next: number, outcomes: Map<string, number>, failures: string[] }>} `next`: the first file that it did not do
 */
function runChild({ seed, from, to, isOver = () => false }) {
  const child = fork(CHILD, [], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
  const outcomes = new Map();
  /** @type {string[]} */
  const failures = [];
  const state = { current: from, name: "", isFinished: false, stderr: "" };
  const stuck = () => child.kill("SIGKILL");
  let timer = setTimeout(stuck, LONGEST_FILE_MS);
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    state.stderr = (state.stderr + text).slice(-2000);
  });
  child.on("message", (/** @type {any} */ message) => {
    clearTimeout(timer);
    timer = setTimeout(stuck, LONGEST_FILE_MS);
    if (message.begins !== undefined) [state.current, state.name] = [message.begins, message.name];
    if (message.outcome !== undefined) {
      const kind = message.outcome.split(":")[0];
      outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
      if (/^(INTERNAL|no LlamaError)/.test(message.outcome))
        failures.push(`file ${message.ended} (${state.name}): ${message.outcome}`);
      state.current = message.ended + 1;
      if (isOver()) {
        state.isFinished = true;
        child.kill("SIGKILL");
      }
    }
    if (message.wrong !== undefined)
      failures.push(`after file ${message.wrong} the valid model answers something else`);
    if (message.finished) [state.isFinished, state.current] = [true, to];
  });
  child.send({ seed, from, to });
  return new Promise((resolve) => {
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (!state.isFinished) {
        const end = signal === "SIGKILL" ? "stood still" : `died of ${signal ?? `exit code ${code}`}`;
        failures.push(`file ${state.current} (${state.name}): the process ${end}\n${state.stderr}`);
        outcomes.set("DIED", (outcomes.get("DIED") ?? 0) + 1);
        state.current += 1;
      }
      resolve({ next: state.current, outcomes, failures });
    });
  });
}

/** @param {import("./options").Options} options */
async function fuzz(options) {
  const limit = timeLimit(options);
  const totals = new Map();
  /** @type {string[]} */
  const failures = [];
  const end = options.from + options.count;
  let next = options.from;
  while (next < end && !limit.isOver()) {
    const to = Math.min(end, next + FILES_OF_A_CHILD);
    const part = await runChild({ seed: options.seed, from: next, to, isOver: limit.isOver });
    for (const [kind, count] of part.outcomes) totals.set(kind, (totals.get(kind) ?? 0) + count);
    for (const failure of part.failures) process.stdout.write(`FAILED: ${failure}\n`);
    failures.push(...part.failures);
    next = part.next;
  }
  const done = next - options.from;
  row(
    "mutated files loaded",
    `${done} of ${options.count} (seed ${options.seed}, from ${options.from}) in ${limit.elapsed().toFixed(0)} s`,
  );
  for (const [kind, count] of [...totals].sort(([, one], [, other]) => other - one)) row(`  ${kind}`, count);
  row("process deaths", totals.get("DIED") ?? 0);
  if (done === 0) failures.push("no file was loaded");
  return failures;
}

if (require.main === module) void runStress(() => fuzz(readOptions({ count: 10_000 })));

module.exports = { fuzz, runChild };
