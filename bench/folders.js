/**
 * Where the bench finds and keeps things. What it makes lies outside the repository: models are large, and peers are not ours.
 */

"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const ADDON = "llama-worker.node";
const ROOT = path.join(__dirname, "..");

/** Overridden by `LLAMA_WORKER_BENCH_CACHE`; otherwise where the platform keeps what can be made again. */
function cacheFolder(environment = process.env, platform = process.platform, home = os.homedir()) {
  if (environment.LLAMA_WORKER_BENCH_CACHE) return path.resolve(environment.LLAMA_WORKER_BENCH_CACHE);
  return path.join(userCache(environment, platform, home), "llama-worker-bench");
}

function userCache(environment, platform, home) {
  // The specification says to ignore a relative path.
  if (path.isAbsolute(environment.XDG_CACHE_HOME ?? "")) return environment.XDG_CACHE_HOME;
  if (platform === "darwin") return path.join(home, "Library", "Caches");
  if (platform === "win32") return environment.LOCALAPPDATA ?? path.join(home, "AppData", "Local");
  return path.join(home, ".cache");
}

/** The addon with its libraries and backends: what all of our programs run on. The variable is the package's own. */
function nativeFolder() {
  if (process.env.LLAMA_WORKER_NATIVE_DIR) return path.resolve(process.env.LLAMA_WORKER_NATIVE_DIR);
  const platforms = path.join(ROOT, "npm");
  const built = fs.readdirSync(platforms).filter((name) => fs.existsSync(path.join(platforms, name, ADDON)));
  if (built.length !== 1)
    throw new Error(`\`npm/\` holds ${built.length} built addons, expected one: run \`npm run build\``);
  return path.join(platforms, built[0]);
}

/** Makes it if it is not there. */
function made(...parts) {
  const folder = path.join(...parts);
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

/** The loader's variable by which a program that is started directly finds libraries. */
function libraryVariable() {
  if (process.platform === "darwin") return "DYLD_LIBRARY_PATH";
  return process.platform === "win32" ? "PATH" : "LD_LIBRARY_PATH";
}

module.exports = { ROOT, cacheFolder, libraryVariable, made, nativeFolder };
