/**
 * An empty project into which the packages are installed as a user gets them: packed from this checkout, from tarballs, without scripts.
 *
 * Shared by the tests of the package; asserts nothing.
 */

"use strict";

const { execFile } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { promisify } = require("node:util");
const { nativeDirectory } = require("../js/binding");
const { packBinaries, packRoot } = require("../scripts/package/pack");
const { PLATFORMS } = require("../scripts/package/platforms");
const { HANG_MS } = require("./support");

const CHECKOUT = path.join(__dirname, "..");
/** The folder of this machine's platform below `npm/`. */
const PLATFORM = path.basename(nativeDirectory);

/** What npm told this process about our own package must not reach the npm of the empty project. */
function cleanEnvironment() {
  const foreign = /^(npm_|LLAMA_WORKER_NATIVE_DIR$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} [environment]
 * @returns {Promise<string>} what it printed; rejects when it fails or does not end by itself
 */
async function run(command, args, cwd, environment) {
  const shell = process.platform === "win32" && command !== process.execPath;
  const options = { cwd, env: { ...cleanEnvironment(), ...environment }, timeout: HANG_MS, shell };
  try {
    const { stdout } = await promisify(execFile)(command, args, options);
    return stdout;
  } catch (error) {
    // The output says why, and node's own message leaves stdout out.
    const { message, stdout } = /** @type {any} */ (error);
    throw new Error(`${message}\n${stdout ?? ""}`);
  }
}

/** @typedef {import("../scripts/package/pack").Tarball} Tarball */

/**
 * @param {string} folder
 * @returns {Promise<{ root: Tarball, platform: Tarball }>}
 */
async function packPackages(folder) {
  return {
    root: await packRoot(CHECKOUT, folder),
    platform: await packBinaries(CHECKOUT, PLATFORM, folder, PLATFORMS[PLATFORM]),
  };
}

/**
 * @param {string} project
 * @param {Tarball[]} tarballs
 */
async function installTarballs(project, tarballs) {
  fs.mkdirSync(project, { recursive: true });
  fs.writeFileSync(path.join(project, "package.json"), JSON.stringify({ name: "consumer", private: true }));
  const install = ["install", "--ignore-scripts", "--offline", "--no-audit", "--no-fund"];
  await run("npm", [...install, ...tarballs.map(({ file }) => file)], project);
}

/** A place for packages and projects, to be removed by whoever asked for it. */
function temporaryFolder() {
  return fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "llama-worker-package-"));
}

module.exports = { CHECKOUT, PLATFORM, installTarballs, packPackages, run, temporaryFolder };
