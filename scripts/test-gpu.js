/**
 * `npm run test:vulkan`, `npm run test:cuda`: builds the backend of a GPU and compares its answers with the CPU's. Vulkan runs on Mesa's software driver
 * where there is no card; CUDA needs one, with CUDA's compiler and libraries. `-- --packed` takes what `npm run package` left in `dist/` instead.
 *
 * A true check of the whole path through a GPU backend, and none of its speed. Linux only.
 */

"use strict";

require("./setup/node-version").requireNode();

const fs = require("node:fs");
const path = require("node:path");
const { fetchVulkanDriver, fetchVulkanTools } = require("./gpu/vulkan-tools");
const { complaints } = require("./package/checks");
const { buildGpuBackend } = require("./package/gpu-backend");
const { unpackPacked } = require("./package/packed");
const { GPU_TITLES, PLATFORMS } = require("./package/platforms");
const { ROOT, setUp } = require("./setup");
const { runVisibly } = require("./setup/command");
const { thisMachine } = require("./setup/machine");
const { StepFailed, runScript } = require("./setup/step-failed");

/** @typedef {import("./package/platforms").Gpu} Gpu */

const PLATFORM = `linux-${process.arch}-gnu`;

/**
 * @param {Gpu} gpu
 * @returns {Promise<string>} the JavaScript of a checkout whose backend is new
 */
async function build(gpu) {
  await setUp();
  const machine = thisMachine();
  const options = gpu === "vulkan" ? await fetchVulkanTools(path.join(ROOT, "target", "vulkan"), machine) : [];
  if (gpu === "cuda" && !machine.hasCommand("nvcc"))
    throw new StepFailed("CUDA's compiler `nvcc` is not on the PATH: install the CUDA Toolkit 12 and add its `bin`");
  const folder = path.join(ROOT, "npm", `${PLATFORM}-${gpu}`);
  await buildGpuBackend(ROOT, gpu, { folder, os: "linux", options, strips: machine.hasCommand("strip") });
  // It runs on this machine only; what is published is checked against the oldest when it is packed.
  const wrong = complaints(folder, { isGpu: true, libc: "glibc", allowsNewerSystem: true });
  if (wrong.length > 0) throw new StepFailed(wrong.join("\n"));
  return ROOT;
}

/**
 * As a user has it: three packages beside each other.
 *
 * @param {Gpu} gpu
 * @returns {Promise<string>} where the root package is
 */
async function unpackAll(gpu) {
  if (gpu === "vulkan") await fetchVulkanDriver(thisMachine());
  const modules = path.join(ROOT, "target", `packed-${gpu}`, "node_modules");
  fs.rmSync(modules, { recursive: true, force: true });
  const platform = `llama-worker-${PLATFORM}`;
  await unpackPacked(ROOT, "llama-worker", "root", path.join(modules, "llama-worker"));
  await unpackPacked(ROOT, platform, "addon", path.join(modules, platform));
  await unpackPacked(ROOT, `${platform}-${gpu}`, "gpu", path.join(modules, `${platform}-${gpu}`));
  return path.join(modules, "llama-worker");
}

runScript(async () => {
  const [name, ...options] = process.argv.slice(2);
  const gpu = /** @type {Gpu} */ (name);
  if (process.platform !== "linux" || !PLATFORMS[PLATFORM]?.gpus.includes(gpu))
    throw new StepFailed("these tests are for `vulkan` and `cuda`, on Linux on x64 and arm64");
  const packageFolder = options.includes("--packed") ? await unpackAll(gpu) : await build(gpu);
  const environment = {
    GPU: gpu,
    GPU_TITLE: GPU_TITLES[gpu],
    GPU_PACKAGE: packageFolder,
    // ggml leaves out devices that compute on the processor unless they are named.
    ...(gpu === "vulkan" && { GGML_VK_VISIBLE_DEVICES: process.env.GGML_VK_VISIBLE_DEVICES ?? "0" }),
  };
  const args = ["--test", "--test-reporter=spec", path.join(__dirname, "gpu", "gpu.test.js")];
  await runVisibly(process.execPath, args, { environment });
});
