/**
 * The script of a worker process or thread that speaks the message contract:
 * `utilityProcess.fork(require.resolve("llama-worker/worker"))`, `new Worker(…)` or `child_process.fork(…)`.
 *
 * Finds the port and ends in good order; exports nothing. The port is, in this order:
 *  - in a thread, `workerData.port` when that is a MessagePort, else the thread's own `parentPort`;
 *  - in Electron's utility process, the first port that a message from the parent brings along. When that closes, or the
 *    parent posts `{ type: "stop" }` to the process, it frees the model and ends;
 *  - in a forked child process, the process's own channel.
 */

"use strict";

const { once } = require("node:events");
const { MessagePort, isMainThread, parentPort, workerData } = require("node:worker_threads");
const { LlamaWorker } = require("./llama-worker");

/** How long an end may wait for the engine, and for a parent that does not read; a decode in progress ends long before. */
const LONGEST_CLEANUP_MS = 3000;

/**
 * @param {any} port
 * @returns {LlamaWorker | undefined} none where the addon does not load
 */
function serve(port) {
  try {
    const worker = new LlamaWorker(port);
    endInGoodOrder(worker, port);
    return worker;
  } catch (error) {
    reportNoWorker(port, error);
    return undefined;
  }
}

/**
 * @param {LlamaWorker} worker
 * @param {any} port
 */
function endInGoodOrder(worker, port) {
  process.once("exit", () => void worker.cleanup());
  // A thread gets no signals; its process decides about them.
  if (isMainThread) process.once("SIGINT", () => stopProcess(worker, port));
}

/**
 * @param {LlamaWorker} worker
 * @param {{ closed?: Promise<unknown> }} port
 */
function stopProcess(worker, port) {
  const exit = () => process.exit(0);
  setTimeout(exit, LONGEST_CLEANUP_MS);
  const isDone = worker.cleanup().then(() => port.closed);
  isDone.then(exit, exit);
}

/**
 * There is no worker to say it, so the one answer the contract has for this is given here.
 *
 * @param {any} port
 * @param {any} error
 */
function reportNoWorker(port, { code, message }) {
  port.postMessage({ type: "error", error: "Falha ao inicializar llama.cpp", details: message, code });
  process.stderr.write(`llama-worker: ${message}\n`);
  process.exitCode = 1;
  port.close?.();
}

/** @param {any} parent Electron's `process.parentPort` */
function serveFirstPort(parent) {
  /** @type {LlamaWorker | undefined} */
  let worker;
  const stop = () => (worker ? stopProcess(worker, {}) : process.exit());
  // Heard before there is a port, and when there is no worker: Electron would keep its process.
  parent.on("message", (/** @type {{ data: any }} */ { data }) => {
    if (data?.type === "stop") stop();
  });
  const take = (/** @type {{ ports?: any[] }} */ { ports }) => {
    if (!ports?.[0]) return;
    parent.removeListener("message", take);
    const [port] = ports;
    worker = serve(port);
    // Without its port nobody can reach it any more.
    if (worker) port.on("close", stop);
    // What it had to say is under way, and Electron would keep its process.
    else setTimeout(stop, LONGEST_CLEANUP_MS);
  };
  parent.on("message", take);
}

/** The channel of a forked process, as a port. Closing waits for what is still being written. */
function processChannel() {
  let unsent = 0;
  let closing = false;
  const disconnectWhenSent = () => {
    if (closing && unsent === 0 && process.connected) process.disconnect();
  };
  const sent = () => {
    unsent -= 1;
    disconnectWhenSent();
  };
  return {
    /** Resolves when the last message has been written, or nobody is left to read it. */
    closed: once(process, "disconnect"),
    /**
     * @param {string} type
     * @param {(event?: { data: unknown }) => void} listener
     */
    on(type, listener) {
      if (type === "message") process.on("message", (data) => listener({ data }));
      else process.once("disconnect", () => listener());
    },
    /** @param {any} message */
    postMessage(message) {
      if (!process.connected) return;
      unsent += 1;
      // With a callback a vanished parent is no uncaught exception; the channel's end is noticed by `disconnect`.
      process.send?.(message, undefined, undefined, sent);
    },
    close() {
      closing = true;
      disconnectWhenSent();
    },
  };
}

function main() {
  const electronParent = /** @type {any} */ (process).parentPort;
  if (!isMainThread) return serve(workerData?.port instanceof MessagePort ? workerData.port : parentPort);
  if (electronParent) return serveFirstPort(electronParent);
  if (process.send) return serve(processChannel());
  process.stderr.write(
    "llama-worker: this script has no port to serve, start it with utilityProcess.fork, new Worker or child_process.fork\n",
  );
  process.exitCode = 1;
}

main();
