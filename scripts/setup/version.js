/** Version numbers in what programs print of themselves. No ranges, no pre-release order. */

"use strict";

/**
 * @param {string} text as `rustc 1.88.0 (…)` or `cmake version 3.25.1`
 * @returns {number[] | undefined} the first version number in it
 */
function parseVersion(text) {
  const found = /\d+(?:\.\d+)+/.exec(text);
  return found ? found[0].split(".").map(Number) : undefined;
}

/**
 * @param {number[]} version
 * @param {number[]} minimum
 */
function isAtLeast(version, minimum) {
  for (const [index, wanted] of minimum.entries()) {
    const part = version[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

module.exports = { parseVersion, isAtLeast };
