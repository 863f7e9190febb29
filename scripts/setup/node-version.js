/**
 * Is this Node.js new enough?
 *
 * Written so that a much older Node.js can read it too, and in need of no other file: it runs before everything else. Installs nothing.
 */

"use strict";

const OLDEST_MAJOR = 20;

/**
 * @param {string} version as in `process.versions.node`
 * @returns {string | undefined} one sentence when it is too old
 */
function nodeComplaint(version) {
  if (Number(version.split(".")[0]) >= OLDEST_MAJOR) return undefined;
  const needed = `at least ${OLDEST_MAJOR} is needed`;
  return `Node.js ${version} is too old, ${needed}: get it from https://nodejs.org, then run this again`;
}

function requireNode() {
  const complaint = nodeComplaint(process.versions.node);
  if (!complaint) return;
  process.stderr.write(`${complaint}\n`);
  process.exit(1);
}

module.exports = { nodeComplaint, requireNode };
