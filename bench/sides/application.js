/** What an application does beside generating: keeps JavaScript busy, and notices when its event loop stands still. */

"use strict";

const { monitorEventLoopDelay, performance } = require("node:perf_hooks");
const { setTimeout: sleep } = require("node:timers/promises");

/** A few turns of an idle event loop. */
const SETTLE_MS = 10;

/** How often the event loop has to turn while it is watched. */
const TURN_MS = 1;

/** Keeps the event loop busy in slices, as one that draws frames does, until the function that it returns is called. */
function keepBusy(sliceMs) {
  let isBusy = true;
  const slice = () => {
    const end = performance.now() + sliceMs;
    while (performance.now() < end);
    if (isBusy) setImmediate(slice);
  };
  setImmediate(slice);
  return () => {
    isBusy = false;
  };
}

/**
 * Runs `work` and returns the longest time, in milliseconds, by which the event loop was late. What is watched is how far apart its turns
 * are: a loop that nothing delays has gaps of `TURN_MS`.
 */
async function longestStall(work) {
  const delays = monitorEventLoopDelay({ resolution: TURN_MS });
  delays.enable();
  await sleep(SETTLE_MS);
  delays.reset();
  // A reset forgets when the loop last turned: without a turn before it, a standstill at the very beginning would not be seen.
  await sleep(SETTLE_MS);
  await work();
  await sleep(SETTLE_MS);
  delays.disable();
  return Math.max(0, delays.max / 1e6 - TURN_MS);
}

module.exports = { keepBusy, longestStall };
