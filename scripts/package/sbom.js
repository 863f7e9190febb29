/**
 * The list of everything inside a package's binaries, in the CycloneDX form that scanners read.
 *
 * The same for the same sources: no time, no random number. The licence texts themselves are in THIRD-PARTY-NOTICES.md.
 */

"use strict";

const path = require("node:path");
const { LLAMA_CRATE } = require("../setup/cargo");
const { outputOf } = require("../setup/command");
const { chosenLicense } = require("../notices/license-texts");
const { CXX_LIBRARY } = require("../notices");
const { linkedCrates } = require("../notices/linked-crates");
const { llamaWorks } = require("../notices/llama-cpp");

/**
 * @param {string} root
 * @param {{ name: string, version: string, license: string }} manifest of the package
 * @param {{ target: string, isGpu?: boolean }} kind `isGpu`: a GPU backend alone, which has no Rust in it
 * @returns {Promise<string>}
 */
async function renderSbom(root, { name, version, license }, { target, isGpu = false }) {
  const args = ["metadata", "--locked", "--format-version", "1", "--filter-platform", target];
  const crates = linkedCrates(JSON.parse(await outputOf("cargo", args, { cwd: root })));
  const llama = crates.find((crate) => crate.name === LLAMA_CRATE);
  if (!llama) throw new Error(`\`${LLAMA_CRATE}\` is not among the linked crates`);
  const works = llamaWorks(path.join(path.dirname(llama.manifest_path), "llama.cpp"));
  const components = [
    ...works.map((work) => workComponent(work, llama.version)),
    ...(target.includes("linux") ? [libraryComponent(CXX_LIBRARY)] : []),
    ...(isGpu ? [] : crates.map(crateComponent)),
  ];
  const bom = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: { type: "library", name, version, licenses: [licenseOf(license)], purl: `pkg:npm/${name}@${version}` },
    },
    components,
  };
  return `${JSON.stringify(bom, null, 2)}\n`;
}

/**
 * @param {{ name: string, license: string }} work
 * @param {string} carrier the version of the crate that brings llama.cpp's sources along
 */
function workComponent({ name, license }, carrier) {
  return {
    type: "library",
    name,
    licenses: [licenseOf(license)],
    properties: [{ name: "source", value: `${LLAMA_CRATE} ${carrier}` }],
  };
}

/** @param {{ name: string, license: string }} library */
function libraryComponent({ name, license }) {
  return { type: "library", name, licenses: [licenseOf(license)] };
}

/** @param {import("../notices/linked-crates").Package} crate */
function crateComponent({ name, version, license }) {
  const purl = `pkg:cargo/${name}@${version}`;
  return { type: "library", "bom-ref": purl, name, version, licenses: [licenseOf(chosenLicense(license ?? ""))], purl };
}

/** @param {string} text an identifier of SPDX, or an expression of several */
function licenseOf(text) {
  return /[\s/]/.test(text) ? { expression: text.replaceAll("/", " OR ") } : { license: { id: text } };
}

module.exports = { renderSbom };
