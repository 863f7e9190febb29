/**
 * Model files that are made to hurt: each is an error with a code, and the model that was there stays.
 *
 * What each rule of the reader refuses is tested beside it; here is what only a whole file shows.
 */

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { builtInModelPath } = require("../js/index");
const { putTogether, takeApart, textBytes } = require("../stress/gguf");
const { CAPITAL, readyWorker, test } = require("./support");

const TEXT = 8;

/** @param {import("node:test").TestContext} context */
function temporaryFolder(context) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-hostile-"));
  context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** @param {string} folder @param {string} name @param {(parts: import("../stress/gguf").Parts) => any} change */
function changedModel(folder, name, change) {
  const file = path.join(folder, `${name}.gguf`);
  fs.writeFileSync(file, putTogether(change(takeApart(fs.readFileSync(builtInModelPath)))));
  return file;
}

test("a model that was taken apart and put together again is the same", () => {
  const model = fs.readFileSync(builtInModelPath);
  assert.ok(putTogether(takeApart(model)).equals(model));
});

test("weights that the machine has no memory for are refused, with both sizes", async (context) => {
  const worker = await readyWorker(context);
  const file = changedModel(temporaryFolder(context), "huge", ({ entries, tensors }) => {
    const huge = { name: "huge.weight", dimensions: [2n ** 20n, 2n ** 18n], format: 0, data: Buffer.alloc(0) };
    return { entries, tensors: [...tensors, huge] };
  });
  // All of it a hole: it takes no room on the disk.
  fs.truncateSync(file, fs.statSync(file).size + 2 ** 40);
  await assert.rejects(worker.loadModel(file), (error) => {
    assert.equal(error.code, "INSUFFICIENT_MEMORY");
    assert.match(error.message, /the model needs about 10485\d\d MiB, but only \d+ MiB are available/);
    return true;
  });
  assert.equal((await worker.generate(CAPITAL.question)).text, CAPITAL.answer, "the model that was there stays");
  await assert.rejects(worker.loadModel(file, { ignoreMemorySafetyChecks: true }), { code: "MODEL_LOAD_FAILED" });
});

test("templates of model files that explode are errors", async (context) => {
  const worker = await readyWorker(context);
  const folder = temporaryFolder(context);
  const templates = {
    doubling: "{% set n = namespace(a=[1]) %}{% for i in range(99) %}{% set n.a = n.a + n.a %}{% endfor %}",
    alias: "{% set l = [] %}{% set f = l.append %}{% set x = f(l) %}{{ l }}",
    shared: "{% set n = namespace(a=[1]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}{% endfor %}{{ n.a }}",
  };
  for (const [name, template] of Object.entries(templates)) {
    const file = changedModel(folder, name, ({ entries, tensors }) => {
      const changed = entries.map((entry) =>
        entry.key === "tokenizer.chat_template" ? { key: entry.key, type: TEXT, value: textBytes(template) } : entry,
      );
      return { entries: changed, tensors };
    });
    await worker.loadModel(file);
    await assert.rejects(worker.createContext({ threads: 1 }), { code: "TEMPLATE_FAILED" }, name);
  }
  await worker.loadModel(builtInModelPath);
  await worker.createContext({ threads: 1 });
  assert.equal((await worker.generate(CAPITAL.question)).text, CAPITAL.answer);
});
