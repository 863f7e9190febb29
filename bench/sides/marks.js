/** The figures of one answer, from when its tokens reached JavaScript. The same for every side. Pure but for the clock. */

"use strict";

const { performance } = require("node:perf_hooks");
const { median } = require("../statistics");

class Marks {
  #start = performance.now();
  /** @type {{ at: number, tokens: number }[]} */
  #marks = [];

  /** Tokens that have just come, in one piece. */
  add(tokens = 1) {
    if (tokens > 0) this.#marks.push({ at: performance.now(), tokens });
  }

  get count() {
    return this.#marks.reduce((sum, { tokens }) => sum + tokens, 0);
  }

  /** The times between pieces that came from one moment to another. */
  gapsBetween(from, to) {
    return gapsBetween(this.#marks, from, to);
  }

  /** When the last piece came. */
  get last() {
    return this.#marks.at(-1)?.at ?? this.#start;
  }

  /** `count`: how many tokens there were, where the side itself knows; some pieces have several. */
  figures(count = this.count) {
    return figuresOf(this.#start, this.#marks, count);
  }
}

/**
 * @param {number} start
 * @param {{ at: number, tokens: number }[]} marks
 * @param {number} count
 */
function figuresOf(start, marks, count) {
  if (marks.length === 0) throw new Error("no token came");
  const [first, last] = [marks[0], marks[marks.length - 1]];
  const gaps = marks.slice(1).map(({ at }, index) => at - marks[index].at);
  return {
    count,
    firstTokenMs: first.at - start,
    tokensPerSecond: speed(start, first, last, count),
    usualGapMs: gaps.length > 0 ? median(gaps) : null,
    longestGapMs: gaps.length > 0 ? Math.max(...gaps) : null,
  };
}

/**
 * @param {{ at: number }[]} marks
 * @param {number} from
 * @param {number} to
 */
function gapsBetween(marks, from, to) {
  const gaps = marks.slice(1).map(({ at }, index) => ({ at, ms: at - marks[index].at }));
  return gaps.filter(({ at }) => at > from && at <= to).map(({ ms }) => ms);
}

/** From the first token to the last. Of an answer that came in one piece there is only the time that it took altogether. */
function speed(start, first, last, count) {
  if (last === first) return (count * 1000) / (first.at - start);
  return ((count - first.tokens) * 1000) / (last.at - first.at);
}

module.exports = { Marks, figuresOf, gapsBetween };
