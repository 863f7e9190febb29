/**
 * What was asked of the addon and is not answered yet: settles promises, calls callbacks, watches signals.
 *
 * Holds no worker of its own: only a request under way does, through its `abort`, so that an abandoned idle worker can be
 * collected and one that still works cannot. While anything is under way the process stays alive; the addon itself never
 * keeps it.
 */

"use strict";

const { callNative, errorFromEvent } = require("./errors");
const { throwLater } = require("./throw-later");

/** The longest interval there is, about 24 days: the timer exists to be pending, not to fire. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;

/**
 * @typedef {object} Hooks
 * @property {(value: any) => void} resolve
 * @property {(reason: unknown) => void} reject
 * @property {() => boolean} abort whether there was anything left to abort
 * @property {(piece: import("./binding").Piece) => void} [onPiece]
 * @property {(progress: number) => void} [onProgress]
 * @property {(event: import("./binding").DownloadEvent) => void} [onDownload]
 * @property {AbortSignal | null} [signal]
 * @property {boolean} [resolvesOnSignal] whether an aborted signal ends it with what there is, and not with the signal's reason
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
  /** What came after that. */
  #unheard = /** @type {import("./binding").Piece[]} */ ([]);

  /** @param {{ stack?: string }} site where the call was made */
  constructor(site) {
    this.#site = site;
  }

  /** @param {Hooks} hooks */
  begin(hooks) {
    this.#hooks = hooks;
    this.#call(() => hooks.signal?.addEventListener("abort", this.#onSignal, { once: true }));
  }

  /**
   * Ends the request early; it is still answered by its final event. Does nothing before the start and after the end.
   *
   * @returns {boolean} whether there was anything to end
   */
  abort() {
    return this.#hooks?.abort() ?? false;
  }

  /**
   * @param {() => number} call into the addon; its failures lead to where this request was made
   * @returns {number}
   */
  send(call) {
    return callNative(call, this.#site);
  }

  /** @param {import("./binding").Piece} piece */
  piece(piece) {
    if (this.#withdrawn) this.#unheard.push(piece);
    else this.#call(() => this.#hooks?.onPiece?.(piece));
  }

  /** @param {number} progress */
  progress(progress) {
    if (!this.#withdrawn) this.#call(() => this.#hooks?.onProgress?.(progress));
  }

  /** @param {import("./binding").DownloadEvent} event */
  download(event) {
    if (!this.#withdrawn) this.#call(() => this.#hooks?.onDownload?.(event));
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
    if (isFinished) for (const piece of this.#unheard) this.#call(() => hooks.onPiece?.(piece));
    if (this.#thrown) hooks.reject(this.#thrown.reason);
    else if (this.#withdrawn && !isFinished) hooks.reject(this.#withdrawn.reason);
    else if (event.type === "error") hooks.reject(errorFromEvent(event, this.#site));
    else hooks.resolve(event.value);
  }

  #onSignal = () => {
    const { signal, resolvesOnSignal } = this.#hooks ?? {};
    const reason = signal?.reason;
    if (this.abort() && !resolvesOnSignal) this.#withdrawn = { reason };
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

/** All requests under way of one worker, and the turns that they are part of. */
class Requests {
  /** @type {Map<number, Request>} */
  #underWay = new Map();
  /** @type {Set<import("./turn").Turn>} */
  #turns = new Set();
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
    this.#keepProcess();
  }

  /** @param {import("./turn").Turn} turn which may do other things than wait for the addon */
  addTurn(turn) {
    this.#turns.add(turn);
    this.#keepProcess();
  }

  /** @param {import("./turn").Turn} turn */
  removeTurn(turn) {
    this.#turns.delete(turn);
    this.#letProcessEnd();
  }

  /**
   * Ends the turns that the addon knows nothing of at the moment.
   *
   * @returns {boolean} whether there were any
   */
  interruptTurns() {
    return [...this.#turns].map((turn) => turn.interrupt()).includes(true);
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
      case "reasoning":
      case "tokens":
      case "toolCall":
        return this.#underWay.get(event.id)?.piece(event);
      case "progress":
        return this.#underWay.get(event.id)?.progress(event.progress);
      case "download":
        return this.#underWay.get(event.id)?.download(event);
      default:
        return this.#remove(event.id)?.finish(event);
    }
  }

  /** @param {number} id */
  #remove(id) {
    const request = this.#underWay.get(id);
    this.#underWay.delete(id);
    this.#letProcessEnd();
    return request;
  }

  #keepProcess() {
    this.#keepAlive ??= setInterval(() => {}, LONGEST_INTERVAL_MS);
  }

  #letProcessEnd() {
    if (this.#underWay.size > 0 || this.#turns.size > 0) return;
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
  }
}

module.exports = { Request, Requests };
