/**
 * The class, method by method, on the built-in model.
 *
 * Failures are in errors.test.js, aborting in abort.test.js, the end of processes in lifetime.test.js.
 */

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { LlamaWorker, builtInModelPath } = require("../js/index");
const { CAPITAL, loadedWorker, readyWorker, stillAnswers, test } = require("./support");

/** The two shapes of one conversation whose last question only its beginning answers. */
const NAME_BY_ROLE = [
  { role: "user", content: "My name is Ana." },
  { role: "assistant", content: "Nice to meet you, Ana!" },
  { role: "user", content: "What is my name?" },
];
const NAME_BY_TYPE = [
  { type: "user", text: "My name is Ana." },
  { type: "model", response: ["Nice to meet you, Ana!"] },
  { type: "user", text: "What is my name?" },
];

/** Draws from every token, so that two draws hardly ever agree. */
const WILD = { temperature: 2, topK: 0, topP: 1, maxTokens: 60 };
const INVITATION = "Tell me a story about a dragon.";

test("require and import give the same class, also under the package's own name", async () => {
  const required = require("llama-worker");
  const imported = await import("llama-worker");
  assert.equal(required.LlamaWorker, LlamaWorker);
  assert.equal(imported.LlamaWorker, LlamaWorker);
  assert.equal(imported.LlamaError, required.LlamaError);
  assert.equal(imported.builtInModelPath, builtInModelPath);
  assert.equal(require.resolve("llama-worker/worker"), path.join(__dirname, "..", "js", "worker.js"));
});

test("init tells the backend", async (context) => {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  const info = await worker.init({ gpu: false, numThreads: 1 });
  assert.equal(typeof info.backend, "string");
  assert.equal(typeof info.llamaCppVersion, "string");
  assert.ok(info.cpuFeatures.every((feature) => typeof feature === "string"));
  assert.ok(info.devices.length > 0);
  for (const device of info.devices) {
    for (const field of ["name", "description", "backend", "type"]) assert.equal(typeof device[field], "string");
    assert.ok(device.memoryTotal >= device.memoryFree);
  }
});

test("loadModel takes a path or options, and describes the model", async (context) => {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  await worker.init({ gpu: false, numThreads: 1 });
  const model = await worker.loadModel(builtInModelPath, { useMmap: true });
  assert.deepEqual(await worker.loadModel({ modelPath: builtInModelPath }), model);
  assert.equal(model.name, "tiny-chat.gguf");
  assert.ok(
    model.size > 2_000_000 && model.size < fs.statSync(builtInModelPath).size,
    "the bytes of the tensors alone",
  );
  assert.ok(model.parameters > 1_900_000 && model.parameters < model.size);
  assert.equal(model.contextSize, 2048);
  assert.equal(model.architecture, "llama");
  assert.equal(model.hasChatTemplate, true);
  assert.equal(model.chatTemplate, "model");
  assert.deepEqual(model.warnings, []);
  assert.equal(model.vocabularySize, 1024);
  assert.equal(model.layers, 6);
  assert.equal(model.embeddingSize, 256);
  assert.equal(typeof model.description, "string");
});

test("a path relative to the working directory loads", async (context) => {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  await worker.init({ gpu: false, numThreads: 1 });
  assert.equal((await worker.loadModel(path.relative(process.cwd(), builtInModelPath))).contextSize, 2048);
});

test("loading reports progress from 0 to 1, never backwards, and 1 once", async (context) => {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  await worker.init({ gpu: false, numThreads: 1 });
  const reported = [];
  await worker.loadModel({ modelPath: builtInModelPath, onProgress: (progress) => reported.push(progress) });
  assert.ok(reported.every((progress) => progress >= 0 && progress <= 1));
  assert.deepEqual(
    reported,
    reported.toSorted((a, b) => a - b),
  );
  assert.equal(reported.filter((progress) => progress === 1).length, 1);
});

test("createContext defaults to what the model was trained for, and takes its own sizes", async (context) => {
  const worker = await loadedWorker(context);
  assert.equal((await worker.createContext()).contextSize, 2048);
  const small = await worker.createContext({ contextSize: 512, batchSize: 64, threads: 1, flashAttention: "auto" });
  assert.equal(small.contextSize, 512);
  assert.equal(small.batchSize, 64);
  assert.equal(small.threads, 1);
  assert.equal(small.sequences, 4);
  assert.equal((await worker.createContext({ contextSize: 300 })).contextSize, 512);
  assert.ok(await stillAnswers(worker));
});

test("numThreads of init is what a context without a number of its own gets, as far as there are processors", async (context) => {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  const two = Math.min(2, os.availableParallelism());
  await worker.init({ gpu: false, numThreads: two });
  await worker.loadModel(builtInModelPath);
  assert.equal((await worker.createContext()).threads, two);
  assert.equal((await worker.createContext({ threads: 1 })).threads, 1);
  assert.ok((await worker.createContext({ threads: 512 })).threads <= os.cpus().length);
});

for (const kvCacheType of ["f32", "bf16", "q8_0"]) {
  test(`a context with an attention cache of ${kvCacheType} answers`, async (context) => {
    const worker = await loadedWorker(context);
    await worker.createContext({ threads: 1, kvCacheType });
    assert.match((await worker.generate(CAPITAL.question)).text, /Paris/);
  });
}

test("generate resolves with text, reason, real counts and timings", async (context) => {
  const worker = await readyWorker(context);
  const { text, stopReason, usage, timings, ...rest } = await worker.generate(CAPITAL.question);
  assert.equal(text, CAPITAL.answer);
  assert.equal(stopReason, "eogToken");
  assert.deepEqual(rest, { reasoning: "", toolCalls: [] });
  for (const count of Object.values(usage)) assert.ok(Number.isInteger(count) && count >= 0);
  assert.ok(usage.promptTokens > 5 && usage.completionTokens > 5);
  assert.ok(usage.cachedTokens <= usage.promptTokens);
  assert.equal(usage.totalTokens, usage.promptTokens + usage.completionTokens);
  for (const name of ["promptMs", "firstTokenMs", "generationMs", "tokensPerSecond"]) {
    assert.ok(Number.isFinite(timings[name]) && timings[name] >= 0, name);
  }
  assert.ok(Number.isInteger(timings.threads) && timings.threads >= 1);
});

test("onToken, onTextChunk and the loop get the same chunks, and together they are the text", async (context) => {
  const worker = await readyWorker(context);
  const tokens = [];
  const textChunks = [];
  const looped = [];
  const options = { onTextChunk: (chunk) => textChunks.push(chunk) };
  const generation = worker.generate(INVITATION, options, (chunk) => tokens.push(chunk));
  for await (const chunk of generation) looped.push(chunk);
  const { text } = await generation;
  assert.notEqual(text, "");
  assert.equal(looped.join(""), text);
  assert.deepEqual(tokens, looped);
  assert.deepEqual(textChunks, looped);
});

test("a loop that starts late, and a second one, miss nothing", async (context) => {
  const worker = await readyWorker(context);
  const generation = worker.generate(CAPITAL.question);
  await generation;
  for (const pass of ["first", "second"]) {
    const chunks = [];
    for await (const chunk of generation) chunks.push(chunk);
    assert.equal(chunks.join(""), CAPITAL.answer, pass);
  }
});

test("two loops at once each get everything", async (context) => {
  const worker = await readyWorker(context);
  const generation = worker.generate(CAPITAL.question);
  const read = async () => {
    let text = "";
    for await (const chunk of generation) text += chunk;
    return text;
  };
  assert.deepEqual(await Promise.all([read(), read()]), [CAPITAL.answer, CAPITAL.answer]);
});

test("steps of an iterator taken without waiting come in order and end", async (context) => {
  const worker = await readyWorker(context);
  const generation = worker.generate(CAPITAL.question);
  const { text } = await generation;
  const iterator = generation[Symbol.asyncIterator]();
  const steps = await Promise.all(Array.from({ length: text.length + 2 }, () => iterator.next()));
  assert.equal(steps.map(({ value }) => value ?? "").join(""), text);
  assert.equal(steps.at(-1)?.done, true);
});

test("a generation is a promise; what follows from it is a plain one", async (context) => {
  const worker = await readyWorker(context);
  const generation = worker.generate(CAPITAL.question);
  assert.ok(generation instanceof Promise);
  const derived = generation.then(({ text }) => text);
  assert.equal(derived.constructor, Promise);
  assert.equal(await derived, CAPITAL.answer);
  assert.equal(await generation.finally(() => {}), await generation);
});

test("leaving the loop aborts the generation", async (context) => {
  const worker = await readyWorker(context);
  const generation = worker.generate(INVITATION, { maxTokens: 2000 });
  let kept = "";
  for await (const chunk of generation) {
    kept += chunk;
    break;
  }
  const { text } = await generation;
  assert.ok(text.startsWith(kept));
  assert.ok(await stillAnswers(worker));
});

test("a second prompt continues the conversation, createContext ends it", async (context) => {
  const worker = await readyWorker(context);
  await worker.generate("My name is Ana.");
  assert.match((await worker.generate("What is my name?")).text, /Ana/);
  await worker.createContext({ threads: 1 });
  assert.doesNotMatch((await worker.generate("What is my name?")).text, /Ana/);
});

test("a second turn evaluates only what is new", async (context) => {
  const worker = await readyWorker(context);
  const first = await worker.generate("My name is Ana.");
  assert.equal(first.usage.cachedTokens, 0);
  const second = await worker.generate("What is my name?");
  assert.ok(second.usage.cachedTokens >= first.usage.promptTokens);
  assert.ok(second.usage.cachedTokens < second.usage.promptTokens);
});

for (const [shape, messages] of Object.entries({
  "by role": NAME_BY_ROLE,
  "by type": NAME_BY_TYPE,
  mixed: [NAME_BY_ROLE[0], NAME_BY_TYPE[1], NAME_BY_ROLE[2]],
})) {
  test(`messages ${shape} are the conversation`, async (context) => {
    const worker = await readyWorker(context);
    assert.equal((await worker.generate(messages)).text, "Your name is Ana.");
  });
}

test("the shape of messages makes no difference to the prompt", async (context) => {
  const worker = await readyWorker(context);
  const byRole = await worker.generate(NAME_BY_ROLE);
  await worker.createContext({ threads: 1 });
  const byType = await worker.generate(NAME_BY_TYPE);
  assert.deepEqual(byType.usage, byRole.usage);
});

test("messages take the place of what was said before, and a prompt goes on from them", async (context) => {
  const worker = await readyWorker(context);
  await worker.generate("My name is Bob.");
  assert.equal((await worker.generate(NAME_BY_ROLE)).text, "Your name is Ana.");
  assert.match((await worker.generate("What is my name?")).text, /Ana/);
});

test("a last message of the assistant's that says nothing yet is not gone on from: the question before it is answered", async (context) => {
  const worker = await readyWorker(context);
  const { text } = await worker.generate([...NAME_BY_ROLE, { role: "assistant", content: "" }]);
  assert.equal(text, "Your name is Ana.");
});

test("messages that do not end with the user's are gone on from", async (context) => {
  const worker = await readyWorker(context);
  const { text, usage } = await worker.generate(NAME_BY_ROLE.slice(0, 2), { maxTokens: 8 });
  assert.equal(typeof text, "string");
  assert.ok(usage.promptTokens > 0);
});

test("the input is read when it is given: changing it afterwards changes nothing", async (context) => {
  const worker = await readyWorker(context);
  const messages = structuredClone(NAME_BY_ROLE);
  const generation = worker.generate(messages);
  messages.length = 0;
  assert.equal((await generation).text, "Your name is Ana.");
});

test("a system prompt counts where the session begins, as a system message does", async (context) => {
  const worker = await readyWorker(context);
  const systemPrompt = "You are a helpful assistant.";
  const plain = await worker.generate(CAPITAL.question);
  await worker.createContext({ threads: 1 });
  const withOption = await worker.generate(CAPITAL.question, { systemPrompt });
  await worker.createContext({ threads: 1 });
  const withMessage = await worker.generate([
    { role: "system", content: systemPrompt },
    { role: "user", content: CAPITAL.question },
  ]);
  assert.ok(withOption.usage.promptTokens > plain.usage.promptTokens);
  assert.equal(withOption.usage.promptTokens, withMessage.usage.promptTokens);
  assert.equal(withOption.text, withMessage.text);
});

test("a character that takes several tokens arrives whole", async (context) => {
  const worker = await readyWorker(context);
  const chunks = [];
  const { text } = await worker.generate("What is the emoji for cat?", {}, (chunk) => chunks.push(chunk));
  assert.equal(text, "🐱 is a cat.");
  for (const chunk of chunks) assert.ok(chunk.isWellFormed() && !chunk.includes("\ufffd"), chunk);
});

test("maxTokens is the exact number of tokens", async (context) => {
  const worker = await readyWorker(context);
  const { text, stopReason, usage } = await worker.generate(CAPITAL.question, { maxTokens: 3 });
  assert.equal(text, "The capital of");
  assert.equal(stopReason, "maxTokens");
  assert.equal(usage.completionTokens, 3);
});

for (const option of ["stopSequences", "customStopTriggers"]) {
  test(`${option} end the answer before a text that spans several tokens`, async (context) => {
    const worker = await readyWorker(context);
    const chunks = [];
    const result = await worker.generate(CAPITAL.question, { [option]: ["nowhere", "France is"] }, (chunk) =>
      chunks.push(chunk),
    );
    assert.equal(result.text, "The capital of ");
    assert.equal(result.stopReason, "customStopTrigger");
    assert.equal(chunks.join(""), result.text);
  });
}

test("half a stop sequence at the end of an answer is part of the answer", async (context) => {
  const worker = await readyWorker(context);
  const { text, stopReason } = await worker.generate(CAPITAL.question, { stopSequences: ["Paris. And"] });
  assert.equal(text, CAPITAL.answer);
  assert.equal(stopReason, "eogToken");
});

test("a seed repeats an answer, another seed gives another one", async (context) => {
  const worker = await readyWorker(context);
  const draw = async (seed) => {
    await worker.createContext({ threads: 1 });
    return (await worker.generate(INVITATION, { ...WILD, seed })).text;
  };
  assert.equal(await draw(7), await draw(7));
  const others = await Promise.all([draw(1), draw(2), draw(3), draw(4)]);
  assert.ok(new Set(others).size > 1);
});

test("runs without a seed differ", async (context) => {
  const worker = await readyWorker(context);
  const texts = new Set();
  for (let run = 0; run < 5; run += 1) {
    await worker.createContext({ threads: 1 });
    texts.add((await worker.generate(INVITATION, WILD)).text);
  }
  assert.ok(texts.size > 1);
});

test("undefined and null options are options not given", async (context) => {
  const worker = await readyWorker(context);
  const nothing = {
    maxTokens: null,
    temperature: undefined,
    stopSequences: null,
    signal: null,
    onTextChunk: undefined,
  };
  assert.equal((await worker.generate(CAPITAL.question, nothing, null)).text, CAPITAL.answer);
  await worker.createContext(null);
  assert.equal((await worker.generate(CAPITAL.question, null)).text, CAPITAL.answer);
});

test("unknown options are ignored", async (context) => {
  const worker = await readyWorker(context);
  const options = { documentFunctionParams: true, responsePrefix: undefined, somethingNew: () => {} };
  assert.equal((await worker.generate(CAPITAL.question, options)).text, CAPITAL.answer);
});

test("options may be inherited, and may be getters", async (context) => {
  const worker = await readyWorker(context);
  class Limited {
    #limit = 3;
    get maxTokens() {
      return this.#limit;
    }
  }
  const heard = [];
  assert.equal((await worker.generate(CAPITAL.question, new Limited())).text, "The capital of");
  await worker.createContext(Object.create({ contextSize: 512, threads: 1 }));
  const hearing = Object.create({ maxTokens: 3, onTextChunk: (chunk) => heard.push(chunk) });
  assert.equal((await worker.generate(CAPITAL.question, hearing)).text, heard.join(""));
  assert.equal(heard.join(""), "The capital of");
});

test("loadModel takes inherited options beside a path and with one", async (context) => {
  const worker = await loadedWorker(context);
  const reported = [];
  const onProgress = (progress) => reported.push(progress);
  await worker.loadModel(builtInModelPath, Object.freeze(Object.create({ onProgress })));
  assert.equal(reported.at(-1), 1);
  await assert.rejects(worker.loadModel(builtInModelPath, Object.create({ useMmap: "yes" })), /useMmap.*yes/);
  assert.equal((await worker.loadModel(Object.create({ modelPath: builtInModelPath }))).name, "tiny-chat.gguf");
});

test("generations asked for at once run in that order, in one conversation", async (context) => {
  const worker = await readyWorker(context);
  const ended = [];
  const ask = (prompt) => worker.generate(prompt).finally(() => ended.push(prompt));
  const [, second] = await Promise.all([ask("My name is Ana."), ask("What is my name?")]);
  assert.deepEqual(ended, ["My name is Ana.", "What is my name?"]);
  assert.match(second.text, /Ana/);
});

test("calls made without waiting take effect in order", async (context) => {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  const steps = [
    worker.init({ gpu: false, numThreads: 1 }),
    worker.loadModel(builtInModelPath),
    worker.createContext(),
  ];
  assert.equal((await worker.generate(CAPITAL.question)).text, CAPITAL.answer);
  await Promise.all(steps);
});

test("a model loaded in place of another answers", async (context) => {
  const worker = await readyWorker(context);
  await worker.generate("My name is Ana.");
  await worker.loadModel(builtInModelPath);
  assert.ok(await stillAnswers(worker));
});

test("two workers in one thread do not disturb each other", async (context) => {
  const workers = [await readyWorker(context), await readyWorker(context)];
  await Promise.all([workers[0].generate("My name is Ana."), workers[1].generate("My name is Bob.")]);
  const [first, second] = await Promise.all(workers.map((worker) => worker.generate("What is my name?")));
  assert.match(first.text, /Ana/);
  assert.match(second.text, /Bob/);
});

test("cleanup is one promise, settles what is under way, and may be called again", async (context) => {
  const worker = await readyWorker(context);
  const outcomes = Promise.allSettled([worker.generate(INVITATION, { maxTokens: 2000 })]);
  const cleanup = worker.cleanup();
  assert.equal(worker.cleanup(), cleanup);
  const [outcome] = await outcomes;
  if (outcome.status === "rejected") assert.equal(outcome.reason.code, "WORKER_STOPPED");
  assert.equal(await cleanup, undefined);
  assert.equal(await worker.cleanup(), undefined);
});

test("Symbol.asyncDispose cleans up, as `await using` does", async () => {
  const worker = new LlamaWorker();
  await worker.init({ gpu: false, numThreads: 1 });
  await worker[Symbol.asyncDispose]();
  await assert.rejects(worker.loadModel(builtInModelPath), { code: "WORKER_STOPPED" });
});

test("without a port the contract answers through onMessage", async (context) => {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  assert.equal(worker.onMessage, null);
  const messages = [];
  const loaded = new Promise((resolve) => {
    worker.onMessage = (message) => {
      messages.push(message);
      if (message.type === "model_loaded") resolve(message);
    };
  });
  worker.handleMessage({ type: "init", options: { gpu: false, numThreads: 1 } });
  worker.handleMessage({ type: "load_model", modelPath: builtInModelPath, requestId: "load" });
  const { modelInfo, requestId } = await loaded;
  assert.deepEqual(messages[0], { type: "info", message: "Inicializando llama.cpp..." });
  assert.ok(modelInfo.size > 2_000_000);
  assert.equal(requestId, "load");
});

test("the built-in model is a file of the package", () => {
  assert.ok(path.isAbsolute(builtInModelPath));
  assert.ok(fs.statSync(builtInModelPath).isFile());
});
