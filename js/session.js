/**
 * A conversation of its own over the worker's context.
 *
 * What was said is the addon's; here are promises, the order of calls, and the end of a session that nobody keeps any more. A session keeps
 * its worker, and only a worker that is kept is told that a session was collected.
 */

"use strict";

const { LlamaError, callSite } = require("./errors");
const { Chunks, Generation } = require("./generation");
const { Line } = require("./line");
const { copied, generateOptions } = require("./options");
const { Request } = require("./requests");
const { Turn } = require("./turn");

const ignore = () => {};

/** The addon's number for the session that every context has. */
const DEFAULT_SESSION = 0;

/** After these there is nothing left to dispose of. */
const GONE = new Set([
  "SESSION_DISPOSED",
  "CONTEXT_CREATION_FAILED",
  "CONTEXT_NOT_CREATED",
  "MODEL_NOT_LOADED",
  "NOT_INITIALIZED",
  "WORKER_STOPPED",
]);

/**
 * What a session may ask of its worker.
 *
 * @typedef {object} Engine
 * @property {(request: Request, method: string, args: unknown[], hooks: Omit<import("./requests").Hooks, "abort">) => void} begin
 *   sends a request to the addon; throws when it is refused at once
 * @property {import("./requests").Requests} requests
 * @property {() => number} contextNumber counts the contexts
 * @property {() => Promise<void> | undefined} replacement settles when the model or context asked for last is there or has failed
 */

/**
 * A session as its calls hold it. While one of them is under way the session is not collected, whether or not its `ChatSession` is kept.
 */
class Seat {
  #engine;
  #id;
  line = new Line();
  isDisposed = false;

  /**
   * @param {Engine} engine
   * @param {number} id
   */
  constructor(engine, id) {
    this.#engine = engine;
    this.#id = id;
    if (id !== DEFAULT_SESSION) abandoned.register(this, { engine: new WeakRef(engine), id }, this);
  }

  get isDefault() {
    return this.#id === DEFAULT_SESSION;
  }

  get requests() {
    return this.#engine.requests;
  }

  contextNumber() {
    return this.#engine.contextNumber();
  }

  replacement() {
    return this.#engine.replacement();
  }

  /** Refuses what is asked of a session that was disposed of. */
  check() {
    if (this.isDisposed) throw new LlamaError("SESSION_DISPOSED", "the session was disposed");
  }

  /**
   * @param {Request} request
   * @param {"generate" | "preload"} method one that takes the session last
   * @param {[any, any]} args
   * @param {Omit<import("./requests").Hooks, "abort">} hooks
   */
  ask(request, method, args, hooks) {
    this.#engine.begin(request, method, [...args, this.#id], hooks);
  }

  /**
   * @param {Request} request
   * @param {"sessionHistory" | "setSessionHistory" | "resetSession" | "countSessionTokens" | "disposeSession"} method one that takes
   *   the session first
   * @param {unknown[]} args
   * @returns {Promise<any>}
   */
  request(request, method, args = []) {
    return new Promise((resolve, reject) =>
      this.#engine.begin(request, method, [this.#id, ...args], { resolve, reject }),
    );
  }

  /**
   * Nobody is interested in the answer.
   *
   * @param {"abandonToolCalls"} method
   */
  tell(method) {
    tellEngine(this.#engine, method, this.#id);
  }

  /** From now on the addon is not told when nobody keeps the session. */
  close() {
    this.isDisposed = true;
    abandoned.unregister(this);
  }
}

/**
 * @param {Engine} engine
 * @param {string} method
 * @param {number} id
 */
function tellEngine(engine, method, id) {
  try {
    engine.begin(new Request({}), method, [id], { resolve: ignore, reject: ignore });
  } catch {
    // The worker was cleaned up, and the session with it.
  }
}

/** @type {FinalizationRegistry<{ engine: WeakRef<Engine>, id: number }>} */
const abandoned = new FinalizationRegistry(({ engine, id }) => {
  const present = engine.deref();
  if (present) tellEngine(present, "disposeSession", id);
});

/**
 * @param {Seat} seat
 * @param {Function} method the public method that was called
 * @param {import("./turn").Call} call
 */
function startGeneration(seat, method, call) {
  const turn = new Turn(seat, callSite(method));
  const chunks = new Chunks();
  const start = (/** @type {(result: any) => void} */ resolve, /** @type {(reason: unknown) => void} */ reject) => {
    turn.run(call, (text) => chunks.push(text)).then(resolve, reject);
  };
  return new Generation(start, chunks, turn);
}

class ChatSession {
  #seat;
  /** @type {Promise<void> | undefined} */
  #disposal;

  /** @param {Seat} seat */
  constructor(seat) {
    this.#seat = seat;
  }

  /**
   * @param {string | readonly import("../index").ChatMessage[]} input
   * @param {import("../index").GenerateOptions | null} [options]
   * @param {((chunk: string) => void) | null} [onToken]
   */
  generate(input, options, onToken) {
    return startGeneration(this.#seat, this.generate, { input, options, onText: onToken });
  }

  /** @returns {Promise<any>} */
  async history() {
    const request = new Request(callSite(this.history));
    this.#seat.check();
    return this.#inOrder(request, "sessionHistory", [], this.#seat.line.enterToLook());
  }

  /**
   * @param {readonly import("../index").ChatMessage[]} messages
   * @returns {Promise<void>}
   */
  async setHistory(messages) {
    const request = new Request(callSite(this.setHistory));
    this.#seat.check();
    await this.#inOrder(request, "setSessionHistory", [messages]);
  }

  /** @returns {Promise<void>} */
  async reset() {
    const request = new Request(callSite(this.reset));
    this.#seat.check();
    await this.#inOrder(request, "resetSession", []);
  }

  /**
   * @param {string} prompt
   * @param {import("../index").GenerateOptions | null} [options]
   * @returns {Promise<void>}
   */
  async preload(prompt, options) {
    const turn = new Turn(this.#seat, callSite(this.preload), "preload");
    await turn.run({ input: prompt, options }, ignore);
  }

  /**
   * @param {string | null} [prompt]
   * @param {import("../index").GenerateOptions | null} [options]
   * @returns {Promise<number>}
   */
  async countTokens(prompt, options) {
    const request = new Request(callSite(this.countTokens));
    this.#seat.check();
    const args = [prompt, generateOptions("countTokens", options)];
    return this.#inOrder(request, "countSessionTokens", args, this.#seat.line.enterToLook());
  }

  /** @returns {Promise<void>} */
  dispose() {
    this.#disposal ??= this.#dispose(new Request(callSite(this.dispose)));
    return this.#disposal;
  }

  /**
   * Waits for turns that call tools: what they are about must not change under them.
   *
   * @param {Request} request
   * @param {"sessionHistory" | "countSessionTokens" | "setSessionHistory" | "resetSession" | "disposeSession"} method
   * @param {unknown[]} args
   * @param {import("./line").Place} [place]
   */
  async #inOrder(request, method, args, place = this.#seat.line.enter()) {
    try {
      const kept = place.turn ? args.map((argument) => copied(argument)) : args;
      if (place.turn) await place.turn;
      const answer = this.#seat.request(request, method, kept);
      place.leave();
      return await answer;
    } finally {
      place.leave();
    }
  }

  /** @param {Request} request */
  async #dispose(request) {
    if (this.#seat.isDefault) return;
    this.#seat.close();
    try {
      await this.#inOrder(request, "disposeSession", []);
    } catch (error) {
      if (!GONE.has(/** @type {LlamaError} */ (error)?.code)) throw error;
    }
  }
}

// Where the symbol is missing nobody can write `await using` either.
if (Symbol.asyncDispose) {
  Object.defineProperty(ChatSession.prototype, Symbol.asyncDispose, {
    value: /** @this {ChatSession} */ function asyncDispose() {
      return this.dispose();
    },
    writable: true,
    configurable: true,
  });
}

module.exports = { ChatSession, DEFAULT_SESSION, Seat, startGeneration };
