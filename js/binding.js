/**
 * Finds and loads the native addon for this platform.
 *
 * Never throws while it is loaded itself: without an addon the native class is a stand-in whose constructor throws, so that
 * `require("llama-worker")` works, and with it `instanceof LlamaError`. Looks only where the package puts its addon.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { isMainThread } = require("node:worker_threads");
const { unpackedPath } = require("./asar");
const { LlamaError } = require("./errors");

const FILE_NAME = "llama-worker.node";

/**
 * What the addon reports. All events of a request carry the id that its call returned; `done` and `error` are final.
 *
 * @typedef {{ type: "progress", id: number, progress: number }
 *   | DownloadEvent
 *   | Piece
 *   | { type: "message", message: import("../index").OutboundMessage }
 *   | FinalEvent} NativeEvent
 */

/**
 * How far a download is; `index` counts the models of its call.
 *
 * @typedef {{ type: "download", id: number, index: number, file: string, downloadedBytes: number, totalBytes?: number, progress: number }} DownloadEvent
 */

/**
 * A piece of a generation. The tokens of a text come before it; `arguments` is what was added to a call's JSON text.
 *
 * @typedef {{ type: "text", id: number, text: string }
 *   | { type: "reasoning", id: number, text: string }
 *   | { type: "tokens", id: number, tokens: number[] }
 *   | { type: "toolCall", id: number, index: number, name: string, arguments: string, done: boolean }} Piece
 */

/**
 * `cause` is the deeper reason, in the words of the operating system or of llama.cpp.
 *
 * @typedef {{ type: "done", id: number, value?: any }
 *   | { type: "error", id: number, code: string, message: string, cause?: string }} FinalEvent
 */

/** @typedef {{ folder: string, failure?: string }} Place */

/** The name of a platform in our package and folder names, as in `linux-x64-gnu`. */
function platformTriple() {
  const { platform, arch } = process;
  if (platform === "linux") return `${platform}-${arch}-${usesMusl() ? "musl" : "gnu"}`;
  return platform === "win32" ? `${platform}-${arch}-msvc` : `${platform}-${arch}`;
}

function usesMusl() {
  if (!process.report) return false;
  const report = /** @type {NodeJS.ProcessReport & { excludeNetwork?: boolean }} */ (process.report);
  const previous = report.excludeNetwork;
  // Looking up the names of all network interfaces can take seconds and tells nothing about the C library.
  report.excludeNetwork = true;
  const { header } = /** @type {any} */ (report.getReport());
  report.excludeNetwork = previous;
  return !header.glibcVersionRuntime;
}

/**
 * A folder that was asked for explicitly is the only place: another addon in its stead would hide the mistake.
 *
 * @param {string} triple
 * @returns {Place[]}
 */
function placesToLook(triple) {
  const chosen = process.env.LLAMA_WORKER_NATIVE_DIR;
  if (chosen) return [{ folder: path.resolve(chosen) }];
  return [
    platformPackage(`llama-worker-${triple}`),
    { folder: unpackedPath(path.join(__dirname, "..", "npm", triple)) },
  ];
}

/**
 * @param {string} name
 * @returns {Place}
 */
function platformPackage(name) {
  try {
    return { folder: unpackedPath(path.dirname(require.resolve(`${name}/package.json`))) };
  } catch {
    return { folder: name, failure: "the package is not installed" };
  }
}

/**
 * @param {Place} place notes the failure in it
 * @returns {any} the addon's exports
 */
function tryToLoad(place) {
  if (place.failure) return undefined;
  const file = path.join(place.folder, FILE_NAME);
  try {
    if (fs.existsSync(file)) return require(file);
    place.failure = `there is no ${FILE_NAME}`;
  } catch (error) {
    place.failure = deepestMessage(error);
  }
  return undefined;
}

/**
 * The loader's own words are at the end of the chain of causes.
 *
 * @param {any} error
 * @returns {string}
 */
function deepestMessage(error) {
  return error?.cause ? deepestMessage(error.cause) : String(error?.message ?? error).split("\n")[0];
}

/**
 * @param {string} triple
 * @param {Place[]} places
 */
function loadFailure(triple, places) {
  const tried = places.map(({ folder, failure }) => `\`${folder}\` (${failure})`).join(", ");
  const message = `the native addon for \`${triple}\` could not be loaded, tried ${tried}; ${remedy(triple, places)}`;
  return new LlamaError("NATIVE_LOAD_FAILED", message);
}

/**
 * @param {string} triple
 * @param {Place[]} places
 */
function remedy(triple, places) {
  const found = places.some(({ folder }) => fs.existsSync(path.join(folder, FILE_NAME)));
  if (found) {
    return "check that all files of that folder are there, that they were built for this system, and that Electron unpacks them from its asar archive";
  }
  return `install \`llama-worker-${triple}\` where it is published, or build the addon in a checkout with \`npm run build\``;
}

/**
 * @param {string} triple
 * @param {Place[]} places
 */
function standIn(triple, places) {
  return class {
    constructor() {
      throw loadFailure(triple, places);
    }
  };
}

/** @returns {{ NativeLlamaWorker: any, nativeDirectory: string }} */
function loadBinding() {
  const triple = platformTriple();
  const places = placesToLook(triple);
  for (const place of places) {
    const addon = tryToLoad(place);
    if (addon) {
      // Before exit handlers and static destructors run, no thread may be evaluating. Another thread's environment ends by itself.
      if (isMainThread) process.once("exit", () => addon.LlamaWorker.stopAll());
      return { NativeLlamaWorker: addon.LlamaWorker, nativeDirectory: place.folder };
    }
  }
  return { NativeLlamaWorker: standIn(triple, places), nativeDirectory: "" };
}

module.exports = loadBinding();
