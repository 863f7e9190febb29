/** Medians and spreads. Pure. */

"use strict";

/** The value below which `share` of them lie; between two of them in proportion. */
function quantile(values, share) {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((left, right) => left - right);
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

const median = (values) => quantile(values, 0.5);

/** The nearest of the measured values, so that a single outlier of a hundred counts as what it was. */
function percentile(values, share) {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}

/** `{ median, least, most }` */
function spread(values) {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** Round by round: what one side did over what the other did a moment later. The machine's own drift is in both. */
function pairedRatios(numerators, denominators) {
  return numerators.slice(0, denominators.length).map((value, round) => value / denominators[round]);
}

/** A median's error is about so many times the mean's, where values lie as usual. */
const OF_MEDIAN = Math.sqrt(Math.PI / 2);

/** Of their median: how far another run of as many would easily be from this one. None of a single value. */
function standardError(values) {
  if (values.length < 2) return Number.NaN;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return OF_MEDIAN * Math.sqrt(squares / (values.length - 1) / values.length);
}

function pairedDifferences(left, right) {
  return left.slice(0, right.length).map((value, round) => value - right[round]);
}

module.exports = { median, pairedDifferences, pairedRatios, percentile, quantile, spread, standardError };
