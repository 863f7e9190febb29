/**
 * Runs the command line client in this terminal, as if it had been started where the user stands.
 *
 * Knows none of the client's options and does not set anything up.
 */

"use strict";

const { spawn } = require("node:child_process");
const { constants } = require("node:os");

/**
 * @param {string} script
 * @param {string[]} args
 * @returns {Promise<number>} its exit code, counted as shells do it when a signal ended it
 */
function runClient(script, args) {
  // npm goes to the package's folder before it runs a script, and says here where it came from.
  const cwd = process.env.INIT_CWD || process.cwd();
  const client = spawn(process.execPath, [script, ...args], { cwd, stdio: "inherit" });
  // Ctrl-C reaches the client by itself, and in a chat it only ends an answer.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => client.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    client.once("error", reject);
    client.once("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGTERM"]));
  });
}

module.exports = { runClient };
