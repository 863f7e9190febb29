/**
 * The options of a generation: what each does, and that a bad value is refused by name before anything is generated.
 *
 * Tools, schemas, thoughts and overflow have tests of their own; those that need no more than api.test.js's are there.
 */

"use strict";

const assert = require("node:assert/strict");
const { CAPITAL, STORY, readyWorker, test } = require("./support");

const INVITATION = "Tell me a story about a dragon.";
const WILD = { temperature: 2, topK: 0, topP: 1, maxTokens: 60 };

/**
 * A conversation of its own for each answer.
 *
 * @param {import("../index").LlamaWorker} worker
 * @param {string} prompt
 * @param {object} [options]
 */
async function freshAnswer(worker, prompt, options) {
  const session = await worker.createSession();
  return session.generate(prompt, options);
}

test("responsePrefix is the beginning of the answer, streamed and kept", async (context) => {
  const worker = await readyWorker(context);
  const chunks = [];
  const responsePrefix = "The capital of France";
  const { text, usage } = await worker.generate(CAPITAL.question, { responsePrefix }, (chunk) => chunks.push(chunk));
  assert.equal(text, CAPITAL.answer);
  assert.ok(chunks[0].startsWith(responsePrefix), chunks[0]);
  assert.equal(chunks.join(""), text);
  const plain = await freshAnswer(worker, CAPITAL.question);
  assert.ok(usage.completionTokens < plain.usage.completionTokens);
  assert.deepEqual((await worker.session.history()).at(-1), { role: "assistant", content: text });
});

test("trimWhitespaceSuffix takes white space off the end, in the chunks too", async (context) => {
  const worker = await readyWorker(context);
  const stop = { stopSequences: ["Paris"] };
  const kept = await freshAnswer(worker, CAPITAL.question, stop);
  assert.match(kept.text, /is $/);
  const session = await worker.createSession();
  const chunks = [];
  const trimmed = await session.generate(CAPITAL.question, { ...stop, trimWhitespaceSuffix: true }, (chunk) =>
    chunks.push(chunk),
  );
  assert.equal(trimmed.text, kept.text.trimEnd());
  assert.equal(chunks.join(""), trimmed.text);
});

for (const stops of ["France is", ["nowhere", "France is"], ["nowhere", ["France is"]]]) {
  for (const option of ["stopSequences", "customStopTriggers"]) {
    test(`${option} ${JSON.stringify(stops)} end the answer, and the result tells which`, async (context) => {
      const worker = await readyWorker(context);
      const { text, stopReason, stopSequence } = await worker.generate(CAPITAL.question, { [option]: stops });
      assert.equal(text, "The capital of ");
      assert.equal(stopReason, "customStopTrigger");
      assert.equal(stopSequence, "France is");
    });
  }
}

test("onToken and onResponseChunk get the tokens of the text", async (context) => {
  const worker = await readyWorker(context);
  const tokens = [];
  const chunks = [];
  const { text, usage } = await worker.generate(CAPITAL.question, {
    onToken: (some) => tokens.push(...some),
    onResponseChunk: (chunk) => chunks.push(chunk),
  });
  assert.equal(await worker.detokenize(tokens), text);
  assert.equal(tokens.length, usage.completionTokens - 1, "all but the one that ends the answer");
  assert.equal(chunks.map((chunk) => chunk.text).join(""), text);
  assert.deepEqual(
    chunks.flatMap((chunk) => chunk.tokens),
    tokens,
  );
  assert.ok(chunks.every((chunk) => chunk.type === undefined));
});

for (const callback of ["onToken", "onResponseChunk", "onReasoningChunk", "onFunctionCallParamsChunk"]) {
  test(`what ${callback} throws ends the generation and is what it rejects with`, async (context) => {
    const worker = await readyWorker(context);
    const thrown = new TypeError("in the callback");
    let calls = 0;
    const fail = () => {
      calls += 1;
      throw thrown;
    };
    const tools = { get_weather: { parameters: { type: "object", properties: { city: { type: "string" } } } } };
    const [prompt, options] = /** @type {Record<string, [string, object]>} */ ({
      onReasoningChunk: ["What is 9 minus 6? Think before you answer.", {}],
      onFunctionCallParamsChunk: ["What is the weather in Lisbon?", { tools }],
    })[callback] ?? [STORY, {}];
    await assert.rejects(worker.generate(prompt, { ...options, [callback]: fail }), (error) => error === thrown);
    assert.equal(calls, 1);
    assert.match((await freshAnswer(worker, CAPITAL.question)).text, /Paris/);
  });
}

test("speculative: the same text, some of it by right guesses", async (context) => {
  const grammar = 'root ::= ("one two three four "){12}';
  for (const sampling of [{}, { temperature: 0.8, seed: 3 }]) {
    // What guesses cost is not known in a new context, so the first ones are made however busy the machine is.
    const worker = await readyWorker(context);
    const ask = async (/** @type {"lookup" | false} */ speculative) => {
      const session = await worker.createSession();
      return session.generate("Count!", { grammar, ...sampling, speculative });
    };
    const [guessed, plain] = [await ask("lookup"), await ask(false)];
    assert.equal(guessed.text, plain.text);
    assert.equal(guessed.usage.completionTokens, plain.usage.completionTokens);
    assert.deepEqual([plain.usage.draftedTokens, plain.usage.acceptedTokens], [0, 0]);
    assert.ok(guessed.usage.acceptedTokens > 0);
    assert.ok(guessed.usage.draftedTokens >= guessed.usage.acceptedTokens);
  }
});

test("evaluationPriority: the more important of two sessions is done first", async (context) => {
  const worker = await readyWorker(context);
  const prompt = "The quick brown fox jumps over the lazy dog. ".repeat(40);
  const sessions = [await worker.createSession(), await worker.createSession()];
  const ended = [];
  const ask = (session, evaluationPriority) =>
    session.generate(prompt, { evaluationPriority, maxTokens: 20 }).then(() => ended.push(evaluationPriority));
  await Promise.all([ask(sessions[0], 1), ask(sessions[1], 5)]);
  assert.equal(ended.length, 2);
});

test("chatTemplateKwargs reach the template", async (context) => {
  const worker = await readyWorker(context);
  const options = { chatTemplateKwargs: { thinking: true } };
  assert.notEqual((await freshAnswer(worker, CAPITAL.question, options)).reasoning, "");
});

test("logprobs: each token with its probability, and the likeliest in its place", async (context) => {
  const worker = await readyWorker(context);
  const { text, logprobs, usage } = await freshAnswer(worker, CAPITAL.question, { logprobs: 3 });
  assert.ok(logprobs);
  assert.ok(logprobs.length >= usage.completionTokens - 1 && logprobs.length <= usage.completionTokens);
  assert.ok(
    logprobs
      .map((token) => token.text)
      .join("")
      .startsWith(text),
  );
  for (const { token, logprob, top } of logprobs) {
    assert.ok(logprob <= 0 && Number.isFinite(logprob));
    assert.equal(top.length, 3);
    assert.ok(top[0].logprob >= top[1].logprob && top[1].logprob >= top[2].logprob);
    assert.equal(top[0].token, token, "a greedy answer takes the likeliest");
    assert.ok(top.reduce((sum, likely) => sum + Math.exp(likely.logprob), 0) <= 1.001);
  }
});

for (const [value, expected] of /** @type {[any, number | undefined][]} */ ([
  [true, 0],
  [0, 0],
  [20, 20],
  [false, undefined],
  [null, undefined],
])) {
  test(`logprobs ${value}: ${expected ?? "none"}${expected === undefined ? "" : " of the likeliest"}`, async (context) => {
    const worker = await readyWorker(context);
    const { logprobs } = await freshAnswer(worker, CAPITAL.question, { logprobs: value, maxTokens: 2 });
    assert.deepEqual(
      logprobs?.map(({ top }) => top.length),
      expected === undefined ? undefined : [expected, expected],
    );
  });
}

test("tokenBias: a token or a text that is ruled out does not come, and one that is wanted does", async (context) => {
  const worker = await readyWorker(context);
  const [token] = await worker.tokenize(" Paris");
  for (const tokenBias of [
    [
      [" Paris", "never"],
      ["Paris", false],
    ],
    { [token]: -100 },
    [[token, "never"]],
  ]) {
    const { text } = await freshAnswer(worker, CAPITAL.question, { tokenBias, maxTokens: 40 });
    assert.doesNotMatch(text, /is Paris/);
  }
  const [wanted] = await worker.tokenize("cat");
  const { text } = await freshAnswer(worker, CAPITAL.question, { tokenBias: [[wanted, 100]], maxTokens: 3 });
  assert.equal(text, (await worker.detokenize([wanted])).repeat(3));
});

test("ignoreEos: only maxTokens ends the answer", async (context) => {
  const worker = await readyWorker(context);
  const { stopReason, usage } = await freshAnswer(worker, CAPITAL.question, { ignoreEos: true, maxTokens: 60 });
  assert.equal(stopReason, "maxTokens");
  assert.equal(usage.completionTokens, 60);
});

test("repeatPenalty and dryRepeatPenalty change what repeats itself, false and 1 do not", async (context) => {
  const worker = await readyWorker(context);
  const count = async (options) => (await freshAnswer(worker, "Count to 30.", { maxTokens: 100, ...options })).text;
  const plain = await count({});
  assert.match(plain, /1.*2.*3/s);
  for (const options of [{ repeatPenalty: false }, { dryRepeatPenalty: false }, { repeatPenalty: { penalty: 1 } }]) {
    assert.equal(await count(options), plain);
  }
  assert.notEqual(await count({ repeatPenalty: { penalty: 2, lastTokens: 64 } }), plain);
  assert.notEqual(await count({ repeatPenalty: { penalty: 1, frequencyPenalty: 5 } }), plain);
  assert.notEqual(await count({ repeatPenalty: { penalty: 1, presencePenalty: 30 } }), plain);
});

const SAMPLERS = /** @type {Record<string, object>} */ ({
  topK: { topK: 3 },
  minP: { minP: 0.2 },
  typicalP: { typicalP: 0.5 },
  topNSigma: { topNSigma: 1 },
  xtc: { xtc: { probability: 1, threshold: 0.01 } },
  "mirostat 1": { mirostat: 1 },
  "mirostat 2": { mirostat: { version: 2, tau: 3, eta: 0.2 } },
  dryRepeatPenalty: {
    dryRepeatPenalty: { strength: 2, base: 2, allowedLength: 1, lastTokens: 100, sequenceBreakers: [] },
  },
});
for (const [name, options] of Object.entries(SAMPLERS)) {
  test(`${name}: the same seed draws the same answer, and it is another one than without`, async (context) => {
    const worker = await readyWorker(context);
    const draw = async (seed, more) => (await freshAnswer(worker, INVITATION, { ...WILD, ...more, seed })).text;
    assert.equal(await draw(7, options), await draw(7, options));
    const seeds = [1, 2, 3];
    const [withIt, without] = [
      await Promise.all(seeds.map((seed) => draw(seed, options))),
      await Promise.all(seeds.map((seed) => draw(seed, {}))),
    ];
    assert.notDeepEqual(withIt, without);
  });
}

test("null and undefined are options not given", async (context) => {
  const worker = await readyWorker(context);
  const names = Object.keys(require("../js/options").GENERATE_OPTIONS);
  for (const value of [null, undefined]) {
    const options = Object.fromEntries(names.map((name) => [name, value]));
    assert.equal((await freshAnswer(worker, CAPITAL.question, options)).text, CAPITAL.answer);
  }
});

/** @type {Record<string, any[]>} values that each option refuses */
const REFUSED = {
  typicalP: [-0.1, 1.1, "x", Number.NaN],
  topNSigma: ["x", Number.NaN, Number.POSITIVE_INFINITY],
  xtc: [true, 0.5, { probability: 0.5 }, { probability: 2, threshold: 0.1 }, { probability: 1, threshold: "x" }],
  repeatPenalty: [
    true,
    1.1,
    { penalty: 0 },
    { penalty: "x" },
    { lastTokens: -1 },
    { lastTokens: 1.5 },
    { penalizeNewLine: 1 },
  ],
  dryRepeatPenalty: [
    true,
    {},
    { strength: 0 },
    { strength: 1, base: 0.5 },
    { strength: 1, allowedLength: -1 },
    { strength: 1, lastTokens: 1.5 },
    { strength: 1, sequenceBreakers: "x" },
    { strength: 1, sequenceBreakers: [5] },
  ],
  mirostat: [true, 3, "2", { version: 3 }, { tau: 0 }, { eta: -1 }],
  tokenBias: [5, "x", [5], [[5]], [[5, "always"]], [[1.5, 1]], [[-1, 1]], [[5, true]], { x: 1 }, { 5: "always" }],
  trimWhitespaceSuffix: ["yes", 1],
  responsePrefix: [5, ["x"]],
  ignoreEos: ["yes", 0],
  reasoning: ["no", 0],
  budgets: [5, { thoughtTokens: -1 }, { thoughtTokens: 1.5 }, { thoughtTokens: "x" }],
  chatTemplateKwargs: [5, "x", ["x"], { x: () => {} }, { x: 5n }],
  logprobs: [-1, 21, 1.5, "x"],
  grammar: [5, {}],
  jsonSchema: [5, "{", [], { x: () => {} }],
  contextOverflow: ["shift", 5],
  evaluationPriority: [0, 6, 1.5, "x"],
  speculative: [true, "draft", "", 1],
  stopOnAbortSignal: ["yes", 1],
  stopSequences: [5, [5], [["a", "b"]], [[]]],
  onToken: ["log"],
  onReasoningChunk: [5],
  onResponseChunk: [{}],
  onFunctionCallParamsChunk: [true],
};
for (const [option, values] of Object.entries(REFUSED)) {
  test(`${option}: bad values are refused by name, and nothing is said`, async (context) => {
    const worker = await readyWorker(context);
    for (const value of values) {
      await assert.rejects(worker.generate("x", { [option]: value }), (error) => {
        assert.equal(error.code, "INVALID_OPTION", error.message);
        assert.match(error.message, RegExp(`^option \`${option}.*, expected `, "s"));
        assert.match(error.stack, /options\.test\.js/);
        return true;
      });
    }
    assert.deepEqual(await worker.session.history(), []);
  });
}

test("a grammar and a schema are not for one answer", async (context) => {
  const worker = await readyWorker(context);
  const both = { grammar: 'root ::= "a"', jsonSchema: { type: "object" } };
  await assert.rejects(worker.generate("x", both), {
    code: "INVALID_OPTION",
    message: /only one of `grammar` and `jsonSchema`/,
  });
});
