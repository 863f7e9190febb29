/**
 * `npm run lifetimes`: ends workers, threads and processes in every way and at every moment. Each must end by itself, with the exit code of its end and
 * without a signal, and leave nothing running.
 *
 *   node stress/lifetimes.js [--count 500] [--seed 1] [--seconds …]
 *
 * `--count` of each end at each moment; many of them share a process where the end is not the process's own.
 */

"use strict";

const { spawn } = require("node:child_process");
const path = require("node:path");
const { readOptions, row, runStress, timeLimit } = require("./options");

const CHILD = path.join(__dirname, "lifetimes-child.js");
/** Far above what any child takes. */
const LONGEST_CHILD_MS = 600_000;
/** Ends of one child, where one process can have many. */
const ENDS_OF_A_CHILD = 10;

const MOMENTS = ["load", "context", "prompt", "decode"];

/**
 * How things end, with the exit code that this gives a process; `once`: the end is the process's own, so each needs one.
 *
 * @type {Record<string, { code: number, once?: boolean, signal?: NodeJS.Signals, options?: string[] }>}
 */
const ENDS = {
  terminate: { code: 0 },
  cleanup: { code: 0 },
  garbage: { code: 0, options: ["--expose-gc"] },
  "port closed": { code: 0 },
  "exit in a thread": { code: 0 },
  "throw in a thread": { code: 0 },
  exit: { code: 3, once: true },
  throw: { code: 1, once: true },
  "throw in a callback": { code: 1, once: true },
  interrupt: { code: 0, once: true, signal: "SIGINT" },
};

/** @typedef {{ code: number | null, signal: NodeJS.Signals | null, output: string, left: string }} Ended */

/**
 * Runs one child to its end.
 *
 * @param {string} end
 * @param {string} moment
 * @param {{ count: number, seed: number }} work
 * @returns {Promise<Ended>}
 */
function runChild(end, moment, { count, seed }) {
  const { options = [], signal } = ENDS[end];
  const args = [...options, CHILD, end, moment, String(count), String(seed)];
  const stdio = /** @type {any} */ (["ignore", "pipe", "pipe", ...(signal ? ["ipc"] : [])]);
  const child = spawn(process.execPath, args, { stdio, timeout: LONGEST_CHILD_MS, killSignal: "SIGKILL" });
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text) => (output += text));
  child.stderr?.setEncoding("utf8").on("data", (text) => (output += text));
  // It says when it has come to the moment at which it is to be ended from outside.
  if (signal) child.once("message", () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, killed) => resolve({ code, signal: killed, output, left: "" }));
  });
}

/**
 * @param {string} end
 * @param {Ended} ended
 * @returns {string | undefined} what is wrong with it
 */
function fault(end, { code, signal, output }) {
  const expected = ENDS[end].code;
  if (signal === "SIGKILL") return `did not end by itself\n${output.slice(-1000)}`;
  if (signal !== null) return `died of ${signal}\n${output.slice(-1000)}`;
  if (code !== expected) return `ended with ${code}, expected ${expected}\n${output.slice(-1000)}`;
  if (!ENDS[end].once && !output.includes("all ended")) return `did not come to its end\n${output.slice(-1000)}`;
  return undefined;
}

/** @param {import("./options").Options} options */
async function lifetimes(options) {
  const limit = timeLimit(options);
  /** @type {string[]} */
  const failures = [];
  const done = new Map();
  // Round by round, so that a run that is cut short has had some of each.
  for (let round = 0, isOver = false; !isOver; round++) {
    isOver = true;
    for (const [end, { once }] of Object.entries(ENDS)) {
      for (const moment of MOMENTS) {
        const name = `${end} during ${moment}`;
        const before = done.get(name) ?? 0;
        const count = Math.min(options.count - before, once ? 1 : ENDS_OF_A_CHILD);
        if (count <= 0 || limit.isOver()) continue;
        isOver = false;
        const wrong = fault(end, await runChild(end, moment, { count, seed: options.seed + 1000 * round }));
        if (wrong) failures.push(`${name} (seed ${options.seed + 1000 * round}): it ${wrong}`);
        done.set(name, before + count);
      }
    }
  }
  const total = [...done.values()].reduce((sum, count) => sum + count, 0);
  row("ends", `${total} in ${limit.elapsed().toFixed(0)} s`);
  for (const [name, count] of done) row(`  ${name}`, count);
  if (total === 0) failures.push("nothing was ended");
  return failures;
}

if (require.main === module) void runStress(() => lifetimes(readOptions({ count: 500 })));

module.exports = { ENDS, MOMENTS, fault, lifetimes, runChild };
