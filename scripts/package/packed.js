/**
 * What `npm run package` left in `dist/`, for the tests that take it: found, compared with the sources that are here, unpacked.
 *
 * A package says from which sources it was made. Without that a test could pass on what an older checkout had built.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { outputOf, runQuietly } = require("../setup/command");
const { hashInputs } = require("../setup/stamp");
const { StepFailed } = require("../setup/step-failed");

/** @typedef {"root" | "addon" | "gpu"} Kind */

const RECIPE = ["Cargo.lock", "scripts/package"];
/** @type {Record<Kind, string[]>} */
const SOURCES = {
  root: [
    ...["js", "index.d.ts", "index.d.mts", "supervisor.d.ts", "package.json", "models/tiny-chat/tiny-chat.gguf"],
    "scripts/package/manifests.js",
  ],
  addon: [
    ...RECIPE,
    ...[".cargo", "cmake", "Cargo.toml", "build.rs", "src", "crates"],
    ...["cargo.js", "platform-folder.js"].map((name) => `scripts/setup/${name}`),
  ],
  gpu: RECIPE,
};

/**
 * @param {string} root
 * @param {Kind} kind
 * @returns {string} a hash, which every package's manifest carries as `madeFrom`
 */
function sourcesOf(root, kind) {
  return hashInputs(root, SOURCES[kind]);
}

/**
 * @param {string} root
 * @param {string} name of the package
 */
function tarballOf(root, name) {
  const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
  return path.join(root, "dist", `${name}-${version}.tgz`);
}

/**
 * @param {string} root
 * @param {string} name of the package
 * @param {Kind} kind
 * @returns {Promise<string | undefined>} a sentence, unless it is there and made from these sources
 */
async function packedComplaint(root, name, kind) {
  const file = tarballOf(root, name);
  const shown = path.relative(root, file);
  if (!fs.existsSync(file)) return `there is no \`${shown}\`: ${howToMake(kind)}`;
  const { madeFrom } = JSON.parse(await outputOf("tar", ["-xzOf", file, "package/package.json"]));
  if (madeFrom === sourcesOf(root, kind)) return undefined;
  return `\`${shown}\` was made from other sources than those that are here: ${howToMake(kind)}`;
}

/** @param {Kind} kind */
function howToMake(kind) {
  return `run \`npm run package${kind === "gpu" ? " -- --gpu …" : ""}\` first`;
}

/**
 * @param {string} root
 * @param {string} name of the package
 * @param {Kind} kind
 * @param {string} target a folder that holds nothing but the package's files afterwards
 */
async function unpackPacked(root, name, kind, target) {
  const complaint = await packedComplaint(root, name, kind);
  if (complaint) throw new StepFailed(complaint);
  await unpack(tarballOf(root, name), target);
}

/**
 * @param {string} file
 * @param {string} target
 */
async function unpack(file, target) {
  fs.rmSync(target, { recursive: true, force: true });
  fs.mkdirSync(target, { recursive: true });
  await runQuietly("tar", ["-xzf", file, "-C", target, "--strip-components=1"]);
}

module.exports = { packedComplaint, sourcesOf, tarballOf, unpack, unpackPacked };
