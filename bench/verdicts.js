/**
 * Holds what was measured against the targets. Pure.
 *
 * A target is met when the median over the rounds meets it; the spread is shown beside it. What is nearer to its bound than twice the median's
 * standard error tells that error, met or missed.
 */

"use strict";

const { median, pairedDifferences, pairedRatios, percentile, spread, standardError } = require("./statistics");

/**
 * @typedef {object} Target
 * @property {string} text as the table shows it
 * @property {string[]} [over] the other samples, of which the best counts; without it the value itself is held against the bound
 * @property {boolean} [difference] subtract instead of dividing
 * @property {number} [percentile] of the values, instead of their median
 * @property {number} [atLeast]
 * @property {number} [atMost]
 */

/**
 * @typedef {object} Entry
 * @property {string} title
 * @property {string} model
 * @property {string} unit
 * @property {"more" | "less"} better
 * @property {string} subject whose samples are judged
 * @property {Record<string, number[]>} samples
 * @property {Target[]} targets
 * @property {string} [note]
 * @property {string} [missing] why there are no samples
 */

/** @typedef {{ text: string, isMet: boolean | undefined, median: number, least: number, most: number, isRatio: boolean,
 *   standardError?: number }} Verdict near the bound: the standard error of the median */

/**
 * @param {Entry} entry
 * @returns {Verdict[]}
 */
function judge(entry) {
  return entry.targets.map((target) => {
    const values = compared(entry, target);
    if (values.length === 0) return undecided(target);
    const figures = spread(values);
    const value = target.percentile === undefined ? figures.median : percentile(values, target.percentile);
    const isMet = meets(value, target);
    const bound = target.atLeast ?? target.atMost ?? Number.NaN;
    const isClose = target.percentile === undefined && Math.abs(value - bound) < 2 * standardError(values);
    const verdict = { text: target.text, isMet, ...figures, median: value, isRatio: isRatio(target) };
    return isClose ? { ...verdict, standardError: standardError(values) } : verdict;
  });
}

function meets(value, { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY }) {
  return value >= atLeast && value <= atMost;
}

function undecided(target) {
  const none = Number.NaN;
  return { text: target.text, isMet: undefined, median: none, least: none, most: none, isRatio: isRatio(target) };
}

function isRatio({ over, difference }) {
  return over !== undefined && !difference;
}

/** One value for each round. None when the other side was not measured. */
function compared({ samples, subject, better }, { over, difference }) {
  const own = samples[subject] ?? [];
  if (!over) return own;
  const other = best(
    over.map((name) => samples[name] ?? []),
    better,
  );
  return difference ? pairedDifferences(own, other) : pairedRatios(own, other);
}

/** Of several samples those with the best median. */
function best(lists, better) {
  const measured = lists.filter((list) => list.length > 0);
  const sign = better === "more" ? -1 : 1;
  return measured.sort((left, right) => sign * (median(left) - median(right)))[0] ?? [];
}

module.exports = { judge };
