/**
 * How much memory the process holds, and whether that grows.
 *
 * Decides nothing: how much growth is too much is each run's own.
 */

"use strict";

const { spawn } = require("node:child_process");
const { setTimeout: sleep } = require("node:timers/promises");
const { row } = require("./options");

/** Set in the process whose memory is measured. */
const STEADY = "LLAMA_WORKER_STRESS_STEADY";
/**
 * What is given back goes back to the system at once: glibc would keep ever larger blocks in ever more scattered heaps, and V8 as many empty pages as it
 * has once needed. That is not growth, and hides it.
 */
const STEADY_FLAGS = ["--expose-gc", "--max-semi-space-size=1"];
const STEADY_VARIABLES = { MALLOC_MMAP_THRESHOLD_: "65536", MALLOC_TRIM_THRESHOLD_: "131072", [STEADY]: "1" };

/**
 * Runs a program in a process of its own whose memory is what is in use.
 *
 * @param {string} file of the program, which comes here again
 * @param {() => void} program
 */
function runSteadily(file, program) {
  if (process.env[STEADY]) return program();
  const env = { ...process.env, ...STEADY_VARIABLES };
  const child = spawn(process.execPath, [...STEADY_FLAGS, file, ...process.argv.slice(2)], { stdio: "inherit", env });
  process.once("SIGTERM", () => child.kill());
  child.once("exit", (code, signal) => {
    if (signal) process.stderr.write(`it died of ${signal}\n`);
    process.exitCode = code ?? 1;
  });
}

/** What was not growth yet: the first steps fill caches, and V8's heap has no fixed size. */
const WARM_UP_SHARE = 0.2;

/** @returns {Promise<number>} bytes in use when everything that can be has been given back */
async function memoryInUse() {
  for (let times = 0; times < 3; times++) {
    global.gc?.();
    await sleep(10);
  }
  return process.memoryUsage().rss;
}

/**
 * What a curve gained between the end of the warm-up and its own end. The middle of several samples at each side: a single one may stand just before
 * what V8 gives back.
 *
 * @param {number[]} curve samples at equal distances
 * @returns {number} as they were counted
 */
function gain(curve) {
  const [first, end] = sides(curve);
  return end - first;
}

/**
 * @param {number[]} curve
 * @returns {number} the share by which it grew
 */
function memoryGrowth(curve) {
  const [first, end] = sides(curve);
  return curve.length === 0 ? 0 : (end - first) / first;
}

/** @param {number[]} curve */
function sides(curve) {
  const warm = curve.slice(Math.floor(curve.length * WARM_UP_SHARE));
  const side = Math.max(1, Math.floor(warm.length / 4));
  return [warm.slice(0, side), warm.slice(-side)].map(middle);
}

/** @param {number[]} some */
function middle(some) {
  return [...some].sort((one, other) => one - other)[Math.floor(some.length / 2)];
}

/**
 * @param {number[]} curve
 * @param {number} growth
 */
function rowOfMemory(curve, growth) {
  row("  memory, MiB", curve.map((bytes) => (bytes / 2 ** 20).toFixed(0)).join(" "));
  row("  growth of memory after warm-up", `${(growth * 100).toFixed(1)} %`);
}

module.exports = { gain, memoryGrowth, memoryInUse, rowOfMemory, runSteadily };
