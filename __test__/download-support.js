/**
 * What the tests of downloads share: a hub with models, a folder of their own, and processes that download.
 *
 * Takes the environment's tokens and proxies away: no test may depend on them, and no request may leave this machine.
 */

"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const readline = require("node:readline");
const { setTimeout: delay } = require("node:timers/promises");
const { HANG_MS } = require("./support");
const { BYTES, FILE, REPOSITORY, startHub } = require("./fixtures/hub");

for (const name of ["HF_TOKEN", "HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"]) {
  delete process.env[name];
  delete process.env[name.toLowerCase()];
}

const DOWNLOAD = path.join(__dirname, "fixtures", "download.js");

/** @param {import("node:test").TestContext} context */
function freshFolder(context) {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-download-")));
  context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * A hub with one model, and where to put it.
 *
 * @param {import("node:test").TestContext} context
 */
async function hubAndFolder(context) {
  const hub = await startHub(context);
  hub.put(REPOSITORY, FILE, BYTES);
  const dir = freshFolder(context);
  return { hub, dir, options: { dir, endpoint: hub.endpoint } };
}

/**
 * A server of one test.
 *
 * @param {import("node:test").TestContext} context
 * @param {http.RequestListener} answer
 * @returns {Promise<string>} its origin
 */
async function serve(context, answer) {
  const server = http.createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`;
}

/** @param {string} file */
const contentOf = (file) => fs.readFileSync(file);

/**
 * What there is under names that say it is a model.
 *
 * @param {string} folder
 */
function finished(folder) {
  const names = fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true }) : [];
  return names.map(String).filter((name) => name.endsWith(".gguf"));
}

/**
 * How much of a download is kept for the next try.
 *
 * @param {string} folder
 */
function keptBytes(folder) {
  const names = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  const parts = names.filter((name) => name.endsWith(".part"));
  return parts.reduce((sum, name) => sum + fs.statSync(path.join(folder, name)).size, 0);
}

/**
 * Waits for what nothing tells.
 *
 * @param {() => boolean} holds
 */
async function until(holds) {
  while (!holds()) await delay(10);
}

/** @param {number[]} numbers */
function assertMonotone(numbers) {
  assert.deepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
  );
}

/** A process that downloads, and what it tells. */
class Downloader {
  /** @type {any[]} */
  events = [];
  errors = "";
  #child;

  /**
   * @param {string | string[]} models
   * @param {object} options
   * @param {{ env?: Record<string, string>, wrapper?: string[] }} [how] `wrapper` is a command that runs the one behind it
   */
  constructor(models, options, { env = {}, wrapper = [] } = {}) {
    const [command, ...args] = [...wrapper, process.execPath, DOWNLOAD, JSON.stringify({ models, options })];
    this.#child = spawn(command, args, { env: { ...process.env, ...env }, timeout: HANG_MS, killSignal: "SIGKILL" });
    this.#child.stderr.setEncoding("utf8").on("data", (text) => (this.errors += text));
    const lines = readline.createInterface({ input: this.#child.stdout });
    lines.on("line", (line) => this.events.push(JSON.parse(line)));
    this.#child.stdin.end();
    const closed = once(this.#child, "close");
    this.ended = Promise.all([closed, once(lines, "close")]).then(([[code, signal]]) => ({ code, signal }));
  }

  /** Ends it as nothing can be caught. */
  async kill() {
    this.#child.kill("SIGKILL");
    return this.ended;
  }

  /** @returns {Promise<any>} how the download ended, and what then lay in its folder */
  async outcome() {
    const { code } = await this.ended;
    const outcome = this.events.find(({ type }) => type === "done" || type === "error");
    if (code !== 0 || !outcome) throw new Error(`the process ended with ${code}: ${this.errors}`);
    return { ...outcome, files: this.events.at(-1).names };
  }

  get progress() {
    return this.events.filter(({ type }) => type === "progress");
  }
}

module.exports = {
  Downloader,
  assertMonotone,
  contentOf,
  finished,
  freshFolder,
  hubAndFolder,
  keptBytes,
  serve,
  until,
};
