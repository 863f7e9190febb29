/**
 * Loads one mutated model file after the other and lets it generate, until its parent has no more of them or this process dies.
 *
 * Gets `{ seed, from, to }` from its parent; before each file it says its number, after it the outcome.
 */

"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { LlamaError, LlamaWorker, builtInModelPath } = require("../js/index");
const { mutate } = require("./mutations");
const { KINDS, smallModel } = require("./small-models");

/** Every so many files the valid model must still answer as ever. */
const SAMPLE_EVERY = 50;
const QUESTION = "What is the capital of France?";
const ANSWER = "The capital of France is Paris.";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-fuzz-"));
process.once("exit", () => fs.rmSync(folder, { recursive: true, force: true }));

/** @param {any} message */
const tell = (message) => new Promise((sent) => process.send?.(message, undefined, undefined, sent));

/** Half of the files are mutations of the built-in model, the others of small ones of other architectures. */
function validModels() {
  const builtIn = fs.readFileSync(builtInModelPath);
  const others = Object.keys(KINDS).map((kind) => ({ kind, model: smallModel(builtIn, kind) }));
  return [...others.map(() => ({ kind: "built-in", model: builtIn })), ...others];
}

/**
 * Several threads in every other round of all models: an assertion that fails while they evaluate is no exception.
 *
 * @param {number} number
 * @param {number} nModels
 */
function threadsOf(number, nModels) {
  return 1 + (Math.floor(number / nModels) % 2);
}

/**
 * @param {LlamaWorker} worker
 * @param {string} file
 * @param {number} threads
 */
async function outcomeOf(worker, file, threads) {
  try {
    await worker.loadModel(file);
    await worker.createContext({ contextSize: 256, threads });
    await worker.generate("Hi", { maxTokens: 4, temperature: 0.5 });
    return "works";
  } catch (error) {
    if (error instanceof LlamaError) return error.code === "INTERNAL" ? `INTERNAL: ${error.message}` : error.code;
    return `no LlamaError: ${error}`;
  }
}

/** @param {LlamaWorker} worker */
async function answersAsEver(worker) {
  await worker.loadModel(builtInModelPath);
  await worker.createContext({ threads: 1 });
  return (await worker.generate(QUESTION)).text === ANSWER;
}

/** @param {{ seed: number, from: number, to: number }} range */
async function run({ seed, from, to }) {
  const models = validModels();
  const worker = new LlamaWorker();
  await worker.init({ gpu: false, numThreads: 2 });
  for (let number = from; number < to; number++) {
    const { kind, model } = models[number % models.length];
    const { name, bytes } = mutate(model, { seed, number });
    const threads = threadsOf(number, models.length);
    const file = path.join(folder, "mutated.gguf");
    fs.writeFileSync(file, bytes);
    await tell({ begins: number, name: `${name}, of ${kind}, ${threads} threads` });
    await tell({ ended: number, outcome: await outcomeOf(worker, file, threads) });
    // A mapped file must not change under llama.cpp: the next one is another file.
    fs.rmSync(file);
    if ((number + 1) % SAMPLE_EVERY === 0 && !(await answersAsEver(worker))) await tell({ wrong: number });
  }
  await worker.cleanup();
  await tell({ finished: true, memory: process.memoryUsage().rss });
  process.disconnect();
}

process.once("message", (range) => void run(/** @type {any} */ (range)));
