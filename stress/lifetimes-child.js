/**
 * Brings a worker to a moment of its work and ends it there, so many times.
 *
 *   node lifetimes-child.js <end> <moment> <count> <seed> <folder>
 *
 * Ends by itself; prints `all ended` when it has outlived all of them and none of their threads is left. Downloads come from a slow server of its own and
 * go to the folder.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { Worker, MessageChannel, isMainThread, parentPort, workerData } = require("node:worker_threads");
const { setTimeout: sleep } = require("node:timers/promises");
const { Hub, ggufBytes } = require("../__test__/fixtures/hub");
const { LlamaWorker, builtInModelPath } = require("../js/index");
const { Random } = require("./random");

const LONG_PROMPT = "The quick brown fox jumps over the lazy dog. ".repeat(60);
/** A moment is somewhere in a step: so many milliseconds after its beginning at most. */
const LONGEST_STEP_MS = { load: 15, context: 8, prompt: 40, decode: 40, download: 40 };
/** Bytes of what is downloaded. At this pace it takes an eighth of a second. */
const DOWNLOAD_BYTES = 1 << 18;
const PACE = { bytes: 4096, everyMs: 2 };
/** Threads that have been told to end take a moment; more than this is a thread that stays. */
const LONGEST_LINGER_MS = 60_000;

/** @typedef {{ model: string, dir: string }} Source what is downloaded to where */

class Expected extends Error {}

const ignore = () => {};

/**
 * A worker in the middle of a step.
 *
 * @param {string} moment
 * @param {Random} random
 * @param {Source} source
 */
async function busyWorker(moment, random, source) {
  const worker = new LlamaWorker();
  // How a step ends that is cut short is its own business.
  (await beginStep(worker, moment, source)).step.then(ignore, ignore);
  await sleep(random.below(LONGEST_STEP_MS[/** @type {keyof typeof LONGEST_STEP_MS} */ (moment)]));
  return worker;
}

/**
 * @param {LlamaWorker} worker
 * @param {string} moment
 * @param {Source} source
 * @returns {Promise<{ step: PromiseLike<any> }>} in an object, so that nobody waits for it
 */
async function beginStep(worker, moment, { model, dir }) {
  if (moment === "download") return { step: worker.downloadModel(model, { dir }) };
  await worker.init({ gpu: false, numThreads: 1 });
  const load = worker.loadModel(builtInModelPath);
  if (moment === "load") return { step: load };
  await load;
  const context = worker.createContext({ threads: 1 });
  if (moment === "context") return { step: context };
  await context;
  if (moment === "prompt") return { step: worker.generate(LONG_PROMPT, { maxTokens: 1 }) };
  return { step: worker.generate("Tell me a long story.", { maxTokens: 400 }) };
}

/** @typedef {(moment: string, random: Random, source: Source) => Promise<void>} End */

/** @type {Record<string, End>} ends of a worker that its thread outlives */
const WORKER_ENDS = {
  async cleanup(moment, random, source) {
    const worker = await busyWorker(moment, random, source);
    await worker.cleanup();
  },
  async garbage(moment, random, source) {
    await busyWorker(moment, random, source);
    global.gc?.();
    await sleep(1);
  },
  async "port closed"(moment, random, { model, dir }) {
    const { port1, port2 } = new MessageChannel();
    const worker = new LlamaWorker(port1);
    if (moment === "download") port2.postMessage({ type: "download_model", modelId: model, options: { dir } });
    else port2.postMessage({ type: "init", options: { gpu: false, numThreads: 1 } });
    port2.postMessage({ type: "load_model", options: { modelPath: builtInModelPath } });
    if (moment !== "load") port2.postMessage({ type: "create_context", options: { threads: 1 } });
    if (moment === "prompt") port2.postMessage({ type: "generate_completion", prompt: LONG_PROMPT });
    if (moment === "decode") port2.postMessage({ type: "generate_completion", prompt: "Tell me a long story." });
    await sleep(random.below(30));
    port2.close();
    await sleep(1);
    await worker.cleanup();
  },
};

/** @type {Record<string, End>} ends of a thread, or of a process that is told so */
const THREAD_ENDS = {
  async exit(moment, random, source) {
    await busyWorker(moment, random, source);
    process.exit(isMainThread ? 3 : 0);
  },
  async throw(moment, random, source) {
    await busyWorker(moment, random, source);
    throwLater();
  },
  async "throw in a callback"(moment, random, source) {
    const worker = await busyWorker(moment, random, source);
    worker.onMessage = () => {
      throw new Expected("nobody catches this");
    };
    worker.handleMessage({ type: "nobody knows it" });
  },
  /** In a thread; the process has its own way. */
  async terminate(moment, random, source) {
    await busyWorker(moment, random, source);
    parentPort?.postMessage("busy");
    await sleep(LONGEST_LINGER_MS);
  },
  /** As the script of a forked worker does it: Ctrl-C ends it in good order. */
  async interrupt(moment, random, source) {
    const worker = await busyWorker(moment, random, source);
    process.once("SIGINT", () => void worker.cleanup().then(() => process.exit(0)));
    process.send?.("ready");
    await sleep(LONGEST_LINGER_MS);
  },
};

function throwLater() {
  setImmediate(() => {
    throw new Expected("nobody catches this");
  });
}

/**
 * A thread with a busy worker in it, which ends in the way that is named.
 *
 * @param {string} end
 * @param {string} moment
 * @param {Random} random
 * @param {Source} source
 */
async function inThread(end, moment, random, source) {
  const thread = new Worker(__filename, { workerData: { end, moment, seed: random.word(), source } });
  const outcome = new Promise((resolve, reject) => {
    thread.once("exit", () => resolve("ended"));
    thread.once("error", (error) => (error.message === "nobody catches this" ? resolve("threw") : reject(error)));
  });
  if (end === "terminate") {
    await Promise.race([outcome, new Promise((resolve) => thread.once("message", resolve))]);
    await thread.terminate();
  }
  const expected = end.startsWith("throw") ? "threw" : "ended";
  const found = await outcome;
  if (found !== expected) throw new Error(`the thread ${found}, expected that it ${expected}`);
}

async function runInThread() {
  const { end, moment, seed, source } = workerData;
  await (THREAD_ENDS[end] ?? WORKER_ENDS[end])(moment, new Random(seed), source);
}

/** The threads of this process, where that can be told. */
function threadCount() {
  return process.platform === "linux" ? fs.readdirSync("/proc/self/task").length : 0;
}

/** Waits until there are no more threads than `most`; says what is wrong when they stay. */
async function threadsLeft(/** @type {number} */ most) {
  const start = performance.now();
  while (threadCount() > most && performance.now() - start < LONGEST_LINGER_MS) {
    global.gc?.();
    await sleep(5);
  }
  const left = threadCount() - most;
  return left > 0 ? `${left} threads are left\n` : undefined;
}

/** Node's own threads for files: they come with the first use, and stay. */
async function startOwnThreads() {
  await Promise.all(Array.from({ length: 8 }, () => fs.promises.stat(__filename)));
}

async function main() {
  const [end, moment, count, seed, dir] = process.argv.slice(2);
  const random = new Random(Number(seed));
  const hub = await new Hub().start();
  const bytes = ggufBytes(DOWNLOAD_BYTES);
  /** Each download is of a file of its own: two of one file would wait for each other. */
  const source = (/** @type {number} */ number) => {
    hub.script("content", { pace: PACE });
    const name = `${path.basename(__filename, ".js")}-${process.pid}-${number}.gguf`;
    return { model: hub.put("a/model", name, bytes), dir };
  };
  if (THREAD_ENDS[end] && end !== "terminate") return THREAD_ENDS[end](moment, random, source(0));
  const inThreads = / in a thread$/;
  const name = end.replace(inThreads, "");
  const isInThread = inThreads.test(end) || end === "terminate";
  await startOwnThreads();
  const before = threadCount();
  for (let number = 0; number < Number(count); number++) {
    if (isInThread) await inThread(name, moment, random, source(number));
    else await WORKER_ENDS[name](moment, random, source(number));
  }
  process.stdout.write((await threadsLeft(before)) ?? "all ended\n");
}

if (isMainThread) void main();
else void runInThread();
