/**
 * The long runs of `stress/` in short: damaged files, hostile values, abrupt ends, many rounds.
 *
 * Each is a process of its own, which must pass and end by itself. The seeds are fixed: what fails here fails again.
 */

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { LlamaWorker, builtInModelPath } = require("../js/index");
const { KINDS, smallModel } = require("../stress/small-models");
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
  const { allWork, fault, halfFiles, ENDS, MOMENTS } = require("../stress/lifetimes");
  const ended = { code: 0, signal: null, output: "all ended" };
  assert.equal(fault("cleanup", ended), undefined);
  assert.match(String(fault("cleanup", { ...ended, signal: "SIGSEGV" })), /died of SIGSEGV/);
  assert.match(String(fault("cleanup", { ...ended, signal: "SIGKILL" })), /did not end by itself/);
  assert.match(String(fault("exit", ended)), /ended with 0, expected 3/);
  assert.match(String(fault("cleanup", { ...ended, output: "2 threads are left" })), /not come to its end\n2 threads/);
  const work = [...allWork({ count: 25, from: 10 })];
  const total = work.reduce((sum, { count }) => sum + count, 0);
  assert.equal(total, 25 * Object.keys(ENDS).length * MOMENTS.length);
  assert.ok(work.every(({ number, count }) => number >= 10 && number + count <= 35));
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-half-"));
  fs.writeFileSync(path.join(folder, "half.gguf"), "GGUF");
  fs.writeFileSync(path.join(folder, "other.gguf.part"), "GGUF");
  assert.deepEqual(halfFiles(folder), ["half.gguf"]);
  fs.rmSync(folder, { recursive: true });
  const { growth } = require("../stress/soak");
  const samples = Array.from({ length: 20 }, (_, index) => ({ rss: 100 + index, handles: 7, threads: 2 + index }));
  assert.ok(growth(samples).rss > 0.02 && growth(samples).threads > 0 && growth(samples).handles === 0);
});

test("the models that are damaged are valid to begin with", async (context) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-small-"));
  context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  await worker.init({ gpu: false, numThreads: 1 });
  for (const kind of Object.keys(KINDS)) {
    const file = path.join(folder, `${kind}.gguf`);
    fs.writeFileSync(file, smallModel(fs.readFileSync(builtInModelPath), kind));
    assert.equal((await worker.loadModel(file)).architecture, kind);
    await worker.createContext({ contextSize: 256, threads: 1 });
    assert.ok((await worker.generate("Hi", { maxTokens: 1 })).usage.promptTokens > 0, kind);
  }
});
