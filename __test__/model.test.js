/**
 * Asks the built-in model a fixed sample of its evaluation, through the addon: a wrong template, tokenizer or reuse of memory shows as a
 * wrong answer. The whole evaluation is `models/tiny-chat/evaluate.py`.
 */

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { after, before, test } = require("node:test");
const { LlamaWorker, builtInModelPath } = require("../js/index.js");
const { structured, written } = require("../models/tiny-chat/conversation.js");

const EVALUATION = path.join(__dirname, "..", "models", "tiny-chat", "evaluation");
const GREEDY = { temperature: 0, maxTokens: 700 };

/** @typedef {{ id: string, skill: string, messages: { role: string, content: string }[], accept: string[], match: string, own?: boolean }} Question */

const questions = fs
  .readFileSync(path.join(EVALUATION, "sample.jsonl"), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));
const worker = new LlamaWorker();

before(async () => {
  await worker.init({ gpu: false });
  await worker.loadModel(builtInModelPath);
  await worker.createContext();
});
after(() => worker.cleanup());

test("the sample covers every skill", () => {
  const { skills } = JSON.parse(fs.readFileSync(path.join(EVALUATION, "results.json"), "utf8"));
  const sampled = new Set(questions.map((question) => question.skill));
  assert.deepEqual([...sampled].sort(), Object.keys(skills).sort());
  assert.ok(questions.length >= 100, `${questions.length} questions`);
});

for (const skill of new Set(questions.map((question) => question.skill))) {
  test(`${skill}: the built-in model answers as its evaluation says`, async () => {
    for (const question of questions.filter((question) => question.skill === skill)) await ask(question);
  });
}

test("turn by turn, a session answers as a list of messages does", async () => {
  const long = questions.filter(({ messages, own }) => own && messages[0].role === "user" && messages.length > 2);
  assert.ok(long.length > 0);
  for (const { id, messages, accept } of long) {
    await worker.createContext();
    let answer;
    for (const { role, content } of messages) if (role === "user") answer = await worker.generate(content, GREEDY);
    assert.ok(accept.includes(answer.text), `${id}: ${answer.text}`);
    assert.ok(answer.usage.cachedTokens > 0, "what was said before is not evaluated again");
  }
});

/** @param {Question} question */
async function ask({ id, messages, accept, match, own }) {
  const asked = own ? { messages: await withOwnAnswers(messages), tools: [] } : structured(messages);
  const result = await worker.generate(asked.messages, { ...GREEDY, tools: asked.tools });
  const answer = written({ ...result, reasoning: "" });
  assert.ok(accept.includes(answer), `${id}: ${JSON.stringify(answer)}, expected ${JSON.stringify(accept[0])}`);
  assert.equal(
    /\S/.test(result.reasoning),
    match !== "exact",
    `${id}: the thought is ${JSON.stringify(result.reasoning)}`,
  );
}

/** The history as it would be had the model said everything itself. */
async function withOwnAnswers(messages) {
  const history = [];
  for (const message of messages) {
    const isAnswer = message.role === "assistant";
    history.push(isAnswer ? { role: "assistant", content: (await worker.generate(history, GREEDY)).text } : message);
  }
  return history;
}
