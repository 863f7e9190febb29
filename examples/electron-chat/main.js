/**
 * Electron's main process: opens the window, starts a host for the model, and carries messages between the two.
 *
 * Reads no message. `--in-process` runs the model in this process instead of a utility process.
 */

const path = require("node:path");
const { BrowserWindow, app, ipcMain } = require("electron");
const { builtInModelPath } = require("llama-worker");
const { mainProcessHost, utilityProcessHost } = require("./hosts");

/** The one name under which messages of the contract travel, in both directions. */
const CHANNEL = "llama-worker";
/** An engine needs one step of its evaluation to notice that it should end. */
const LONGEST_STOP_MS = 3000;

/** @type {import("./hosts").Host | undefined} */
let host;

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
    // Only our own page may speak to the model, not a frame that it shows.
    if (event.sender === window.webContents) started.post(message);
  });
  // A page that loads again starts over; what was generated for the one before has nobody to read it.
  window.webContents.on("did-start-loading", () => started.post({ type: "abort" }));
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
  setTimeout(exit, LONGEST_STOP_MS);
  stopping.stop().then(exit, exit);
});
