/**
 * Downloads over the message contract: order, texts, marks, and what acts at once.
 *
 * The recordings are replayed by `contract.test.js`; how files come is `download.test.js`'s.
 */

"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { LlamaWorker } = require("../js/index");
const { assertMonotone, contentOf, finished, hubAndFolder, keptBytes, until } = require("./download-support");
const { overFork } = require("./fixtures/connections");
const { BYTES, HALF, MODEL, REPOSITORY, SIZE, ggufBytes, sha256 } = require("./fixtures/hub");
const {
  CREATE,
  INIT,
  LOAD,
  collectUntil,
  collectUntilMarker,
  info,
  nothingMore,
  open,
  prompt,
  ready,
} = require("./port-support");
const { CAPITAL, readyWorker, runNode, test } = require("./support");

/**
 * @param {import("node:test").TestContext} context
 * @param {(context: import("node:test").TestContext, connect?: () => any) => Promise<any>} connect
 */
async function hubAndConnection(context, connect = open) {
  const { hub, dir, options } = await hubAndFolder(context);
  const connection = await connect(context);
  return { hub, dir, options, connection, file: path.join(dir, path.basename(MODEL)) };
}

const isLast = ({ type, message }) =>
  type === "error" || /baixado com sucesso|abortado pelo usuário|aborted by the user|downloaded/.test(message ?? "");

/** What is told of a download, one word or text each; how often it says how far it is, does not count. */
function told(messages) {
  const words = messages.map(({ type, message, error }) =>
    type === "info" ? message : type === "error" ? error : type,
  );
  return words.filter((word, index) => word !== "download_progress" || words[index - 1] !== word);
}

test("a download: its five steps, in order, without init", async (context) => {
  const { options, connection, file } = await hubAndConnection(context);
  connection.send({ type: "download_model", modelId: MODEL, options });
  const answers = await collectUntil(connection, isLast);
  assert.deepEqual(told(answers), [
    `Iniciando download do modelo: ${MODEL}`,
    "download_progress",
    "download_complete",
    `Modelo baixado com sucesso: ${file}`,
  ]);
  assert.equal(answers.find(({ type }) => type === "download_complete").filePath, file);
  const progress = answers.filter(({ type }) => type === "download_progress").map((message) => message.progress);
  assertMonotone(progress);
  assert.ok(progress.every((value) => value >= 0 && value <= 1));
  assert.equal(progress.at(-1), 1);
  assert.deepEqual(contentOf(file), BYTES);
  assert.ok(answers.every((message) => !("requestId" in message)));
});

for (const key of ["modelId", "modelIds"]) {
  test(`several models as ${key}: the steps of each, one download_complete a file`, async (context) => {
    const { hub, dir, options, connection } = await hubAndConnection(context);
    const names = ["one", "two"].map((name, index) => {
      hub.put("o/r", `${name}.gguf`, ggufBytes(SIZE, index + 1));
      return `hf://o/r/${name}.gguf`;
    });
    connection.send({ type: "download_model", [key]: names, options, requestId: 7 });
    let ended = 0;
    const answers = await collectUntil(connection, (message) => isLast(message) && ++ended === 2);
    for (const answer of answers) assert.equal(answer.requestId, 7);
    for (const name of ["one", "two"]) {
      const file = path.join(dir, `${name}.gguf`);
      const of = [`Iniciando download do modelo: hf://o/r/${name}.gguf`, `Modelo baixado com sucesso: ${file}`];
      assert.deepEqual(
        told(answers).filter((text) => of.includes(text)),
        of,
      );
    }
    assert.equal(answers.filter(({ type }) => type === "download_complete").length, 2);
    await nothingMore(connection);
  });
}

for (const [locale, texts] of Object.entries({
  pt: ["Iniciando download do modelo: ", "Modelo baixado com sucesso: "],
  en: ["Downloading model: ", "Model downloaded: "],
})) {
  test(`the texts of locale ${locale}`, async (context) => {
    const { options, connection, file } = await hubAndConnection(context);
    connection.send({ ...INIT, options: { ...INIT.options, locale } });
    await connection.inbox.next();
    await connection.inbox.next();
    connection.send({ type: "download_model", modelId: MODEL, options });
    const answers = told(await collectUntil(connection, isLast));
    assert.deepEqual([answers[0], answers.at(-1)], [`${texts[0]}${MODEL}`, `${texts[1]}${file}`]);
    connection.send({ type: "download_model", modelId: "hf://o/nowhere", options });
    const failure = (await collectUntil(connection, isLast)).at(-1);
    if (locale === "en") assert.doesNotMatch(`${failure.error}${failure.details}`, /[ãçéõ]|baixar/);
    else assert.equal(failure.error, "Erro ao baixar modelo");
  });
}

test("a download that fails: download_error, then one error with code and details", async (context) => {
  const { dir, options, connection } = await hubAndConnection(context);
  connection.send({ type: "download_model", modelId: "hf://o/nowhere", options, requestId: "r" });
  const answers = await collectUntil(connection, isLast);
  const [, reported, failure] = answers;
  assert.deepEqual(told(answers), [
    "Iniciando download do modelo: hf://o/nowhere",
    "download_error",
    "Erro ao baixar modelo",
  ]);
  assert.match(reported.error, /nowhere/);
  assert.equal(failure.code, "DOWNLOAD_NOT_FOUND");
  assert.match(failure.details, /nowhere/);
  for (const answer of answers) assert.equal(answer.requestId, "r");
  await nothingMore(connection);
  assert.deepEqual(finished(dir), []);
});

const refused = {
  "no model": {},
  "a number": { modelId: 5 },
  "an empty list": { modelId: [] },
  "a bad option": { modelId: MODEL, options: { dir: 5 } },
  "a bad name": { modelId: "http://example.com/model.gguf" },
};
for (const [what, fields] of Object.entries(refused)) {
  test(`download_model with ${what}: one error, with a code`, async (context) => {
    const { connection } = await hubAndConnection(context);
    connection.send({ type: "download_model", ...fields, requestId: "r" });
    const answers = await collectUntil(connection, isLast);
    const { error, code, details, requestId } = answers.at(-1);
    assert.deepEqual([error, requestId, typeof details], ["Erro ao baixar modelo", "r", "string"]);
    assert.match(code, /^INVALID_(OPTION|MODEL_ID)$/);
    assert.equal(answers.filter(({ type }) => type === "error").length, 1);
    await nothingMore(connection);
  });
}

test("abort_download: two infos, no file, what has come is kept", async (context) => {
  const { hub, dir, options, connection } = await hubAndConnection(context);
  hub.script("content", { holdAfter: HALF });
  connection.send({ type: "download_model", modelId: MODEL, options, requestId: "r" });
  await hub.held();
  await until(() => keptBytes(dir) > 0);
  connection.send({ type: "abort_download" });
  const answers = await collectUntil(connection, isLast);
  assert.deepEqual(told(answers).slice(-2), ["Download abortado", "Download abortado pelo usuário"]);
  assert.ok(!told(answers).includes("download_complete") && !told(answers).includes("download_error"));
  assert.equal(answers.at(-1).requestId, "r");
  await nothingMore(connection);
  assert.deepEqual(finished(dir), []);
  assert.ok(keptBytes(dir) > 0);
  connection.send({ type: "download_model", modelId: MODEL, options });
  assert.match((await collectUntil(connection, isLast)).at(-1).message, /sucesso/);
  assert.ok(hub.hasResumed, hub.ranges.at(-1));
});

test("abort_download before the first byte", async (context) => {
  const { hub, dir, options, connection } = await hubAndConnection(context);
  hub.script("content", { holdAfter: 0 });
  connection.send({ type: "download_model", modelId: MODEL, options });
  await hub.held();
  connection.send({ type: "abort_download" });
  assert.equal((await collectUntil(connection, isLast)).at(-1).message, "Download abortado pelo usuário");
  assert.deepEqual(finished(dir), []);
});

test("abort_download right behind download_model", async (context) => {
  const { dir, options, connection } = await hubAndConnection(context);
  connection.send({ type: "download_model", modelId: MODEL, options });
  connection.send({ type: "abort_download" });
  const answers = told(await collectUntil(connection, isLast));
  assert.deepEqual(answers.slice(-2), ["Download abortado", "Download abortado pelo usuário"]);
  await nothingMore(connection);
  assert.deepEqual(finished(dir), []);
});

test("abort_download ends a message's models as one; what is whole by then stays", async (context) => {
  const { hub, dir, options, connection } = await hubAndConnection(context);
  hub.put("o/r", "other.gguf", BYTES);
  hub.script("content", {}, { holdAfter: HALF });
  const modelIds = [MODEL, "hf://o/r/other.gguf", "hf://o/r/third.gguf"];
  connection.send({ type: "download_model", modelIds, options, requestId: "r" });
  await hub.held();
  connection.send({ type: "abort_download" });
  const end = ({ message }) => message === "Download abortado pelo usuário";
  const answers = await collectUntil(connection, end);
  assert.equal(answers.filter(({ type }) => type === "download_complete").length, 1);
  assert.deepEqual(told(answers).slice(-2), ["Download abortado", "Download abortado pelo usuário"]);
  assert.ok(!told(answers).includes("Iniciando download do modelo: hf://o/r/third.gguf"));
  await nothingMore(connection);
  assert.deepEqual(finished(dir), [path.basename(MODEL)]);
});

test("a split model is one download_complete, with the path of its first part", async (context) => {
  const { hub, dir, options, connection } = await hubAndConnection(context);
  const parts = [1, 2].map((part) => `m-0000${part}-of-00002.gguf`);
  for (const [index, name] of parts.entries()) hub.put("o/r", name, ggufBytes(SIZE, index + 1));
  connection.send({ type: "download_model", modelId: "hf://o/r", options });
  const answers = await collectUntil(connection, isLast);
  const complete = answers.filter(({ type }) => type === "download_complete");
  assert.deepEqual(
    complete.map(({ filePath }) => filePath),
    [path.join(dir, parts[0])],
  );
  assert.deepEqual(finished(dir).sort(), parts);
});

test("a file that is there already: progress 1, also where no server is asked", async (context) => {
  const { hub, dir, options, connection } = await hubAndConnection(context);
  const modelId = hub.put("o/r", "plain.gguf", BYTES);
  const message = { type: "download_model", modelId, options: { ...options, sha256: sha256(BYTES) } };
  for (const round of ["fetched", "there"]) {
    connection.send(message);
    const answers = await collectUntil(connection, isLast);
    const progress = answers.filter(({ type }) => type === "download_progress").at(-1);
    assert.deepEqual([progress?.progress, progress?.downloadedBytes, progress?.totalBytes], [1, SIZE, SIZE], round);
    hub.stop();
  }
  assert.deepEqual(finished(dir), ["plain.gguf"]);
});

test("the environment's token is not for a hub that a message names", async (context) => {
  const { hub, options, connection } = await hubAndConnection(context);
  process.env.HF_TOKEN = "hf_secretsecret";
  context.after(() => delete process.env.HF_TOKEN);
  connection.send({ type: "download_model", modelId: `hf://${REPOSITORY}`, options });
  const answers = await collectUntil(connection, isLast);
  assert.match(answers.at(-1).message, /sucesso/);
  assert.ok(hub.requests.length > 0);
  for (const { headers } of hub.requests) assert.equal(headers.authorization, undefined);
});

test("abort_download while nothing is downloaded: silence", async (context) => {
  const connection = await open(context);
  connection.send({ type: "abort_download" });
  await nothingMore(connection);
});

test("abort_download ends all downloads, each with its own mark", async (context) => {
  const { hub, options, connection } = await hubAndConnection(context);
  hub.script("content", { holdAfter: 10 }, { holdAfter: 10 });
  hub.put("o/r", "other.gguf", BYTES);
  connection.send({ type: "download_model", modelId: MODEL, options, requestId: 1 });
  connection.send({ type: "download_model", modelId: "hf://o/r/other.gguf", options, requestId: 2 });
  await until(() => hub.fetches >= 2);
  connection.send({ type: "abort_download" });
  let ended = 0;
  const answers = await collectUntil(connection, (message) => isLast(message) && ++ended === 2);
  const marks = answers.filter(isLast).map(({ requestId }) => requestId);
  assert.deepEqual(marks.sort(), [1, 2]);
  await nothingMore(connection);
});

test("a download stands in nobody's way, and abort does not end it", async (context) => {
  const { hub, options, connection, file } = await hubAndConnection(context);
  hub.script("content", { holdAfter: HALF });
  connection.send({ type: "download_model", modelId: MODEL, options, requestId: "download" });
  await hub.held();
  for (const message of [INIT, LOAD, CREATE, prompt(CAPITAL.question)]) connection.send(message);
  const answers = await collectUntil(connection, ({ message }) => message === "Geração de texto concluída");
  assert.equal(answers.find(({ type }) => type === "completion_done").fullText, CAPITAL.answer);
  connection.send({ type: "abort" });
  const meanwhile = await collectUntilMarker(connection);
  assert.ok(
    meanwhile.every(({ type }) => type === "download_progress"),
    JSON.stringify(meanwhile),
  );
  hub.release();
  const rest = await collectUntil(connection, isLast);
  assert.deepEqual(rest.at(-1), { ...info(`Modelo baixado com sucesso: ${file}`), requestId: "download" });
});

test("abort_download leaves a generation alone", async (context) => {
  const { hub, options, connection } = await hubAndConnection(context, ready);
  hub.script("content", { holdAfter: HALF });
  connection.send({ type: "download_model", modelId: MODEL, options });
  await hub.held();
  connection.send(prompt(CAPITAL.question));
  connection.send({ type: "abort_download" });
  const last = new Set(["Geração de texto concluída", "Download abortado pelo usuário"]);
  const answers = await collectUntil(connection, ({ message }) => last.delete(message) && last.size === 0);
  assert.equal(answers.find(({ type }) => type === "completion_done").fullText, CAPITAL.answer);
});

test("while tools run in the default session, downloads begin and end at once", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const worker = await readyWorker(context);
  /** @type {any[]} */
  const messages = [];
  let hear = () => {};
  worker.onMessage = (message) => {
    messages.push(message);
    hear();
  };
  const hasSaid = async (/** @type {string} */ text) => {
    while (!messages.some(({ message }) => message?.startsWith(text)))
      await new Promise((/** @type {(value: void) => void} */ resolve) => {
        hear = resolve;
      });
  };
  const handler = async () => {
    worker.handleMessage({ type: "download_model", modelId: MODEL, options });
    await hasSaid("Modelo baixado com sucesso");
    hub.script("content", { holdAfter: 10 });
    worker.handleMessage({ type: "download_model", modelId: MODEL, options: { ...options, dir: `${options.dir}/b` } });
    await hub.held();
    worker.handleMessage({ type: "abort_download" });
    await hasSaid("Download abortado pelo usuário");
    return "18:00";
  };
  const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const tools = { get_time: { description: "Get the current time in a city.", parameters, handler } };
  const { toolCalls } = await worker.generate("What time is it in Paris?", { tools });
  assert.deepEqual(
    toolCalls.map(({ result }) => result),
    ["18:00"],
  );
});

test("cleanup ends downloads; `Recursos liberados` comes last", async (context) => {
  const { hub, dir, options, connection } = await hubAndConnection(context);
  hub.script("content", { holdAfter: HALF });
  connection.send({ type: "download_model", modelId: MODEL, options });
  await hub.held();
  await connection.worker.cleanup();
  const answers = told(await collectUntil(connection, ({ message }) => message === "Recursos liberados"));
  assert.equal(answers.at(-2), "Download abortado pelo usuário");
  assert.deepEqual(finished(dir), []);
});

test("SIGINT ends the forked script in the middle of a download", async (context) => {
  const { hub, dir, options, connection } = await hubAndConnection(context, (inner) => open(inner, overFork));
  hub.script("content", { holdAfter: HALF });
  connection.send({ type: "download_model", modelId: MODEL, options });
  await hub.held();
  await connection.end();
  assert.deepEqual(finished(dir), []);
});

test("a port that is closed by the other side ends its downloads", async (context) => {
  const { hub, options, connection } = await hubAndConnection(context);
  hub.script("content", { holdAfter: HALF });
  /** @type {any[]} */
  const seen = [];
  const ended = new Promise((/** @type {(value: void) => void} */ resolve) => {
    connection.worker.onMessage = (message) => {
      seen.push(message);
      if (isLast(message)) resolve();
    };
  });
  connection.send({ type: "download_model", modelId: MODEL, options });
  await hub.held();
  connection.hangUp();
  await ended;
  assert.equal(seen.at(-1).message, "Download abortado pelo usuário");
});

test("a download of handleMessage keeps the process until it is done", async (context) => {
  const { options } = await hubAndFolder(context);
  const source = `
    const { LlamaWorker } = require(${JSON.stringify(require.resolve("../js/index"))});
    const worker = new LlamaWorker();
    worker.onMessage = ({ message }) => message && console.log(message);
    worker.handleMessage(${JSON.stringify({ type: "download_model", modelId: MODEL, options })});
  `;
  const { code, stdout } = await runNode(["-e", source]);
  assert.equal(code, 0);
  assert.match(stdout, /\nModelo baixado com sucesso: .*\n$/);
});

test("downloadModel of a worker with a port says nothing on the port", async (context) => {
  const { options, connection } = await hubAndConnection(context);
  const file = await connection.worker.downloadModel(MODEL, options);
  assert.deepEqual(contentOf(file), BYTES);
  await nothingMore(connection);
  assert.ok(connection.worker instanceof LlamaWorker);
});
