/**
 * The order of what is asked of one session: a turn that calls tools takes several requests, and what comes later waits for its end.
 *
 * Knows nothing of what it orders. Whoever finds the line empty begins at once, in the same turn of the event loop: as long as nobody
 * stays, requests reach the addon as they are made, and the addon keeps them in order.
 */

"use strict";

/**
 * A place in the line. `turn` is missing when there is nobody before it; else it resolves when all before it have left. Whoever `stays` has made
 * its first request and may make others. Leaving twice is harmless.
 *
 * @typedef {{ turn?: Promise<void>, stay(): void, leave(): void }} Place
 */

class Line {
  /** @type {{ begin(): void, stays: boolean }[]} */
  #places = [];

  /** @returns {Place} */
  enter() {
    const place = { begin() {}, stays: false };
    this.#places.push(place);
    const stay = () => {
      place.stays = true;
    };
    const leave = () => this.#leave(place);
    if (this.#places[0] === place) return { stay, leave };
    const turn = new Promise((/** @type {(value: void) => void} */ resolve) => {
      place.begin = resolve;
    });
    return { turn, stay, leave };
  }

  /**
   * For what only looks: it need not wait for one who stays, but does for all who wait themselves.
   *
   * @returns {Place}
   */
  enterToLook() {
    const [first, second] = this.#places;
    return first?.stays && !second ? { stay() {}, leave() {} } : this.enter();
  }

  /** Whether nobody is there. */
  get isEmpty() {
    return this.#places.length === 0;
  }

  /** @param {{ begin(): void, stays: boolean }} place */
  #leave(place) {
    const index = this.#places.indexOf(place);
    if (index === -1) return;
    this.#places.splice(index, 1);
    if (index === 0) this.#places[0]?.begin();
  }
}

module.exports = { Line };
