/** The results as text: a Markdown table, whose lines are also what the terminal shows. Pure. */

"use strict";

const { median } = require("./statistics");
const { judge } = require("./verdicts");

const HEADER = ["row", "model", "measured", "target", "reached", ""];

/**
 * @param {import("./verdicts").Entry[]} entries
 * @returns {string[]} lines
 */
function markdownTable(entries) {
  const lines = entries.flatMap(linesOf);
  return [HEADER, HEADER.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`);
}

/** A line for each target; what belongs to the entry stands in the first only. */
function linesOf(entry) {
  const own = [entry.title, entry.model, entry.missing ?? figures(entry)];
  const verdicts = judge(entry);
  if (verdicts.length === 0) return [[...own, "", "", ""]];
  return verdicts.map((verdict, index) => [
    ...(index === 0 ? own : ["", "", ""]),
    verdict.text,
    Number.isNaN(verdict.median) ? "" : reached(verdict),
    mark(verdict, entry),
  ]);
}

/** The medians of all sides. */
function figures({ samples, unit, note }) {
  const sides = Object.entries(samples).filter(([, values]) => values.length > 0);
  const texts = sides.map(([side, values]) => `${side} ${rounded(median(values))}`);
  return `${texts.join(", ")} ${unit}${note ? `; ${note}` : ""}`;
}

function reached({ median: middle, least, most, isRatio, standardError }) {
  const shown = isRatio ? (value) => value.toFixed(2) : rounded;
  const error =
    standardError === undefined
      ? ""
      : `, standard error ${isRatio ? standardError.toFixed(3) : rounded(standardError)}`;
  return `${shown(middle)} (${shown(least)}–${shown(most)}${error})`;
}

function mark({ isMet }, { missing }) {
  if (missing || isMet === undefined) return "–";
  return isMet ? "met" : "**missed**";
}

/** Three digits that count. */
function rounded(value) {
  if (!Number.isFinite(value)) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

module.exports = { markdownTable, rounded };
