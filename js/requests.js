/**
 * What was asked of the addon and is not answered yet: settles promises, calls callbacks, watches signals.
 *
 * Holds no worker of its own: only a request under way does, through its `abort`, so that an abandoned idle worker can be
 * collected and one that still works cannot. While anything is under way the process stays alive; the addon itself never
 * keeps it.
 */

"use strict";

const { errorFromEvent } = require("./errors");
const { throwLater } = require("./throw-later");

/** The longest interval there is, about 24 days: the timer exists to be pending, not to fire. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;

/**
 * @typedef {object} Hooks
 * @property {(value: any) => void} resolve
 * @property {(reason: unknown) => void} reject
 * @property {() => boolean} abort whether there was anything left to abort
 * @property {(text: string) => void} [onText]
 * @property {(progress: number) => void} [onProgress]
 * @property {AbortSignal | null} [signal]
 */

/** One call, from its start to its final event. */
class Request {
  #site;
  /** @type {Hooks | undefined} set while the request is under way */
  #hooks;
  /** @type {{ reason: unknown } | undefined} what one of the caller's functions threw */
  #thrown;
  /** @type {{ reason: unknown } | undefined} why the caller's signal ended it early */
  #withdrawn;
  /** Text that came after that. */
  #unheard = "";

  /** @param {{ stack?: string }} site where the call was made */
  constructor(site) {
    this.#site = site;
  }

  /** @param {Hooks} hooks */
  begin(hooks) {
    this.#hooks = hooks;
    this.#call(() => hooks.signal?.addEventListener("abort", this.#onSignal, { once: true }));
  }

  /** Ends the request early; it is still answered by its final event. Does nothing before the start and after the end. */
  abort() {
    this.#hooks?.abort();
  }

  /** @param {string} text */
  text(text) {
    if (this.#withdrawn) this.#unheard += text;
    else this.#call(() => this.#hooks?.onText?.(text));
  }

  /** @param {number} progress */
  progress(progress) {
    if (!this.#withdrawn) this.#call(() => this.#hooks?.onProgress?.(progress));
  }

  /** @param {import("./binding").FinalEvent} event */
  finish(event) {
    const hooks = /** @type {Hooks} */ (this.#hooks);
    this.#settle(event, hooks);
    // Both lead to the worker, and whoever keeps the promise must not keep the model loaded.
    this.#hooks = undefined;
    this.#site = {};
    // Last, because it is not ours and may throw.
    hooks.signal?.removeEventListener("abort", this.#onSignal);
  }

  /**
   * What the addon finished before it saw the abort has happened, so it is told: an answer is part of the conversation then.
   *
   * @param {import("./binding").FinalEvent} event
   * @param {Hooks} hooks
   */
  #settle(event, hooks) {
    const isFinished = event.type === "done" && event.value?.stopReason !== "abort";
    if (isFinished && this.#unheard) this.#call(() => hooks.onText?.(this.#unheard));
    if (this.#thrown) hooks.reject(this.#thrown.reason);
    else if (this.#withdrawn && !isFinished) hooks.reject(this.#withdrawn.reason);
    else if (event.type === "error") hooks.reject(errorFromEvent(event, this.#site));
    else hooks.resolve(event.value);
  }

  #onSignal = () => {
    const reason = this.#hooks?.signal?.reason;
    if (this.#hooks?.abort()) this.#withdrawn = { reason };
  };

  /** @param {() => void} callback the caller's; what it throws ends the request */
  #call(callback) {
    if (this.#thrown) return;
    try {
      callback();
    } catch (reason) {
      this.#thrown = { reason };
      this.abort();
    }
  }
}

/** All requests under way of one worker. */
class Requests {
  /** @type {Map<number, Request>} */
  #underWay = new Map();
  /** @type {NodeJS.Timeout | undefined} */
  #keepAlive;
  #outlet;

  /** @param {{ deliver(message: unknown): void }} outlet where messages of the contract go */
  constructor(outlet) {
    this.#outlet = outlet;
  }

  /**
   * @param {number} id
   * @param {Request} request
   */
  add(id, request) {
    this.#underWay.set(id, request);
    this.#keepAlive ??= setInterval(() => {}, LONGEST_INTERVAL_MS);
  }

  /** @param {import("./binding").NativeEvent[]} events */
  receive(events) {
    for (const event of events) throwLater(() => this.#receiveOne(event));
  }

  /** @param {import("./binding").NativeEvent} event */
  #receiveOne(event) {
    switch (event.type) {
      case "message":
        return this.#outlet.deliver(event.message);
      case "text":
        return this.#underWay.get(event.id)?.text(event.text);
      case "progress":
        return this.#underWay.get(event.id)?.progress(event.progress);
      default:
        return this.#remove(event.id)?.finish(event);
    }
  }

  /** @param {number} id */
  #remove(id) {
    const request = this.#underWay.get(id);
    this.#underWay.delete(id);
    if (this.#underWay.size === 0) {
      clearInterval(this.#keepAlive);
      this.#keepAlive = undefined;
    }
    return request;
  }
}

module.exports = { Request, Requests };
