/**
 * `npm run hostile`: random and hostile messages on the port and options on the class. Every one must get an answer, the worker must generate as ever
 * afterwards, and the memory must not grow.
 *
 *   node stress/hostile.js [--count 100000] [--seed 1] [--seconds …]
 */

"use strict";

const { once } = require("node:events");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { MessageChannel } = require("node:worker_threads");
const { setTimeout: sleep } = require("node:timers/promises");
const { inspect } = require("node:util");
const { LlamaError, LlamaWorker, builtInModelPath } = require("../js/index");
const { NUMBERS, TEXTS, TYPES, Thrown, anyObject, anyValue, nested } = require("./hostile-values");
const { memoryGrowth, memoryInUse, rowOfMemory, runSteadily } = require("./memory");
const { readOptions, row, runStress, timeLimit } = require("./options");
const { Random } = require("./random");

/** Far above what any answer takes. */
const LONGEST_ANSWER_MS = 600_000;
/** Shorter runs have only the quick ones of the large values, and are all warm-up. */
const LONG_COUNT = 1000;
/** The largest share of memory by which it may grow after the first fifth. */
const MOST_GROWTH = 0.02;
const SAMPLES = 20;
/** So many calls apart the workers are set up anew and must answer as ever. */
const CHECK_EVERY = 500;
/** What the contract answers with silence: nothing was under way, or the answer is the generation's. */
const SILENT_TYPES = ["abort", "abort_download", "tool_result"];

const CAPITAL = { question: "What is the capital of France?", answer: "The capital of France is Paris." };

/** @param {string} what @param {Promise<any> | undefined} answer */
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

/** Tokens of which no machine has a context. */
const HUGE_CONTEXT = 2 ** 31 - 1;
/** How such a one may be refused; the last two when an earlier hostile call has left the worker without a model. */
const HUGE_CODES = ["INVALID_OPTION", "INSUFFICIENT_MEMORY", "MODEL_NOT_LOADED", "NOT_INITIALIZED"];
/** Where downloads go, and a server that nobody runs; no download asks another. */
const DOWNLOAD = { dir: path.join(os.tmpdir(), `llama-worker-hostile-${process.pid}`), endpoint: "" };

/** Chooses a port of this machine on which nothing listens. */
async function closeServer() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  DOWNLOAD.endpoint = `http://127.0.0.1:${/** @type {net.AddressInfo} */ (server.address()).port}`;
  server.close();
  await once(server, "close");
}

/** @param {Random} random ids that can be used, of models of the closed server, alone or among others */
function closedModel(random) {
  const id = random.of([`${DOWNLOAD.endpoint}/model.gguf`, "hf:nobody/nothing", "hf://nobody/nothing/model.gguf"]);
  return random.once(3) ? [id, anyValue(random, 1)] : id;
}

/** The methods, each with hostile arguments. Few of them may be as long as they like. */
const CALLS = {
  init: (/** @type {any} */ worker, /** @type {Random} */ random) => worker.init(anyValue(random)),
  loadModel: (/** @type {any} */ worker, /** @type {Random} */ random) =>
    worker.loadModel(random.once(3) ? anyValue(random) : hostilePath(random), anyValue(random)),
  createContext: async (/** @type {any} */ worker, /** @type {Random} */ random) => {
    const options = withoutLargeContext(anyValue(random));
    const isHuge = options?.contextSize >= HUGE_CONTEXT && typeof options.contextSize === "number";
    const code = await worker.createContext(options).then(
      () => "accepted",
      (/** @type {any} */ error) => {
        if (!isHuge || !HUGE_CODES.includes(error.code)) throw error;
        return error.code;
      },
    );
    if (isHuge && !HUGE_CODES.includes(code)) throw new Error(`a context of ${options.contextSize} tokens: ${code}`);
  },
  downloadModel: async (/** @type {any} */ worker, /** @type {Random} */ random) => {
    const options = { ...copyOf(anyObject(random)), ...DOWNLOAD, signal: AbortSignal.timeout(random.below(10)) };
    const files = await (random.once(2)
      ? worker.downloadModel(closedModel(random), options)
      : worker.downloadModel(anyValue(random), random.once(2) ? anyValue(random) : options));
    if (files.length > 0) throw new Error(`a closed server has sent ${shown(files)}`);
  },
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

/** A context of gigabytes is no mistake where the machine has them, but takes its time. One of which no machine has the memory is refused at once. */
function withoutLargeContext(/** @type {any} */ options) {
  if (Object.hasOwn(Object(options), "contextSize") && typeof options.contextSize === "number") {
    const size = options.contextSize;
    if (size > 512 && size < HUGE_CONTEXT) options.contextSize = 512;
  }
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

/** A port to a worker of this thread, and who waits for which answer on it. */
function openPort() {
  const { port1, port2 } = new MessageChannel();
  const worker = new LlamaWorker(port1);
  /** @type {Map<string, (message: any) => void>} by the `requestId` that the answer must bear */
  const waiting = new Map();
  const counts = { answers: 0, asked: 0 };
  port2.on("message", (message) => {
    counts.answers += 1;
    waiting.get(message?.requestId)?.(message);
  });
  /** @param {string} what */
  const nextId = (what) => {
    counts.asked += 1;
    return `${what} ${counts.asked}`;
  };
  /**
   * Resolves with the first answer that bears this `requestId`.
   *
   * @param {string} requestId
   * @param {(message: any) => boolean} [isIt]
   */
  const answerTo = (requestId, isIt = () => true) =>
    new Promise((resolve) => {
      waiting.set(requestId, (message) => {
        if (!isIt(message)) return;
        waiting.delete(requestId);
        resolve(message);
      });
    });
  return {
    worker,
    answers: () => counts.answers,
    nextId,
    answerTo,
    /** @param {string} requestId */
    expectNothing: (requestId) => void waiting.delete(requestId),
    /** @param {unknown} message */
    send: (message) => port2.postMessage(message),
    /** Resolves when everything before it that has its turn has had it. */
    async mark() {
      const requestId = nextId("mark");
      const marked = answerTo(requestId, ({ type }) => type === "error");
      port2.postMessage({ type: "create_context", options: { contextSize: "no size" }, requestId });
      await inTime("a mark on the port", marked);
    },
    async close() {
      await worker.cleanup();
      port2.close();
    },
  };
}

/** @param {Random} random */
function anyPortMessage(random) {
  const message = anyObject(random);
  const type = random.once(6) ? anyValue(random, 1) : random.of(TYPES);
  // Nobody waits for a long answer here.
  const generates = type === "generate_completion" || type === "generate_chat_completion";
  const options = generates ? { options: shortOptions(random) } : {};
  if (type === "download_model") {
    const modelId = random.once(2) ? closedModel(random) : anyValue(random, 1);
    Object.assign(options, { modelId, options: { ...copyOf(anyObject(random)), ...DOWNLOAD } });
  }
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
  return withoutLargeContext(copy);
}

/**
 * Some messages at once, each with a mark of its own that its answer must bear; then one that may be anything, to which something must be said.
 *
 * @param {ReturnType<typeof openPort>} port
 * @param {Random} random
 * @returns {Promise<{ answered: number, silent: number }>}
 */
async function hostileMessages(port, random) {
  const posted = { answered: 0, silent: 0 };
  const answers = [];
  for (let count = 1 + random.below(4); count > 0; count--) {
    const message = Object.assign(anyPortMessage(random), { requestId: port.nextId("message") });
    const isSilent = SILENT_TYPES.includes(message.type);
    const answer = isSilent ? undefined : port.answerTo(message.requestId);
    if (!send(port, message)) port.expectNothing(message.requestId);
    else if (isSilent) posted.silent += 1;
    else answers.push(inTime(`a message of the type ${shown(message.type)}`, answer));
  }
  await port.mark();
  posted.answered += (await Promise.all(answers)).length;
  // Those that a closed server keeps waiting.
  port.send({ type: "abort_download" });
  if (random.once(2)) return posted;
  const before = port.answers();
  const value = anyValue(random);
  if (send(port, value)) {
    await port.mark();
    // The mark is one of them.
    const isAnswered = port.answers() > before + 1;
    const isSilent = SILENT_TYPES.includes(typeOf(value));
    if (!isAnswered && !isSilent) throw new Error(`no answer to a message that is ${shown(value)}`);
    posted[isAnswered ? "answered" : "silent"] += 1;
  }
  return posted;
}

/** @param {unknown} value */
function shown(value) {
  return inspect(value, { depth: 2, breakLength: Number.POSITIVE_INFINITY }).slice(0, 200);
}

/** @param {any} value */
function typeOf(value) {
  try {
    return value?.type;
  } catch {
    return undefined;
  }
}

/**
 * Posts a message. What cannot be cloned never leaves its sender, so the worker is given it directly.
 *
 * @param {ReturnType<typeof openPort>} port
 * @param {any} message
 * @returns {boolean} whether the worker got it
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

/**
 * What one process may hold at most while it deals with a large value, beyond what it held before: the value itself, its copies on the way to the engine and
 * its tokens.
 */
const MOST_PEAK = 3 * 2 ** 30;

/** @typedef {{ codes: string[], attempt: () => PromiseLike<any>, isQuick?: boolean }} Large `codes`: all the ways in which it may end */

/**
 * Values that are large: each alone is more than a thousand small ones.
 *
 * @param {LlamaWorker} worker
 * @param {ReturnType<typeof openPort>} port
 * @returns {Record<string, Large>}
 */
function largeCases(worker, port) {
  const megabytes = (/** @type {number} */ count, /** @type {string} */ unit) =>
    unit.repeat((count << 20) / unit.length);
  const deepArray = nested(20_000, (inner) => [inner]);
  const deepObject = nested(20_000, (inner) => ({ a: inner }));
  const deepSchema = nested(500, (inner) => ({ type: "array", items: typeof inner === "string" ? {} : inner }));
  /** What the port answers to a message that it must refuse. */
  const refused = async (/** @type {any} */ message) => {
    const answer = port.answerTo(message.requestId, ({ type }) => type === "error");
    if (!send(port, message)) throw new Error("the message did not reach the worker");
    throw Object.assign(new Error("refused"), { code: (await answer).code });
  };
  const tooLong = (/** @type {string} */ prompt) => ({
    codes: ["PROMPT_TOO_LONG"],
    attempt: () => worker.generate(prompt, { maxTokens: 1 }),
  });
  const tooLargeForTemplate = (/** @type {string} */ prompt) => ({
    codes: ["TEMPLATE_FAILED"],
    attempt: () => worker.generate(prompt, { maxTokens: 1 }),
  });
  const constrained = (/** @type {any} */ options, /** @type {string[]} */ ...codes) => ({
    codes,
    attempt: () => worker.generate("Hi", { maxTokens: 4, ...options }),
  });
  return {
    "a prompt of 10 MB in one row": { ...tooLong(megabytes(10, "a")), isQuick: true },
    "a stop string of 1 MB": {
      ...constrained({ customStopTriggers: [megabytes(1, "x")] }, "accepted"),
      isQuick: true,
    },
    "a grammar that explodes": {
      ...constrained({ grammar: 'root ::= (((("a"?){1000}){1000}){1000}){1000}' }, "INVALID_GRAMMAR"),
      isQuick: true,
    },
    "a deep message on the port": {
      codes: ["UNKNOWN_MESSAGE_TYPE"],
      attempt: () => refused({ type: "bogus", requestId: port.nextId("deep"), deep: deepObject }),
      isQuick: true,
    },
    "a request id of 50 MB": {
      codes: ["UNKNOWN_MESSAGE_TYPE"],
      attempt: () => refused({ type: "bogus", requestId: megabytes(50, "x") }),
    },
    "a prompt of 50 MB": tooLargeForTemplate(megabytes(50, "word ")),
    "a prompt of 10 MB of control tokens": tooLong(megabytes(10, "<|im_end|>")),
    "a prompt of 10 MB of template marks": tooLong(megabytes(10, "</think>")),
    "50 MB of lone surrogates": tooLargeForTemplate(megabytes(50, "\ud800")),
    "100,000 stop strings": constrained(
      { customStopTriggers: Array.from({ length: 100_000 }, (_, index) => `stop ${index}`) },
      "accepted",
    ),
    "a system prompt of 50 MB": {
      codes: ["TEMPLATE_FAILED"],
      // It counts in the first generation of a conversation alone.
      async attempt() {
        const session = await worker.createSession({ systemPrompt: megabytes(50, "word ") });
        try {
          await session.generate("Hi", { maxTokens: 1 });
        } finally {
          await session.dispose();
        }
      },
    },
    "a grammar of 10 MB": constrained({ grammar: `root ::= ${megabytes(10, '"a" | ')}"b"` }, "INVALID_GRAMMAR"),
    "an ambiguous grammar": constrained({ maxTokens: 16, grammar: "root ::= root root | [a-z]*" }, "INVALID_GRAMMAR"),
    "a schema 500 deep": constrained({ jsonSchema: deepSchema }, "INVALID_OPTION"),
    "a schema of 100,000 properties": constrained(
      {
        jsonSchema: {
          type: "object",
          properties: Object.fromEntries(
            Array.from({ length: 100_000 }, (_, index) => [`p${index}`, { type: "string" }]),
          ),
        },
      },
      "UNSUPPORTED_SCHEMA",
    ),
    "a schema that explodes": constrained(
      { jsonSchema: { type: "array", minItems: 1e9, maxItems: 1e9, items: { type: "string", minLength: 1e9 } } },
      // It is not written out: the answer ends long before.
      "accepted",
    ),
    "100,000 messages": {
      codes: ["PROMPT_TOO_LONG"],
      attempt: () =>
        worker.generate(
          Array.from({ length: 100_000 }, () => ({ role: "user", content: "Hi" })),
          { maxTokens: 1 },
        ),
    },
    "arrays in arrays": {
      codes: ["INVALID_MESSAGES"],
      attempt: () => worker.generate(/** @type {any} */ (deepArray), { maxTokens: 1 }),
    },
    "objects in objects": constrained({ chatTemplateKwargs: { deep: deepObject } }, "INVALID_OPTION"),
    "50 MB of text to tokenize": { codes: ["accepted"], attempt: () => worker.tokenize(megabytes(50, "word ")) },
    "ten million tokens": { codes: ["accepted"], attempt: () => worker.detokenize(new Array(10_000_000).fill(5)) },
    "a template of 50 MB": {
      codes: ["TEMPLATE_FAILED"],
      attempt: () =>
        worker.applyChatTemplate([{ role: "user", content: "Hi" }], { chatTemplate: megabytes(50, "{{ 1 }}") }),
    },
    "a download from a closed server": {
      codes: ["DOWNLOAD_FAILED"],
      attempt: () => worker.downloadModel(`${DOWNLOAD.endpoint}/model.gguf`, DOWNLOAD),
    },
  };
}

/**
 * @param {{ worker: LlamaWorker, port: ReturnType<typeof openPort> }} sides
 * @param {{ isLong: boolean }} options
 * @returns {Promise<string[]>} what failed
 */
async function largeValues({ worker, port }, { isLong }) {
  const failures = [];
  for (const [name, { codes, attempt, isQuick }] of Object.entries(largeCases(worker, port))) {
    if (!isLong && !isQuick) continue;
    const before = await memoryInUse();
    forgetPeak();
    const start = performance.now();
    const outcome = await inTime(name, outcomeOf(attempt));
    const peak = peakMemory() - before;
    const figures = `${(performance.now() - start).toFixed(0)} ms, ${(peak / 2 ** 20).toFixed(0)} MiB more at most`;
    row(`  ${name}`, `${outcome}, ${figures}`);
    if (!codes.includes(outcome)) failures.push(`${name} ended in ${outcome}, expected ${codes.join(" or ")}`);
    if (peak > MOST_PEAK) failures.push(`${name} took ${(peak / 2 ** 20).toFixed(0)} MiB`);
  }
  await answersAsEver(worker);
  return failures;
}

/** @param {() => PromiseLike<any>} attempt */
async function outcomeOf(attempt) {
  try {
    await attempt();
    return "accepted";
  } catch (error) {
    return /** @type {any} */ (error).code ?? String(error);
  }
}

/** What the process held at most is counted anew from here on, where the system can do that. */
function forgetPeak() {
  if (process.platform === "linux") fs.writeFileSync("/proc/self/clear_refs", "5");
}

/** The most bytes that the process held since, elsewhere those that it holds. */
function peakMemory() {
  if (process.platform !== "linux") return process.memoryUsage().rss;
  const [, kilobytes] = /** @type {RegExpExecArray} */ (
    /^VmHWM:\s+(\d+)/m.exec(fs.readFileSync("/proc/self/status", "utf8"))
  );
  return Number(kilobytes) * 1024;
}

/**
 * Contexts of which no machine has the memory, by a call and on the port.
 *
 * @param {{ worker: LlamaWorker, port: ReturnType<typeof openPort> }} sides both with a model
 * @returns {Promise<string[]>} what failed
 */
async function hugeContexts({ worker, port }) {
  const failures = [];
  for (const contextSize of NUMBERS.filter((number) => number >= HUGE_CONTEXT)) {
    const requestId = port.nextId("context");
    const answer = port.answerTo(requestId, ({ type, message }) => type === "error" || /sucesso/.test(message));
    port.send({ type: "create_context", options: { contextSize }, requestId });
    const codes = [
      await inTime(
        "createContext()",
        outcomeOf(() => worker.createContext({ contextSize })),
      ),
      (await inTime("create_context", answer)).code ?? "accepted",
    ];
    for (const code of codes)
      if (!["INVALID_OPTION", "INSUFFICIENT_MEMORY"].includes(code))
        failures.push(`a context of ${contextSize} tokens: ${code}`);
  }
  return failures;
}

/**
 * Calls and messages until there are enough, and what the process held meanwhile.
 *
 * @param {import("./options").Options} options
 * @param {{ worker: LlamaWorker, port: ReturnType<typeof openPort> }} sides
 */
async function attack({ count, seed, seconds }, { worker, port }) {
  const random = new Random(seed);
  const limit = timeLimit({ seconds });
  /** @type {Map<string, number>} */
  const outcomes = new Map();
  /** @type {number[]} */
  const memory = [];
  const done = { calls: 0, answered: 0, silent: 0 };
  const total = () => done.calls + done.answered + done.silent;
  while (total() < count && !limit.isOver()) {
    const outcome = await hostileCall(worker, random);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const { answered, silent } = await hostileMessages(port, random);
    done.calls += 1;
    done.answered += answered;
    done.silent += silent;
    if (done.calls % CHECK_EVERY === 0) await answerBoth(worker, port.worker);
    if (total() >= ((memory.length + 1) * count) / SAMPLES) {
      // Always in the same state: a worker may be without a model by now.
      await answerBoth(worker, port.worker);
      memory.push(await memoryInUse());
    }
  }
  return { ...done, outcomes, memory, seconds: limit.elapsed() };
}

/** @param {...LlamaWorker} workers */
async function answerBoth(...workers) {
  for (const worker of workers) {
    await ready(worker);
    await answersAsEver(worker);
  }
}

/** @param {import("./options").Options} options */
async function hostile(options) {
  await closeServer();
  const worker = new LlamaWorker();
  worker.onMessage = () => {};
  const port = openPort();
  /** @type {string[]} */
  const failures = [];
  const uncaught = (/** @type {unknown} */ error) => {
    if (!(error instanceof Thrown)) failures.push(`uncaught: ${/** @type {any} */ (error)?.stack ?? error}`);
  };
  process.on("uncaughtException", uncaught);
  process.on("unhandledRejection", uncaught);
  try {
    await answerBoth(worker, port.worker);
    const isLong = options.count >= LONG_COUNT;
    failures.push(...(await hugeContexts({ worker, port })));
    await answerBoth(worker, port.worker);
    failures.push(...(await largeValues({ worker, port }, { isLong })));
    const run = await attack(options, { worker, port });
    await answerBoth(worker, port.worker);
    const messages = `${run.answered} messages answered, ${run.silent} need no answer`;
    row("hostile calls and messages", `${run.calls} calls answered, ${messages}, in ${run.seconds.toFixed(0)} s`);
    for (const [kind, count] of [...run.outcomes].sort(([, one], [, other]) => other - one)) row(`  ${kind}`, count);
    row("messages that the port answered with", port.answers());
    const growth = memoryGrowth(run.memory);
    rowOfMemory(run.memory, growth);
    if (isLong && run.memory.length < SAMPLES) failures.push("it was cut short: the memory was not watched to the end");
    if (isLong && growth > MOST_GROWTH) failures.push(`the memory grew by ${(growth * 100).toFixed(1)} %`);
    if (run.calls === 0) failures.push("nothing was tried");
  } finally {
    await worker.cleanup();
    await port.close();
    process.off("uncaughtException", uncaught);
    process.off("unhandledRejection", uncaught);
    fs.rmSync(DOWNLOAD.dir, { recursive: true, force: true });
  }
  return failures;
}

if (require.main === module)
  runSteadily(__filename, () => void runStress(() => hostile(readOptions({ count: 100_000 }))));

module.exports = { hostile };
