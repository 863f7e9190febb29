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

/**
 * @param {string} name
 * @param {(text: string) => string} change
 */
function edit(name, change) {
  const file = path.join(ROOT, name);
  fs.writeFileSync(file, change(fs.readFileSync(file, "utf8")));
}

runScript(async () => {
  const version = args[0] ?? "";
  if (!VERSION.test(version)) throw new StepFailed(`\`${version}\` is no version, expected one like 0.2.0`);
  const date = new Date().toISOString().slice(0, 10);
  // First, because it refuses when there is nothing to release.
  edit("CHANGELOG.md", (text) => releaseChangelog(text, version, date));
  for (const name of [
    "package.json",
    "package-lock.json",
    "Cargo.toml",
    "Cargo.lock",
    "examples/electron-chat/package.json",
  ]) {
    edit(name, (text) => setVersion(name, text, version));
  }
  const checkout = JSON.parse(fs.readFileSync(path.join(ROOT, "package.json"), "utf8"));
  for (const { name, text } of committedFiles(checkout)) fs.writeFileSync(path.join(ROOT, name), text);
  const next = `git commit -am "release: ${version}" && git tag v${version} && git push --follow-tags`;
  process.stdout.write(`everything is ${version} now. Look at the changes, then:\n${next}\n`);
});
