/**
 * `npm run audit`: known holes, licences and origins of what is built in. For CI, where there is a network; a tool that is not installed fails, and says how
 * to get it.
 */

"use strict";

const { ROOT } = require("./setup");
const { runVisibly } = require("./setup/command");
const { thisMachine } = require("./setup/machine");
const { StepFailed, runScript } = require("./setup/step-failed");

runScript(async () => {
  if (!thisMachine().hasCommand("cargo-deny"))
    throw new StepFailed("`cargo-deny` is not installed; `cargo install --locked cargo-deny` installs it");
  await runVisibly("cargo", ["deny", "--locked", "check"], { cwd: ROOT });
  // Only development tools are from npm: the published package has no dependencies.
  await runVisibly("npm", ["audit", "--audit-level=high"], { cwd: ROOT });
});
