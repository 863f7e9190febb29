/**
 * `npm run hostile`: random and hostile messages on the port and options on the class. Every one must get an answer, the worker must generate as ever
 * afterwards, and the memory must not grow.
 *
 *   node stress/hostile.js [--count 100000] [--seed 1] [--seconds …]
 */

"use strict";

const { MessageChannel } = require("node:worker_threads");
const { setTimeout: sleep } = require("node:timers/promises");
const { LlamaError, LlamaWorker, builtInModelPath } = require("../js/index");
const { TEXTS, TYPES, Thrown, anyObject, anyValue, nested } = require("./hostile-values");
const { readOptions, row, runStress, timeLimit } = require("./options");
const { Random } = require("./random");

/** Far above what any answer takes. */
const LONGEST_ANSWER_MS = 600_000;
/** What was not growth yet: the first calls fill caches, and V8's heap has no fixed size. */
const WARM_UP_SHARE = 0.2;
const MOST_GROWTH = 64 << 20;
/** Shorter runs leave the large values out: some of them take seconds. */
const LONG_COUNT = 1000;

const CAPITAL = { question: "What is the capital of France?", answer: "The capital of France is Paris." };

/** @param {string} what @param {Promise<any>} answer */
async function inTime(what, answer) {
  const late = new AbortController();
  const timer = sleep(LONGEST_ANSWER_MS, "late", { signal: late.signal }).catch(() => undefined);
  const first = await Promise.race([answer, timer]).finally(() => late.abort());
  if (first === "late") throw new Error(`no answer to ${what} within ${LONGEST_ANSWER_MS} ms`);
  return first;
}

/** @param {LlamaWorker} worker */
async function ready(worker) {
  await worker.init({ gpu: false, numThreads: 1 });
  await worker.loadModel(builtInModelPath);
  await worker.createContext({ threads: 1 });
}

/** @param {LlamaWorker} worker */
async function answersAsEver(worker) {
  await worker.createContext({ threads: 1 });
  const { text } = await worker.generate(CAPITAL.question);
  if (text !== CAPITAL.answer) throw new Error(`the worker answers \`${text}\`, expected \`${CAPITAL.answer}\``);
}

/** The methods, each with hostile arguments. Few of them may be as long as they like. */
const CALLS = {
  init: (/** @type {any} */ worker, /** @type {Random} */ random) => worker.init(anyValue(random)),
  loadModel: (/** @type {any} */ worker, /** @type {Random} */ random) =>
    worker.loadModel(random.once(3) ? anyValue(random) : hostilePath(random), anyValue(random)),
  createContext: (/** @type {any} */ worker, /** @type {Random} */ random) =>
    worker.createContext(withoutHugeContext(anyValue(random))),
  generate: (/** @type {any} */ worker, /** @type {Random} */ random) =>
    worker.generate(random.once(2) ? random.of(TEXTS) : anyValue(random), shortOptions(random)),
  messages: (/** @type {any} */ worker, /** @type {Random} */ random) =>
    worker.generate(
      Array.from({ length: random.below(4) }, () => anyMessage(random)),
      shortOptions(random),
    ),
  createSession: async (/** @type {any} */ worker, /** @type {Random} */ random) => {
    const session = await worker.createSession(anyValue(random));
    try {
      return await session.setHistory(anyValue(random));
    } finally {
      await session.dispose();
    }
  },
  tokenize: (/** @type {any} */ worker, /** @type {Random} */ random) =>
    worker.tokenize(anyValue(random), anyValue(random)),
  detokenize: (/** @type {any} */ worker, /** @type {Random} */ random) =>
    worker.detokenize(anyValue(random), anyValue(random)),
  applyChatTemplate: (/** @type {any} */ worker, /** @type {Random} */ random) =>
    worker.applyChatTemplate([anyMessage(random), ...(random.once(2) ? [anyValue(random)] : [])], anyValue(random)),
};

/** @param {Random} random */
function hostilePath(random) {
  return random.of([
    "",
    "/",
    "/dev/zero",
    "/dev/null",
    "/proc/self/mem",
    "/no/such/file",
    "\u0000",
    ".",
    __filename,
    "\ud800",
    "a".repeat(5000),
  ]);
}

/** @param {Random} random */
function anyMessage(random) {
  const role = random.once(2) ? random.of(["user", "assistant", "system", "tool", "model"]) : anyValue(random);
  const content = random.once(2) ? random.of(TEXTS) : anyValue(random);
  return random.once(4) ? anyObject(random) : { role, content, ...(random.once(4) ? anyObject(random) : {}) };
}

/** Options with something hostile in them, of a generation that ends soon. */
function shortOptions(/** @type {Random} */ random) {
  const options = anyValue(random);
  if (typeof options !== "object" || options === null || Array.isArray(options))
    return random.once(3) ? options : { maxTokens: 2 };
  try {
    Object.defineProperty(options, "maxTokens", {
      value: random.once(20) ? anyValue(random) : 2,
      configurable: true,
      enumerable: true,
    });
  } catch {
    // A frozen one keeps what it has.
  }
  return options;
}

/** A context of gigabytes is no mistake where the machine has them, but takes its time. */
function withoutHugeContext(/** @type {any} */ options) {
  if (Object.hasOwn(Object(options), "contextSize") && typeof options.contextSize === "number")
    options.contextSize = Math.min(options.contextSize, 512);
  return options;
}

/**
 * @param {LlamaWorker} worker
 * @param {Random} random
 * @returns {Promise<string>} how it was answered
 */
async function hostileCall(worker, random) {
  const name = random.of(Object.keys(CALLS));
  try {
    await inTime(`${name}()`, (async () => CALLS[/** @type {keyof CALLS} */ (name)](worker, random))());
    return "accepted";
  } catch (error) {
    if (error instanceof LlamaError) {
      if (error.code === "INTERNAL") throw new Error(`${name}: ${error.message}`, { cause: error });
      return error.code;
    }
    // What a caller's own getter throws is the caller's.
    if (error instanceof Thrown) return "what a getter threw";
    if (error instanceof TypeError || error instanceof RangeError || error instanceof DOMException) return error.name;
    throw error;
  }
}

/** A port to a worker of this thread, on which each message is followed by one whose answer shows that it was dealt with. */
function openPort() {
  const { port1, port2 } = new MessageChannel();
  const worker = new LlamaWorker(port1);
  /** @type {Map<string, (message: any) => void>} */
  const waiting = new Map();
  let answers = 0;
  port2.on("message", (message) => {
    answers += 1;
    if (message?.type === "error") waiting.get(message.requestId)?.(message);
  });
  let asked = 0;
  return {
    worker,
    answers: () => answers,
    /** @param {unknown} message */
    send: (message) => port2.postMessage(message),
    /** Resolves when everything before it was answered. */
    async mark() {
      asked += 1;
      const requestId = `mark ${asked}`;
      const marked = new Promise((resolve) => waiting.set(requestId, resolve));
      port2.postMessage({ type: "create_context", options: { contextSize: "no size" }, requestId });
      await inTime("a message on the port", marked);
      waiting.delete(requestId);
    },
    async close() {
      await worker.cleanup();
      port2.close();
    },
  };
}

/** @param {Random} random */
function anyPortMessage(random) {
  if (random.once(4)) return anyValue(random);
  const message = anyObject(random);
  const type = random.once(6) ? anyValue(random, 1) : random.of(TYPES);
  // Nobody waits for a long answer here.
  const generates = type === "generate_completion" || type === "generate_chat_completion";
  const options = generates ? { options: shortOptions(random) } : {};
  return Object.assign(Object.create(null), copyOf(message), options, { type });
}

/** @returns {any} without getters: what is posted is copied anyway */
function copyOf(/** @type {any} */ object) {
  const copy = Object.create(null);
  for (const name of Object.keys(object)) {
    try {
      copy[name] = object[name];
    } catch {
      copy[name] = undefined;
    }
  }
  return withoutHugeContext(copy);
}

/** @param {ReturnType<typeof openPort>} port @param {Random} random */
async function hostileMessages(port, random) {
  const count = 1 + random.below(4);
  let posted = 0;
  for (let index = 0; index < count; index++) {
    const message = anyPortMessage(random);
    if (send(port, message)) posted += 1;
  }
  await port.mark();
  return posted;
}

/**
 * Posts a message. What cannot be cloned never leaves its sender, so the worker is given it directly.
 *
 * @param {ReturnType<typeof openPort>} port
 * @param {any} message
 */
function send(port, message) {
  try {
    port.send(message);
  } catch {
    try {
      port.worker.handleMessage(message);
    } catch (error) {
      // What a caller's own getter throws is the caller's.
      if (!(error instanceof Thrown || error instanceof TypeError)) throw error;
      return false;
    }
  }
  return true;
}

/** A few that are large: each alone is more than a thousand small ones. */
async function largeValues(/** @type {LlamaWorker} */ worker) {
  const megabytes = (/** @type {number} */ count, /** @type {string} */ unit) =>
    unit.repeat((count << 20) / unit.length);
  const deepArray = nested(20_000, (inner) => [inner]);
  const deepObject = nested(20_000, (inner) => ({ a: inner }));
  const deepSchema = nested(500, (inner) => ({ type: "array", items: typeof inner === "string" ? {} : inner }));
  /** @type {Record<string, () => PromiseLike<any>>} */
  const cases = {
    "a prompt of 50 MB": () => worker.generate(megabytes(50, "word "), { maxTokens: 1 }),
    "a prompt of 10 MB in one row": () => worker.generate(megabytes(10, "a"), { maxTokens: 1 }),
    "a prompt of 10 MB of control tokens": () => worker.generate(megabytes(10, "<|im_end|>"), { maxTokens: 1 }),
    "a prompt of 10 MB of template marks": () => worker.generate(megabytes(10, "</think>"), { maxTokens: 1 }),
    "50 MB of lone surrogates": () => worker.generate(megabytes(50, "\ud800"), { maxTokens: 1 }),
    "a stop string of 1 MB": () => worker.generate("Hi", { maxTokens: 4, customStopTriggers: [megabytes(1, "x")] }),
    "100,000 stop strings": () =>
      worker.generate("Hi", {
        maxTokens: 4,
        customStopTriggers: Array.from({ length: 100_000 }, (_, index) => `stop ${index}`),
      }),
    "a system prompt of 50 MB": () => worker.generate("Hi", { maxTokens: 1, systemPrompt: megabytes(50, "word ") }),
    "a grammar of 10 MB": () =>
      worker.generate("Hi", { maxTokens: 4, grammar: `root ::= ${megabytes(10, '"a" | ')}"b"` }),
    "a grammar that explodes": () =>
      worker.generate("Hi", { maxTokens: 4, grammar: 'root ::= (((("a"?){1000}){1000}){1000}){1000}' }),
    "an ambiguous grammar": () => worker.generate("Hi", { maxTokens: 16, grammar: "root ::= root root | [a-z]*" }),
    "a schema 500 deep": () => worker.generate("Hi", { maxTokens: 4, jsonSchema: /** @type {any} */ (deepSchema) }),
    "a schema of 100,000 properties": () =>
      worker.generate("Hi", {
        maxTokens: 4,
        jsonSchema: {
          type: "object",
          properties: Object.fromEntries(
            Array.from({ length: 100_000 }, (_, index) => [`p${index}`, { type: "string" }]),
          ),
        },
      }),
    "a schema that explodes": () =>
      worker.generate("Hi", {
        maxTokens: 4,
        jsonSchema: { type: "array", minItems: 1e9, maxItems: 1e9, items: { type: "string", minLength: 1e9 } },
      }),
    "100,000 messages": () =>
      worker.generate(
        Array.from({ length: 100_000 }, () => ({ role: "user", content: "Hi" })),
        { maxTokens: 1 },
      ),
    "arrays in arrays": () => worker.generate(/** @type {any} */ (deepArray), { maxTokens: 1 }),
    "objects in objects": () =>
      worker.generate("Hi", { maxTokens: 1, chatTemplateKwargs: /** @type {any} */ ({ deep: deepObject }) }),
    "a deep message on the port": async () => worker.handleMessage(deepObject),
    "a request id of 50 MB": async () => worker.handleMessage({ type: "bogus", requestId: megabytes(50, "x") }),
    "50 MB of text to tokenize": () => worker.tokenize(megabytes(50, "word ")),
    "ten million tokens": () => worker.detokenize(new Array(10_000_000).fill(5)),
    "a template of 50 MB": () =>
      worker.applyChatTemplate([{ role: "user", content: "Hi" }], { chatTemplate: megabytes(50, "{{ 1 }}") }),
  };
  for (const [name, attempt] of Object.entries(cases)) {
    const start = performance.now();
    const outcome = await inTime(
      name,
      (async () => attempt())().then(
        () => "accepted",
        (error) => {
          if (!(error instanceof LlamaError || error instanceof RangeError || error instanceof TypeError)) throw error;
          return /** @type {any} */ (error).code ?? error.name;
        },
      ),
    );
    row(`  ${name}`, `${outcome}, ${(performance.now() - start).toFixed(0)} ms`);
  }
  await answersAsEver(worker);
}

/** @returns {Promise<number>} bytes in use when everything that can be has been given back */
async function memoryInUse() {
  for (let times = 0; times < 3; times++) {
    global.gc?.();
    await sleep(20);
  }
  return process.memoryUsage().rss;
}

/** @param {import("./options").Options} options */
async function hostile(options) {
  const random = new Random(options.seed);
  const worker = new LlamaWorker();
  worker.onMessage = () => {};
  const port = openPort();
  /** @type {Map<string, number>} */
  const outcomes = new Map();
  /** @type {string[]} */
  const failures = [];
  const uncaught = (/** @type {unknown} */ error) => {
    if (!(error instanceof Thrown)) failures.push(`uncaught: ${/** @type {any} */ (error)?.stack ?? error}`);
  };
  process.on("uncaughtException", uncaught);
  process.on("unhandledRejection", uncaught);
  try {
    await ready(worker);
    await ready(port.worker);
    if (options.count >= LONG_COUNT) await largeValues(worker);
    const limit = timeLimit(options);
    let [done, messages, before] = [0, 0, 0];
    while (done + messages < options.count && !limit.isOver()) {
      const outcome = await hostileCall(worker, random);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      done += 1;
      messages += await hostileMessages(port, random);
      if (done % 500 === 0) {
        await ready(worker);
        await ready(port.worker);
        await answersAsEver(worker);
      }
      if (before === 0 && done + messages > options.count * WARM_UP_SHARE) before = await memoryInUse();
    }
    await ready(worker);
    await answersAsEver(worker);
    await ready(port.worker);
    await answersAsEver(port.worker);
    const growth = (await memoryInUse()) - (before || (await memoryInUse()));
    row(
      "hostile calls and messages",
      `${done} and ${messages} (seed ${options.seed}) in ${limit.elapsed().toFixed(0)} s`,
    );
    for (const [kind, count] of [...outcomes].sort(([, one], [, other]) => other - one)) row(`  ${kind}`, count);
    row("messages that the port answered with", port.answers());
    row("growth of memory after warm-up", `${(growth / 2 ** 20).toFixed(1)} MiB`);
    if (growth > MOST_GROWTH) failures.push(`the memory grew by ${growth} bytes`);
    if (done === 0) failures.push("nothing was tried");
  } finally {
    await worker.cleanup();
    await port.close();
    process.off("uncaughtException", uncaught);
    process.off("unhandledRejection", uncaught);
  }
  return failures;
}

if (require.main === module) void runStress(() => hostile(readOptions({ count: 100_000 })));

module.exports = { hostile };
