/**
 * Which marked requests have been sent and not yet answered to the end, as far as their messages tell.
 *
 * Errs on one side: what may still be open counts as open. An answer too many to a mark that nobody waits for any more does no harm, a missing one does.
 */

"use strict";

/** More than this at a time, and the oldest are forgotten: nobody waits for so many. */
const MOST_OPEN = 1000;

/** These are answered by others' messages, or by nothing. */
const NEVER_OPEN = ["abort", "abort_download", "tool_result"];
const ENDS = ["error", "completion_done", "model_loaded"];

/** @typedef {{ requestId?: unknown }} Mark as it stands in messages; empty where there is none */

class OpenRequests {
  /** @type {Map<unknown, { type: unknown, infos: number, files: number, isShared: boolean }>} by `requestId` */
  #open = new Map();

  /**
   * @param {any} message
   * @returns {Mark}
   */
  begin(message) {
    const requestId = message?.requestId;
    if (!["string", "number", "boolean"].includes(typeof requestId)) return {};
    const known = this.#open.get(requestId);
    if (NEVER_OPEN.includes(message.type)) {
      if (known) known.isShared = true;
    } else {
      // The newest last.
      this.#open.delete(requestId);
      this.#open.set(requestId, {
        type: message.type,
        infos: 0,
        files: filesOf(message),
        isShared: known !== undefined,
      });
      if (this.#open.size > MOST_OPEN) this.#open.delete(this.#open.keys().next().value);
    }
    return { requestId };
  }

  /** @param {Mark} mark */
  end({ requestId }) {
    this.#open.delete(requestId);
  }

  /** @param {any} message what the worker says */
  answered(message) {
    const request = this.#open.get(message?.requestId);
    // Of several with one mark nobody can tell which one an answer ends.
    if (!request || request.isShared) return;
    if (message.type === "info") request.infos += 1;
    if (message.type === "download_complete") request.files -= 1;
    // Steps say something when they begin, and when they end; downloads do for each file.
    const isDone = request.type === "download_model" ? request.files <= 0 : request.infos > 1;
    if (isDone || ENDS.includes(message.type)) this.#open.delete(message.requestId);
  }

  /**
   * Forgets all of them.
   *
   * @returns {Mark[]}
   */
  takeAll() {
    const marks = [...this.#open.keys()].map((requestId) => ({ requestId }));
    this.#open.clear();
    return marks;
  }
}

/** @param {any} message */
function filesOf({ type, modelId, modelIds }) {
  const models = modelIds ?? modelId;
  return type === "download_model" && Array.isArray(models) ? models.length : 1;
}

module.exports = { OpenRequests };
