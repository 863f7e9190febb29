/**
 * The text of THIRD-PARTY-NOTICES.md: everything that is linked into the files of `npm/<platform>/`, with its licence.
 *
 * The same on every machine: it depends on Cargo.lock and on the platforms of package.json, not on where it runs.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { LLAMA_CRATE } = require("../setup/cargo");
const { outputOf } = require("../setup/command");
const { licenseOf, mitText } = require("./license-texts");
const { linkedCrates } = require("./linked-crates");
const { llamaWorks } = require("./llama-cpp");

/** @typedef {import("./linked-crates").Package} Package */

/**
 * @param {string} root
 * @returns {Promise<string>}
 */
async function renderNotices(root) {
  const crates = await cratesOfAllPlatforms(root);
  const llama = crates.find((crate) => crate.name === LLAMA_CRATE);
  if (!llama) throw new Error(`\`${LLAMA_CRATE}\` is not among the linked crates`);
  const works = llamaWorks(path.join(path.dirname(llama.manifest_path), "llama.cpp"));
  const standardLibrary = {
    name: "The Rust standard library",
    license: "MIT",
    text: mitText(["Copyright (c) The Rust Project Contributors"]),
  };
  const sections = [
    INTRODUCTION,
    "## llama.cpp",
    ...[...works, CXX_LIBRARY].map(renderWork),
    "## Rust",
    renderWork(standardLibrary),
    renderCrates(crates),
  ];
  return `${sections.join("\n\n")}\n`;
}

/** Linked into the packages for Linux, see scripts/package/llama-cpp.cmake. */
const CXX_LIBRARY = {
  name: "The GNU C++ library (libstdc++), in the packages for Linux",
  license: "GPL-3.0-or-later WITH GCC-exception-3.1",
  text: `Copyright (C) Free Software Foundation, Inc.

The library is under the GNU General Public License, version 3 or later, with the GCC Runtime Library Exception, version 3.1: programs that were
compiled with GCC in the ordinary way may contain it and be passed on under terms of their own. Its sources are part of GCC.`,
};

const INTRODUCTION = `# Third-party notices

The binaries of llama-worker contain the works listed here, each under its own licence. Where a work offers a choice of licences that has MIT
in it, it is used under MIT. This file is made by \`npm run generate\`.`;

/**
 * @param {string} root
 * @returns {Promise<Package[]>} by name
 */
async function cratesOfAllPlatforms(root) {
  const { targets } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")).napi;
  /** @type {Map<string, Package>} */
  const crates = new Map();
  for (const target of targets) {
    const args = ["metadata", "--locked", "--format-version", "1", "--filter-platform", target];
    const metadata = JSON.parse(await outputOf("cargo", args, { cwd: root }));
    for (const crate of linkedCrates(metadata)) crates.set(crate.id, crate);
  }
  return [...crates.values()].sort((one, other) => (label(one) < label(other) ? -1 : 1));
}

/** @param {Package} crate */
function label(crate) {
  return `${crate.name} ${crate.version}`;
}

/** @param {{ name: string, license: string, text: string }} work */
function renderWork({ name, license, text }) {
  return `### ${name} — ${license}\n\n\`\`\`text\n${text}\n\`\`\``;
}

/**
 * Crates with the very same text share it.
 *
 * @param {Package[]} crates
 */
function renderCrates(crates) {
  /** @type {Map<string, { names: string[], license: string, text: string }>} */
  const groups = new Map();
  for (const crate of crates) {
    const { license, text } = licenseOf(crate);
    const group = groups.get(text) ?? { names: [], license, text };
    group.names.push(label(crate));
    groups.set(text, group);
  }
  return [...groups.values()]
    .map(({ names, license, text }) => renderWork({ name: names.join(", "), license, text }))
    .join("\n\n");
}

module.exports = { CXX_LIBRARY, renderNotices };
