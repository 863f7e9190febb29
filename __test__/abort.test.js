/**
 * Ending a generation or a load early: while the prompt is evaluated, while the answer is written, by a signal, by a callback
 * that throws, by leaving the loop.
 *
 * Measures no time; how fast an abort is, a benchmark tells.
 */

"use strict";

const assert = require("node:assert/strict");
const { getEventListeners } = require("node:events");
const { setTimeout: delay } = require("node:timers/promises");
const { builtInModelPath } = require("../js/index");
const { block } = require("./fixtures/busy");
const { CAPITAL, STORY, loadedWorker, readyWorker, stillAnswers, test, untilInTime } = require("./support");

const SENTENCE = "The quick brown fox jumps over the lazy dog. ";
const LONG_ANSWER = { maxTokens: 2000 };

/**
 * @param {import("../index").LlamaWorker} worker
 * @param {number} tokens
 */
async function promptOfAtLeast(worker, tokens) {
  const count = async (sentences) => {
    await worker.createContext({ threads: 1 });
    const { usage } = await worker.generate(SENTENCE.repeat(sentences), { maxTokens: 1 });
    return usage.promptTokens;
  };
  const perSentence = ((await count(11)) - (await count(1))) / 10;
  await worker.createContext({ threads: 1 });
  return SENTENCE.repeat(Math.ceil(tokens / perSentence));
}

test("abort in the middle of a prompt of 1,500 tokens", async (context) => {
  const worker = await readyWorker(context);
  const prompt = await promptOfAtLeast(worker, 1500);
  const generation = worker.generate(prompt, LONG_ANSWER);
  await delay(5);
  assert.equal(worker.abort(), true);
  const { text, stopReason, usage } = await generation;
  assert.equal(stopReason, "abort");
  assert.equal(text, "");
  assert.equal(usage.completionTokens, 0);
  assert.ok(await stillAnswers(worker));
});

test("an abort cuts an evaluation short, also when the whole prompt is one", async (context) => {
  const worker = await readyWorker(context);
  const prompt = await promptOfAtLeast(worker, 1500);
  await worker.createContext({ threads: 1, batchSize: 2048 });
  const generation = worker.generate(prompt, { maxTokens: 1 });
  await delay(30);
  worker.abort();
  assert.equal((await generation).usage.completionTokens, 0);
  const { usage } = await worker.generate(prompt, { maxTokens: 1 });
  assert.ok(usage.promptTokens >= 1500);
  assert.ok(usage.cachedTokens < usage.promptTokens / 10, `${usage.cachedTokens} of ${usage.promptTokens}`);
});

test("after an abort in the prompt the same context answers the next one", async (context) => {
  const worker = await readyWorker(context);
  const prompt = await promptOfAtLeast(worker, 1500);
  const generation = worker.generate(prompt, LONG_ANSWER);
  await delay(5);
  worker.abort();
  await generation;
  const messages = [{ role: "user", content: "What is the capital of France?" }];
  assert.equal((await worker.generate(messages)).text, "The capital of France is Paris.");
});

test("abort before anything was evaluated", async (context) => {
  const worker = await readyWorker(context);
  const generation = worker.generate(STORY, LONG_ANSWER);
  assert.equal(worker.abort(), true);
  assert.equal((await generation).stopReason, "abort");
  assert.ok(await stillAnswers(worker));
});

test("abort while the answer is written keeps what there is, and ends a loop without an error", async (context) => {
  const worker = await readyWorker(context);
  const attempt = async () => {
    await worker.createContext({ threads: 1 });
    const generation = worker.generate(STORY, LONG_ANSWER, () => worker.abort());
    let looped = "";
    for await (const chunk of generation) looped += chunk;
    return { looped, ...(await generation) };
  };
  const { looped, text, stopReason } = await untilInTime(attempt, (outcome) => outcome.stopReason === "abort");
  assert.equal(stopReason, "abort");
  assert.notEqual(text, "");
  assert.equal(looped, text);
  assert.ok(await stillAnswers(worker));
});

test("abort ends the waiting generations too, and says whether there was anything to end", async (context) => {
  const worker = await readyWorker(context);
  assert.equal(worker.abort(), false);
  const generations = [worker.generate(STORY), worker.generate(STORY)];
  assert.equal(worker.abort(), true);
  for (const { stopReason } of await Promise.all(generations)) assert.equal(stopReason, "abort");
  assert.equal(worker.abort(), false);
  assert.ok(await stillAnswers(worker));
});

test("the conversation goes on after an abort", async (context) => {
  const worker = await readyWorker(context);
  await worker.generate("My name is Ana.");
  const generation = worker.generate(STORY, LONG_ANSWER);
  worker.abort();
  await generation;
  assert.match((await worker.generate("What is my name?")).text, /Ana/);
});

test("leaving the loop ends the generation", async (context) => {
  const worker = await readyWorker(context);
  const attempt = async () => {
    await worker.createContext({ threads: 1 });
    const generation = worker.generate(STORY, LONG_ANSWER);
    for await (const _chunk of generation) break;
    return generation;
  };
  const { stopReason } = await untilInTime(attempt, (outcome) => outcome.stopReason === "abort");
  assert.equal(stopReason, "abort");
  assert.ok(await stillAnswers(worker));
});

/**
 * How many tokens of a conversation the worker has in memory. Looking changes what is said, so it comes last.
 *
 * @param {import("../index").LlamaWorker} worker
 * @param {string} answer to the story's prompt
 */
async function tokensInMemory(worker, answer) {
  const messages = [
    { role: "user", content: STORY },
    { role: "assistant", content: answer },
    { role: "user", content: CAPITAL.question },
  ];
  return (await worker.generate(messages, { maxTokens: 1 })).usage.cachedTokens;
}

test("a signal stops the model itself, long before its answer is complete", async (context) => {
  const worker = await readyWorker(context);
  const { text, usage } = await worker.generate(STORY);
  const complete = await tokensInMemory(worker, text);
  assert.ok(complete > usage.totalTokens * 0.95, `${complete} of ${usage.totalTokens}`);
  const attempt = async () => {
    await worker.createContext({ threads: 1 });
    const controller = new AbortController();
    const generation = worker.generate(STORY, { signal: controller.signal }, () => controller.abort());
    await generation.catch(() => {});
    return tokensInMemory(worker, text);
  };
  const stopped = await untilInTime(attempt, (tokens) => tokens < complete * 0.8);
  assert.ok(stopped < complete * 0.8, `${stopped} of ${complete}`);
});

test("a turn that a signal ended is not in the conversation", async (context) => {
  const worker = await readyWorker(context);
  const fresh = await worker.generate(CAPITAL.question, { maxTokens: 1 });
  const attempt = async () => {
    await worker.createContext({ threads: 1 });
    const controller = new AbortController();
    const generation = worker.generate(STORY, { signal: controller.signal }, () => controller.abort());
    return generation.then(
      () => "answered",
      (error) => error.name,
    );
  };
  assert.equal(await untilInTime(attempt, (outcome) => outcome === "AbortError"), "AbortError");
  const next = await worker.generate(CAPITAL.question, { maxTokens: 1 });
  assert.equal(next.usage.promptTokens, fresh.usage.promptTokens);
});

test("a signal that comes when the model has ended its answer changes nothing: result and conversation agree", async (context) => {
  const worker = await readyWorker(context);
  const controller = new AbortController();
  const looped = [];
  const generation = worker.generate(STORY, { signal: controller.signal }, (chunk) => {
    looped.push(chunk);
    block(looped.length === 1 ? 2000 : 0);
    controller.abort();
  });
  const { text, stopReason, usage } = await generation;
  assert.equal(stopReason, "eogToken");
  assert.equal(looped.join(""), text);
  const next = await worker.generate(CAPITAL.question, { maxTokens: 1 });
  assert.ok(next.usage.promptTokens > usage.totalTokens);
});

test("a callback that throws when the model has ended its answer rejects all the same", async (context) => {
  const worker = await readyWorker(context);
  const thrown = new TypeError("in the callback");
  const generation = worker.generate(CAPITAL.question, {}, () => {
    block(300);
    throw thrown;
  });
  await assert.rejects(generation, (error) => error === thrown);
  assert.ok(await stillAnswers(worker));
});

test("a signal that comes when the model is loaded changes nothing", async (context) => {
  const worker = await loadedWorker(context);
  const controller = new AbortController();
  const load = worker.loadModel(builtInModelPath, {
    signal: controller.signal,
    onProgress: () => {
      if (!controller.signal.aborted) block(300);
      controller.abort();
    },
  });
  assert.equal((await load).name, "tiny-chat.gguf");
  assert.ok(await stillAnswers(worker));
});

test("a signal that throws when it is asked to listen rejects with what it threw", async (context) => {
  const worker = await readyWorker(context);
  const thrown = new Error("from the signal");
  const addEventListener = () => {
    throw thrown;
  };
  const signal = /** @type {any} */ ({ aborted: false, addEventListener, removeEventListener() {} });
  await assert.rejects(worker.generate(STORY, { signal }), (error) => error === thrown);
  assert.ok(await stillAnswers(worker));
});

test("a signal that is aborted already rejects with its reason and starts nothing", async (context) => {
  const worker = await readyWorker(context);
  const reason = new Error("changed my mind");
  const signal = AbortSignal.abort(reason);
  const chunks = [];
  await assert.rejects(
    worker.generate(STORY, { signal }, (chunk) => chunks.push(chunk)),
    (error) => error === reason,
  );
  await assert.rejects(worker.loadModel(builtInModelPath, { signal }), (error) => error === reason);
  assert.deepEqual(chunks, []);
  assert.ok(await stillAnswers(worker));
});

test("a signal aborted later rejects with its own reason, in the loop as well", async (context) => {
  const worker = await readyWorker(context);
  const reason = { not: "even an error" };
  const controller = new AbortController();
  const generation = worker.generate(STORY, { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(generation, (error) => error === reason);
  await assert.rejects(
    async () => {
      for await (const _chunk of generation);
    },
    (error) => error === reason,
  );
  assert.equal(getEventListeners(controller.signal, "abort").length, 0);
  assert.ok(await stillAnswers(worker));
});

test("after a signal was aborted no callback is called any more", async (context) => {
  const worker = await readyWorker(context);
  const attempt = async () => {
    await worker.createContext({ threads: 1 });
    const controller = new AbortController();
    let calls = 0;
    const abortAtOnce = () => {
      calls += 1;
      controller.abort();
    };
    const generation = worker.generate(STORY, { signal: controller.signal }, abortAtOnce);
    const outcome = await generation.catch((error) => error);
    return { calls, name: outcome.name };
  };
  const outcome = await untilInTime(attempt, ({ name }) => name === "AbortError");
  assert.deepEqual(outcome, { calls: 1, name: "AbortError" });
});

test("a signal that is never aborted is let go at the end", async (context) => {
  const worker = await readyWorker(context);
  const { signal } = new AbortController();
  await worker.generate("What is the capital of France?", { signal });
  await worker.loadModel(builtInModelPath, { signal });
  await assert.rejects(worker.generate(STORY, { signal }), { code: "CONTEXT_NOT_CREATED" });
  assert.equal(getEventListeners(signal, "abort").length, 0);
});

test("a signal ends a load, and the worker loads again", async (context) => {
  const worker = await loadedWorker(context);
  const reason = new Error("too slow");
  const attempt = async () => {
    const controller = new AbortController();
    const load = worker.loadModel(builtInModelPath, { signal: controller.signal });
    controller.abort(reason);
    return load.catch((error) => error);
  };
  assert.equal(await untilInTime(attempt, (outcome) => outcome === reason), reason);
  await worker.loadModel(builtInModelPath);
  assert.ok(await stillAnswers(worker));
});

test("a signal that comes after abort() adds nothing to it", async (context) => {
  const worker = await readyWorker(context);
  const controller = new AbortController();
  const generation = worker.generate(STORY, { signal: controller.signal });
  assert.equal(worker.abort(), true);
  controller.abort();
  assert.equal((await generation).stopReason, "abort");
});

test("a signal ends its own generation only", async (context) => {
  const worker = await readyWorker(context);
  const controller = new AbortController();
  const first = worker.generate("My name is Ana.");
  const second = worker.generate(STORY, { signal: controller.signal });
  controller.abort();
  await assert.rejects(second, { name: "AbortError" });
  assert.equal((await first).stopReason, "eogToken");
});

for (const callback of ["onToken", "onTextChunk"]) {
  test(`what ${callback} throws ends the generation and is what it rejects with`, async (context) => {
    const worker = await readyWorker(context);
    const thrown = new TypeError("in the callback");
    let calls = 0;
    const fail = () => {
      calls += 1;
      throw thrown;
    };
    const generation =
      callback === "onToken" ? worker.generate(STORY, {}, fail) : worker.generate(STORY, { onTextChunk: fail });
    await assert.rejects(generation, (error) => error === thrown);
    assert.equal(calls, 1);
    assert.ok(await stillAnswers(worker));
  });
}

test("what onProgress throws ends the load and is what it rejects with", async (context) => {
  const worker = await loadedWorker(context);
  const thrown = new TypeError("in the callback");
  const onProgress = () => {
    throw thrown;
  };
  await assert.rejects(worker.loadModel(builtInModelPath, { onProgress }), (error) => error === thrown);
  await worker.loadModel(builtInModelPath);
  assert.ok(await stillAnswers(worker));
});
