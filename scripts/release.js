/**
 * `npm run release -- 0.2.0`: gives everything one new version and closes the changelog's open part, in one step.
 *
 * Commits, tags and publishes nothing: it says what to type. CI publishes what is tagged.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { committedFiles } = require("./package/manifests");
const { releaseChangelog, setVersion } = require("./release/edits");
const { StepFailed, runScript } = require("./setup/step-failed");

const args = process.argv.slice(2);
const VERSION = /^\d+\.\d+\.\d+(-[\w.]+)?$/;
/** A folder that stands for the checkout, for the tests. */
const ROOT = path.resolve(args[1] ?? path.join(__dirname, ".."));

/** Each at the one place where it tells our version. */
const FILES = ["package.json", "package-lock.json", "Cargo.toml", "Cargo.lock", "examples/electron-chat/package.json"];

/** @param {string} name */
function read(name) {
  return fs.readFileSync(path.join(ROOT, name), "utf8");
}

runScript(async () => {
  const version = args[0] ?? "";
  if (!VERSION.test(version)) throw new StepFailed(`\`${version}\` is no version, expected one like 0.2.0`);
  const date = new Date().toISOString().slice(0, 10);
  // Nothing is written before everything is known: each of these may refuse.
  const changed = [
    { name: "CHANGELOG.md", text: releaseChangelog(read("CHANGELOG.md"), version, date) },
    ...FILES.map((name) => ({ name, text: setVersion(name, read(name), version) })),
    ...committedFiles({ ...JSON.parse(read("package.json")), version }),
  ];
  for (const { name, text } of changed) fs.writeFileSync(path.join(ROOT, name), text);
  // With a message, because git pushes no other tags along.
  const next = `git commit -am "release: ${version}" && git tag -a v${version} -m ${version} && git push --follow-tags`;
  process.stdout.write(`everything is ${version} now. Look at the changes, then:\n${next}\n`);
});
