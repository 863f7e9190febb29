/**
 * Brings a worker to a moment of its work and ends it there, so many times.
 *
 *   node lifetimes-child.js <end> <moment> <count> <seed> <folder>
 *
 * At each end it prints `struck while pending` or `struck too late`: whether the step was still under way. Ends by itself; prints `all ended` when it has
 * outlived all of them and none of their threads is left. A step that fails before its end is a failure. Downloads come from a slow server of its own and go
 * to the folder.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { Worker, MessageChannel, isMainThread, parentPort, workerData } = require("node:worker_threads");
const { setImmediate: nextTurn, setTimeout: sleep } = require("node:timers/promises");
const { Hub, ggufBytes } = require("../__test__/fixtures/hub");
const { LlamaWorker, builtInModelPath } = require("../js/index");
const { Random } = require("./random");

const LONG_PROMPT = "The quick brown fox jumps over the lazy dog. ".repeat(30);
const STORY = "Tell me a long story.";
/** A moment is somewhere in a step: so many milliseconds after its first sign at most. */
const LONGEST_STEP_MS = { load: 1, context: 3, prompt: 40, decode: 40, download: 40 };
/** Bytes of what is downloaded. At this pace it takes an eighth of a second. */
const DOWNLOAD_BYTES = 1 << 18;
const PACE = { bytes: 4096, everyMs: 2 };
/** Threads that have been told to end take a moment; more than this is a thread that stays. The parent waits longer. */
const LONGEST_LINGER_MS = 30_000;

/** @typedef {{ model: string, dir: string }} Source what is downloaded to where */
/** @typedef {{ step: PromiseLike<any>, sign: PromiseLike<any> }} Begun `sign`: comes when the step is under way */

/** What the ends that throw do; the parent looks for it. */
const UNCAUGHT = "nobody catches this";

class Expected extends Error {}

/** @returns {{ promise: Promise<void>, resolve: () => void }} */
function deferred() {
  /** @type {any} */
  const made = {};
  made.promise = new Promise((resolve) => (made.resolve = () => resolve(undefined)));
  return made;
}

/**
 * A worker in the middle of a step.
 *
 * @param {string} moment
 * @param {Random} random
 * @param {Source} source
 * @returns {Promise<{ worker: LlamaWorker, strike: () => void }>} `strike` says that it is ended now
 */
async function busyWorker(moment, random, source) {
  const worker = new LlamaWorker();
  const state = { isPending: true, isStruck: false };
  const { step, sign } = await beginStep(worker, moment, source);
  const settled = step.then(
    () => {
      state.isPending = false;
    },
    (error) => {
      state.isPending = false;
      // A step that its worker's end cuts short says so. Anything else that it says is a failure that nobody catches.
      const isCutShort = error?.code === "WORKER_STOPPED" || error?.name === "AbortError";
      if (!state.isStruck || !isCutShort) throw error;
    },
  );
  await Promise.race([sign, settled]);
  const delay = random.below(LONGEST_STEP_MS[/** @type {keyof typeof LONGEST_STEP_MS} */ (moment)] + 1);
  if (delay > 0) await Promise.race([sleep(delay), settled]);
  return {
    worker,
    strike() {
      state.isStruck = true;
      tellStrike(state.isPending);
    },
  };
}

/** Written at once: the process may be about to end. */
function tellStrike(/** @type {boolean} */ isPending) {
  fs.writeSync(1, isPending ? "struck while pending\n" : "struck too late\n");
}

/**
 * @param {LlamaWorker} worker
 * @param {string} moment
 * @param {Source} source
 * @returns {Promise<Begun>}
 */
async function beginStep(worker, moment, { model, dir }) {
  const { promise: sign, resolve } = deferred();
  if (moment === "download") return { step: worker.downloadModel(model, { dir, onProgress: resolve }), sign };
  await worker.init({ gpu: false, numThreads: 1 });
  // Its first progress comes when nothing is left to do: the file is mapped. What is small needs no sign but its beginning.
  const load = worker.loadModel(builtInModelPath);
  if (moment === "load") return { step: load, sign: nextTurn() };
  await load;
  const context = worker.createContext({ threads: 1 });
  if (moment === "context") return { step: context, sign: nextTurn() };
  await context;
  if (moment === "prompt") return { step: worker.generate(LONG_PROMPT, { maxTokens: 1 }), sign: nextTurn() };
  return { step: worker.generate(STORY, { maxTokens: 400 }, resolve), sign };
}

/**
 * What a worker says on its port from when on a step is under way, when it has ended, and when it was aborted.
 *
 * @type {Record<string, { message?: any, begins: (message: any) => boolean, ends: RegExp, aborted?: RegExp }>}
 */
const SAID = {
  load: { begins: ({ message }) => /^Carregando/.test(message), ends: /^Modelo carregado/ },
  context: { begins: ({ message }) => /^Criando/.test(message), ends: /^Contexto criado/ },
  prompt: {
    message: { type: "generate_completion", prompt: LONG_PROMPT, options: { maxTokens: 1 } },
    begins: ({ message }) => /^Gerando/.test(message),
    ends: /^Geração/,
    aborted: /^Geração abortada/,
  },
  decode: {
    message: { type: "generate_completion", prompt: STORY, options: { maxTokens: 400 } },
    begins: ({ type }) => type === "completion_chunk",
    ends: /^Geração/,
    aborted: /^Geração abortada/,
  },
  download: {
    begins: ({ type }) => type === "download_progress",
    ends: /^Download abortado pelo|^Modelo baixado/,
    aborted: /^Download abortado pelo/,
  },
};

/** The messages that bring a worker to a moment. */
function messagesTo(/** @type {string} */ moment, /** @type {Source} */ { model, dir }) {
  if (moment === "download") return [{ type: "download_model", modelId: model, requestId: "one", options: { dir } }];
  const messages = [
    { type: "init", options: { gpu: false, numThreads: 1 } },
    { type: "load_model", options: { modelPath: builtInModelPath } },
    ...(moment === "load" ? [] : [{ type: "create_context", options: { threads: 1 } }]),
  ];
  return SAID[moment].message ? [...messages, SAID[moment].message] : messages;
}

/**
 * Looks at what a worker says of one step.
 *
 * @param {LlamaWorker} worker
 * @param {string} moment
 */
function heard(worker, moment) {
  const { begins, ends, aborted } = SAID[moment];
  const [begun, ended] = [deferred(), deferred()];
  const state = { isOver: false, isAborted: false };
  worker.onMessage = (/** @type {any} */ message) => {
    if (message.type === "error") throw new Error(`${moment}: ${message.error} (${message.details})`);
    if (begins(message)) begun.resolve();
    if (!ends.test(message.message)) return;
    state.isOver = true;
    state.isAborted = aborted?.test(message.message) ?? false;
    begun.resolve();
    ended.resolve();
  };
  return { state, begun: begun.promise, ended: ended.promise, canAbort: aborted !== undefined };
}

/** @param {Promise<any>} event @param {string} what */
async function inTime(event, what) {
  const late = new AbortController();
  const timer = sleep(LONGEST_LINGER_MS, "late", { signal: late.signal }).catch(() => undefined);
  if ((await Promise.race([event, timer])) === "late") throw new Error(`${what} did not come`);
  late.abort();
}

/** @typedef {(moment: string, random: Random, source: Source) => Promise<void>} End */

/** @type {Record<string, End>} ends of a worker that its thread outlives */
const WORKER_ENDS = {
  async cleanup(moment, random, source) {
    const { worker, strike } = await busyWorker(moment, random, source);
    strike();
    await worker.cleanup();
  },
  async garbage(moment, random, source) {
    (await busyWorker(moment, random, source)).strike();
    global.gc?.();
    await sleep(1);
  },
  /** Nobody cleans up: that the port has no other end any more must stop what is under way, and nobody else holds the worker. */
  async "port closed"(moment, random, source) {
    const { port1, port2 } = new MessageChannel();
    const worker = new LlamaWorker(port1);
    const { state, begun, ended, canAbort } = heard(worker, moment);
    for (const message of messagesTo(moment, source)) port2.postMessage(message);
    await inTime(begun, "the step's beginning");
    await sleep(random.below(LONGEST_STEP_MS[/** @type {keyof typeof LONGEST_STEP_MS} */ (moment)] + 1));
    const wasOver = state.isOver;
    port2.close();
    await inTime(ended, "the step's end");
    // What can be aborted was struck in time when it was.
    tellStrike(canAbort ? state.isAborted : !wasOver);
    worker.onMessage = null;
  },
};

/** @type {Record<string, End>} ends of a thread, or of a process that is told so */
const THREAD_ENDS = {
  async exit(moment, random, source) {
    (await busyWorker(moment, random, source)).strike();
    process.exit(isMainThread ? 3 : 0);
  },
  async throw(moment, random, source) {
    (await busyWorker(moment, random, source)).strike();
    throwLater();
  },
  async "throw in a callback"(moment, random, source) {
    const { worker, strike } = await busyWorker(moment, random, source);
    strike();
    worker.onMessage = () => {
      throw new Expected(UNCAUGHT);
    };
    worker.handleMessage({ type: "nobody knows it" });
  },
  /** In a thread; the process has its own way. */
  async terminate(moment, random, source) {
    (await busyWorker(moment, random, source)).strike();
    parentPort?.postMessage("busy");
    await sleep(LONGEST_LINGER_MS);
  },
  /** As the script of a forked worker does it: Ctrl-C ends it in good order. */
  async interrupt(moment, random, source) {
    const { worker, strike } = await busyWorker(moment, random, source);
    process.once("SIGINT", () => {
      strike();
      void worker.cleanup().then(() => process.exit(0));
    });
    process.send?.("ready");
    await sleep(LONGEST_LINGER_MS);
  },
};

function throwLater() {
  setImmediate(() => {
    throw new Expected(UNCAUGHT);
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
    thread.once("error", (error) => (error.message === UNCAUGHT ? resolve("threw") : reject(error)));
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
