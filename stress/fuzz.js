/**
 * `npm run fuzz`: loads mutations of valid model files of several architectures for real, in child processes. Each must end in an error with a code or in a model that
 * generates; the process must not die, nor stand still.
 *
 *   node stress/fuzz.js [--count 10000] [--seed 1] [--seconds …] [--from 0]
 *
 * A failure names its number: `--seed S --from N --count 1` repeats it. A long run that `--seconds` cut short fails.
 */

"use strict";

const { fork } = require("node:child_process");
const path = require("node:path");
const { cutShort, readOptions, row, runStress, timeLimit } = require("./options");

const CHILD = path.join(__dirname, "fuzz-child.js");
/** Files of one child; what a file leaves behind in it meets at most so many others. */
const FILES_OF_A_CHILD = 500;
/** Of so many it is not enough to have done some. */
const LONG_COUNT = 500;
/** Far above what any file takes. */
const LONGEST_FILE_MS = 60_000;
/** What a child may hold when it has cleaned up. After 500 files it was 241 MiB, with all valid models; a third of a MiB lost with each file would show. */
const MOST_MEMORY = 400 * 2 ** 20;

/**
 * @typedef {object} Ended how a child ended
 * @property {number | null} code
 * @property {NodeJS.Signals | null} signal
 * @property {"enough" | "stuck"} [killed] why we ended it ourselves
 * @property {number} [memory] bytes that it held after its last file and its cleanup, which it says itself
 */

/**
 * What is wrong with the end of a child. That it has done all its files does not excuse how it ends: what they broke may show at the exit.
 *
 * @param {Ended} ended
 * @returns {string | undefined}
 */
function fault({ code, signal, killed, memory }) {
  if (killed === "stuck") return "stood still";
  if (killed === "enough" && signal === "SIGKILL") return undefined;
  if (signal !== null || code !== 0) return `died of ${signal ?? `exit code ${code}`}`;
  if (memory === undefined) return "ended before it had done its files";
  if (memory > MOST_MEMORY) return `holds ${(memory / 2 ** 20).toFixed(0)} MiB after its cleanup`;
  return undefined;
}

/**
 * Lets one child process do the files from `from` to `to`.
 *
 * @param {{ seed: number, from: number, to: number, isOver?: () => boolean }} range
 * @returns {Promise<{ next: number, outcomes: Map<string, number>, failures: string[], memory: number }>} `next`: the first file that it did not do
 */
function runChild({ seed, from, to, isOver = () => false }) {
  const child = fork(CHILD, [], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
  const outcomes = new Map();
  /** @type {string[]} */
  const failures = [];
  const state = { current: from, name: "", stderr: "" };
  /** @type {Pick<Ended, "killed" | "memory">} */
  const end = {};
  const kill = (/** @type {"enough" | "stuck"} */ reason) => {
    end.killed = reason;
    child.kill("SIGKILL");
  };
  let timer = setTimeout(kill, LONGEST_FILE_MS, "stuck");
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    state.stderr = (state.stderr + text).slice(-2000);
  });
  child.on("message", (/** @type {any} */ message) => {
    clearTimeout(timer);
    timer = setTimeout(kill, LONGEST_FILE_MS, "stuck");
    if (message.begins !== undefined) [state.current, state.name] = [message.begins, message.name];
    if (message.outcome !== undefined) {
      const kind = message.outcome.split(":")[0];
      outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
      if (/^(INTERNAL|no LlamaError)/.test(message.outcome))
        failures.push(`file ${message.ended} (${state.name}): ${message.outcome}`);
      state.current = message.ended + 1;
      if (isOver() && state.current < to) kill("enough");
    }
    if (message.wrong !== undefined)
      failures.push(`after file ${message.wrong} the valid model answers something else`);
    if (message.finished) end.memory = message.memory;
  });
  child.send({ seed, from, to });
  return new Promise((resolve) => {
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      const wrong = fault({ code, signal, ...end });
      if (wrong && state.current >= to) {
        failures.push(`after the files ${from} to ${to - 1}: the process ${wrong}\n${state.stderr}`);
      } else if (wrong) {
        failures.push(`file ${state.current} (${state.name}): the process ${wrong}\n${state.stderr}`);
        state.current += 1;
      }
      if (wrong) outcomes.set("DIED", (outcomes.get("DIED") ?? 0) + 1);
      resolve({ next: state.current, outcomes, failures, memory: end.memory ?? 0 });
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
  let [next, memory] = [options.from, 0];
  while (next < end && !limit.isOver()) {
    const to = Math.min(end, next + FILES_OF_A_CHILD);
    const part = await runChild({ seed: options.seed, from: next, to, isOver: limit.isOver });
    for (const [kind, count] of part.outcomes) totals.set(kind, (totals.get(kind) ?? 0) + count);
    for (const failure of part.failures) process.stdout.write(`FAILED: ${failure}\n`);
    failures.push(...part.failures);
    [next, memory] = [part.next, Math.max(memory, part.memory)];
  }
  const done = next - options.from;
  row(
    "mutated files loaded",
    `${done} of ${options.count} (seed ${options.seed}, from ${options.from}) in ${limit.elapsed().toFixed(0)} s`,
  );
  for (const [kind, count] of [...totals].sort(([, one], [, other]) => other - one)) row(`  ${kind}`, count);
  row("process deaths", totals.get("DIED") ?? 0);
  if (memory > 0) row("most memory after a process's files, MiB", (memory / 2 ** 20).toFixed(0));
  if (done === 0) failures.push("no file was loaded");
  return [...failures, ...cutShort({ done, count: options.count }, LONG_COUNT)];
}

if (require.main === module) void runStress(() => fuzz(readOptions({ count: 10_000 })));

module.exports = { MOST_MEMORY, fault, fuzz, runChild };
