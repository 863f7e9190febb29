/**
 * The platforms that have a package, by the name that package and folder carry.
 *
 * Only names and facts; what is done with them is the other files' business.
 */

"use strict";

/**
 * @typedef {object} Platform
 * @property {string} target Rust's name for it
 * @property {NodeJS.Platform} os
 * @property {string} cpu
 * @property {"glibc" | "musl"} [libc]
 * @property {string} title as people say it
 * @property {Gpu[]} gpus those with a package of their own; Metal is in the package of a Mac
 */
/** @typedef {"vulkan" | "cuda"} Gpu */

/** @type {Record<string, Platform>} */
const PLATFORMS = {
  "linux-x64-gnu": {
    target: "x86_64-unknown-linux-gnu",
    os: "linux",
    cpu: "x64",
    libc: "glibc",
    title: "Linux x64 (glibc)",
    gpus: ["vulkan", "cuda"],
  },
  "linux-arm64-gnu": {
    target: "aarch64-unknown-linux-gnu",
    os: "linux",
    cpu: "arm64",
    libc: "glibc",
    title: "Linux arm64 (glibc)",
    gpus: ["vulkan", "cuda"],
  },
  "linux-x64-musl": {
    target: "x86_64-unknown-linux-musl",
    os: "linux",
    cpu: "x64",
    libc: "musl",
    title: "Linux x64 (musl)",
    gpus: [],
  },
  "darwin-arm64": {
    target: "aarch64-apple-darwin",
    os: "darwin",
    cpu: "arm64",
    title: "macOS on Apple silicon, with Metal",
    gpus: [],
  },
  "darwin-x64": { target: "x86_64-apple-darwin", os: "darwin", cpu: "x64", title: "macOS on Intel", gpus: [] },
  "win32-x64-msvc": {
    target: "x86_64-pc-windows-msvc",
    os: "win32",
    cpu: "x64",
    title: "Windows x64",
    gpus: ["vulkan", "cuda"],
  },
  "win32-arm64-msvc": {
    target: "aarch64-pc-windows-msvc",
    os: "win32",
    cpu: "arm64",
    title: "Windows arm64",
    gpus: [],
  },
};

/** The newest glibc whose functions the Linux binaries may need: Ubuntu 22.04, Debian 12, RHEL 9. */
const GLIBC_FLOOR = "2.34";
/** The newest GCC whose support library (libgcc_s) they may need: that of RHEL 9, the oldest of them. */
const GCC_FLOOR = "11.0";

/** The oldest macOS: the first with the linear algebra that ggml uses there. */
const MACOS_FLOOR = "13.3";

/** Unpacked, the platform package and the root package together. */
const SIZE_LIMIT = 32_000_000;

/**
 * Builds of the CPU backend that are left out: a neighbour in the list serves their processors nearly as well. The two of Arm differ from theirs by
 * instructions that only a library uses which is not built in (KleidiAI), and older compilers do not know them.
 */
const OMITTED_VARIANTS = [
  "ivybridge",
  "piledriver",
  "cannonlake",
  "cascadelake",
  "cooperlake",
  "armv9.2_1",
  "armv9.2_2",
];

/** @type {Record<Gpu, string>} */
const GPU_TITLES = { vulkan: "Vulkan", cuda: "CUDA" };

/** Every package that goes with the root package. */
function packageNames() {
  return { platforms: Object.keys(PLATFORMS).map((name) => `llama-worker-${name}`), gpus: gpuFolders().map(packageOf) };
}

/** @returns {string[]} the names of the folders below `npm/` that hold a GPU backend */
function gpuFolders() {
  return Object.entries(PLATFORMS).flatMap(([name, { gpus }]) => gpus.map((gpu) => `${name}-${gpu}`));
}

/** @param {string} folder */
function packageOf(folder) {
  return `llama-worker-${folder}`;
}

module.exports = {
  GCC_FLOOR,
  GLIBC_FLOOR,
  GPU_TITLES,
  MACOS_FLOOR,
  OMITTED_VARIANTS,
  PLATFORMS,
  SIZE_LIMIT,
  gpuFolders,
  packageNames,
  packageOf,
};
