/**
 * Runs the tests of the boundary against the package that `npm run package` left in `dist/`, instead of a developer's build.
 *
 * `node scripts/try-package.js api errors` runs only the named test files.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { ROOT } = require("./setup");
const { runQuietly, runVisibly } = require("./setup/command");
const { PLATFORMS } = require("./package/platforms");
const { readManifest } = require("./package/pack");
const { StepFailed, runScript } = require("./setup/step-failed");

const FOLDER = path.join(ROOT, "target", "tried");
const LONGEST_TEST_MS = 300_000;

/** @returns {{ platform: string, file: string }} */
function packed() {
  const { version } = readManifest(ROOT);
  const { platform: system, arch } = process;
  for (const [platform, { os, cpu }] of Object.entries(PLATFORMS)) {
    const file = path.join(ROOT, "dist", `llama-worker-${platform}-${version}.tgz`);
    if (os === system && cpu === arch && fs.existsSync(file)) return { platform, file };
  }
  throw new StepFailed("there is no package of this platform in `dist/`: run `npm run package` first");
}

/** @param {string[]} names */
function testFiles(names) {
  const all = fs.readdirSync(path.join(ROOT, "__test__")).filter((name) => name.endsWith(".test.js"));
  const chosen = names.length > 0 ? all.filter((name) => names.includes(name.replace(".test.js", ""))) : all;
  return chosen.sort().map((name) => `__test__/${name}`);
}

runScript(async () => {
  const { platform, file } = packed();
  const target = path.join(FOLDER, platform);
  fs.rmSync(target, { recursive: true, force: true });
  fs.mkdirSync(target, { recursive: true });
  await runQuietly("tar", ["-xzf", file, "-C", target, "--strip-components=1"]);
  const args = [
    "--test",
    `--test-timeout=${LONGEST_TEST_MS}`,
    "--test-reporter=spec",
    ...testFiles(process.argv.slice(2)),
  ];
  await runVisibly(process.execPath, args, { cwd: ROOT, environment: { LLAMA_WORKER_NATIVE_DIR: target } });
});
