/**
 * `npm run audit`: known holes, licences and origins of what is built in. For CI, where there is a network; a tool that is not installed fails, and says how
 * to get it, and so does a list of holes that cannot be reached. Every check runs, whatever the others say.
 */

"use strict";

const { ROOT } = require("./setup");
const { runVisibly } = require("./setup/command");
const { thisMachine } = require("./setup/machine");
const { StepFailed, runScript } = require("./setup/step-failed");

/** By name; only development tools are from npm: the published package has no dependencies. */
const CHECKS = {
  "licences, duplicates and origins of crates": ["cargo", "deny", "--locked", "check", "licenses", "bans", "sources"],
  "known holes in crates": ["cargo", "deny", "--locked", "check", "advisories"],
  "known holes in development tools": ["npm", "audit", "--audit-level=high"],
};

runScript(async () => {
  if (!thisMachine().hasCommand("cargo-deny"))
    throw new StepFailed("`cargo-deny` is not installed; `cargo install --locked cargo-deny` installs it");
  const failed = [];
  for (const [name, [command, ...args]] of Object.entries(CHECKS)) {
    const reason = await runVisibly(command, args, { cwd: ROOT }).then(
      () => undefined,
      (error) => error,
    );
    process.stdout.write(`${name}: ${reason ? "FAILED" : "passed"}\n`);
    if (reason) failed.push(name);
  }
  if (failed.length > 0) throw new StepFailed(`failed: ${failed.join("; ")}`);
});
