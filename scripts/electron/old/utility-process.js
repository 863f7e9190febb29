/**
 * `utilityProcess` as Electron documents it, over a forked process: the Electron of these tests is older than it.
 *
 * Of ports only what the documentation says is played: the child gets objects with `on`, `start`, `postMessage` and `close`, whose events have
 * `data`; nothing comes before `start`. What runs over them is the real MessagePortMain on this side.
 */

"use strict";

const { fork } = require("node:child_process");
const { EventEmitter } = require("node:events");
const path = require("node:path");

class UtilityProcess extends EventEmitter {
  constructor(/** @type {string} */ script, /** @type {string[]} */ args) {
    super();
    const environment = { ...process.env, ELECTRON_RUN_AS_NODE: "1" };
    this.child = fork(path.join(__dirname, "utility-child.js"), [script, ...args], { env: environment });
    /** @type {any[]} */
    this.ports = [];
    this.child.on("message", (/** @type {any} */ { port, data }) => this.ports[port].postMessage(data));
    this.child.on("exit", (code) => this.emit("exit", code === null ? 15 : code));
  }

  get pid() {
    return this.child.pid;
  }

  /**
   * @param {unknown} message
   * @param {any[]} [transfer]
   */
  postMessage(message, transfer = []) {
    const numbers = transfer.map((port) => {
      const number = this.ports.push(port) - 1;
      port.on("message", (/** @type {any} */ { data }) => {
        if (this.child.connected) this.child.send({ port: number, data });
      });
      port.on("close", () => {
        if (this.child.connected) this.child.send({ closed: number });
      });
      port.start();
      return number;
    });
    this.child.send({ message, ports: numbers });
  }

  kill() {
    return this.child.kill();
  }
}

module.exports = {
  fork: (/** @type {string} */ script, /** @type {string[]} */ args = []) => new UtilityProcess(script, args),
};
