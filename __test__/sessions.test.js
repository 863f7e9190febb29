/**
 * Sessions: conversations of their own over one context, what they begin with, what they tell, and how they end.
 *
 * Tools are in tools.test.js, what happens to a conversation that is too long in overflow.test.js.
 */

"use strict";

const assert = require("node:assert/strict");
const { LlamaWorker } = require("../js/index");
const { CAPITAL, STORY, loadedWorker, readyWorker, runFixture, test, untilInTime } = require("./support");

const ANA = [
  { role: "user", content: "My name is Ana." },
  { role: "assistant", content: "Nice to meet you, Ana!" },
];
const ASK_NAME = "What is my name?";
const ONE_WORD = "Answer in one word.";

test("sessions know nothing of each other, nor of the default one", async (context) => {
  const worker = await readyWorker(context);
  const [first, second] = await Promise.all([worker.createSession(), worker.createSession()]);
  await Promise.all([
    first.generate("My name is Ana."),
    second.generate("My name is Bob."),
    worker.generate("My name is Eva."),
  ]);
  const [ofFirst, ofSecond, ofDefault] = await Promise.all([
    first.generate(ASK_NAME),
    second.generate(ASK_NAME),
    worker.generate(ASK_NAME),
  ]);
  assert.match(ofFirst.text, /Ana/);
  assert.match(ofSecond.text, /Bob/);
  assert.match(ofDefault.text, /Eva/);
});

test("more sessions than the context keeps in memory remember all the same", async (context) => {
  const worker = await loadedWorker(context);
  assert.equal((await worker.createContext({ threads: 1, sequences: 2 })).sequences, 2);
  const names = ["Ana", "Bob", "Eva", "Tom", "Leo"];
  const sessions = await Promise.all(names.map(() => worker.createSession()));
  await Promise.all(sessions.map((session, index) => session.generate(`My name is ${names[index]}.`)));
  const answers = await Promise.all(sessions.map((session) => session.generate(ASK_NAME)));
  for (const [index, { text }] of answers.entries()) assert.match(text, RegExp(names[index]));
});

test("a session that has lost its place to another comes back without evaluation", async (context) => {
  const worker = await loadedWorker(context);
  for (const sessionCacheBytes of [64 * 1024 * 1024, 0]) {
    const created = await worker.createContext({ threads: 1, sequences: 1, sessionCacheBytes });
    assert.equal(created.sessionCacheBytes, sessionCacheBytes);
    const [one, two] = await Promise.all([worker.createSession({ systemPrompt: ONE_WORD }), worker.createSession()]);
    const { usage: before } = await one.generate(STORY, { maxTokens: 100 });
    await two.generate(STORY);
    const { usage } = await one.generate(ASK_NAME);
    const isBack = usage.cachedTokens >= before.promptTokens + before.completionTokens - 10;
    assert.equal(isBack, sessionCacheBytes > 0, JSON.stringify({ before, usage }));
  }
});

test("sessions that ask at the same time evaluate their system prompt once", async (context) => {
  const worker = await readyWorker(context);
  const systemPrompt = "You are a helpful assistant. ".repeat(20);
  const alone = await worker.generate(CAPITAL.question, { systemPrompt, maxTokens: 1 });
  await worker.createContext({ threads: 1, sessionCacheBytes: 0 });
  const sessions = await Promise.all([1, 2, 3, 4].map(() => worker.createSession({ systemPrompt })));
  const answers = await Promise.all(sessions.map((session) => session.generate(CAPITAL.question)));
  for (const { text } of answers) assert.equal(text, answers[0].text);
  const evaluated = answers.map(({ usage }) => usage.promptTokens - usage.cachedTokens);
  const total = evaluated.reduce((sum, tokens) => sum + tokens);
  assert.ok(total < alone.usage.promptTokens * 2, `${evaluated} tokens of ${alone.usage.promptTokens} each`);
});

test("by default states of sessions get a modest share of the machine's memory", async (context) => {
  const worker = await loadedWorker(context);
  for (const sessionCacheBytes of [undefined, null, "auto"]) {
    const created = await worker.createContext({ sessionCacheBytes: /** @type {any} */ (sessionCacheBytes) });
    assert.ok(
      created.sessionCacheBytes > 0 && created.sessionCacheBytes <= 512 * 1024 * 1024,
      `${created.sessionCacheBytes}`,
    );
  }
});

test("worker.session is the default session", async (context) => {
  const worker = await readyWorker(context);
  assert.equal(worker.session, worker.session);
  await worker.generate("My name is Ana.");
  assert.match((await worker.session.generate(ASK_NAME)).text, /Ana/);
  assert.equal((await worker.session.history()).length, 4);
});

test("a generation of a session streams and iterates as one of the worker", async (context) => {
  const worker = await readyWorker(context);
  const session = await worker.createSession();
  const chunks = [];
  const looped = [];
  const generation = session.generate(CAPITAL.question, { maxTokens: 50 }, (chunk) => chunks.push(chunk));
  for await (const chunk of generation) looped.push(chunk);
  assert.equal(looped.join(""), CAPITAL.answer);
  assert.deepEqual(chunks, looped);
  assert.equal((await generation).stopReason, "eogToken");
});

test("a session begins with its system prompt and its history", async (context) => {
  const worker = await readyWorker(context);
  const told = await worker.createSession({ systemPrompt: ONE_WORD });
  assert.match((await told.generate(CAPITAL.question)).text, /^Paris\.?$/);
  const session = await worker.createSession({ systemPrompt: ONE_WORD, history: ANA });
  assert.deepEqual(await session.history(), [{ role: "system", content: ONE_WORD }, ...ANA]);
  assert.match((await session.generate(ASK_NAME)).text, /Ana/);
  const own = [{ role: "system", content: "Be brief." }, ...ANA];
  const withOwn = await worker.createSession({ systemPrompt: ONE_WORD, history: own });
  assert.deepEqual(await withOwn.history(), own);
});

test("the system prompt of the first generation is part of the conversation, a later one is not", async (context) => {
  const worker = await readyWorker(context);
  const session = await worker.createSession();
  await session.generate(CAPITAL.question, { systemPrompt: ONE_WORD });
  await session.generate(CAPITAL.question, { systemPrompt: "Answer in French." });
  const systems = (await session.history()).filter(({ role }) => role === "system");
  assert.deepEqual(systems, [{ role: "system", content: ONE_WORD }]);
});

/** Every form of a message, and the one that comes out. */
const FORMS = /** @type {[string, any[], any[]][]} */ ([
  ["developer", [{ role: "developer", content: "x" }], [{ role: "system", content: "x" }]],
  [
    "text parts",
    [{ role: "user", content: ["a", "b"].map((text) => ({ type: "text", text })) }],
    [{ role: "user", content: "a\nb" }],
  ],
  [
    "thoughts",
    [{ role: "assistant", content: "x", reasoning_content: "y" }],
    [{ role: "assistant", content: "x", reasoning: "y" }],
  ],
  [
    "calls and results in OpenAI's form",
    [
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "1", type: "function", function: { name: "look", arguments: '{"a":1}' } }],
      },
      { role: "tool", tool_call_id: "1", content: "found" },
    ],
    [
      { role: "assistant", content: "", toolCalls: [{ id: "1", name: "look", arguments: { a: 1 } }] },
      { role: "tool", content: "found", toolCallId: "1" },
    ],
  ],
  [
    "calls with arguments as text",
    [{ role: "assistant", toolCalls: [{ id: "1", name: "look", arguments: '{"a":1}' }] }],
    [{ role: "assistant", content: "", toolCalls: [{ id: "1", name: "look", arguments: { a: 1 } }] }],
  ],
  [
    "node-llama-cpp's items",
    [
      { type: "system", text: "a" },
      { type: "user", text: "b" },
      { type: "model", response: ["c", { type: "segment", segmentType: "comment", text: "x" }, "d"] },
    ],
    [
      { role: "system", content: "a" },
      { role: "user", content: "b" },
      { role: "assistant", content: "cd" },
    ],
  ],
]);
for (const [name, given, expected] of FORMS) {
  test(`history in: ${name}; out: by role`, async (context) => {
    const worker = await readyWorker(context);
    const session = await worker.createSession({ history: given });
    assert.deepEqual(await session.history(), expected);
    await session.setHistory(given);
    assert.deepEqual(await session.history(), expected);
    await session.setHistory(await session.history());
    assert.deepEqual(await session.history(), expected);
  });
}

test("a response of node-llama-cpp with a function call becomes a call, its result and an answer", async (context) => {
  const worker = await readyWorker(context);
  const call = { type: "functionCall", name: "look", params: { a: 1 }, result: { found: true } };
  const thought = { type: "segment", segmentType: "thought", text: "Hm." };
  const history = [{ type: "model", response: [thought, "I look.", call, "There it is."] }];
  const session = await worker.createSession({ history });
  const [calling, result, answer, ...more] = /** @type {any[]} */ (await session.history());
  const [{ id, ...made }] = calling.toolCalls;
  assert.deepEqual(made, { name: "look", arguments: { a: 1 } });
  assert.deepEqual([calling.content, calling.reasoning], ["I look.", "Hm."]);
  assert.deepEqual(result, { role: "tool", content: '{"found":true}', toolCallId: id, name: "look" });
  assert.deepEqual(answer, { role: "assistant", content: "There it is." });
  assert.deepEqual(more, []);
});

test("setHistory takes the place of what was said, reset goes back to the beginning", async (context) => {
  const worker = await readyWorker(context);
  const session = await worker.createSession({ systemPrompt: "Be brief." });
  await session.generate("My name is Bob.");
  await session.setHistory(ANA);
  assert.match((await session.generate(ASK_NAME)).text, /Ana/);
  await session.setHistory([]);
  assert.deepEqual(await session.history(), []);
  await session.reset();
  assert.deepEqual(await session.history(), [{ role: "system", content: "Be brief." }]);
});

test("what is asked of a session takes effect in that order", async (context) => {
  const worker = await readyWorker(context);
  const session = await worker.createSession();
  const [, history, , answer, , empty] = await Promise.all([
    session.generate("My name is Bob."),
    session.history(),
    session.setHistory(ANA),
    session.generate(ASK_NAME),
    session.reset(),
    session.history(),
  ]);
  assert.equal(history.length, 2);
  assert.match(answer.text, /Ana/);
  assert.deepEqual(empty, []);
});

test("countTokens is what a generation will be given", async (context) => {
  const worker = await readyWorker(context);
  const session = await worker.createSession({ history: ANA });
  const before = await session.countTokens();
  const count = await session.countTokens(ASK_NAME);
  assert.ok(before > 0 && count > before);
  assert.equal((await session.generate(ASK_NAME)).usage.promptTokens, count);
  assert.equal(await (await worker.createSession()).countTokens(), 0);
});

test("preload evaluates the prompt and says nothing", async (context) => {
  const worker = await readyWorker(context);
  const session = await worker.createSession({ history: ANA });
  assert.equal(await session.preload(ASK_NAME), undefined);
  assert.deepEqual(await session.history(), ANA);
  const { text, usage } = await session.generate(ASK_NAME);
  assert.match(text, /Ana/);
  assert.ok(usage.cachedTokens >= usage.promptTokens - 2, `${usage.cachedTokens} of ${usage.promptTokens}`);
});

test("a signal ends a preload", async (context) => {
  const worker = await readyWorker(context);
  const reason = new Error("no longer");
  await assert.rejects(worker.session.preload("x", { signal: AbortSignal.abort(reason) }), (error) => error === reason);
  const controller = new AbortController();
  const preload = worker.session.preload("The quick brown fox. ".repeat(150), { signal: controller.signal });
  controller.abort(reason);
  await preload.catch((error) => assert.equal(error, reason));
  assert.match((await worker.generate(CAPITAL.question)).text, /Paris/);
});

test("a disposed session refuses everything, at the place of the call", async (context) => {
  const worker = await readyWorker(context);
  const session = await worker.createSession();
  const last = session.generate(CAPITAL.question);
  const disposal = session.dispose();
  assert.equal((await last).text, CAPITAL.answer);
  assert.equal(await disposal, undefined);
  const calls = [
    () => session.generate("x"),
    () => session.history(),
    () => session.setHistory([]),
    () => session.reset(),
    () => session.preload("x"),
    () => session.countTokens(),
  ];
  for (const call of calls) {
    await assert.rejects(call(), (error) => {
      assert.equal(error.code, "SESSION_DISPOSED");
      assert.match(error.stack, /sessions\.test\.js/);
      return true;
    });
  }
  assert.equal(await session.dispose(), undefined);
  assert.match((await worker.generate(CAPITAL.question)).text, /Paris/);
});

test("Symbol.asyncDispose disposes; the default session and those of a stopped worker have nothing to dispose of", async (context) => {
  const worker = await readyWorker(context);
  const session = await worker.createSession();
  await session[Symbol.asyncDispose]();
  await assert.rejects(session.history(), { code: "SESSION_DISPOSED" });
  await worker.session.dispose();
  assert.deepEqual(await worker.session.history(), []);
  const late = await worker.createSession();
  await worker.cleanup();
  await late.dispose();
  await assert.rejects(worker.session.history(), { code: "WORKER_STOPPED" });
});

test("a new context ends all sessions but the default one, which starts over", async (context) => {
  const worker = await readyWorker(context);
  const session = await worker.createSession();
  await session.generate("My name is Ana.");
  await worker.generate("My name is Ana.");
  await worker.createContext({ threads: 1 });
  for (const call of [() => session.generate("x"), () => session.history(), () => session.countTokens()]) {
    await assert.rejects(call(), (error) => {
      assert.equal(error.code, "SESSION_DISPOSED");
      assert.match(error.stack, /sessions\.test\.js/);
      return true;
    });
  }
  await session.dispose();
  assert.deepEqual(await worker.session.history(), []);
  const next = await worker.createSession();
  assert.doesNotMatch((await next.generate(ASK_NAME)).text, /Ana/);
});

test("sessions come after the context", async (context) => {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  await assert.rejects(worker.createSession(), { code: "NOT_INITIALIZED" });
  const loaded = await loadedWorker(context);
  await assert.rejects(loaded.createSession(), { code: "CONTEXT_NOT_CREATED" });
  await assert.rejects(loaded.session.history(), { code: "CONTEXT_NOT_CREATED" });
  await loaded.createContext({ threads: 1 });
  assert.deepEqual(await loaded.session.history(), []);
});

for (const [name, code, message, call] of /** @type {[string, string, RegExp, (worker: any) => unknown][]} */ ([
  ["options are a text", "INVALID_OPTION", /createSession.*`"x"`/, (worker) => worker.createSession("x")],
  ["systemPrompt is 5", "INVALID_OPTION", /systemPrompt.*5/, (worker) => worker.createSession({ systemPrompt: 5 })],
  ["history is a text", "INVALID_MESSAGES", /history.*"x"/, (worker) => worker.createSession({ history: "x" })],
  [
    "history has a robot",
    "INVALID_MESSAGES",
    /robot/,
    (worker) => worker.createSession({ history: [{ role: "robot", content: "x" }] }),
  ],
  ["setHistory of nothing", "INVALID_MESSAGES", /undefined/, (worker) => worker.session.setHistory()],
  [
    "setHistory of a picture",
    "INVALID_MESSAGES",
    /image_url/,
    (worker) => worker.session.setHistory([{ role: "user", content: [{ type: "image_url" }] }]),
  ],
  [
    "a tool's result as the AI SDK writes it",
    "INVALID_MESSAGES",
    /tool-result/,
    (worker) => worker.session.setHistory([{ role: "tool", content: [{ type: "tool-result", output: "x" }] }]),
  ],
  [
    "a tool's result that is no text",
    "INVALID_MESSAGES",
    /content/,
    (worker) => worker.session.setHistory([{ role: "tool", content: { found: true } }]),
  ],
  [
    "an assistant that says and calls nothing",
    "INVALID_MESSAGES",
    /content/,
    (worker) => worker.session.setHistory([{ role: "assistant", content: null }]),
  ],
  [
    "arguments that are no JSON",
    "INVALID_MESSAGES",
    /arguments/,
    (worker) => worker.session.setHistory([{ role: "assistant", toolCalls: [{ name: "x", arguments: "{" }] }]),
  ],
  [
    "a call without a name",
    "INVALID_MESSAGES",
    /name/,
    (worker) => worker.session.setHistory([{ role: "assistant", toolCalls: [{ arguments: {} }] }]),
  ],
  ["preload of nothing", "INVALID_MESSAGES", /undefined/, (worker) => worker.session.preload()],
  ["countTokens of a number", "INVALID_OPTION", /prompt.*5/, (worker) => worker.session.countTokens(5)],
  ["preload options are a text", "INVALID_OPTION", /preload.*`"x"`/, (worker) => worker.session.preload("x", "x")],
  ["sequences are 0", "INVALID_OPTION", /sequences.*0/, (worker) => worker.createContext({ sequences: 0 })],
  ...[-1, 1.5, "much", 2 ** 53, Number.NaN].map((sessionCacheBytes) => [
    `sessionCacheBytes are ${sessionCacheBytes}`,
    "INVALID_OPTION",
    /sessionCacheBytes/,
    (worker) => worker.createContext({ sessionCacheBytes }),
  ]),
  [
    "sessionCacheBytes are more than any machine has",
    "INSUFFICIENT_MEMORY",
    /the context needs/,
    (worker) => worker.createContext({ sessionCacheBytes: 2 ** 50 }),
  ],
  ["sequences are 257", "INVALID_OPTION", /sequences.*257/, (worker) => worker.createContext({ sequences: 257 })],
])) {
  test(`${name}: ${code}`, async (context) => {
    const worker = await readyWorker(context);
    await worker.session.setHistory(ANA);
    let promise;
    assert.doesNotThrow(() => {
      promise = call(worker);
    });
    await assert.rejects(/** @type {any} */ (promise), (error) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      assert.match(error.stack, /sessions\.test\.js/);
      return true;
    });
    assert.deepEqual(await worker.session.history(), ANA);
  });
}

test("a turn that fails or is aborted leaves the history as it was", async (context) => {
  const worker = await readyWorker(context);
  const session = await worker.createSession({ history: ANA });
  await assert.rejects(session.generate("hello ".repeat(4000)), { code: "PROMPT_TOO_LONG" });
  const generation = session.generate(STORY);
  assert.equal(worker.abort(), true);
  assert.equal((await generation).stopReason, "abort");
  assert.deepEqual(await session.history(), ANA);
});

test("with stopOnAbortSignal the partial answer stays in the conversation", async (context) => {
  const worker = await readyWorker(context);
  const attempt = async () => {
    const session = await worker.createSession();
    const controller = new AbortController();
    const options = { signal: controller.signal, stopOnAbortSignal: true };
    const chunks = [];
    const result = await session.generate(STORY, options, (chunk) => {
      chunks.push(chunk);
      controller.abort();
    });
    return { ...result, chunks, history: await session.history() };
  };
  const { text, stopReason, chunks, history } = await untilInTime(attempt, (outcome) => outcome.stopReason === "abort");
  assert.equal(stopReason, "abort");
  assert.notEqual(text, "");
  assert.equal(chunks.join(""), text);
  assert.deepEqual(history, [
    { role: "user", content: STORY },
    { role: "assistant", content: text },
  ]);
});

test("with stopOnAbortSignal a signal that comes before any text resolves as well, and leaves no trace", async (context) => {
  const worker = await readyWorker(context);
  const before = await worker.generate(STORY, { signal: AbortSignal.abort(), stopOnAbortSignal: true });
  assert.deepEqual([before.text, before.stopReason, before.toolCalls], ["", "abort", []]);
  const controller = new AbortController();
  const generation = worker.generate(STORY, { signal: controller.signal, stopOnAbortSignal: true });
  controller.abort();
  const { text, stopReason, usage } = await generation;
  assert.deepEqual([text, stopReason, usage.completionTokens], ["", "abort", 0]);
  assert.deepEqual(await worker.session.history(), []);
});

test("abort ends the generations of all sessions", async (context) => {
  const worker = await readyWorker(context);
  const sessions = await Promise.all([worker.createSession(), worker.createSession()]);
  const generations = sessions.map((session) => session.generate(STORY));
  assert.equal(worker.abort(), true);
  for (const { stopReason } of await Promise.all(generations)) assert.equal(stopReason, "abort");
  assert.equal(worker.abort(), false);
});

test("sessions that nobody keeps are disposed of; a kept one keeps its worker", async () => {
  const { code, stdout, stderr } = await runFixture("garbage-sessions.js", { nodeOptions: ["--expose-gc"] });
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const { disposed, ...told } = JSON.parse(stdout);
  assert.deepEqual(told, { text: CAPITAL.answer, answers: [CAPITAL.answer, CAPITAL.answer] });
  assert.deepEqual(disposed, [2, 3]);
});
