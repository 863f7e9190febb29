/** Which of the platforms this machine is, as Rust says it. */

"use strict";

const { outputOf } = require("../setup/command");
const { StepFailed } = require("../setup/step-failed");
const { PLATFORMS } = require("./platforms");

/**
 * @param {string} root
 * @returns {Promise<[name: string, platform: import("./platforms").Platform]>}
 */
async function thisPlatform(root) {
  const target = /^host: (\S+)/m.exec(await outputOf("rustc", ["-vV"], { cwd: root }))?.[1];
  const found = Object.entries(PLATFORMS).find(([, platform]) => platform.target === target);
  if (!found)
    throw new StepFailed(`there is no package for \`${target}\`, only for ${Object.keys(PLATFORMS).join(", ")}`);
  return found;
}

module.exports = { thisPlatform };
