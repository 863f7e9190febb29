/** Keeps a worker process alive. `require("llama-worker/supervisor")`. */

import type { MessagePortLike } from "./index";

/** A started worker process, and the port by which it speaks the message contract. */
export interface StartedWorker {
  child: {
    /** `exit` with the exit code, and a signal where there are any; `error` when the process could not be started, which then has no `pid`. */
    // biome-ignore lint/suspicious/noExplicitAny: Node.js and Electron agree on nothing narrower
    on(type: "exit" | "error", listener: (...args: any[]) => void): unknown;
    pid?: number | undefined;
    kill(signal?: string | number): unknown;
    /** What it says last is the reason that is told; without it there is only the exit code. */
    stderr?: NodeJS.ReadableStream | null;
  };
  port: MessagePortLike;
}

/** Options of {@link WorkerSupervisor}. */
export interface WorkerSupervisorOptions {
  /**
   * Starts a worker process: called at once, and after each crash.
   * @default `child_process.fork` of `llama-worker/worker`
   */
  start?: (() => StartedWorker) | null;
  /**
   * How often within a minute another process is started.
   * @default 5
   */
  maxRestarts?: number | null;
}

/**
 * Starts a worker process and connects it with a port. When the process dies, the reason goes to standard error, the port gets an `error` with the code
 * `WORKER_CRASHED` and the process's last words in `details`, the same once more for each request under way that has a `requestId`, and then the greeting
 * of a new process, to which everything has to be said from `init` on: what was sent before the error is lost.
 */
export class WorkerSupervisor {
  /** `port`: what comes from it goes to the worker, what the worker says goes to it. */
  constructor(port: MessagePortLike, options?: WorkerSupervisorOptions | null);
  /** Resolves when the worker has ended for good: it was stopped, ended by itself, or died too often. The port is closed then. */
  readonly ended: Promise<void>;
  /** Ends the worker in good order, by force when that takes too long. On Windows a child process has no good order: it ends at once. */
  stop(): Promise<void>;
}
