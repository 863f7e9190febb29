/**
 * How the scripts call cargo, and what of its messages they read.
 *
 * One profile and one environment for building, linting and testing: anything else would make cargo compile llama.cpp once more.
 */

"use strict";

const path = require("node:path");
const { runQuietly, runVisibly } = require("./command");
const { StepFailed } = require("./step-failed");

const ADDON_CRATE = "llama-worker";
const LLAMA_CRATE = "llama-cpp-sys-2";

/**
 * Where napi-derive writes down the types of the native class while it compiles it.
 *
 * @param {string} root
 */
function typesFolder(root) {
  return path.join(root, "target", "napi-types");
}

/** @param {string} root */
function cargoEnvironment(root) {
  return { NAPI_TYPE_DEF_TMP_FOLDER: typesFolder(root) };
}

/**
 * @param {string} root
 * @param {string[]} args
 */
function runCargo(root, args) {
  return runVisibly("cargo", args, { cwd: root, environment: cargoEnvironment(root) });
}

/** @typedef {{ addon: string, llamaFolder: string }} Built the addon's library, and the folder that llama.cpp was installed to */

/**
 * @param {string} root
 * @param {{ environment?: Record<string, string | undefined>, features?: string[], onErrorLine: (line: string) => void }} options
 * @returns {Promise<Built>}
 */
async function cargoBuild(root, { environment, features = [], onErrorLine }) {
  /** @type {Partial<Built>} */
  const built = {};
  await runQuietly(
    "cargo",
    [
      ...["build", "--release", "--workspace", "--locked", "--message-format=json-render-diagnostics"],
      ...(features.length > 0 ? ["--features", features.join(",")] : []),
    ],
    {
      cwd: root,
      environment: { ...cargoEnvironment(root), ...environment },
      failure: "the native build failed",
      onOutputLine: (line) => Object.assign(built, readCargoMessage(line)),
      onErrorLine,
    },
  );
  const { addon, llamaFolder } = built;
  if (!addon || !llamaFolder)
    throw new StepFailed("cargo built no addon: is `crate-type` in Cargo.toml still `cdylib`?");
  return { addon, llamaFolder };
}

/**
 * @param {string} line one line of `--message-format=json`
 * @returns {Partial<Built>} what of it matters here
 */
function readCargoMessage(line) {
  if (!line.startsWith("{")) return {};
  const message = JSON.parse(line);
  if (message.reason === "build-script-executed" && crateOf(message.package_id) === LLAMA_CRATE)
    return { llamaFolder: message.out_dir };
  if (message.reason === "compiler-artifact" && message.target.kind.includes("cdylib"))
    return { addon: libraryAmong(message.filenames) };
  return {};
}

/** @param {string[]} files a Windows build has import libraries and symbols beside the library */
function libraryAmong(files) {
  return files.find((file) => /\.(so|dylib|dll)$/.test(file));
}

/** @param {string} packageId as `registry+https://…#llama-cpp-sys-2@0.1.161`, or the older `llama-cpp-sys-2 0.1.161 (registry+…)` */
function crateOf(packageId) {
  return packageId.includes("#") ? packageId.split("#")[1].split("@")[0] : packageId.split(" ")[0];
}

module.exports = { ADDON_CRATE, LLAMA_CRATE, cargoBuild, cargoEnvironment, readCargoMessage, runCargo, typesFolder };
