/**
 * Says where a file of this package lies on disk when an Electron app is packed into an asar archive.
 *
 * Only rewrites paths; unpacking itself is configured in the app's packager.
 */

"use strict";

const path = require("node:path");

const ARCHIVE = `.asar${path.sep}`;

/**
 * llama.cpp and the system's loader open files themselves and cannot look into an archive, so they get the unpacked copy.
 *
 * @param {string} file an absolute path
 */
function unpackedPath(file) {
  return file.replace(ARCHIVE, `.asar.unpacked${path.sep}`);
}

module.exports = { unpackedPath };
