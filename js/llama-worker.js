/**
 * The public class: the native one, with promises, async iteration, AbortSignals and ports around it.
 *
 * Checks no model option, knows no message of the contract and keeps no order: the addon does. Every method returns at once,
 * and the asynchronous ones never throw, they reject.
 */

"use strict";

const { NativeLlamaWorker, nativeDirectory } = require("./binding");
const { callNative, callSite } = require("./errors");
const { Chunks, Generation } = require("./generation");
const { checkFunction, checkSignal, invalidOption, optionsObject } = require("./options");
const { Outlet, attachPort, checkPort } = require("./port");
const { Request, Requests } = require("./requests");

const ignore = () => {};

class LlamaWorker extends NativeLlamaWorker {
  #outlet;
  #requests;
  /** @type {((message: any) => void) | null} */
  #onMessage = null;
  /** @type {Promise<void> | undefined} */
  #cleanup;
  #detachPort = ignore;

  /** @param {import("../index").MessagePortLike | null} [port] */
  constructor(port) {
    if (port !== undefined && port !== null) checkPort(port);
    const outlet = new Outlet();
    const requests = new Requests(outlet);
    super(eventReceiver(requests), nativeDirectory);
    this.#outlet = outlet;
    this.#requests = requests;
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
    return this.#promise(this.init, () => ({ start: () => super.init(optionsObject("init", options)) }));
  }

  /**
   * @param {string | import("../index").LoadModelOptions} model
   * @param {Omit<import("../index").LoadModelOptions, "modelPath">} [options]
   */
  loadModel(model, options) {
    return this.#promise(this.loadModel, () => {
      const loading = modelOptions(model, options);
      const { onProgress, signal } = loading;
      checkFunction("onProgress", onProgress);
      checkSignal(signal);
      const path = typeof model === "string" ? model : undefined;
      return { start: () => super.loadModel(loading, path), onProgress, signal };
    });
  }

  /** @param {import("../index").CreateContextOptions} [options] */
  createContext(options) {
    return this.#promise(this.createContext, () => ({
      start: () => super.createContext(optionsObject("createContext", options)),
    }));
  }

  /**
   * @param {string | readonly import("../index").ChatMessage[]} input
   * @param {import("../index").GenerateOptions} [options]
   * @param {(chunk: string) => void} [onToken]
   */
  generate(input, options, onToken) {
    const request = new Request(callSite(this.generate));
    const chunks = new Chunks();
    const start = (/** @type {(result: any) => void} */ resolve, /** @type {(reason: unknown) => void} */ reject) => {
      const given = optionsObject("generate", options);
      const { signal, onTextChunk } = given;
      checkFunction("onTextChunk", onTextChunk);
      checkFunction("onToken", onToken);
      checkSignal(signal);
      const onText = (/** @type {string} */ text) => {
        chunks.push(text);
        onTextChunk?.(text);
        onToken?.(text);
      };
      this.#begin(request, () => super.generate(input, given), { resolve, reject, onText, signal });
    };
    return new Generation(start, chunks, request);
  }

  abort() {
    return this.#abortNative();
  }

  cleanup() {
    this.#cleanup ??= this.#stop();
    return this.#cleanup;
  }

  /** @param {unknown} message */
  handleMessage(message) {
    const request = new Request(callSite(this.handleMessage));
    const id = callNative(() => super.handleMessage(message));
    if (id > 0) this.#track(id, request, { resolve: ignore, reject: ignore });
    // Answered already: the answer is delivered in the next turn of the event loop, which must still come.
    else setImmediate(() => this);
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
        this.#abortNative();
      },
    });
  }

  /** @returns {Promise<void>} */
  async #stop() {
    try {
      await this.#promise(this.cleanup, () => ({ start: () => super.cleanup() }));
    } finally {
      this.#detachPort();
      this.#outlet.closePort();
    }
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
    this.#track(callNative(start), request, hooks);
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
    return this.#cleanup ? false : super.abort(id);
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
