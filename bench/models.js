/**
 * The models that are measured: their shapes, and the files of random weights that `crates/engine/examples/bench-model` makes of them.
 *
 * Speed depends on the shape and on the number format, not on what the weights say. Nothing is downloaded.
 */

"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { spawnSync } = require("node:child_process");
const { ROOT, libraryVariable, made, nativeFolder } = require("./folders");
const { exampleProgram } = require("./programs");

/** Change it when `bench-model` makes something else of the same description. */
const GENERATION = 1;

/** ChatML, which all programs that are compared understand without guessing. */
const TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

const COMMON = {
  // More than the originals were trained with, for the rows with a long context.
  contextSize: 32768,
  consonants: "bcdfghjklmnprstvwxyz",
  vowels: "aeiou",
  template: TEMPLATE,
  period: 0,
};

const SMALL = { layers: 30, embedding: 576, heads: 9, kvHeads: 3, feedForward: 1536, vocabulary: 49152, isTied: true };
const TINY = { layers: 2, embedding: 256, heads: 4, kvHeads: 2, feedForward: 512, vocabulary: 2048, isTied: true };

/** `tokens`: how many are generated in one measurement. */
const MODELS = {
  "135m": {
    title: "135M Q8_0",
    tokens: 128,
    description: { ...COMMON, ...SMALL, name: "random 135M", quantization: "Q8_0" },
  },
  "1.1b": {
    title: "1.1B Q4_K_M",
    tokens: 32,
    description: {
      ...COMMON,
      name: "random 1.1B",
      layers: 22,
      embedding: 2048,
      heads: 32,
      kvHeads: 4,
      feedForward: 5632,
      vocabulary: 32000,
      isTied: false,
      quantization: "Q4_K_M",
    },
  },
  /** Says the same 64 words over and over. */
  repeating: {
    title: "135M Q8_0, repeating itself",
    tokens: 256,
    description: { ...COMMON, ...SMALL, name: "repeating 135M", isTied: false, quantization: "Q8_0", period: 64 },
  },
  tiny: {
    title: "tiny Q8_0",
    tokens: 24,
    description: { ...COMMON, ...TINY, name: "random tiny", consonants: "bdkm", quantization: "Q8_0" },
  },
  "repeating-tiny": {
    title: "tiny Q8_0, repeating itself",
    tokens: 48,
    description: {
      ...COMMON,
      ...TINY,
      name: "repeating tiny",
      consonants: "bdkm",
      isTied: false,
      quantization: "Q8_0",
      period: 16,
    },
  },
  builtin: { title: "built-in 2M", tokens: 1500, file: path.join(ROOT, "models", "tiny-chat", "tiny-chat.gguf") },
};

/** The model's file, made if it is not there. */
function ensureModel(name, cache, say) {
  const model = MODELS[name];
  if (!model) throw new Error(`unknown model \`${name}\`, expected ${Object.keys(MODELS).join(", ")}`);
  if (model.file) return { name, ...model };
  const text = JSON.stringify(model.description);
  const hash = crypto.createHash("sha256").update(`${GENERATION} ${text}`).digest("hex").slice(0, 12);
  const file = path.join(made(cache, "models"), `${name}-${hash}.gguf`);
  if (!fs.existsSync(file)) makeModel(file, text, `${name} (${model.title})`, say);
  return { name, ...model, file };
}

function makeModel(file, description, title, say) {
  say(`making the model ${title}`);
  const described = `${file}.json`;
  fs.writeFileSync(described, description);
  const { status, stderr, error } = spawnSync(exampleProgram("bench-model"), [described, file], {
    env: { ...process.env, [libraryVariable()]: nativeFolder() },
    stdio: ["ignore", "ignore", "pipe"],
    maxBuffer: 1 << 26,
    encoding: "utf8",
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`the model ${title} could not be made: ${stderr.trim().split("\n").at(-1)}`);
}

/** Bytes of keys and values for `tokens` tokens, in the half precision that all sides use by default. */
function kvBytes({ description }, tokens) {
  const { layers, embedding, heads, kvHeads } = description;
  return tokens * layers * 2 * (embedding / heads) * kvHeads * 2;
}

module.exports = { MODELS, ensureModel, kvBytes };
