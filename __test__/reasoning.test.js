/**
 * Thoughts: apart from the answer, in pieces of their own, limited, and gone from the next prompt.
 */

"use strict";

const assert = require("node:assert/strict");
const { CAPITAL, readyWorker, test } = require("./support");

const ASK = "What is 9 minus 6? Think before you answer.";

test("a thought is told apart from the answer", async (context) => {
  const worker = await readyWorker(context);
  const { text, reasoning, usage, stopReason } = await worker.generate(ASK);
  assert.match(text, /9 - 6 = 3/);
  assert.match(reasoning, /\S/);
  assert.doesNotMatch(text + reasoning, /<\/?think>/);
  assert.ok(usage.reasoningTokens > 0 && usage.reasoningTokens < usage.completionTokens);
  assert.equal(stopReason, "eogToken");
});

test("an answer without a thought has none", async (context) => {
  const worker = await readyWorker(context);
  const { reasoning, usage } = await worker.generate(CAPITAL.question);
  assert.equal(reasoning, "");
  assert.equal(usage.reasoningTokens, 0);
});

test("thoughts and text come in pieces of their own, thoughts first", async (context) => {
  const worker = await readyWorker(context);
  const heard = [];
  const segments = [];
  const tokens = [];
  const generation = worker.generate(ASK, {
    onTextChunk: (chunk) => heard.push(["text", chunk]),
    onReasoningChunk: (chunk) => heard.push(["thought", chunk]),
    onResponseChunk: (chunk) => segments.push(chunk),
    onToken: (some) => tokens.push(...some),
  });
  let looped = "";
  for await (const chunk of generation) looped += chunk;
  const { text, reasoning } = await generation;
  const joined = (kind) =>
    heard
      .filter(([name]) => name === kind)
      .map(([, chunk]) => chunk)
      .join("");
  assert.equal(joined("text"), text);
  assert.equal(joined("thought"), reasoning);
  assert.equal(looped, text);
  assert.ok(heard.findLastIndex(([kind]) => kind === "thought") < heard.findIndex(([kind]) => kind === "text"));
  const thoughts = segments.filter(({ type }) => type === "segment");
  const answer = segments.filter(({ type }) => type === undefined);
  assert.deepEqual(segments, [...thoughts, ...answer]);
  assert.equal(thoughts.map((chunk) => chunk.text).join(""), reasoning);
  assert.ok(thoughts.every(({ segmentType }) => segmentType === "thought"));
  assert.deepEqual(
    answer.flatMap((chunk) => chunk.tokens),
    tokens,
  );
});

test("a thought tells when it begins and when it ends, each once", async (context) => {
  const worker = await readyWorker(context);
  const chunks = [];
  await worker.generate(ASK, { onResponseChunk: (chunk) => chunks.push(chunk) });
  const thoughts = chunks.filter(({ type }) => type === "segment");
  const [first, last] = [thoughts[0], thoughts.at(-1)];
  assert.ok(first.segmentStartTime instanceof Date && last.segmentEndTime instanceof Date);
  assert.ok(first.segmentStartTime <= last.segmentEndTime);
  assert.equal(thoughts.filter((chunk) => chunk.segmentStartTime).length, 1);
  assert.equal(thoughts.filter((chunk) => chunk.segmentEndTime).length, 1);
});

test("a thought that is cut off is a thought all the same, and ends", async (context) => {
  const worker = await readyWorker(context);
  const chunks = [];
  const options = { maxTokens: 6, onResponseChunk: (chunk) => chunks.push(chunk) };
  const { text, reasoning, stopReason } = await worker.generate(ASK, options);
  assert.equal(text, "");
  assert.notEqual(reasoning, "");
  assert.equal(stopReason, "maxTokens");
  assert.ok(chunks.at(-1).segmentEndTime);
});

test("reasoning false: no thought, though one was asked for", async (context) => {
  const worker = await readyWorker(context);
  const { text, reasoning } = await worker.generate(ASK, { reasoning: false });
  assert.equal(reasoning, "");
  assert.match(text, /3/);
});

test("budgets.thoughtTokens ends a thought, and the answer comes", async (context) => {
  const worker = await readyWorker(context);
  const whole = await worker.generate(ASK);
  const session = await worker.createSession();
  const { text, reasoning, usage } = await session.generate(ASK, { budgets: { thoughtTokens: 5 } });
  assert.ok(reasoning.length < whole.reasoning.length, reasoning);
  assert.ok(usage.reasoningTokens < whole.usage.reasoningTokens);
  assert.match(text, /\S/);
  assert.doesNotMatch(text, /<\/?think>/);
});

test("budgets.thoughtTokens 0 turns thinking off, Infinity sets no limit", async (context) => {
  const worker = await readyWorker(context);
  const none = await (await worker.createSession()).generate(ASK, { budgets: { thoughtTokens: 0 } });
  assert.equal(none.reasoning, "");
  assert.match(none.text, /\S/);
  const plain = await (await worker.createSession()).generate(ASK);
  const all = await (await worker.createSession()).generate(ASK, {
    budgets: { thoughtTokens: Number.POSITIVE_INFINITY },
  });
  assert.equal(all.reasoning, plain.reasoning);
});

test("history keeps thoughts apart", async (context) => {
  const worker = await readyWorker(context);
  const { text, reasoning } = await worker.generate(ASK);
  const last = /** @type {any} */ ((await worker.session.history()).at(-1));
  assert.deepEqual(last, { role: "assistant", content: text, reasoning });
});

test("a template that shows no old thoughts is given none", async (context) => {
  const worker = await readyWorker(context);
  const chatTemplate = "{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}";
  const { prompt } = await worker.applyChatTemplate(
    [
      { role: "user", content: "a" },
      { role: "assistant", content: "b", reasoning: "hidden" },
      { role: "user", content: "c" },
    ],
    { chatTemplate },
  );
  assert.equal(prompt, "[user] a\n[assistant] b\n[user] c\n");
});

test("thoughts and tools in one turn", async (context) => {
  const worker = await readyWorker(context);
  const handler = () => "sunny, 20 degrees";
  const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const tools = { get_weather: { description: "Get the weather of a city.", parameters, handler } };
  const { stopReason, text, reasoning } = await worker.generate("Think first: What is the weather in Lisbon?", {
    tools,
  });
  assert.equal(stopReason, "eogToken");
  assert.doesNotMatch(text + reasoning, /<\/?(think|tool_call)>/);
});
