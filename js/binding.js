/**
 * Finds and loads the native addon for this platform, when the first worker is made.
 *
 * Not when the package is imported: finding and loading it stops an application for as long as all of this package's JavaScript does. And
 * `require("llama-worker")` works without an addon, and with it `instanceof LlamaError`. Looks only where the package puts its addon.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { unpackedPath } = require("./asar");
const { LlamaError } = require("./errors");
const { gpuBackends } = require("./gpu-packages");

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

/** @typedef {import("./load-failure").Place} Place */

/** The name of a platform in our package and folder names, as in `linux-x64-gnu`. */
function platformTriple() {
  const { platform, arch } = process;
  if (platform === "linux") return `${platform}-${arch}-${usesGlibc() ? "gnu" : "musl"}`;
  return platform === "win32" ? `${platform}-${arch}-msvc` : `${platform}-${arch}`;
}

/** By the loader that this program's own file names. Node's report, which has to say it otherwise, takes a hundred times as long. */
function usesGlibc() {
  const start = startOfProgram();
  if (start.includes("/ld-linux")) return true;
  if (start.includes("/ld-musl-")) return false;
  return glibcVersion() !== undefined;
}

function startOfProgram() {
  const buffer = Buffer.alloc(4096);
  try {
    const file = fs.openSync("/proc/self/exe", "r");
    try {
      return buffer.toString("latin1", 0, fs.readSync(file, buffer, 0, buffer.length, 0));
    } finally {
      fs.closeSync(file);
    }
  } catch {
    // No such file system, or no permission to look: the report says it too.
    return "";
  }
}

/** Where nothing can be asked, as in some runtimes other than Node.js, glibc is taken for granted. */
function glibcVersion() {
  if (typeof process.report?.getReport !== "function") return "unknown";
  const report = /** @type {NodeJS.ProcessReport & { excludeNetwork?: boolean }} */ (process.report);
  const previous = report.excludeNetwork;
  // Looking up the names of all network interfaces can take seconds and tells nothing about the C library.
  report.excludeNetwork = true;
  const { header } = /** @type {any} */ (report.getReport());
  report.excludeNetwork = previous;
  return header.glibcVersionRuntime;
}

/**
 * A folder that was asked for explicitly is the only place: another addon in its stead would hide the mistake.
 *
 * @param {string} triple
 * @returns {Place[]}
 */
function placesToLook(triple) {
  const chosen = process.env.LLAMA_WORKER_NATIVE_DIR;
  if (chosen) return [placeAt(path.resolve(chosen))];
  return [platformPackage(`llama-worker-${triple}`), placeAt(unpackedPath(path.join(__dirname, "..", "npm", triple)))];
}

/**
 * @param {string} folder
 * @returns {Place}
 */
function placeAt(folder) {
  return { folder, isInstalled: true, hasAddon: fs.existsSync(path.join(folder, FILE_NAME)) };
}

/**
 * @param {string} name
 * @returns {Place}
 */
function platformPackage(name) {
  const manifest = installedManifest(name);
  if (!manifest) return { folder: name, isInstalled: false, hasAddon: false };
  const { version } = require(manifest);
  const place = placeAt(unpackedPath(path.dirname(manifest)));
  if (version === ownVersion()) return place;
  // They are built together and fit each other only.
  return { ...place, problem: `it is version ${version}, and this is llama-worker ${ownVersion()}: install the same` };
}

/**
 * @param {string} name
 * @returns {string | undefined} the path of its package.json
 */
function installedManifest(name) {
  try {
    return require.resolve(`${name}/package.json`);
  } catch {
    return undefined;
  }
}

/** @returns {string | undefined} none when this code was taken out of its package, as by a bundler */
function ownVersion() {
  try {
    // Read, not required: a bundler would take the file along, and with it the proof.
    const { name, version } = JSON.parse(fs.readFileSync(path.join(__dirname, "..", "package.json"), "utf8"));
    return name === "llama-worker" ? version : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {Place} place notes the failure in it
 * @returns {any} the addon's exports
 */
function tryToLoad(place) {
  if (!place.hasAddon || place.problem) return undefined;
  try {
    return require(path.join(place.folder, FILE_NAME));
  } catch (error) {
    const { loaderWords } = require("./load-failure");
    place.cause = loaderWords(error);
  }
  return undefined;
}

/**
 * @param {string} triple
 * @param {Place[]} places
 */
function loadFailure(triple, places) {
  const { PLATFORMS, describeFailure } = require("./load-failure");
  const message = describeFailure(places, {
    triple,
    isSupported: PLATFORMS.includes(triple),
    glibc: process.platform === "linux" ? glibcVersion() : undefined,
    foreign: PLATFORMS.filter((other) => other !== triple && installedManifest(`llama-worker-${other}`)).map(
      (other) => `llama-worker-${other}`,
    ),
    isBundled: ownVersion() === undefined,
  });
  const cause = places.find((place) => place.cause)?.cause;
  return new LlamaError("NATIVE_LOAD_FAILED", message, cause === undefined ? undefined : { cause: new Error(cause) });
}

/**
 * @typedef {object} Binding
 * @property {any} NativeClass the addon's class
 * @property {string} nativeDirectory the folder that it was loaded from
 * @property {import("./gpu-packages").GpuBackend[]} gpuBackends
 */

/** @returns {Binding | { triple: string, places: Place[] }} the latter where there is no addon that can be loaded */
function load() {
  const triple = platformTriple();
  const places = placesToLook(triple);
  for (const place of places) {
    const addon = tryToLoad(place);
    if (addon) return bindingOf(addon, triple, place.folder);
  }
  return { triple, places };
}

/**
 * @param {any} addon
 * @param {string} triple
 * @param {string} folder
 * @returns {Binding}
 */
function bindingOf(addon, triple, folder) {
  const NativeClass = addon.LlamaWorker;
  const gpus = gpuBackends({ triple, folder, version: ownVersion(), resolve: installedManifest });
  process.once("exit", () => stopAtExit(NativeClass));
  return { NativeClass, nativeDirectory: folder, gpuBackends: gpus };
}

/**
 * Before exit handlers and static destructors run, no thread may be evaluating. Another thread's environment ends by itself.
 *
 * Which thread this is is asked here and not when the first worker is made: to load that module takes a good part of what making one does.
 *
 * @param {{ stopAll(): void }} NativeClass
 */
function stopAtExit(NativeClass) {
  const { isMainThread } = require("node:worker_threads");
  if (isMainThread) NativeClass.stopAll();
}

/** @type {ReturnType<typeof load> | undefined} */
let loaded;

/** @returns {Binding} */
function binding() {
  loaded ??= load();
  if ("places" in loaded) throw loadFailure(loaded.triple, loaded.places);
  return loaded;
}

/**
 * What one worker has in the addon. Loads the addon.
 *
 * @param {(events: NativeEvent[]) => void} onEvents
 * @returns {any}
 */
function createNative(onEvents) {
  const { NativeClass, nativeDirectory, gpuBackends } = binding();
  return new NativeClass(onEvents, nativeDirectory, gpuBackends);
}

module.exports = {
  createNative,
  /** Loads the addon. */
  get nativeDirectory() {
    return binding().nativeDirectory;
  },
};
