/**
 * What the package needs of JavaScript and the only Electron that package registries carry, of 2021, does not have yet.
 *
 * Loaded before everything else, in tests only. Its syntax is taken care of elsewhere.
 */

"use strict";

/**
 * @param {object} owner
 * @param {string} name
 * @param {unknown} value
 */
function define(owner, name, value) {
  if (!(name in owner)) Object.defineProperty(owner, name, { value, writable: true, configurable: true });
}

// Never telling of a finalized object is within what the language promises.
define(
  globalThis,
  "FinalizationRegistry",
  class {
    register() {}
    unregister() {}
  },
);
define(
  globalThis,
  "WeakRef",
  class {
    constructor(/** @type {unknown} */ target) {
      this.deref = () => target;
    }
  },
);
define(Object, "hasOwn", (/** @type {object} */ owner, /** @type {string} */ name) => Object.hasOwn(owner, name));
define(
  Array.prototype,
  "at",
  /** @this {any[]} */ function at(/** @type {number} */ index) {
    return this[index < 0 ? this.length + index : index];
  },
);
