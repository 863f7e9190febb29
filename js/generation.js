/**
 * A generation under way: a promise of its result and, the same object, an async iterable of its text.
 *
 * Starts nothing and knows no addon: text and end are handed to it. Chunks are kept, so an iteration that begins late, or a
 * second one, misses nothing.
 */

"use strict";

/** The text so far, the readers waiting for more, and how it ended. */
class Chunks {
  /** @type {string[]} */
  #texts = [];
  /** @type {(() => void)[]} */
  #waiting = [];
  /** @type {{ failure?: { reason: unknown } } | undefined} */
  #end;

  /** @param {string} text */
  push(text) {
    this.#texts.push(text);
    this.#wake();
  }

  /** @param {{ reason: unknown }} [failure] */
  end(failure) {
    this.#end = { failure };
    this.#wake();
  }

  /**
   * Waits until there is a chunk at this index, or an end.
   *
   * @param {number} index
   * @returns {Promise<{ text: string } | { failure?: { reason: unknown } }>}
   */
  async at(index) {
    while (index >= this.#texts.length && !this.#end) await this.#news();
    return index < this.#texts.length ? { text: this.#texts[index] } : { failure: this.#end?.failure };
  }

  /** @returns {Promise<void>} */
  #news() {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake() {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** One pass over the chunks. */
class ChunkIterator {
  #chunks;
  #running;
  #index = 0;
  #done = false;

  /**
   * @param {Chunks} chunks
   * @param {{ abort(): void }} running
   */
  constructor(chunks, running) {
    this.#chunks = chunks;
    this.#running = running;
  }

  /** @returns {Promise<IteratorResult<string, undefined>>} */
  async next() {
    if (this.#done) return { done: true, value: undefined };
    const found = await this.#chunks.at(this.#index++);
    if (this.#done) return { done: true, value: undefined };
    if ("text" in found) return { done: false, value: found.text };
    this.#done = true;
    if (found.failure) throw found.failure.reason;
    return { done: true, value: undefined };
  }

  /**
   * Leaving the loop early ends the generation: nobody reads the rest.
   *
   * @returns {Promise<IteratorResult<string, undefined>>}
   */
  async return() {
    this.#done = true;
    this.#running.abort();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

/** @extends {Promise<import("../index").GenerationResult>} */
class Generation extends Promise {
  /** What `then` returns is a plain promise: only the generation itself has text to iterate over. */
  static get [Symbol.species]() {
    return Promise;
  }

  #chunks;
  #running;

  /**
   * @param {(resolve: (result: any) => void, reject: (reason: unknown) => void) => void} start
   * @param {Chunks} [chunks]
   * @param {{ abort(): void }} [running] what ends it early
   */
  constructor(start, chunks = new Chunks(), running = { abort() {} }) {
    super((resolve, reject) => {
      const fail = (/** @type {unknown} */ reason) => {
        chunks.end({ reason });
        reject(reason);
      };
      const succeed = (/** @type {any} */ result) => {
        chunks.end();
        resolve(result);
      };
      try {
        start(succeed, fail);
      } catch (thrown) {
        fail(thrown);
      }
    });
    this.#chunks = chunks;
    this.#running = running;
  }

  [Symbol.asyncIterator]() {
    // The loop throws the failure; as an unhandled rejection it would come a second time.
    this.catch(() => {});
    return new ChunkIterator(this.#chunks, this.#running);
  }
}

module.exports = { Generation, Chunks };
