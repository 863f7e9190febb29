/**
 * The edits of a release, as functions from text to text.
 *
 * Each file is changed at the one place where it tells our own version; another package of the same version stays as it is.
 */

"use strict";

const { StepFailed } = require("../setup/step-failed");

const NEW = (/** @type {string} */ version) => `$<before>"${version}"`;

/** @type {Record<string, RegExp>} */
const PLACES = {
  "package.json": /(?<before>^ {2}"version": )"[^"]+"/m,
  "Cargo.toml": /(?<before>\[workspace\.package\]\nversion = )"[^"]+"/,
  "examples/electron-chat/package.json": /(?<before>"llama-worker": )"[^"]+"/,
  "Cargo.lock": /(?<before>name = "llama-worker(?:-engine)?"\nversion = )"[^"]+"/g,
};

/**
 * @param {string} file its name
 * @param {string} text
 * @param {string} version
 */
function setVersion(file, text, version) {
  if (file === "package-lock.json") return setLockVersion(text, version);
  const place = PLACES[file];
  if (text.search(place) < 0) throw new StepFailed(`\`${file}\` has no version to set`);
  return text.replace(place, NEW(version));
}

/**
 * @param {string} text
 * @param {string} version
 */
function setLockVersion(text, version) {
  const lock = JSON.parse(text);
  lock.version = version;
  lock.packages[""].version = version;
  return `${JSON.stringify(lock, null, 2)}\n`;
}

/**
 * @param {string} text
 * @param {string} version
 * @param {string} date
 */
function releaseChangelog(text, version, date) {
  const open = /^## Unreleased\n(?<entries>[\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(text);
  if (!open?.groups) throw new StepFailed("the changelog has no `## Unreleased`");
  const entries = open.groups.entries.trim();
  if (entries === "") throw new StepFailed("the changelog has nothing under `## Unreleased`");
  const closed = `## Unreleased\n\n## ${version} - ${date}\n\n${entries}\n\n`;
  return `${(text.slice(0, open.index) + closed + text.slice(open.index + open[0].length)).trimEnd()}\n`;
}

module.exports = { releaseChangelog, setVersion };
