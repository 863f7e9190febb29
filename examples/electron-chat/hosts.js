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
 * @property {() => Promise<void>} stop frees the model
 */

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
    post: (message) => port2.postMessage(message),
    stop: async () => {
      isStopping = true;
      child.kill();
      await ended;
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
  return { post: (message) => worker.handleMessage(message), stop: () => worker.cleanup() };
}

module.exports = { mainProcessHost, utilityProcessHost };
