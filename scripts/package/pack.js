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
const { sourcesOf } = require("./packed");
const { PAPERS, renderManifest, rootManifest, withOrigin } = require("./manifests");
const { renderSbom } = require("./sbom");

/** @typedef {{ file: string, name: string, unpacked: number, entries: string[] }} Tarball */

/**
 * The root package: JavaScript, types and the small model.
 *
 * @param {string} root
 * @param {string} destination
 * @param {{ repository?: string }} [origin] the address that its manifest names
 * @returns {Promise<Tarball>}
 */
async function packRoot(root, destination, { repository } = {}) {
  const manifest = { ...withOrigin(rootManifest(readManifest(root)), repository), madeFrom: sourcesOf(root, "root") };
  const { files } = JSON.parse(await npm(["pack", "--dry-run", "--json", "--ignore-scripts"], root))[0];
  return packStaged(destination, (stage) => {
    for (const { path: name } of files) copyInto(stage, root, name);
    writeInto(stage, "package.json", renderManifest(manifest));
  });
}

/**
 * A package of binaries, with its papers.
 *
 * @param {string} root
 * @param {string} folder the name of a folder below `npm/`
 * @param {string} destination
 * @param {{ target: string, isGpu?: boolean, repository?: string }} kind
 * @returns {Promise<Tarball>}
 */
async function packBinaries(root, folder, destination, { repository, ...kind }) {
  const place = path.join(root, "npm", folder);
  const manifest = /** @type {any} */ (readManifest(place));
  const [license, notices, sbom] = PAPERS;
  const list = await renderSbom(root, manifest, kind);
  const binaries = binariesIn(place);
  const madeFrom = sourcesOf(root, kind.isGpu ? "gpu" : "addon");
  const tarball = await packStaged(destination, (stage) => {
    for (const name of [...binaries, "README.md"]) copyInto(stage, place, name);
    for (const name of [license, notices]) copyInto(stage, root, name);
    writeInto(stage, sbom, list);
    writeInto(
      stage,
      "package.json",
      renderManifest({ ...withOrigin(manifest, repository, `npm/${folder}`), madeFrom }),
    );
  });
  const expected = [...binaries, ...PAPERS, "README.md", "package.json"];
  const missing = expected.filter((name) => !tarball.entries.includes(name));
  if (missing.length > 0) throw new StepFailed(`the package of \`npm/${folder}\` lacks ${missing.join(", ")}`);
  return tarball;
}

/**
 * Packs a folder of its own, so that several can pack the same checkout at once, and nothing in it changes.
 *
 * @param {string} destination
 * @param {(stage: string) => void} fill
 */
async function packStaged(destination, fill) {
  const stage = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-pack-"));
  try {
    fill(stage);
    return await pack(stage, destination);
  } finally {
    fs.rmSync(stage, { recursive: true, force: true });
  }
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
 * @param {string} stage
 * @param {string} name
 * @param {string} text
 */
function writeInto(stage, name, text) {
  fs.writeFileSync(path.join(stage, name), text);
}

/**
 * @param {string} folder
 * @returns {Record<string, any>}
 */
function readManifest(folder) {
  return JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
}

module.exports = { packBinaries, packRoot, readManifest };
