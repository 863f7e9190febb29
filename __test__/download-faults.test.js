/**
 * Downloads from servers that misbehave, over connections that break, by processes that die, onto disks that are full.
 *
 * Whatever happens: what lies under the final name is whole, and what a server has sent once need not be sent again.
 */

"use strict";

const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { setTimeout: delay } = require("node:timers/promises");
const { LlamaWorker } = require("../js/index");
const {
  Downloader,
  assertMonotone,
  contentOf,
  finished,
  hubAndFolder,
  keptBytes,
  serve,
  until,
} = require("./download-support");
const { BYTES, FILE, HALF, MODEL, REPOSITORY, SIZE, ggufBytes } = require("./fixtures/hub");
const { test } = require("./support");

const { downloadModel } = LlamaWorker;

const OTHER = ggufBytes(SIZE + 1000, 5);

/** What a client must get over: the scripts, and how often content is fetched at least. */
const transient = {
  "a connection that ends in the middle": { content: [{ dropAfter: HALF }], fetches: 2 },
  "connections that end again and again": {
    content: [{ dropAfter: 1000 }, { dropAfter: 200_000 }, { dropAfter: 300_000 }],
    fetches: 4,
  },
  "a connection that ends before the first byte": { content: [{ dropAfter: 0 }], fetches: 2 },
  "a connection that is reset": { content: [{ reset: true }], fetches: 2 },
  "a reset when the hub is asked": { resolve: [{ reset: true }], fetches: 1 },
  "a 500 of the hub": { resolve: [{ status: 500 }], fetches: 1 },
  "a 500 of the store": { content: [{ status: 500 }], fetches: 2 },
  "a 503 of the store in the middle": { content: [{ dropAfter: HALF }, { status: 503 }], fetches: 3 },
  "a length that is too long, once": { content: [{ declaredLength: SIZE + 1000 }], fetches: 1 },
  "a length that is too short, once": { content: [{ declaredLength: HALF }], fetches: 2 },
  "a Range that is ignored": { content: [{ dropAfter: HALF }, { ignoreRange: true }], fetches: 2 },
  "a range that is another one than asked for": { content: [{ dropAfter: HALF }, { shiftRange: 1000 }], fetches: 2 },
  "a 416 to a range that is right": { content: [{ dropAfter: HALF }, { status: 416 }], fetches: 3 },
};
for (const [what, { content = [], resolve = [], fetches }] of Object.entries(transient)) {
  test(`${what}: the file is whole in the end`, async (context) => {
    const { hub, dir, options } = await hubAndFolder(context);
    hub.script("content", ...content);
    hub.script("resolve", ...resolve);
    const told = [];
    const file = await downloadModel(MODEL, {
      ...options,
      onProgress: ({ downloadedBytes }) => told.push(downloadedBytes),
    });
    assert.deepEqual(contentOf(file), BYTES);
    assert.deepEqual([finished(dir), keptBytes(dir)], [[FILE], 0]);
    assert.ok(hub.fetches >= fetches, `${hub.fetches} fetches`);
    assertMonotone(told);
    assert.equal(told.at(-1), SIZE);
  });
}

test("what has come is not fetched again: Range, with If-Range on the ETag", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  hub.script("content", { dropAfter: HALF });
  await downloadModel(MODEL, options);
  const [, second] = hub.seen("content");
  const [, start] = /^bytes=(\d+)-/.exec(second.headers.range ?? "") ?? [];
  assert.ok(Number(start) > 0 && Number(start) <= HALF, second.headers.range);
  assert.match(second.headers["if-range"] ?? "", /^"[0-9a-f]{16}"$/);
});

for (const [where, name] of [
  ["an address", undefined],
  ["a name of the hub", MODEL],
]) {
  for (const hasTags of [true, false]) {
    test(`a file that changes between two tries, of ${where}, ${hasTags ? "with" : "without"} an ETag: never a mixture`, async (context) => {
      const { hub, dir, options } = await hubAndFolder(context);
      hub.hasTags = hasTags;
      hub.script("content", { dropAfter: HALF }, { change: OTHER });
      const address = `${hub.store}/${REPOSITORY}/${FILE}`;
      const outcome = await downloadModel(name ?? address, options).catch((error) => error);
      if (outcome instanceof Error) assert.equal(/** @type {any} */ (outcome).code, "DOWNLOAD_CORRUPT");
      else assert.deepEqual(contentOf(outcome), OTHER);
      assert.ok(finished(dir).length === 0 || contentOf(path.join(dir, FILE)).equals(OTHER));
      // It was the server's doing, and is over.
      assert.deepEqual(contentOf(await downloadModel(name ?? address, options)), OTHER);
    });
  }
}

test("a file that changes between two processes: the new one is fetched from its start", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const child = await startedInTheMiddle(hub, options);
  await child.kill();
  hub.put(REPOSITORY, FILE, OTHER);
  assert.deepEqual(contentOf(await downloadModel(MODEL, options)), OTHER);
});

test("a server that knows no ranges: from the start again", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  hub.hasRanges = false;
  hub.script("content", { dropAfter: HALF });
  assert.deepEqual(contentOf(await downloadModel(MODEL, options)), BYTES);
});

test("a server that does not say how long a file is", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  hub.hasLengths = false;
  hub.hasRanges = false;
  hub.script("content", { dropAfter: HALF });
  const address = `${hub.store}/${REPOSITORY}/${FILE}`;
  assert.deepEqual(contentOf(await downloadModel(address, options)), BYTES);
});

test("a wrong byte: DOWNLOAD_CORRUPT, and nothing of it is kept", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const wrong = { flipByteAt: SIZE - 5 };
  hub.script("content", ...Array(20).fill(wrong));
  await assert.rejects(downloadModel(MODEL, options), { code: "DOWNLOAD_CORRUPT", message: /SHA-256/ });
  assert.deepEqual([finished(dir), keptBytes(dir)], [[], 0]);
});

const final = {
  "401 of the store": ["DOWNLOAD_UNAUTHORIZED", "probe", 401],
  "403 of the hub": ["DOWNLOAD_UNAUTHORIZED", "resolve", 403],
  "404 of the store": ["DOWNLOAD_NOT_FOUND", "probe", 404],
  "404 of the store, after it has said how long the file is": ["DOWNLOAD_FAILED", "content", 404],
  "400 of the store": ["DOWNLOAD_FAILED", "probe", 400],
};
for (const [what, [code, place, status]] of Object.entries(final)) {
  test(`${what}: an error at once, without tries that change nothing`, async (context) => {
    const { hub, dir, options } = await hubAndFolder(context);
    hub.script(/** @type {any} */ (place), ...Array(20).fill({ status }));
    await assert.rejects(downloadModel(MODEL, options), (error) => {
      assert.equal(error.code, code, error.message);
      assert.ok(!error.message.includes("signature"), error.message);
      return true;
    });
    assert.ok(hub.requests.length <= 4, `${hub.requests.length} requests`);
    assert.deepEqual(finished(dir), []);
  });
}

const redirects = {
  "to another machine without https": (/** @type {any} */ _hub) => "http://example.com/model.gguf",
  "to a file of this machine": () => "file:///etc/passwd",
  "to itself, for ever": (/** @type {any} */ hub) => `${hub.store}/${REPOSITORY}/${FILE}`,
};
for (const [what, target] of Object.entries(redirects)) {
  test(`a redirect ${what} is not followed`, async (context) => {
    const { hub, dir, options } = await hubAndFolder(context);
    hub.script("probe", ...Array(100).fill({ redirect: target(hub) }));
    await assert.rejects(downloadModel(MODEL, options), (error) => {
      assert.match(error.code, /^(DOWNLOAD_FAILED|INVALID_MODEL_ID)$/, error.message);
      return true;
    });
    assert.ok(hub.requests.length < 50, `${hub.requests.length} requests`);
    assert.deepEqual(finished(dir), []);
  });
}

test("redirects from one server to the next are followed", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const address = `${hub.store}/${REPOSITORY}/${FILE}`;
  const steps = [];
  const origin = await serve(context, ({ url = "" }, response) => {
    steps.push(url);
    const next = Number(url.slice(1)) + 1;
    response.writeHead([301, 302, 303, 307, 308][next % 5], { Location: next < 5 ? `/${next}` : address }).end();
  });
  assert.deepEqual(contentOf(await downloadModel(`${origin}/0`, options)), BYTES);
  assert.ok(steps.includes("/4"));
});

/**
 * A process that has got half of the file.
 *
 * @param {import("./fixtures/hub").Hub} hub
 * @param {object} options
 */
async function startedInTheMiddle(hub, options) {
  hub.script("content", { holdAfter: HALF });
  const child = new Downloader(MODEL, options);
  await hub.held();
  // Bytes are gone on with as soon as it is noted beside them what they are, about every second.
  await until(() => fs.existsSync(path.join(/** @type {any} */ (options).dir, `${FILE}.part.json`)));
  return child;
}

test("kill -9 in the middle: the next process goes on there, to the same bytes", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const killed = await startedInTheMiddle(hub, options);
  assert.deepEqual(await killed.kill(), { code: null, signal: "SIGKILL" });
  assert.deepEqual(finished(dir), []);
  const { path: file } = await new Downloader(MODEL, options).outcome();
  assert.deepEqual(contentOf(file), BYTES);
  assert.ok(hub.hasResumed, hub.ranges.at(-1));
  assert.deepEqual([finished(dir), keptBytes(dir)], [[FILE], 0]);
});

test("kill -9 again and again, at any moment: nothing but the whole file is ever there", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  for (let tries = 1; tries <= 6; tries += 1) {
    hub.script("content", { pace: { bytes: 16_384, everyMs: 50 } });
    const child = new Downloader(MODEL, options);
    await until(() => keptBytes(dir) > 0);
    await delay(tries * 200);
    await child.kill();
    if (finished(dir).length > 0) assert.deepEqual(contentOf(path.join(dir, FILE)), BYTES);
  }
  const { path: file } = await new Downloader(MODEL, options).outcome();
  assert.deepEqual(contentOf(file), BYTES);
});

test("a part that is not what it says: the file is whole all the same", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const killed = await startedInTheMiddle(hub, options);
  await killed.kill();
  const [part] = fs.readdirSync(dir).filter((name) => name.endsWith(".part"));
  fs.writeFileSync(path.join(dir, part), Buffer.alloc(1000, "garbage"), { flag: "r+" });
  const outcome = await downloadModel(MODEL, options).catch((error) => error);
  if (outcome instanceof Error) assert.equal(/** @type {any} */ (outcome).code, "DOWNLOAD_CORRUPT");
  assert.deepEqual(contentOf(await downloadModel(MODEL, options)), BYTES);
});

test("a part that nobody knows anything about is not gone on with", async (context) => {
  const { dir, options } = await hubAndFolder(context);
  fs.writeFileSync(path.join(dir, `${FILE}.part`), Buffer.alloc(SIZE * 2, "garbage"));
  assert.deepEqual(contentOf(await downloadModel(MODEL, options)), BYTES);
  assert.equal(keptBytes(dir), 0);
});

test("two processes at once: one fetches, the other waits and gets the same file", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const first = await startedInTheMiddle(hub, options);
  const second = new Downloader(MODEL, options);
  await until(() => hub.seen("probe").length >= 2);
  hub.release();
  const outcomes = await Promise.all([first.outcome(), second.outcome()]);
  assert.deepEqual(
    outcomes.map(({ path: file }) => file),
    [path.join(dir, FILE), path.join(dir, FILE)],
  );
  assert.equal(hub.fetches, 1);
  assert.deepEqual(contentOf(outcomes[0].path), BYTES);
});

test("the one that waits takes over when the other is killed", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const first = await startedInTheMiddle(hub, options);
  const second = new Downloader(MODEL, options);
  await until(() => hub.seen("probe").length >= 2);
  await first.kill();
  const { path: file } = await second.outcome();
  assert.deepEqual(contentOf(file), BYTES);
  assert.ok(hub.hasResumed, hub.ranges.at(-1));
});

test("two calls of one process at once: fetched once, and one that is aborted leaves the other alone", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  hub.script("content", { holdAfter: HALF });
  const stop = new AbortController();
  const first = downloadModel(MODEL, options);
  await hub.held();
  const second = downloadModel(MODEL, options);
  const third = downloadModel(MODEL, { ...options, signal: stop.signal });
  stop.abort();
  await assert.rejects(third, { name: "AbortError" });
  hub.release();
  assert.equal(await first, await second);
  assert.deepEqual(contentOf(await first), BYTES);
  assert.equal(hub.fetches, 1);
});

test("the same model twice in one list", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const [first, second] = await downloadModel([MODEL, MODEL], options);
  assert.equal(first, second);
  assert.equal(hub.fetches, 1);
});

test("of several models one fails: the call fails, what is whole stays", async (context) => {
  const { dir, options } = await hubAndFolder(context);
  await assert.rejects(downloadModel([MODEL, "hf://o/nowhere"], options), { code: "DOWNLOAD_NOT_FOUND" });
  for (const name of finished(dir)) assert.deepEqual(contentOf(path.join(dir, name)), BYTES);
});

test("a folder that is a file: DOWNLOAD_WRITE_FAILED", async (context) => {
  const { dir, options } = await hubAndFolder(context);
  const file = path.join(dir, "file");
  fs.writeFileSync(file, "");
  await assert.rejects(downloadModel(MODEL, { ...options, dir: file }), (error) => {
    assert.equal(error.code, "DOWNLOAD_WRITE_FAILED", error.message);
    assert.ok(error.message.includes(file), error.message);
    return true;
  });
});

test("a folder in the place of the file: DOWNLOAD_WRITE_FAILED, and the folder stays", async (context) => {
  const { dir, options } = await hubAndFolder(context);
  fs.mkdirSync(path.join(dir, FILE));
  await assert.rejects(downloadModel(MODEL, options), { code: "DOWNLOAD_WRITE_FAILED" });
  assert.ok(fs.statSync(path.join(dir, FILE)).isDirectory());
});

/** Runs a command in a namespace of its own, where `dir` is a disk of so many bytes. As root, or as a user who is root there. */
const onSmallDisk = (/** @type {string[]} */ namespace, /** @type {string} */ dir, /** @type {number} */ bytes) => [
  "unshare",
  ...namespace,
  "sh",
  "-c",
  `mount -t tmpfs -o size=${bytes} tmpfs "$0" && exec "$@"`,
  dir,
];

/** How a disk can be made here; where none can, a limit on the size of files plays its part below. */
const namespace = [["-m"], ["-Urm"]].find((flags) => {
  const [command, ...args] = [...onSmallDisk(flags, "/mnt", 1 << 20), "true"];
  return spawnSync(command, args).status === 0;
});

if (namespace) {
  test("a disk without room: DOWNLOAD_NO_SPACE, before anything is fetched", async (context) => {
    const { hub, dir, options } = await hubAndFolder(context);
    const wrapper = onSmallDisk(namespace, dir, HALF);
    const { code, message, files } = await new Downloader(MODEL, options, { wrapper }).outcome();
    assert.equal(code, "DOWNLOAD_NO_SPACE");
    assert.match(message, /space|MB|MiB|bytes/);
    assert.deepEqual([hub.fetches, files.includes(FILE)], [0, false]);
  });

  test("a disk that becomes full: DOWNLOAD_NO_SPACE, and nothing under the final name", async (context) => {
    const { hub, dir, options } = await hubAndFolder(context);
    hub.hasLengths = false;
    hub.hasRanges = false;
    const wrapper = onSmallDisk(namespace, dir, HALF);
    const address = `${hub.store}/${REPOSITORY}/${FILE}`;
    const { code, files } = await new Downloader(address, options, { wrapper }).outcome();
    assert.equal(code, "DOWNLOAD_NO_SPACE");
    assert.ok(!files.includes(FILE), files.join());
  });

  test("a disk with just enough room", async (context) => {
    const { dir, options } = await hubAndFolder(context);
    const wrapper = onSmallDisk(namespace, dir, SIZE + (256 << 10));
    const { type, files } = await new Downloader(MODEL, options, { wrapper }).outcome();
    assert.equal(type, "done");
    assert.ok(files.includes(FILE));
  });
}

test("a system that lets no file be so large: an error of the disk, nothing under the final name, and the process lives", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const wrapper = ["sh", "-c", 'ulimit -f 512; exec "$@"', "sh"];
  const { code, cause } = await new Downloader(MODEL, options, { wrapper }).outcome();
  assert.match(code, /^DOWNLOAD_(WRITE_FAILED|NO_SPACE)$/);
  assert.match(cause, /large/i);
  assert.deepEqual(finished(dir), []);
  // With room again it goes on where it was.
  assert.deepEqual(contentOf(await downloadModel(MODEL, options)), BYTES);
  assert.ok(hub.hasResumed, hub.ranges.at(-1));
});
