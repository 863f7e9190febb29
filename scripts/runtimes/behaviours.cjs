/**
 * One set of behaviours at the boundary between JavaScript and the addon, for every runtime. Prints what each came to, one line of JSON a behaviour.
 *
 * Uses no test runner, because each runtime has its own. That it ends by itself is the last behaviour, and is seen from outside.
 */

"use strict";

const assert = require("node:assert/strict");
const { MessageChannel, Worker } = require("node:worker_threads");
const { LlamaError, LlamaWorker, builtInModelPath } = require("llama-worker");

const CAPITAL = "What is the capital of France?";
const PARIS = "The capital of France is Paris.";
const STORY = "Tell me a long story.";
const HANG_MS = 30_000;

/** @returns {Promise<any>} */
async function ready() {
  const worker = new LlamaWorker();
  await worker.init({ gpu: false, numThreads: 1 });
  await worker.loadModel(builtInModelPath);
  await worker.createContext({ threads: 1 });
  return worker;
}

/**
 * @param {Promise<unknown>} promise
 * @returns {Promise<any>}
 */
async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

/** @type {Record<string, (worker: any) => Promise<void>>} */
const BEHAVIOURS = {
  async "import gives the same class"() {
    const { LlamaWorker: imported } = await import("llama-worker");
    assert.equal(imported, LlamaWorker);
  },
  async "a prompt is answered"(worker) {
    const { text, usage, stopReason } = await worker.generate(CAPITAL);
    assert.deepEqual([text, stopReason], [PARIS, "eogToken"]);
    assert.ok(usage.promptTokens > 0 && usage.completionTokens > 0);
  },
  async "progress grows and ends with one 1"(worker) {
    const seen = /** @type {number[]} */ ([]);
    await worker.loadModel(builtInModelPath, { onProgress: (/** @type {number} */ progress) => seen.push(progress) });
    await worker.createContext({ threads: 1 });
    assert.deepEqual([...seen].sort(), seen);
    assert.deepEqual(
      seen.filter((progress) => progress === 1),
      [1],
    );
  },
  async "all pieces come before the promise"(worker) {
    for (let round = 0; round < 5; round += 1) {
      let streamed = "";
      const { text } = await worker.generate(
        STORY,
        { maxTokens: 60, temperature: 0 },
        (/** @type {string} */ piece) => (streamed += piece),
      );
      assert.equal(streamed, text);
    }
  },
  async "a generation can be iterated"(worker) {
    let streamed = "";
    for await (const piece of worker.generate(CAPITAL)) streamed += piece;
    assert.ok(streamed.includes("Paris"), streamed);
  },
  async "a signal ends a generation with its reason"(worker) {
    const stop = new AbortController();
    const reason = new Error("enough");
    const error = await failure(worker.generate(STORY, { signal: stop.signal, onTextChunk: () => stop.abort(reason) }));
    assert.equal(error, reason);
  },
  async "abort() resolves with what there is"(worker) {
    const generation = worker.generate(STORY, {}, () => worker.abort());
    assert.equal((await generation).stopReason, "abort");
  },
  async "bad options are coded errors"(worker) {
    for (const maxTokens of [Number.NaN, 1.5, "x", {}]) {
      const error = await failure(worker.generate(CAPITAL, { maxTokens }));
      assert.ok(error instanceof LlamaError, String(maxTokens));
      assert.equal(error.code, "INVALID_OPTION");
    }
  },
  async "a missing model is a coded error, and costs nothing"(worker) {
    assert.equal((await failure(worker.loadModel("/no/such/model.gguf"))).code, "MODEL_NOT_FOUND");
    assert.ok((await worker.generate(CAPITAL)).text.includes("Paris"));
  },
  async "what a callback throws is the rejection"(worker) {
    const thrown = new Error("mine");
    const error = await failure(
      worker.generate(STORY, {}, () => {
        throw thrown;
      }),
    );
    assert.equal(error, thrown);
  },
  async "sessions run at the same time"(worker) {
    const sessions = await Promise.all([1, 2, 3].map(() => worker.createSession()));
    const answers = await Promise.all(sessions.map((session) => session.generate(CAPITAL)));
    for (const { text } of answers) assert.equal(text, PARIS);
    await Promise.all(sessions.map((session) => session.dispose()));
  },
  async "an answer follows its schema"(worker) {
    const session = await worker.createSession();
    const properties = { name: { type: "string", maxLength: 12 }, age: { type: "integer", minimum: 0, maximum: 99 } };
    const jsonSchema = { type: "object", properties, required: ["name", "age"], additionalProperties: false };
    const { parsed } = await session.generate("Give me a person as JSON.", {
      jsonSchema,
      temperature: 0,
      maxTokens: 200,
    });
    await session.dispose();
    assert.deepEqual([typeof parsed.name, Number.isInteger(parsed.age)], ["string", true]);
  },
  async "tokens go out and in"(worker) {
    const text = "Grüße, 東京 and 🎉";
    const tokens = await worker.tokenize(text);
    assert.ok(Array.isArray(tokens) && tokens.every(Number.isInteger));
    assert.equal(await worker.detokenize(tokens), text);
  },
  async "a MessagePort carries the contract"() {
    const { port1, port2 } = new MessageChannel();
    const messages = /** @type {any[]} */ ([]);
    const done = new Promise((resolve) => {
      port2.on("message", (message) => {
        messages.push(message);
        if (message.type === "completion_done" || message.type === "error") resolve(undefined);
      });
    });
    const worker = new LlamaWorker(/** @type {any} */ (port1));
    port2.postMessage({ type: "init", options: { gpu: false, numThreads: 1 } });
    port2.postMessage({ type: "load_model", options: { modelPath: builtInModelPath } });
    port2.postMessage({ type: "create_context" });
    port2.postMessage({ type: "generate_completion", prompt: CAPITAL });
    await done;
    await worker.cleanup();
    port2.close();
    assert.equal(messages[0], "LlamaWorker inicializado e pronto para receber comandos");
    assert.equal(messages.find(({ type }) => type === "completion_done")?.fullText, PARIS);
  },
  async "a thread speaks the contract, and is terminated in the middle"() {
    const thread = new Worker(require.resolve("llama-worker/worker"));
    const chunk = new Promise((resolve, reject) => {
      thread.on("error", reject);
      thread.on("message", (message) => {
        if (message.type === "completion_chunk") resolve(undefined);
        if (message.type === "error") reject(new Error(JSON.stringify(message)));
      });
    });
    thread.postMessage({ type: "init", options: { gpu: false, numThreads: 1 } });
    thread.postMessage({ type: "load_model", options: { modelPath: builtInModelPath } });
    thread.postMessage({ type: "create_context" });
    thread.postMessage({ type: "generate_completion", prompt: STORY });
    await chunk;
    await thread.terminate();
  },
  async "two workers live side by side"(worker) {
    const other = await ready();
    const [one, two] = await Promise.all([worker.generate(CAPITAL), other.generate(CAPITAL)]);
    await other.cleanup();
    assert.ok(one.text.includes("Paris") && two.text.includes("Paris"));
  },
  async "after cleanup every call is refused"() {
    const worker = await ready();
    const generation = worker.generate(STORY);
    await worker.cleanup();
    assert.equal((await generation).stopReason, "abort");
    assert.equal((await failure(worker.generate(CAPITAL))).code, "WORKER_STOPPED");
  },
};

/**
 * @param {string} name
 * @param {any} worker
 */
async function play(name, worker) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const hang = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("it takes too long")), HANG_MS);
  });
  try {
    await Promise.race([BEHAVIOURS[name](worker), hang]);
    console.log(JSON.stringify({ name }));
  } catch (error) {
    const { stack, message } = /** @type {any} */ (error);
    console.log(JSON.stringify({ name, failure: String(stack || message) }));
  } finally {
    clearTimeout(timer);
  }
}

(async () => {
  const worker = await ready();
  for (const name of Object.keys(BEHAVIOURS)) await play(name, worker);
  // Neither cleaned up nor asked for anything: it must not hold the process.
})();
