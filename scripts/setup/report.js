/**
 * What the setup tells the person who waits for it.
 *
 * Only on stderr: stdout belongs to what comes after the setup, as the answer of `npm start`. Decides nothing about when to speak.
 */

"use strict";

const SECOND = 1000;
/** In a log, a line now and then; on a terminal the line in place counts on. */
const LOG_INTERVAL = 30 * SECOND;
const CLEAR_LINE = "\r\x1b[2K";

/** @param {string} line */
function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * Shows that something long is still going on.
 *
 * @template T
 * @param {() => string} describe what is being done right now
 * @param {() => Promise<T>} work
 */
async function withProgress(describe, work) {
  const onTerminal = Boolean(process.stderr.isTTY);
  const start = Date.now();
  const line = () => `  ${describe()}, ${formatDuration(Date.now() - start)}`;
  const show = onTerminal ? () => process.stderr.write(`${CLEAR_LINE}${line()}`) : () => say(line());
  const timer = setInterval(show, onTerminal ? SECOND : LOG_INTERVAL);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (onTerminal) process.stderr.write(CLEAR_LINE);
  }
}

/** @param {number} milliseconds */
function formatDuration(milliseconds) {
  const seconds = Math.round(milliseconds / SECOND);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

module.exports = { formatDuration, say, withProgress };
