/**
 * The long runs of `stress/` in short: damaged files, hostile values, abrupt ends, many rounds.
 *
 * Each is a process of its own, which must pass and end by itself. The seeds are fixed: what fails here fails again.
 */

"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { runNode, test } = require("./support");

/** @param {string} script @param {string[]} options @param {RegExp} figures */
async function passes(script, options, figures) {
  const file = path.join(__dirname, "..", "stress", script);
  const { code, signal, stdout, stderr } = await runNode(["--expose-gc", file, ...options]);
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, stdout + stderr);
  assert.match(stdout, figures);
  assert.match(stdout, /passed\n$/);
}

test("damaged model files are errors or models", () =>
  passes("fuzz.js", ["--count", "30", "--seed", "8", "--seconds", "8"], /process deaths +0/));

test("hostile messages and options are answered", () =>
  passes("hostile.js", ["--count", "100", "--seed", "8", "--seconds", "5"], /hostile calls and messages/));

test("workers, threads and processes end at any moment", () =>
  passes("lifetimes.js", ["--count", "1", "--seed", "8", "--seconds", "8"], /terminate during load +1/));

test("rounds of generations and loads leave nothing behind", () =>
  passes("soak.js", ["--count", "80", "--seed", "8", "--seconds", "5"], /open files/));

test("a run that finds something fails", async () => {
  const { fault } = require("../stress/lifetimes");
  const ended = { code: 0, signal: null, output: "all ended", left: "" };
  assert.equal(fault("cleanup", ended), undefined);
  assert.match(String(fault("cleanup", { ...ended, signal: "SIGSEGV" })), /died of SIGSEGV/);
  assert.match(String(fault("cleanup", { ...ended, signal: "SIGKILL" })), /did not end by itself/);
  assert.match(String(fault("exit", ended)), /ended with 0, expected 3/);
  assert.match(String(fault("cleanup", { ...ended, output: "" })), /did not come to its end/);
  const { growth } = require("../stress/soak");
  const samples = Array.from({ length: 20 }, (_, index) => ({
    done: index,
    rss: 100 + index,
    handles: 7,
    threads: 2 + index,
  }));
  assert.ok(growth(samples).rss > 0.02 && growth(samples).threads > 0 && growth(samples).handles === 0);
});
