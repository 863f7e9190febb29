/** Writes `RESULTS.md` and `results.svg`. Says of the machine only what kind it is. */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { chart } = require("./chart");
const { markdownTable } = require("./table");
const { judge } = require("./verdicts");

const METHOD = [
  "Written by `npm run bench`. Each side is a program of its own with the same model file, the same number of threads unless the row says",
  "otherwise, the same prompts and the same number of tokens, greedily. They take turns: the addon and what it is held against run one right after the",
  "other and take turns in going first, the peers run after both; a first round is not counted. A ratio is taken round by round: the table shows",
  "the median and, in brackets, the least and the most. A target is met when the median meets it. Where the median is nearer to the bound than",
  "twice its standard error, that stands beside it, and the verdict may be chance, met or missed. Decoding has more and shorter rounds than the rest, and peers take part in the first of them only.",
  "With few rounds a difference of a few per cent says little, met or missed. Times are taken in the application, when a token reaches it. A peer whose",
  "turn takes longer than ten seconds has one counted turn.",
  "",
  "*addon* is this package as it is published, through its public interface, streaming into a callback. *raw* is a loop in Rust over the same llama.cpp libraries and",
  "backends that only calls `llama_decode` and takes the likeliest token: the limit. The peers are used as their documentation shows, as they",
  "are published: llama.node's package for Linux on x64 is compiled without AVX, which most of its distance comes from. The models have",
  "random weights at real shapes, because speed does not depend on what the weights say.",
];

/** @param {{ entries: import("./verdicts").Entry[], facts: Record<string, string>, folder: string }} results */
function writeReport({ entries, facts, folder }) {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, "RESULTS.md"), resultsPage(entries, facts));
  fs.writeFileSync(path.join(folder, "results.svg"), chart(entries.filter(isInChart), "How fast words come"));
}

function resultsPage(entries, facts) {
  const lines = ["# Measured", "", ...METHOD, "", "| | |", "| --- | --- |"];
  for (const [name, value] of Object.entries(facts)) lines.push(`| ${name} | ${value} |`);
  lines.push("", summary(entries), "", ...markdownTable(entries), "");
  return lines.join("\n");
}

/** How many targets are met. */
function summary(entries) {
  const verdicts = entries.flatMap(judge).filter(({ isMet }) => isMet !== undefined);
  return `${verdicts.filter(({ isMet }) => isMet).length} of ${verdicts.length} targets met.`;
}

/** A chart of everything would show nothing. */
function isInChart({ title }) {
  return title === "decode" || title.startsWith("prompt of 1500") || title.startsWith("4 sessions");
}

module.exports = { resultsPage, summary, writeReport };
