/**
 * Carries the messages of the contract: takes them in from a port of any of the three kinds, lets them out to the port and
 * to `onMessage`.
 *
 * Reads no message: what they mean, and every answer but the greeting, is the addon's.
 */

"use strict";

const { invalidOption } = require("./options");
const { throwLater } = require("./throw-later");

/** The first message on every port; part of the contract, word for word. */
const READY = "LlamaWorker inicializado e pronto para receber comandos";

/** @param {any} port */
function checkPort(port) {
  const listens = typeof port?.addEventListener === "function" || typeof port?.on === "function";
  if (listens && typeof port.postMessage === "function") return;
  throw invalidOption("port", port, "a MessagePort (something with `postMessage`, and `addEventListener` or `on`)");
}

/**
 * Web and worker_threads ports have `addEventListener` and hand out events; worker_threads' own `on` would hand out the bare
 * value. Electron's MessagePortMain has only `on`, and hands out events as well.
 *
 * @param {any} port
 * @param {{ onMessage: (message: unknown) => void, onClose: () => void }} listeners
 * @returns {() => void} takes the listeners off again: whoever keeps a port that is done with must not keep the worker
 */
function listenTo(port, { onMessage, onClose }) {
  const isTarget = typeof port.addEventListener === "function";
  const listeners = {
    message: (/** @type {{ data: unknown }} */ event) => onMessage(event.data),
    close: () => onClose(),
  };
  const listen = isTarget ? port.addEventListener : port.on;
  for (const [type, listener] of Object.entries(listeners)) listen.call(port, type, listener);
  return () => {
    const forget = isTarget ? port.removeEventListener : (port.off ?? port.removeListener);
    for (const [type, listener] of Object.entries(listeners)) forget?.call(port, type, listener);
  };
}

/**
 * Listens to a port, and greets whoever is at its other end.
 *
 * @param {any} port
 * @param {{ onMessage: (message: unknown) => void, onClose: () => void }} listeners
 */
function attachPort(port, listeners) {
  const detach = listenTo(port, listeners);
  try {
    port.start?.();
    port.postMessage(READY);
  } catch (thrown) {
    detach();
    throw thrown;
  }
  return detach;
}

/** Where outbound messages go. Holds the worker weakly: the addon holds the outlet, and must not keep the worker alive. */
class Outlet {
  /** @type {any} */
  #port;
  /** @type {WeakRef<{ onMessage?: ((message: any) => void) | null }> | undefined} */
  #worker;

  /**
   * @param {{ onMessage?: ((message: any) => void) | null }} worker
   * @param {any} port
   */
  open(worker, port) {
    this.#worker = new WeakRef(worker);
    this.#port = port;
  }

  /** @param {unknown} message */
  deliver(message) {
    throwLater(() => this.#port?.postMessage(message));
    throwLater(() => this.#worker?.deref()?.onMessage?.(message));
  }

  closePort() {
    const port = this.forgetPort();
    port?.close?.();
  }

  forgetPort() {
    const port = this.#port;
    this.#port = undefined;
    return port;
  }
}

module.exports = { Outlet, attachPort, checkPort, listenTo };
