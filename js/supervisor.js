/**
 * Keeps a worker process alive: when it dies, says why, starts another one and tells the port with a coded error.
 *
 * Carries messages, and reads of them only what they are marked with and whether they end what was asked. Restores nothing: after the error comes the
 * greeting of the new process, and the application begins with `init` again, because what killed the old one may be what it was told to do.
 */

"use strict";

const { fork } = require("node:child_process");
const { once } = require("node:events");
const path = require("node:path");
const { invalidOption } = require("./options");
const { OpenRequests } = require("./open-requests");
const { checkPort, listenTo } = require("./port");

const SCRIPT = path.join(__dirname, "worker.js");

/** The code of the one message that is the supervisor's own. */
const WORKER_CRASHED = "WORKER_CRASHED";
const CRASHED_TEXT = "O processo do worker terminou inesperadamente";
/** What the contract calls a message that has no type it knows; one that cannot be copied into a process has none either. */
const UNSENT = { error: "Tipo de mensagem desconhecido: ", code: "UNKNOWN_MESSAGE_TYPE" };

/** More deaths than this in so many milliseconds are no accident any more. */
const MOST_RESTARTS = 5;
const RESTART_WINDOW_MS = 60_000;

/** What a process said last; a reason is found at its end. */
const MOST_LAST_BYTES = 4096;

/** How long a process may take to end in good order. */
const LONGEST_STOP_MS = 5000;
const LONGEST_READ_MS = 500;

/**
 * @typedef {object} WorkerProcess
 * @property {(type: any, listener: (...args: any[]) => void) => unknown} on
 * @property {(signal?: any) => unknown} kill
 * @property {NodeJS.ReadableStream | null} [stderr]
 * @property {number} [pid]
 *
 * @typedef {{ child: WorkerProcess, port: any }} StartedWorker
 */

/**
 * A worker as a child process of Node's own kind, whose channel is its port.
 *
 * @returns {StartedWorker}
 */
function startChildProcess() {
  const child = fork(SCRIPT, [], { stdio: ["inherit", "inherit", "pipe", "ipc"], serialization: "advanced" });
  const port = {
    on: (/** @type {string} */ type, /** @type {(event: any) => void} */ listener) => {
      if (type === "message") child.on("message", (data) => listener({ data }));
    },
    postMessage: (/** @type {any} */ message) => {
      // With a callback a process that is dying is no uncaught exception; `exit` tells.
      if (child.connected) child.send(message, undefined, undefined, () => {});
    },
  };
  return { child: /** @type {any} */ (child), port };
}

class WorkerSupervisor {
  #port;
  #start;
  #mostRestarts;
  /** @type {StartedWorker | undefined} */
  #worker;
  /** @type {number[]} when it died, the newest last */
  #deaths = [];
  #lastWords = "";
  #open = new OpenRequests();
  #isStopping = false;
  /** @type {Promise<void>} */
  #ended;
  /** @type {() => void} */
  #end = () => {};
  #detach = () => {};

  /**
   * @param {any} port the application's end: what comes from it goes to the worker, what the worker says goes to it
   * @param {{ start?: (() => StartedWorker) | null, maxRestarts?: number | null } | null} [options]
   */
  constructor(port, options) {
    const start = options?.start ?? startChildProcess;
    const maxRestarts = options?.maxRestarts ?? MOST_RESTARTS;
    checkPort(port);
    if (typeof start !== "function") throw invalidOption("start", start, "a function that starts a worker process");
    if (!Number.isInteger(maxRestarts) || maxRestarts < 0)
      throw invalidOption("maxRestarts", maxRestarts, "a whole number from 0");
    this.#port = port;
    this.#start = start;
    this.#mostRestarts = maxRestarts;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#startWorker();
    this.#detach = listenTo(port, {
      onMessage: (message) => this.#send(message),
      onClose: () => void this.stop(),
    });
    port.start?.();
  }

  /** Resolves when the worker has ended for good: it was stopped, ended by itself, or died too often. */
  get ended() {
    return this.#ended;
  }

  /** Ends the worker in good order, by force when it takes too long. */
  stop() {
    const worker = this.#worker;
    if (!this.#isStopping && worker) {
      // `utilityProcess` knows no signals and takes no heed of the name.
      worker.child.kill("SIGINT");
      const force = setTimeout(() => worker.child.kill("SIGKILL"), LONGEST_STOP_MS);
      void this.#ended.then(() => clearTimeout(force));
    }
    this.#isStopping = true;
    return this.#ended;
  }

  /** @param {unknown} message */
  #send(message) {
    const mark = this.#open.begin(message);
    try {
      this.#worker?.port.postMessage(message);
    } catch (error) {
      // What crosses a port is not all that crosses to a process. Thrown here, it would be the application's own end.
      this.#open.end(mark);
      this.#port.postMessage({ type: "error", ...UNSENT, details: reasonOf(error), ...mark });
    }
  }

  #startWorker() {
    this.#lastWords = "";
    const worker = this.#start();
    this.#worker = worker;
    worker.child.stderr?.on("data", (bytes) => {
      process.stderr.write(bytes);
      this.#lastWords = (this.#lastWords + bytes).slice(-MOST_LAST_BYTES);
    });
    const onMessage = (/** @type {unknown} */ message) => {
      // What a process said may come after its end was told, and belongs to none of the new one's answers.
      if (this.#worker !== worker) return;
      this.#open.answered(message);
      this.#port.postMessage(message);
    };
    listenTo(worker.port, { onMessage, onClose: () => {} });
    worker.port.start?.();
    let isDead = false;
    const died = (/** @type {string} */ how, /** @type {boolean} */ isInOrder) => {
      if (isDead) return;
      isDead = true;
      void lastRead(worker.child.stderr).then(() => this.#died(how, isInOrder));
    };
    worker.child.on("exit", (code, signal) =>
      died(`ended with ${signal ? `signal ${signal}` : `exit code ${code}`}`, code === 0 && !signal),
    );
    // Without a listener it would be an uncaught exception. Only a process that was never there gives no `exit`.
    worker.child.on("error", (error) => {
      if (worker.child.pid === undefined) died(`could not be started: ${reasonOf(error)}`, false);
    });
  }

  /**
   * @param {string} how
   * @param {boolean} isInOrder
   */
  #died(how, isInOrder) {
    this.#worker = undefined;
    if (this.#isStopping || isInOrder) return this.#finish();
    const now = Date.now();
    this.#deaths = [...this.#deaths.filter((time) => now - time < RESTART_WINDOW_MS), now];
    const isHopeless = this.#deaths.length > this.#mostRestarts;
    const reason = `the worker process ${how}`;
    process.stderr.write(
      `llama-worker: ${reason}, ${isHopeless ? "too often to start another" : "another is started"}\n`,
    );
    this.#tell(isHopeless ? `${reason}, ${this.#deaths.length} times within a minute` : reason);
    if (isHopeless) return this.#finish();
    try {
      this.#startWorker();
    } catch (error) {
      this.#tell(`no worker process could be started: ${reasonOf(error)}`);
      this.#finish();
    }
  }

  /**
   * Once for all, and once more for each request that its sender has marked and still waits for.
   *
   * @param {string} reason
   */
  #tell(reason) {
    const lastWords = this.#lastWords.trim();
    const details = lastWords ? `${reason}; its last words: ${lastWords}` : reason;
    for (const mark of [{}, ...this.#open.takeAll()])
      this.#port.postMessage({ type: "error", error: CRASHED_TEXT, code: WORKER_CRASHED, details, ...mark });
  }

  #finish() {
    this.#detach();
    this.#port.close?.();
    this.#end();
  }
}

/** @param {any} error */
function reasonOf(error) {
  return error?.message ?? String(error);
}

/**
 * Waits for what a process that has ended wrote before. Not for long: a process of its own may have inherited the stream.
 *
 * @param {any} stream
 */
async function lastRead(stream) {
  if (!stream || stream.readableEnded || stream.destroyed) return;
  const tooLong = AbortSignal.timeout(LONGEST_READ_MS);
  await once(stream, "end", { signal: tooLong }).catch(() => {});
}

module.exports = { WorkerSupervisor };
