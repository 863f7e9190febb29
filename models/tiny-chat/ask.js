/**
 * Answers the prompts of the evaluation through the project's own addon, greedily: JSON lines in, JSON lines out.
 *
 *     node ask.js MODEL < prompts.jsonl > answers.jsonl
 *
 * A prompt with `own` is replayed turn by turn, so that the history holds the model's own answers.
 */

"use strict";

const path = require("node:path");
const readline = require("node:readline");
const { LlamaWorker } = require(process.env.LLAMA_WORKER ?? path.join(__dirname, "..", "..", "js", "index.js"));

const { structured, written } = require("./conversation");

const OPTIONS = { temperature: 0, maxTokens: 700 };

/** The messages with the model's own words in place of the given answers. */
async function replayed(worker, messages) {
  const history = [];
  for (const message of messages) {
    if (message.role !== "assistant") history.push(message);
    else history.push({ role: "assistant", content: (await worker.generate(history, OPTIONS)).text });
  }
  return history;
}

/** The answer with its counts; a prompt that fails is answered with nothing and the error. */
async function answer(worker, messages, own) {
  try {
    const asked = own ? { messages: await replayed(worker, messages), tools: [] } : structured(messages);
    const result = await worker.generate(asked.messages, { ...OPTIONS, tools: asked.tools });
    const { stopReason, usage, timings } = result;
    const counts = { promptTokens: usage.promptTokens, tokens: usage.completionTokens, ms: timings.generationMs };
    return { text: written(result), stopReason, ...counts };
  } catch (error) {
    return { text: "", error: String(error) };
  }
}

async function main() {
  const worker = new LlamaWorker();
  await worker.init({ gpu: false, numThreads: 1 });
  await worker.loadModel({ modelPath: path.resolve(process.argv[2]) });
  await worker.createContext({ contextSize: 2048, threads: 1 });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { id, messages, own } = JSON.parse(line);
    console.log(JSON.stringify({ id, ...(await answer(worker, messages, own)) }));
  }
  await worker.cleanup();
}

main();
