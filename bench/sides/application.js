/** What an application does beside generating: keeps JavaScript busy, and notices when its event loop stands still. */

"use strict";

const { monitorEventLoopDelay, performance } = require("node:perf_hooks");
const { setTimeout: sleep } = require("node:timers/promises");

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

/** Runs `work` and returns the longest time, in milliseconds, by which the event loop was late. */
async function longestStall(work) {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  // The first sample counts from `enable`; without a turn in between it would show this function's own start.
  await sleep(20);
  delays.reset();
  await work();
  await sleep(5);
  delays.disable();
  return delays.max / 1e6;
}

module.exports = { keepBusy, longestStall };
