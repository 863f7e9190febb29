/**
 * Puts a built addon together: `npm/<platform>/` holds the addon and every library that it loads, and nothing older.
 *
 * Copies and strips, builds nothing. Each file is replaced in one step, because a running program may have the old one open.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { runQuietly } = require("./command");
const { StepFailed } = require("./step-failed");

const ADDON = "llama-worker.node";
const LIBRARY = /\.(node|so|dylib|dll)$/;
/** The libraries that the addon is linked to; their names come from cmake/side-cars.cmake. */
const SIDE_CAR = /^(lib)?(llama|llama-common|ggml|ggml-base)-lw\.(so|dylib|dll)$/;
/** What ggml loads by itself from the addon's folder. Also on macOS these end in `.so`. */
const BACKEND = /^(lib)?ggml-[\w.-]+\.(so|dll)$/;
const SIDE_CARS = 4;

/**
 * @param {string} folder
 * @param {import("./cargo").Built} built
 * @param {{ strips: boolean, omits?: (file: string) => boolean }} options `omits`: which backends to leave out
 * @returns {Promise<string[]>} the names of the files in it
 */
async function fillPlatformFolder(folder, built, { strips, omits = () => false }) {
  const libraries = librariesOf(built.llamaFolder).filter((file) => !omits(file));
  fs.mkdirSync(folder, { recursive: true });
  await replaceFile(built.addon, path.join(folder, ADDON));
  for (const file of libraries)
    await replaceFile(file, path.join(folder, path.basename(file)), strips ? strip : undefined);
  const names = [ADDON, ...libraries.map((file) => path.basename(file))];
  removeOthers(folder, names);
  return names;
}

/** @param {string} llamaFolder */
function librariesOf(llamaFolder) {
  const files = ["lib", "bin"].flatMap((name) => filesIn(path.join(llamaFolder, name)));
  const sideCars = files.filter((file) => SIDE_CAR.test(path.basename(file)));
  const backends = files.filter((file) => BACKEND.test(path.basename(file)) && !sideCars.includes(file));
  if (sideCars.length !== SIDE_CARS || backends.length === 0) {
    const found = [...sideCars, ...backends].map((file) => path.basename(file)).join(", ") || "nothing";
    throw new StepFailed(
      `llama.cpp's build left ${found}, expected ${SIDE_CARS} libraries and a backend: ${HOW_TO_REBUILD}`,
    );
  }
  return [...sideCars, ...backends];
}

const HOW_TO_REBUILD = "run `cargo clean --release -p llama-cpp-sys-2`, then this again";

/** @param {string} folder */
function filesIn(folder) {
  if (!fs.existsSync(folder)) return [];
  const entries = fs.readdirSync(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  return names.sort().map((name) => path.join(folder, name));
}

/**
 * @param {string} from
 * @param {string} to
 * @param {(file: string) => Promise<void>} [change] what to do to the copy before it takes its place
 */
async function replaceFile(from, to, change) {
  const next = `${to}.next`;
  fs.copyFileSync(from, next);
  await change?.(next);
  fs.renameSync(next, to);
}

/** Cargo strips the addon itself; llama.cpp's libraries keep the names of their private functions, a tenth of their size. */
async function strip(/** @type {string} */ file) {
  await runQuietly("strip", ["--strip-unneeded", file]);
}

/**
 * @param {string} folder
 * @param {string[]} names
 */
function removeOthers(folder, names) {
  const obsolete = fs.readdirSync(folder).filter((name) => LIBRARY.test(name) && !names.includes(name));
  for (const name of obsolete) fs.rmSync(path.join(folder, name));
}

module.exports = { fillPlatformFolder, librariesOf };
