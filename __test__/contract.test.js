/**
 * The message contract: recordings of the worker that this package replaces, replayed over every kind of connection, and the
 * rules of order and text, one by one.
 *
 * The recordings of downloads are none: they were written from the contract. A replay compares everything but generated words, how they are cut into chunks, counts, and fields that are new.
 */

"use strict";

const assert = require("node:assert/strict");
const { fork } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { setTimeout: delay } = require("node:timers/promises");
const { builtInModelPath } = require("../js/index");
const { finished, hubAndFolder } = require("./download-support");
const { block } = require("./fixtures/busy");
const { CONNECTIONS, overFork } = require("./fixtures/connections");
const { BYTES } = require("./fixtures/hub");
const {
  CREATE,
  INIT,
  LOAD,
  READY,
  ask,
  chat,
  collectUntil,
  collectUntilMarker,
  endsStep,
  info,
  nothingMore,
  open,
  prompt,
  ready,
  texts,
} = require("./port-support");
const { CAPITAL, STORY, test, untilInTime } = require("./support");

const TRACES = path.join(__dirname, "traces");

/** Fields whose values a recording cannot foretell. */
const GENERATED = new Set(["chunk", "fullText", "stats"]);
/** Those that only have to be there. */
const ANY_TEXT = "…";
/** What the built-in model's tensors take: each recording names it, and a new model has another. */
const TENSOR_BYTES = 2_955_264;

/**
 * @param {string} name
 * @param {Record<string, string>} places what stands for a place of this machine
 * @returns {{ dir: "in" | "out", message: any }[]}
 */
function readTrace(name, places = {}) {
  let text = fs
    .readFileSync(path.join(TRACES, name), "utf8")
    .replaceAll("node-llama-cpp", "llama.cpp")
    .replaceAll("<model>", builtInModelPath)
    // The bytes of the tensors of the model that was recorded.
    .replaceAll('"size":2095872', `"size":${TENSOR_BYTES}`);
  for (const [place, value] of Object.entries(places)) text = text.replaceAll(place, value);
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** Several chunks, or several steps of progress, stand where one was recorded. */
function repeats(message, previous) {
  if (message.type === "completion_chunk") return previous?.type === "completion_chunk";
  if (message.type === "download_progress") return previous?.type === "download_progress";
  return message.type === "progress" && message.progress < 1;
}

/** How far a download is when it is told is a matter of time. */
const isGenerated = (type, field) => GENERATED.has(field) || (type === "download_progress" && field === "progress");

function assertLikeRecorded(actual, recorded) {
  if (typeof recorded !== "object") return assert.equal(actual, recorded);
  for (const [field, value] of Object.entries(recorded)) {
    if (field === "modelInfo") assertLikeRecorded(actual.modelInfo, value);
    else if (value === ANY_TEXT || isGenerated(recorded.type, field))
      assert.equal(typeof actual[field], typeof value, field);
    else assert.equal(actual[field], value);
  }
  if (actual.type === "completion_done") assertCounts(actual.stats);
}

function assertCounts({ promptTokens, completionTokens, totalTokens }) {
  assert.ok(Number.isInteger(promptTokens) && promptTokens > 0);
  assert.ok(Number.isInteger(completionTokens) && completionTokens > 0);
  assert.equal(totalTokens, promptTokens + completionTokens);
}

/** Sends what was sent and expects what was answered, in step. */
async function replay(connection, name, places) {
  let recordedBefore;
  for (const { dir, message } of readTrace(name, places)) {
    if (dir === "in") {
      connection.send(message);
      continue;
    }
    if (!repeats(message, recordedBefore)) assertLikeRecorded(await nextNew(connection, recordedBefore), message);
    recordedBefore = message;
  }
}

async function nextNew({ inbox }, recordedBefore) {
  let message;
  do message = await inbox.next();
  while (repeats(message, recordedBefore));
  return message;
}

/** The same, but the model may be done before it is told to stop: then what comes is the end of the answer. */
async function replayAbort(connection) {
  const attempt = async () => {
    try {
      await replay(connection, "04-abort.jsonl");
    } catch (failure) {
      await collectUntilMarker(connection);
      return failure;
    }
  };
  const failure = await untilInTime(attempt, (outcome) => outcome?.actual !== "completion_done");
  if (failure) throw failure;
}

/**
 * Downloads from a hub of this machine; the last one never ends by itself.
 *
 * @param {import("node:test").TestContext} context
 */
async function replayDownloads(context, connection) {
  const { hub, dir } = await hubAndFolder(context);
  hub.put("llama-worker/tiny-chat", "model.gguf", BYTES);
  hub.put("llama-worker/held", "held.gguf", BYTES);
  const places = { "<dir>": dir, "<endpoint>": hub.endpoint };
  await replay(connection, "06-download.jsonl", places);
  await replay(connection, "07-download-fails.jsonl", places);
  hub.script("content", { holdAfter: BYTES.length / 2 });
  await replay(connection, "08-download-abort.jsonl", places);
  assert.deepEqual(finished(dir), ["model.gguf"]);
}

for (const [name, connect] of Object.entries(CONNECTIONS)) {
  test(`the recordings, replayed over ${name}`, async (context) => {
    const connection = connect();
    context.after(() => connection.end());
    await replay(connection, "01-start-load-context.jsonl");
    await replay(connection, "02-prompt.jsonl");
    await replay(connection, "03-chat-history-items.jsonl");
    await replayAbort(connection);
    await replay(connection, "05-unknown-type.jsonl");
    await replayDownloads(context, connection);
    await nothingMore(connection);
  });
}

test("every recording is replayed", () => {
  assert.deepEqual(fs.readdirSync(TRACES).sort(), [
    "01-start-load-context.jsonl",
    "02-prompt.jsonl",
    "03-chat-history-items.jsonl",
    "04-abort.jsonl",
    "05-unknown-type.jsonl",
    "06-download.jsonl",
    "07-download-fails.jsonl",
    "08-download-abort.jsonl",
  ]);
});

test("init: its two texts, and nothing else", async (context) => {
  const connection = await open(context);
  const answers = await ask(connection, INIT);
  assert.deepEqual(answers, [info("Inicializando llama.cpp..."), info("llama.cpp inicializado com sucesso")]);
  await nothingMore(connection);
});

test("init that fails: one error, with code and details", async (context) => {
  const connection = await open(context);
  const answers = await ask(connection, { type: "init", options: { gpu: "abacus" } });
  const { type, error, details, code } = answers.at(-1);
  assert.deepEqual([type, error, code], ["error", "Falha ao inicializar llama.cpp", "INVALID_OPTION"]);
  assert.match(details, /abacus/);
  await nothingMore(connection);
  assert.equal((await ask(connection, INIT)).at(-1).message, "llama.cpp inicializado com sucesso");
});

for (const message of [LOAD, { type: "load_model" }]) {
  test(`load_model before init, ${message.options ? "with" : "without"} a path: one error`, async (context) => {
    const connection = await open(context);
    const [{ type, error, code }] = await ask(connection, message);
    assert.deepEqual([type, error, code], ["error", "llama.cpp não inicializado", "NOT_INITIALIZED"]);
    await nothingMore(connection);
  });
}

for (const message of [CREATE, { ...CREATE, options: { contextSize: "big" } }]) {
  test(`create_context before a model, ${message.options ? "with a bad" : "without an"} option: one error`, async (context) => {
    const connection = await open(context);
    await ask(connection, INIT);
    const [{ type, error, code }] = await ask(connection, message);
    assert.deepEqual([type, error, code], ["error", "Modelo não carregado", "MODEL_NOT_LOADED"]);
    connection.send({ type: "bogus" });
    assert.match((await connection.inbox.next()).error, /bogus/);
  });
}

const tooEarly = {
  generate_completion: prompt("x"),
  "generate_completion with a bad option": prompt("x", { options: { maxTokens: "x" } }),
  generate_chat_completion: chat([{ role: "user", content: "x" }]),
  "generate_chat_completion without messages": chat([]),
};
for (const [what, message] of Object.entries(tooEarly)) {
  test(`${what}, without a context: its info, then one error`, async (context) => {
    const connection = await open(context);
    await ask(connection, INIT);
    const [first, failure, ...more] = await ask(connection, message);
    assert.deepEqual(first, info("Gerando texto..."));
    assert.deepEqual(
      [failure.error, failure.details, failure.code],
      ["Erro ao gerar texto", "Contexto não criado", "CONTEXT_NOT_CREATED"],
    );
    assert.deepEqual(more, []);
    await nothingMore(connection);
  });
}

const loadForms = {
  "path among the options": LOAD,
  "path beside the options": {
    type: "load_model",
    modelPath: builtInModelPath,
    options: { gpuLayers: 0, contextSize: 512 },
  },
  "path without options": { type: "load_model", modelPath: builtInModelPath },
};
for (const [form, message] of Object.entries(loadForms)) {
  test(`load_model, ${form}`, async (context) => {
    const connection = await open(context);
    await ask(connection, INIT);
    const answers = await ask(connection, message);
    assert.deepEqual(texts(answers), [
      `Carregando modelo: ${builtInModelPath}`,
      "progress",
      "model_loaded",
      "Modelo carregado com sucesso",
    ]);
    assert.deepEqual(answers[1], { type: "progress", operation: "load", progress: 1 });
    assert.equal(answers[2].modelInfo.contextSize, 2048);
    assert.equal(answers[2].modelInfo.size, TENSOR_BYTES);
    await nothingMore(connection);
  });
}

test("load_model that fails: its info, then one error with the reason", async (context) => {
  const connection = await open(context);
  await ask(connection, INIT);
  const answers = await ask(connection, { type: "load_model", options: { modelPath: "nowhere.gguf" } });
  assert.deepEqual(texts(answers), ["Carregando modelo: nowhere.gguf", "Erro ao carregar modelo"]);
  assert.equal(answers[1].code, "MODEL_NOT_FOUND");
  assert.match(answers[1].details, /nowhere\.gguf/);
  await nothingMore(connection);
});

/** A copy of the built-in model in which nobody finds a template. */
function modelWithoutTemplate(context) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-"));
  context.after(() => fs.rmSync(folder, { recursive: true }));
  const bytes = fs.readFileSync(builtInModelPath);
  bytes.write("tokenizer.chat_templat_", bytes.indexOf("tokenizer.chat_template"));
  const file = path.join(folder, "plain.gguf");
  fs.writeFileSync(file, bytes);
  return file;
}

test("a model without a chat template: a warning, and it answers all the same", async (context) => {
  const connection = await open(context);
  await ask(connection, INIT);
  const modelPath = modelWithoutTemplate(context);
  const loaded = async (options) =>
    (await ask(connection, { type: "load_model", options })).find(({ type }) => type === "model_loaded").modelInfo;
  const { chatTemplate, warnings, hasChatTemplate } = await loaded({ modelPath });
  assert.deepEqual([chatTemplate, hasChatTemplate, warnings.length], ["chatml", false, 1]);
  assert.match(warnings[0], /ChatML.*`chatTemplate`/);
  await ask(connection, CREATE);
  const answers = await ask(connection, prompt(CAPITAL.question));
  assert.equal(answers.find(({ type }) => type === "completion_done").fullText, CAPITAL.answer);
  const own = await loaded({
    modelPath,
    chatTemplate: "{% for message in messages %}{{ message.content }}{% endfor %}",
  });
  assert.deepEqual([own.chatTemplate, own.warnings], ["option", []]);
});

test("a model with a chat template: no warning", async (context) => {
  const connection = await open(context);
  await ask(connection, INIT);
  const { modelInfo } = (await ask(connection, LOAD)).find(({ type }) => type === "model_loaded");
  assert.deepEqual([modelInfo.chatTemplate, modelInfo.warnings], ["model", []]);
});

test("contextSize given at load_model is the default of create_context", async (context) => {
  const connection = await open(context);
  await ask(connection, INIT);
  await ask(connection, { ...LOAD, options: { ...LOAD.options, contextSize: 256 } });
  await ask(connection, CREATE);
  const failure = (await ask(connection, prompt("hello ".repeat(400)))).at(-1);
  assert.equal(failure.code, "PROMPT_TOO_LONG");
  assert.match(failure.details, /256/);
});

test("a load_model that fails changes no default", async (context) => {
  const connection = await open(context);
  await ask(connection, INIT);
  await ask(connection, { ...LOAD, options: { ...LOAD.options, contextSize: 256 } });
  await ask(connection, { type: "load_model", options: { modelPath: "nowhere.gguf", contextSize: 2048 } });
  await ask(connection, CREATE);
  const failure = (await ask(connection, prompt("hello ".repeat(400)))).at(-1);
  assert.equal(failure.code, "PROMPT_TOO_LONG");
  assert.match(failure.details, /256/);
});

test("seed given at load_model is the default of generations", async (context) => {
  const connection = await open(context);
  await ask(connection, INIT);
  await ask(connection, { type: "load_model", modelPath: builtInModelPath, options: { seed: 11 } });
  const drawn = new Set();
  for (let run = 0; run < 3; run += 1) {
    await ask(connection, CREATE);
    const options = { temperature: 1, topK: 0, topP: 1, maxTokens: 60 };
    const answers = await ask(connection, prompt("Tell me a story about a dragon.", { options }));
    drawn.add(answers.find(({ type }) => type === "completion_done").fullText);
  }
  assert.equal(drawn.size, 1);
});

for (const message of [{ type: "load_model" }, { type: "load_model", options: { modelPath: 5 } }]) {
  test(`load_model without a path: one error (${JSON.stringify(message)})`, async (context) => {
    const connection = await open(context);
    await ask(connection, INIT);
    const failure = (await ask(connection, message)).at(-1);
    assert.deepEqual([failure.error, failure.code], ["Erro ao carregar modelo", "INVALID_OPTION"]);
    await nothingMore(connection);
  });
}

test("create_context that fails: one error, and the next one works", async (context) => {
  const connection = await ready(context);
  const failure = (await ask(connection, { type: "create_context", options: { contextSize: "big" } })).at(-1);
  assert.deepEqual([failure.error, failure.code], ["Erro ao criar contexto", "INVALID_OPTION"]);
  assert.match(failure.details, /contextSize/);
  await nothingMore(connection);
  assert.deepEqual(texts(await ask(connection, CREATE)), ["Criando contexto...", "Contexto criado com sucesso"]);
});

test("a generation: info, chunks that are the text, the end with real counts, info", async (context) => {
  const connection = await ready(context);
  const answers = await ask(connection, prompt(CAPITAL.question, { options: { maxTokens: 32, streamResponse: true } }));
  assert.deepEqual(texts(answers), ["Gerando texto...", "completion_done", "Geração de texto concluída"]);
  const done = answers.find(({ type }) => type === "completion_done");
  assert.equal(done.fullText, CAPITAL.answer);
  assertCounts(done.stats);
  const chunks = answers.filter(({ type }) => type === "completion_chunk");
  assert.equal(chunks.map(({ chunk }) => chunk).join(""), CAPITAL.answer);
  assert.equal(answers.indexOf(chunks[0]), 1);
  await nothingMore(connection);
});

test("a second prompt continues the conversation, create_context ends it", async (context) => {
  const connection = await ready(context);
  const answer = async (text) =>
    (await ask(connection, prompt(text))).find(({ type }) => type === "completion_done").fullText;
  await answer("My name is Ana.");
  assert.match(await answer("What is my name?"), /Ana/);
  await ask(connection, CREATE);
  assert.doesNotMatch(await answer("What is my name?"), /Ana/);
});

const ana = {
  "by role": [
    { role: "user", content: "My name is Ana." },
    { role: "assistant", content: "Nice to meet you, Ana!" },
    { role: "user", content: "What is my name?" },
  ],
  mixed: [
    { type: "user", text: "My name is Ana." },
    { role: "assistant", content: "Nice to meet you, Ana!" },
    { type: "user", text: "What is my name?" },
  ],
  "and an answer that is still empty": [
    { role: "user", content: "My name is Ana." },
    { role: "assistant", content: "Nice to meet you, Ana!" },
    { role: "user", content: "What is my name?" },
    { role: "assistant", content: "" },
  ],
};
for (const [shape, messages] of Object.entries(ana)) {
  test(`generate_chat_completion with messages ${shape}`, async (context) => {
    const connection = await ready(context);
    const answers = await ask(connection, chat(messages));
    assert.deepEqual(texts(answers), ["Gerando texto...", "completion_done", "Geração de texto concluída"]);
    assert.equal(answers.find(({ type }) => type === "completion_done").fullText, "Your name is Ana.");
  });
}

const refused = {
  "an empty list": chat([]),
  "no list": { type: "generate_chat_completion" },
  "an unknown role": chat([{ role: "robot", content: "x" }]),
  "a content that is no string": chat([{ role: "user", content: 5 }]),
  "no prompt": { type: "generate_completion" },
  "a prompt that is no string": prompt(5),
  "maxTokens NaN": prompt("x", { options: { maxTokens: Number.NaN } }),
  "a temperature in words": prompt("x", { options: { temperature: "warm" } }),
};
for (const [what, message] of Object.entries(refused)) {
  test(`a generation with ${what}: one error, nothing generated`, async (context) => {
    const connection = await ready(context);
    const answers = await ask(connection, message);
    assert.deepEqual(texts(answers), ["Gerando texto...", "Erro ao gerar texto"]);
    assert.equal(answers.length, 2);
    assert.match(answers[1].code, /^INVALID_(OPTION|MESSAGES)$/);
    assert.equal(typeof answers[1].details, "string");
    await nothingMore(connection);
    assert.equal((await ask(connection, prompt(CAPITAL.question))).at(-1).message, "Geração de texto concluída");
  });
}

test("abort while nothing runs: silence", async (context) => {
  const connection = await ready(context);
  connection.send({ type: "abort" });
  await nothingMore(connection);
});

test("abort: two infos, no completion_done, and the next prompt is answered", async (context) => {
  const connection = await ready(context);
  const attempt = async () => {
    connection.send(prompt(STORY, { options: { maxTokens: 2000 } }));
    await collectUntil(connection, ({ type }) => type === "completion_chunk");
    connection.send({ type: "abort" });
    return texts(await collectUntil(connection, endsStep));
  };
  const answers = await untilInTime(attempt, ([first]) => first === "Operação abortada");
  assert.deepEqual(answers, ["Operação abortada", "Geração abortada pelo usuário"]);
  await nothingMore(connection);
  await ask(connection, CREATE);
  const done = (await ask(connection, prompt(CAPITAL.question))).find(({ type }) => type === "completion_done");
  assert.equal(done.fullText, CAPITAL.answer);
});

test("two aborts of one generation are answered as one", async (context) => {
  const connection = await ready(context);
  const attempt = async () => {
    connection.send(prompt(STORY, { options: { maxTokens: 2000 } }));
    await collectUntil(connection, ({ type }) => type === "completion_chunk");
    connection.send({ type: "abort" });
    connection.send({ type: "abort" });
    return texts(await collectUntilMarker(connection));
  };
  const answers = await untilInTime(attempt, ([first]) => first === "Operação abortada");
  assert.deepEqual(answers, ["Operação abortada", "Geração abortada pelo usuário"]);
});

test("abort acts at once, before a generation has begun", async (context) => {
  const connection = await ready(context);
  connection.send(prompt(STORY, { options: { maxTokens: 2000 } }));
  connection.send({ type: "abort" });
  const answers = texts(await collectUntil(connection, endsStep));
  // Whether the engine had taken it up already is a matter of microseconds.
  const afterStart = answers.filter((text) => text !== "Gerando texto...");
  assert.deepEqual(afterStart, ["Operação abortada", "Geração abortada pelo usuário"]);
  await nothingMore(connection);
});

test("messages sent without waiting take effect in order", async (context) => {
  const connection = await open(context);
  for (const message of [INIT, LOAD, CREATE, prompt(CAPITAL.question), prompt("My name is Ana.")])
    connection.send(message);
  let generations = 0;
  const answers = await collectUntil(connection, ({ message }) => {
    if (message === "Geração de texto concluída") generations += 1;
    return generations === 2;
  });
  const withoutProgress = answers.filter(({ type, progress }) => type !== "progress" || progress === 1);
  assert.deepEqual(texts(withoutProgress), [
    "Inicializando llama.cpp...",
    "llama.cpp inicializado com sucesso",
    `Carregando modelo: ${builtInModelPath}`,
    "progress",
    "model_loaded",
    "Modelo carregado com sucesso",
    "Criando contexto...",
    "Contexto criado com sucesso",
    "Gerando texto...",
    "completion_done",
    "Geração de texto concluída",
    "Gerando texto...",
    "completion_done",
    "Geração de texto concluída",
  ]);
});

test("a requestId comes back on every message that answers, and on no other", async (context) => {
  const connection = await open(context);
  const requests = [INIT, LOAD, CREATE, prompt(CAPITAL.question), chat([]), { type: "bogus" }];
  for (const [index, message] of requests.entries()) {
    const requestId = `request ${index}`;
    const answers = await ask(connection, { ...message, requestId });
    assert.ok(answers.length > 0);
    for (const answer of answers) assert.equal(answer.requestId, requestId, JSON.stringify(answer));
  }
  for (const answer of await ask(connection, prompt(CAPITAL.question))) assert.ok(!("requestId" in answer));
});

for (const message of [{ type: "bogus" }, {}, "a string", 5, null, { type: 5 }]) {
  test(`an unknown message is one error: ${JSON.stringify(message)}`, async (context) => {
    const connection = await open(context);
    const [{ type, error, code }] = await ask(connection, message);
    assert.equal(type, "error");
    assert.match(error, /^Tipo de mensagem desconhecido: /);
    assert.equal(typeof code, "string");
    await nothingMore(connection);
  });
}

test("with locale en no text is Portuguese", async (context) => {
  const connection = await open(context);
  connection.send({ ...INIT, options: { ...INIT.options, locale: "en" } });
  for (const message of [LOAD, CREATE, prompt(CAPITAL.question)]) connection.send(message);
  const answers = await collectUntilMarker(connection);
  const refusal = await ask(connection, { type: "bogus" });
  const spoken = [...answers, ...refusal].flatMap(({ message, error }) => message ?? error ?? []);
  assert.equal(spoken.length, 9);
  for (const text of spoken)
    assert.doesNotMatch(text, /[ãçéõ]|Carregando|Criando|Gerando|Modelo|Contexto|desconhecido/);
});

test("a refused init speaks the language it asks for and changes nothing", async (context) => {
  const connection = await open(context);
  const [, error] = await ask(connection, { type: "init", options: { locale: "en", gpu: "abacus" } });
  assert.equal(error.error, "Failed to initialize llama.cpp");
  const [unknown] = await ask(connection, { type: "bogus" });
  assert.equal(unknown.error, "Tipo de mensagem desconhecido: bogus");
});

test("cleanup: `Recursos liberados` is the last message, then the port is closed", async (context) => {
  const connection = await ready(context);
  connection.send(prompt(CAPITAL.question));
  await connection.inbox.next();
  const { worker } = connection;
  const cleanups = [worker.cleanup(), worker.cleanup()];
  const answers = await collectUntil(connection, ({ message }) => message === "Recursos liberados");
  assert.deepEqual(answers.at(-1), info("Recursos liberados"));
  await Promise.all(cleanups);
  connection.send(INIT);
  await delay(50);
  assert.deepEqual(connection.inbox.rest(), []);
});

test("SIGINT: the forked script says `Recursos liberados` and exits with 0", async () => {
  const connection = overFork();
  assert.equal(await connection.inbox.next(), READY);
  connection.send(INIT);
  await collectUntil(connection, endsStep);
  await connection.end();
  assert.deepEqual(connection.inbox.rest(), [info("Recursos liberados")]);
});

test("SIGINT: what the parent has not read yet is sent before the script exits", async () => {
  const child = fork(require.resolve("llama-worker/worker"));
  const received = [];
  child.on("message", (message) => received.push(message));
  await once(child, "message");
  const ended = Promise.all([once(child, "exit"), once(child, "disconnect")]);
  // Its answer is far more than a pipe takes at once.
  const type = "x".repeat(4 << 20);
  await new Promise((resolve) => child.send({ type }, resolve));
  block(300);
  child.kill("SIGINT");
  block(300);
  const [[code]] = await ended;
  assert.equal(code, 0);
  assert.equal(received.length, 3);
  assert.ok(received[1].error.endsWith(type));
  assert.deepEqual(received[2], info("Recursos liberados"));
});

test("a port that is closed by the other side ends its generation; the worker lives on", async (context) => {
  const attempt = async () => {
    const connection = await ready(context);
    const seen = [];
    connection.worker.onMessage = (message) => seen.push(message);
    connection.send(prompt(STORY, { options: { maxTokens: 2000 } }));
    await collectUntil(connection, ({ type }) => type === "completion_chunk");
    connection.hangUp();
    await connection.worker.createContext({ threads: 1 });
    assert.equal((await connection.worker.generate(CAPITAL.question)).text, CAPITAL.answer);
    return texts(seen);
  };
  const seen = await untilInTime(attempt, (told) => !told.includes("completion_done"));
  assert.deepEqual(seen, ["Gerando texto...", "Geração abortada pelo usuário"]);
});

test("messages of the port are also seen by onMessage", async (context) => {
  const connection = await open(context);
  const seen = [];
  connection.worker.onMessage = (message) => seen.push(message);
  const answers = await ask(connection, INIT);
  assert.deepEqual(seen, answers);
});

const UTILITY = path.join(__dirname, "fixtures", "utility-process.js");
const NO_ADDON = { LLAMA_WORKER_NATIVE_DIR: path.join(__dirname, "fixtures") };

test("a utility process without an addon says so and ends, also when nobody tells it to stop", async () => {
  const child = fork(UTILITY, [], { env: { ...process.env, ...NO_ADDON }, silent: true });
  /** @type {any[]} */
  const told = [];
  child.on("message", (message) => told.push(message));
  assert.deepEqual(await once(child, "exit"), [1, null]);
  assert.deepEqual(
    told.map(({ type, code }) => ({ type, code })),
    [{ type: "error", code: "NATIVE_LOAD_FAILED" }],
  );
});

for (const [when, args, environment, code] of /** @type {[string, string[], object, number][]} */ ([
  ["before it has a port", ["no port", "stop"], {}, 0],
  ["when it has one", ["stop"], {}, 0],
  ["when there is no addon", ["stop"], NO_ADDON, 1],
])) {
  test(`a utility process that is told to stop ${when} ends by itself`, async () => {
    const child = fork(UTILITY, args, { env: { ...process.env, ...environment }, silent: true });
    assert.deepEqual(await once(child, "exit"), [code, null]);
  });
}
