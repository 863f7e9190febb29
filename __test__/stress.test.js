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
  passes(
    "hostile.js",
    ["--count", "100", "--seed", "8", "--seconds", "5"],
    /a prompt of 10 MB in one row +PROMPT_TOO_LONG[\s\S]*a stop string of 1 MB +accepted[\s\S]*a grammar that explodes +INVALID_GRAMMAR/,
  ));

test("workers, threads and processes end at any moment", () =>
  passes("lifetimes.js", ["--count", "1", "--seed", "8", "--seconds", "8"], /terminate during load +1/));

test("rounds of generations and loads leave nothing behind", () =>
  passes("soak.js", ["--count", "80", "--seed", "8", "--seconds", "5"], /open files/));

test("a run that finds something fails", async () => {
  const { allWork, fault, halfFiles, idleStrikes, ENDS, MOMENTS } = require("../stress/lifetimes");
  const struck = "struck while pending\n";
  const ended = { code: 0, signal: null, output: `${struck}all ended\n`, errors: "" };
  assert.equal(fault("cleanup", ended), undefined);
  assert.match(String(fault("cleanup", { ...ended, signal: "SIGSEGV" })), /died of SIGSEGV/);
  assert.match(String(fault("cleanup", { ...ended, signal: "SIGKILL" })), /did not end by itself/);
  assert.match(String(fault("exit", ended)), /ended with 0, expected 3/);
  assert.match(
    String(fault("cleanup", { ...ended, output: `${struck}2 threads are left` })),
    /not come to its end\n[\s\S]*2 threads/,
  );
  assert.match(String(fault("cleanup", ended, 2)), /came to 1 of 2 moments/);
  assert.match(String(fault("exit", { ...ended, code: 3, output: "" })), /came to 0 of 1 moments/);
  assert.match(String(fault("interrupt", { ...ended, output: "" })), /came to 0 of 1 moments/);
  for (const end of ["throw", "throw in a callback"]) {
    const thrown = { ...ended, code: 1, output: struck, errors: "Expected [Error]: nobody catches this\n" };
    assert.equal(fault(end, thrown), undefined);
    assert.match(String(fault(end, { ...thrown, errors: "TypeError: is no function" })), /not of what it was to throw/);
  }
  const shares = (/** @type {number} */ count, /** @type {number} */ pending) =>
    idleStrikes(
      new Map([
        ["one", { count, pending }],
        ["other", { count: 100, pending: 100 }],
      ]),
    );
  assert.deepEqual(shares(10, 2), []);
  assert.match(shares(10, 1)[0], /one: only 1 of 10/);
  assert.match(shares(100, 55)[0], /all ends: only 155 of 200/);
  const [only, ...noOther] = allWork({ count: 1, from: 3, only: "port closed during decode" });
  assert.deepEqual([only, noOther], [{ end: "port closed", moment: "decode", number: 3, count: 1 }, []]);
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
  const { missedAborts } = require("../stress/soak");
  assert.deepEqual(missedAborts({ tried: 40, aborted: 4 }), []);
  assert.match(missedAborts({ tried: 40, aborted: 3 })[0], /only 3 of 40/);
  assert.match(missedAborts({ tried: 0, aborted: 0 })[0], /only 0 of 0/);
});

test("a process that loaded damaged files and dies at its exit has died", () => {
  const { MOST_MEMORY, fault } = require("../stress/fuzz");
  const ended = { code: 0, signal: null, memory: 1 };
  assert.equal(fault(ended), undefined);
  assert.equal(fault({ ...ended, signal: "SIGSEGV", code: null }), "died of SIGSEGV");
  assert.equal(fault({ ...ended, code: 1 }), "died of exit code 1");
  assert.match(String(fault({ ...ended, memory: MOST_MEMORY + 1 })), /^holds/);
  assert.match(String(fault({ code: 0, signal: null })), /before it had done its files/);
  assert.equal(fault({ code: null, signal: "SIGKILL", killed: "enough" }), undefined);
  assert.equal(fault({ code: null, signal: "SIGSEGV", killed: "enough" }), "died of SIGSEGV");
  assert.equal(fault({ code: null, signal: "SIGKILL", killed: "stuck" }), "stood still");
  assert.equal(fault({ code: null, signal: "SIGKILL" }), "died of SIGKILL");
});

test("a long run that was cut short fails", () => {
  const { cutShort } = require("../stress/options");
  assert.deepEqual(cutShort({ done: 5, count: 99 }, 100), []);
  assert.deepEqual(cutShort({ done: 100, count: 100 }, 100), []);
  assert.deepEqual(cutShort({ done: 99, count: 100 }, 100), ["it was cut short: 99 of 100 were done"]);
});

test("a memory check that ran no test fails", () => {
  const { filtersWithoutTests } = require("../scripts/memcheck");
  const lines = [
    "running 2 tests",
    "test llama::gguf::one ... ok",
    "test chat::two ... ok",
    "test result: ok. 2 passed",
  ];
  assert.deepEqual(filtersWithoutTests(["llama::", "chat::"], lines), []);
  assert.deepEqual(filtersWithoutTests(["llama::", "text::"], lines), ["text::"]);
  assert.deepEqual(filtersWithoutTests(["nonsense"], ["running 0 tests"]), ["nonsense"]);
  assert.deepEqual(filtersWithoutTests([], ["running 0 tests"]), ["any name"]);
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
