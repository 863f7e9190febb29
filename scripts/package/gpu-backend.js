/**
 * Builds one GPU backend of ggml as a library that the addon loads at run time.
 *
 * Only that backend and what it links to, from the same sources and with the same settings as the addon's own libraries. Needs the GPU
 * vendor's development kit; finds none and installs none.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { LLAMA_CRATE } = require("../setup/cargo");
const { outputOf, runQuietly } = require("../setup/command");
const { say, withProgress } = require("../setup/report");
const { StepFailed } = require("../setup/step-failed");

/** @typedef {import("./platforms").Gpu} Gpu */

/** @type {Record<Gpu, string[]>} */
const OPTIONS = {
  vulkan: ["-DGGML_VULKAN=ON"],
  // CUDA's own libraries stay outside: cuBLAS alone has several hundred megabytes, and whoever computes with CUDA has them.
  // Nor NCCL, for several cards at once: a machine that builds may have it, one that runs need not, and the backend would not load there.
  cuda: ["-DGGML_CUDA=ON", "-DGGML_CUDA_NCCL=OFF", "-DCMAKE_CUDA_ARCHITECTURES=all-major"],
};

/**
 * @param {string} root
 * @param {Gpu} gpu
 * @param {{ folder: string, os: NodeJS.Platform, options?: string[], strips: boolean }} kind `folder`: where the library goes;
 *   `options`: further ones for CMake, as where the development kit lies
 */
async function buildGpuBackend(root, gpu, { folder, os, options = [], strips }) {
  const build = path.join(root, "target", `package-${gpu}`);
  const source = await llamaSource(root);
  forgetOtherSource(build, source);
  say(`building the ${gpu} backend, a few minutes on two cores`);
  const configure = ["-S", source, "-B", build, "-G", "Ninja", ...commonOptions(root), ...OPTIONS[gpu], ...options];
  await runQuietly("cmake", configure, { failure: `CMake could not configure the ${gpu} backend` });
  const target = ["--build", build, "--target", `ggml-${gpu}`];
  await withProgress(
    () => `compiling ggml-${gpu}`,
    () => runQuietly("cmake", target, { failure: `the ${gpu} backend could not be built` }),
  );
  const name = os === "win32" ? `ggml-${gpu}.dll` : `libggml-${gpu}.so`;
  const built = path.join(build, "bin", name);
  if (!fs.existsSync(built)) throw new StepFailed(`the build left no \`${built}\``);
  const place = path.join(folder, name);
  fs.mkdirSync(folder, { recursive: true });
  fs.copyFileSync(built, `${place}.next`);
  if (strips) await runQuietly("strip", ["--strip-unneeded", `${place}.next`]);
  fs.renameSync(`${place}.next`, place);
}

/**
 * CMake refuses a build folder that was made for other sources, as those of the last version of llama.cpp.
 *
 * @param {string} build
 * @param {string} source
 */
function forgetOtherSource(build, source) {
  const cache = path.join(build, "CMakeCache.txt");
  if (!fs.existsSync(cache)) return;
  const made = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(fs.readFileSync(cache, "utf8"))?.[1];
  if (made === undefined || path.resolve(made) !== path.resolve(source))
    fs.rmSync(build, { recursive: true, force: true });
}

/** @param {string} root */
function commonOptions(root) {
  return [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=ON",
    "-DGGML_BACKEND_DL=ON",
    "-DGGML_NATIVE=OFF",
    "-DGGML_OPENMP=OFF",
    "-DLLAMA_BUILD_COMMON=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_TOOLS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_SERVER=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON",
    `-DCMAKE_PROJECT_INCLUDE=${path.join(root, "scripts", "package", "llama-cpp.cmake")}`,
    // Libraries are used from where they are built; they must say `$ORIGIN` there already.
    "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
  ];
}

/**
 * @param {string} root
 * @returns {Promise<string>} the sources that the addon's libraries are built from
 */
async function llamaSource(root) {
  const metadata = JSON.parse(
    await outputOf("cargo", ["metadata", "--locked", "--format-version", "1"], { cwd: root }),
  );
  const crate = metadata.packages.find((/** @type {{ name: string }} */ { name }) => name === LLAMA_CRATE);
  return path.join(path.dirname(crate.manifest_path), "llama.cpp");
}

module.exports = { buildGpuBackend };
