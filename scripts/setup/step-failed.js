/**
 * A step that failed for a reason a person can act on, and the one place that ends a script because of it.
 *
 * Any other error is a mistake in the scripts themselves and keeps its stack.
 */

"use strict";

class StepFailed extends Error {
  /**
   * @param {string} sentence what is wrong and what to do
   * @param {string} [output] the end of what the failed command printed
   */
  constructor(sentence, output = "") {
    super(sentence);
    this.output = output;
  }
}

/** @param {() => Promise<void>} script */
async function runScript(script) {
  try {
    await script();
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    if (error.output) process.stderr.write(`${error.output}\n\n`);
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

module.exports = { StepFailed, runScript };
