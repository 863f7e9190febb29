/**
 * The child's end of a side: takes requests as lines of JSON on standard input and answers each with one on standard output.
 *
 * `{ id, do, … }` → `{ id, value }` or `{ id, error }`, one after the other. Ends with its standard input, also in the middle of an answer: a
 * bench that was stopped leaves nobody behind who would slow down the next one. What libraries print on standard output is no JSON with an
 * id, and the other end skips it.
 */

"use strict";

const readline = require("node:readline");

/** @param {Record<string, (request: any) => unknown>} commands */
async function serve(commands) {
  const lines = readline.createInterface({ input: process.stdin });
  // Not merely when nothing is left to do: a peer may keep the process alive with what it never frees.
  lines.once("close", () => process.exit());
  for await (const line of lines) {
    const request = JSON.parse(line);
    const reply = await answer(commands, request);
    process.stdout.write(`${JSON.stringify({ id: request.id, ...reply })}\n`);
  }
}

async function answer(commands, request) {
  try {
    if (!commands[request.do]) throw new Error(`this side does not know \`${request.do}\``);
    return { value: (await commands[request.do](request)) ?? null };
  } catch (error) {
    return { error: error?.message ?? String(error), code: error?.code };
  }
}

module.exports = { serve };
