/**
 * One question on each processor. Started by `npm run test:processors`, which says where emulator and binaries are.
 */

"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const path = require("node:path");
const { test } = require("node:test");

const { EMULATOR = "" } = process.env;
const HANG_MS = 300_000;
const SCRIPT = `
  const { LlamaWorker, builtInModelPath } = require(${JSON.stringify(path.join(__dirname, "..", "..", "js", "index.js"))});
  (async () => {
    const worker = new LlamaWorker();
    const { cpuVariant, cpuFeatures } = await worker.init({ gpu: false, numThreads: 1 });
    await worker.loadModel(builtInModelPath);
    await worker.createContext({ threads: 1 });
    const { text } = await worker.generate("What is the capital of France?");
    await worker.cleanup();
    console.log(JSON.stringify({ cpuVariant, avx: cpuFeatures.some((name) => name.startsWith("AVX")), text }));
  })();
`;

/** @type {[processor: string, variant: string, hasAvx: boolean][]} */
const PROCESSORS = [
  ["core2duo", "x64", false],
  ["Nehalem", "sse42", false],
  ["SandyBridge", "sandybridge", true],
  ["Haswell", "haswell", true],
];

/** @param {string} processor */
async function onProcessor(processor) {
  const child = spawn(EMULATOR, ["-cpu", processor, process.execPath, "-e", SCRIPT], {
    timeout: HANG_MS,
    killSignal: "SIGKILL",
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...ended) => resolve(ended));
  });
  // An illegal instruction would be SIGILL.
  assert.deepEqual([code, signal], [0, null], stderr);
  return JSON.parse(stdout);
}

for (const [processor, cpuVariant, avx] of PROCESSORS) {
  test(`on ${processor} the variant ${cpuVariant} answers`, async () => {
    assert.deepEqual(await onProcessor(processor), { cpuVariant, avx, text: "The capital of France is Paris." });
  });
}
