/**
 * Finds the GPU backends that are installed beside the addon, and knows what to install for those that are not.
 *
 * Loads none: that is the addon's, when `init` asks for one. Looks only where packages are installed and beside the addon's own folder.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { unpackedPath } = require("./asar");

/**
 * A backend that this platform can have. Without `library` it is not there, and `remedy` says what to do.
 *
 * @typedef {{ gpu: "cuda" | "vulkan" | "metal", library?: string, remedy: string }} GpuBackend
 */

/**
 * Those that have a package, see `scripts/package/platforms.js`; better ones first.
 *
 * @type {Record<string, ("cuda" | "vulkan")[]>}
 */
const PACKAGED = {
  "linux-x64-gnu": ["cuda", "vulkan"],
  "linux-arm64-gnu": ["cuda", "vulkan"],
  "win32-x64-msvc": ["cuda", "vulkan"],
};

/**
 * @typedef {object} Installation
 * @property {string} triple as in `linux-x64-gnu`
 * @property {string} folder of the addon that was loaded
 * @property {string | undefined} version of this package
 * @property {(name: string) => string | undefined} resolve the package.json of an installed package
 */

/**
 * @param {Installation} installation
 * @returns {GpuBackend[]}
 */
function gpuBackends(installation) {
  const { triple, folder } = installation;
  if (triple.startsWith("darwin-")) return metal(folder);
  return (PACKAGED[triple] ?? []).map((gpu) => packagedBackend(gpu, installation));
}

/**
 * Metal comes with macOS, and its backend with the platform package, in a folder of its own: what lies beside the addon is always loaded.
 *
 * @param {string} folder
 * @returns {GpuBackend[]}
 */
function metal(folder) {
  const library = path.join(folder, "metal", "libggml-metal.so");
  const remedy = `the platform package has no \`${library}\`: reinstall it`;
  return [{ gpu: "metal", remedy, ...(fs.existsSync(library) && { library }) }];
}

/**
 * @param {"cuda" | "vulkan"} gpu
 * @param {Installation} installation
 * @returns {GpuBackend}
 */
function packagedBackend(gpu, { triple, folder, version, resolve }) {
  const name = `llama-worker-${triple}-${gpu}`;
  const manifest = resolve(name) ?? path.join(`${folder}-${gpu}`, "package.json");
  const library = path.join(
    unpackedPath(path.dirname(manifest)),
    triple.startsWith("win32-") ? `ggml-${gpu}.dll` : `libggml-${gpu}.so`,
  );
  const install = `install \`${name}\`${version ? ` ${version}` : ""}`;
  if (!fs.existsSync(library)) return { gpu, remedy: `${install} beside \`llama-worker\`` };
  const installed = readVersion(manifest);
  // A backend is compiled against the very libraries that it is loaded into.
  if (installed !== version)
    return { gpu, remedy: `\`${name}\` is version ${installed}, which does not fit: ${install}` };
  return {
    gpu,
    library,
    remedy: `\`${name}\` is installed: check the driver${gpu === "cuda" ? " and CUDA 12's libraries (cudart, cublas)" : ""}, \`init({ debug: true })\` prints what it says`,
  };
}

/** @param {string} manifest */
function readVersion(manifest) {
  return fs.existsSync(manifest) ? JSON.parse(fs.readFileSync(manifest, "utf8")).version : undefined;
}

module.exports = { gpuBackends };
