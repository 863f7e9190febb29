/**
 * Runs before `npm pack` and `npm publish`: a package without an addon or a model would install and never work.
 *
 * Builds nothing and prints nothing when all is there. npm does not run it where the packed package is installed.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { StepFailed, runScript } = require("./setup/step-failed");

/** A folder that stands for the checkout, for the tests. */
const ROOT = path.resolve(process.argv[2] ?? path.join(__dirname, ".."));
const MODEL = "models/tiny-chat/tiny-chat.gguf";

function hasAddon() {
  const platforms = fs.readdirSync(path.join(ROOT, "npm"));
  return platforms.some((name) => fs.existsSync(path.join(ROOT, "npm", name, "llama-worker.node")));
}

runScript(async () => {
  if (!hasAddon()) throw new StepFailed("there is no addon to pack under `npm/`: run `npm run build` first");
  if (!fs.existsSync(path.join(ROOT, MODEL))) throw new StepFailed(`the built-in model \`${MODEL}\` is missing`);
});
