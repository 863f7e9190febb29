/**
 * Conversations that are longer than the context: old turns go, the system prompt and the newest turn stay, and the result tells.
 */

"use strict";

const assert = require("node:assert/strict");
const { CAPITAL, STORY, loadedWorker, test } = require("./support");

const SYSTEM = "You are a helpful assistant.";
const FILLER = "The quick brown fox jumps over the lazy dog. ".repeat(3);

/** @param {import("node:test").TestContext} context */
async function smallWorker(context, contextSize = 256) {
  const worker = await loadedWorker(context);
  await worker.createContext({ threads: 1, contextSize });
  return worker;
}

/** @param {number} turns */
function longHistory(turns) {
  const pair = [
    { role: "user", content: FILLER },
    { role: "assistant", content: "I do not know that." },
  ];
  return [{ role: "system", content: SYSTEM }, ...Array.from({ length: turns }, () => pair).flat()];
}

/**
 * A session in which the story begins, and does not end, before 512 tokens are full.
 *
 * @param {import("../index").LlamaWorker} worker
 */
async function nearlyFullSession(worker) {
  for (let turns = 8; turns > 0; turns -= 1) {
    const session = await worker.createSession({ history: longHistory(turns) });
    if ((await session.countTokens(STORY)) < 450) return session;
  }
  throw new Error("not even one turn fits");
}

test("a conversation goes on however long it is, and remembers what still fits", async (context) => {
  const worker = await smallWorker(context);
  let dropped = 0;
  for (let turn = 0; turn < 12; turn += 1) {
    const { stopReason, usage } = await worker.generate(FILLER, { systemPrompt: SYSTEM, maxTokens: 20 });
    assert.match(stopReason, /eogToken|maxTokens/);
    assert.ok(usage.promptTokens < 256);
    assert.ok(usage.droppedMessages >= dropped, "what is left out stays out");
    dropped = usage.droppedMessages;
  }
  assert.ok(dropped > 0);
  const { text } = await worker.generate(CAPITAL.question, { maxTokens: 40 });
  assert.match(text, /Paris/);
  assert.equal((await worker.session.history()).length, 1 + 2 * 13, "the history itself is whole");
});

test("the newest turns stay: what was said just now is remembered", async (context) => {
  const worker = await smallWorker(context);
  const session = await worker.createSession({ history: longHistory(8) });
  await session.generate("My name is Ana.");
  const { text, usage } = await session.generate("What is my name?");
  assert.match(text, /Ana/);
  assert.ok(usage.droppedMessages > 0);
  assert.equal(usage.droppedMessages % 2, 0, "turns are left out whole");
});

test("the system prompt stays", async (context) => {
  const worker = await smallWorker(context);
  const history = longHistory(8).with(0, { role: "system", content: "Answer in one word." });
  const session = await worker.createSession({ history });
  const { text, usage } = await session.generate(CAPITAL.question);
  assert.ok(usage.droppedMessages > 0);
  assert.match(text, /^Paris\.?$/);
});

test("nothing is left out of what fits", async (context) => {
  const worker = await smallWorker(context);
  assert.equal((await worker.generate(CAPITAL.question)).usage.droppedMessages, 0);
});

test("contextOverflow error: the conversation is refused, and as it was", async (context) => {
  const worker = await smallWorker(context);
  const history = longHistory(8);
  const session = await worker.createSession({ history });
  const refused = session.generate(CAPITAL.question, { contextOverflow: "error" });
  await assert.rejects(refused, { code: "PROMPT_TOO_LONG", message: /256/ });
  assert.deepEqual(await session.history(), history);
  assert.match((await session.generate(CAPITAL.question)).text, /Paris/);
});

test("a prompt that alone does not fit is refused with both numbers, never cut", async (context) => {
  const worker = await smallWorker(context);
  const prompt = FILLER.repeat(12);
  const { tokens } = await worker.applyChatTemplate([{ role: "user", content: prompt }]);
  assert.ok(tokens.length > 256);
  await assert.rejects(worker.generate(prompt), { code: "PROMPT_TOO_LONG", message: RegExp(`${tokens.length} .*256`) });
  const withHistory = await worker.createSession({ history: longHistory(3) });
  await assert.rejects(withHistory.generate(prompt), { code: "PROMPT_TOO_LONG" });
  assert.match((await worker.generate(CAPITAL.question)).text, /Paris/);
});

test("old turns make room in the middle of an answer, which stays whole", async (context) => {
  const worker = await smallWorker(context, 512);
  const session = await nearlyFullSession(worker);
  const before = await session.countTokens(STORY);
  const chunks = [];
  const { text, stopReason, usage } = await session.generate(STORY, { maxTokens: 300 }, (chunk) => chunks.push(chunk));
  assert.match(stopReason, /eogToken|maxTokens/);
  assert.ok(usage.droppedMessages > 0);
  assert.equal(chunks.join(""), text);
  assert.ok(usage.completionTokens > 512 - before);
});

test("contextOverflow error: an answer that fills the context ends there", async (context) => {
  const worker = await smallWorker(context, 512);
  const session = await nearlyFullSession(worker);
  const { stopReason, usage } = await session.generate(STORY, { contextOverflow: "error" });
  assert.equal(stopReason, "contextFull");
  assert.equal(usage.droppedMessages, 0);
  assert.ok(usage.totalTokens >= 510, `${usage.totalTokens}`);
});

test("an answer with nothing left to leave out ends with the context", async (context) => {
  const worker = await smallWorker(context);
  const { stopReason } = await worker.generate(STORY);
  assert.match(stopReason, /contextFull|eogToken/);
});

test("a tool's call and its result are left out together", async (context) => {
  const worker = await smallWorker(context);
  const turn = [
    { role: "user", content: FILLER },
    { role: "assistant", content: "", toolCalls: [{ id: "1", name: "look", arguments: { a: 1 } }] },
    { role: "tool", toolCallId: "1", name: "look", content: "found" },
    { role: "assistant", content: "There it is." },
  ];
  const session = await worker.createSession({ history: [...turn, ...turn, ...turn, ...turn] });
  const { text, usage } = await session.generate(CAPITAL.question, { maxTokens: 40 });
  assert.match(text, /Paris/);
  assert.ok(usage.droppedMessages > 0 && usage.droppedMessages % 4 === 0, `${usage.droppedMessages}`);
});
