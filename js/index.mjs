/**
 * The package's face for `import`. Has nothing of its own: one class, however it is imported.
 */

import facade from "./index.js";

export const { LlamaWorker, LlamaError, builtInModelPath } = facade;
export default facade;
