/**
 * Every failure has its code, arrives as a rejection, names what was wrong, and leaves the worker usable.
 *
 * A table: what is called, which code comes, which word the message has. After each call the same worker goes on with the
 * conversation it had.
 */

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { CODES } = require("../js/errors");
const { LlamaError, LlamaWorker, builtInModelPath } = require("../js/index");
const { writeBrokenFiles } = require("./fixtures/gguf-files");
const { STORY, loadedWorker, readyWorker, runFixture, stillAnswers, test } = require("./support");

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-errors-"));
process.once("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
const broken = writeBrokenFiles(folder, builtInModelPath);

/** Longer than any file system lets a name be. */
const TOO_LONG = path.join(folder, `${"x".repeat(300)}.gguf`);

/**
 * @param {string} name
 * @param {string} code
 * @param {RegExp} message
 * @param {(worker: any) => unknown} call
 */
const row = (name, code, message, call) => ({ name, code, message, call });

const invalidInit = [
  row("init with a string", "INVALID_OPTION", /init.*`"x"`/, (worker) => worker.init("x")),
  row("init with an array", "INVALID_OPTION", /init/, (worker) => worker.init([])),
  row("gpu is unknown", "INVALID_OPTION", /gpu.*abacus/, (worker) => worker.init({ gpu: "abacus" })),
  row("gpu is a number", "INVALID_OPTION", /gpu.*5/, (worker) => worker.init({ gpu: 5 })),
  row("numThreads is 1.5", "INVALID_OPTION", /numThreads.*1\.5/, (worker) => worker.init({ numThreads: 1.5 })),
  row("numThreads is negative", "INVALID_OPTION", /numThreads.*-1/, (worker) => worker.init({ numThreads: -1 })),
  row("numThreads is a string", "INVALID_OPTION", /numThreads.*two/, (worker) => worker.init({ numThreads: "two" })),
  row("debug is a string", "INVALID_OPTION", /debug.*yes/, (worker) => worker.init({ debug: "yes" })),
];

const invalidLoad = [
  row("loadModel with nothing", "INVALID_OPTION", /modelPath/, (worker) => worker.loadModel()),
  row("loadModel with null", "INVALID_OPTION", /modelPath/, (worker) => worker.loadModel(null)),
  row("loadModel with a number", "INVALID_OPTION", /modelPath.*5/, (worker) => worker.loadModel(5)),
  row("loadModel without a path", "INVALID_OPTION", /modelPath/, (worker) => worker.loadModel({})),
  row("modelPath is a number", "INVALID_OPTION", /modelPath.*5/, (worker) => worker.loadModel({ modelPath: 5 })),
  row("options beside a path are a string", "INVALID_OPTION", /loadModel.*`"x"`/, (worker) =>
    worker.loadModel("a", "x"),
  ),
  row("modelPath is empty", "INVALID_OPTION", /modelPath.*`""`/, (worker) => worker.loadModel("")),
  row("modelPath has a zero byte", "INVALID_OPTION", /modelPath/, (worker) => worker.loadModel("a\0b")),
  ...Object.entries({ gpuLayers: "many", useMmap: "yes", useMlock: 1 }).map(([option, value]) =>
    row(`${option} is ${value}`, "INVALID_OPTION", RegExp(`${option}.*${value}`), (worker) =>
      worker.loadModel(builtInModelPath, { [option]: value }),
    ),
  ),
  row("onProgress is a number", "INVALID_OPTION", /onProgress.*`5`/, (worker) =>
    worker.loadModel(builtInModelPath, { onProgress: 5 }),
  ),
  row("signal is no signal", "INVALID_OPTION", /signal/, (worker) =>
    worker.loadModel(builtInModelPath, { signal: {} }),
  ),
  row("a signal that nobody can leave", "INVALID_OPTION", /signal.*expected an AbortSignal/, (worker) =>
    worker.loadModel(builtInModelPath, { signal: { aborted: false, addEventListener() {} } }),
  ),
  row("the path is a Buffer", "INVALID_OPTION", /modelPath.*Buffer.*as a string/, (worker) =>
    worker.loadModel(Buffer.from(builtInModelPath)),
  ),
  row("the path is a URL", "INVALID_OPTION", /modelPath.*URL.*as a string/, (worker) =>
    worker.loadModel(pathToFileURL(builtInModelPath)),
  ),
];

const unusableFiles = [
  row("the file is missing", "MODEL_NOT_FOUND", /missing\.gguf/, (worker) =>
    worker.loadModel(path.join(folder, "missing.gguf")),
  ),
  row("the path goes through a file", "MODEL_NOT_FOUND", /inside/, (worker) =>
    worker.loadModel(path.join(builtInModelPath, "inside.gguf")),
  ),
  row("the system refuses the path", "MODEL_UNREADABLE", /xxx\.gguf/, (worker) => worker.loadModel(TOO_LONG)),
  row("the path is a folder", "MODEL_NOT_A_FILE", /llama-worker-errors/, (worker) => worker.loadModel(folder)),
  ...Object.entries(broken).map(([name, file]) =>
    row(`the file is ${name}`, "MODEL_INVALID", RegExp(`${name}\\.gguf`), (worker) => worker.loadModel(file)),
  ),
];

const invalidContext = [
  row("createContext with a number", "INVALID_OPTION", /createContext.*`5`/, (worker) => worker.createContext(5)),
  ...[
    { contextSize: Number.NaN },
    { contextSize: -1 },
    { contextSize: 1.5 },
    { contextSize: "big" },
    { batchSize: 0 },
    { batchSize: Number.POSITIVE_INFINITY },
    { threads: 1.5 },
    { threads: -1 },
    { flashAttention: "maybe" },
    { kvCacheType: "q3" },
  ].map((options) => {
    const [[option, value]] = Object.entries(options);
    return row(`${option} is ${value}`, "INVALID_OPTION", RegExp(`${option}.*${value}`), (worker) =>
      worker.createContext(options),
    );
  }),
  row("a context too large for any memory", "INSUFFICIENT_MEMORY", /context/, (worker) =>
    worker.createContext({ contextSize: 500_000_000 }),
  ),
];

const invalidGeneration = [
  row("the options are a number", "INVALID_OPTION", /generate.*`5`/, (worker) => worker.generate("x", 5)),
  row("the options are a string", "INVALID_OPTION", /generate.*`"short"`/, (worker) => worker.generate("x", "short")),
  row("the options are a function", "INVALID_OPTION", /generate/, (worker) => worker.generate("x", () => {})),
  row("the options are a Map", "INVALID_OPTION", /generate.*Map/, (worker) => worker.generate("x", new Map())),
  row("onToken is a string", "INVALID_OPTION", /argument `onToken`.*`"log"`/, (worker) =>
    worker.generate("x", {}, "log"),
  ),
  ...[
    { maxTokens: Number.NaN },
    { maxTokens: "x" },
    { maxTokens: 1.5 },
    { temperature: "x" },
    { temperature: Number.NaN },
    { temperature: -1 },
    { topK: 1.5 },
    { topK: "x" },
    { topP: 2 },
    { topP: Number.NaN },
    { minP: -0.5 },
    { seed: "x" },
    { seed: Number.NaN },
    { stopSequences: 5 },
    { customStopTriggers: [5] },
    { systemPrompt: 5 },
    { onTextChunk: "log" },
    { signal: "now" },
  ].map((options) => {
    const [[option, value]] = Object.entries(options);
    return row(`${option} is ${value}`, "INVALID_OPTION", RegExp(`${option}.*${value}`), (worker) =>
      worker.generate("x", options),
    );
  }),
];

const invalidInput = [
  row("no input", "INVALID_MESSAGES", /undefined/, (worker) => worker.generate()),
  row("the input is null", "INVALID_MESSAGES", /null/, (worker) => worker.generate(null)),
  row("the input is a number", "INVALID_MESSAGES", /5/, (worker) => worker.generate(5)),
  row("the input is an object", "INVALID_MESSAGES", /./, (worker) => worker.generate({ role: "user", content: "x" })),
  row("no messages", "INVALID_MESSAGES", /empty/, (worker) => worker.generate([])),
  row("a message is null", "INVALID_MESSAGES", /null/, (worker) => worker.generate([null])),
  row("a message is a string", "INVALID_MESSAGES", /./, (worker) => worker.generate(["hello"])),
  row("a message is empty", "INVALID_MESSAGES", /./, (worker) => worker.generate([{}])),
  row("an unknown role", "INVALID_MESSAGES", /robot/, (worker) => worker.generate([{ role: "robot", content: "x" }])),
  row("an unknown type", "INVALID_MESSAGES", /robot/, (worker) => worker.generate([{ type: "robot", text: "x" }])),
  row("no content", "INVALID_MESSAGES", /content/, (worker) => worker.generate([{ role: "user" }])),
  row("content is a number", "INVALID_MESSAGES", /content/, (worker) =>
    worker.generate([{ role: "user", content: 5 }]),
  ),
  row("text is a number", "INVALID_MESSAGES", /text/, (worker) => worker.generate([{ type: "user", text: 5 }])),
  row("response is a string", "INVALID_MESSAGES", /response/, (worker) =>
    worker.generate([
      { type: "model", response: "x" },
      { type: "user", text: "x" },
    ]),
  ),
  row("a bad message in the middle", "INVALID_MESSAGES", /robot/, (worker) =>
    worker.generate([
      { role: "user", content: "x" },
      { role: "robot", content: "x" },
      { role: "user", content: "x" },
    ]),
  ),
  row("a prompt longer than the context", "PROMPT_TOO_LONG", /2048/, (worker) =>
    worker.generate("hello ".repeat(4000)),
  ),
];

/**
 * @param {any} worker
 * @param {{ code: string, message: RegExp, call: (worker: any) => unknown }} expected
 */
async function assertRejects(worker, { code, message, call }) {
  let promise;
  assert.doesNotThrow(() => {
    promise = call(worker);
  });
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof LlamaError && error instanceof Error);
    assert.equal(error.name, "LlamaError");
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.match(error.stack, /errors\.test\.js/);
    return true;
  });
}

for (const expected of invalidInit) {
  test(`${expected.name}: ${expected.code}`, async (context) => {
    const worker = new LlamaWorker();
    context.after(() => worker.cleanup());
    await assertRejects(worker, expected);
    await worker.init({ gpu: false, numThreads: 1 });
    await worker.loadModel(builtInModelPath);
    assert.ok(await stillAnswers(worker));
  });
}

const refusals = [...invalidLoad, ...unusableFiles, ...invalidContext, ...invalidGeneration, ...invalidInput];
for (const expected of refusals) {
  test(`${expected.name}: ${expected.code}`, async (context) => {
    const worker = await readyWorker(context);
    await worker.generate("My name is Ana.");
    await assertRejects(worker, expected);
    assert.match((await worker.generate("What is my name?")).text, /Ana/);
  });
}

test("what lies beneath a failure is its cause", async (context) => {
  const worker = await loadedWorker(context);
  await assert.rejects(worker.loadModel(TOO_LONG), ({ code, cause }) => {
    assert.equal(code, "MODEL_UNREADABLE");
    assert.ok(cause instanceof Error);
    assert.match(cause.message, /too long/i);
    return true;
  });
  await assert.rejects(worker.loadModel(path.join(folder, "missing.gguf")), (error) => !("cause" in error));
});

test("calls in the wrong order: each tells what comes first, and the right order still works", async (context) => {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  const load = row("", "NOT_INITIALIZED", /init/, () => worker.loadModel(builtInModelPath));
  await assertRejects(worker, load);
  await worker.init({ gpu: false, numThreads: 1 });
  const create = row("", "MODEL_NOT_LOADED", /loadModel/, () => worker.createContext());
  await assertRejects(worker, create);
  await worker.loadModel(builtInModelPath);
  const generate = row("", "CONTEXT_NOT_CREATED", /createContext/, () => worker.generate("x"));
  await assertRejects(worker, generate);
  assert.ok(await stillAnswers(worker));
});

test("a new model drops the context of the one before", async (context) => {
  const worker = await readyWorker(context);
  await worker.loadModel(builtInModelPath);
  await assertRejects(
    worker,
    row("", "CONTEXT_NOT_CREATED", /createContext/, () => worker.generate("x")),
  );
  assert.ok(await stillAnswers(worker));
});

test("after cleanup everything is refused", async (context) => {
  const worker = await readyWorker(context);
  const session = await worker.createSession();
  await worker.cleanup();
  const calls = [
    () => worker.init(),
    () => worker.loadModel(builtInModelPath),
    () => worker.createContext(),
    () => worker.generate("x"),
    () => worker.createSession(),
    () => worker.tokenize("x"),
    () => worker.detokenize([]),
    () => worker.countTokens("x"),
    () => worker.applyChatTemplate([{ role: "user", content: "x" }]),
    () => worker.session.generate("x"),
    () => worker.session.history(),
    () => worker.session.setHistory([]),
    () => worker.session.reset(),
    () => worker.session.preload("x"),
    () => worker.session.countTokens(),
    () => session.generate("x"),
  ];
  for (const call of calls) await assertRejects(worker, row("", "WORKER_STOPPED", /stopped/, call));
  assert.throws(() => worker.handleMessage({ type: "init" }), { name: "LlamaError", code: "WORKER_STOPPED" });
  assert.equal(worker.abort(), false);
});

test("calls that were waiting when cleanup came are settled", async (context) => {
  const worker = await readyWorker(context);
  const steps = [
    worker.generate(STORY),
    worker.createContext(),
    worker.init(),
    worker.loadModel(builtInModelPath),
    worker.generate("x"),
  ];
  const outcomes = Promise.allSettled(steps);
  await worker.cleanup();
  const told = (await outcomes).map((outcome) =>
    outcome.status === "fulfilled" ? outcome.value.stopReason : outcome.reason.code,
  );
  assert.match(told[0], /^(abort|WORKER_STOPPED)$/);
  assert.deepEqual(told.slice(1, 3), ["WORKER_STOPPED", "WORKER_STOPPED"]);
  assert.match(told[3], /^(ABORTED|WORKER_STOPPED)$/);
  assert.match(told[4], /^(abort|WORKER_STOPPED)$/);
});

test("a failed generation is thrown by its loop", async (context) => {
  const worker = await loadedWorker(context);
  await assert.rejects(
    async () => {
      for await (const _chunk of worker.generate("x"));
    },
    { code: "CONTEXT_NOT_CREATED" },
  );
  await assert.rejects(
    async () => {
      for await (const _chunk of worker.generate("x", { maxTokens: "x" }));
    },
    { code: "INVALID_OPTION" },
  );
});

test("what a getter in the options throws is passed on as it is", async (context) => {
  const worker = await readyWorker(context);
  const thrown = new RangeError("from a getter");
  const options = {
    get maxTokens() {
      throw thrown;
    },
  };
  await assert.rejects(worker.generate("x", options), (error) => error === thrown);
  const messages = [
    {
      get role() {
        throw thrown;
      },
    },
  ];
  await assert.rejects(worker.generate(messages), (error) => error === thrown);
  assert.ok(await stillAnswers(worker));
});

test("the constructor refuses what is no port, and onMessage what is no function", (context) => {
  for (const port of [5, "port", {}, { on() {} }, { postMessage() {} }]) {
    assert.throws(() => new LlamaWorker(/** @type {any} */ (port)), { name: "LlamaError", code: "INVALID_OPTION" });
  }
  const worker = /** @type {any} */ (new LlamaWorker());
  context.after(() => worker.cleanup());
  assert.throws(() => {
    worker.onMessage = "log";
  }, /onMessage.*`"log"`/);
});

test("an error made by a program carries code and cause", () => {
  const cause = new Error("beneath");
  const error = new LlamaError("INTERNAL", "above", { cause });
  assert.equal(error.code, "INTERNAL");
  assert.equal(error.cause, cause);
  assert.equal(String(error), "LlamaError: above");
});

test("without an addon the package can be required, and the constructor tells where it looked", async () => {
  const nowhere = path.join(folder, "no-addon-here");
  const { code, stdout } = await runFixture("construct.js", { env: { LLAMA_WORKER_NATIVE_DIR: nowhere } });
  const error = JSON.parse(stdout);
  assert.equal(error.code, "NATIVE_LOAD_FAILED");
  assert.ok(error.message.includes(nowhere), error.message);
  assert.match(error.message, /there is no llama-worker\.node.*npm run build/);
  assert.equal(code, 0);
});

test("an addon that does not load is named with the words of the system's loader", async () => {
  const damaged = path.join(folder, "damaged-addon");
  fs.mkdirSync(damaged);
  fs.writeFileSync(path.join(damaged, "llama-worker.node"), "no library at all");
  const { stdout } = await runFixture("construct.js", { env: { LLAMA_WORKER_NATIVE_DIR: damaged } });
  const error = JSON.parse(stdout);
  assert.equal(error.code, "NATIVE_LOAD_FAILED");
  assert.match(error.message, /damaged-addon.*\(.*llama-worker\.node.*\).*damaged or of another architecture/);
});

test("the codes are those of the addon and of the facade, and all of them are documented", () => {
  const read = (/** @type {string} */ file) => fs.readFileSync(path.join(__dirname, "..", file), "utf8");
  const ofEngine = [...read("crates/engine/src/error.rs").matchAll(/Self::\w+(?: \{ \.\. \})? => "([A-Z_]+)"/g)];
  const ofOthers = ["TOOL_LOOP_LIMIT", "UNKNOWN_MESSAGE_TYPE", "WORKER_CRASHED", "NATIVE_LOAD_FAILED"];
  const codes = Object.keys(CODES).sort();
  assert.deepEqual([...ofEngine.map(([, code]) => code), ...ofOthers].sort(), codes);
  const listed = (/** @type {string} */ text, /** @type {RegExp} */ form) =>
    [...text.matchAll(form)].map(([, code]) => code).sort();
  const types = read("index.d.ts");
  assert.deepEqual(listed(types, /^ {2}\| "([A-Z_]+)"/gm), codes);
  assert.deepEqual(listed(types, /^ \* - `([A-Z_]+)`: /gm), codes);
  const errors = read("README.md").split("\n## Errors\n")[1].split("\n## ")[0];
  const rows = errors.split("\n").filter((line) => line.startsWith("| `"));
  assert.deepEqual(listed(rows.map((line) => line.split("|")[1]).join(), /`([A-Z_]+)`/g), codes);
});

for (const code of ["EACCES", "ENOENT", "INVALID_OPTION", "InvalidArg"]) {
  test(`an error of the caller's own with the code ${code} stays as it is`, async (context) => {
    const worker = await readyWorker(context);
    const thrown = Object.assign(new TypeError("in the getter"), { code });
    const options = {
      get threads() {
        throw thrown;
      },
    };
    await assert.rejects(worker.createContext(options), (error) => error === thrown);
  });
}

test("an error of the system stays as it is", async (context) => {
  const worker = await readyWorker(context);
  const options = {
    get threads() {
      return fs.readFileSync(path.join(folder, "missing"));
    },
  };
  await assert.rejects(
    worker.createContext(options),
    (error) => error.code === "ENOENT" && !(error instanceof LlamaError),
  );
});
