/**
 * The package's types against those of the current Electron: its ports and its utility process fit. `tsc` is the test. Never runs.
 */

import { MessageChannelMain, utilityProcess } from "electron";
import { LlamaWorker } from "../../index";
import { WorkerSupervisor } from "../../supervisor";

const { port1, port2 } = new MessageChannelMain();
new LlamaWorker(port1);
new WorkerSupervisor(port2, {
  start() {
    const child = utilityProcess.fork("worker.js", [], { stdio: "pipe" });
    const channel = new MessageChannelMain();
    child.postMessage({ type: "port" }, [channel.port1]);
    return { child, port: channel.port2 };
  },
});
