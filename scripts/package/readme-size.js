/**
 * Holds what the README says of our own size against what was packed.
 *
 * Looks at Linux x64 only, of which the README's table tells; the figures of other packages were measured once, see docs/packages.md.
 */

"use strict";

/** What a newer compiler or a word more in a file may change without the README being wrong. */
const TOLERANCE = 1_000_000;

/**
 * @param {string} readme
 * @returns {number} bytes
 */
function sizeInReadme(readme) {
  const found = /^\| llama-worker [^|]+\| (\d+) MB \| 2 \|$/m.exec(readme);
  if (!found) throw new Error("the README has no row of sizes for llama-worker");
  return Number(found[1]) * 1_000_000;
}

/**
 * @param {string} readme
 * @param {number} unpacked bytes of both packages
 * @returns {string | undefined} a sentence when the README is wrong
 */
function sizeComplaint(readme, unpacked) {
  const said = sizeInReadme(readme);
  if (Math.abs(said - unpacked) < TOLERANCE) return undefined;
  const inMegabytes = (/** @type {number} */ bytes) => `${(bytes / 1_000_000).toFixed(1)} MB`;
  return `the README says that the packages have ${inMegabytes(said)}, and they have ${inMegabytes(unpacked)}: write that into README.md and README.pt-BR.md`;
}

module.exports = { sizeComplaint, sizeInReadme };
