/**
 * Runs the tests of the boundary against the package that `npm run package` left in `dist/`, instead of a developer's build.
 *
 * `node scripts/try-package.js api errors` runs only the named test files.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { ROOT } = require("./setup");
const { runVisibly } = require("./setup/command");
const { PLATFORMS } = require("./package/platforms");
const { tarballOf, unpackPacked } = require("./package/packed");
const { StepFailed, runScript } = require("./setup/step-failed");

const FOLDER = path.join(ROOT, "target", "tried");
const LONGEST_TEST_MS = 300_000;

/** @returns {string} a key of `PLATFORMS` */
function packedPlatform() {
  const { platform: system, arch } = process;
  const report = /** @type {any} */ (process.report.getReport());
  const here = report.header.glibcVersionRuntime ? "glibc" : "musl";
  const found = Object.entries(PLATFORMS).find(
    ([name, { os, cpu, libc = here }]) =>
      os === system && cpu === arch && libc === here && fs.existsSync(tarballOf(ROOT, `llama-worker-${name}`)),
  );
  if (!found) throw new StepFailed("there is no package of this platform in `dist/`: run `npm run package` first");
  return found[0];
}

/** @param {string[]} names */
function testFiles(names) {
  const all = fs.readdirSync(path.join(ROOT, "__test__")).filter((name) => name.endsWith(".test.js"));
  const chosen = names.length > 0 ? all.filter((name) => names.includes(name.replace(".test.js", ""))) : all;
  return chosen.sort().map((name) => `__test__/${name}`);
}

runScript(async () => {
  const platform = packedPlatform();
  const target = path.join(FOLDER, platform);
  await unpackPacked(ROOT, `llama-worker-${platform}`, "addon", target);
  const args = [
    "--test",
    `--test-timeout=${LONGEST_TEST_MS}`,
    "--test-reporter=spec",
    ...testFiles(process.argv.slice(2)),
  ];
  await runVisibly(process.execPath, args, { cwd: ROOT, environment: { LLAMA_WORKER_NATIVE_DIR: target } });
});
