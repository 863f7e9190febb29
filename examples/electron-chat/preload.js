/**
 * The bridge: what the page may ask of the model, as functions, and what it hears, as callbacks. Nothing else of Electron reaches the page.
 *
 * One file without imports, as a sandboxed preload script has to be. Every `on…` returns a function that takes the listener off again.
 */

const { contextBridge, ipcRenderer } = require("electron");

const CHANNEL = "llama-worker";

/** @type {Map<string, Set<(message: any) => void>>} by the type of message */
const listeners = new Map();

ipcRenderer.on(CHANNEL, (_event, message) => {
  const interested = listeners.get(message?.type);
  if (interested) for (const listener of interested) listener(message);
});

/** @param {object} message */
function post(message) {
  ipcRenderer.send(CHANNEL, message);
}

/**
 * @param {string} type
 * @param {(message: any) => any} select what of the message the listener gets
 */
function subscription(type, select) {
  return (/** @type {(value: any) => void} */ callback) => {
    const listener = (/** @type {any} */ message) => callback(select(message));
    const interested = listeners.get(type) || new Set();
    listeners.set(type, interested.add(listener));
    return () => {
      interested.delete(listener);
    };
  };
}

/** @type {import("./bridge").LlmBridge} */
const llm = {
  init: (options) => post({ type: "init", options }),
  loadModel: (options) => post({ type: "load_model", options }),
  createContext: (options) => post({ type: "create_context", options }),
  generateCompletion: (prompt, options) => post({ type: "generate_completion", prompt, options }),
  generateChatCompletion: (messages, options) => post({ type: "generate_chat_completion", messages, options }),
  downloadModel: (modelId, requestId) => post({ type: "download_model", modelId, requestId }),
  abort: () => post({ type: "abort" }),
  abortDownload: () => post({ type: "abort_download" }),
  onModelLoaded: subscription("model_loaded", ({ modelInfo }) => modelInfo),
  onProgress: subscription("progress", ({ operation, progress }) => ({ operation, progress })),
  onCompletionChunk: subscription("completion_chunk", ({ chunk }) => chunk),
  onCompletionDone: subscription("completion_done", ({ fullText, stats }) => ({ fullText, stats })),
  onError: subscription("error", ({ error, details, code }) => ({ error, details, code })),
};

contextBridge.exposeInMainWorld("electronAPI", { llm });
