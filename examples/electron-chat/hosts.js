/**
 * Where the model runs: in a utility process, which is the better place, or in the main process.
 *
 * Both speak the same messages. A crash or a full processor in the utility process leaves the app alone; the main process needs no second
 * process and shares its fate.
 */

const electron = require("electron");

/**
 * @typedef {object} Host
 * @property {(message: any) => void} post to the worker
 * @property {() => Promise<void>} stop frees the model, or gives up after some seconds
 */

/** An engine needs one step of its evaluation to notice that it should end; the worker process gives itself three seconds for it. */
const LONGEST_STOP_MS = 5000;
/** A process that is killed may be held by a driver; the app ends all the same. */
const LONGEST_KILL_MS = 1000;

/**
 * @param {Promise<unknown>} promise
 * @param {number} ms
 * @returns {Promise<boolean>} whether it was settled by then
 */
function isInTime(promise, ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    const settled = () => {
      clearTimeout(timer);
      resolve(true);
    };
    promise.then(settled, settled);
  });
}

/**
 * @param {(message: any) => void} onMessage what the worker says
 * @returns {Host}
 */
function utilityProcessHost(onMessage) {
  const { port1, port2 } = new electron.MessageChannelMain();
  const child = electron.utilityProcess.fork(require.resolve("llama-worker/worker"), [], {
    serviceName: "llama-worker",
  });
  const ended = new Promise((resolve) => {
    child.once("exit", resolve);
  });
  let isStopping = false;
  child.once("exit", (code) => {
    if (!isStopping)
      onMessage({ type: "error", error: `the worker process ended with code ${code}`, code: "WORKER_STOPPED" });
  });
  // The first message brings the port along; everything else goes over it.
  child.postMessage({ type: "port" }, [port1]);
  port2.on("message", ({ data }) => onMessage(data));
  port2.start();
  return {
    post: (message) => {
      if (!isStopping) port2.postMessage(message);
    },
    stop: async () => {
      isStopping = true;
      // To the process, not over the port: it frees the model and ends by itself.
      child.postMessage({ type: "stop" });
      if (await isInTime(ended, LONGEST_STOP_MS)) return;
      child.kill();
      await isInTime(ended, LONGEST_KILL_MS);
    },
  };
}

/**
 * @param {(message: any) => void} onMessage what the worker says
 * @returns {Host}
 */
function mainProcessHost(onMessage) {
  const { LlamaWorker } = require("llama-worker");
  const worker = new LlamaWorker();
  worker.onMessage = onMessage;
  let isStopping = false;
  return {
    post: (message) => {
      if (!isStopping) worker.handleMessage(message);
    },
    stop: async () => {
      isStopping = true;
      await isInTime(worker.cleanup(), LONGEST_STOP_MS);
    },
  };
}

module.exports = { mainProcessHost, utilityProcessHost };
