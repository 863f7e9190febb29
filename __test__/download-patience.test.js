/**
 * Downloads that take their time: servers that stall, ask to wait or only fail, and files so large that they come over several connections.
 *
 * Waits as long as a user would; nothing here says how long that is, but that it ends.
 */

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { describe } = require("node:test");
const { LlamaWorker } = require("../js/index");
const {
  Downloader,
  assertMonotone,
  contentOf,
  finished,
  hubAndFolder,
  keptBytes,
  until,
} = require("./download-support");
const { BYTES, HALF, MODEL, ggufBytes } = require("./fixtures/hub");
const { test } = require("./support");

const { downloadModel } = LlamaWorker;

// Side by side: they do nothing but wait.
describe("servers that stall or fail", { concurrency: 4 }, () => {
  test("a stall in the middle is noticed, and the download goes on", async (context) => {
    const { hub, options } = await hubAndFolder(context);
    hub.script("content", { holdAfter: HALF });
    assert.deepEqual(contentOf(await downloadModel(MODEL, options)), BYTES);
    assert.ok(hub.hasResumed, hub.ranges.at(-1));
  });

  test("429 is obeyed: not before Retry-After, and then the file comes", async (context) => {
    const { hub, options } = await hubAndFolder(context);
    hub.script("content", { status: 429, headers: { "Retry-After": "2" } });
    const start = performance.now();
    assert.deepEqual(contentOf(await downloadModel(MODEL, options)), BYTES);
    assert.ok(performance.now() - start >= 1900);
    assert.equal(hub.fetches, 2);
  });

  test("a server that only fails: DOWNLOAD_FAILED after some tries", async (context) => {
    const { hub, dir, options } = await hubAndFolder(context);
    hub.script("content", ...Array(100).fill({ status: 500 }));
    await assert.rejects(downloadModel(MODEL, options), { code: "DOWNLOAD_FAILED", message: /500/ });
    assert.ok(hub.fetches > 1 && hub.fetches < 20, `${hub.fetches} fetches`);
    assert.deepEqual(finished(dir), []);
  });

  test("a server that is not there: DOWNLOAD_FAILED, with the words of the system", async (context) => {
    const { hub, options } = await hubAndFolder(context);
    hub.stop();
    await assert.rejects(downloadModel(MODEL, options), ({ code, cause }) => {
      assert.equal(code, "DOWNLOAD_FAILED");
      assert.match(cause.message, /refused/i);
      return true;
    });
  });
});

/** From here on files come over several connections. */
const LARGE = (100 << 20) + 12_345;

test("a large file: several connections at once, each of which may break", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const bytes = ggufBytes(LARGE);
  hub.put("o/r", "large.gguf", bytes);
  hub.script("content", {}, { dropAfter: 1 << 20 }, { reset: true }, {}, { status: 503 }, { dropAfter: 0 });
  /** @type {any[]} */
  const told = [];
  const file = await downloadModel("hf://o/r/large.gguf", {
    ...options,
    onProgress: ({ downloadedBytes }) => told.push(downloadedBytes),
  });
  assert.ok(contentOf(file).equals(bytes));
  assert.ok(hub.mostAtOnce > 1, `${hub.mostAtOnce} at once`);
  assertMonotone(told);
  assert.deepEqual([finished(dir), keptBytes(dir)], [["large.gguf"], 0]);
});

test("a large file, killed in the middle: only what is missing comes again", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const bytes = ggufBytes(LARGE);
  hub.put("o/r", "large.gguf", bytes);
  const held = { holdAfter: 4 << 20 };
  hub.script("content", held, held, held, held);
  const child = new Downloader("hf://o/r/large.gguf", options);
  await until(() => hub.fetches >= 4 && fs.existsSync(path.join(dir, "large.gguf.part.json")));
  await child.kill();
  const before = hub.fetches;
  assert.ok(contentOf(await downloadModel("hf://o/r/large.gguf", options)).equals(bytes));
  const again = hub.ranges.slice(before).map((range) => {
    const [, start, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    return Number(last) - Number(start) + 1;
  });
  const sum = again.reduce((total, length) => total + length, 0);
  assert.ok(sum < LARGE, `${sum} of ${LARGE} bytes came again`);
});

test("a large file of a server that knows no ranges: one connection", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const bytes = ggufBytes(LARGE);
  hub.put("o/r", "large.gguf", bytes);
  hub.hasRanges = false;
  assert.ok(contentOf(await downloadModel("hf://o/r/large.gguf", options)).equals(bytes));
  assert.equal(hub.mostAtOnce, 1);
});
