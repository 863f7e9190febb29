/**
 * The command `llama-worker` with a model of the hub: it is fetched first, a person sees how far it is, and Ctrl-C loses nothing.
 *
 * The display alone is held against a clock of its own; that it is drawn, through processes.
 */

"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const path = require("node:path");
const { DownloadDisplay } = require("../js/download-display");
const { builtInModelPath } = require("../js/index");
const { contentOf, finished, freshFolder, keptBytes, until } = require("./download-support");
const { startHub } = require("./fixtures/hub");
const { CAPITAL, HANG_MS, test } = require("./support");

const CLI = path.join(__dirname, "..", "js", "cli.js");
const TERMINAL = path.join(__dirname, "fixtures", "error-terminal.js");
const MODEL = "hf://llama-worker/tiny-chat";
const SIZE = fs.statSync(builtInModelPath).size;
const SLOWLY = { pace: { bytes: SIZE / 20, everyMs: 40 } };

/** @param {import("node:test").TestContext} context */
async function hubAndPlace(context) {
  const hub = await startHub(context);
  hub.put("llama-worker/tiny-chat", "model.gguf", contentOf(builtInModelPath));
  const cwd = freshFolder(context);
  return { hub, cwd, models: path.join(cwd, "models") };
}

/**
 * @param {string[]} args
 * @param {{ cwd: string, env?: Record<string, string>, nodeOptions?: string[] }} options
 */
function start(args, { cwd, env = {}, nodeOptions = [] }) {
  const child = spawn(process.execPath, [...nodeOptions, CLI, "--threads", "1", ...args], {
    cwd,
    env: { ...process.env, ...env },
    timeout: HANG_MS,
    killSignal: "SIGKILL",
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (output.stderr += text));
  child.stdin.end();
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...output }));
  return { child, ended };
}

/** @param {Parameters<typeof start>} call */
const run = (...call) => start(...call).ended;

test("--model with a name of the hub: downloaded into models/, then answered; the second time at once", async (context) => {
  const { hub, cwd, models } = await hubAndPlace(context);
  hub.script("content", SLOWLY);
  const args = ["--model", MODEL, "--endpoint", hub.endpoint, CAPITAL.question];
  const { code, stdout, stderr } = await run(args, { cwd });
  assert.deepEqual([code, stdout], [0, `${CAPITAL.answer}\n`], stderr);
  assert.deepEqual(contentOf(path.join(models, "model.gguf")), contentOf(builtInModelPath));
  const lines = stderr.trimEnd().split("\n");
  for (const line of lines)
    assert.match(
      line,
      /^llama-worker: downloading tiny-chat: \d+ %, \d\.\d of 3\.0 MB(, \d+\.\d MB\/s, \d+:\d\d left)?$/,
    );
  assert.match(lines.at(-1) ?? "", /100 %/);
  assert.ok(lines.length <= 12, stderr);
  const again = await run(args, { cwd });
  assert.deepEqual(again, { code: 0, signal: null, stdout: `${CAPITAL.answer}\n`, stderr: "" });
  assert.equal(hub.fetches, 1);
});

test("--model with an address, and the hub of the environment for a quantization", async (context) => {
  const { hub, cwd, models } = await hubAndPlace(context);
  const address = hub.put("o/r", "tiny-Q8_0.gguf", contentOf(builtInModelPath));
  const byAddress = await run(["--model", address, CAPITAL.question], { cwd });
  assert.equal(byAddress.stdout, `${CAPITAL.answer}\n`, byAddress.stderr);
  fs.rmSync(models, { recursive: true });
  const env = { HF_ENDPOINT: hub.endpoint };
  const byName = await run(["--model", "hf:o/r:Q8_0", CAPITAL.question], { cwd, env });
  assert.equal(byName.stdout, `${CAPITAL.answer}\n`, byName.stderr);
});

test("HF_TOKEN goes to the hub that --endpoint names, and no further", async (context) => {
  const { hub, cwd } = await hubAndPlace(context);
  hub.token = "hf_secretsecret";
  const args = ["--model", MODEL, "--endpoint", hub.endpoint, CAPITAL.question];
  const { stdout, stderr } = await run(args, { cwd, env: { HF_TOKEN: hub.token } });
  assert.equal(stdout, `${CAPITAL.answer}\n`, stderr);
  assert.ok(hub.seen("content").every(({ headers }) => headers.authorization === undefined));
});

test("in a terminal: one line with a bar, percent, speed and time, wiped at the end", async (context) => {
  const { hub, cwd } = await hubAndPlace(context);
  hub.script("content", SLOWLY);
  const args = ["--model", MODEL, "--endpoint", hub.endpoint, CAPITAL.question];
  const { code, stderr } = await run(args, { cwd, nodeOptions: ["--require", TERMINAL] });
  assert.equal(code, 0, stderr);
  const drawn = stderr.split("\r\x1b[K");
  const bars = drawn.filter((line) => line.startsWith("["));
  assert.ok(bars.length > 2, stderr);
  assert.ok(
    bars.some((line) =>
      /^\[#+\.+\] \d+ % {2}\d\.\d of 3\.0 MB {2}\d+\.\d MB\/s {2}\d+:\d\d left {2}tiny-chat$/.test(line),
    ),
    stderr,
  );
  for (const line of bars) assert.ok(line.length < 80, line);
  assert.equal(drawn.at(-1), "");
  assert.ok(!stderr.includes("\n"), stderr);
});

for (const nodeOptions of [[], ["--require", TERMINAL]]) {
  const where = nodeOptions.length > 0 ? "in a terminal" : "anywhere else";
  test(`Ctrl-C ${where}: stopped in good order, and the same command goes on there`, async (context) => {
    const { hub, cwd, models } = await hubAndPlace(context);
    hub.script("content", { holdAfter: SIZE / 2 });
    const args = ["--model", MODEL, "--endpoint", hub.endpoint, CAPITAL.question];
    const { child, ended } = start(args, { cwd, nodeOptions });
    await hub.held();
    await until(() => keptBytes(models) > 0);
    child.kill("SIGINT");
    const { code, signal, stdout, stderr } = await ended;
    assert.deepEqual({ code, signal, stdout }, { code: 130, signal: null, stdout: "" });
    assert.match(stderr, /llama-worker: the download was stopped; the same command goes on where it stopped\n$/);
    assert.deepEqual(finished(models), []);
    const again = await run(args, { cwd });
    assert.equal(again.stdout, `${CAPITAL.answer}\n`, again.stderr);
    assert.ok(hub.hasResumed, hub.ranges.at(-1));
  });
}

test("a model that is not there, and an address that is not safe: one sentence, exit code 1", async (context) => {
  const { hub, cwd } = await hubAndPlace(context);
  for (const [model, sentence] of [
    ["hf://o/nowhere", /nowhere/],
    ["http://example.com/model.gguf", /example\.com/],
  ]) {
    const args = ["--model", String(model), "--endpoint", hub.endpoint, "x"];
    const { code, stdout, stderr } = await run(args, { cwd });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^llama-worker: [^\n]+\n$/);
    assert.match(stderr, /** @type {RegExp} */ (sentence));
  }
});

/**
 * What a display writes for bytes at times.
 *
 * @param {{ isTerminal?: boolean, columns?: number, name?: string, total?: number }} place
 * @param {[number, number][]} steps milliseconds and bytes
 */
function written({ isTerminal = false, columns, name = "m", total }, steps) {
  /** @type {string[]} */
  const texts = [];
  let time = 0;
  const display = new DownloadDisplay(name, {
    write: (text) => void texts.push(text),
    isTerminal,
    columns,
    now: () => time,
  });
  for (const [now, downloadedBytes] of steps) {
    time = now;
    display.show({ downloadedBytes, totalBytes: total, progress: total ? downloadedBytes / total : 0 });
  }
  display.end();
  return texts;
}

const displays = {
  "speed and time, from what has come since the first report": [
    { total: 10e6 },
    [
      [100, 1e6],
      [1100, 3e6],
    ],
    [
      "llama-worker: downloading m: 10 %, 1.0 of 10.0 MB\n",
      "llama-worker: downloading m: 30 %, 3.0 of 10.0 MB, 2.0 MB/s, 0:04 left\n",
    ],
  ],
  "what an earlier try has left is no speed": [
    { total: 10e6 },
    [
      [0, 0],
      [100, 5e6],
      [1100, 6e6],
    ],
    [
      "llama-worker: downloading m: 50 %, 5.0 of 10.0 MB\n",
      "llama-worker: downloading m: 60 %, 6.0 of 10.0 MB, 1.0 MB/s, 0:04 left\n",
    ],
  ],
  "the speed is that of the last seconds": [
    { total: 100e6 },
    [
      [0, 1e6],
      [1000, 51e6],
      [6000, 52e6],
      [11_000, 61e6],
    ],
    [
      "llama-worker: downloading m: 1 %, 1.0 of 100.0 MB\n",
      "llama-worker: downloading m: 51 %, 51.0 of 100.0 MB, 50.0 MB/s, 0:01 left\n",
      "llama-worker: downloading m: 61 %, 61.0 of 100.0 MB, 1.8 MB/s, 0:22 left\n",
    ],
  ],
  "a line every ten percent": [
    { total: 100e6 },
    [
      [1000, 1e6],
      [2000, 9e6],
      [3000, 19e6],
      [4000, 20e6],
    ],
    [
      "llama-worker: downloading m: 1 %, 1.0 of 100.0 MB\n",
      "llama-worker: downloading m: 19 %, 19.0 of 100.0 MB, 9.0 MB/s, 0:09 left\n",
      "llama-worker: downloading m: 20 %, 20.0 of 100.0 MB, 6.3 MB/s, 0:13 left\n",
    ],
  ],
  gigabytes: [
    { total: 40e9 },
    [
      [1000, 4e9],
      [2000, 8e9],
    ],
    [
      "llama-worker: downloading m: 10 %, 4.0 of 40.0 GB\n",
      "llama-worker: downloading m: 20 %, 8.0 of 40.0 GB, 4000.0 MB/s, 0:08 left\n",
    ],
  ],
  "a total that nobody knows": [
    {},
    [
      [0, 0],
      [1000, 2e6],
      [2000, 3e6],
    ],
    ["llama-worker: downloading m: 2.0 MB\n"],
  ],
  "a total that nobody knows, in a terminal": [
    { isTerminal: true },
    [
      [1000, 2e6],
      [2000, 3e6],
    ],
    ["\r\x1b[K2.0 MB  m", "\r\x1b[K3.0 MB  1.0 MB/s  m", "\r\x1b[K"],
  ],
  "a file that was there, nothing to say": [
    { total: 10e6 },
    [
      [0, 0],
      [100, 10e6],
    ],
    [],
  ],
  "a bar": [
    { total: 10e6, isTerminal: true },
    [
      [0, 0],
      [1000, 1e6],
      [2000, 5e6],
    ],
    [
      "\r\x1b[K[#...............] 10 %  1.0 of 10.0 MB  m",
      "\r\x1b[K[########........] 50 %  5.0 of 10.0 MB  4.0 MB/s  0:02 left  m",
      "\r\x1b[K",
    ],
  ],
  hours: [
    { total: 100e9, isTerminal: true },
    [
      [0, 1e6],
      [1000, 11e6],
    ],
    [
      "\r\x1b[K[................] 0 %  0.0 of 100.0 GB  m",
      "\r\x1b[K[................] 0 %  0.0 of 100.0 GB  10.0 MB/s  2:46:39 left  m",
      "\r\x1b[K",
    ],
  ],
  "a name that is too long is cut": [
    { total: 10e6, isTerminal: true, name: "m".repeat(100) },
    [[0, 5e5]],
    [`\r\x1b[K[................] 5 %  0.5 of 10.0 MB  ${"m".repeat(39)}`, "\r\x1b[K"],
  ],
  "no room for a bar": [
    { total: 10e6, isTerminal: true, columns: 26 },
    [[0, 5e5]],
    ["\r\x1b[K5 %  0.5 of 10.0 MB", "\r\x1b[K"],
  ],
  "a terminal that says it has no columns at all": [
    { total: 10e6, isTerminal: true, columns: 0 },
    [[0, 5e5]],
    ["\r\x1b[K[................] 5 %  0.5 of 10.0 MB  m", "\r\x1b[K"],
  ],
  "next to no room": [{ total: 10e6, isTerminal: true, columns: 5 }, [[0, 5e5]], ["\r\x1b[K5 % ", "\r\x1b[K"]],
};
for (const [what, [place, steps, expected]] of Object.entries(displays)) {
  test(`the display: ${what}`, () => {
    assert.deepEqual(written(/** @type {any} */ (place), /** @type {any} */ (steps)), expected);
  });
}
