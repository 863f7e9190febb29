/**
 * The example app in a real Electron, from a folder and from an asar archive, with the model in the (emulated) utility process and in the main
 * process. Started by `npm run test:electron`, which says where everything is.
 */

"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { describe, test } = require("node:test");
const { startHub } = require("../../__test__/fixtures/hub");

const { ELECTRON = "", ELECTRON_APP = "", ELECTRON_ARCHIVE = "", ELECTRON_PRELOAD = "" } = process.env;
/** Far above what a start takes on a busy machine. */
const HANG_MS = 120_000;
const BUILT_IN_MODEL = path.join(__dirname, "..", "..", "models", "tiny-chat", "tiny-chat.gguf");
const PARIS = "The capital of France is Paris.";
const OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];

/**
 * @param {string} app
 * @param {string} scenario
 * @param {string[]} [args]
 * @param {Record<string, string>} [environment]
 * @returns {Promise<any>} what the app reported; rejects unless it ended by itself, in good order
 */
async function play(app, scenario, args = [], environment = {}) {
  const child = spawn(ELECTRON, [...OPTIONS, app, ...args], {
    env: { ...process.env, ...environment, SCENARIO: scenario, LD_PRELOAD: ELECTRON_PRELOAD },
    timeout: HANG_MS,
    killSignal: "SIGKILL",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...ended) => resolve(ended));
  });
  assert.deepEqual([code, signal], [0, null], output);
  const result = /^RESULT (.*)$/m.exec(output);
  assert.ok(result, output);
  // It frees the model and ends by itself, also in mid-answer; nobody has to kill it.
  const hasUtilityProcess = scenario !== "port" && !args.includes("--in-process");
  const endings = [...output.matchAll(/^UTILITY PROCESS ENDED (.*)$/gm)].map(([, ending]) => ending);
  if (hasUtilityProcess) assert.deepEqual(endings, ["0"], output);
  return JSON.parse(result[1]);
}

for (const [where, app] of [
  ["a folder", ELECTRON_APP],
  ["an asar archive", ELECTRON_ARCHIVE],
]) {
  for (const [host, args] of /** @type {[string, string[]][]} */ ([
    ["the utility process", []],
    ["the main process", ["--in-process"]],
  ])) {
    describe(`from ${where}, the model in ${host}`, () => {
      test("the page chats through the bridge, isolated", async () => {
        const { status, isolation, bridge, prompt, chat, bad, still } = await play(app, "chat", args);
        assert.equal(status, "tiny-chat.gguf");
        assert.deepEqual(isolation, ["undefined", "undefined", "undefined"]);
        assert.deepEqual(bridge, [
          ...[
            "abort",
            "abortDownload",
            "createContext",
            "downloadModel",
            "generateChatCompletion",
            "generateCompletion",
          ],
          ...["init", "loadModel", "onCompletionChunk", "onCompletionDone", "onDownloadAborted", "onDownloadComplete"],
          ...["onDownloadError", "onError", "onModelLoaded", "onProgress"],
        ]);
        assert.deepEqual([prompt[0], prompt[1].fullText], [PARIS, PARIS]);
        assert.ok(prompt[1].stats.promptTokens > 0 && prompt[1].stats.completionTokens > 0);
        assert.match(chat[0], /Tokyo/);
        assert.equal(chat[0], chat[1]);
        assert.equal(bad.code, where === "a folder" ? "MODEL_INVALID" : "MODEL_IN_ARCHIVE");
        assert.equal(still, PARIS);
      });

      test("an abort in the middle ends the answer, and the next one comes", async () => {
        const { seen, next } = await play(app, "abort", args);
        assert.deepEqual([seen.filter((/** @type {string} */ type) => type === "done").length, next], [1, PARIS]);
      });

      test("a page that is loaded again in the middle of an answer goes on", async () => {
        assert.deepEqual(await play(app, "reload", args), { answer: PARIS });
      });

      test("a model is downloaded: stopped, gone on with, loaded, and it answers", async (context) => {
        const hub = await startHub(context);
        const bytes = fs.readFileSync(BUILT_IN_MODEL);
        hub.put("o/r", "other.gguf", bytes);
        hub.script("content", { holdAfter: bytes.length / 2 });
        const userData = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-electron-"));
        context.after(() => fs.rmSync(userData, { recursive: true, force: true }));
        const model = "hf://o/r/other.gguf";
        const environment = { HF_ENDPOINT: hub.endpoint, USER_DATA: userData, MODEL: model };
        const { half, stopped, complete, progress, loaded, answer, missing } = await play(
          app,
          "download",
          args,
          environment,
        );
        assert.deepEqual([half.modelId, complete.modelId], [model, model]);
        assert.match(stopped, /^The download was stopped/);
        assert.equal(complete.filePath, path.join(userData, "models", "other.gguf"));
        assert.ok(fs.readFileSync(complete.filePath).equals(bytes));
        assert.match(String(hub.ranges.at(-1)), /^bytes=[1-9]/);
        assert.deepEqual([progress.at(-1).progress, progress.at(-1).totalBytes], [1, bytes.length]);
        assert.deepEqual([loaded, answer, missing], ["other.gguf", PARIS, "DOWNLOAD_NOT_FOUND"]);
      });

      test("quitting in the middle of an answer ends everything in good order", async () => {
        assert.deepEqual(await play(app, "quit", args), { isGenerating: true });
      });
    });
  }
}

test("Electron's own MessagePortMain carries the contract", async () => {
  const { greeting, done } = await play(ELECTRON_APP, "port");
  assert.equal(greeting, "LlamaWorker inicializado e pronto para receber comandos");
  assert.deepEqual([done.fullText, done.requestId], [PARIS, 7]);
});
