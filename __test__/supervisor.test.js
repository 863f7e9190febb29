/**
 * A worker process that dies is replaced, and the application is told, over the port it has.
 *
 * The deaths are real: an assertion of ggml fails, and nobody catches it.
 */

"use strict";

const assert = require("node:assert/strict");
const { fork, spawn } = require("node:child_process");
const { EventEmitter } = require("node:events");
const path = require("node:path");
const { MessageChannel } = require("node:worker_threads");
const { WorkerSupervisor } = require("llama-worker/supervisor");
const { CREATE, INIT, LOAD, READY, prompt } = require("./port-support");
const { CAPITAL, runNode, test } = require("./support");

const SCRIPT = path.join(__dirname, "fixtures", "dying-worker.js");

/** As Electron's `utilityProcess` does it: the process and its port are two things, and there are no signals. */
function startLikeElectron() {
  const child = fork(SCRIPT, [], { stdio: ["ignore", "ignore", "pipe", "ipc"], serialization: "advanced" });
  const port = {
    on: (type, listener) => type === "message" && child.on("message", (data) => listener({ data })),
    postMessage: (message) => child.connected && child.send(message, undefined, undefined, () => {}),
  };
  return { child, port };
}

/** @param {import("node:test").TestContext} context @param {any} [options] */
function supervised(context, options) {
  const { port1, port2 } = new MessageChannel();
  const messages = [];
  const waiting = [];
  port2.on("message", (message) => (waiting.length > 0 ? waiting.shift()(message) : messages.push(message)));
  const supervisor = new WorkerSupervisor(port1, options);
  context.after(() => supervisor.stop());
  const next = () =>
    messages.length > 0 ? Promise.resolve(messages.shift()) : new Promise((resolve) => waiting.push(resolve));
  const until = async (isIt) => {
    for (;;) {
      const message = await next();
      if (isIt(message)) return message;
    }
  };
  return { supervisor, send: (message) => port2.postMessage(message), next, until, port: port2 };
}

async function answerOf({ send, until }) {
  for (const message of [INIT, LOAD, CREATE, prompt(CAPITAL.question)]) send(message);
  return (await until(({ type }) => type === "completion_done" || type === "error")).fullText;
}

test("what a dead process still says is not taken for the new one's words, and null is no option", async (context) => {
  const workers = [];
  const start = () => {
    const said = new EventEmitter();
    const port = { on: (type, listener) => said.on(type, (data) => listener({ data })), postMessage: () => {} };
    const child = Object.assign(new EventEmitter(), { pid: 1, kill: () => child.emit("exit", 0, null) });
    workers.push({ child, say: (text) => said.emit("message", { type: "info", message: text }) });
    return { child, port };
  };
  const line = supervised(context, { start, maxRestarts: null });
  workers[0].say("first");
  assert.equal((await line.next()).message, "first");
  workers[0].child.emit("exit", 1, null);
  workers[0].say("last");
  assert.equal((await line.next()).message, "last");
  assert.equal((await line.next()).code, "WORKER_CRASHED");
  workers[0].say("too late");
  workers[1].say("second");
  assert.equal((await line.next()).message, "second");
});

test("a process that dies is replaced, and the port is told why", async (context) => {
  const line = supervised(context, { start: startLikeElectron });
  assert.equal(await line.next(), READY);
  assert.equal(await answerOf(line), CAPITAL.answer);
  line.send({ type: "die" });
  const { error, details } = await line.until(({ code }) => code === "WORKER_CRASHED");
  assert.equal(error, "O processo do worker terminou inesperadamente");
  assert.match(details, /SIGABRT.*llama.cpp ends the process: .*GGML_ASSERT\(index < .*\) failed/s);
  assert.equal(await line.next(), READY, "a new one greets");
  assert.equal(await answerOf(line), CAPITAL.answer);
});

test("a request that is under way when the process dies is answered, one that was answered is not", async (context) => {
  const line = supervised(context, { start: startLikeElectron });
  assert.equal(await line.next(), READY);
  for (const [index, message] of [INIT, LOAD, CREATE].entries()) line.send({ ...message, requestId: `done ${index}` });
  await line.until(({ requestId, message }) => requestId === "done 2" && /sucesso/.test(message));
  line.send({ type: "nobody knows it", requestId: "refused" });
  await line.until(({ requestId }) => requestId === "refused");
  line.send({ ...prompt("Tell me a long story."), requestId: "under way" });
  await line.until(({ type, requestId }) => type === "completion_chunk" && requestId === "under way");
  line.send({ ...prompt("Hi"), requestId: 7 });
  line.send({ type: "die" });
  const marks = [];
  for (let message = await line.next(); message !== READY; message = await line.next())
    if (message.code === "WORKER_CRASHED") marks.push(message.requestId);
  assert.deepEqual(marks, [undefined, "under way", 7]);
});

test("of several requests with one mark, an end of one is not taken for the others'", async (context) => {
  const line = supervised(context, { start: startLikeElectron });
  assert.equal(await line.next(), READY);
  for (const message of [INIT, LOAD, CREATE, prompt("Tell me a long story.")])
    line.send({ ...message, requestId: "one" });
  await line.until(({ type }) => type === "completion_chunk");
  line.send({ type: "die" });
  const marks = [];
  for (let message = await line.next(); message !== READY; message = await line.next())
    if (message.code === "WORKER_CRASHED") marks.push(message.requestId);
  assert.deepEqual(marks, [undefined, "one"]);
});

test("a message that cannot be sent to a process is answered", async (context) => {
  const line = supervised(context);
  assert.equal(await line.next(), READY);
  const shared = new SharedArrayBuffer(8);
  line.send({ type: "init", shared, requestId: "shared" });
  const { type, code, details, requestId } = await line.next();
  assert.deepEqual({ type, code, requestId }, { type: "error", code: "UNKNOWN_MESSAGE_TYPE", requestId: "shared" });
  assert.match(details, /could not be cloned/);
  assert.equal(await answerOf(line), CAPITAL.answer, "the worker goes on");
});

test("a process that cannot be started is a death, and no exception of the application", async (context) => {
  const start = () => {
    const child = spawn(path.join(__dirname, "no such program"));
    return { child, port: { on: () => {}, postMessage: () => {} } };
  };
  const line = supervised(context, { start, maxRestarts: 1 });
  for (let times = 0; times < 2; times++)
    assert.match((await line.until(({ code }) => code === "WORKER_CRASHED")).details, /could not be started: .*ENOENT/);
  await line.supervisor.ended;
});

test("a process that always dies is given up", async (context) => {
  const line = supervised(context, { start: startLikeElectron, maxRestarts: 1 });
  for (const expected of [/SIGABRT/, /2 times within a minute/]) {
    assert.equal(await line.next(), READY);
    line.send({ type: "die" });
    assert.match((await line.until(({ code }) => code === "WORKER_CRASHED")).details, expected);
  }
  await line.supervisor.ended;
});

test("a supervised process ends in good order, also by the port", async (context) => {
  const stopped = supervised(context);
  assert.equal(await stopped.next(), READY);
  assert.equal(await answerOf(stopped), CAPITAL.answer);
  await stopped.supervisor.stop();
  const closed = supervised(context);
  assert.equal(await closed.next(), READY);
  closed.port.close();
  await closed.supervisor.ended;
});

test("the reason of a death reaches standard error", async () => {
  const script = `
    const { MessageChannel } = require("node:worker_threads");
    const { WorkerSupervisor } = require("llama-worker/supervisor");
    const { fork, spawn } = require("node:child_process");
    const start = () => {
      const child = fork(${JSON.stringify(SCRIPT)}, [], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
      return { child, port: { on: (type, to) => child.on(type, (data) => to({ data })), postMessage: (m) => child.send(m) } };
    };
    const { port1, port2 } = new MessageChannel();
    const supervisor = new WorkerSupervisor(port1, { start, maxRestarts: 0 });
    port2.once("message", () => port2.postMessage({ type: "die" }));
  `;
  const { code, stderr } = await runNode(["-e", script]);
  assert.equal(code, 0);
  assert.match(stderr, /llama-worker: log: .*llama.cpp ends the process: .*GGML_ASSERT\(index < .*\) failed/s);
  assert.match(stderr, /the worker process ended with signal SIGABRT, too often to start another/);
});

test("options that cannot be are refused", () => {
  const { port1 } = new MessageChannel();
  const refused = (...args) => assert.throws(() => new WorkerSupervisor(...args), { code: "INVALID_OPTION" });
  refused(undefined);
  refused({});
  refused(port1, { start: "now" });
  refused(port1, { maxRestarts: -1 });
  port1.close();
});
