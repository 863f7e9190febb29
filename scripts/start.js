/** `npm start`: the setup, then the command line client with all arguments handed on. Adds nothing to the client's own output. */

"use strict";

require("./setup/node-version").requireNode();

const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const path = require("node:path");
const { ROOT, setUp } = require("./setup");
const { runScript } = require("./setup/step-failed");

/** @param {string[]} args */
function runClient(args) {
  const client = spawn(process.execPath, [path.join(ROOT, "js", "cli.js"), ...args], { stdio: "inherit" });
  // Ctrl-C reaches the client by itself, and in a chat it only ends an answer.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => client.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    client.once("error", reject);
    client.once("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGTERM"]));
  });
}

runScript(async () => {
  await setUp();
  process.exitCode = await runClient(process.argv.slice(2));
});
