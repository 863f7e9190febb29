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
/** @type {Map<string, { hasBegun: boolean }[]>} the downloads that each `abort_download` was for, by its `requestId` */
const aborts = new Map();
let marksSoFar = 0;
/** Of this page alone: what is still told to the one before finds nobody here. */
const PAGE = Math.random().toString(36).slice(2);

ipcRenderer.on(CHANNEL, (_event, message) => {
  if (message?.code === "WORKER_STOPPED" && message.requestId === undefined) endDownloads(message);
  tell(ofDownload(message));
});

/** @param {any} message */
function tell(message) {
  const interested = listeners.get(message?.type);
  if (interested) for (const listener of interested) listener(message);
}

/**
 * They end with the worker process, which has nothing to say to them any more.
 *
 * @param {any} message
 */
function endDownloads(message) {
  const ended = [...downloads.values()];
  downloads.clear();
  for (const { of } of ended) tell({ ...message, ...of, type: "download_error" });
}

/** @param {object} message */
function post(message) {
  ipcRenderer.send(CHANNEL, message);
}

/** @param {string} what @returns {string} a `requestId` that no other message of any page has */
function markOf(what) {
  marksSoFar += 1;
  return `${what} ${marksSoFar} of page ${PAGE}`;
}

/**
 * A message for each model, so that the answers tell which one they are about.
 *
 * @param {string} modelId
 * @param {string} [requestId]
 */
function download(modelId, requestId) {
  const mark = markOf("download");
  downloads.set(mark, { of: { modelId, requestId }, hasBegun: false });
  post({ type: "download_model", modelId, requestId: mark });
}

function abortDownload() {
  const mark = markOf("abort");
  aborts.set(mark, [...downloads.values()]);
  post({ type: "abort_download", requestId: mark });
}

/**
 * Says of which download a message tells. One that was aborted begins with an `info` and ends with another, without anything that says how it ended; one
 * that had not begun when the abort was answered says the latter only.
 *
 * @param {any} message
 */
function ofDownload(message) {
  const mark = message?.requestId;
  for (const aborted of aborts.get(mark) || []) aborted.hasBegun = true;
  aborts.delete(mark);
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
  abortDownload,
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
