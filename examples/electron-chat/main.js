/**
 * Electron's main process: opens the window, starts a host for the model, and carries messages between the two.
 *
 * Reads no message, but for the one that names a model to download: where that goes is not for the page to say. `--in-process` runs the model in this
 * process instead of a utility process.
 */

const path = require("node:path");
const { BrowserWindow, app, ipcMain } = require("electron");
const { builtInModelPath } = require("llama-worker");
const { mainProcessHost, utilityProcessHost } = require("./hosts");

/** The one name under which messages of the contract travel, in both directions. */
const CHANNEL = "llama-worker";

/** @type {import("./hosts").Host | undefined} */
let host;

/**
 * The working directory of a packed app may be any; its own data have a folder. Address of the hub and token stay the environment's.
 *
 * @param {any} message of the page
 */
function forWorker(message) {
  if (message?.type !== "download_model") return message;
  return { ...message, options: { dir: path.join(app.getPath("userData"), "models") } };
}

/**
 * Only our own page may speak to the model, not a frame that it shows. Before Electron 17 an event names no frame.
 *
 * @param {import("electron").IpcMainEvent} event
 * @param {BrowserWindow} window
 */
function isOurPage({ sender, senderFrame }, window) {
  if (sender !== window.webContents) return false;
  return senderFrame === undefined || senderFrame === window.webContents.mainFrame;
}

function openWindow() {
  const window = new BrowserWindow({
    width: 720,
    height: 640,
    webPreferences: {
      preload: path.join(__dirname, "preload.js"),
      contextIsolation: true,
      nodeIntegration: false,
      sandbox: true,
    },
  });
  const start = process.argv.includes("--in-process") ? mainProcessHost : utilityProcessHost;
  const started = start((message) => {
    // A window that is closing has nobody left to tell.
    if (!window.isDestroyed()) window.webContents.send(CHANNEL, message);
  });
  host = started;
  ipcMain.on(CHANNEL, (event, message) => {
    if (isOurPage(event, window)) started.post(forWorker(message));
  });
  // A page that loads again starts over; what was generated or downloaded for the one before has nobody to hear of it.
  window.webContents.on("did-start-loading", () => {
    started.post({ type: "abort" });
    started.post({ type: "abort_download" });
  });
  window.loadFile(path.join(__dirname, "index.html"), { query: { model: process.env.LLM_MODEL || builtInModelPath } });
}

app.whenReady().then(openWindow);

app.on("window-all-closed", () => app.quit());

app.on("before-quit", (event) => {
  if (!host) return;
  event.preventDefault();
  const stopping = host;
  host = undefined;
  const exit = () => app.exit(0);
  stopping.stop().then(exit, exit);
});
