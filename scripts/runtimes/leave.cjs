/** Leaves in the middle of an answer, by `process.exit`. */

"use strict";

const { LlamaWorker, builtInModelPath } = require("llama-worker");

(async () => {
  const worker = new LlamaWorker();
  await worker.init({ gpu: false, numThreads: 1 });
  await worker.loadModel(builtInModelPath);
  await worker.createContext({ threads: 1 });
  await worker.generate("Tell me a long story.", {}, () => process.exit(7));
})();
