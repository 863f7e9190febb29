/**
 * One call of `generate`, or of `preload`, which is one that says nothing, from its place in the session's order to its result: a round in the addon, and with tools that have handlers as
 * many more as it takes.
 *
 * While a round runs, the addon and its request decide how it ends. A turn decides only where the addon knows nothing of it: while it waits
 * for others, and while tools run.
 */

"use strict";

const { LlamaError, placedAt } = require("./errors");
const { Listeners } = require("./listeners");
const { checkSignal, copied, generateOptions, switchOption, toolRoundsOption } = require("./options");
const { Request } = require("./requests");
const { Rounds } = require("./rounds");
const { Toolbox, runToolLoop } = require("./tools");

/** Why a turn ended early; without a `failure` it resolves with what there is. */
class Interruption {
  /** @param {{ reason: unknown }} [failure] */
  constructor(failure) {
    this.failure = failure;
  }
}

/**
 * @typedef {object} Call
 * @property {any} input
 * @property {unknown} options
 * @property {((chunk: string) => void) | null} [onText] the third argument
 */

/**
 * @typedef {object} Task what a call asks for
 * @property {any} input
 * @property {Record<string, any>} options
 * @property {Listeners} listeners
 * @property {AbortSignal | undefined} signal
 * @property {boolean} resolvesOnSignal
 * @property {Toolbox | undefined} toolbox
 * @property {number} maxRounds
 */

class Turn {
  #site;
  #method;
  /** @type {import("./session").Seat | undefined} set while the turn is under way: it leads to the worker */
  #seat;
  #rounds = new Rounds();
  /** @type {Request | undefined} the round under way */
  #request;
  /** @type {Interruption | undefined} */
  #interruption;
  #wake = () => {};
  /** @type {AbortController | undefined} what the running tools listen to */
  #toolsController;
  #hasToolLoop = false;
  /** Whether the conversation now ends with calls that this turn has to answer. */
  #hasOpenCalls = false;
  /** @type {number | undefined} the context that the first round ran in */
  #context;

  /**
   * @param {import("./session").Seat} seat
   * @param {{ stack?: string }} site where the call was made
   * @param {"generate" | "preload"} [method]
   */
  constructor(seat, site, method = "generate") {
    this.#seat = seat;
    this.#site = site;
    this.#method = method;
  }

  /**
   * @param {Call} call
   * @param {(text: string) => void} hearText hears all text, before the callbacks do
   * @returns {Promise<any>} the result
   */
  async run(call, hearText) {
    const seat = /** @type {import("./session").Seat} */ (this.#seat);
    try {
      const task = this.#check(seat, call, hearText);
      seat.requests.addTurn(this);
      return await this.#runInOrder(seat, task);
    } finally {
      seat.requests.removeTurn(this);
      // Whoever keeps the generation must not keep the model loaded.
      this.#seat = undefined;
      this.#site = {};
    }
  }

  /**
   * @param {import("./session").Seat} seat
   * @param {Call} call
   * @param {(text: string) => void} hearText
   */
  #check(seat, call, hearText) {
    try {
      seat.check();
      return this.#method === "preload" ? preloadTaskOf(call) : generateTaskOf(call, hearText);
    } catch (error) {
      // Ours are made so deep in here that their own stack does not reach the caller.
      throw error instanceof LlamaError ? placedAt(this.#site, error) : error;
    }
  }

  /** Ends the turn early, wherever it is. */
  abort() {
    this.#request?.abort();
    this.interrupt();
  }

  /**
   * Ends the turn where the addon does not: a round that runs goes on, but no other follows.
   *
   * @returns {boolean} whether there was anything to end
   */
  interrupt() {
    if (!this.#seat || this.#interruption) return false;
    this.#endEarly();
    return this.#hasToolLoop || !this.#request;
  }

  /** @param {{ reason: unknown }} [failure] */
  #endEarly(failure) {
    this.#interruption ??= new Interruption(failure);
    this.#toolsController?.abort(failure?.reason);
    this.#wake();
  }

  /**
   * @param {import("./session").Seat} seat
   * @param {Task} task
   */
  async #runInOrder(seat, task) {
    const place = seat.line.enter();
    try {
      await this.#converse(seat, place, task);
      const result = this.#rounds.total();
      if (result.stopReason === "abort") this.#takeBack(seat);
      return result;
    } catch (thrown) {
      this.#takeBack(seat);
      if (!(thrown instanceof Interruption)) throw thrown;
      if (thrown.failure) throw thrown.failure.reason;
      return this.#rounds.total("abort");
    } finally {
      place.leave();
    }
  }

  /**
   * Everything up to the first round happens before this returns, unless the turn has to wait for others.
   *
   * @param {import("./session").Seat} seat
   * @param {import("./line").Place} place
   * @param {Task} task
   */
  async #converse(seat, place, task) {
    const { input, options, toolbox } = place.turn || task.toolbox ? kept(task) : task;
    if (place.turn) await this.#outside(task, place.turn);
    if (toolbox) place.stay();
    if (toolbox) return this.#useTools(seat, task, { input, options, toolbox });
    const round = this.#round(seat, task, input, options);
    place.leave();
    await round;
  }

  /**
   * @param {import("./session").Seat} seat
   * @param {Task} task
   * @param {{ input: any, options: Record<string, any>, toolbox: Toolbox }} start
   */
  async #useTools(seat, task, start) {
    this.#hasToolLoop = true;
    const { maxRounds } = task;
    const isOver = await runToolLoop({
      ...start,
      maxRounds,
      generate: (input, options) =>
        this.#rounds.length > 0
          ? this.#laterRound(seat, task, input, options)
          : this.#round(seat, task, input, options),
      runTools: async (calls) => {
        const controller = new AbortController();
        this.#toolsController = controller;
        const texts = await this.#outside(task, () => start.toolbox.run(calls, controller.signal));
        this.#rounds.addToolResults(texts);
        return texts;
      },
    });
    if (isOver) return;
    const message = `the model still calls tools after ${maxRounds} rounds, the limit that \`maxToolRounds\` sets`;
    throw this.#error("TOOL_LOOP_LIMIT", message);
  }

  /**
   * @param {import("../index").ErrorCode} code
   * @param {string} message
   */
  #error(code, message) {
    return placedAt(this.#site, new LlamaError(code, message));
  }

  /**
   * The results of tools belong to the conversation in which they were called, so another context must be neither there nor on its way.
   *
   * @param {import("./session").Seat} seat
   * @param {Task} task
   * @param {any} input
   * @param {Record<string, any>} options
   */
  async #laterRound(seat, task, input, options) {
    let settled;
    while (settled !== seat.replacement()) {
      settled = seat.replacement();
      await this.#outside(task, settled);
    }
    if (seat.contextNumber() !== this.#context) {
      throw this.#error("SESSION_DISPOSED", "the session ended while tools ran: the context was replaced");
    }
    return this.#round(seat, task, input, options);
  }

  /**
   * @param {import("./session").Seat} seat
   * @param {Task} task
   * @param {any} input
   * @param {Record<string, any>} options
   */
  async #round(seat, task, input, options) {
    this.#checkEnd(task);
    const { listeners, signal, resolvesOnSignal } = task;
    const result = await new Promise((resolve, reject) => {
      const request = new Request(this.#site);
      const done = (/** @type {any} */ value) => {
        // At once: an answer that came after it may be that of another context.
        this.#context ??= seat.contextNumber();
        resolve(value);
      };
      const onPiece = (/** @type {import("./binding").Piece} */ piece) => listeners.hear(piece);
      const hooks = { resolve: done, reject, onPiece, signal, resolvesOnSignal };
      seat.ask(
        request,
        this.#method,
        [input, listeners.wantTokens ? { ...options, streamTokens: true } : options],
        hooks,
      );
      this.#request = request;
    }).finally(() => {
      this.#request = undefined;
    });
    this.#rounds.add(result);
    if (result.stopReason !== "abort") this.#hasOpenCalls = result.stopReason === "toolCalls";
    listeners.endRound();
    return result;
  }

  /**
   * Throws the interruption when there is one.
   *
   * @param {Task} task
   */
  #checkEnd({ signal, resolvesOnSignal }) {
    if (signal?.aborted) this.#endEarly(resolvesOnSignal ? undefined : { reason: signal.reason });
    if (this.#interruption) throw this.#interruption;
  }

  /**
   * Waits for something else than the addon. Throws the interruption when there is one.
   *
   * @template T
   * @param {Task} task
   * @param {Promise<T> | (() => Promise<T>) | undefined} work a function is not called when it is too late
   * @returns {Promise<T>}
   */
  async #outside(task, work) {
    this.#checkEnd(task);
    const { signal, resolvesOnSignal } = task;
    const onSignal = () => this.#endEarly(resolvesOnSignal ? undefined : { reason: signal?.reason });
    const interrupted = new Promise((/** @type {(value: void) => void} */ resolve) => {
      this.#wake = resolve;
    });
    signal?.addEventListener("abort", onSignal, { once: true });
    try {
      const value = await Promise.race([typeof work === "function" ? work() : work, interrupted]);
      if (this.#interruption) throw this.#interruption;
      return /** @type {T} */ (value);
    } finally {
      signal?.removeEventListener("abort", onSignal);
    }
  }

  /**
   * The conversation is as it was before the turn. Nobody waits for it: what is asked of the session later comes after it.
   *
   * @param {import("./session").Seat} seat
   */
  #takeBack(seat) {
    if (!this.#hasToolLoop || !this.#hasOpenCalls || seat.contextNumber() !== this.#context) return;
    seat.tell("abandonToolCalls");
  }
}

/**
 * @param {Call} call
 * @param {(text: string) => void} hearText
 * @returns {Task}
 */
function generateTaskOf({ input, options: given, onText }, hearText) {
  const options = generateOptions("generate", given);
  const listeners = new Listeners(options, hearText, onText);
  checkSignal(options.signal);
  return {
    input,
    options,
    listeners,
    signal: options.signal,
    resolvesOnSignal: switchOption("stopOnAbortSignal", options.stopOnAbortSignal),
    toolbox: Toolbox.of(options),
    maxRounds: toolRoundsOption(options.maxToolRounds),
  };
}

/**
 * @param {Call} call
 * @returns {Task}
 */
function preloadTaskOf({ input, options: given }) {
  const options = generateOptions("preload", given);
  checkSignal(options.signal);
  return {
    input,
    options,
    listeners: new Listeners({}, () => {}),
    signal: options.signal,
    resolvesOnSignal: false,
    toolbox: undefined,
    maxRounds: 1,
  };
}

/**
 * What is needed later, safe from changes.
 *
 * @param {Task} task
 */
function kept({ input, options, toolbox }) {
  return { input: copied(input), options: copied(options), toolbox };
}

module.exports = { Turn };
