/**
 * A GPU's backend on whatever device there is: the same greedy text as the CPU, whatever part of the model is on it. Started by `npm run test:vulkan` and
 * `npm run test:cuda`, which say which backend and where the package is.
 */

"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { after, before, test } = require("node:test");

const { GPU = "", GPU_TITLE = "", GPU_PACKAGE = "" } = process.env;
const { LlamaWorker, builtInModelPath } = require(GPU_PACKAGE);

/** Pipelines are compiled at first use, on a software driver for half a minute. */
const HANG_MS = 300_000;
const PROMPTS = [
  "What is the capital of France?",
  "What is 3 + 4?",
  "Tell me a short story.",
  "My name is Ana. What is my name?",
];
const GREEDY = { temperature: 0, maxTokens: 60 };

/** @type {any} */
let onGpu;
/** @type {string[]} */
let expected;

/**
 * @param {any} worker
 * @returns {Promise<string[]>}
 */
async function answers(worker) {
  const texts = [];
  for (const prompt of PROMPTS) {
    await worker.createContext({ threads: 2 });
    texts.push((await worker.generate(prompt, GREEDY)).text);
  }
  return texts;
}

before(
  async () => {
    const worker = new LlamaWorker();
    await worker.init({ gpu: "off", numThreads: 2 });
    await worker.loadModel(builtInModelPath);
    expected = await answers(worker);
    await worker.cleanup();
    onGpu = new LlamaWorker();
  },
  { timeout: HANG_MS },
);
after(() => onGpu.cleanup());

test("`auto` takes the GPU that is installed, and tells what it has", { timeout: HANG_MS }, async () => {
  const { backend, devices, warnings } = await onGpu.init({ gpu: "auto", numThreads: 2 });
  assert.deepEqual([backend, warnings], [GPU_TITLE, []]);
  const chosen = devices.filter((/** @type {any} */ { isChosen }) => isChosen);
  assert.ok(chosen.length > 0);
  for (const { backend: name, type, memoryTotal, memoryFree, description } of chosen) {
    assert.equal(name, GPU_TITLE);
    assert.ok(["gpu", "integratedGpu"].includes(type), type);
    assert.ok(memoryTotal > 0 && memoryFree > 0, description);
  }
  assert.equal(devices.find((/** @type {any} */ { type }) => type === "cpu").isChosen, false);
});

for (const gpuLayers of /** @type {const} */ (["max", "auto", 2, 0])) {
  test(`with \`gpuLayers: ${JSON.stringify(gpuLayers)}\` the greedy answers are the CPU's`, {
    timeout: HANG_MS,
  }, async () => {
    await onGpu.init({ gpu: GPU, numThreads: 2 });
    const model = await onGpu.loadModel(builtInModelPath, { gpuLayers });
    const all = model.layers + 1;
    if (gpuLayers === "max") assert.equal(model.gpuLayers, all);
    else if (gpuLayers === "auto") assert.ok(model.gpuLayers > 0 && model.gpuLayers <= all, String(model.gpuLayers));
    else assert.equal(model.gpuLayers, gpuLayers);
    assert.deepEqual(await answers(onGpu), expected);
  });
}

test("an abort ends an answer in the middle, and the next one is whole", { timeout: HANG_MS }, async () => {
  await onGpu.loadModel(builtInModelPath, { gpuLayers: "max" });
  await onGpu.createContext({ threads: 2 });
  const generation = onGpu.generate("Tell me a long story.", {}, () => onGpu.abort());
  assert.equal((await generation).stopReason, "abort");
  await onGpu.createContext({ threads: 2 });
  assert.equal((await onGpu.generate(PROMPTS[0], GREEDY)).text, expected[0]);
});

test("a worker beside it that wants no GPU gets none", { timeout: HANG_MS }, async () => {
  const other = new LlamaWorker();
  const { backend, devices } = await other.init({ gpu: false, numThreads: 1 });
  const model = await other.loadModel(builtInModelPath, { gpuLayers: "max" });
  await other.cleanup();
  assert.deepEqual([backend, model.gpuLayers], ["CPU", 0]);
  assert.deepEqual(
    devices.filter((/** @type {any} */ { isChosen }) => isChosen).map((/** @type {any} */ { type }) => type),
    ["cpu"],
  );
});

for (const [ending, code] of /** @type {[string, number][]} */ ([
  ["", 0],
  ["process.exit(7)", 7],
])) {
  test(`a process ends in good order (${ending || "by itself"})`, { timeout: HANG_MS }, async () => {
    const script = `
      const { LlamaWorker, builtInModelPath } = require(${JSON.stringify(GPU_PACKAGE)});
      (async () => {
        const worker = new LlamaWorker();
        await worker.init({ gpu: ${JSON.stringify(GPU)}, numThreads: 1 });
        await worker.loadModel(builtInModelPath, { gpuLayers: "max" });
        await worker.createContext({ threads: 1 });
        await worker.generate("Tell me a long story.", { maxTokens: 12 }, () => { ${ending} });
      })();
    `;
    const child = spawn(process.execPath, ["-e", script], { timeout: HANG_MS, killSignal: "SIGKILL" });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    const ended = await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (...how) => resolve(how));
    });
    assert.deepEqual(ended, [code, null], stderr);
  });
}
