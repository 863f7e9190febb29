/**
 * The build that is published: every processor variant, nothing of this machine's C++ library, the smallest addon.
 *
 * In a target folder of its own, because llama.cpp's build is never configured a second time: it would disturb the developer's build.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { LLAMA_CRATE, cargoBuild } = require("../setup/cargo");
const { runQuietly } = require("../setup/command");
const { llamaProgress } = require("../setup/llama-progress");
const { fillPlatformFolder } = require("../setup/platform-folder");
const { say, withProgress } = require("../setup/report");
const { hashInputs, readStamp, writeStamp } = require("../setup/stamp");
const { MACOS_FLOOR, OMITTED_VARIANTS } = require("./platforms");

/** What llama.cpp is configured with, besides the environment below. */
const CONFIGURATION = [
  ".cargo",
  "cmake",
  ...["llama-cpp.cmake", "llama-common.map", "backend.map", "arc4random.c", "empty.c"].map(
    (name) => `scripts/package/${name}`,
  ),
];

/** @param {string} root */
function targetFolder(root) {
  return path.join(root, "target", "package");
}

/**
 * @param {string} root
 * @param {import("./platforms").Platform} platform
 * @returns {Record<string, string | undefined>} `undefined` takes a variable away
 */
function packageEnvironment(root, { os, cpu, libc }) {
  return {
    CARGO_TARGET_DIR: targetFolder(root),
    // A developer's own flags, as for this very processor, have no place in what others run.
    CARGO_ENCODED_RUSTFLAGS: undefined,
    RUSTFLAGS: rustFlags(os, libc),
    // Slow to build and a fifth smaller; nobody waits for this build.
    CARGO_PROFILE_RELEASE_LTO: "fat",
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "1",
    GGML_CPU_ALL_VARIANTS: "ON",
    CMAKE_PROJECT_INCLUDE: path.join(root, "scripts", "package", "llama-cpp.cmake"),
    LLAMA_WORKER_OMITTED_VARIANTS: OMITTED_VARIANTS.join(";"),
    // The crate that brings llama.cpp links the C++ library in; a second mention would ask for the system's.
    ...(os === "linux" && { CXXSTDLIB: "" }),
    ...(os === "win32" && { LLAMA_STATIC_CRT: "1" }),
    // Else the oldest system would be that of the machine that builds.
    ...(os === "darwin" && { MACOSX_DEPLOYMENT_TARGET: MACOS_FLOOR }),
    // ggml has no choice of builds for Windows on Arm, and none at all by Microsoft's compiler: one by clang, for processors of 2018 and later.
    ...(os === "win32" &&
      cpu === "arm64" && {
        ...{ CC: "clang-cl", CXX: "clang-cl" },
        ...{ GGML_CPU_ALL_VARIANTS: "OFF", GGML_CPU_ARM_ARCH: "armv8.2-a+dotprod" },
      }),
  };
}

/**
 * @param {NodeJS.Platform} os
 * @param {import("./platforms").Platform["libc"]} libc
 */
function rustFlags(os, libc) {
  if (os === "win32") return "-C target-feature=+crt-static";
  // Addons are libraries, also where Rust links programs statically by default.
  return libc === "musl" ? "-C target-feature=-crt-static" : "";
}

/**
 * Fills `npm/<name>/`.
 *
 * @param {string} root
 * @param {string} name of the platform, which is this machine's
 * @param {import("./platforms").Platform} platform
 * @param {import("../setup/machine").Machine} machine
 */
async function buildPackage(root, name, platform, machine) {
  const environment = packageEnvironment(root, platform);
  await forgetOutdatedLlama(root, environment);
  say(
    `building the package for ${platform.title}: llama.cpp for every processor, 20 minutes on two cores the first time`,
  );
  const start = Date.now();
  const describe = () => {
    const progress = llamaProgress(llamaBuilds(root), start);
    return progress ? `llama.cpp: ${progress.done} of ${progress.total} steps` : "compiling the Rust crates";
  };
  const features = platform.os === "linux" ? ["static-stdcxx"] : [];
  const build = () => cargoBuild(root, { environment, features, onErrorLine: () => {} });
  const built = await withProgress(describe, build);
  const strips = platform.os === "linux" && machine.hasCommand("strip");
  const omits = (/** @type {string} */ file) =>
    OMITTED_VARIANTS.some((variant) => file.includes(`ggml-cpu-${variant}.`));
  const folder = path.join(root, "npm", name);
  await fillPlatformFolder(folder, built, { strips, omits });
  if (platform.os === "darwin") await setMetalApart(folder);
}

/**
 * What lies beside the addon is always loaded; Metal is loaded only when `init` asks for it.
 *
 * @param {string} folder
 */
async function setMetalApart(folder) {
  const [from, to] = [path.join(folder, "libggml-metal.so"), path.join(folder, "metal", "libggml-metal.so")];
  if (!fs.existsSync(from)) return;
  fs.mkdirSync(path.dirname(to), { recursive: true });
  fs.renameSync(from, to);
  // Its libraries are one folder up now. A changed file needs a new signature, if only one of nobody.
  await runQuietly("install_name_tool", ["-add_rpath", "@loader_path/..", to]);
  await runQuietly("codesign", ["--force", "--sign", "-", to]);
}

/**
 * @param {string} root
 * @param {Record<string, string | undefined>} environment
 */
async function forgetOutdatedLlama(root, environment) {
  const stampFile = path.join(targetFolder(root), ".package-stamp.json");
  const configuration = hashInputs(root, CONFIGURATION, [JSON.stringify(environment)]);
  const before = readStamp(stampFile).configuration;
  if (before === configuration) return;
  if (before) {
    const clean = ["clean", "--release", "-p", LLAMA_CRATE];
    await runQuietly("cargo", clean, { cwd: root, environment: { CARGO_TARGET_DIR: targetFolder(root) } });
  }
  fs.mkdirSync(targetFolder(root), { recursive: true });
  writeStamp(stampFile, { configuration });
}

/** @param {string} root */
function llamaBuilds(root) {
  const parent = path.join(targetFolder(root), "release", "build");
  const names = fs.existsSync(parent) ? fs.readdirSync(parent) : [];
  return names
    .filter((name) => name.startsWith(`${LLAMA_CRATE}-`))
    .map((name) => path.join(parent, name, "out", "build"));
}

module.exports = { buildPackage, packageEnvironment };
