/**
 * Lets a listener's failure be its owner's, an uncaught exception, without keeping back what comes behind it.
 *
 * Swallows nothing: what was thrown is thrown again as soon as the present work is done.
 */

"use strict";

/** @param {() => void} deliver */
function throwLater(deliver) {
  try {
    deliver();
  } catch (thrown) {
    process.nextTick(() => {
      throw thrown;
    });
  }
}

module.exports = { throwLater };
