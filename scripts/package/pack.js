/**
 * Turns what is in the checkout into tarballs as npm publishes them, and looks at what went into each.
 *
 * Builds nothing: `npm/<platform>/` is packed as it is. A developer's build can be packed too, for tests.
 */

"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { npmCommand, outputOf } = require("../setup/command");
const { StepFailed } = require("../setup/step-failed");
const { binariesIn } = require("./checks");
const { PAPERS, renderManifest, rootManifest } = require("./manifests");
const { renderSbom } = require("./sbom");

/** @typedef {{ file: string, name: string, unpacked: number, entries: string[] }} Tarball */

/**
 * The root package: JavaScript, types and the small model.
 *
 * @param {string} root
 * @param {string} destination
 * @returns {Promise<Tarball>}
 */
async function packRoot(root, destination) {
  const checkout = readManifest(root);
  const stage = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-pack-"));
  try {
    const { files } = JSON.parse(await npm(["pack", "--dry-run", "--json", "--ignore-scripts"], root))[0];
    for (const { path: name } of files) copyInto(stage, root, name);
    fs.writeFileSync(path.join(stage, "package.json"), renderManifest(rootManifest(checkout)));
    return await pack(stage, destination);
  } finally {
    fs.rmSync(stage, { recursive: true, force: true });
  }
}

/**
 * A package of binaries. Its papers are written beside them.
 *
 * @param {string} root
 * @param {string} folder the name of a folder below `npm/`
 * @param {string} destination
 * @param {{ target: string, isGpu?: boolean }} kind
 * @returns {Promise<Tarball>}
 */
async function packBinaries(root, folder, destination, kind) {
  const place = path.join(root, "npm", folder);
  await writePapers(root, place, kind);
  const tarball = await pack(place, destination);
  const expected = [...binariesIn(place), ...PAPERS, "README.md", "package.json"].sort();
  const surplus = tarball.entries.filter((name) => !expected.includes(name));
  const missing = expected.filter((name) => !tarball.entries.includes(name));
  if (surplus.length + missing.length > 0) {
    const [more, less] = [surplus, missing].map((names) => names.join(", ") || "nothing");
    throw new StepFailed(`the package of \`npm/${folder}\` has ${more} too much and lacks ${less}`);
  }
  return tarball;
}

/**
 * @param {string} root
 * @param {string} place
 * @param {{ target: string, isGpu?: boolean }} kind
 */
async function writePapers(root, place, kind) {
  const [license, notices, sbom] = PAPERS;
  for (const name of [license, notices]) fs.copyFileSync(path.join(root, name), path.join(place, name));
  const manifest = /** @type {any} */ (readManifest(place));
  fs.writeFileSync(path.join(place, sbom), await renderSbom(root, manifest, kind));
}

/**
 * @param {string} folder
 * @param {string} destination
 * @returns {Promise<Tarball>}
 */
async function pack(folder, destination) {
  fs.mkdirSync(destination, { recursive: true });
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", destination];
  const [packed] = JSON.parse(await npm(args, folder));
  const entries = packed.files.map((/** @type {{ path: string }} */ file) => file.path).sort();
  return { file: path.join(destination, packed.filename), name: packed.name, unpacked: packed.unpackedSize, entries };
}

/**
 * @param {string[]} args
 * @param {string} cwd
 */
function npm(args, cwd) {
  const [command, all] = npmCommand(args);
  return outputOf(command, all, { cwd, environment: { npm_config_dry_run: undefined } });
}

/**
 * @param {string} stage
 * @param {string} root
 * @param {string} name
 */
function copyInto(stage, root, name) {
  const target = path.join(stage, name);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(path.join(root, name), target);
}

/**
 * @param {string} folder
 * @returns {Record<string, any>}
 */
function readManifest(folder) {
  return JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
}

module.exports = { packBinaries, packRoot, readManifest };
