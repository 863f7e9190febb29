/**
 * The npm packages of package-lock.json: the tools that build and check the project. The addon itself needs none.
 *
 * Never changes the lock file and runs no package's install script.
 */

"use strict";

const path = require("node:path");
const { npmCommand, runQuietly } = require("./command");
const { say, withProgress } = require("./report");
const { hashInputs, readStamp, writeStamp } = require("./stamp");

/** @param {string} root */
async function installNpmPackages(root) {
  // Inside the folder that `npm ci` empties, so that it never outlives what it speaks of.
  const stampFile = path.join(root, "node_modules", ".setup-stamp.json");
  const lock = hashInputs(root, ["package-lock.json"], [process.platform, process.arch]);
  if (readStamp(stampFile).lock === lock) return;
  say("installing npm packages");
  const [command, args] = npmCommand(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
  const install = () => runQuietly(command, args, { cwd: root, failure: "`npm ci` failed" });
  await withProgress(() => "npm ci", install);
  writeStamp(stampFile, { lock });
}

module.exports = { installNpmPackages };
