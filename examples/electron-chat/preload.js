/**
 * The bridge: what the page may ask of the model, as functions, and what it hears, as callbacks. Nothing else of Electron reaches the page.
 *
 * One file without imports, as a sandboxed preload script has to be. Every `on…` returns a function that takes the listener off again.
 */

const { contextBridge, ipcRenderer } = require("electron");

const CHANNEL = "llama-worker";

/** @type {Map<string, Set<(message: any) => void>>} by the type of message */
const listeners = new Map();

/** @type {Map<string, { of: import("./bridge").DownloadOf, hasBegun: boolean }>} downloads that have not ended, by the `requestId` of their messages */
const downloads = new Map();
let downloadsSoFar = 0;
/** Of this page alone: what is still told to the one before finds nobody here. */
const PAGE = Math.random().toString(36).slice(2);

ipcRenderer.on(CHANNEL, (_event, message) => {
  const told = ofDownload(message);
  const interested = listeners.get(told?.type);
  if (interested) for (const listener of interested) listener(told);
});

/** @param {object} message */
function post(message) {
  ipcRenderer.send(CHANNEL, message);
}

/**
 * A message for each model, so that the answers tell which one they are about.
 *
 * @param {string} modelId
 * @param {string} [requestId]
 */
function download(modelId, requestId) {
  downloadsSoFar += 1;
  const mark = `download ${downloadsSoFar} of page ${PAGE}`;
  downloads.set(mark, { of: { modelId, requestId }, hasBegun: false });
  post({ type: "download_model", modelId, requestId: mark });
}

/**
 * Says of which download a message tells. One that was aborted begins with an `info` and ends with another, without anything that says how it ended.
 *
 * @param {any} message
 */
function ofDownload(message) {
  const mark = message?.requestId;
  const download = downloads.get(mark);
  if (!download) return message;
  const { type } = message;
  const isAborted = type === "info" && download.hasBegun;
  download.hasBegun = true;
  if (isAborted || type === "download_complete" || type === "error") downloads.delete(mark);
  return { ...message, ...download.of, type: isAborted ? "download_aborted" : type };
}

/**
 * @param {string[]} types
 * @param {(message: any) => any} select what of the message the listener gets
 */
function subscription(types, select) {
  return (/** @type {(value: any) => void} */ callback) => {
    const listener = (/** @type {any} */ message) => callback(select(message));
    for (const type of types) listeners.set(type, (listeners.get(type) || new Set()).add(listener));
    return () => {
      for (const type of types) listeners.get(type)?.delete(listener);
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
  downloadModel: (modelId, requestId) => {
    for (const id of typeof modelId === "string" ? [modelId] : modelId) download(id, requestId);
  },
  abort: () => post({ type: "abort" }),
  abortDownload: () => post({ type: "abort_download" }),
  onModelLoaded: subscription(["model_loaded"], ({ modelInfo }) => modelInfo),
  onProgress: subscription(["progress", "download_progress"], ({ type, operation, progress, ...more }) =>
    type === "progress"
      ? { operation, progress }
      : {
          operation: "download",
          progress,
          modelId: more.modelId,
          requestId: more.requestId,
          downloadedBytes: more.downloadedBytes,
          totalBytes: more.totalBytes,
        },
  ),
  onCompletionChunk: subscription(["completion_chunk"], ({ chunk }) => chunk),
  onCompletionDone: subscription(["completion_done"], ({ fullText, stats }) => ({ fullText, stats })),
  onDownloadComplete: subscription(["download_complete"], ({ modelId, requestId, filePath }) => ({
    modelId,
    requestId,
    filePath,
  })),
  onDownloadError: subscription(["download_error"], ({ modelId, requestId, error, code }) => ({
    modelId,
    requestId,
    error,
    code,
  })),
  onDownloadAborted: subscription(["download_aborted"], ({ modelId, requestId }) => ({ modelId, requestId })),
  onError: subscription(["error"], ({ error, details, code }) => ({ error, details, code })),
};

contextBridge.exposeInMainWorld("electronAPI", { llm });
