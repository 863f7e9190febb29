/**
 * The page: a conversation, a field for what to ask and one for a model to download, over nothing but `window.electronAPI.llm`.
 */

const { llm } = window.electronAPI;

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
function element(id) {
  return /** @type {T} */ (document.getElementById(id));
}

const conversation = element("conversation");
const status = element("status");
/** @type {HTMLInputElement} */
const prompt = element("prompt");
/** @type {HTMLButtonElement} */
const send = element("send");
/** @type {HTMLButtonElement} */
const stop = element("stop");
/** @type {HTMLInputElement} */
const model = element("model");
/** @type {HTMLButtonElement} */
const download = element("download");
/** @type {HTMLButtonElement} */
const stopDownload = element("stop-download");
/** @type {HTMLElement | undefined} the answer that is being written */
let answer;

/** @param {boolean} isBusy */
function setBusy(isBusy) {
  prompt.disabled = isBusy;
  send.disabled = isBusy;
  stop.disabled = !isBusy;
}

/** @param {"user" | "assistant"} role */
function paragraph(role) {
  const added = document.createElement("p");
  added.className = role;
  conversation.append(added);
  return added;
}

element("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = prompt.value.trim();
  if (text === "") return;
  paragraph("user").textContent = text;
  answer = paragraph("assistant");
  prompt.value = "";
  setBusy(true);
  llm.generateCompletion(text);
});

stop.addEventListener("click", () => {
  llm.abort();
  setBusy(false);
});

/** @param {boolean} isDownloading */
function setDownloading(isDownloading) {
  download.disabled = isDownloading;
  stopDownload.disabled = !isDownloading;
}

element("get").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = model.value.trim();
  if (name === "") return;
  setDownloading(true);
  llm.downloadModel(name);
});

stopDownload.addEventListener("click", () => llm.abortDownload());

llm.onProgress(({ operation, progress }) => {
  const what = operation === "load" ? "Loading the model" : "Downloading";
  status.textContent = `${what}: ${Math.round(progress * 100)} %`;
});
llm.onDownloadComplete(({ filePath }) => {
  setDownloading(false);
  // After the answer that is being written, if there is one.
  llm.loadModel({ modelPath: filePath });
  llm.createContext();
});
llm.onDownloadAborted(() => {
  status.textContent = "The download was stopped; the next one goes on there";
  setDownloading(false);
});
llm.onDownloadError(() => setDownloading(false));
llm.onModelLoaded(({ name }) => {
  status.textContent = name;
  setBusy(false);
});
llm.onCompletionChunk((chunk) => {
  if (answer) answer.textContent += chunk;
});
llm.onCompletionDone(({ stats }) => {
  status.textContent = `${stats.completionTokens} tokens, ${Math.round(stats.tokensPerSecond)} a second`;
  setBusy(false);
});
llm.onError(({ error, details }) => {
  status.textContent = details ? `${error}: ${details}` : error;
  setBusy(false);
});

// Steps take effect in the order they were asked for; nothing has to be waited for.
llm.init({ locale: "en" });
llm.loadModel({ modelPath: new URLSearchParams(location.search).get("model") ?? "" });
llm.createContext();
