/**
 * Our addon and those of node-llama-cpp and @fugood/llama.node in one process, each with a copy of llama.cpp of its own version: all answer the same
 * question, in the order of the arguments, and ours once more at the end.
 *
 * Each is loaded when its turn comes, and says with its answer which addons the process has then.
 */

import fs from "node:fs";
import { createRequire } from "node:module";
import { builtInModelPath, LlamaWorker } from "llama-worker";

const QUESTION = "What is the capital of France?";
const LONGEST = 24;

/** As the model's own template writes it; asking our addon would load it before its turn. */
const PROMPT = `<|im_start|>user\n${QUESTION}<|im_end|>\n<|im_start|>assistant\n`;

/** @type {LlamaWorker | undefined} */
let worker;

async function ourWorker() {
  const made = new LlamaWorker();
  await made.init({ gpu: false, numThreads: 1 });
  await made.loadModel(builtInModelPath);
  await made.createContext({ threads: 1 });
  return made;
}

/** @returns {string[]} the addons that this process has mapped, by the package that each is of */
function addons() {
  const maps = fs.readFileSync("/proc/self/maps", "utf8");
  const packages = [...maps.matchAll(/\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?:[^\n]*\/)?[^\n/]+\.node$/gm)];
  return [...new Set(packages.map(([, name]) => name))].sort();
}

/** @type {Record<string, () => Promise<{ text: string, end: () => unknown }>>} */
const NEIGHBOURS = {
  async "llama-worker"() {
    worker ??= await ourWorker();
    const session = await worker.createSession();
    const { text } = await session.generate(QUESTION);
    return { text, end: () => session.dispose() };
  },
  async "node-llama-cpp"() {
    // Only there where these tests are run.
    const name = /** @type {string} */ ("node-llama-cpp");
    const { getLlama, LlamaLogLevel } = await import(name);
    const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.error });
    const model = await llama.loadModel({ modelPath: builtInModelPath });
    const context = await model.createContext({ contextSize: 512 });
    const tokens = [];
    for await (const token of context.getSequence().evaluate(model.tokenize(PROMPT, true), { temperature: 0 })) {
      if (model.isEogToken(token) || tokens.length === LONGEST) break;
      tokens.push(token);
    }
    return { text: model.detokenize(tokens), end: () => llama.dispose() };
  },
  async "@fugood/llama.node"() {
    const { loadModel } = createRequire(import.meta.url)("@fugood/llama.node");
    const context = await loadModel({ model: builtInModelPath, n_ctx: 512, n_gpu_layers: 0 });
    const { text } = await context.completion({ prompt: PROMPT, temperature: 0, n_predict: LONGEST });
    return { text, end: () => context.release() };
  },
};

const ends = [];
for (const name of [...process.argv.slice(2), "llama-worker"]) {
  const { text, end } = await NEIGHBOURS[name]();
  console.log(`ANSWER ${JSON.stringify({ name, text: text.trim(), addons: addons() })}`);
  ends.push(end);
}
for (const end of ends) await end();
await worker?.cleanup();
