/**
 * Tools: what the model calls, who runs it, and how the conversation goes on; ends of every kind while tools run.
 *
 * The first half asks the built-in model. The second plays a script in its place, for what it cannot be talked into.
 */

"use strict";

const assert = require("node:assert/strict");
const { getEventListeners } = require("node:events");
const { ScriptedSeat } = require("./fixtures/scripted-seat");
const { ASK_TWO, ASK_WEATHER, TIME, WEATHER } = require("./fixtures/tools");
const { CAPITAL, loadedWorker, readyWorker, runFixture, test } = require("./support");

const SUNNY = { temperature: 20, condition: "sunny" };
const SUNNY_ANSWER = /sunny.*20.*Lisbon/;

/** @param {(args: any, context: any) => unknown} handler */
const weather = (handler) => ({ get_weather: { ...WEATHER, handler } });

/** A handler that answers when it is told to. */
function heldHandler() {
  let answer = (/** @type {unknown} */ _result) => {};
  let note = (/** @type {any} */ _call) => {};
  const result = new Promise((resolve) => {
    answer = resolve;
  });
  const called = new Promise((resolve) => {
    note = resolve;
  });
  const handler = (args, { signal }) => {
    note({ args, signal });
    return result;
  };
  return { handler, called, answer };
}

test("a handler is run and the model answers from its result, in one turn of the conversation", async (context) => {
  const worker = await readyWorker(context);
  const calls = [];
  const tools = weather((args, { toolCallId, signal }) => {
    calls.push({ args, toolCallId, isAborted: signal.aborted });
    return SUNNY;
  });
  const { text, stopReason, toolCalls, usage } = await worker.generate(ASK_WEATHER, { tools });
  assert.match(text, SUNNY_ANSWER);
  assert.equal(stopReason, "eogToken");
  const [{ id, ...call }] = toolCalls;
  assert.deepEqual(call, { name: "get_weather", arguments: { city: "Lisbon" }, result: JSON.stringify(SUNNY) });
  assert.deepEqual(calls, [{ args: { city: "Lisbon" }, toolCallId: id, isAborted: false }]);
  assert.equal(usage.totalTokens, usage.promptTokens + usage.completionTokens);
  const history = await worker.session.history();
  assert.deepEqual(
    history.map(({ role }) => role),
    ["user", "assistant", "tool", "assistant"],
  );
  assert.deepEqual(history[2], { role: "tool", content: JSON.stringify(SUNNY), toolCallId: id, name: "get_weather" });
});

test("without a handler the calls are the caller's, and tool messages go on with them", async (context) => {
  const worker = await readyWorker(context);
  const tools = { get_weather: WEATHER };
  const { stopReason, toolCalls, text } = await worker.generate(ASK_WEATHER, { tools });
  assert.equal(stopReason, "toolCalls");
  assert.equal(text, "");
  const [{ id, name, ...call }] = toolCalls;
  assert.deepEqual(call, { arguments: { city: "Lisbon" } });
  const results = [{ role: "tool", toolCallId: id, name, content: JSON.stringify(SUNNY) }];
  const answer = await worker.generate(results, { tools });
  assert.match(answer.text, SUNNY_ANSWER);
  assert.equal((await worker.session.history()).length, 4);
});

test("OpenAI's forms of tools, calls and results", async (context) => {
  const worker = await readyWorker(context);
  const tools = [{ type: "function", function: { name: "get_weather", ...WEATHER } }];
  const { toolCalls } = await worker.generate(ASK_WEATHER, { tools });
  const [{ id, name, arguments: args }] = toolCalls;
  const { text } = await worker.generate(
    [
      { role: "user", content: ASK_WEATHER },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id, type: "function", function: { name, arguments: JSON.stringify(args) } }],
      },
      { role: "tool", tool_call_id: id, content: JSON.stringify(SUNNY) },
    ],
    { tools },
  );
  assert.match(text, SUNNY_ANSWER);
  const withHandler = [{ ...tools[0], handler: () => SUNNY }];
  assert.match(
    (await worker.generate([{ role: "user", content: ASK_WEATHER }], { tools: withHandler })).text,
    SUNNY_ANSWER,
  );
});

test("functions in node-llama-cpp's form get the parameters alone", async (context) => {
  const worker = await readyWorker(context);
  const received = [];
  const handler = (...args) => {
    received.push(args);
    return SUNNY;
  };
  const functions = { get_weather: { description: WEATHER.description, params: WEATHER.parameters, handler } };
  assert.match((await worker.generate(ASK_WEATHER, { functions })).text, SUNNY_ANSWER);
  assert.deepEqual(received, [[{ city: "Lisbon" }]]);
});

test("calls of one answer run together", async (context) => {
  const worker = await readyWorker(context);
  const cities = [];
  let release = () => {};
  const bothCalled = new Promise((resolve) => {
    release = () => resolve(undefined);
  });
  const tools = weather(async ({ city }) => {
    cities.push(city);
    if (cities.length === 2) release();
    await bothCalled;
    return { temperature: city === "Rome" ? 25 : 10, condition: "sunny" };
  });
  const { text, toolCalls } = await worker.generate(ASK_TWO, { tools });
  assert.deepEqual(cities, ["Paris", "Rome"]);
  assert.deepEqual(
    toolCalls.map(({ result }) => JSON.parse(result).temperature),
    [10, 25],
  );
  assert.match(text, /10.*Paris.*25.*Rome/s);
});

test("maxParallelFunctionCalls limits the calls of one answer", async (context) => {
  const worker = await readyWorker(context);
  const options = { tools: { get_weather: WEATHER }, maxParallelFunctionCalls: 1 };
  const { toolCalls } = await worker.generate(ASK_TWO, options);
  assert.deepEqual(
    toolCalls.map((call) => call.arguments),
    [{ city: "Paris" }],
  );
});

test("a call of a tool without a handler leaves all to the caller", async (context) => {
  const worker = await readyWorker(context);
  const tools = { get_weather: WEATHER, get_time: { ...TIME, handler: () => "12:00" } };
  const { stopReason, toolCalls } = await worker.generate(ASK_WEATHER, { tools });
  assert.equal(stopReason, "toolCalls");
  assert.equal(toolCalls[0].name, "get_weather");
  assert.equal("result" in toolCalls[0], false);
});

test("a question that needs no tool is answered in words", async (context) => {
  const worker = await readyWorker(context);
  const tools = weather(() => assert.fail("not asked for"));
  const { text, toolCalls } = await worker.generate(CAPITAL.question, { tools });
  assert.match(text, /Paris/);
  assert.deepEqual(toolCalls, []);
});

test("toolChoice none: the tool is not called", async (context) => {
  const worker = await readyWorker(context);
  const { stopReason, toolCalls } = await worker.generate(ASK_WEATHER, {
    tools: { get_weather: WEATHER },
    toolChoice: "none",
    maxTokens: 60,
  });
  assert.notEqual(stopReason, "toolCalls");
  assert.deepEqual(toolCalls, []);
});

for (const toolChoice of [
  "required",
  { name: "get_weather" },
  { type: "function", function: { name: "get_weather" } },
]) {
  test(`toolChoice ${JSON.stringify(toolChoice)} holds for the first round, and the turn ends`, async (context) => {
    const worker = await readyWorker(context);
    const { stopReason, toolCalls } = await worker.generate(ASK_WEATHER, {
      tools: weather(() => SUNNY),
      toolChoice,
    });
    assert.equal(stopReason, "eogToken");
    assert.equal(toolCalls[0].name, "get_weather");
  });
}

test("the arguments come in pieces", async (context) => {
  const worker = await readyWorker(context);
  const chunks = [];
  const { toolCalls } = await worker.generate(ASK_TWO, {
    tools: { get_weather: WEATHER },
    onFunctionCallParamsChunk: (chunk) => chunks.push(chunk),
  });
  for (const [callIndex, call] of toolCalls.entries()) {
    const ofCall = chunks.filter((chunk) => chunk.callIndex === callIndex);
    assert.ok(ofCall.every(({ functionName }) => functionName === "get_weather"));
    assert.deepEqual(JSON.parse(ofCall.map(({ paramsChunk }) => paramsChunk).join("")), call.arguments);
    assert.deepEqual(
      ofCall.map(({ done }) => done),
      ofCall.map((_, index) => index === ofCall.length - 1),
    );
  }
});

test("a generation waits for the tools of the one before it, and setHistory and reset do, too", async (context) => {
  const worker = await readyWorker(context);
  const { called, handler, answer } = heldHandler();
  const first = worker.generate(ASK_WEATHER, { tools: weather(handler) });
  await called;
  let isFirstOver = false;
  const messages = [{ role: "user", content: "My name is Ana." }];
  const later = [
    worker.generate("What is my name?"),
    worker.session.setHistory(messages),
    worker.generate("What is my name?"),
    worker.session.reset(),
  ].map((step) => Promise.resolve(step).then((result) => ({ result, isFirstOver })));
  messages.length = 0;
  await new Promise((resolve) => setTimeout(resolve, 20));
  answer(SUNNY);
  assert.match((await first.finally(() => (isFirstOver = true))).text, SUNNY_ANSWER);
  const [unknown, set, known, reset] = /** @type {any[]} */ (await Promise.all(later));
  assert.deepEqual(
    [unknown, set, known, reset].map((step) => step.isFirstOver),
    [true, true, true, true],
  );
  assert.doesNotMatch(unknown.result.text, /Ana/);
  assert.match(known.result.text, /Ana/);
  assert.deepEqual(await worker.session.history(), []);
});

test("a generation of another session does not wait for tools", async (context) => {
  const worker = await readyWorker(context);
  const { called, handler, answer } = heldHandler();
  const waiting = worker.generate(ASK_WEATHER, { tools: weather(handler) });
  await called;
  const session = await worker.createSession();
  assert.match((await session.generate(CAPITAL.question)).text, /Paris/);
  answer(SUNNY);
  assert.match((await waiting).text, SUNNY_ANSWER);
});

test("history tells what was said while tools run", async (context) => {
  const worker = await readyWorker(context);
  const roles = [];
  const handler = async () => {
    roles.push(...(await worker.session.history()).map(({ role }) => role));
    return SUNNY;
  };
  await worker.generate(ASK_WEATHER, { tools: weather(handler) });
  assert.deepEqual(roles, ["user", "assistant"]);
});

test("what only looks comes after what waits, and tells of it", async (context) => {
  const worker = await readyWorker(context);
  const { session } = worker;
  const { called, handler, answer } = heldHandler();
  const first = worker.generate(ASK_WEATHER, { tools: weather(handler) });
  await called;
  const atOnce = await session.history();
  assert.ok((await session.countTokens()) > 0);
  const before = worker.generate("My name is Ana.");
  const known = session.history();
  const preloaded = session.preload("What is my name?");
  const counts = [session.countTokens()];
  const reset = session.reset();
  const nothing = session.history();
  counts.push(session.countTokens());
  answer(SUNNY);
  await Promise.all([first, before, preloaded, reset]);
  assert.deepEqual([atOnce.length, (await known).length, await nothing], [2, 6, []]);
  const [more, fewer] = await Promise.all(counts);
  assert.ok(more > fewer, `${more} > ${fewer}`);
});

test("a signal and abort end a preload that waits", async (context) => {
  const worker = await readyWorker(context);
  const { called, handler } = heldHandler();
  const first = worker.generate(ASK_WEATHER, { tools: weather(handler) });
  await called;
  const controller = new AbortController();
  const preloaded = worker.session.preload("What is my name?", { signal: controller.signal });
  controller.abort(SUNNY);
  await assert.rejects(preloaded, (reason) => reason === SUNNY);
  const another = worker.session.preload("What is my name?");
  assert.equal(worker.abort(), true);
  await Promise.all([first, another]);
});

/** @returns {Promise<any>} what the worker says, as it comes, and a turn whose tool is running */
async function talkingWorker(context) {
  const worker = await readyWorker(context);
  const said = /** @type {any[]} */ ([]);
  worker.onMessage = (message) => said.push(message);
  const { called, handler, answer } = heldHandler();
  const first = worker.generate(ASK_WEATHER, { tools: weather(handler) });
  await called;
  const saidLast = async (/** @type {RegExp} */ text) => {
    while (!text.test(said.at(-1)?.message)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return { worker, said, first, answer, saidLast };
}

const ask = (/** @type {string} */ prompt) => /** @type {const} */ ({ type: "generate_completion", prompt });

test("messages of the contract come after a turn whose tools run, in order", async (context) => {
  const { worker, said, first, answer, saidLast } = await talkingWorker(context);
  const message = { ...ask("My name is Ana.") };
  worker.handleMessage(message);
  message.prompt = "My name is Bob.";
  worker.handleMessage(ask("What is my name?"));
  const later = worker.generate("What is my name?");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(said, []);
  answer(SUNNY);
  assert.match((await first).text, SUNNY_ANSWER);
  assert.match((await later).text, /Ana/);
  await saidLast(/conclu/);
  const texts = said.filter(({ type }) => type === "completion_done").map(({ fullText }) => fullText);
  assert.equal(texts.length, 2);
  assert.match(texts[1], /Ana/);
  assert.equal((await worker.session.history()).length, 10);
});

for (const [name, end] of /** @type {[string, (worker: any) => unknown][]} */ ([
  ["abort()", (worker) => assert.equal(worker.abort(), true)],
  ["an abort message", (worker) => worker.handleMessage({ type: "abort" })],
])) {
  test(`${name} ends a turn whose tools run, and the message that waits behind it`, async (context) => {
    const { worker, said, first, saidLast } = await talkingWorker(context);
    worker.handleMessage(ask(CAPITAL.question));
    end(worker);
    assert.equal((await first).stopReason, "abort");
    await saidLast(/abortada pelo usuário/);
    assert.ok(!said.some(({ type }) => type === "completion_done"));
    assert.deepEqual(await worker.session.history(), []);
    assert.match((await worker.generate(CAPITAL.question)).text, /Paris/);
  });
}

test("create_context by message waits for a turn of the default session, and ends one of another", async (context) => {
  const { worker, first, answer, saidLast } = await talkingWorker(context);
  const session = await worker.createSession();
  const other = heldHandler();
  const second = session.generate(ASK_WEATHER, { tools: weather(other.handler) });
  await other.called;
  worker.handleMessage({ type: "create_context" });
  answer(SUNNY);
  assert.match((await first).text, SUNNY_ANSWER);
  await saidLast(/Contexto criado com sucesso/);
  other.answer(SUNNY);
  await assert.rejects(second, { code: "SESSION_DISPOSED" });
  assert.deepEqual(await worker.session.history(), []);
});

test("cleanup ends messages that wait behind a turn", async (context) => {
  const { worker, said, first } = await talkingWorker(context);
  worker.handleMessage(ask(CAPITAL.question));
  await worker.cleanup();
  assert.equal((await first).stopReason, "abort");
  assert.equal(said.at(-1).message, "Recursos liberados");
  assert.ok(!said.some(({ type }) => type === "completion_done"));
});

test("what is nested too deep is refused in its turn, by name", async (context) => {
  const worker = await readyWorker(context);
  const { called, handler, answer } = heldHandler();
  const first = worker.generate(ASK_WEATHER, { tools: weather(handler) });
  await called;
  const deep = /** @type {any} */ ({});
  for (let level = 0, inner = deep; level < 100_000; level += 1, inner = inner.x) inner.x = {};
  const refused = assert.rejects(worker.generate("x", { jsonSchema: deep }), {
    code: "INVALID_OPTION",
    message: /jsonSchema/,
  });
  answer(SUNNY);
  await Promise.all([first, refused]);
});

/**
 * A conversation, a turn whose tool is running, and how that turn ended; afterwards the conversation must be as before.
 *
 * @param {import("node:test").TestContext} context
 * @param {(worker: any, parts: { controller: AbortController }) => unknown} end
 * @param {object} [options]
 */
async function endWhileToolsRun(context, end, options) {
  const worker = await readyWorker(context);
  await worker.generate("My name is Ana.");
  const before = await worker.session.history();
  const controller = new AbortController();
  const { called, handler, answer } = heldHandler();
  const { signal } = controller;
  const generation = worker.generate(ASK_WEATHER, { tools: weather(handler), signal, ...options });
  const outcome = generation.then(
    (result) => ({ result }),
    (error) => ({ error }),
  );
  const { signal: toolSignal } = await called;
  assert.equal(toolSignal.aborted, false);
  await end(worker, { controller });
  const settled = /** @type {any} */ (await outcome);
  answer(SUNNY);
  assert.equal(toolSignal.aborted, true);
  assert.equal(getEventListeners(signal, "abort").length, 0);
  return { worker, before, generation, ...settled };
}

test("abort while tools run resolves with what there is, and the conversation is as it was", async (context) => {
  const { worker, before, result } = await endWhileToolsRun(context, (running) => assert.equal(running.abort(), true));
  assert.equal(result.stopReason, "abort");
  assert.equal(result.toolCalls[0].name, "get_weather");
  assert.equal(worker.abort(), false);
  assert.deepEqual(await worker.session.history(), before);
  assert.match((await worker.generate("What is my name?")).text, /Ana/);
});

test("leaving the loop over the text while tools run ends the generation", async (context) => {
  const worker = await readyWorker(context);
  const { called, handler } = heldHandler();
  const generation = worker.generate(ASK_WEATHER, { tools: weather(handler) });
  const iterator = generation[Symbol.asyncIterator]();
  await called;
  await iterator.return?.();
  assert.equal((await generation).stopReason, "abort");
});

test("a signal while tools run rejects with its reason, and the conversation is as it was", async (context) => {
  const reason = new Error("changed my mind");
  const end = (_worker, { controller }) => controller.abort(reason);
  const { worker, before, error } = await endWhileToolsRun(context, end);
  assert.equal(error, reason);
  assert.deepEqual(await worker.session.history(), before);
});

test("with stopOnAbortSignal a signal while tools run resolves", async (context) => {
  const end = (_worker, { controller }) => controller.abort();
  const { worker, before, result } = await endWhileToolsRun(context, end, { stopOnAbortSignal: true });
  assert.equal(result.stopReason, "abort");
  assert.deepEqual(await worker.session.history(), before);
});

test("cleanup while tools run resolves with what there is, as for any generation", async (context) => {
  const { result } = await endWhileToolsRun(context, (worker) => worker.cleanup());
  assert.equal(result.stopReason, "abort");
  assert.equal(result.toolCalls[0].name, "get_weather");
});

test("a new context while tools run rejects, and is left alone", async (context) => {
  const worker = await readyWorker(context);
  const { called, handler, answer } = heldHandler();
  const generation = worker.generate(ASK_WEATHER, { tools: weather(handler) });
  await called;
  const created = worker.createContext({ threads: 1 });
  answer(SUNNY);
  await assert.rejects(generation, { code: "SESSION_DISPOSED" });
  await created;
  assert.deepEqual(await worker.session.history(), []);
  assert.match((await worker.generate(CAPITAL.question)).text, /Paris/);
});

test("a context that is refused while tools run changes nothing", async (context) => {
  const worker = await readyWorker(context);
  const { called, handler, answer } = heldHandler();
  const generation = worker.generate(ASK_WEATHER, { tools: weather(handler) });
  await called;
  const refused = worker.createContext({ contextSize: 500_000_000 });
  answer(SUNNY);
  await assert.rejects(refused, { code: "INSUFFICIENT_MEMORY" });
  assert.match((await generation).text, SUNNY_ANSWER);
});

test("waiting generations end with abort, signals and cleanup, too", async (context) => {
  const worker = await readyWorker(context);
  const controller = new AbortController();
  const { signal } = controller;
  const { called, handler } = heldHandler();
  const first = worker.generate(ASK_WEATHER, { tools: weather(handler) });
  await called;
  const reason = new Error("too late");
  const signalled = worker.generate(CAPITAL.question, { signal });
  const kept = worker.generate(CAPITAL.question, { signal, stopOnAbortSignal: true });
  const aborted = worker.generate(CAPITAL.question);
  controller.abort(reason);
  await assert.rejects(signalled, (error) => error === reason);
  assert.equal((await kept).stopReason, "abort");
  assert.equal(worker.abort(), true);
  assert.equal((await aborted).stopReason, "abort");
  assert.equal((await aborted).usage.totalTokens, 0);
  assert.equal((await first).stopReason, "abort");
  const again = heldHandler();
  const running = worker.generate(ASK_WEATHER, { tools: weather(again.handler) });
  await again.called;
  const waiting = worker.generate(CAPITAL.question);
  const resetting = assert.rejects(worker.session.reset(), { code: "WORKER_STOPPED" });
  await worker.cleanup();
  assert.deepEqual([(await running).stopReason, (await waiting).stopReason], ["abort", "abort"]);
  await resetting;
});

test("a generation whose tool waits keeps the process", async () => {
  const { code, stdout, stderr } = await runFixture("tool-waits.js");
  assert.match(stdout, SUNNY_ANSWER);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
});

test("with a template that knows no tools they are described in the system message", async (context) => {
  const worker = await loadedWorker(context);
  const chatTemplate = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant:";
  await worker.loadModel({ modelPath: require("../js/index").builtInModelPath, chatTemplate });
  await worker.createContext({ threads: 1 });
  const tools = { get_weather: WEATHER };
  const { prompt } = await worker.applyChatTemplate([{ role: "user", content: ASK_WEATHER }], { tools });
  assert.match(prompt, /^system: [\s\S]*get_weather[\s\S]*user: /);
  assert.ok(prompt.includes(WEATHER.description), prompt);
  const { usage } = await worker.generate(ASK_WEATHER, { tools, maxTokens: 8 });
  assert.ok(usage.completionTokens > 0);
});

const cyclic = /** @type {any} */ ({ type: "object" });
cyclic.properties = { itself: cyclic };

for (const [name, message, options] of /** @type {[string, RegExp, any][]} */ ([
  ["tools are a text", /tools.*`"x"`/, { tools: "x" }],
  ["functions are a text", /functions.*`"x"`/, { functions: "x" }],
  ["a tool is a text", /tools\.x.*`"y"`/, { tools: { x: "y" } }],
  ["a name with a space", /tools.*a b/, { tools: { "a b": {} } }],
  ["a name twice", /tools.*once/, { tools: [1, 2].map(() => ({ type: "function", function: { name: "x" } })) }],
  ["a listed tool of no type", /tools\[0\]\.type/, { tools: [{ function: { name: "x" } }] }],
  ["a description is a number", /tools\.x\.description.*5/, { tools: { x: { description: 5 } } }],
  ["parameters are a list", /tools\.x\.parameters/, { tools: { x: { parameters: [] } } }],
  ["parameters are of another type", /tools\.x\.parameters/, { tools: { x: { parameters: { type: "string" } } } }],
  ["parameters contain themselves", /tools\.x\.parameters/, { tools: { x: { parameters: cyclic } } }],
  ["a handler is a text", /tools\.x\.handler.*`"y"`/, { tools: { x: { handler: "y" } } }],
  ["a function's handler is a text", /functions\.x\.handler/, { functions: { x: { handler: "y" } } }],
  ["tools are a list with a hole", /tools\[0\]/, { tools: new Array(1) }],
  ["tools are a Map", /tools.*Map/, { tools: new Map([["x", {}]]) }],
  ["functions are a list", /functions.*an object/, { functions: [] }],
  ["functions are a Map", /functions.*Map/, { functions: new Map() }],
  ["tools and functions", /only one of `tools` and `functions`/, { tools: { x: {} }, functions: { y: {} } }],
  ["tools and a grammar", /only one of `tools` and `grammar`/, { tools: { x: {} }, grammar: 'root ::= "a"' }],
  ["functions and a schema", /only one of `functions` and `jsonSchema`/, { functions: { x: {} }, jsonSchema: {} }],
  ["an unknown choice", /toolChoice.*maybe/, { tools: { x: {} }, toolChoice: "maybe" }],
  ["a choice that is not there", /toolChoice.*y/, { tools: { x: {} }, toolChoice: { name: "y" } }],
  ["a choice of nothing", /toolChoice/, { toolChoice: "required" }],
  ["no parallel calls", /maxParallelFunctionCalls.*0/, { tools: { x: {} }, maxParallelFunctionCalls: 0 }],
  ["no rounds", /maxToolRounds.*0/, { tools: { x: {} }, maxToolRounds: 0 }],
  ["half a round", /maxToolRounds.*1\.5/, { tools: { x: {} }, maxToolRounds: 1.5 }],
])) {
  test(`${name}: INVALID_OPTION`, async (context) => {
    const worker = await readyWorker(context);
    await assert.rejects(worker.generate("x", options), { name: "LlamaError", code: "INVALID_OPTION", message });
    assert.match((await worker.generate(CAPITAL.question)).text, /Paris/);
  });
}

test("rounds are one result: texts and calls in a row, counts summed", async () => {
  const seat = new ScriptedSeat({ text: "I look. ", calls: [["look", { a: 1 }]] }, { text: "There it is." });
  const { timings, ...result } = await seat.generate("?", { tools: { look: { handler: () => "found" } } });
  assert.deepEqual(result, {
    text: "I look. There it is.",
    reasoning: "",
    stopReason: "eogToken",
    toolCalls: [{ id: "1.0", name: "look", arguments: { a: 1 }, result: "found" }],
    usage: {
      promptTokens: 20,
      cachedTokens: 8,
      completionTokens: 10,
      reasoningTokens: 2,
      totalTokens: 30,
      droppedMessages: 2,
      draftedTokens: 6,
      acceptedTokens: 4,
    },
  });
  assert.deepEqual(timings, { promptMs: 4, firstTokenMs: 3, generationMs: 20, tokensPerSecond: 500, threads: 2 });
  assert.deepEqual(seat.asked[1].input, [{ role: "tool", toolCallId: "1.0", name: "look", content: "found" }]);
  assert.deepEqual(seat.told, []);
});

const failing = {
  toString() {
    throw new Error("cannot be shown");
  },
};
/** @type {Record<string, [() => unknown, string]>} */
const RESULTS = {
  "a text": [() => "sunny", "sunny"],
  "an object": [() => ({ sky: "sunny" }), '{"sky":"sunny"}'],
  nothing: [() => undefined, "null"],
  "a function": [() => () => {}, "null"],
  "a promise": [async () => 7, "7"],
  "what is no JSON": [() => 5n, "Error: Do not know how to serialize a BigInt"],
  "an error that is thrown": [
    () => {
      throw new TypeError("out of order");
    },
    "Error: out of order",
  ],
  "a rejection with a text": [() => Promise.reject("out of order"), "Error: out of order"],
  "a rejection with nothing": [() => Promise.reject(), "Error: undefined"],
  "a rejection with what cannot be shown": [() => Promise.reject(failing), "Error: the tool failed"],
};
for (const [name, [handler, expected]] of Object.entries(RESULTS)) {
  test(`a handler gives ${name}: the model is told ${expected}`, async () => {
    const seat = new ScriptedSeat({ calls: [["look", {}]] }, { text: "Done." });
    const { text, toolCalls } = await seat.generate("?", { tools: { look: { handler } } });
    assert.equal(seat.asked[1].input[0].content, expected);
    assert.equal(toolCalls[0].result, expected);
    assert.equal(text, "Done.");
  });
}

for (const form of ["tools", "functions"]) {
  test(`a handler of ${form} is called on its tool, and what it changes in its arguments stays its own`, async () => {
    const seat = new ScriptedSeat({ calls: [["look", { a: { b: 1 } }]] }, { text: "Done." });
    const look = {
      result: "found",
      /** @param {any} args */
      handler(args) {
        args.a.b = 2;
        return this.result;
      },
    };
    const { toolCalls } = await seat.generate("?", { [form]: { look } });
    assert.deepEqual(toolCalls, [{ id: "1.0", name: "look", arguments: { a: { b: 1 } }, result: "found" }]);
  });
}

for (const name of ["lock", "toString", "__proto__"]) {
  test(`a tool that nobody has given, ${name}, is an error that the model is told`, async () => {
    const seat = new ScriptedSeat(
      {
        calls: [
          [name, {}],
          ["look", {}],
        ],
      },
      { text: "Done." },
    );
    const { text } = await seat.generate("?", { tools: { look: { handler: () => "found" } } });
    const contents = seat.asked[1].input.map(({ content }) => content);
    assert.deepEqual(contents, [`Error: there is no tool \`${name}\``, "found"]);
    assert.equal(text, "Done.");
  });
}

test("what holds for the beginning of the answer holds for the first round only", async () => {
  const handler = () => "found";
  const seat = new ScriptedSeat({ calls: [["look", {}]] }, { text: "Done." });
  const options = { tools: { look: { handler } }, toolChoice: "required", responsePrefix: "So: ", seed: 7 };
  await seat.generate("?", options);
  const [first, second] = seat.asked.map((asked) => asked.options);
  assert.deepEqual([first.toolChoice, first.responsePrefix, first.seed], ["required", "So: ", 7]);
  assert.deepEqual([second.toolChoice, second.responsePrefix, second.seed], [undefined, undefined, 7]);
});

test("options that are changed while tools run are those of the call", async () => {
  const stopSequences = ["a"];
  const handler = () => {
    stopSequences.push("b");
    return "found";
  };
  const seat = new ScriptedSeat({ calls: [["look", {}]] }, { text: "Done." });
  await seat.generate("?", { tools: { look: { handler } }, stopSequences });
  assert.deepEqual(seat.asked[1].options.stopSequences, ["a"]);
});

for (const [maxToolRounds, rounds] of [
  [undefined, 10],
  [1, 1],
  [3, 3],
]) {
  test(`maxToolRounds ${maxToolRounds}: handlers are run ${rounds} times, then TOOL_LOOP_LIMIT`, async () => {
    const seat = new ScriptedSeat({ calls: [["look", {}]] });
    let runs = 0;
    const handler = () => {
      runs += 1;
    };
    const generation = seat.generate("?", { tools: { look: { handler } }, maxToolRounds });
    await assert.rejects(generation, {
      code: "TOOL_LOOP_LIMIT",
      message: RegExp(`after ${rounds} rounds.*maxToolRounds`),
    });
    assert.equal(runs, rounds);
    assert.equal(seat.asked.length, rounds + 1);
    assert.deepEqual(seat.told, ["abandonToolCalls"]);
  });
}

test("a later round that fails takes the whole turn back", async () => {
  const error = { code: "PROMPT_TOO_LONG", message: "too long" };
  const seat = new ScriptedSeat({ calls: [["look", {}]] }, { error });
  await assert.rejects(seat.generate("?", { tools: { look: { handler: () => "x" } } }), error);
  assert.deepEqual(seat.told, ["abandonToolCalls"]);
});

test("a first round that fails has nothing to take back", async () => {
  const error = { code: "PROMPT_TOO_LONG", message: "too long" };
  const seat = new ScriptedSeat({ error });
  await assert.rejects(seat.generate("?", { tools: { look: { handler: () => "x" } } }), error);
  assert.deepEqual(seat.told, []);
});

test("a callback that throws in a later round ends the turn and is what it rejects with", async () => {
  const thrown = new Error("in the callback");
  const fail = () => {
    throw thrown;
  };
  const seat = new ScriptedSeat({ calls: [["look", {}]] }, { text: "x", pieces: [{ type: "text", id: 2, text: "x" }] });
  const options = { tools: { look: { handler: () => "x" } }, onTextChunk: fail };
  await assert.rejects(seat.generate("?", options), (error) => error === thrown);
  assert.deepEqual(seat.told, ["abandonToolCalls"]);
});

test("calls are counted over the rounds", async () => {
  const call = (index, name) => ({ type: "toolCall", id: 1, index, name, arguments: "{}", done: true });
  const seat = new ScriptedSeat(
    {
      calls: [
        ["a", {}],
        ["b", {}],
      ],
      pieces: [call(0, "a"), call(1, "b")],
    },
    { calls: [["c", {}]], pieces: [call(0, "c")] },
    { text: "Done." },
  );
  const handler = () => "x";
  const chunks = [];
  await seat.generate("?", {
    tools: { a: { handler }, b: { handler }, c: { handler } },
    onFunctionCallParamsChunk: ({ callIndex, functionName }) => chunks.push([callIndex, functionName]),
  });
  assert.deepEqual(chunks, [
    [0, "a"],
    [1, "b"],
    [2, "c"],
  ]);
});

test("a round that is cut off is the end, whatever it calls", async () => {
  const seat = new ScriptedSeat({ calls: [["look", {}]], stopReason: "maxTokens" });
  const { stopReason } = await seat.generate("?", { tools: { look: { handler: () => assert.fail() } } });
  assert.equal(stopReason, "maxTokens");
});

test("messages that end with unanswered calls: INVALID_MESSAGES", async (context) => {
  const worker = await readyWorker(context);
  const toolCalls = [{ id: "1", name: "get_weather", arguments: { city: "Paris" } }];
  const messages = [
    { role: "user", content: ASK_WEATHER },
    { role: "assistant", content: null, toolCalls },
  ];
  await assert.rejects(worker.generate(/** @type {any} */ (messages)), { code: "INVALID_MESSAGES" });
});

test("a beginning of the answer beside a schema: INVALID_OPTION names both", async (context) => {
  const worker = await readyWorker(context);
  const both = { responsePrefix: "{", jsonSchema: { type: "object" } };
  await assert.rejects(worker.generate(ASK_WEATHER, both), {
    code: "INVALID_OPTION",
    message: /responsePrefix.*jsonSchema|jsonSchema.*responsePrefix/s,
  });
});
