/**
 * `npm run test:processors`: the packaged binaries on old processors, emulated by qemu: the right variant is chosen, no instruction is illegal.
 *
 * Takes what `npm run package` left in `dist/`, and makes it first when there is nothing, or what other sources made. Linux on x64 only.
 */

"use strict";

require("./setup/node-version").requireNode();

const path = require("node:path");
const { packedComplaint, unpackPacked } = require("./package/packed");
const { ROOT } = require("./setup");
const { runVisibly } = require("./setup/command");
const { thisMachine } = require("./setup/machine");
const { StepFailed, runScript } = require("./setup/step-failed");
const { installWithApt } = require("./setup/system-packages");

const FOLDER = path.join(ROOT, "target", "processors");
const EMULATOR = "qemu-x86_64";
const NAME = "llama-worker-linux-x64-gnu";

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
  if (await packedComplaint(ROOT, NAME, "addon"))
    await runVisibly(process.execPath, [path.join(__dirname, "package.js")], { cwd: ROOT });
  await unpackPacked(ROOT, NAME, "addon", FOLDER);
  await runVisibly(
    process.execPath,
    ["--test", "--test-reporter=spec", path.join(__dirname, "processors", "processors.test.js")],
    {
      environment: { EMULATOR, LLAMA_WORKER_NATIVE_DIR: FOLDER },
    },
  );
});
