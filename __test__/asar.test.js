/**
 * An app packed into an asar archive, with the glob that docs/electron.md gives: everything native lies outside and loads from there; a model
 * inside is refused with a code.
 *
 * Plain Node.js reads no archives, so the archive's content is laid out again under the archive's name; a real Electron reading a real archive
 * is `npm run test:electron`.
 */

"use strict";

const asar = require("@electron/asar");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { after, before, test } = require("node:test");
const { UNPACKED } = require("../scripts/electron/app");
const { CHECKOUT, PLATFORM, installTarballs, packPackages, run, temporaryFolder } = require("./consumer");
const { CAPITAL, readyWorker } = require("./support");

/** @type {string} */
let folder;
/** @type {string} */
let archive;

before(async () => {
  folder = temporaryFolder();
  const app = path.join(folder, "app");
  const { root, platform } = await packPackages(folder);
  await installTarballs(app, [root, platform]);
  fs.writeFileSync(path.join(app, "model.gguf"), "GGUF");
  archive = path.join(folder, "resources", "app.asar");
  await asar.createPackageWithOptions(app, archive, { unpack: UNPACKED });
});

after(() => fs.rmSync(folder, { recursive: true, force: true }));

test("the recipe's glob is the one that is tested", () => {
  const page = fs.readFileSync(path.join(CHECKOUT, "docs", "electron.md"), "utf8");
  assert.ok(page.includes(`"${UNPACKED}"`), UNPACKED);
});

test("addon, libraries and the built-in model lie outside the archive, unchanged", () => {
  const unpacked = path.join(`${archive}.unpacked`, "node_modules");
  const native = path.join(unpacked, `llama-worker-${PLATFORM}`);
  const installed = path.join(folder, "app", "node_modules", `llama-worker-${PLATFORM}`);
  const binaries = fs.readdirSync(installed).filter((name) => /\.(node|so|dylib|dll)$/.test(name));
  assert.ok(binaries.length >= 6, binaries.join(", "));
  for (const name of binaries) {
    assert.ok(fs.readFileSync(path.join(native, name)).equals(fs.readFileSync(path.join(installed, name))), name);
  }
  assert.ok(fs.existsSync(path.join(unpacked, "llama-worker/models/tiny-chat/tiny-chat.gguf")));
  assert.ok(!fs.existsSync(path.join(`${archive}.unpacked`, "model.gguf")));
});

test("from inside the archive, the addon outside is loaded, and it answers", async () => {
  const app = layOut("runs/app.asar");
  fs.cpSync(`${archive}.unpacked`, `${app}.unpacked`, { recursive: true });
  const source = `
    const { LlamaWorker, builtInModelPath } = require("llama-worker");
    (async () => {
      const worker = new LlamaWorker();
      await worker.init({ gpu: false, numThreads: 1 });
      await worker.loadModel(builtInModelPath);
      await worker.createContext({ threads: 1 });
      const { text } = await worker.generate(${JSON.stringify(CAPITAL.question)});
      await worker.cleanup();
      const addon = Object.keys(require.cache).find((file) => file.endsWith(".node"));
      console.log(JSON.stringify({ text, addon, builtInModelPath }));
    })();
  `;
  fs.writeFileSync(path.join(app, "main.cjs"), source);
  const { text, addon, builtInModelPath } = JSON.parse(await run(process.execPath, ["main.cjs"], app));
  assert.equal(text, CAPITAL.answer);
  assert.equal(addon, path.join(`${app}.unpacked`, "node_modules", `llama-worker-${PLATFORM}`, "llama-worker.node"));
  assert.ok(builtInModelPath.startsWith(`${app}.unpacked`), builtInModelPath);
});

test("without the copy outside, the message says what to unpack", async () => {
  const app = layOut("packed/app.asar");
  fs.writeFileSync(
    path.join(app, "main.cjs"),
    `try { new (require("llama-worker").LlamaWorker)(); } catch ({ code, message }) { console.log(code, message); }`,
  );
  const printed = await run(process.execPath, ["main.cjs"], app);
  assert.match(
    printed,
    /^NATIVE_LOAD_FAILED .*inside an asar archive.*unpack `\*\*\/node_modules\/llama-worker\*\/\*\*`/,
  );
});

test("a model inside an archive is refused with a code, and one in a folder of that name is not", async (context) => {
  const worker = await readyWorker(context);
  const inside = path.join(archive, "model.gguf");
  await assert.rejects(worker.loadModel(inside), (error) => {
    assert.equal(error.code, "MODEL_IN_ARCHIVE");
    assert.ok(error.message.includes(`\`${inside}\``) && error.message.includes(`\`${archive}\``), error.message);
    return true;
  });
  const { text } = await worker.generate(CAPITAL.question);
  assert.equal(text, CAPITAL.answer);
  await assert.rejects(worker.loadModel(path.join(folder, "resources", "other.asar", "model.gguf")), {
    code: "MODEL_NOT_FOUND",
  });
  const unpacked = path.join(layOut("folder.asar"), "model.gguf");
  await assert.rejects(worker.loadModel(unpacked), { code: "MODEL_INVALID" });
});

/**
 * What an archive looks like to JavaScript in Electron: a folder without what was unpacked.
 *
 * @param {string} name
 */
function layOut(name) {
  const app = path.join(folder, name);
  asar.extractAll(archive, app);
  const native = path.join(app, "node_modules", `llama-worker-${PLATFORM}`);
  for (const file of fs.readdirSync(native))
    if (/\.(node|so|dylib|dll)$/.test(file)) fs.rmSync(path.join(native, file));
  return app;
}
