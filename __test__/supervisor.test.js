/**
 * A worker process that dies is replaced, and the application is told, over the port it has.
 *
 * The deaths are real: the process aborts.
 */

"use strict";

const assert = require("node:assert/strict");
const { fork } = require("node:child_process");
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

test("a process that dies is replaced, and the port is told why", async (context) => {
  const line = supervised(context, { start: startLikeElectron });
  assert.equal(await line.next(), READY);
  assert.equal(await answerOf(line), CAPITAL.answer);
  line.send({ type: "die" });
  const { error, details } = await line.until(({ code }) => code === "WORKER_CRASHED");
  assert.equal(error, "O processo do worker terminou inesperadamente");
  assert.match(details, /SIGABRT.*GGML_ASSERT\(reason\) failed/s);
  assert.equal(await line.next(), READY, "a new one greets");
  assert.equal(await answerOf(line), CAPITAL.answer);
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
    const { fork } = require("node:child_process");
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
  assert.match(stderr, /GGML_ASSERT\(reason\) failed/);
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
