/** What a side keeps in memory beside the weights and the keys and values, which are the same for all. */

"use strict";

const { spawn } = require("node:child_process");
const { setTimeout: sleep } = require("node:timers/promises");
const { residentBytes } = require("../machine");
const { kvBytes } = require("../models");
const { addonAnd } = require("./sides");

const CONTEXT_SIZE = 4096;
const PROMPT_TOKENS = 512;
const MEGABYTE = 1e6;

const memory = {
  name: "memory",
  models: ["135m", "tiny"],
  async run(bench, model) {
    const entry = {
      title: "memory above weights, keys and values",
      unit: "MB",
      better: "less",
      subject: "addon",
      samples: {},
      targets: [
        { text: "≤ raw + 30 MB", over: ["raw"], difference: true, atMost: 30 },
        { text: "≤ raw + an empty Node.js + 30 MB", over: ["raw and Node.js"], difference: true, atMost: 30 },
      ],
    };
    if (residentBytes(process.pid) === undefined) return [{ ...entry, missing: "this system does not tell it" }];
    const node = (await emptyNode()) / MEGABYTE;
    const measures = {};
    for (const kind of addonAnd("raw", bench)) measures[kind] = () => above(bench, model, kind);
    const samples = await bench.rounds(measures, { rounds: 1, warmUp: false });
    samples["raw and Node.js"] = samples.raw.map((megabytes) => megabytes + node);
    return [{ ...entry, samples, note: `an empty Node.js process has ${node.toFixed(0)} MB` }];
  },
};

/** After a prompt and an answer. */
async function above(bench, model, kind) {
  const side = await bench.side(kind, model, { contextSize: CONTEXT_SIZE });
  const request = { prompt: bench.prompt(model, PROMPT_TOKENS, 9), count: bench.count(model) };
  await bench.generate(side, model, request);
  const bytes = residentBytes(side.pid, model.file) - kvBytes(model, CONTEXT_SIZE);
  await bench.close(side);
  return bytes / MEGABYTE;
}

async function emptyNode() {
  const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], { stdio: ["pipe", "ignore", "ignore"] });
  await sleep(500);
  const bytes = residentBytes(child.pid);
  child.stdin.end();
  await new Promise((resolve) => child.once("close", resolve));
  return bytes;
}

module.exports = { memory };
