/**
 * `npm run test:processors`: the packaged binaries on old processors, emulated by qemu: the right variant is chosen, no instruction is illegal.
 *
 * Takes what `npm run package` left in `dist/`, and makes it first when there is nothing. Linux on x64 only.
 */

"use strict";

require("./setup/node-version").requireNode();

const fs = require("node:fs");
const path = require("node:path");
const { ROOT } = require("./setup");
const { runQuietly, runVisibly } = require("./setup/command");
const { thisMachine } = require("./setup/machine");
const { StepFailed, runScript } = require("./setup/step-failed");
const { installWithApt } = require("./setup/system-packages");

const FOLDER = path.join(ROOT, "target", "processors");
const EMULATOR = "qemu-x86_64";
const NAME = "llama-worker-linux-x64-gnu";

/** @returns {string} the newest package in `dist/` */
function packedAddon() {
  const { version } = JSON.parse(fs.readFileSync(path.join(ROOT, "package.json"), "utf8"));
  return path.join(ROOT, "dist", `${NAME}-${version}.tgz`);
}

async function requireEmulator() {
  const machine = thisMachine();
  if (machine.hasCommand(EMULATOR)) return;
  if (!machine.isDebian || !(machine.isRoot || machine.hasCommand("sudo")))
    throw new StepFailed(`\`${EMULATOR}\` is not installed: get it with your system's package manager (qemu-user)`);
  await installWithApt(["qemu-user"], machine.isRoot);
}

runScript(async () => {
  if (process.platform !== "linux" || process.arch !== "x64") throw new StepFailed("these tests are for Linux on x64");
  await requireEmulator();
  if (!fs.existsSync(packedAddon()))
    await runVisibly(process.execPath, [path.join(__dirname, "package.js")], { cwd: ROOT });
  fs.rmSync(FOLDER, { recursive: true, force: true });
  fs.mkdirSync(FOLDER, { recursive: true });
  await runQuietly("tar", ["-xzf", packedAddon(), "-C", FOLDER]);
  await runVisibly(
    process.execPath,
    ["--test", "--test-reporter=spec", path.join(__dirname, "processors", "processors.test.js")],
    {
      environment: { EMULATOR, LLAMA_WORKER_NATIVE_DIR: path.join(FOLDER, "package") },
    },
  );
});
