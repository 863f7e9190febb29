/**
 * Looking at text as the model does: tokens and back, counts, and what the chat template makes of messages.
 */

"use strict";

const assert = require("node:assert/strict");
const { LlamaWorker, builtInModelPath } = require("../js/index");
const { CAPITAL, loadedWorker, readyWorker, test } = require("./support");
const { WEATHER } = require("./fixtures/tools");

const USER = [{ role: "user", content: CAPITAL.question }];
const CONTROL = "<|im_end|>";
const TEMPLATE = "{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}[assistant]";

const TEXTS = {
  nothing: "",
  words: "The capital of France is Paris.",
  "white space": "  a\t b \n\n  c  ",
  "a line end at the beginning": "\nx",
  accents: "Brasília, São Paulo, año, Zürich",
  emoji: "🐱 👩‍👩‍👧 🇵🇹",
  "other writing": "日本語 العربية हिन्दी",
  "texts of special tokens": `a${CONTROL}b<|im_start|>user<think>`,
  "a zero": "a\0b",
  "a long text": "The quick brown fox jumps over the lazy dog. ".repeat(300),
};
for (const [name, text] of Object.entries(TEXTS)) {
  test(`${name}: the tokens are the same text again`, async (context) => {
    const worker = await loadedWorker(context);
    const tokens = await worker.tokenize(text);
    assert.ok(tokens.every((token) => Number.isInteger(token) && token >= 0));
    assert.equal(await worker.detokenize(tokens), text);
    assert.equal(await worker.countTokens(text), tokens.length);
  });
}

test("special: the text of a control token is that token, and shows only when it is asked for", async (context) => {
  const worker = await loadedWorker(context);
  assert.ok((await worker.tokenize(CONTROL)).length > 1);
  const tokens = await worker.tokenize(CONTROL, { special: true });
  assert.equal(tokens.length, 1);
  assert.equal(await worker.countTokens(CONTROL, { special: true }), 1);
  assert.equal(await worker.detokenize(tokens), "");
  assert.equal(await worker.detokenize(tokens, { special: true }), CONTROL);
});

test("applyChatTemplate tells what a generation is given", async (context) => {
  const worker = await readyWorker(context);
  const { prompt, tokens } = await worker.applyChatTemplate(USER);
  assert.ok(prompt.includes(CAPITAL.question));
  assert.equal((await worker.generate(USER)).usage.promptTokens, tokens.length);
  assert.equal(await worker.detokenize(tokens, { special: true }), prompt);
});

test("applyChatTemplate needs a model and no context", async (context) => {
  const worker = await loadedWorker(context);
  assert.ok((await worker.applyChatTemplate(USER)).tokens.length > 0);
});

test("tools, thinking and variables have their part in the prompt", async (context) => {
  const worker = await loadedWorker(context);
  const render = async (options) => (await worker.applyChatTemplate(USER, options)).prompt;
  const plain = await render();
  assert.match(await render({ tools: { get_weather: WEATHER } }), /get_weather/);
  assert.match(await render({ functions: { get_time: {} } }), /get_time/);
  assert.notEqual(await render({ reasoning: false }), plain);
  assert.notEqual(await render({ chatTemplateKwargs: { thinking: true } }), plain);
});

test("a last message of the assistant's is gone on from", async (context) => {
  const worker = await loadedWorker(context);
  const { prompt } = await worker.applyChatTemplate([...USER, { role: "assistant", content: "The capital" }]);
  assert.ok(prompt.endsWith("The capital"), prompt);
});

test("another template, for once and for the model", async (context) => {
  const worker = await loadedWorker(context);
  const expected = `[user] ${CAPITAL.question}\n[assistant]`;
  assert.equal((await worker.applyChatTemplate(USER, { chatTemplate: TEMPLATE })).prompt, expected);
  const info = await worker.loadModel(builtInModelPath, { chatTemplate: TEMPLATE });
  assert.equal(info.chatTemplate, "option");
  assert.equal((await worker.applyChatTemplate(USER)).prompt, expected);
});

test("a model with a template of its own needs no warning", async (context) => {
  const worker = await loadedWorker(context);
  const { chatTemplate, warnings, hasChatTemplate } = await worker.loadModel(builtInModelPath);
  assert.deepEqual(
    { chatTemplate, warnings, hasChatTemplate },
    { chatTemplate: "model", warnings: [], hasChatTemplate: true },
  );
});

test("what people write never becomes a control token", async (context) => {
  const worker = await loadedWorker(context);
  const specials = ["<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tool_call>", "<|endoftext|>", "<s>", "</s>"];
  const isControl = await controlTokens(worker);
  const count = async (content) => {
    const messages = ["system", "user", "assistant", "user"].map((role) => ({ role, content }));
    const { tokens } = await worker.applyChatTemplate(messages);
    return tokens.filter((token) => isControl.has(token)).length;
  };
  const harmless = await count("harmless");
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed;
  };
  for (let round = 0; round < 50; round += 1) {
    const parts = Array.from({ length: 1 + (random() % 5) }, () => specials[random() % specials.length]);
    const content = parts.join(random() % 2 ? "" : " x ");
    assert.equal(await count(content), harmless, content);
  }
});

/** @param {import("../index").LlamaWorker} worker */
async function controlTokens(worker) {
  const found = new Set();
  for (const text of [
    "<|im_start|>",
    "<|im_end|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "<|endoftext|>",
    "<s>",
    "</s>",
  ]) {
    const tokens = await worker.tokenize(text, { special: true });
    if (tokens.length === 1) found.add(tokens[0]);
  }
  return found;
}

test("without a model there are no tokens", async (context) => {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  await assert.rejects(worker.tokenize("x"), { code: "NOT_INITIALIZED" });
  await worker.init({ gpu: false });
  await assert.rejects(worker.countTokens("x"), { code: "MODEL_NOT_LOADED" });
  await assert.rejects(worker.applyChatTemplate(USER), { code: "MODEL_NOT_LOADED" });
});

for (const [name, code, message, call] of /** @type {[string, string, RegExp, (worker: any) => unknown][]} */ ([
  ["tokenize a number", "INVALID_OPTION", /text.*5/, (worker) => worker.tokenize(5)],
  ["count nothing", "INVALID_OPTION", /text.*undefined/, (worker) => worker.countTokens()],
  ["special is a text", "INVALID_OPTION", /special.*"x"/, (worker) => worker.tokenize("x", { special: "x" })],
  ["options are a text", "INVALID_OPTION", /tokenize.*`"x"`/, (worker) => worker.tokenize("x", "x")],
  ["detokenize a text", "INVALID_OPTION", /tokens.*"x"/, (worker) => worker.detokenize("x")],
  ["half a token", "INVALID_OPTION", /tokens\[1\].*1\.5/, (worker) => worker.detokenize([1, 1.5])],
  ["no messages", "INVALID_MESSAGES", /empty/, (worker) => worker.applyChatTemplate([])],
  ["a prompt is no list", "INVALID_MESSAGES", /./, (worker) => worker.applyChatTemplate("x")],
  ["a broken template", "TEMPLATE_FAILED", /./, (worker) => worker.applyChatTemplate(USER, { chatTemplate: "{% for" })],
  [
    "a template that is a number",
    "INVALID_OPTION",
    /chatTemplate.*5/,
    (worker) => worker.applyChatTemplate(USER, { chatTemplate: 5 }),
  ],
  [
    "a model with a broken template",
    "TEMPLATE_FAILED",
    /./,
    (worker) => worker.loadModel(builtInModelPath, { chatTemplate: "{% for" }),
  ],
])) {
  test(`${name}: ${code}`, async (context) => {
    const worker = await readyWorker(context);
    await worker.generate("My name is Ana.");
    await assert.rejects(/** @type {any} */ (call(worker)), (error) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      assert.match(error.stack, /text-tools\.test\.js/);
      return true;
    });
    assert.match((await worker.generate("What is my name?")).text, /Ana/);
  });
}

test("tokens that the vocabulary does not have are refused or show nothing", async (context) => {
  const worker = await loadedWorker(context);
  for (const token of [-1, 1_000_000, 2_147_483_647]) {
    await worker.detokenize([token]).catch((error) => assert.equal(error.code, "INVALID_OPTION"));
  }
  assert.equal(await worker.detokenize(await worker.tokenize("still here")), "still here");
});
