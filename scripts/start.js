/** `npm start`: the setup, then the command line client with all arguments handed on. Adds nothing to the client's own output. */

"use strict";

require("./setup/node-version").requireNode();

const path = require("node:path");
const { runClient } = require("./client");
const { ROOT, setUp } = require("./setup");
const { runScript } = require("./setup/step-failed");

runScript(async () => {
  await setUp();
  process.exitCode = await runClient(path.join(ROOT, "js", "cli.js"), process.argv.slice(2));
});
