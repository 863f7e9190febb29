/**
 * The bridge of `examples/electron-chat`, from the page through the preload script and the main process to the worker and back, with an Electron that is
 * played (`fixtures/electron.js`): chat, and downloads from a hub on this machine. Over both hosts.
 */

"use strict";

const assert = require("node:assert/strict");
const { execFile } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { promisify } = require("node:util");
const { builtInModelPath } = require("../js/index");
const { finished, freshFolder, hubAndFolder, keptBytes } = require("./download-support");
const { FILE, MODEL, REPOSITORY, SIZE } = require("./fixtures/hub");
const { CAPITAL, test } = require("./support");

const ROOT = path.join(__dirname, "..");
const EXAMPLE = path.join(ROOT, "examples", "electron-chat");
const HEARD = {
  onModelLoaded: "loaded",
  onProgress: "progress",
  onCompletionChunk: "chunk",
  onCompletionDone: "done",
  onDownloadComplete: "complete",
  onDownloadError: "failed",
  onDownloadAborted: "aborted",
  onError: "error",
};

/** A page: what it heard, and how to wait for more of it. */
class Page {
  /** @type {[string, any][]} */
  heard = [];
  #wake = () => {};

  /** @param {import("../examples/electron-chat/bridge").LlmBridge} llm */
  constructor(llm) {
    this.llm = llm;
    for (const [name, word] of Object.entries(HEARD))
      llm[name]((/** @type {any} */ value) => {
        this.heard.push([word, value]);
        this.#wake();
      });
  }

  /** @returns {Promise<any>} what came with that word the first time, or with it for the `count`th time */
  async until(/** @type {string} */ word, count = 1) {
    while (this.all(word).length < count)
      await new Promise((/** @type {(value: void) => void} */ resolve) => {
        this.#wake = resolve;
      });
    return this.all(word)[count - 1];
  }

  /** @param {string} word */
  all(word) {
    return this.heard.filter(([heard]) => heard === word).map(([, value]) => value);
  }
}

/**
 * Starts the example as its users have it: in a folder of its own, with `electron` and `llama-worker` in `node_modules`.
 *
 * @param {import("node:test").TestContext} context
 * @param {string[]} args
 */
async function start(context, args) {
  const { hub, dir } = await hubAndFolder(context);
  const place = freshFolder(context);
  fs.cpSync(EXAMPLE, place, { recursive: true });
  const modules = path.join(place, "node_modules");
  fs.mkdirSync(path.join(modules, "electron"), { recursive: true });
  const played = path.join(__dirname, "fixtures", "electron.js");
  fs.writeFileSync(
    path.join(modules, "electron", "index.js"),
    `module.exports = require(${JSON.stringify(played)});\n`,
  );
  fs.symlinkSync(ROOT, path.join(modules, "llama-worker"), "junction");

  process.env.HF_ENDPOINT = hub.endpoint;
  const { app, ipcMain, utilityProcess } = require(played);
  const { fork } = utilityProcess;
  /** @type {Promise<number>[]} how the utility process ended */
  const endings = [];
  utilityProcess.fork = (/** @type {Parameters<typeof fork>} */ ...all) => {
    const child = fork(...all);
    endings.push(
      new Promise((resolve) => {
        child.once("exit", resolve);
      }),
    );
    return child;
  };
  app.removeAllListeners();
  ipcMain.removeAllListeners();
  app.paths = { userData: dir };
  const opened = new Promise((resolve) => {
    app.once("browser-window-created", (/** @type {unknown} */ _event, /** @type {any} */ window) =>
      window.webContents.once("did-finish-load", () => resolve(window)),
    );
  });
  const argv = process.argv;
  process.argv = [...argv, ...args];
  require(path.join(place, "main.js"));
  const window = await opened;
  process.argv = argv;
  const ended = new Promise((resolve) => {
    app.once("ended", resolve);
  });
  context.after(async () => {
    app.quit();
    assert.equal(await ended, 0);
    utilityProcess.fork = fork;
    // It has freed the model and ended by itself; one that is killed has another code.
    assert.deepEqual(await Promise.all(endings), args.includes("--in-process") ? [] : [0]);
    delete process.env.HF_ENDPOINT;
  });
  return { hub, window, page: new Page(window.world.electronAPI.llm), folder: path.join(dir, "models") };
}

/** What a block may take for granted: Electron's main process, a window and a worker. */
const AROUND = `
  const { app, ipcMain, MessageChannelMain, utilityProcess } = require("electron");
  const path = require("node:path");
  const window = /** @type {import("electron").BrowserWindow} */ ({});
  const worker = /** @type {import("llama-worker").LlamaWorker} */ ({});
`;

test("the blocks for Electron in README and docs fit Electron's types and ours", async (context) => {
  // Inside the checkout, from which the types are found.
  fs.mkdirSync(path.join(ROOT, "target"), { recursive: true });
  const place = fs.mkdtempSync(path.join(ROOT, "target", "electron-blocks-"));
  context.after(() => fs.rmSync(place, { recursive: true }));
  const pages = [
    "README.md",
    "README.pt-BR.md",
    ...fs.readdirSync(path.join(ROOT, "docs")).map((name) => `docs/${name}`),
  ];
  const blocks = pages.flatMap((page) => {
    const text = fs.readFileSync(path.join(ROOT, page), "utf8").replaceAll("\r\n", "\n");
    return [...text.matchAll(/^```js electron\n([\s\S]*?)^```$/gm)].map(([, code]) => ({ page, code }));
  });
  assert.ok(blocks.length >= 4);
  for (const [index, { page, code }] of blocks.entries()) {
    // A block of its own, in which what it requires may have the names of what is around it.
    const source = `// ${page}\n${AROUND}\nasync function run() {\n${code}}\nmodule.exports = { run };\n`;
    fs.writeFileSync(path.join(place, `block-${index}.cjs`), source);
  }
  fs.writeFileSync(path.join(place, "wrong.cjs"), `${AROUND}\nworker.loadModel(17);\nutilityProcess.spawn("x");\n`);
  const config = {
    extends: path.join(EXAMPLE, "tsconfig.json"),
    compilerOptions: { types: ["electron", "node"], noUnusedLocals: false },
    include: ["*.cjs"],
  };
  fs.writeFileSync(path.join(place, "tsconfig.json"), JSON.stringify(config));
  const tsc = path.join(ROOT, "node_modules/typescript/bin/tsc");
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, "-p", place, "--pretty", "false"]).catch(
    (error) => error,
  );
  // The last file shows that types are looked at.
  const complaints = stdout.split("\n").filter((/** @type {string} */ line) => line.includes("error TS"));
  assert.deepEqual(
    complaints.map((/** @type {string} */ line) => /wrong\.cjs\(\d+,\d+\): error (TS\d+)/.exec(line)?.[1] ?? line),
    ["TS2769", "TS2339"],
  );
});

for (const [host, args] of /** @type {[string, string[]][]} */ ([
  ["the utility process", []],
  ["the main process", ["--in-process"]],
])) {
  test(`${host}: a model is downloaded, loaded and answers`, async (context) => {
    const { hub, page, folder } = await start(context, args);
    hub.put(REPOSITORY, FILE, fs.readFileSync(builtInModelPath));
    page.llm.downloadModel(MODEL, "mine");
    const complete = await page.until("complete");
    assert.deepEqual(complete, { modelId: MODEL, requestId: "mine", filePath: path.join(folder, FILE) });
    const progress = page.all("progress");
    assert.ok(progress.length > 0);
    for (const { operation, modelId, requestId, totalBytes } of progress)
      assert.deepEqual(
        [operation, modelId, requestId, totalBytes],
        ["download", MODEL, "mine", fs.statSync(builtInModelPath).size],
      );
    assert.deepEqual([progress.at(-1).progress, progress.at(-1).downloadedBytes], [1, progress[0].totalBytes]);

    page.llm.init({ gpu: false, numThreads: 1, locale: "en" });
    page.llm.loadModel({ modelPath: complete.filePath });
    page.llm.createContext({ threads: 1 });
    page.llm.generateCompletion(CAPITAL.question);
    const { fullText } = await page.until("done");
    assert.equal((await page.until("loaded")).name, FILE);
    assert.deepEqual([fullText, page.all("chunk").join("")], [CAPITAL.answer, CAPITAL.answer]);
    assert.deepEqual([page.all("error"), page.all("aborted"), page.all("failed")], [[], [], []]);
    assert.ok(page.all("progress").some(({ operation }) => operation === "load"));
  });

  test(`${host}: an abort ends a download, and the next one goes on there`, async (context) => {
    const { hub, page, folder } = await start(context, args);
    hub.script("content", { holdAfter: SIZE / 2 });
    page.llm.downloadModel(MODEL);
    await hub.held();
    page.llm.abortDownload();
    assert.deepEqual(await page.until("aborted"), { modelId: MODEL, requestId: undefined });
    assert.deepEqual(finished(folder), []);
    assert.ok(keptBytes(folder) > 0);
    page.llm.downloadModel(MODEL);
    assert.equal((await page.until("complete")).filePath, path.join(folder, FILE));
    assert.match(String(hub.ranges.at(-1)), /^bytes=[1-9]/);
    assert.deepEqual([page.all("aborted").length, page.all("error")], [1, []]);
  });

  test(`${host}: an abort that comes before a download has begun ends it too`, async (context) => {
    const { page, folder } = await start(context, args);
    page.llm.downloadModel([MODEL, "hf://o/r/other.gguf"], "early");
    page.llm.abortDownload();
    await page.until("aborted", 2);
    const aborted = page.all("aborted").map(({ modelId }) => modelId);
    assert.deepEqual(aborted.sort(), [MODEL, "hf://o/r/other.gguf"].sort());
    page.llm.downloadModel(MODEL);
    assert.equal((await page.until("complete")).filePath, path.join(folder, FILE));
    assert.deepEqual([page.all("aborted").length, page.all("error")], [2, []]);
  });

  test(`${host}: a failure is told once to each kind of listener`, async (context) => {
    const { page } = await start(context, args);
    page.llm.downloadModel("hf://o/nowhere", "lost");
    const { code } = await page.until("error");
    assert.equal(code, "DOWNLOAD_NOT_FOUND");
    const [failed] = page.all("failed");
    assert.deepEqual([failed.modelId, failed.requestId, failed.code], ["hf://o/nowhere", "lost", "DOWNLOAD_NOT_FOUND"]);
    assert.match(failed.error, /nowhere/);
    assert.deepEqual([page.all("failed").length, page.all("error").length, page.all("aborted")], [1, 1, []]);
  });

  test(`${host}: of several models each ends by itself, told by its name`, async (context) => {
    const { hub, page, folder } = await start(context, args);
    hub.put("o/r", "other.gguf", fs.readFileSync(builtInModelPath));
    page.llm.downloadModel([MODEL, "hf://o/nowhere", "hf://o/r/other.gguf"], "all");
    await page.until("complete", 2);
    await page.until("failed");
    const complete = page.all("complete").map(({ modelId, filePath }) => [modelId, filePath]);
    assert.deepEqual(complete.sort(), [
      [MODEL, path.join(folder, FILE)],
      ["hf://o/r/other.gguf", path.join(folder, "other.gguf")],
    ]);
    assert.deepEqual([page.all("failed")[0].modelId, page.all("aborted")], ["hf://o/nowhere", []]);
  });

  test(`${host}: where a download goes, and from whom it comes, is not the page's to say`, async (context) => {
    const { hub, window, folder } = await start(context, args);
    const elsewhere = freshFolder(context);
    const { ipcRenderer } = require("./fixtures/electron");
    const done = new Promise((resolve) => {
      ipcRenderer.on("llama-worker", (/** @type {unknown} */ _event, /** @type {any} */ message) => {
        if (message.type === "download_complete" || message.type === "error") resolve(message);
      });
    });
    // What a page could do that has got at the channel behind the bridge.
    const options = { dir: elsewhere, endpoint: "http://127.0.0.1:9" };
    ipcRenderer.send("llama-worker", { type: "download_model", modelId: MODEL, options });
    assert.equal((await done).filePath, path.join(folder, FILE));
    assert.deepEqual(fs.readdirSync(elsewhere), []);
    assert.equal(hub.fetches, 1);
    assert.ok(window.world.electronAPI.llm);
  });

  test(`${host}: a frame that the page shows is not heard`, async (context) => {
    const { hub, window, page } = await start(context, args);
    const { ipcMain } = require("./fixtures/electron");
    const { webContents } = window;
    const message = { type: "download_model", modelId: MODEL };
    for (const senderFrame of [{}, null]) ipcMain.emit("llama-worker", { sender: webContents, senderFrame }, message);
    ipcMain.emit("llama-worker", { sender: {}, senderFrame: webContents.mainFrame }, message);
    // What is heard is answered in its turn.
    page.llm.downloadModel("hf://o/nowhere");
    await page.until("error");
    assert.deepEqual([hub.fetches, page.all("error").length], [0, 1]);
    // As an Electron that names no frames.
    ipcMain.emit("llama-worker", { sender: webContents }, { type: "generate_completion", prompt: "Hi" });
    await page.until("error", 2);
  });

  test(`${host}: quitting in the middle of an answer ends everything in good order`, async (context) => {
    const { page } = await start(context, args);
    page.llm.init({ gpu: false, numThreads: 1 });
    page.llm.loadModel({ modelPath: builtInModelPath });
    page.llm.createContext({ threads: 1 });
    page.llm.generateCompletion("Tell me a long story.");
    await page.until("chunk");
    // The rest is asserted where every test ends.
    assert.deepEqual(page.all("done"), []);
  });

  test(`${host}: a page that loads again hears nothing of the download before`, async (context) => {
    const { hub, window, page, folder } = await start(context, args);
    hub.script("content", { holdAfter: SIZE / 2 });
    page.llm.downloadModel(MODEL);
    await hub.held();
    window.reload();
    const next = new Page(window.world.electronAPI.llm);
    next.llm.downloadModel(MODEL, "again");
    const complete = await next.until("complete");
    assert.deepEqual([complete.requestId, complete.filePath], ["again", path.join(folder, FILE)]);
    assert.deepEqual([next.all("aborted"), next.all("complete").length], [[], 1]);
    assert.deepEqual([page.all("complete"), page.all("aborted")], [[], []]);
  });
}
