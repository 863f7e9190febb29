/**
 * What a row has to measure with: models, sides that are programs of their own, and rounds in which the sides take turns.
 *
 * Knows no row and no target.
 */

"use strict";

const path = require("node:path");
const { performance } = require("node:perf_hooks");
const { setTimeout: sleep } = require("node:timers/promises");
const { libraryVariable, nativeFolder } = require("./folders");
const { ensureModel } = require("./models");
const { exampleProgram } = require("./programs");
const { promptFor } = require("./prompts");
const { PEERS } = require("./peers");
const { SideProcess } = require("./sides/process");
const { turnsOf } = require("./turns");

/** What all sides evaluate at once, which is the addon's default. */
const BATCH_SIZE = 512;

const LARGE_ROUNDS = 3;

/** What `--rounds` makes of those rows that have many short rounds. */
const PAIRS_PER_ROUND = 10;

/** A peer that takes longer for one turn has one counted turn: what it shows is no matter of a few percent. */
const LONG_TURN_MS = 10_000;

class Bench {
  #cache;
  #peersFolder;
  #say;
  /** @type {Set<SideProcess>} */
  #open = new Set();
  /** @type {Map<string, SideProcess>} a loaded addon for each model, which only counts tokens */
  #tokenizers = new Map();
  /** @type {Map<string, number[]>} */
  #tokens = new Map();

  constructor({ cache, peersFolder, sizes, threads, say }) {
    this.#cache = cache;
    this.#peersFolder = peersFolder;
    this.#say = say;
    /** @type {import("./options").Sizes} */
    this.sizes = sizes;
    /** The threads that every side gets where a row does not say otherwise. */
    this.threads = threads;
    /** The peers that are there. */
    this.peers = peersFolder ? PEERS : [];
    /** @type {Map<string, string>} peers that failed, with the reason of the first time */
    this.failures = new Map();
  }

  model(name) {
    return ensureModel(name, this.#cache, this.#say);
  }

  /** How many tokens one measurement generates. */
  count(model) {
    return Math.max(8, Math.round(model.tokens * this.sizes.share));
  }

  /** Where a few per cent decide and a round takes a second or two: two or five rounds say less than the machine's own changes of speed. */
  get pairedRounds() {
    return Math.min(this.sizes.pairs, PAIRS_PER_ROUND * this.sizes.rounds);
  }

  /** Fewer of what takes long with a large model. */
  roundsFor(model) {
    return model.name === "1.1b" ? Math.min(LARGE_ROUNDS, this.sizes.rounds) : this.sizes.rounds;
  }

  prompt(model, tokens, seed) {
    return promptFor(model, tokens, seed);
  }

  /** The prompt's tokens within the model's chat template. */
  async tokens(model, prompt) {
    const key = `${model.name} ${prompt}`;
    if (!this.#tokens.has(key)) this.#tokens.set(key, await (await this.#tokenizer(model)).ask("tokens", { prompt }));
    return this.#tokens.get(key);
  }

  async #tokenizer(model) {
    const known = this.#tokenizers.get(model.name);
    if (known) return known;
    const side = this.spawn("addon");
    this.#tokenizers.set(model.name, side);
    await side.ask("load", { model: model.file, contextSize: 256, threads: 1 });
    return side;
  }

  /** A side as a new program that has done nothing yet. */
  spawn(kind) {
    const side = new SideProcess(kind, ...this.#program(kind));
    this.#open.add(side);
    return side;
  }

  #program(kind) {
    const script = (name, ...args) => [process.execPath, [path.join(__dirname, "sides", name), ...args]];
    switch (kind) {
      case "addon":
        return script("llama-worker.js");
      case "raw":
        return [exampleProgram("raw"), [], { [libraryVariable()]: nativeFolder() }];
      case "node-llama-cpp":
        return script("node-llama-cpp.mjs", this.#peersFolder);
      case "llama.node":
        return script("llama-node.js", this.#peersFolder);
      default:
        throw new Error(`unknown side \`${kind}\``);
    }
  }

  /** What `load` is asked with. Threads of `null` are the side's own default, and so are sequences that a row does not give. */
  settings(kind, model, { contextSize = 2048, threads = this.threads, sequences } = {}) {
    const settings = { model: model.file, contextSize, threads: threads ?? undefined, sequences };
    if (kind !== "raw") return settings;
    return { ...settings, sequences: sequences ?? 1, batchSize: BATCH_SIZE, backends: nativeFolder() };
  }

  /** A side that has loaded the model. */
  async side(kind, model, options) {
    const side = this.spawn(kind);
    await side.ask("load", this.settings(kind, model, options));
    return side;
  }

  /** Several of them, by their kinds; `optionsFor` says with what each is loaded. */
  async loadedSides(kinds, model, optionsFor = () => ({})) {
    const sides = {};
    for (const kind of kinds)
      await this.spared(kind, async () => {
        sides[kind] = await this.side(kind, model, optionsFor(kind));
      });
    return sides;
  }

  /** A peer that fails costs its own figures and is reported; the addon and the raw loop must not fail. */
  async spared(kind, work) {
    try {
      await work();
      return true;
    } catch (error) {
      if (!PEERS.includes(kind)) throw error;
      this.#say(`left out: ${error.message}`);
      if (!this.failures.has(kind)) this.failures.set(kind, error.message.split("\n")[0]);
      return false;
    }
  }

  /** An answer of `count` tokens; the raw loop is given the tokens that the others make of the prompt. */
  async generate(side, model, { prompt, count, ...rest }) {
    if (side.name !== "raw") return side.ask("generate", { prompt, count, ...rest });
    return side.ask("decode", { tokens: await this.tokens(model, prompt), count });
  }

  async close(side) {
    this.#open.delete(side);
    await side.close();
  }

  /** At once, whatever they do. */
  kill() {
    for (const side of this.#open) side.kill();
  }

  async closeAll() {
    this.#tokenizers.clear();
    this.#tokens.clear();
    await Promise.all([...this.#open].map((side) => this.close(side)));
  }

  /**
   * Lets all measures take turns, see `turnsOf`, so that a drift of the machine's speed meets all alike. A first turn is not counted: pages come
   * into memory, and caches are filled. `peerRounds`: in how many of the counted rounds peers take part, the first ones.
   *
   * @param {Record<string, (round: number) => Promise<number>>} measures
   * @returns {Promise<Record<string, number[]>>}
   */
  async rounds(measures, { rounds = this.sizes.rounds, peerRounds = rounds, warmUp = true } = {}) {
    let names = Object.keys(measures);
    const samples = Object.fromEntries(names.map((name) => [name, []]));
    const leave = (name) => {
      names = names.filter((other) => other !== name);
    };
    for (let round = warmUp ? -1 : 0; round < rounds; round++) {
      const present = names.filter((name) => round < peerRounds || !PEERS.includes(name));
      for (const name of turnsOf(present, round, PEERS)) {
        await sleep(this.sizes.settleMs);
        const start = performance.now();
        const isDone = await this.spared(name, async () => {
          const value = await measures[name](round);
          if (round >= 0) samples[name].push(value);
        });
        if (!isDone) delete samples[name];
        const isLong = round >= 0 && PEERS.includes(name) && performance.now() - start > LONG_TURN_MS;
        if (!isDone || isLong) leave(name);
      }
    }
    return samples;
  }
}

module.exports = { BATCH_SIZE, Bench };
