/**
 * The child's end of a side: takes requests as lines of JSON on standard input and answers each with one on standard output.
 *
 * `{ id, do, … }` → `{ id, value }` or `{ id, error }`, one after the other. Ends with its standard input. What libraries print on
 * standard output is no JSON with an id, and the other end skips it.
 */

"use strict";

const readline = require("node:readline");

/** @param {Record<string, (request: any) => unknown>} commands */
async function serve(commands) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const reply = await answer(commands, request);
    process.stdout.write(`${JSON.stringify({ id: request.id, ...reply })}\n`);
  }
  // A peer may keep the process alive with what it never frees.
  process.exit();
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
