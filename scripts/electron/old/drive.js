/**
 * Starts the example as it is, plays a person at its page, and prints what came of it as one line of JSON.
 *
 * `SCENARIO` says which of the functions below is played. Judges nothing: that is electron.test.js.
 */

"use strict";

require("./old-node");
const electron = require("electron");
const path = require("node:path");

const { app } = electron;

/** @param {unknown} result */
function report(result) {
  process.stdout.write(`RESULT ${JSON.stringify(result)}\n`);
}

for (const event of /** @type {const} */ (["uncaughtException", "unhandledRejection"])) {
  process.on(/** @type {any} */ (event), (/** @type {any} */ error) => {
    process.stdout.write(`FAILED ${event}: ${error?.stack}\n`);
    app.exit(3);
  });
}

/** Runs in the page: says what happened until `end` of the events came. */
const IN_PAGE = `
  window.until = (end, act) => new Promise((resolve) => {
    const events = [];
    const off = [];
    const { llm } = window.electronAPI;
    const on = (name, type) => off.push(llm[name]((value) => {
      events.push([type, value]);
      if (type === end || type === "error") { off.forEach((f) => f()); resolve(events); }
    }));
    on("onModelLoaded", "loaded"); on("onProgress", "progress"); on("onCompletionChunk", "chunk");
    on("onCompletionDone", "done"); on("onDownloadComplete", "complete"); on("onDownloadAborted", "aborted"); on("onError", "error");
    act(llm, events);
  });
  window.text = (events) => events.filter(([type]) => type === "chunk").map(([, chunk]) => chunk).join("");
`;

/**
 * @param {Electron.WebContents} page
 * @param {string} code
 */
function inPage(page, code) {
  return page.executeJavaScript(`(async () => { ${IN_PAGE} ${code} })()`);
}

const WAIT_FOR_MODEL = `
  while (document.getElementById("send").disabled) await new Promise((resolve) => setTimeout(resolve, 20));
`;

/** @type {Record<string, (page: Electron.WebContents) => Promise<unknown>>} */
const SCENARIOS = {
  async chat(page) {
    return inPage(
      page,
      `${WAIT_FOR_MODEL}
      const status = document.getElementById("status").textContent;
      const isolation = [typeof window.require, typeof window.process, typeof window.module];
      const bridge = Object.keys(window.electronAPI.llm).sort();
      const prompt = await until("done", (llm) => llm.generateCompletion("What is the capital of France?"));
      const chat = await until("done", (llm) => llm.generateChatCompletion([
        { role: "user", content: "What is the capital of Japan?" },
      ], { maxTokens: 40 }));
      const bad = await until("error", (llm) => llm.loadModel({ modelPath: ${JSON.stringify(path.join(__dirname, "model.gguf"))} }));
      const still = await until("done", (llm) => llm.generateCompletion("What is the capital of France?"));
      return { status, isolation, bridge,
        prompt: [text(prompt), prompt.pop()[1]], chat: [text(chat), chat.pop()[1].fullText],
        bad: bad.pop()[1], still: text(still) };`,
    );
  },
  async abort(page) {
    return inPage(
      page,
      `${WAIT_FOR_MODEL}
      const seen = [];
      window.electronAPI.llm.onCompletionDone(() => seen.push("done"));
      await new Promise((resolve) => {
        const off = window.electronAPI.llm.onCompletionChunk(() => { off(); window.electronAPI.llm.abort(); resolve(); });
        window.electronAPI.llm.generateCompletion("Tell me a long story.");
      });
      const next = await until("done", (llm) => llm.generateCompletion("What is the capital of France?"));
      return { seen, next: next.pop()[1].fullText };`,
    );
  },
  async reload(page) {
    await inPage(
      page,
      `${WAIT_FOR_MODEL} window.electronAPI.llm.generateCompletion("Tell me a long story.");
      await new Promise((resolve) => { const off = window.electronAPI.llm.onCompletionChunk(() => { off(); resolve(); }); });`,
    );
    const loaded = new Promise((resolve) => {
      page.once("did-finish-load", resolve);
    });
    page.reload();
    await loaded;
    return inPage(
      page,
      `${WAIT_FOR_MODEL}
      const answer = await until("done", (llm) => llm.generateCompletion("What is the capital of France?"));
      return { answer: answer.pop()[1].fullText };`,
    );
  },
  async quit(page) {
    await inPage(
      page,
      `${WAIT_FOR_MODEL} window.electronAPI.llm.generateCompletion("Tell me a long story.");
      await new Promise((resolve) => { const off = window.electronAPI.llm.onCompletionChunk(() => { off(); resolve(); }); });`,
    );
    return { isGenerating: true };
  },
  /** A person at the page's own fields: a model that is downloaded, stopped on the way, goes on, and answers; then one that is nowhere. */
  async download(page) {
    return inPage(
      page,
      `${WAIT_FOR_MODEL}
      const element = (id) => document.getElementById(id);
      const ask = (name) => { element("model").value = name; element("download").click(); };
      const half = await until("aborted", (llm, events) => {
        const off = llm.onProgress(({ downloadedBytes }) => { if (downloadedBytes > 0) { off(); element("stop-download").click(); } });
        ask(${JSON.stringify(process.env.MODEL)});
      });
      const stopped = element("status").textContent;
      const whole = await until("loaded", () => ask(${JSON.stringify(process.env.MODEL)}));
      const complete = whole.find(([type]) => type === "complete")[1];
      const progress = whole.filter(([type, { operation }]) => type === "progress" && operation === "download").map(([, value]) => value);
      const answer = await until("done", (llm) => llm.generateCompletion("What is the capital of France?"));
      const missing = await until("error", () => ask("hf://o/nowhere"));
      return { half: half.pop()[1], stopped, complete, progress, loaded: whole.pop()[1].name,
        answer: answer.pop()[1].fullText, missing: missing.pop()[1].code };`,
    );
  },
  /** The real port of this Electron, straight to the class. */
  async port() {
    const { LlamaWorker, builtInModelPath } = require("llama-worker");
    const { port1, port2 } = new electron.MessageChannelMain();
    const messages = /** @type {any[]} */ ([]);
    const done = new Promise((resolve) => {
      port2.on("message", ({ data }) => {
        messages.push(data);
        if (data.type === "completion_done" || data.type === "error") resolve(undefined);
      });
    });
    port2.start();
    const worker = new LlamaWorker(port1);
    port2.postMessage({ type: "init", options: { gpu: false, locale: "en" } });
    port2.postMessage({ type: "load_model", options: { modelPath: builtInModelPath } });
    port2.postMessage({ type: "create_context" });
    port2.postMessage({ type: "generate_completion", prompt: "What is the capital of France?", requestId: 7 });
    await done;
    await worker.cleanup();
    return { greeting: messages[0], done: messages.find(({ type }) => type === "completion_done") };
  },
};

const scenario = process.env.SCENARIO || "";
if (process.env.USER_DATA) app.setPath("userData", process.env.USER_DATA);
if (!electron.utilityProcess) {
  const played = require("./utility-process");
  const fork = (/** @type {string} */ script, /** @type {string[]} */ args) => {
    const child = played.fork(script, args);
    child.once("exit", (code) => process.stdout.write(`UTILITY PROCESS ENDED ${code}\n`));
    return child;
  };
  Object.defineProperty(electron, "utilityProcess", { value: { fork } });
}

app.on("web-contents-created", (_event, page) => {
  page.once("did-finish-load", async () => {
    report(await SCENARIOS[scenario](page));
    app.quit();
  });
});
require("./main.js");
