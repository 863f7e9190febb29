/**
 * The order of what is asked of one session: a turn that calls tools takes several requests, and what comes later waits for its end.
 *
 * Knows nothing of what it orders. Whoever finds the line empty begins at once, in the same turn of the event loop: as long as nobody
 * stays, requests reach the addon as they are made, and the addon keeps them in order.
 */

"use strict";

/**
 * A place in the line. `turn` is missing when there is nobody before it; else it resolves when all before it have left. Leaving twice is
 * harmless.
 *
 * @typedef {{ turn?: Promise<void>, leave(): void }} Place
 */

class Line {
  /** @type {{ begin(): void }[]} */
  #places = [];

  /** @returns {Place} */
  enter() {
    const place = { begin() {} };
    this.#places.push(place);
    const leave = () => this.#leave(place);
    if (this.#places[0] === place) return { leave };
    const turn = new Promise((/** @type {(value: void) => void} */ resolve) => {
      place.begin = resolve;
    });
    return { turn, leave };
  }

  /** @param {{ begin(): void }} place */
  #leave(place) {
    const index = this.#places.indexOf(place);
    if (index === -1) return;
    this.#places.splice(index, 1);
    if (index === 0) this.#places[0]?.begin();
  }
}

module.exports = { Line };
