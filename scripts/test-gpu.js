/**
 * `npm run test:vulkan`: builds the Vulkan backend and compares its answers with the CPU's, on Mesa's software driver where there is no card.
 *
 * A true check of the whole path through a GPU backend, and none of its speed. Linux only.
 */

"use strict";

require("./setup/node-version").requireNode();

const path = require("node:path");
const { complaints } = require("./package/checks");
const { buildGpuBackend } = require("./package/gpu-backend");
const { PLATFORMS } = require("./package/platforms");
const { ROOT, setUp } = require("./setup");
const { runVisibly } = require("./setup/command");
const { thisMachine } = require("./setup/machine");
const { StepFailed, runScript } = require("./setup/step-failed");
const { fetchVulkanTools } = require("./vulkan/tools");

runScript(async () => {
  const platform = `linux-${process.arch}-gnu`;
  if (process.platform !== "linux" || !PLATFORMS[platform])
    throw new StepFailed("this test is for Linux on x64 and arm64");
  await setUp();
  const machine = thisMachine();
  const options = await fetchVulkanTools(path.join(ROOT, "target", "vulkan"), machine);
  const folder = path.join(ROOT, "npm", `${platform}-vulkan`);
  await buildGpuBackend(ROOT, "vulkan", { folder, os: "linux", options, strips: machine.hasCommand("strip") });
  const wrong = complaints(folder, { isGpu: true, libc: "glibc" });
  if (wrong.length > 0) throw new StepFailed(wrong.join("\n"));
  // ggml leaves out devices that compute on the processor unless they are named.
  const environment = { GGML_VK_VISIBLE_DEVICES: process.env.GGML_VK_VISIBLE_DEVICES ?? "0" };
  const args = ["--test", "--test-reporter=spec", path.join(__dirname, "vulkan", "vulkan.test.js")];
  await runVisibly(process.execPath, args, { environment });
});
