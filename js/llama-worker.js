/**
 * The public class: promises, sessions, AbortSignals and ports around the native one, which nobody else gets hold of.
 *
 * Checks no model option and knows no message of the contract: the addon does. Every method returns at once, and the asynchronous ones never
 * throw, they reject.
 */

"use strict";

const { createNative } = require("./binding");
const { LlamaError, callNative, callSite } = require("./errors");
const { checkFunction, checkSignal, copied, invalidOption, optionsObject } = require("./options");
const { Outlet, attachPort, checkPort } = require("./port");
const { Request, Requests } = require("./requests");
const { ChatSession, DEFAULT_SESSION, Seat, startGeneration } = require("./session");
const { throwLater } = require("./throw-later");

const ignore = () => {};

/** Messages of the contract that act at once. */
const AT_ONCE = new Set(["abort", "abort_download", "download_model", "tool_result"]);

/** Those that an abort ends. */
const GENERATIONS = new Set(["generate_completion", "generate_chat_completion"]);

/**
 * A message of the contract that waits for its turn.
 *
 * @typedef {{ message: any, request: Request, isGeneration: boolean, isAborted?: boolean }} WaitingMessage
 */

class LlamaWorker {
  #native;
  #outlet;
  #requests;
  /** @type {((message: any) => void) | null} */
  #onMessage = null;
  /** @type {Promise<void> | undefined} */
  #cleanup;
  #detachPort = ignore;
  #engine;
  /** The default session. */
  #seat;
  /** @type {ChatSession | undefined} */
  #session;
  #lastSession = DEFAULT_SESSION;
  #contextNumber = 0;
  /** @type {Promise<void> | undefined} */
  #replacement;
  /** @type {Set<WaitingMessage>} */
  #waiting = new Set();

  /** @param {import("../index").MessagePortLike | null} [port] */
  constructor(port) {
    if (port !== undefined && port !== null) checkPort(port);
    const outlet = new Outlet();
    const requests = new Requests(outlet);
    this.#native = createNative(eventReceiver(requests));
    this.#outlet = outlet;
    this.#requests = requests;
    this.#engine = this.#newEngine();
    this.#seat = new Seat(this.#engine, DEFAULT_SESSION);
    outlet.open(this, port);
    if (port) this.#attach(port);
  }

  get onMessage() {
    return this.#onMessage;
  }

  set onMessage(listener) {
    checkFunction("onMessage", listener);
    this.#onMessage = listener ?? null;
  }

  /** @param {import("../index").InitOptions} [options] */
  init(options) {
    return this.#promise(this.init, () => ({ start: () => this.#native.init(optionsObject("init", options)) }));
  }

  /** @returns {any} */
  get session() {
    this.#session ??= new ChatSession(this.#seat);
    return this.#session;
  }

  /**
   * @param {string | import("../index").LoadModelOptions} model
   * @param {Omit<import("../index").LoadModelOptions, "modelPath">} [options]
   */
  loadModel(model, options) {
    return this.#replace(this.loadModel, () => {
      const loading = modelOptions(model, options);
      const { onProgress, signal } = loading;
      checkFunction("onProgress", onProgress);
      checkSignal(signal);
      const path = typeof model === "string" ? model : undefined;
      return { start: () => this.#native.loadModel(loading, path), onProgress, signal };
    });
  }

  /**
   * @param {any} models
   * @param {import("../index").DownloadOptions | null} [options]
   */
  downloadModel(models, options) {
    return this.#download(this.downloadModel, models, options);
  }

  /**
   * @param {any} models
   * @param {import("../index").DownloadOptions | null} [options]
   * @returns {Promise<any>}
   */
  static async downloadModel(models, options) {
    const worker = new LlamaWorker();
    try {
      return await worker.#download(LlamaWorker.downloadModel, models, options);
    } finally {
      await worker.cleanup();
    }
  }

  /** @param {import("../index").CreateContextOptions} [options] */
  createContext(options) {
    return this.#replace(this.createContext, () => ({
      start: () => this.#native.createContext(optionsObject("createContext", options)),
    }));
  }

  /**
   * @param {import("../index").CreateSessionOptions | null} [options]
   * @returns {Promise<any>}
   */
  async createSession(options) {
    const id = this.#lastSession + 1;
    this.#lastSession = id;
    await this.#promise(this.createSession, () => ({
      start: () => this.#native.createSession(id, optionsObject("createSession", options)),
    }));
    return new ChatSession(new Seat(this.#engine, id));
  }

  /**
   * @param {string | readonly import("../index").ChatMessage[]} input
   * @param {import("../index").GenerateOptions | null} [options]
   * @param {((chunk: string) => void) | null} [onToken]
   */
  generate(input, options, onToken) {
    return startGeneration(this.#seat, this.generate, { input, options, onText: onToken });
  }

  /**
   * @param {string} text
   * @param {import("../index").TokenizeOptions | null} [options]
   * @returns {Promise<number[]>}
   */
  tokenize(text, options) {
    return this.#promise(this.tokenize, () => ({
      start: () => this.#native.tokenize(text, optionsObject("tokenize", options)),
    }));
  }

  /**
   * @param {readonly number[]} tokens
   * @param {import("../index").TokenizeOptions | null} [options]
   * @returns {Promise<string>}
   */
  detokenize(tokens, options) {
    return this.#promise(this.detokenize, () => ({
      start: () => this.#native.detokenize(tokens, optionsObject("detokenize", options)),
    }));
  }

  /**
   * @param {string} text
   * @param {import("../index").TokenizeOptions | null} [options]
   * @returns {Promise<number>}
   */
  async countTokens(text, options) {
    const tokens = await this.#promise(this.countTokens, () => ({
      start: () => this.#native.tokenize(text, optionsObject("countTokens", options)),
    }));
    return tokens.length;
  }

  /**
   * @param {readonly import("../index").ChatMessage[]} messages
   * @param {import("../index").ApplyChatTemplateOptions | null} [options]
   * @returns {Promise<import("../index").RenderedPrompt>}
   */
  applyChatTemplate(messages, options) {
    return this.#promise(this.applyChatTemplate, () => {
      checkMessages(messages);
      return { start: () => this.#native.applyChatTemplate(messages, optionsObject("applyChatTemplate", options)) };
    });
  }

  abort() {
    const wasRunning = this.#abortNative();
    return this.#interrupt() || wasRunning;
  }

  cleanup() {
    this.#cleanup ??= this.#stop();
    return this.#cleanup;
  }

  /** @param {unknown} message */
  handleMessage(message) {
    const request = new Request(callSite(this.handleMessage));
    const { type } = /** @type {any} */ (message ?? {});
    if (this.#cleanup || AT_ONCE.has(type) || this.#seat.line.isEmpty) this.#send(message, request);
    else this.#sendInTurn({ message: copied(message), request, isGeneration: GENERATIONS.has(type) });
    if (type === "abort") this.#interrupt();
  }

  /**
   * @param {unknown} message
   * @param {Request} request
   * @param {boolean} [isAborted]
   */
  #send(message, request, isAborted) {
    const id = callNative(() => this.#native.handleMessage(message, isAborted));
    if (id > 0) this.#track(id, request, { resolve: ignore, reject: ignore });
    // The answer is delivered in the next turn of the event loop, which must still come.
    else setImmediate(() => this);
  }

  /**
   * The addon knows nothing of a turn whose tools run here, so what is said to the default session after it waits here.
   *
   * @param {WaitingMessage} waiting
   */
  #sendInTurn(waiting) {
    const place = this.#seat.line.enter();
    this.#waiting.add(waiting);
    void place.turn?.then(() => {
      throwLater(() => this.#sendWaiting(waiting));
      place.leave();
    });
  }

  /** @param {WaitingMessage} waiting */
  #sendWaiting(waiting) {
    if (!this.#waiting.delete(waiting)) return;
    // Told with the message: aborted after it, a short answer could have been given whole.
    this.#send(waiting.message, waiting.request, waiting.isAborted);
  }

  /**
   * Ends what the addon knows nothing of at the moment.
   *
   * @returns {boolean} whether there was anything
   */
  #interrupt() {
    const messages = [...this.#waiting].filter(({ isGeneration, isAborted }) => isGeneration && !isAborted);
    for (const waiting of messages) waiting.isAborted = true;
    return this.#requests.interruptTurns() || messages.length > 0;
  }

  /** @param {any} port */
  #attach(port) {
    this.#detachPort = attachPort(port, {
      onMessage: (message) => {
        // A message that was on its way when the worker was cleaned up has nobody to answer it.
        if (!this.#cleanup) this.handleMessage(message);
      },
      onClose: () => {
        this.#detachPort();
        this.#outlet.forgetPort();
        this.abort();
        this.#abortDownloads();
      },
    });
  }

  #abortDownloads() {
    if (!this.#cleanup) this.#native.abortDownloads();
  }

  /**
   * @param {Function} method
   * @param {unknown} models
   * @param {unknown} options
   * @returns {Promise<any>}
   */
  async #download(method, models, options) {
    // Not with the package: few programs download.
    const { downloadCall } = require("./download");
    const { paths } = await this.#promise(method, () =>
      downloadCall(models, options, (...args) => this.#native.downloadModel(...args)),
    );
    return Array.isArray(models) ? paths : paths[0];
  }

  /** @returns {Promise<void>} */
  async #stop() {
    try {
      // The addon tells how they ended.
      for (const waiting of this.#waiting) throwLater(() => this.#sendWaiting(waiting));
      const stopped = this.#promise(this.cleanup, () => ({ start: () => this.#native.cleanup() }));
      this.#interrupt();
      await stopped;
    } finally {
      try {
        this.#detachPort();
      } finally {
        this.#outlet.closePort();
      }
    }
  }

  /** Made outside the constructor, as the receiver of events is. */
  #newEngine() {
    return {
      begin: (
        /** @type {Request} */ request,
        /** @type {string} */ method,
        /** @type {any[]} */ args,
        /** @type {any} */ hooks,
      ) => this.#begin(request, () => this.#native[method](...args), hooks),
      requests: this.#requests,
      contextNumber: () => this.#contextNumber,
      replacement: () => this.#replacement,
    };
  }

  /**
   * Loads or creates what conversations need, in place of the one before. Turns in which tools run learn of it here.
   *
   * @param {Function} method
   * @param {() => { start: () => number } & Partial<import("./requests").Hooks>} prepare
   */
  #replace(method, prepare) {
    return new Promise((resolve, reject) => {
      const request = new Request(callSite(method));
      const { start, ...hooks } = prepare();
      let settled = ignore;
      const succeed = (/** @type {any} */ value) => {
        this.#contextNumber += 1;
        settled();
        resolve(value);
      };
      const fail = (/** @type {unknown} */ reason) => {
        settled();
        reject(reason);
      };
      this.#begin(request, start, { ...hooks, resolve: succeed, reject: fail });
      this.#replacement = new Promise((settle) => {
        settled = () => settle(undefined);
      });
    });
  }

  /**
   * @param {Function} method the public method that was called
   * @param {() => { start: () => number } & Partial<import("./requests").Hooks>} prepare
   * @returns {Promise<any>} whatever `prepare` or the addon throws is a rejection
   */
  #promise(method, prepare) {
    const request = new Request(callSite(method));
    return new Promise((resolve, reject) => {
      const { start, ...hooks } = prepare();
      this.#begin(request, start, { ...hooks, resolve, reject });
    });
  }

  /**
   * @param {Request} request
   * @param {() => number} start the call into the addon
   * @param {Omit<import("./requests").Hooks, "abort">} hooks
   */
  #begin(request, start, hooks) {
    if (hooks.signal?.aborted) throw hooks.signal.reason;
    this.#track(request.send(start), request, hooks);
  }

  /**
   * @param {number} id
   * @param {Request} request
   * @param {Omit<import("./requests").Hooks, "abort">} hooks
   */
  #track(id, request, hooks) {
    request.begin({ ...hooks, abort: () => this.#abortNative(id) });
    this.#requests.add(id, request);
  }

  /**
   * @param {number} [id] without it every generation
   * @returns {boolean} whether there was anything to abort
   */
  #abortNative(id) {
    // A worker that was cleaned up has aborted everything already.
    return this.#cleanup ? false : this.#native.abort(id);
  }
}

// Where the symbol is missing nobody can write `await using` either.
if (Symbol.asyncDispose) {
  Object.defineProperty(LlamaWorker.prototype, Symbol.asyncDispose, {
    value: /** @this {LlamaWorker} */ function asyncDispose() {
      return this.cleanup();
    },
    writable: true,
    configurable: true,
  });
}

/**
 * Made outside the constructor on purpose: the addon holds this function, and a closure made in there would hold `this`.
 *
 * @param {Requests} requests
 */
function eventReceiver(requests) {
  return (/** @type {import("./binding").NativeEvent[]} */ events) => requests.receive(events);
}

/**
 * Everywhere else a prompt may stand in their place; the rest is checked by the addon.
 *
 * @param {unknown} messages
 */
function checkMessages(messages) {
  if (typeof messages !== "string") return;
  throw new LlamaError("INVALID_MESSAGES", "`applyChatTemplate` takes an array of messages, and was given a string");
}

/**
 * @param {unknown} model
 * @param {unknown} options
 * @returns {Record<string, any>}
 */
function modelOptions(model, options) {
  if (typeof model === "string") return optionsObject("loadModel", options);
  if (isOptions(model)) return optionsObject("loadModel", model);
  throw invalidOption("modelPath", model, "the path of a GGUF file, as a string");
}

/**
 * The two other forms in which Node's own functions take a path are no options.
 *
 * @param {unknown} value
 */
function isOptions(value) {
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value) && !(value instanceof URL);
}

module.exports = { LlamaWorker };
