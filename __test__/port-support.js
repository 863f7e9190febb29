/**
 * What the tests of the port share: the messages that set a worker up, and how to wait for its answers.
 *
 * Asserts nothing but the greeting, and that nothing more came.
 */

"use strict";

const assert = require("node:assert/strict");
const { builtInModelPath } = require("../js/index");
const { overThreadPort } = require("./fixtures/connections");

const READY = "LlamaWorker inicializado e pronto para receber comandos";

const INIT = { type: "init", options: { gpu: false, numThreads: 1 } };
const LOAD = { type: "load_model", options: { modelPath: builtInModelPath } };
const CREATE = { type: "create_context" };
const info = (message) => ({ type: "info", message });
const prompt = (text, more) => ({ type: "generate_completion", prompt: text, ...more });
const chat = (messages, more) => ({ type: "generate_chat_completion", messages, ...more });

/**
 * @param {import("node:test").TestContext} context
 * @param {() => any} connect
 */
async function open(context, connect = overThreadPort) {
  const connection = connect();
  context.after(() => connection.end());
  assert.equal(await connection.inbox.next(), READY);
  return connection;
}

/** Sends one message after the other, and collects what comes until the last message of each. */
async function ready(context, connect) {
  const connection = await open(context, connect);
  for (const message of [INIT, LOAD, CREATE]) connection.send(message);
  await collectUntil(connection, (message) => message.message === "Contexto criado com sucesso");
  return connection;
}

/** @returns {Promise<any[]>} everything up to and with the first message that is the last */
async function collectUntil({ inbox }, isLast) {
  const messages = [];
  do messages.push(await inbox.next());
  while (!isLast(messages.at(-1)));
  return messages;
}

const endsStep = (message) => message.type === "error" || /conclu|sucesso|usuário/.test(message.message);

/** @returns {Promise<any[]>} what answers one message, without the steps of progress in between */
async function ask(connection, message) {
  connection.send(message);
  const answers = await collectUntil(connection, endsStep);
  return answers.filter((answer) => !(answer.type === "progress" && answer.progress < 1));
}

/** A step that changes nothing, refused in its turn: its error comes after everything that was asked for before it. */
const MARKER = { type: "create_context", options: { contextSize: "no size" }, requestId: "marker" };

/** @returns {Promise<any[]>} what came before the marker */
async function collectUntilMarker(connection) {
  connection.send(MARKER);
  const isMarked = (message) => message.requestId === MARKER.requestId;
  const answers = await collectUntil(connection, (message) => isMarked(message) && message.type === "error");
  return answers.filter((message) => !isMarked(message));
}

async function nothingMore(connection) {
  assert.deepEqual(await collectUntilMarker(connection), []);
}

const withoutChunks = (messages) => messages.filter(({ type }) => type !== "completion_chunk");
const texts = (messages) => withoutChunks(messages).map(({ message, error, type }) => message ?? error ?? type);

module.exports = {
  CREATE,
  INIT,
  LOAD,
  MARKER,
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
};
