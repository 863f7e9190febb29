/** What a side keeps in memory beside the weights and the keys and values, which are the same for all. */

"use strict";

const { spawn } = require("node:child_process");
const { setTimeout: sleep } = require("node:timers/promises");
const { residentBytes } = require("../machine");
const { kvBytes } = require("../models");
const { median } = require("../statistics");
const { addonAnd } = require("./sides");

const CONTEXT_SIZE = 4096;
const PROMPT_TOKENS = 512;
const MEGABYTE = 1e6;
/** New ones for each side: a heap is never quite the same twice. */
const PROGRAMS = 3;

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
    const grown = [];
    for (const kind of addonAnd("raw", bench)) {
      measures[kind] = async () => {
        const { megabytes, growth } = await above(bench, model, kind);
        if (kind === "addon") grown.push(growth);
        return megabytes;
      };
    }
    const samples = await bench.rounds(measures, { rounds: PROGRAMS, peerRounds: 1, warmUp: false });
    samples["raw and Node.js"] = samples.raw.map((megabytes) => megabytes + node);
    return [
      {
        ...entry,
        samples,
        note: `an empty Node.js process has ${node.toFixed(0)} MB; the addon's grew by ${median(grown).toFixed(0)} MB since before the import`,
      },
    ];
  },
};

/** After a prompt and an answer; and by how much that is more than the same process had before it imported anything. */
async function above(bench, model, kind) {
  const side = bench.spawn(kind);
  // An answer of it says that the program runs.
  if (kind === "addon") await side.ask("turns", { count: 1, everyMs: 1 });
  const before = residentBytes(side.pid);
  await side.ask("load", bench.settings(kind, model, { contextSize: CONTEXT_SIZE }));
  const request = { prompt: bench.prompt(model, PROMPT_TOKENS, 9), count: bench.count(model) };
  await bench.generate(side, model, request);
  const bytes = residentBytes(side.pid, model.file) - kvBytes(model, CONTEXT_SIZE);
  await bench.close(side);
  return { megabytes: bytes / MEGABYTE, growth: (bytes - before) / MEGABYTE };
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
