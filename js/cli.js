#!/usr/bin/env node
/**
 * The command `llama-worker`: one answer, or a chat, in the terminal.
 *
 * A user of the public class like any other; keeps nothing between runs, and shows a stack only when asked to.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const { parseArgs } = require("node:util");
const { LlamaWorker, builtInModelPath } = require("./index");

const HELP = `Usage: llama-worker [options] [prompt…]

Answers the prompt and exits. Without a prompt it opens a chat, or answers every line of a piped input.

Options:
  --model <path>        GGUF model file (default: the built-in model)
  --system <text>       system prompt
  --max-tokens <n>      longest answer, in tokens (default: until the model ends it)
  --temperature <t>     0 always takes the likeliest token (default: 0)
  --threads <n>         CPU threads
  --context-size <n>    tokens the conversation may have
  --help                this text
  --version             the version

In the chat: /reset starts a new conversation, /exit leaves, Ctrl-C stops an answer.
`;

const OPTIONS = /** @type {const} */ ({
  model: { type: "string" },
  system: { type: "string" },
  "max-tokens": { type: "string" },
  temperature: { type: "string" },
  threads: { type: "string" },
  "context-size": { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
});

/** The command was called wrongly; exit code 2, as shells do it. */
class UsageError extends Error {}

/** @param {string[]} args */
function parseCommand(args) {
  const { values, positionals } = parseStrictly(args);
  const number = (/** @type {"max-tokens" | "temperature" | "threads" | "context-size"} */ name) =>
    parseNumber(name, values[name]);
  return {
    help: values.help,
    version: values.version,
    modelPath: values.model ?? builtInModelPath,
    prompt: positionals.join(" "),
    context: { threads: number("threads"), contextSize: number("context-size") },
    generation: { systemPrompt: values.system, maxTokens: number("max-tokens"), temperature: number("temperature") },
  };
}

/** @typedef {ReturnType<typeof parseCommand>} Command */

/** @param {string[]} args */
function parseStrictly(args) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    const [complaint] = /** @type {Error} */ (error).message.split(/\.\s|\n/);
    throw new UsageError(`${complaint.charAt(0).toLowerCase()}${complaint.slice(1)}, see llama-worker --help`);
  }
}

/**
 * @param {string} name
 * @param {string | undefined} text
 */
function parseNumber(name, text) {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (text.trim() === "" || Number.isNaN(number))
    throw new UsageError(`option \`--${name}\` is \`${text}\`, expected a number`);
  return number;
}

/** @param {string[]} args */
async function main(args) {
  const command = parseCommand(args);
  if (command.help) return void process.stdout.write(HELP);
  if (command.version) return void process.stdout.write(`${packageVersion()}\n`);
  const worker = new LlamaWorker();
  try {
    await prepare(worker, command);
    if (command.prompt) await answer(worker, command.prompt, command);
    else await new Chat(worker, command).run();
  } finally {
    await worker.cleanup();
  }
}

function packageVersion() {
  return JSON.parse(fs.readFileSync(path.join(__dirname, "..", "package.json"), "utf8")).version;
}

/**
 * @param {LlamaWorker} worker
 * @param {Command} command
 */
async function prepare(worker, { modelPath, context }) {
  await worker.init({ numThreads: context.threads });
  await worker.loadModel(modelPath, { onProgress: progressLine(path.basename(modelPath)) });
  await worker.createContext(context);
}

/** @param {string} name */
function progressLine(name) {
  if (!process.stderr.isTTY) return undefined;
  return (/** @type {number} */ progress) => {
    const line = progress < 1 ? `loading ${name} ${Math.floor(progress * 100)} %` : "";
    process.stderr.write(`\r\x1b[K${line}`);
  };
}

/**
 * @param {LlamaWorker} worker
 * @param {string} prompt
 * @param {Command} command
 */
async function answer(worker, prompt, { generation }) {
  await worker.generate(prompt, generation, (chunk) => process.stdout.write(chunk));
  process.stdout.write("\n");
}

/** Prompts go to whichever stream a person sees, and nowhere when the input is piped. */
function openInput() {
  const { stdin, stdout, stderr } = process;
  const output = stdin.isTTY ? (stdout.isTTY ? stdout : stderr) : undefined;
  return readline.createInterface({ input: stdin, output, prompt: "> " });
}

/** One line in, one answer out, until the input ends or the user leaves. */
class Chat {
  #worker;
  #command;
  #lines = openInput();
  #open = true;
  #leaving = false;
  #stoppable = false;

  /**
   * @param {LlamaWorker} worker
   * @param {Command} command
   */
  constructor(worker, command) {
    this.#worker = worker;
    this.#command = command;
    this.#lines.on("SIGINT", () => this.#interrupt());
    this.#lines.once("close", () => {
      this.#open = false;
    });
  }

  async run() {
    this.#lines.prompt();
    for await (const line of this.#lines) {
      if (line.trim() === "/exit") break;
      await this.#turn(line.trim());
      if (this.#leaving) break;
      // A piped input has often ended while its lines are still being answered.
      if (this.#open) this.#lines.prompt();
    }
    this.#lines.close();
  }

  /** @param {string} line */
  async #turn(line) {
    if (line === "/reset") return void (await this.#worker.createContext(this.#command.context));
    if (!line) return;
    this.#stoppable = true;
    await answer(this.#worker, line, this.#command).catch(complain);
    this.#stoppable = false;
  }

  /** The first Ctrl-C stops the running answer; one more, or one while nothing runs, leaves the chat. */
  #interrupt() {
    if (this.#stoppable) {
      this.#stoppable = false;
      this.#worker.abort();
      return;
    }
    this.#leaving = true;
    this.#lines.close();
  }
}

/**
 * One answer that fails is no reason to leave the chat: its conversation is as it was before.
 *
 * @param {any} error
 */
function complain(error) {
  fail(error);
  if (error?.code === "PROMPT_TOO_LONG") process.stderr.write("llama-worker: /reset starts a new conversation\n");
}

/** @param {any} error */
function fail(error) {
  const debug = process.env.LLAMA_WORKER_DEBUG === "1";
  process.stderr.write(`llama-worker: ${debug ? error?.stack : (error?.message ?? error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

// A reader that has seen enough, as in `llama-worker … | head`, is no failure.
process.stdout.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
  if (error.code === "EPIPE") process.exit(0);
  fail(error);
  process.exit();
});

main(process.argv.slice(2)).catch(fail);
