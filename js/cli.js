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
const { inspect, parseArgs } = require("node:util");
const { DownloadDisplay } = require("./download-display");
const { LlamaWorker, builtInModelPath } = require("./index");

const HELP = `Usage: llama-worker [options] [prompt…]

Answers the prompt and exits. Without a prompt it opens a chat, or answers every line of a piped input.

Options:
  --model <path>        GGUF model file (default: the built-in model), or what is downloaded into models/ first: hf://organization/repository,
                        hf://organization/repository/file.gguf, hf:organization/repository:Q4_K_M, or an https address
  --endpoint <url>      address of the hub (default: HF_ENDPOINT, else https://huggingface.co); HF_TOKEN is its token, and is sent there
  --system <text>       system prompt
  --max-tokens <n>      longest answer, in tokens (default: until the model ends it)
  --temperature <t>     0 always takes the likeliest token (default: 0)
  --threads <n>         CPU threads
  --context-size <n>    tokens the conversation may have
  --help                this text
  --version             the version

Ctrl-C stops a download; the same command goes on where it stopped.
In the chat: /reset starts a new conversation, /exit or Ctrl-D leaves, Ctrl-C stops an answer.
`;

const OPTIONS = /** @type {const} */ ({
  model: { type: "string" },
  endpoint: { type: "string" },
  system: { type: "string" },
  "max-tokens": { type: "string" },
  temperature: { type: "string" },
  threads: { type: "string" },
  "context-size": { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
});

/** What is no path, but has to be fetched. */
const REMOTE_MODEL = /^(?:hf:|https?:\/\/)/i;

/** The command was called wrongly; exit code 2, as shells do it. */
class UsageError extends Error {}

/** The user has stopped it; exit code 130, as shells count Ctrl-C. */
class Interrupted extends Error {}

/** @param {string[]} args */
function parseCommand(args) {
  const { values, positionals } = parseStrictly(args);
  const prompt = positionals.join(" ");
  if (positionals.length > 0 && !prompt.trim())
    throw new UsageError("the prompt is empty, expected a question or, for a chat, no prompt at all");
  const number = (/** @type {"max-tokens" | "temperature" | "threads" | "context-size"} */ name) =>
    parseNumber(name, values[name]);
  return {
    help: values.help,
    version: values.version,
    modelPath: values.model ?? builtInModelPath,
    endpoint: values.endpoint,
    prompt,
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
    const { message } = /** @type {Error} */ (error);
    throw new UsageError(`${ambiguous(message) ?? firstSentence(message)}, see llama-worker --help`);
  }
}

/**
 * `--context-size -5` may be a value or two options; Node does not decide, and says so in three sentences.
 *
 * @param {string} complaint
 */
function ambiguous(complaint) {
  const [, option] = /^Option '(?:-\w, )?(--[\w-]+)\b.*' argument is ambiguous/.exec(complaint) ?? [];
  return option && `option \`${option}\` has no value; one that begins with a dash is written \`${option}=-…\``;
}

/** @param {string} complaint */
function firstSentence(complaint) {
  const [sentence] = complaint.split(/\.\s|\n/);
  return `${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`;
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
    if (REMOTE_MODEL.test(command.modelPath)) command.modelPath = await fetchModel(worker, command);
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
  const { warnings } = await worker.loadModel(modelPath, { onProgress: progressLine(path.basename(modelPath)) });
  for (const warning of warnings) process.stderr.write(`llama-worker: ${warning}\n`);
  await worker.createContext(context);
}

/**
 * @param {LlamaWorker} worker
 * @param {Command} command
 */
async function fetchModel(worker, { modelPath, endpoint }) {
  const { stderr } = process;
  const display = new DownloadDisplay(shortName(modelPath), {
    write: (text) => stderr.write(text),
    isTerminal: stderr.isTTY,
    columns: stderr.columns,
    now: () => performance.now(),
  });
  const stop = new AbortController();
  const interrupt = () =>
    stop.abort(new Interrupted("the download was stopped; the same command goes on where it stopped"));
  // Once: whoever presses it again does not want to wait.
  process.once("SIGINT", interrupt);
  try {
    return await worker.downloadModel(modelPath, {
      endpoint,
      // Who types an address means that hub; a token for another one would be in nobody's mind.
      token: endpoint === undefined ? undefined : process.env.HF_TOKEN,
      signal: stop.signal,
      onProgress: (progress) => display.show(progress),
    });
  } finally {
    process.removeListener("SIGINT", interrupt);
    display.end();
  }
}

/**
 * The last part of a name says what it is; what comes behind a question mark may be secret.
 *
 * @param {string} model
 */
function shortName(model) {
  const [plain] = model.split(/[?#]/);
  return plain.slice(plain.lastIndexOf("/") + 1);
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
  const thoughts = process.stdout.isTTY ? dimThoughts() : undefined;
  let isBegun = false;
  try {
    await worker.generate(prompt, { ...generation, onReasoningChunk: thoughts?.write }, (chunk) => {
      isBegun = true;
      thoughts?.end();
      process.stdout.write(chunk);
    });
    isBegun = true;
  } finally {
    // What is said next, also of a failure, does not belong to the answer's last line.
    if (isBegun) process.stdout.write("\n");
    else thoughts?.end();
  }
}

/** Thoughts are for people, and paler than the answer that follows them. */
function dimThoughts() {
  let isOpen = false;
  return {
    write: (/** @type {string} */ chunk) => {
      isOpen = true;
      process.stdout.write(`\x1b[2m${chunk}\x1b[22m`);
    },
    end: () => {
      if (isOpen) process.stdout.write("\n");
      isOpen = false;
    },
  };
}

/** Whichever stream a person sees; none when the input is piped. */
function personsOutput() {
  const { stdin, stdout, stderr } = process;
  if (!stdin.isTTY) return undefined;
  return stdout.isTTY ? stdout : stderr;
}

/** One line in, one answer out, until the input ends or the user leaves. */
class Chat {
  #worker;
  #command;
  #person = personsOutput();
  #lines = readline.createInterface({ input: process.stdin, output: this.#person, prompt: "> " });
  #open = true;
  #asking = false;
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
    this.#say(
      `${path.basename(this.#command.modelPath)}: /reset starts over, /exit or Ctrl-D leaves, Ctrl-C stops an answer`,
    );
    this.#ask();
    for await (const line of this.#lines) {
      this.#asking = false;
      if (line.trim() === "/exit") break;
      await this.#turn(line.trim()).catch((error) => this.#complain(error));
      if (this.#leaving) break;
      // A piped input has often ended while its lines are still being answered.
      if (this.#open) this.#ask();
    }
    this.#lines.close();
    // The shell's own prompt is no continuation of ours.
    if (this.#asking) this.#say("");
  }

  #ask() {
    this.#asking = true;
    this.#lines.prompt();
  }

  /** @param {string} line to a person; the output of a piped chat is nothing but answers */
  #say(line) {
    this.#person?.write(`${line}\n`);
  }

  /** @param {string} line */
  async #turn(line) {
    if (line === "/reset") return this.#reset();
    if (!line) return;
    this.#stoppable = true;
    try {
      await answer(this.#worker, line, this.#command);
    } finally {
      this.#stoppable = false;
    }
  }

  async #reset() {
    await this.#worker.createContext(this.#command.context);
    this.#say("a new conversation begins");
  }

  /**
   * One failure is no reason to leave the chat: the conversation is as it was before. Whoever goes on has seen it; only a
   * program learns of it by the exit code.
   *
   * @param {any} error
   */
  #complain(error) {
    const hint = error?.code === "PROMPT_TOO_LONG" ? "; /reset starts a new conversation" : "";
    report(error, hint);
    if (!this.#person) process.exitCode = 1;
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
 * @param {any} error
 * @param {string} [hint]
 */
function report(error, hint = "") {
  const words = process.env.LLAMA_WORKER_DEBUG === "1" ? inspect(error) : (error?.message ?? error);
  process.stderr.write(`llama-worker: ${words}${hint}\n`);
}

/** @param {any} error */
function fail(error) {
  report(error);
  process.exitCode = exitCodeOf(error);
}

/** @param {unknown} error */
function exitCodeOf(error) {
  if (error instanceof UsageError) return 2;
  return error instanceof Interrupted ? 130 : 1;
}

// A reader that has seen enough, as in `llama-worker … | head`, is no failure.
process.stdout.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
  if (error.code === "EPIPE") process.exit(0);
  fail(error);
  process.exit();
});

main(process.argv.slice(2)).catch(fail);
