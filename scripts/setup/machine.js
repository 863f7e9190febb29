/**
 * What the setup asks about the machine it runs on, so that a test can answer in its stead.
 *
 * Changes nothing but this process's own PATH.
 */

"use strict";

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

/**
 * @typedef {object} Machine
 * @property {NodeJS.Platform} platform
 * @property {boolean} isRoot
 * @property {boolean} isDebian Debian or made from it: apt-get is the way to install
 * @property {NodeJS.ProcessEnv} environment
 * @property {(name: string) => boolean} hasCommand
 * @property {(command: string) => string | undefined} versionLine the first line of `command --version`
 * @property {(folder: string) => string[]} filesIn names; none when there is no such folder
 */

/** @returns {Machine} */
function thisMachine() {
  addRustupToPath();
  return {
    platform: process.platform,
    isRoot: process.getuid?.() === 0,
    isDebian: fs.existsSync("/etc/debian_version"),
    environment: process.env,
    hasCommand: (name) => commandFile(name) !== undefined,
    versionLine,
    filesIn,
  };
}

/** A Rust installed a minute ago is not yet on the PATH of the shell it was installed from. */
function addRustupToPath() {
  const folder = path.join(process.env.CARGO_HOME ?? path.join(os.homedir(), ".cargo"), "bin");
  if (commandFile("cargo") || !fs.existsSync(folder)) return;
  process.env.PATH = [process.env.PATH, folder].filter(Boolean).join(path.delimiter);
}

/** @param {string} name */
function commandFile(name) {
  const endings = process.platform === "win32" ? [".exe", ".cmd", ".bat"] : [""];
  const folders = (process.env.PATH ?? "").split(path.delimiter).filter(Boolean);
  return folders.flatMap((folder) => endings.map((ending) => path.join(folder, name + ending))).find(isExecutable);
}

/** @param {string} file */
function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** @param {string} command */
function versionLine(command) {
  try {
    return execFileSync(command, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split(
      "\n",
    )[0];
  } catch {
    return undefined;
  }
}

/** @param {string} folder */
function filesIn(folder) {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}

module.exports = { thisMachine };
