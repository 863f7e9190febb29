/** What every side in JavaScript measures in the same way, over its own functions. */

"use strict";

const { performance } = require("node:perf_hooks");
const { setTimeout: sleep } = require("node:timers/promises");
const { longestStall } = require("./application");

/** From before the import, which `load` does, to the first token. */
function coldStart(load, generate) {
  return async ({ prompt, ...settings }) => {
    const start = performance.now();
    const { phases } = await load(settings);
    const loadedMs = performance.now() - start;
    await generate({ prompt, count: 1 });
    const ms = performance.now() - start;
    return { ms, phases: { ...phases, "first token": ms - loadedMs } };
  };
}

/**
 * How long the event loop stood still, from before the import to the end.
 *
 * @param {{ importLibrary: () => unknown, load: (settings: any) => Promise<unknown>,
 *   stream: (request: { prompt: string, count: number }) => Promise<unknown>, cleanup: () => Promise<unknown> }} side
 */
function stalls({ importLibrary, load, stream, cleanup }) {
  return async ({ prompt, count, ...settings }) => {
    const phases = {};
    phases.import = await longestStall(importLibrary);
    phases.load = await longestStall(() => load(settings));
    phases.generate = await longestStall(() => stream({ prompt, count }));
    phases.cleanup = await longestStall(cleanup);
    return { phases, longestMs: Math.max(...Object.values(phases)) };
  };
}

/** How long the event loop of a program stands still that does nothing: what the system takes, and what the measure itself adds. */
function idleStall({ ms }) {
  return longestStall(() => sleep(ms));
}

/** How long each of some waits is: spread evenly, in an order that looks random and is the same in every run. */
function delay(round, seed, longestMs) {
  const goldenRatio = 0.618;
  return ((round * goldenRatio + seed) % 1) * longestMs;
}

module.exports = { coldStart, delay, idleStall, stalls };
