/**
 * The inside of the emulated utility process: `process.parentPort`, whose messages bring ports along.
 */

"use strict";

require("./old-node");
const { EventEmitter } = require("node:events");

class Port extends EventEmitter {
  constructor(/** @type {number} */ number) {
    super();
    this.number = number;
    /** @type {unknown[] | undefined} */
    this.early = [];
  }

  deliver(/** @type {unknown} */ data) {
    if (this.early) this.early.push(data);
    else this.emit("message", { data, ports: [] });
  }

  start() {
    const early = this.early || [];
    this.early = undefined;
    for (const data of early) this.emit("message", { data, ports: [] });
  }

  postMessage(/** @type {unknown} */ data) {
    if (process.connected && process.send) process.send({ port: this.number, data });
  }

  close() {
    this.emit("close");
  }
}

/** @type {Map<number, Port>} */
const ports = new Map();
const parentPort = new EventEmitter();
Object.defineProperty(process, "parentPort", { value: parentPort });

process.on("message", (/** @type {any} */ { message, ports: numbers, port, data, closed }) => {
  if (closed !== undefined) return ports.get(closed)?.close();
  if (port !== undefined) return ports.get(port)?.deliver(data);
  for (const number of numbers) ports.set(number, new Port(number));
  parentPort.emit("message", {
    data: message,
    ports: numbers.map((/** @type {number} */ number) => ports.get(number)),
  });
});
// The app is gone.
process.on("disconnect", () => process.exit(0));

const script = process.argv[2];
process.argv.splice(1, 1);
require(script);
