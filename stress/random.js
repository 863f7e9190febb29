/**
 * Random numbers that are the same in every run with the same seed, so that a failure can be repeated.
 */

"use strict";

class Random {
  #state;

  /** @param {...number} seeds together they choose the sequence */
  constructor(...seeds) {
    this.#state = 0x9e3779b9;
    for (const seed of seeds) this.#state = scrambled(this.#state ^ scrambled(seed | 0));
  }

  /** A whole number from 0 up to, but not including, 2^32. */
  word() {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    return scrambled(this.#state) >>> 0;
  }

  /**
   * A whole number from 0 up to, but not including, `end`.
   *
   * @param {number} end
   */
  below(end) {
    const wide = this.word() * 0x200000 + (this.word() >>> 11);
    return Math.floor((wide / 2 ** 53) * end);
  }

  /**
   * One of `items`.
   *
   * @template T
   * @param {readonly T[]} items
   * @returns {T}
   */
  of(items) {
    return items[this.below(items.length)];
  }

  /**
   * True once in `times`.
   *
   * @param {number} times
   */
  once(times) {
    return this.below(times) === 0;
  }
}

/** @param {number} word Mixes all 32 bits into each other. */
function scrambled(word) {
  let mixed = word | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return mixed ^ (mixed >>> 15);
}

module.exports = { Random };
