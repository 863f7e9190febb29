/**
 * The end of processes, threads and objects, whatever a worker is doing at that moment: no crash, no hang.
 *
 * Each test runs a script of `fixtures/` in a process of its own and asserts that it ends by itself, with its exit code.
 */

"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { CAPITAL, runFixture, runNode, test } = require("./support");

/**
 * @param {string} name
 * @param {{ nodeOptions?: string[], code?: number }} [options]
 */
async function endsByItself(name, { nodeOptions, code = 0 } = {}) {
  const result = await runFixture(name, { nodeOptions });
  assert.deepEqual({ code: result.code, signal: result.signal }, { code, signal: null }, result.stderr);
  return result;
}

/** @param {string[]} command a script of `fixtures/` and its argument */
async function endsByItselfWith([name, argument]) {
  const result = await runNode([path.join(__dirname, "fixtures", name), argument]);
  assert.deepEqual({ code: result.code, signal: result.signal }, { code: 0, signal: null }, result.stderr);
  return result;
}

test("an idle worker with a loaded model does not keep the process alive", async () => {
  assert.equal((await endsByItself("idle.js")).stdout, "ready");
});

test("a process ends after a generation without cleanup", async () => {
  assert.equal((await endsByItself("finished.js")).stdout, CAPITAL.answer);
});

test("a generation that nobody waits for is finished before the process ends", async () => {
  assert.equal((await endsByItself("unwatched.js")).stdout, CAPITAL.answer);
});

test("answers of the contract come before the process ends", async () => {
  const step = await endsByItself("answers-before-the-end.js");
  assert.equal(step.stdout, "Inicializando llama.cpp...\nllama.cpp inicializado com sucesso\n");
  const atOnce = await endsByItselfWith(["answers-before-the-end.js", "at-once"]);
  assert.equal(atOnce.stdout, "Tipo de mensagem desconhecido: bogus\n");
});

test("threads terminated while they generate", async () => {
  assert.equal((await endsByItself("terminate.js")).stdout, `10 terminated, then: ${CAPITAL.answer}`);
});

test("two workers in two threads at once", async () => {
  const { stdout } = await endsByItself("two-threads.js");
  assert.deepEqual(JSON.parse(stdout), [CAPITAL.answer, CAPITAL.answer]);
});

for (const round of [1, 2, 3]) {
  test(`process.exit() while generating, run ${round}`, async () => {
    assert.equal((await endsByItself("exit-while-generating.js")).stderr, "");
  });
}

test("process.exit() while a prompt is evaluated", async () => {
  assert.equal((await endsByItself("exit-in-prompt.js")).stderr, "");
});

test("process.exit() while loading", async () => {
  assert.equal((await endsByItself("exit-while-loading.js")).stderr, "");
  assert.equal((await endsByItselfWith(["exit-while-loading.js", "at-once"])).stderr, "");
});

test("an uncaught exception while generating ends the process as it ends any other", async () => {
  const { stderr } = await endsByItself("uncaught.js", { code: 1 });
  assert.match(stderr, /nobody catches this/);
});

test("callbacks that throw neither crash the process nor lose what comes after", async () => {
  const { stdout } = await endsByItself("throwing-callback.js");
  assert.deepEqual(JSON.parse(stdout), {
    rejected: true,
    messages: ["Criando contexto...", "Contexto criado com sucesso"],
    uncaught: ["from onMessage 1", "from onMessage 2"],
  });
});

test("a signal that throws loses no answer that came with its own", async () => {
  const { stdout } = await endsByItself("hostile-signal.js");
  assert.deepEqual(JSON.parse(stdout), { reasons: ["eogToken", "eogToken"], uncaught: ["from the signal"] });
});

test("llama.cpp's log is printed on standard error, and only on request", async () => {
  assert.match((await endsByItself("debug-log.js")).stderr, /llama/);
  assert.equal((await endsByItself("finished.js")).stderr, "");
});

test("a failure that a loop has thrown is not an unhandled rejection", async () => {
  assert.equal((await endsByItself("unhandled-failure.js")).stdout, "INVALID_MESSAGES");
});

test("a failure that nobody looks at is one", async () => {
  const script = path.join(__dirname, "fixtures", "unhandled-failure.js");
  const { code, signal, stderr } = await runNode([script, "unwatched"]);
  assert.deepEqual({ code, signal }, { code: 1, signal: null });
  assert.match(stderr, /LlamaError/);
});

test("an abandoned idle worker is collected", async () => {
  const { stdout } = await endsByItself("garbage-idle.js", { nodeOptions: ["--expose-gc"] });
  assert.deepEqual(JSON.parse(stdout), Array(7).fill(true));
});

test("an abandoned worker that generates is not collected before its answer", async () => {
  const { stdout } = await endsByItself("garbage-while-generating.js", { nodeOptions: ["--expose-gc"] });
  assert.equal(stdout, CAPITAL.answer);
});

test("cleanup while loading", async () => {
  assert.match((await endsByItself("cleanup-while-loading.js")).stdout, /^(LOADED|ABORTED|WORKER_STOPPED)$/);
});

test("cleanup while generating", async () => {
  for (const outcome of JSON.parse((await endsByItself("cleanup-while-generating.js")).stdout)) {
    assert.match(outcome, /^(abort|WORKER_STOPPED)$/);
  }
});

test("a port whose other end closes while generating", async () => {
  assert.match((await endsByItself("port-close.js")).stdout, /^closed/);
});
