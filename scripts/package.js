/**
 * `npm run package`: builds what is published for this machine's platform, checks it, and packs it with the root package into `dist/`.
 *
 * `-- --gpu vulkan` (or `cuda`) builds the package of a GPU backend instead; what follows a further `--` goes to CMake. `--repository` names the
 * address at which the sources are, for the packages to tell. Publishes nothing.
 */

"use strict";

require("./setup/node-version").requireNode();

const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");
const { buildPackage } = require("./package/build");
const { complaints } = require("./package/checks");
const { buildGpuBackend } = require("./package/gpu-backend");
const { withOrigin } = require("./package/manifests");
const { packBinaries, packRoot } = require("./package/pack");
const { SIZE_LIMIT } = require("./package/platforms");
const { sizeComplaint } = require("./package/readme-size");
const { thisPlatform } = require("./package/this-platform");
const { ROOT } = require("./setup");
const { thisMachine } = require("./setup/machine");
const { installNpmPackages } = require("./setup/npm-packages");
const { forgetAddon } = require("./setup/native-build");
const { requireRust } = require("./setup/rust-toolchain");
const { StepFailed, runScript } = require("./setup/step-failed");
const { requireSystemPackages } = require("./setup/system-packages");

/** @typedef {import("./package/platforms").Gpu} Gpu */

const DIST = path.join(ROOT, "dist");

/**
 * @param {string} folder
 * @param {Parameters<typeof complaints>[1]} kind
 */
function check(folder, kind) {
  const wrong = complaints(path.join(ROOT, "npm", folder), kind);
  if (wrong.length > 0) throw new StepFailed(`\`npm/${folder}\` cannot be published:\n${wrong.join("\n")}`);
}

/** @param {{ repository?: string }} origin */
async function packageAddon(origin) {
  const machine = thisMachine();
  const [name, platform] = await thisPlatform(ROOT);
  // A developer's build here would be taken for up to date, and this one for a developer's.
  forgetAddon(ROOT);
  await buildPackage(ROOT, name, platform, machine);
  check(name, { libc: platform.libc });
  const tarballs = [
    await packRoot(ROOT, DIST, origin),
    await packBinaries(ROOT, name, DIST, { ...platform, ...origin }),
  ];
  for (const { file, unpacked } of tarballs) report(file, unpacked);
  const unpacked = tarballs.reduce((sum, tarball) => sum + tarball.unpacked, 0);
  if (platform.os === "linux" && unpacked > SIZE_LIMIT)
    throw new StepFailed(`unpacked they have ${megabytes(unpacked)}, expected at most ${megabytes(SIZE_LIMIT)}`);
  const complaint =
    name === "linux-x64-gnu" && sizeComplaint(fs.readFileSync(path.join(ROOT, "README.md"), "utf8"), unpacked);
  if (complaint) throw new StepFailed(complaint);
}

/**
 * @param {Gpu} gpu
 * @param {string[]} options
 * @param {{ repository?: string }} origin
 */
async function packageGpu(gpu, options, origin) {
  const [name, platform] = await thisPlatform(ROOT);
  if (!platform.gpus.includes(gpu)) {
    const known = platform.gpus.join(", ") || "none";
    throw new StepFailed(`there is no package of \`${gpu}\` for ${platform.title}, expected one of: ${known}`);
  }
  const folder = `${name}-${gpu}`;
  const strips = platform.os === "linux" && thisMachine().hasCommand("strip");
  await buildGpuBackend(ROOT, gpu, { folder: path.join(ROOT, "npm", folder), os: platform.os, options, strips });
  check(folder, { isGpu: true, libc: platform.libc });
  const { file, unpacked } = await packBinaries(ROOT, folder, DIST, { ...platform, ...origin, isGpu: true });
  report(file, unpacked);
}

/**
 * @param {string} file
 * @param {number} unpacked
 */
function report(file, unpacked) {
  const packed = megabytes(fs.statSync(file).size);
  process.stdout.write(`${path.relative(ROOT, file)}: ${packed} packed, ${megabytes(unpacked)} unpacked\n`);
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

runScript(async () => {
  const options = /** @type {const} */ ({ gpu: { type: "string" }, repository: { type: "string" } });
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const { gpu, repository } = values;
  if (gpu === undefined && positionals.length > 0)
    throw new StepFailed(
      `\`${positionals.join(" ")}\` is not understood: only a GPU's package takes options for CMake`,
    );
  // A wrong one is said now, and not after twenty minutes.
  withOrigin({}, repository);
  const machine = thisMachine();
  requireRust(machine);
  await requireSystemPackages(machine);
  await installNpmPackages(ROOT);
  if (gpu === undefined) return packageAddon({ repository });
  return packageGpu(/** @type {Gpu} */ (gpu), positionals, { repository });
});
