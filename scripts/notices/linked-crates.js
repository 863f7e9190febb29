/**
 * Which crates become part of the addon.
 *
 * Reads what `cargo metadata` says and nothing else. Crates that only run while building (build scripts, macros, tests) are not part of it.
 */

"use strict";

/**
 * The parts of `cargo metadata --format-version 1` that matter here.
 *
 * @typedef {object} Package
 * @property {string} id
 * @property {string} name
 * @property {string} version
 * @property {string | null} license
 * @property {string[]} authors
 * @property {string} manifest_path
 * @property {string | null} source none for the crates of this repository
 * @property {{ kind: string[] }[]} targets
 */
/** @typedef {{ pkg: string, dep_kinds: { kind: string | null }[] }} Dependency */
/**
 * @typedef {object} Metadata
 * @property {Package[]} packages
 * @property {string[]} workspace_members
 * @property {{ nodes: { id: string, deps: Dependency[] }[] }} resolve
 */

/**
 * @param {Metadata} metadata
 * @returns {Package[]} without the crates of this repository
 */
function linkedCrates(metadata) {
  const packages = new Map(metadata.packages.map((crate) => [crate.id, crate]));
  const dependencies = new Map(metadata.resolve.nodes.map((node) => [node.id, node.deps]));
  /** @type {Set<string>} */
  const seen = new Set();
  /** @param {string} id */
  const visit = (id) => {
    const crate = packages.get(id);
    if (seen.has(id) || !crate || isMacro(crate)) return;
    seen.add(id);
    for (const dependency of dependencies.get(id) ?? []) if (isLinked(dependency)) visit(dependency.pkg);
  };
  metadata.workspace_members.forEach(visit);
  return metadata.packages.filter((crate) => seen.has(crate.id) && crate.source !== null);
}

/** @param {Package} crate */
function isMacro(crate) {
  return crate.targets.some(({ kind }) => kind.includes("proc-macro"));
}

/** @param {Dependency} dependency an ordinary one has the kind `null` */
function isLinked(dependency) {
  return dependency.dep_kinds.some(({ kind }) => kind === null);
}

module.exports = { linkedCrates };
