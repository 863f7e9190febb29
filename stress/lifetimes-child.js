/**
 * Brings a worker to a moment of its work and ends it there, so many times.
 *
 *   node lifetimes-child.js <end> <moment> <count> <seed>
 *
 * Ends by itself; prints `all ended` when it has outlived all of them.
 */

"use strict";

const { Worker, MessageChannel, isMainThread, workerData } = require("node:worker_threads");
const { setTimeout: sleep } = require("node:timers/promises");
const { LlamaWorker, builtInModelPath } = require("../js/index");
const { Random } = require("./random");

const LONG_PROMPT = "The quick brown fox jumps over the lazy dog. ".repeat(60);
/** A moment is somewhere in a step: so many milliseconds after its beginning at most. */
const LONGEST_STEP_MS = { load: 15, context: 8, prompt: 40, decode: 40 };

class Expected extends Error {}

const ignore = () => {};

/**
 * A worker in the middle of a step.
 *
 * @param {string} moment
 * @param {Random} random
 * @param {() => void} [onText]
 */
async function busyWorker(moment, random, onText = ignore) {
  const worker = new LlamaWorker();
  await worker.init({ gpu: false, numThreads: 1 });
  /** @type {PromiseLike<any>} */
  let step = worker.loadModel(builtInModelPath);
  if (moment !== "load") {
    await step;
    step = worker.createContext({ threads: 1 });
    if (moment !== "context") await step;
    if (moment === "prompt") step = worker.generate(LONG_PROMPT, { maxTokens: 1 }, onText);
    if (moment === "decode") step = worker.generate("Tell me a long story.", { maxTokens: 400 }, onText);
  }
  // How a step ends that is cut short is its own business.
  step.then(ignore, ignore);
  await sleep(random.below(LONGEST_STEP_MS[/** @type {keyof typeof LONGEST_STEP_MS} */ (moment)]));
  return worker;
}

/** @type {Record<string, (moment: string, random: Random) => Promise<void>>} ends of a worker that its process outlives */
const SHARED_ENDS = {
  async cleanup(moment, random) {
    const worker = await busyWorker(moment, random);
    await worker.cleanup();
  },
  async garbage(moment, random) {
    await busyWorker(moment, random);
    global.gc?.();
    await sleep(1);
  },
  async "port closed"(moment, random) {
    const { port1, port2 } = new MessageChannel();
    const worker = new LlamaWorker(port1);
    port2.postMessage({ type: "init", options: { gpu: false, numThreads: 1 } });
    port2.postMessage({ type: "load_model", options: { modelPath: builtInModelPath } });
    if (moment !== "load") port2.postMessage({ type: "create_context", options: { threads: 1 } });
    if (moment === "prompt") port2.postMessage({ type: "generate_completion", prompt: LONG_PROMPT });
    if (moment === "decode") port2.postMessage({ type: "generate_completion", prompt: "Tell me a long story." });
    await sleep(random.below(30));
    port2.close();
    await sleep(1);
    await worker.cleanup();
  },
  terminate: (moment, random) => inThread("terminate", moment, random),
  "exit in a thread": (moment, random) => inThread("exit", moment, random),
  "throw in a thread": (moment, random) => inThread("throw", moment, random),
};

/** @type {Record<string, (moment: string, random: Random) => Promise<void>>} ends of the process itself */
const OWN_ENDS = {
  async exit(moment, random) {
    await busyWorker(moment, random);
    process.exit(3);
  },
  async throw(moment, random) {
    await busyWorker(moment, random);
    setImmediate(() => {
      throw new Expected("nobody catches this");
    });
  },
  async "throw in a callback"(moment, random) {
    const throwing = () => {
      throw new Expected("nobody catches this");
    };
    const worker = await busyWorker(moment, random);
    worker.onMessage = throwing;
    worker.handleMessage({ type: "nobody knows it" });
  },
  /** As the script of a forked worker does it: Ctrl-C ends it in good order. */
  async interrupt(moment, random) {
    const worker = await busyWorker(moment, random);
    process.once("SIGINT", () => void worker.cleanup().then(() => process.exit(0)));
    process.send?.("ready");
    await sleep(60_000);
  },
};

/** A thread with a busy worker in it, which ends in the way that is named. */
async function inThread(/** @type {string} */ end, /** @type {string} */ moment, /** @type {Random} */ random) {
  const thread = new Worker(__filename, { workerData: { end, moment, seed: random.word() } });
  const ended = new Promise((resolve, reject) => {
    thread.once("exit", resolve);
    thread.once("error", (error) => (error.message === "nobody catches this" ? resolve(1) : reject(error)));
  });
  if (end === "terminate") {
    await new Promise((resolve) => thread.once("message", resolve));
    await thread.terminate();
  }
  await ended;
}

async function runInThread() {
  const { end, moment, seed } = workerData;
  const { parentPort } = require("node:worker_threads");
  await busyWorker(moment, new Random(seed));
  if (end === "exit") process.exit(0);
  if (end === "throw") {
    setImmediate(() => {
      throw new Expected("nobody catches this");
    });
  }
  parentPort?.postMessage("busy");
  if (end === "terminate") await sleep(60_000);
}

async function main() {
  const [end, moment, count, seed] = process.argv.slice(2);
  const random = new Random(Number(seed));
  if (OWN_ENDS[end]) return OWN_ENDS[end](moment, random);
  for (let times = Number(count); times > 0; times--) await SHARED_ENDS[end](moment, random);
  process.stdout.write("all ended\n");
}

if (isMainThread) void main();
else void runInThread();
