/**
 * Runs before `npm pack` and `npm publish` in a checkout. Packing needs the model; publishing from here would be a mistake.
 *
 * Builds nothing and prints nothing when all is well. npm does not run it where the packed package is installed.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { StepFailed, runScript } = require("./setup/step-failed");

const args = process.argv.slice(2);
/** A folder that stands for the checkout, for the tests. */
const ROOT = path.resolve(args.find((argument) => !argument.startsWith("--")) ?? path.join(__dirname, ".."));
const MODEL = "models/tiny-chat/tiny-chat.gguf";

runScript(async () => {
  if (args.includes("--publish")) {
    throw new StepFailed(
      "a checkout is not published: its package.json does not name the platform packages. `npm run package` makes the tarballs, CI publishes them",
    );
  }
  if (!fs.existsSync(path.join(ROOT, MODEL))) throw new StepFailed(`the built-in model \`${MODEL}\` is missing`);
});
