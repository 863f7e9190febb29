/**
 * Downloads from a hub that behaves: names, places, what is checked, progress, who gets the token, and how a download ends early.
 *
 * A hub that does not behave is `download-faults.test.js`'s, the messages of the contract are `download-port.test.js`'s.
 */

"use strict";

const assert = require("node:assert/strict");
const { once } = require("node:events");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { Worker } = require("node:worker_threads");
const { LlamaError, LlamaWorker, builtInModelPath } = require("../js/index");
const {
  Downloader,
  assertMonotone,
  contentOf,
  finished,
  freshFolder,
  hubAndFolder,
  keptBytes,
  serve,
} = require("./download-support");
const { BYTES, COMMIT, FILE, HALF, Hub, MODEL, REPOSITORY, SIZE, ggufBytes, sha256 } = require("./fixtures/hub");
const { CAPITAL, loadedWorker, runNode, stillAnswers, test } = require("./support");

const { downloadModel } = LlamaWorker;

test("a model of the hub: downloaded, loaded, answers", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  hub.put("llama-worker/tiny-chat", "model.gguf", contentOf(builtInModelPath));
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  const file = await worker.downloadModel("hf://llama-worker/tiny-chat", options);
  assert.deepEqual(contentOf(file), contentOf(builtInModelPath));
  await worker.init({ gpu: false, numThreads: 1 });
  await worker.loadModel(file);
  assert.ok(await stillAnswers(worker));
});

const names = {
  "hf://organization/repository, with a model.gguf": {
    files: { "model.gguf": 1, "other.gguf": 2 },
    name: "hf://o/r",
    expected: 1,
  },
  "hf://organization/repository, with one GGUF of another name": {
    files: { "README.md": 3, "tiny-Q8_0.gguf": 1 },
    name: "hf://o/r",
    expected: 1,
  },
  "hf://organization/repository/path/file.gguf": {
    files: { "model.gguf": 2, "deep/down/file.gguf": 1 },
    name: "hf://o/r/deep/down/file.gguf",
    expected: 1,
  },
  "a revision": { files: { "model.gguf": 1 }, name: `hf://o/r/model.gguf#${COMMIT}`, expected: 1 },
  "hf:organization/repository:quantization": {
    files: { "tiny-Q8_0.gguf": 2, "tiny-Q4_K_M.gguf": 1, "tiny-Q4_K_S.gguf": 3 },
    name: "hf:o/r:Q4_K_M",
    expected: 1,
  },
  "hf:organization/repository:quantization, in small letters": {
    files: { "tiny-Q8_0.gguf": 2, "tiny-Q4_K_M.gguf": 1 },
    name: "hf:o/r:q4_k_m",
    expected: 1,
  },
  "a name with a blank and letters of Portuguese": {
    files: { "modelo de ação.gguf": 1, "b.gguf": 2 },
    name: "hf://o/r/modelo de ação.gguf",
    expected: 1,
  },
};
for (const [form, { files, name, expected }] of Object.entries(names)) {
  test(`names: ${form}`, async (context) => {
    const { hub, dir, options } = await hubAndFolder(context);
    for (const [file, seed] of Object.entries(files)) hub.put("o/r", file, ggufBytes(4096, seed));
    const file = await downloadModel(name, options);
    assert.deepEqual(contentOf(file), ggufBytes(4096, expected));
    assert.equal(path.dirname(file), dir);
    assert.deepEqual(finished(dir), [path.basename(file)]);
  });
}

test("names: an address, and its query is no part of the file's name", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const address = hub.put("o/r", "plain.gguf", BYTES);
  const file = await downloadModel(`${address}?download=true&x=../../y`, options);
  assert.equal(file, path.join(dir, "plain.gguf"));
  assert.deepEqual(contentOf(file), BYTES);
});

test("names: several models, each with its path, in order", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const address = hub.put("o/r", "plain.gguf", ggufBytes(5000, 7));
  const seen = new Set();
  const onProgress = ({ modelId }) => seen.add(modelId);
  const files = await downloadModel([address, MODEL], { ...options, onProgress });
  assert.deepEqual(files.map(contentOf), [ggufBytes(5000, 7), BYTES]);
  assert.deepEqual([...seen].sort(), [address, MODEL].sort());
});

test("names: one model in a list is a list", async (context) => {
  const { options } = await hubAndFolder(context);
  const files = await downloadModel([MODEL], options);
  assert.equal(files.length, 1);
  assert.deepEqual(contentOf(files[0]), BYTES);
});

for (const form of ["hf://o/r/big-00001-of-00003.gguf", "hf:o/r:Q4_0", "hf://o/r"]) {
  test(`names: all parts of a split model come, as ${form}`, async (context) => {
    const { hub, dir, options } = await hubAndFolder(context);
    const prefix = form.includes("Q4_0") ? "big-Q4_0" : "big";
    const parts = [1, 2, 3].map((part) => `${prefix}-0000${part}-of-00003.gguf`);
    for (const [index, name] of parts.entries()) hub.put("o/r", name, ggufBytes(100_000 + index, index + 1));
    const told = [];
    const file = await downloadModel(form, { ...options, onProgress: (progress) => told.push(progress) });
    assert.equal(path.basename(file), parts[0]);
    for (const [index, name] of parts.entries())
      assert.deepEqual(contentOf(path.join(dir, name)), ggufBytes(100_000 + index, index + 1));
    assertToldAll(told, 300_003);
  });
}

test("names: a repository with several models says which there are", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  for (const name of ["tiny-Q8_0.gguf", "tiny-Q4_K_M.gguf", "mmproj.txt"]) hub.put("o/r", name, BYTES);
  await assert.rejects(downloadModel("hf://o/r", options), (error) => {
    assert.ok(error instanceof LlamaError);
    assert.equal(error.code, "DOWNLOAD_NOT_FOUND");
    assert.match(error.message, /tiny-Q8_0\.gguf/);
    assert.match(error.message, /tiny-Q4_K_M\.gguf/);
    assert.doesNotMatch(error.message, /mmproj\.txt/);
    assert.match(error.stack, /download\.test\.js/);
    return true;
  });
  assert.deepEqual(fs.readdirSync(dir), []);
});

const missing = {
  "a repository that is not there": "hf://o/nowhere",
  "a file that is not there": `hf://${REPOSITORY}/nowhere.gguf`,
  "a quantization that is not there": `hf:${REPOSITORY}:Q2_K`,
  "a revision that is not there": `${MODEL}#nowhere`,
  "a repository without a model": "hf://o/words",
};
for (const [what, name] of Object.entries(missing)) {
  test(`${what}: DOWNLOAD_NOT_FOUND`, async (context) => {
    const { hub, dir, options } = await hubAndFolder(context);
    hub.put("o/words", "README.md", Buffer.from("words"));
    await assert.rejects(downloadModel(name, options), { code: "DOWNLOAD_NOT_FOUND" });
    assert.deepEqual(finished(dir), []);
  });
}

test("the hub's 401 for what it does not know: DOWNLOAD_NOT_FOUND", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const unknown = { status: 401, headers: { "X-Error-Code": "RepoNotFound" } };
  hub.script("resolve", unknown);
  hub.script("listing", unknown);
  await assert.rejects(downloadModel("hf://o/secret/model.gguf", options), {
    code: "DOWNLOAD_NOT_FOUND",
    message: /o\/secret.*token/,
  });
});

test("names: the address of a file's page at the hub is its file", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const file = await downloadModel(`${hub.endpoint}/${REPOSITORY}/blob/main/${FILE}`, options);
  assert.deepEqual(contentOf(file), BYTES);
});

test("names: two models of one call that would take each other's place", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  for (const [repository, seed] of Object.entries({ "o/a": 1, "o/b": 2 }))
    hub.put(repository, "model.gguf", ggufBytes(4096, seed));
  await assert.rejects(downloadModel(["hf://o/a", "hf://o/b"], options), {
    code: "INVALID_MODEL_ID",
    message: /model\.gguf.*`dir`/,
  });
  assert.deepEqual(contentOf(path.join(dir, "model.gguf")), ggufBytes(4096, 1));
});

const malformed = [
  "",
  " ",
  "model.gguf",
  "hf://",
  "hf://organization",
  "hf://organization/",
  "hf:organization/repository:",
  "hf://../../etc/passwd",
  "hf://o/r/../../../etc/passwd.gguf",
  "ftp://127.0.0.1/model.gguf",
  "file:///etc/passwd",
  "http://example.com/model.gguf",
  "http://127.0.0.1.example.com/model.gguf",
  "http://localhost.example.com/model.gguf",
  "https://",
];
for (const name of malformed) {
  test(`\`${name}\` is refused: INVALID_MODEL_ID`, async (context) => {
    const { hub, dir, options } = await hubAndFolder(context);
    await assert.rejects(downloadModel(name, options), (error) => {
      assert.equal(error.code, "INVALID_MODEL_ID", error.message);
      assert.ok(error.message.includes(`\`${name}\``), error.message);
      return true;
    });
    assert.deepEqual([hub.requests, fs.readdirSync(dir)], [[], []]);
  });
}

const invalid = {
  "no model": [undefined, {}],
  null: [null, {}],
  "a number": [5, {}],
  "an empty list": [[], {}],
  "a list with a number": [[MODEL, 5], {}],
  "options that are a string": [MODEL, "x"],
  "dir is a number": [MODEL, { dir: 5 }],
  "dir is empty": [MODEL, { dir: "" }],
  "sha256 is too short": [MODEL, { sha256: "abc" }],
  "sha256 is no hexadecimal number": [MODEL, { sha256: "x".repeat(64) }],
  "sha256 of several models": [[MODEL, MODEL], { sha256: "0".repeat(64) }],
  "token is a number": [MODEL, { token: 5 }],
  "endpoint is a number": [MODEL, { endpoint: 5 }],
  "endpoint is no address": [MODEL, { endpoint: "huggingface" }],
  "endpoint is not safe": [MODEL, { endpoint: "http://example.com" }],
  "onProgress is a string": [MODEL, { onProgress: "log" }],
  "signal is no signal": [MODEL, { signal: {} }],
};
for (const [what, [models, options]] of Object.entries(invalid)) {
  test(`${what}: INVALID_OPTION, as a rejection`, async () => {
    let promise;
    assert.doesNotThrow(() => {
      promise = downloadModel(/** @type {any} */ (models), /** @type {any} */ (options));
    });
    await assert.rejects(promise, (error) => {
      assert.equal(error.code, "INVALID_OPTION", error.message);
      assert.match(error.stack, /download\.test\.js/);
      return true;
    });
  });
}

test("where: models/ under the working directory, made when it is not there", async (context) => {
  const { hub } = await hubAndFolder(context);
  const cwd = freshFolder(context);
  const child = new Downloader(MODEL, {}, { env: { HF_ENDPOINT: hub.endpoint }, wrapper: ["env", "-C", cwd] });
  const { path: file } = await child.outcome();
  assert.equal(path.dirname(file), path.join(cwd, "models"));
  assert.deepEqual(contentOf(file), BYTES);
});

test("where: a folder in a folder that is not there yet", async (context) => {
  const { dir, options } = await hubAndFolder(context);
  const deep = path.join(dir, "a", "b");
  const file = await downloadModel(MODEL, { ...options, dir: deep });
  assert.equal(path.dirname(file), deep);
});

const addresses = {
  "/%2e%2e%2f%2e%2e%2fescape.gguf": "a path in disguise",
  "/..%5c..%5cescape.gguf": "a path of Windows",
  "/CON.gguf": "a name that Windows keeps for itself",
  "/a%00b.gguf": "a zero byte",
  "/a%3Ab%3Fc%2Ad.gguf": "characters that no file may have",
  "/.gguf": "nothing but an ending",
  "/trailing.gguf%20.": "an ending that Windows drops",
  [`/${"x".repeat(400)}.gguf`]: "a name that is too long",
};
for (const [address, what] of Object.entries(addresses)) {
  test(`where: ${what} becomes a harmless name`, async (context) => {
    const outer = freshFolder(context);
    const dir = path.join(outer, "inner");
    const origin = await serve(context, (request, response) => {
      response.writeHead(200, { "Content-Length": SIZE }).end(request.method === "HEAD" ? undefined : BYTES);
    });
    const file = await downloadModel(`${origin}${address}`, { dir });
    assert.deepEqual(contentOf(file), BYTES);
    assert.equal(path.dirname(file), dir);
    assert.deepEqual(fs.readdirSync(outer), ["inner"]);
    const name = path.basename(file);
    assert.doesNotMatch(name, /[\\/:*?"<>|\0]|^\.|[ .]$|^con\./i);
    assert.ok(Buffer.byteLength(name) <= 250, name);
  });
}

test("what: SHA-256 of the option, agreeing", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const address = hub.put("o/r", "plain.gguf", BYTES);
  const file = await downloadModel(address, { ...options, sha256: sha256(BYTES).toUpperCase() });
  assert.deepEqual(contentOf(file), BYTES);
});

test("what: SHA-256 of the option, not agreeing: nothing is left", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const address = hub.put("o/r", "plain.gguf", BYTES);
  await assert.rejects(downloadModel(address, { ...options, sha256: "0".repeat(64) }), (error) => {
    assert.equal(error.code, "DOWNLOAD_CORRUPT");
    assert.ok(error.message.includes("0".repeat(64)) && error.message.includes(sha256(BYTES)), error.message);
    return true;
  });
  assert.deepEqual([finished(dir), keptBytes(dir)], [[], 0]);
});

test("what: SHA-256 of the option, not what the hub states: nothing is fetched", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  await assert.rejects(downloadModel(MODEL, { ...options, sha256: "0".repeat(64) }), {
    code: "DOWNLOAD_CORRUPT",
    message: RegExp(sha256(BYTES)),
  });
  assert.equal(hub.fetches, 0);
});

test("what: SHA-256 of an address whose file is there needs no server", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const address = hub.put("o/r", "plain.gguf", BYTES);
  const known = { ...options, sha256: sha256(BYTES) };
  const file = await downloadModel(address, known);
  hub.stop();
  assert.equal(await downloadModel(address, known), file);
});

test("what: one SHA-256 is not that of all parts", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  for (const part of [1, 2]) hub.put("o/r", `m-0000${part}-of-00002.gguf`, BYTES);
  const sha = { ...options, sha256: sha256(BYTES) };
  await assert.rejects(downloadModel("hf://o/r", sha), { code: "INVALID_OPTION", message: /sha256.*2 files/ });
});

const noModels = {
  "a page": Buffer.from(`<!DOCTYPE html><html>${"Not what you want. ".repeat(100)}</html>`),
  "an empty file": Buffer.alloc(0),
  "half the magic": Buffer.from("GG"),
};
for (const [what, bytes] of Object.entries(noModels)) {
  test(`what: ${what} is no GGUF and is deleted`, async (context) => {
    const { hub, dir, options } = await hubAndFolder(context);
    const address = hub.put("o/r", "plain.gguf", bytes);
    await assert.rejects(downloadModel(address, options), { code: "DOWNLOAD_CORRUPT", message: /GGUF|empty/ });
    await assert.rejects(downloadModel("hf://o/r/plain.gguf", options), { code: "DOWNLOAD_CORRUPT" });
    assert.deepEqual([finished(dir), keptBytes(dir)], [[], 0]);
  });
}

test("a whole file is not fetched again, and one that is not whole is", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const file = await downloadModel(MODEL, options);
  assert.equal(await downloadModel(MODEL, options), file);
  assert.equal(hub.fetches, 1);
  fs.truncateSync(file, HALF);
  assert.equal(await downloadModel(MODEL, options), file);
  assert.deepEqual(contentOf(file), BYTES);
});

test("a file that has changed on the hub is fetched again", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  await downloadModel(MODEL, options);
  const changed = ggufBytes(SIZE + 4, 9);
  hub.put(REPOSITORY, FILE, changed);
  assert.deepEqual(contentOf(await downloadModel(MODEL, options)), changed);
});

/**
 * @param {{ downloadedBytes: number, totalBytes?: number, progress: number }[]} told
 * @param {number} total
 */
function assertToldAll(told, total) {
  assert.ok(told.length > 0);
  assertMonotone(told.map(({ downloadedBytes }) => downloadedBytes));
  assertMonotone(told.map(({ progress }) => progress));
  for (const { totalBytes } of told) assert.ok(totalBytes === undefined || totalBytes === total, String(totalBytes));
  const { downloadedBytes, progress } = told[told.length - 1];
  assert.deepEqual([downloadedBytes, progress], [total, 1]);
}

test("progress: whole numbers of one file, never down, at most every 100 ms", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  hub.script("content", { pace: { bytes: SIZE / 64, everyMs: 10 } });
  const told = [];
  const start = performance.now();
  const file = await downloadModel(MODEL, { ...options, onProgress: (progress) => told.push(progress) });
  const elapsed = performance.now() - start;
  assertToldAll(told, SIZE);
  for (const { modelId, file: place } of told) assert.deepEqual([modelId, place], [MODEL, file]);
  // One at the start and one at the end come besides.
  assert.ok(told.length <= elapsed / 100 + 2, `${told.length} in ${elapsed} ms`);
  assert.ok(told.length > 2, String(told.length));
  assert.deepEqual(finished(dir), [FILE]);
});

test("progress: what an onProgress throws ends the download and is what the promise rejects with", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  hub.script("content", { holdAfter: HALF });
  const thrown = new RangeError("from onProgress");
  const onProgress = () => {
    throw thrown;
  };
  await assert.rejects(downloadModel(MODEL, { ...options, onProgress }), (error) => error === thrown);
  assert.deepEqual(finished(dir), []);
});

const SECRET = "hf_secretsecret";

test("token: the hub's host gets it, and nobody else", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  hub.token = SECRET;
  await downloadModel(`hf://${REPOSITORY}`, { ...options, token: SECRET });
  const authorizations = (place) => new Set(hub.seen(place).map(({ headers }) => headers.authorization));
  assert.deepEqual(authorizations("listing"), new Set([`Bearer ${SECRET}`]));
  assert.deepEqual(authorizations("resolve"), new Set([`Bearer ${SECRET}`]));
  assert.deepEqual(authorizations("probe"), new Set([undefined]));
  assert.deepEqual(authorizations("content"), new Set([undefined]));
});

test("token: from the environment", async (context) => {
  const { hub, dir } = await hubAndFolder(context);
  hub.token = SECRET;
  const env = { HF_TOKEN: SECRET, HF_ENDPOINT: hub.endpoint };
  // Also where the call names the same hub.
  for (const options of [{ dir }, { dir: path.join(dir, "b"), endpoint: `${hub.endpoint}/` }]) {
    const { type } = await new Downloader(MODEL, options, { env }).outcome();
    assert.equal(type, "done");
  }
  assert.equal(hub.fetches, 2);
  assert.ok(hub.seen("content").every(({ headers }) => headers.authorization === undefined));
});

test("token: the environment's is not for a hub that the call names", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const other = await new Hub().start();
  context.after(() => other.stop());
  for (const env of [{ HF_TOKEN: SECRET }, { HF_TOKEN: SECRET, HF_ENDPOINT: other.endpoint }]) {
    const outcome = await new Downloader(`hf://${REPOSITORY}`, options, { env }).outcome();
    assert.equal(outcome.path, path.join(dir, FILE));
  }
  assert.ok(hub.requests.length > 0);
  for (const { headers } of hub.requests) assert.equal(headers.authorization, undefined);
  hub.token = SECRET;
  const env = { HF_TOKEN: SECRET };
  assert.equal((await new Downloader(MODEL, options, { env }).outcome()).code, "DOWNLOAD_UNAUTHORIZED");
  // What the same call gives goes there.
  const { type } = await new Downloader(MODEL, { ...options, token: SECRET }).outcome();
  assert.equal(type, "done");
});

test("token: not for an address, also when it is given", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const other = await new Hub().start();
  context.after(() => other.stop());
  await downloadModel(other.put("o/r", "plain.gguf", BYTES), { ...options, token: SECRET });
  assert.ok(other.requests.length > 0);
  for (const { headers } of [...hub.requests, ...other.requests]) assert.equal(headers.authorization, undefined);
});

test("token: kept where the hub redirects to itself, as for repositories that have moved", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  hub.token = SECRET;
  const moved = { status: 307, redirect: `/${REPOSITORY}/resolve/main/${FILE}` };
  hub.script("resolve", moved, {}, moved);
  const file = await downloadModel(`hf://old/name/${FILE}`, { ...options, token: SECRET });
  assert.deepEqual(contentOf(file), BYTES);
});

test("token: a hub that redirects to another host keeps it to itself", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const other = await new Hub().start();
  context.after(() => other.stop());
  other.put(REPOSITORY, FILE, BYTES);
  hub.token = SECRET;
  const elsewhere = { redirect: `${other.endpoint}/${REPOSITORY}/resolve/main/${FILE}` };
  hub.script("resolve", elsewhere, elsewhere, elsewhere, elsewhere);
  await downloadModel(MODEL, { ...options, token: SECRET });
  assert.ok(other.requests.length > 0);
  for (const { headers } of other.requests) assert.equal(headers.authorization, undefined);
});

test("token: missing, wrong, and never in a message", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  hub.token = SECRET;
  const wrong = "hf_wrongwrong";
  for (const token of [undefined, wrong]) {
    await assert.rejects(downloadModel(MODEL, { ...options, token }), (error) => {
      assert.equal(error.code, "DOWNLOAD_UNAUTHORIZED");
      assert.ok(!`${error.stack}${error.cause?.stack}`.includes(wrong));
      return true;
    });
  }
  assert.deepEqual(finished(dir), []);
});

test("secrets of an address are in no message", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const { host } = new URL(hub.store);
  const address = `http://user:password@${host}/o/r/nowhere.gguf?signature=verysecret`;
  await assert.rejects(downloadModel(address, options), (error) => {
    assert.doesNotMatch(`${error.stack}${error.cause?.stack}`, /password|verysecret/);
    return true;
  });
});

test("proxy: from the environment, but not to this machine", async (context) => {
  const { options } = await hubAndFolder(context);
  /** @type {string[]} */
  const tunnels = [];
  const proxy = http.createServer((_request, response) => response.writeHead(500).end()).listen(0, "127.0.0.1");
  const asked = once(proxy, "connect");
  proxy.on("connect", ({ url = "" }, socket) => {
    tunnels.push(url);
    // Whoever asked is killed below.
    socket.on("error", () => {});
    socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
  });
  await once(proxy, "listening");
  context.after(() => proxy.close());
  const address = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (proxy.address()).port}`;
  const env = { HTTPS_PROXY: address, HTTP_PROXY: address, ALL_PROXY: address };
  assert.equal((await new Downloader(MODEL, options, { env }).outcome()).type, "done");
  assert.deepEqual(tunnels, []);
  const away = new Downloader(MODEL, { ...options, endpoint: "https://hub.invalid" }, { env });
  await asked;
  await away.kill();
  assert.equal(tunnels[0], "hub.invalid:443");
});

test("a signal that is aborted already: its reason, and nothing is asked", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const reason = new Error("too late");
  const signal = AbortSignal.abort(reason);
  await assert.rejects(downloadModel(MODEL, { ...options, signal }), (error) => error === reason);
  assert.deepEqual([hub.requests, fs.readdirSync(dir)], [[], []]);
});

test("a signal before the first byte: its reason, at once", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  hub.script("content", { holdAfter: 0 });
  const stop = new AbortController();
  const download = downloadModel(MODEL, { ...options, signal: stop.signal });
  await hub.held();
  const reason = new Error("stopped");
  stop.abort(reason);
  await assert.rejects(download, (error) => error === reason);
  assert.deepEqual(finished(dir), []);
});

test("a signal before the hub has answered at all", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  const stop = new AbortController();
  hub.once("request", () => stop.abort());
  await assert.rejects(downloadModel(MODEL, { ...options, signal: stop.signal }), { name: "AbortError" });
  assert.deepEqual(finished(dir), []);
});

test("a signal in the middle: its reason, and the next download goes on there", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  hub.script("content", { holdAfter: HALF });
  const stop = new AbortController();
  const onProgress = ({ downloadedBytes }) => downloadedBytes > 0 && stop.abort();
  await assert.rejects(downloadModel(MODEL, { ...options, onProgress, signal: stop.signal }), { name: "AbortError" });
  assert.deepEqual(finished(dir), []);
  assert.ok(keptBytes(dir) > 0);
  const file = await downloadModel(MODEL, options);
  assert.deepEqual(contentOf(file), BYTES);
  assert.ok(hub.hasResumed, hub.ranges.at(-1));
});

test("worker.abort() ends generations, not downloads; cleanup ends them", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  hub.script("content", { holdAfter: HALF }, { holdAfter: HALF });
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  const first = worker.downloadModel(MODEL, options);
  await hub.held();
  assert.equal(worker.abort(), false);
  hub.release();
  assert.deepEqual(contentOf(await first), BYTES);
  const second = worker.downloadModel(MODEL, { ...options, dir: path.join(dir, "second") });
  await hub.held();
  await Promise.all([assert.rejects(second, { code: "ABORTED" }), worker.cleanup()]);
  assert.deepEqual(finished(path.join(dir, "second")), []);
  await assert.rejects(worker.downloadModel(MODEL, options), { code: "WORKER_STOPPED" });
});

test("a download runs beside a generation, and neither waits for the other", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const worker = await loadedWorker(context);
  await worker.createContext({ threads: 1 });
  hub.script("content", { holdAfter: HALF });
  const download = worker.downloadModel(MODEL, options);
  await hub.held();
  const { text } = await worker.generate(CAPITAL.question);
  assert.equal(text, CAPITAL.answer);
  hub.release();
  assert.deepEqual(contentOf(await download), BYTES);
});

test("several downloads of one worker at once", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  const names = [1, 2, 3, 4, 5, 6].map((seed) => {
    hub.put("o/r", `m${seed}.gguf`, ggufBytes(SIZE, seed));
    return `hf://o/r/m${seed}.gguf`;
  });
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  const files = await Promise.all(names.map((name) => worker.downloadModel(name, options)));
  for (const [index, file] of files.entries()) assert.deepEqual(contentOf(file), ggufBytes(SIZE, index + 1));
});

test("the process stays alive while a download is under way, and ends by itself after it", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  hub.script("content", { holdAfter: HALF });
  const child = new Downloader(MODEL, options);
  await hub.held();
  hub.release();
  const { path: file } = await child.outcome();
  assert.deepEqual(contentOf(file), BYTES);
});

test("process.exit() in the middle of a download ends the process", async (context) => {
  const { hub, options } = await hubAndFolder(context);
  hub.script("content", { holdAfter: HALF });
  const { code, signal } = await runExit(options);
  assert.deepEqual({ code, signal }, { code: 7, signal: null });
});

test("threads terminated while they download", async (context) => {
  const { hub, dir, options } = await hubAndFolder(context);
  hub.script("content", { holdAfter: HALF }, { holdAfter: SIZE / 4 });
  const source = `
    const { LlamaWorker } = require(${JSON.stringify(require.resolve("../js/index"))});
    LlamaWorker.downloadModel(${JSON.stringify(MODEL)}, ${JSON.stringify(options)});
  `;
  for (let round = 1; round <= 2; round += 1) {
    const thread = new Worker(source, { eval: true });
    await hub.held();
    await thread.terminate();
    assert.deepEqual(finished(dir), []);
  }
  assert.deepEqual(contentOf(await downloadModel(MODEL, options)), BYTES);
});

/** @param {object} options */
function runExit(options) {
  const source = `
    const { LlamaWorker } = require(${JSON.stringify(require.resolve("../js/index"))});
    const onProgress = ({ downloadedBytes }) => downloadedBytes > 0 && process.exit(7);
    LlamaWorker.downloadModel(${JSON.stringify(MODEL)}, { ...${JSON.stringify(options)}, onProgress });
  `;
  return runNode(["-e", source]);
}
