/**
 * Tools over the port: the model's calls go out as `tool_call`, the caller's results come back as `tool_result`, and everything else keeps
 * its order around them. Then what else a generation tells over the port beside its text.
 */

"use strict";

const assert = require("node:assert/strict");
const { builtInModelPath } = require("../js/index");
const { CONNECTIONS } = require("./fixtures/connections");
const {
  CREATE,
  INIT,
  LOAD,
  ask,
  chat,
  collectUntil,
  collectUntilMarker,
  info,
  nothingMore,
  open,
  prompt,
  ready,
  texts,
} = require("./port-support");
const { CAPITAL, STORY, test, untilInTime } = require("./support");

const weather = {
  description: "The weather in a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const QUESTION = "What is the weather in Paris?";
const TWO_CITIES = "What is the weather in Paris and in Rome?";
const SUNNY = { sky: "sunny", temperature: 21 };
const ANSWER = "It is sunny and 21 degrees in Paris.";
const STARTED = "Gerando texto...";
const ENDED = "Geração de texto concluída";
const ABORTED = ["Operação abortada", "Geração abortada pelo usuário"];

const asksTools = (text, more) => prompt(text, { options: { tools: { weather } }, ...more });
const toolResult = (toolCallId, result, more) => ({ type: "tool_result", toolCallId, result, ...more });
const isDone = ({ message }) => message === ENDED;

/** @returns {Promise<any>} the `tool_call` message, after which nothing comes for now */
async function untilCalled(connection, message = asksTools(QUESTION)) {
  connection.send(message);
  const isEnd = (answer) => answer.type === "tool_call" || answer.type === "error" || isDone(answer);
  const messages = await collectUntil(connection, isEnd);
  return messages.at(-1);
}

/** @returns {Promise<any>} the `completion_done` message */
async function untilAnswered(connection) {
  const messages = await collectUntil(connection, isDone);
  return messages.find(({ type }) => type === "completion_done");
}

/** @returns {Promise<any[]>} the results of tools in the conversation */
async function toolMessages({ worker }) {
  const history = await worker.session.history();
  return history.filter(({ role }) => role === "tool");
}

/** @returns {Promise<string>} the answer to a question without tools */
async function answerTo(connection, question) {
  const answers = await ask(connection, prompt(question));
  return answers.find(({ type }) => type === "completion_done").fullText;
}

for (const [name, connect] of Object.entries(CONNECTIONS)) {
  test(`a tool call and its result, over ${name}`, async (context) => {
    const connection = await ready(context, connect);
    const { type, toolCalls, requestId } = await untilCalled(connection, asksTools(QUESTION, { requestId: "r1" }));
    assert.deepEqual([type, requestId, toolCalls.length], ["tool_call", "r1", 1]);
    const [{ id, ...call }] = toolCalls;
    assert.deepEqual(call, { name: "weather", arguments: { city: "Paris" } });
    connection.send(toolResult(id, SUNNY, { requestId: "r2" }));
    const messages = await collectUntil(connection, isDone);
    assert.deepEqual(texts(messages), ["completion_done", ENDED]);
    for (const message of messages) assert.equal(message.requestId, "r1");
    const chunks = messages.filter((message) => message.type === "completion_chunk");
    assert.equal(chunks.map(({ chunk }) => chunk).join(""), ANSWER);
    await nothingMore(connection);
  });
}

test("the end of a turn with tools: all text, the counts of all rounds, and the reason of the last", async (context) => {
  const connection = await ready(context);
  const [{ id }] = (await untilCalled(connection)).toolCalls;
  connection.send(toolResult(id, JSON.stringify(SUNNY)));
  const { fullText, stats } = await untilAnswered(connection);
  assert.equal(fullText, ANSWER);
  assert.equal(stats.stopReason, "eogToken");
  assert.equal(stats.totalTokens, stats.promptTokens + stats.completionTokens);
  // The second prompt repeats the first one, most of which is in memory then.
  assert.ok(stats.promptTokens > 150 && stats.cachedTokens > 80, JSON.stringify(stats));
  assert.ok(stats.completionTokens > 30, JSON.stringify(stats));
});

test("a turn with tools whose model calls none is like any other", async (context) => {
  const connection = await ready(context);
  const messages = await ask(connection, asksTools(CAPITAL.question));
  assert.deepEqual(texts(messages), [STARTED, "completion_done", ENDED]);
  await nothingMore(connection);
});

const forms = {
  "OpenAI's list": { tools: [{ type: "function", function: { name: "weather", ...weather } }] },
  "node-llama-cpp's functions": {
    functions: { weather: { description: weather.description, params: weather.parameters } },
  },
};
for (const [form, options] of Object.entries(forms)) {
  test(`tools as ${form}`, async (context) => {
    const connection = await ready(context);
    const { toolCalls } = await untilCalled(connection, prompt(QUESTION, { options }));
    assert.deepEqual(toolCalls[0].arguments, { city: "Paris" });
  });
}

test("several calls: results in one list", async (context) => {
  const connection = await ready(context);
  const { toolCalls } = await untilCalled(connection, asksTools(TWO_CITIES));
  assert.deepEqual(
    toolCalls.map((call) => call.arguments.city),
    ["Paris", "Rome"],
  );
  assert.notEqual(toolCalls[0].id, toolCalls[1].id);
  const results = toolCalls.map(({ id }, index) => ({ toolCallId: id, result: { ...SUNNY, temperature: 20 + index } }));
  connection.send({ type: "tool_result", results });
  await untilAnswered(connection);
  assert.deepEqual(await toolMessages(connection), [
    { role: "tool", name: "weather", toolCallId: toolCalls[0].id, content: '{"sky":"sunny","temperature":20}' },
    { role: "tool", name: "weather", toolCallId: toolCalls[1].id, content: '{"sky":"sunny","temperature":21}' },
  ]);
  await nothingMore(connection);
});

test("several calls: results one by one, in any order, and nothing happens before the last", async (context) => {
  const connection = await ready(context);
  const { toolCalls } = await untilCalled(connection, asksTools(TWO_CITIES));
  connection.send(toolResult(toolCalls[1].id, "It rains."));
  connection.send({ type: "bogus" });
  const [{ error }] = await collectUntil(connection, ({ type }) => type === "error");
  assert.match(error, /bogus/);
  connection.send(toolResult(toolCalls[0].id, SUNNY));
  await untilAnswered(connection);
  const contents = (await toolMessages(connection)).map(({ content }) => content);
  assert.deepEqual(contents, [JSON.stringify(SUNNY), "It rains."]);
});

test("a result that nobody waits for is one error, and what waits goes on waiting", async (context) => {
  const connection = await ready(context);
  const unexpected = async (message) => {
    connection.send({ ...message, requestId: "odd" });
    const [answer, ...more] = await collectUntil(connection, ({ type }) => type === "error");
    assert.deepEqual(more, []);
    assert.deepEqual(
      [answer.error, answer.code, answer.requestId],
      ["Resultado de ferramenta inesperado", "INVALID_MESSAGES", "odd"],
    );
    return answer.details;
  };
  assert.match(await unexpected(toolResult("nobody", 1)), /nobody/);
  await unexpected({ type: "tool_result", results: [] });
  const { toolCalls } = await untilCalled(connection, asksTools(TWO_CITIES));
  const [first, second] = toolCalls.map(({ id }) => id);
  await unexpected(toolResult("nobody", 1));
  await unexpected({ type: "tool_result" });
  await unexpected({ type: "tool_result", toolCallId: 5, result: 1 });
  await unexpected({ type: "tool_result", results: "none" });
  await unexpected({ type: "tool_result", results: [null] });
  await unexpected(toolResult(first, Number.NaN));
  // All or none: the first of these two is not taken either.
  await unexpected({ type: "tool_result", results: [{ toolCallId: first, result: 1 }, { toolCallId: "nobody" }] });
  connection.send(toolResult(first, SUNNY));
  assert.match(await unexpected(toolResult(first, SUNNY)), new RegExp(first));
  connection.send(toolResult(second, SUNNY));
  await untilAnswered(connection);
  assert.equal((await toolMessages(connection)).length, 2);
  await unexpected(toolResult(second, SUNNY));
  await nothingMore(connection);
});

test("an unexpected result in English", async (context) => {
  const connection = await open(context);
  connection.send({ ...INIT, options: { ...INIT.options, locale: "en" } });
  connection.send({ type: "bogus" });
  await collectUntil(connection, ({ type }) => type === "error");
  const answers = await ask(connection, toolResult("nobody", 1));
  assert.equal(answers.at(-1).error, "Unexpected tool result");
});

test("abort while the caller works: the two infos, and the turn never was", async (context) => {
  const connection = await ready(context);
  await answerTo(connection, "My name is Ana.");
  const before = await connection.worker.session.history();
  const [{ id }] = (await untilCalled(connection)).toolCalls;
  connection.send({ type: "abort" });
  connection.send({ type: "abort" });
  assert.deepEqual(texts(await collectUntilMarker(connection)), ABORTED);
  assert.deepEqual(await connection.worker.session.history(), before);
  connection.send(toolResult(id, SUNNY));
  const [{ code }] = await collectUntil(connection, ({ type }) => type === "error");
  assert.equal(code, "INVALID_MESSAGES");
  assert.match(await answerTo(connection, "What is my name?"), /Ana/);
});

test("abort in a later round: the two infos, and the turn never was", async (context) => {
  const connection = await ready(context);
  const attempt = async () => {
    const [{ id }] = (await untilCalled(connection)).toolCalls;
    connection.send(toolResult(id, SUNNY));
    connection.send({ type: "abort" });
    return texts(await collectUntilMarker(connection));
  };
  const answers = await untilInTime(attempt, (told) => !told.includes(ENDED));
  assert.deepEqual(answers, ABORTED);
  await nothingMore(connection);
  const history = await connection.worker.session.history();
  assert.ok(
    history.every(({ toolCalls, role }) => !toolCalls && role !== "tool"),
    JSON.stringify(history),
  );
});

test("everything sent while a turn waits comes after it, in order", async (context) => {
  const connection = await ready(context);
  const [{ id }] = (await untilCalled(connection)).toolCalls;
  connection.send(prompt("x", { requestId: 1, options: { temperature: "warm" } }));
  connection.send(prompt("My name is Ana.", { requestId: 2 }));
  connection.send(asksTools("What is the weather in Rome?", { requestId: 3 }));
  connection.send(prompt("What is my name?", { requestId: 4 }));
  connection.send({ ...CREATE, requestId: 5 });
  connection.send(toolResult(id, SUNNY));
  const first = await collectUntil(connection, ({ type }) => type === "tool_call");
  const told = first.filter(({ type }) => type !== "completion_chunk").map(({ requestId, type }) => [requestId, type]);
  assert.deepEqual(told, [
    [undefined, "completion_done"],
    [undefined, "info"],
    [1, "info"],
    [1, "error"],
    [2, "info"],
    [2, "completion_done"],
    [2, "info"],
    [3, "info"],
    [3, "tool_call"],
  ]);
  connection.send(toolResult(first.at(-1).toolCalls[0].id, { sky: "rainy", temperature: 9 }));
  const second = await collectUntil(connection, ({ message }) => message === "Contexto criado com sucesso");
  const done = second.filter(({ type }) => type === "completion_done");
  assert.deepEqual(
    done.map(({ requestId }) => requestId),
    [3, 4],
  );
  assert.match(done[1].fullText, /Ana/);
  assert.deepEqual(texts(second).slice(-2), ["Criando contexto...", "Contexto criado com sucesso"]);
});

test("abort reaches what waits behind a turn", async (context) => {
  const connection = await ready(context);
  await untilCalled(connection, asksTools(QUESTION, { requestId: 1 }));
  connection.send(prompt(STORY, { requestId: 2, options: { maxTokens: 2000 } }));
  connection.send(asksTools(QUESTION, { requestId: 3 }));
  connection.send({ type: "abort" });
  const [note, ...ends] = await collectUntilMarker(connection);
  assert.deepEqual(note, info(ABORTED[0]));
  assert.deepEqual(
    ends.map(({ message, requestId }) => [message, requestId]),
    [1, 2, 3].map((requestId) => [ABORTED[1], requestId]),
  );
  assert.equal(await answerTo(connection, CAPITAL.question), CAPITAL.answer);
});

/** The built-in model's way to write, but instead of a result the model sees the question again, and so it calls again. */
const FORGETFUL = `{{- '<|im_start|>system\\n# Tools\\n<tools>' }}
{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}
{{- '\\n</tools><|im_end|>\\n' }}
{%- for message in messages %}
{%- if message.role == 'user' %}{{- '<|im_start|>user\\n' + message.content + '<|im_end|>\\n' }}{%- endif %}
{%- if message.role == 'assistant' %}{{- '<|im_start|>assistant\\n' }}{%- if message.content %}{{- message.content }}{%- endif %}
{%- if message.tool_calls %}{%- for tool_call in message.tool_calls %}
{{- '<tool_call>\\n{"name": "' + tool_call.function.name + '", "arguments": ' }}{{- tool_call.function.arguments | tojson }}{{- '}\\n</tool_call>' }}
{%- endfor %}{%- endif %}{{- '<|im_end|>\\n' }}{%- endif %}
{%- if message.role == 'tool' %}{{- '<|im_start|>user\\n${QUESTION}<|im_end|>\\n' }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}`;

for (const maxToolRounds of [1, 3, undefined]) {
  test(`no more rounds than maxToolRounds (${maxToolRounds}): one error, and the turn never was`, async (context) => {
    const connection = await open(context);
    await ask(connection, INIT);
    await ask(connection, { ...LOAD, options: { ...LOAD.options, chatTemplate: FORGETFUL } });
    await ask(connection, CREATE);
    let last = await untilCalled(connection, prompt(QUESTION, { options: { tools: { weather }, maxToolRounds } }));
    let rounds = 0;
    while (last.type === "tool_call") {
      rounds += 1;
      last = await untilCalled(connection, toolResult(last.toolCalls[0].id, SUNNY));
    }
    assert.equal(rounds, maxToolRounds ?? 10);
    assert.deepEqual([last.error, last.code], ["Erro ao gerar texto", "TOOL_LOOP_LIMIT"]);
    assert.match(last.details, /maxToolRounds/);
    await nothingMore(connection);
    assert.deepEqual(await connection.worker.session.history(), []);
  });
}

test("a bad maxToolRounds is refused", async (context) => {
  const connection = await ready(context);
  const answers = await ask(connection, prompt("x", { options: { maxToolRounds: 0 } }));
  assert.equal(answers.at(-1).code, "INVALID_OPTION");
  assert.match(answers.at(-1).details, /maxToolRounds/);
});

test("a tool that must be called must be called only once", async (context) => {
  const connection = await ready(context);
  const options = { tools: { weather }, toolChoice: { name: "weather" } };
  const { toolCalls } = await untilCalled(connection, prompt(QUESTION, { options }));
  connection.send(toolResult(toolCalls[0].id, SUNNY));
  assert.equal((await untilAnswered(connection)).fullText, ANSWER);
});

test("tools that must not be called are not", async (context) => {
  const connection = await ready(context);
  const options = { tools: { weather }, toolChoice: "none", maxTokens: 60 };
  const messages = await ask(connection, prompt(QUESTION, { options }));
  assert.deepEqual(texts(messages), [STARTED, "completion_done", ENDED]);
});

test("cleanup while a turn waits, and others behind it: all are ended, nothing hangs", async (context) => {
  const connection = await ready(context);
  await untilCalled(connection);
  connection.send(prompt(STORY));
  // The port is asynchronous: what was sent has to arrive first.
  connection.send({ type: "bogus" });
  await collectUntil(connection, ({ type }) => type === "error");
  const cleanedUp = connection.worker.cleanup();
  const messages = await collectUntil(connection, ({ message }) => message === "Recursos liberados");
  await cleanedUp;
  assert.deepEqual(texts(messages), [ABORTED[1], ABORTED[1], "Recursos liberados"]);
  assert.deepEqual(connection.inbox.rest(), []);
});

test("cleanup while a turn runs, and others behind it: its end is the last that is said", async (context) => {
  const connection = await ready(context);
  const seen = [];
  connection.worker.onMessage = (message) => seen.push(message);
  connection.send(prompt(STORY, { requestId: 1, options: { tools: { weather }, maxTokens: 2000 } }));
  await collectUntil(connection, ({ type }) => type === "completion_chunk");
  for (const message of [prompt(STORY), CREATE, asksTools(QUESTION), { ...LOAD, requestId: 2 }])
    connection.worker.handleMessage(message);
  await connection.worker.cleanup();
  await new Promise(setImmediate);
  assert.equal(seen.at(-1).message, "Recursos liberados");
  const ended = seen.filter((message) => [ABORTED[1], ENDED].includes(message.message));
  assert.equal(ended.length, 3, JSON.stringify(texts(seen)));
});

/** Numbers that look random and are the same each time. */
function* pseudoRandom(seed) {
  let state = seed;
  for (;;) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    yield state / 2_147_483_648;
  }
}

/** Answers each call at once, or one call of two later. */
function answerCalls(connection, random) {
  const { worker } = connection;
  const seen = [];
  worker.onMessage = (message) => {
    seen.push(message);
    for (const { id } of message.toolCalls ?? []) {
      if (random.next().value < 0.8) worker.handleMessage(toolResult(id, SUNNY));
      else setTimeout(() => worker.handleMessage(toolResult(id, SUNNY)), 1);
    }
  };
  return seen;
}

test("any mixture of turns, results and aborts: each turn ends once, in order", async (context) => {
  const connection = await ready(context);
  const random = pseudoRandom(4);
  const seen = answerCalls(connection, random);
  const inputs = [asksTools(QUESTION), asksTools(TWO_CITIES), prompt(CAPITAL.question), chat([])];
  for (let requestId = 1; requestId <= 60; requestId += 1) {
    const input = inputs[Math.floor(random.next().value * inputs.length)];
    connection.worker.handleMessage({ ...input, requestId });
    if (random.next().value < 0.15) connection.worker.handleMessage({ type: "abort" });
    if (random.next().value < 0.5) await new Promise(setImmediate);
  }
  await collectUntilMarker(connection);
  // A result may come after the abort of its turn.
  const known = seen.filter(({ requestId }) => typeof requestId === "number");
  const ends = known.filter(({ message, type }) => message === ENDED || message === ABORTED[1] || type === "error");
  const ids = (messages) => messages.map(({ requestId }) => requestId);
  const inOrder = (numbers) => numbers.toSorted((a, b) => a - b);
  assert.deepEqual(
    inOrder(ids(ends)),
    Array.from({ length: 60 }, (_, index) => index + 1),
  );
  // What was aborted need not wait for those before it.
  const finished = ids(ends.filter(({ message }) => message !== ABORTED[1]));
  assert.deepEqual(finished, inOrder(finished));
  connection.worker.onMessage = null;
  assert.equal(await answerTo(connection, CAPITAL.question), CAPITAL.answer);
});

const cycle = { type: "object" };
cycle.properties = { cycle };
let deep = {};
for (let depth = 0; depth < 1000; depth += 1) deep = { deep };
const manyTools = (count) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`tool${index}`, {}]));
const hostile = {
  "a schema that contains itself": [{ jsonSchema: cycle }, /jsonSchema.*64 levels/],
  "a schema a thousand levels deep": [{ jsonSchema: deep }, /jsonSchema.*64 levels/],
  "parameters that contain themselves": [{ tools: { weather: { parameters: cycle } } }, /tools\.weather\.parameters/],
  "a bigint in a schema": [{ jsonSchema: { minimum: 1n } }, /jsonSchema\.minimum.*bigint/],
  "a date in the template's variables": [{ chatTemplateKwargs: { today: new Date(0) } }, /chatTemplateKwargs\.today/],
  "an endless list of stops": [{ stopSequences: new Array(2 ** 32 - 1) }, /stopSequences\[0\]/],
  "an endless schema": [{ jsonSchema: { enum: new Array(2 ** 32 - 1) } }, /jsonSchema.*million/],
  "no tool names": [{ tools: { "": {} } }, /tools/],
  "half a character as a tool's name": [{ tools: { "\ud800": {} } }, /tools/],
  "a grammar beside tools": [{ grammar: "root ::= [0-9]", tools: { weather } }, /`tools`.*`grammar`/],
  "a schema beside functions": [{ jsonSchema: {}, functions: { weather: {} } }, /`functions`.*`jsonSchema`/],
  "a beginning beside a schema": [{ jsonSchema: {}, responsePrefix: "{" }, /responsePrefix.*`jsonSchema`/],
  "a beginning beside a grammar": [{ grammar: "root ::= [0-9]", responsePrefix: "1" }, /responsePrefix.*`grammar`/],
  "more tools than can be worked out": [{ tools: manyTools(1001) }, /tools.*1001.*1000/],
  "tools in a Map": [{ tools: new Map([["weather", weather]]) }, /tools.*plain object/],
  "functions in a Map": [{ functions: new Map([["weather", weather]]) }, /functions.*plain object/],
  "functions in a list": [{ functions: [] }, /functions.*array/],
  "biases in a Map": [{ tokenBias: new Map([[5, 1]]) }, /tokenBias/],
  "a bias for no text": [{ tokenBias: [["", 1]] }, /tokenBias\[0\]/],
  "a tool that is not there": [{ tools: { weather }, toolChoice: { name: "time" } }, /toolChoice.*time/],
};
for (const [what, [options, details]] of Object.entries(hostile)) {
  test(`options with ${what}: one error`, async (context) => {
    const connection = await ready(context);
    const answers = await ask(connection, prompt("x", { options }));
    assert.deepEqual(texts(answers), [STARTED, "Erro ao gerar texto"]);
    assert.equal(answers[1].code, "INVALID_OPTION");
    assert.match(answers[1].details, details);
    await nothingMore(connection);
  });
}

test("calls that nobody has answered are nothing to generate from", async (context) => {
  const connection = await ready(context);
  const call = { id: "call00000", name: "weather", arguments: { city: "Paris" } };
  const asked = [
    { role: "user", content: QUESTION },
    { role: "assistant", content: "", toolCalls: [call] },
  ];
  const [, refused] = await ask(connection, chat(asked, { options: { tools: { weather } } }));
  assert.equal(refused.code, "INVALID_MESSAGES");
  assert.match(refused.details, /weather/);
  const { worker } = connection;
  await assert.rejects(worker.generate(asked), { code: "INVALID_MESSAGES" });
  assert.match((await worker.applyChatTemplate(asked)).prompt, /weather/);
  await worker.session.setHistory(asked);
  assert.equal((await worker.session.history()).length, 2);
});

/** Setting it would set the object's prototype; it was left out. */
test("a property `__proto__` comes as what it is", async (context) => {
  const { worker } = await ready(context);
  const text = '{"__proto__":{"polluted":1},"city":"Paris"}';
  await worker.session.setHistory([
    { role: "user", content: QUESTION },
    { role: "assistant", content: "", toolCalls: [{ id: "call00000", name: "weather", arguments: text }] },
    { role: "tool", toolCallId: "call00000", name: "weather", content: "{}" },
  ]);
  const history = await worker.session.history();
  const [{ arguments: given }] = history[1].toolCalls;
  assert.equal(JSON.stringify(given), text);
  assert.equal(Object.getPrototypeOf(given), Object.prototype);
  assert.equal(given.polluted, undefined);

  const jsonSchema = `{"type":"object","properties":{"__proto__":{"const":5}},"required":["__proto__"],"additionalProperties":false}`;
  const { parsed } = await worker.generate("JSON?", { jsonSchema });
  assert.equal(JSON.stringify(parsed), '{"__proto__":5}');
});

test("a bias against every token is an error that says so", async (context) => {
  const connection = await open(context);
  for (const message of [INIT, LOAD, CREATE]) connection.send(message);
  const answers = await collectUntil(connection, (message) => message.message === "Contexto criado com sucesso");
  const { modelInfo } = answers.find(({ type }) => type === "model_loaded");
  const tokens = Array.from({ length: modelInfo.vocabularySize }, (_, token) => [token, "never"]);
  await assert.rejects(connection.worker.generate("x", { tokenBias: tokens }), {
    code: "CONSTRAINT_FAILED",
    message: /tokenBias/,
  });
});

test("half a character in texts and results is a sign that stands for one", async (context) => {
  const connection = await ready(context);
  const [{ id }] = (await untilCalled(connection)).toolCalls;
  connection.send(toolResult(id, { sky: "\udfff" }));
  await untilAnswered(connection);
  const [{ content }] = await toolMessages(connection);
  assert.equal(content, '{"sky":"\ufffd"}');
});

test("a port that is closed while its turn waits: the turn ends, the worker lives on", async (context) => {
  const connection = await ready(context);
  const seen = [];
  await untilCalled(connection);
  connection.worker.onMessage = (message) => seen.push(message);
  connection.hangUp();
  while (seen.length === 0) await new Promise(setImmediate);
  assert.deepEqual(texts(seen), [ABORTED[1]]);
  assert.equal((await connection.worker.generate(CAPITAL.question)).text, CAPITAL.answer);
});

test("a context that is replaced by a method while a turn waits: the turn fails, nothing is made up", async (context) => {
  const connection = await ready(context);
  const [{ id }] = (await untilCalled(connection)).toolCalls;
  await connection.worker.createContext({ threads: 1 });
  connection.send(toolResult(id, SUNNY));
  const [failure] = await collectUntil(connection, ({ type }) => type === "error");
  assert.deepEqual([failure.error, failure.code], ["Erro ao gerar texto", "INVALID_MESSAGES"]);
  assert.equal(await answerTo(connection, CAPITAL.question), CAPITAL.answer);
});

test("a message whose getter throws is thrown to who sent it, and what waits goes on waiting", async (context) => {
  const connection = await ready(context);
  const [{ id }] = (await untilCalled(connection)).toolCalls;
  const hostile = {
    toolCallId: id,
    type: "tool_result",
    get result() {
      throw new RangeError("mine");
    },
  };
  assert.throws(() => connection.worker.handleMessage(hostile), RangeError);
  connection.worker.handleMessage(toolResult(id, SUNNY));
  assert.equal((await untilAnswered(connection)).fullText, ANSWER);
});

test("thoughts: in completion_done, never in the text, and as chunks only for who asks for them", async (context) => {
  const connection = await ready(context);
  const think = async (options) => {
    const messages = await ask(connection, prompt("Think step by step: What is 2 plus 3?", { options }));
    const joined = (type) =>
      messages
        .filter((message) => message.type === type)
        .map(({ chunk }) => chunk)
        .join("");
    return {
      done: messages.find(({ type }) => type === "completion_done"),
      text: joined("completion_chunk"),
      reasoning: joined("reasoning_chunk"),
    };
  };
  const silent = await think();
  assert.match(silent.done.reasoning, /2 \+ 3/);
  assert.equal(silent.done.fullText, "2 + 3 = 5.");
  assert.equal(silent.text, silent.done.fullText);
  assert.equal(silent.reasoning, "");
  assert.ok(silent.done.stats.reasoningTokens > 0);
  await ask(connection, CREATE);
  const streamed = await think({ streamReasoning: true });
  assert.equal(streamed.reasoning, streamed.done.reasoning);
  assert.equal(streamed.text, silent.text);
});

test("an answer without thoughts says nothing of any", async (context) => {
  const connection = await ready(context);
  const messages = await ask(connection, prompt(CAPITAL.question));
  const done = messages.find(({ type }) => type === "completion_done");
  assert.deepEqual(Object.keys(done).sort(), ["fullText", "stats", "type"]);
  assert.equal(done.stats.stopReason, "eogToken");
  assert.deepEqual([done.stats.reasoningTokens, done.stats.droppedMessages], [0, 0]);
});

test("logprobs come with the answer, one for each token", async (context) => {
  const connection = await ready(context);
  const messages = await ask(connection, prompt(CAPITAL.question, { options: { logprobs: 2 } }));
  const { logprobs, stats } = messages.find(({ type }) => type === "completion_done");
  assert.equal(logprobs.length, stats.completionTokens);
  for (const { token, text, logprob, top } of logprobs) {
    assert.deepEqual([typeof token, typeof text, typeof logprob], ["number", "string", "number"]);
    assert.ok(Array.isArray(top));
  }
});

for (const [locale, expected] of [
  ["pt", /^Histórico reduzido: \d+ mensagens antigas foram omitidas$/],
  ["en", /^History shortened: \d+ old messages were left out$/],
]) {
  test(`a conversation that is too long says how much is left out, before its end (${locale})`, async (context) => {
    const connection = await open(context);
    connection.send({ ...INIT, options: { ...INIT.options, locale } });
    connection.send(LOAD);
    connection.send({ ...CREATE, options: { contextSize: 256 } });
    const filler = Array.from({ length: 12 }, () => [
      { role: "user", content: "What is the capital of France? ".repeat(2) },
      { role: "assistant", content: CAPITAL.answer },
    ]).flat();
    connection.send(chat([...filler, { role: "user", content: CAPITAL.question }]));
    const messages = await collectUntilMarker(connection);
    const end = messages.findIndex(({ type }) => type === "completion_done");
    assert.match(messages[end - 1].message, expected);
    assert.match(messages[end - 1].message, new RegExp(`${messages[end].stats.droppedMessages}`));
    assert.equal(messages.length, end + 2);
  });
}

test("a chat template given at load_model is used, and a bad one is refused", async (context) => {
  const connection = await open(context);
  await ask(connection, INIT);
  const load = (chatTemplate) => ask(connection, { ...LOAD, options: { ...LOAD.options, chatTemplate } });
  const { modelInfo } = (await load(FORGETFUL)).find(({ type }) => type === "model_loaded");
  assert.deepEqual([modelInfo.chatTemplate, modelInfo.warnings], ["option", []]);
  assert.equal((await load("{% if %}")).at(-1).code, "TEMPLATE_FAILED");
  assert.equal((await load(5)).at(-1).code, "INVALID_OPTION");
  assert.equal((await ask(connection, { type: "load_model", modelPath: builtInModelPath })).at(-1).type, "info");
});
