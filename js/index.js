/**
 * The package's face for `require`. Only names things; `index.mjs` is the same face for `import`.
 */

"use strict";

const path = require("node:path");
const { unpackedPath } = require("./asar");
const { LlamaError } = require("./errors");
const { LlamaWorker } = require("./llama-worker");

// Property by property: Node finds the names for `import { … }` by reading this file, not by running it.
module.exports.LlamaWorker = LlamaWorker;
module.exports.LlamaError = LlamaError;
module.exports.builtInModelPath = unpackedPath(path.join(__dirname, "..", "models", "tiny-chat", "tiny-chat.gguf"));
