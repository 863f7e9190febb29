/**
 * `npm run test:electron`: the example app in a real Electron under a virtual display.
 *
 * The Electron that can be had from package registries is 9.4.1: its main process, pages, ports, archives and ends are real, `utilityProcess` and what
 * its Node.js lacks are played (`scripts/electron/old/`). Linux on x64 only.
 */

"use strict";

require("./setup/node-version").requireNode();

const { spawn } = require("node:child_process");
const path = require("node:path");
const { makeApp } = require("./electron/app");
const { fetchElectron } = require("./electron/tools");
const { ROOT, setUp } = require("./setup");
const { runQuietly, runVisibly } = require("./setup/command");
const { thisMachine } = require("./setup/machine");
const { say } = require("./setup/report");
const { StepFailed, runScript } = require("./setup/step-failed");

const FOLDER = path.join(ROOT, "target", "electron");
const PLATFORM = "linux-x64-gnu";

/** @returns {Promise<{ display: string, stop: () => void }>} */
function startDisplay() {
  // It chooses a free number and says which.
  const server = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1024x768x24", "-nolisten", "tcp"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("exit", () => reject(new StepFailed("Xvfb ended before it had a display")));
    /** @type {any} */ (server.stdio[3]).once("data", (/** @type {Buffer} */ number) =>
      resolve({ display: `:${number.toString().trim()}`, stop: () => void server.kill() }),
    );
  });
}

runScript(async () => {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new StepFailed("the Electron of these tests is for Linux on x64");
  await setUp();
  const program = await fetchElectron(path.join(FOLDER, "electron"), thisMachine());
  say("making the app");
  const { plain, archive } = await makeApp(ROOT, path.join(FOLDER, "app"), PLATFORM);
  const preload = path.join(FOLDER, "node-api-8.so");
  await runQuietly("cc", ["-shared", "-fPIC", "-o", preload, path.join(__dirname, "electron", "old", "node-api-8.c")]);
  const { display, stop } = await startDisplay();
  try {
    await runVisibly(
      process.execPath,
      ["--test", "--test-reporter=spec", path.join(__dirname, "electron", "electron.test.js")],
      {
        environment: {
          DISPLAY: display,
          ELECTRON: program,
          ELECTRON_APP: plain,
          ELECTRON_ARCHIVE: archive,
          ELECTRON_PRELOAD: preload,
        },
      },
    );
  } finally {
    stop();
  }
});
