/**
 * The bench: its arithmetic, its table and its chart, and that its rows run. No figure that is measured here means anything.
 *
 * Without the peers, which a test must not install.
 */

"use strict";

const assert = require("node:assert/strict");
const { execFile } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { performance } = require("node:perf_hooks");
const { after, test } = require("node:test");
const { promisify } = require("node:util");
const { chart } = require("../bench/chart");
const { cacheFolder } = require("../bench/folders");
const { residentIn } = require("../bench/machine");
const { kvBytes, MODELS } = require("../bench/models");
const { parseOptions } = require("../bench/options");
const { words } = require("../bench/prompts");
const { resultsPage } = require("../bench/report");
const { ROWS } = require("../bench/rows");
const { countAt } = require("../bench/rows/speed");
const { threadNumbers } = require("../bench/rows/threads");
const { longestStall } = require("../bench/sides/application");
const { figuresOf, gapsBetween } = require("../bench/sides/marks");
const { median, pairedRatios, percentile, quantile, spread, standardError } = require("../bench/statistics");
const { Store } = require("../bench/store");
const { markdownTable } = require("../bench/table");
const { commonBeginning, sessionSeed, turnsOf } = require("../bench/turns");
const { judge } = require("../bench/verdicts");

const ROOT = path.join(__dirname, "..");

/** @param {import("node:test").TestContext} context */
function temporaryFolder(context) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-bench-"));
  context.after(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

const DECODE = {
  title: "decode",
  model: "135M",
  unit: "tokens/s",
  better: /** @type {const} */ ("more"),
  subject: "addon",
  samples: { addon: [98, 80, 99], raw: [100, 100, 100], slow: [50, 50, 50], fast: [70, 80, 75], absent: [] },
  targets: [
    { text: "≥ 0.97 × raw", over: ["raw"], atLeast: 0.97 },
    { text: "≥ 1.25 × the best peer", over: ["slow", "fast", "absent"], atLeast: 1.25 },
    { text: "≥ 2 × nobody", over: ["absent"], atLeast: 2 },
  ],
};

test("quantiles lie between the values, percentiles are values", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(quantile([10, 20], 0.25), 12.5);
  assert.ok(Number.isNaN(median([])));
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  assert.equal(percentile(hundred, 0.99), 99);
  assert.equal(percentile([5], 0.99), 5);
  assert.deepEqual(spread([2, 9, 4]), { median: 4, least: 2, most: 9 });
  assert.deepEqual(pairedRatios([2, 9, 7], [1, 3]), [2, 3]);
});

test("a target is held against the median of the rounds, and against the best of several others", () => {
  const [raw, peer, nobody] = judge(DECODE);
  assert.deepEqual([raw.isMet, raw.median, raw.least, raw.most], [true, 0.98, 0.8, 0.99]);
  assert.deepEqual([peer.isMet, peer.median], [true, 1.32]);
  assert.equal(nobody.isMet, undefined);
});

test("what is near its bound tells the standard error, met or missed", () => {
  const verdictOf = (values, target = {}) =>
    judge({ ...DECODE, samples: { addon: values }, targets: [{ text: "≥ 1", atLeast: 1, ...target }] })[0];
  const close = verdictOf([0.9, 0.9, 1.05]);
  assert.deepEqual([close.isMet, close.standardError?.toFixed(3)], [false, "0.063"]);
  const met = verdictOf([1.1, 1.2, 0.9]);
  assert.deepEqual([met.isMet, met.standardError?.toFixed(3)], [true, "0.111"]);
  // It is far from the bound; one round has no error; a percentile is about single values.
  for (const verdict of [verdictOf([0.9, 0.8]), verdictOf([0.9]), verdictOf([0.9, 1.1], { percentile: 0.5 })])
    assert.equal(verdict.standardError, undefined);
  assert.equal(standardError([1, 2, 3]), Math.sqrt(Math.PI / 2) * Math.sqrt(1 / 3));
  assert.ok(Number.isNaN(standardError([1])));
  const entry = { ...DECODE, samples: { addon: [95, 95, 98], raw: [100, 100, 100] }, targets: [DECODE.targets[0]] };
  assert.match(markdownTable([entry])[2], /\| 0\.95 \(0\.95–0\.98, standard error 0\.013\) \| \*\*missed\*\* \|$/);
});

test("what is held against each other are neighbours in every round, each goes first as often, and peers come after", () => {
  const names = ["addon", "raw", "one", "two"];
  assert.deepEqual(
    [-1, 0, 1].map((round) => turnsOf(names, round, ["one", "two"])),
    [
      ["addon", "raw", "one", "two"],
      ["raw", "addon", "two", "one"],
      ["addon", "raw", "one", "two"],
    ],
  );
  assert.deepEqual(turnsOf(["one", "a", "b", "c"], 0, ["one"]), ["b", "c", "a", "one"]);
  assert.deepEqual(turnsOf(["addon"], 4, ["one"]), ["addon"]);
  assert.deepEqual(turnsOf([], 0, ["one"]), []);
});

test("no prompt of several sessions is asked twice, in whatever round", () => {
  const rounds = Array.from({ length: 22 }, (_, round) => round - 1);
  const seeds = rounds.flatMap((round) => Array.from({ length: 8 }, (_, index) => sessionSeed(index, round)));
  assert.equal(new Set(seeds).size, seeds.length);
  assert.equal(
    commonBeginning([
      [1, 2, 3],
      [1, 2, 4],
      [1, 2, 3, 4],
    ]),
    2,
  );
  assert.equal(
    commonBeginning([
      [1, 2],
      [1, 2, 3],
    ]),
    2,
  );
  assert.equal(commonBeginning([[5], [6]]), 0);
});

test("answers behind a long context are shorter, as their rounds are more", () => {
  assert.deepEqual(
    [512, 4096, 16384].map((depth) => countAt(depth, 128)),
    [128, 64, 16],
  );
  assert.equal(countAt(4096, 24), 16);
});

test("gaps of a moment are those that end in it", () => {
  const marks = [{ at: 10 }, { at: 20 }, { at: 45 }, { at: 50 }, { at: 70 }];
  assert.deepEqual(gapsBetween(marks, 20, 50), [25, 5]);
  assert.deepEqual(gapsBetween(marks, 71, 90), []);
});

test("less is better for times: differences, percentiles and plain bounds", () => {
  const entry = {
    ...DECODE,
    better: /** @type {const} */ ("less"),
    samples: { addon: [10, 20, 90], raw: [5, 5, 5], late: [100, 100, 100] },
    targets: [
      { text: "", over: ["raw", "late"], difference: true, atMost: 15 },
      { text: "", over: ["late"], atMost: 0.1 },
      { text: "", atMost: 20 },
      { text: "", percentile: 0.99, atMost: 50 },
    ],
  };
  assert.deepEqual(
    judge(entry).map(({ isMet, median: value }) => [isMet, value]),
    [
      [true, 15],
      [false, 0.2],
      [true, 20],
      [false, 90],
    ],
  );
});

test("the table has a line for each target, and says what was not offered", () => {
  const missing = { ...DECODE, title: "lookup", samples: {}, targets: [DECODE.targets[0]], missing: "not offered" };
  const late = { ...DECODE, title: "late", targets: [{ text: "≥ 2 × raw", over: ["raw"], atLeast: 2 }] };
  assert.deepEqual(markdownTable([DECODE, missing, late]).slice(2), [
    "| decode | 135M | addon 98.0, raw 100, slow 50.0, fast 75.0 tokens/s | ≥ 0.97 × raw | 0.98 (0.80–0.99, standard error 0.077) | met |",
    "|  |  |  | ≥ 1.25 × the best peer | 1.32 (1.00–1.40, standard error 0.153) | met |",
    "|  |  |  | ≥ 2 × nobody |  | – |",
    "| lookup | 135M | not offered | ≥ 0.97 × raw |  | – |",
    "| late | 135M | addon 98.0, raw 100, slow 50.0, fast 75.0 tokens/s | ≥ 2 × raw | 0.98 (0.80–0.99) | **missed** |",
  ]);
});

test("the page counts what is met and tells the facts", () => {
  const page = resultsPage([DECODE], { machine: "two cores" });
  assert.match(page, /2 of 2 targets met/);
  assert.match(page, /\| machine \| two cores \|/);
});

test("the chart's longest bar fills its width, and texts are escaped", () => {
  const svg = chart([{ ...DECODE, model: "a < b & c", samples: { addon: [50], raw: [100] } }], "How fast");
  assert.match(svg, /a &lt; b &amp; c/);
  const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));
  assert.deepEqual(widths, [175, 350]);
  assert.match(svg, /0\.50 × raw/);
  assert.match(svg, /prefers-color-scheme: dark/);
});

test("the chart leaves out what is not next to a raw loop", () => {
  const slower = { ...DECODE, title: "a time", better: /** @type {const} */ ("less") };
  const lonely = { ...DECODE, title: "alone", samples: { addon: [1] } };
  const absent = { ...DECODE, title: "absent", samples: {}, missing: "not offered" };
  assert.doesNotMatch(chart([slower, lonely, absent], "x"), /<rect/);
});

test("an answer's figures come from when its tokens arrived", () => {
  const marks = [
    { at: 110, tokens: 1 },
    { at: 120, tokens: 1 },
    { at: 150, tokens: 2 },
  ];
  assert.deepEqual(figuresOf(100, marks, 4), {
    count: 4,
    firstTokenMs: 10,
    tokensPerSecond: 75,
    usualGapMs: 20,
    longestGapMs: 30,
  });
  assert.equal(figuresOf(100, [{ at: 110, tokens: 5 }], 5).tokensPerSecond, 500);
  assert.throws(() => figuresOf(100, [], 0), /no token came/);
});

test("a standstill is noticed even when it is the first thing that happens", async () => {
  const standstill = () => {
    const end = performance.now() + 50;
    while (performance.now() < end);
  };
  assert.ok((await longestStall(standstill)) >= 45);
});

test("words are as many as asked for, the same for the same seed, and made of the letters", () => {
  const { description } = MODELS["135m"];
  const text = words(description, 500, 7);
  assert.match(text, /^([bcdfghjklmnprstvwxyz][aeiou]){2}( ([bcdfghjklmnprstvwxyz][aeiou]){2}){499}$/);
  assert.equal(words(description, 500, 7), text);
  assert.notEqual(words(description, 500, 8), text);
});

test("keys and values are counted as llama.cpp stores them", () => {
  // 30 layers, keys and values, 3 heads of 64 numbers, two bytes each.
  assert.equal(kvBytes(MODELS["135m"], 1000), 1000 * 30 * 2 * 3 * 64 * 2);
});

test("memory is summed over the mappings, those of the model's file left out", () => {
  const smaps = [
    "7f00-7f10 r--p 00000000 00:00 1 /models/a model.gguf",
    "Rss:                 500 kB",
    "7f20-7f30 rw-p 00000000 00:00 0 ",
    "Size:                900 kB",
    "Rss:                  40 kB",
    "7f40-7f50 rw-p 00000000 00:00 0 [heap]",
    "Rss:                   2 kB",
  ].join("\n");
  assert.equal(residentIn(smaps, "/models/a model.gguf"), 42 * 1024);
  assert.equal(residentIn(smaps, undefined), 542 * 1024);
});

test("the cache is where the platform keeps such things, or where one says", () => {
  const cases = [
    [{}, "linux", "/home/a/.cache/llama-worker-bench"],
    [{ XDG_CACHE_HOME: "/cache" }, "linux", "/cache/llama-worker-bench"],
    [{ XDG_CACHE_HOME: "relative" }, "linux", "/home/a/.cache/llama-worker-bench"],
    [{}, "darwin", "/home/a/Library/Caches/llama-worker-bench"],
    [{ XDG_CACHE_HOME: "/cache", LLAMA_WORKER_BENCH_CACHE: "/mine" }, "linux", "/mine"],
  ];
  for (const [environment, platform, expected] of cases)
    assert.equal(cacheFolder(environment, platform, "/home/a").replaceAll("\\", "/"), expected);
});

test("thread numbers double, and end with all cores", () => {
  assert.deepEqual([1, 2, 3, 4, 12].map(threadNumbers), [[1], [1, 2], [1, 2, 3], [1, 2, 4], [1, 2, 4, 8, 12]]);
});

test("options are checked by name and value", () => {
  assert.equal(parseOptions([]).profile, "full");
  assert.equal(parseOptions(["--quick", "--rounds", "7"]).sizes.rounds, 7);
  assert.deepEqual(parseOptions(["--models", "135m"]).sizes.models, ["135m"]);
  assert.throws(() => parseOptions(["--rounds", "0"]), /`--rounds` is `0`, expected a whole number from 1/);
  assert.throws(() => parseOptions(["--models", "7b"]), /`--models` names `7b`, expected some of builtin, 135m/);
});

test("results of a run that was stopped are there for the next one, and only for the same build", (context) => {
  const folder = temporaryFolder(context);
  const measured = { at: "2030-01-01", busyShare: 0, entries: [DECODE] };
  new Store(folder, "one build").set("decode", "135m", measured);
  assert.deepEqual(new Store(folder, "one build").get("decode", "135m"), measured);
  assert.equal(new Store(folder, "one build").has("decode", "1.1b"), false);
  assert.equal(new Store(folder, "another").has("decode", "135m"), false);
});

/** Few enough rows in each that none takes long, also on a busy machine; with a word that its line in the table has. */
const GROUPS = [
  {
    decode: "decode",
    depth: "64 tokens in the context",
    prompt: "prompt of 64",
    cold: "cold start",
    turn: "second turn",
  },
  {
    sessions: "2 sessions",
    gap: "longest gap",
    busy: "JavaScript is busy",
    threads: "quiet machine",
    contended: "busy process",
  },
  { abort: "abort during", stall: "stall", cpu: "CPU of", memory: "memory above", lookup: "prompt lookup" },
];

test("the groups are all rows", () => {
  const names = GROUPS.flatMap((group) => Object.keys(group));
  assert.deepEqual(
    names,
    ROWS.map(({ name }) => name),
  );
});

const cache = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-bench-cache-"));
after(() => fs.rmSync(cache, { recursive: true }));

for (const group of GROUPS) {
  const rows = Object.keys(group).join(",");
  test(`these rows run, on models of the bench's own making: ${rows}`, async () => {
    const results = path.join(cache, "written");
    const flags = ["--smoke", "--no-peers", "--developer-build", "--rounds", "1", "--rows", rows, "--results", results];
    const environment = { ...process.env, LLAMA_WORKER_BENCH_CACHE: cache };
    await promisify(execFile)(process.execPath, [path.join(ROOT, "bench", "run.js"), ...flags], { env: environment });
    const page = fs.readFileSync(path.join(results, "RESULTS.md"), "utf8");
    for (const word of Object.values(group)) assert.ok(page.includes(word), word);
    assert.match(fs.readFileSync(path.join(results, "results.svg"), "utf8"), /^<svg .*<\/svg>\n$/s);
  });
}
