/**
 * What a call of `downloadModel` asks for, and what its caller is told on the way.
 *
 * Reads no name, no address and no option of the download itself: the addon does.
 */

"use strict";

const { checkFunction, checkSignal, optionsObject } = require("./options");

/**
 * @param {unknown} models one or several, as the caller names them
 * @param {unknown} options
 * @param {(models: unknown, options: Record<string, any>) => number} start the call into the addon
 * @returns {{ start: () => number } & Partial<import("./requests").Hooks>}
 */
function downloadCall(models, options, start) {
  const given = optionsObject("downloadModel", options);
  const { onProgress, signal } = given;
  checkFunction("onProgress", onProgress);
  checkSignal(signal);
  // The caller's list may change while its files are fetched.
  const asked = Array.isArray(models) ? [...models] : models;
  return {
    start: () => start(asked, given),
    signal,
    onDownload: onProgress ? (event) => onProgress(told(asked, event)) : undefined,
  };
}

/**
 * @param {unknown} models
 * @param {import("./binding").DownloadEvent} event
 * @returns {import("../index").DownloadProgress}
 */
function told(models, { index, file, downloadedBytes, totalBytes, progress }) {
  const modelId = Array.isArray(models) ? models[index] : models;
  return { modelId, file, downloadedBytes, totalBytes, progress };
}

module.exports = { downloadCall };
