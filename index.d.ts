/// <reference lib="esnext.disposable" />

/**
 * Chat with GGUF models inside Node.js and Electron.
 *
 * @example
 * ```ts
 * import { LlamaWorker, builtInModelPath } from "llama-worker";
 *
 * const worker = new LlamaWorker();
 * await worker.init();
 * await worker.loadModel(builtInModelPath);
 * await worker.createContext();
 * for await (const chunk of worker.generate("What is the capital of France?")) process.stdout.write(chunk);
 * await worker.cleanup();
 * ```
 */

/** Absolute path of the small chat model that comes with this package. */
export const builtInModelPath: string;

/**
 * What went wrong, as something a program can act on. Codes never change; messages may.
 *
 * - `INVALID_OPTION`: an option has a wrong type or is out of its range; the message names it
 * - `INVALID_MESSAGES`: the prompt or the messages cannot be understood: an empty list, an unknown role, a content that is no text; over a
 *   port also the result of a tool that nobody waits for
 * - `NOT_INITIALIZED`: `init` comes first
 * - `MODEL_NOT_LOADED`: `loadModel` comes first
 * - `CONTEXT_NOT_CREATED`: `createContext` comes first
 * - `BACKEND_UNAVAILABLE`: the backend asked for cannot be used on this machine
 * - `MODEL_NOT_FOUND`: there is no file at the path
 * - `MODEL_IN_ARCHIVE`: the path leads into an asar archive of Electron; the file has to be unpacked
 * - `MODEL_NOT_A_FILE`: the path is a folder or a device
 * - `MODEL_UNREADABLE`: the operating system refuses to read the file
 * - `MODEL_INVALID`: the file is no GGUF model that can generate text, or is damaged
 * - `MODEL_LOAD_FAILED`: llama.cpp could not load the file
 * - `CONTEXT_CREATION_FAILED`: llama.cpp could not create the context. From other calls: it was lost in an evaluation that failed, and could
 *   not be made anew; `createContext` is needed
 * - `INSUFFICIENT_MEMORY`: the model or the context needs more memory than there is
 * - `TEMPLATE_FAILED`: the model's chat template, or the one given as `chatTemplate`, is broken or does not accept these messages
 * - `PROMPT_TOO_LONG`: the prompt does not fit into the context, not even alone with its system prompt
 * - `INVALID_GRAMMAR`: `grammar` is no GBNF grammar that llama.cpp understands
 * - `UNSUPPORTED_SCHEMA`: `jsonSchema` uses a keyword that cannot be kept to
 * - `CONSTRAINT_FAILED`: no token continues the answer as its grammar, its schema or the form of a tool call asks for
 * - `SESSION_DISPOSED`: the session was disposed of, or a new context or model has taken the place of its own
 * - `TOOL_LOOP_LIMIT`: the model still called tools after `maxToolRounds` rounds
 * - `INVALID_MODEL_ID`: what is to be downloaded is named in no form that is known, or over an address that is not safe: `http:` of another machine
 * - `DOWNLOAD_NOT_FOUND`: there is no such repository, file or revision; or a repository has several models, which the message lists
 * - `DOWNLOAD_UNAUTHORIZED`: the server wants a token, or another one
 * - `DOWNLOAD_FAILED`: the server said no, or could not be reached, after all retries
 * - `DOWNLOAD_CORRUPT`: what came is not the file: its length or SHA-256 is another one, or it is no GGUF
 * - `DOWNLOAD_NO_SPACE`: the disk has no room for the file
 * - `DOWNLOAD_WRITE_FAILED`: the operating system refuses to write the file
 * - `DECODE_FAILED`: llama.cpp failed while evaluating
 * - `ABORTED`: the operation was aborted
 * - `WORKER_STOPPED`: `cleanup` was called; the worker takes no more calls
 * - `UNKNOWN_MESSAGE_TYPE`: a message of the contract has a `type` that is not known; only in contract messages
 * - `WORKER_CRASHED`: the worker process died; only in messages of a supervisor
 * - `NATIVE_LOAD_FAILED`: the native addon is missing, or does not load on this system
 * - `INTERNAL`: a defect of this package
 */
export type ErrorCode =
  | "INVALID_OPTION"
  | "INVALID_MESSAGES"
  | "NOT_INITIALIZED"
  | "MODEL_NOT_LOADED"
  | "CONTEXT_NOT_CREATED"
  | "BACKEND_UNAVAILABLE"
  | "MODEL_NOT_FOUND"
  | "MODEL_IN_ARCHIVE"
  | "MODEL_NOT_A_FILE"
  | "MODEL_UNREADABLE"
  | "MODEL_INVALID"
  | "MODEL_LOAD_FAILED"
  | "CONTEXT_CREATION_FAILED"
  | "INSUFFICIENT_MEMORY"
  | "TEMPLATE_FAILED"
  | "PROMPT_TOO_LONG"
  | "INVALID_GRAMMAR"
  | "UNSUPPORTED_SCHEMA"
  | "CONSTRAINT_FAILED"
  | "SESSION_DISPOSED"
  | "TOOL_LOOP_LIMIT"
  | "INVALID_MODEL_ID"
  | "DOWNLOAD_NOT_FOUND"
  | "DOWNLOAD_UNAUTHORIZED"
  | "DOWNLOAD_FAILED"
  | "DOWNLOAD_CORRUPT"
  | "DOWNLOAD_NO_SPACE"
  | "DOWNLOAD_WRITE_FAILED"
  | "DECODE_FAILED"
  | "ABORTED"
  | "WORKER_STOPPED"
  | "UNKNOWN_MESSAGE_TYPE"
  | "WORKER_CRASHED"
  | "NATIVE_LOAD_FAILED"
  | "INTERNAL";

/**
 * Every failure of this package. Two things are passed on as they are instead: the reason of an aborted `signal`, and what
 * one of your callbacks threw.
 *
 * @example
 * ```ts
 * try {
 *   await worker.loadModel("model.gguf");
 * } catch (error) {
 *   if (error instanceof LlamaError && error.code === "MODEL_NOT_FOUND") askForAnotherFile();
 *   else throw error;
 * }
 * ```
 */
export class LlamaError extends Error {
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown });
  /** Stable and machine-readable. */
  readonly code: ErrorCode;
  /** What lies beneath, where there is more to know: an `Error` with the words of the operating system or of llama.cpp. */
  readonly cause?: unknown;
}

/** Options of {@link LlamaWorker.init}. */
export interface InitOptions {
  /**
   * The backend that evaluates: `"auto"` takes the best one that is installed and works, `false` and `"off"` the CPU. One that is named and
   * missing is `BACKEND_UNAVAILABLE`, with the package to install in the message. Metal comes with the Mac's own package; `"cuda"` and
   * `"vulkan"` are packages of their own, as `llama-worker-linux-x64-gnu-vulkan`.
   * @default "auto"
   */
  gpu?: "auto" | "cuda" | "metal" | "vulkan" | "off" | false | null | undefined;
  /**
   * CPU threads of the contexts that name no number of their own, 1 to 512; never more are used than the machine has
   * processors.
   * @default "auto": begins with the physical cores, one for a tiny model, and moves to what proves faster
   */
  numThreads?: number | "auto" | null | undefined;
  /**
   * Prints llama.cpp's log to standard error.
   * @default false
   */
  debug?: boolean | null | undefined;
}

/** What {@link LlamaWorker.init} found. */
export interface InitInfo {
  /** The backend that evaluates, for example `"CPU"`. */
  backend: string;
  /** Every device that the loaded backends know. */
  devices: DeviceInfo[];
  /** CPU features that the loaded backend uses, for example `"AVX2"`. */
  cpuFeatures: string[];
  /**
   * Which of the package's builds of the CPU backend was chosen for this processor, for example `"haswell"` or `"zen4"`; `null` for a developer's
   * build, which has only one.
   */
  cpuVariant: string | null;
  /** Why a GPU backend that is installed was not taken, in English sentences; usually empty. */
  warnings: string[];
  /** Of the llama.cpp that is built in. */
  llamaCppVersion: string;
}

/** A device that can evaluate. */
export interface DeviceInfo {
  /** As llama.cpp calls it, for example `"CPU"` or `"Vulkan0"`. */
  name: string;
  /** The product's name, as the driver tells it. */
  description: string;
  /** To which backend it belongs, for example `"Vulkan"`. */
  backend: string;
  /** `"integratedGpu"`: one that shares the processor's memory. */
  type: "cpu" | "gpu" | "integratedGpu" | "accelerator";
  /** Whether layers are put on it. */
  isChosen: boolean;
  /** Bytes. */
  memoryTotal: number;
  /** Bytes that were free when `init` looked. */
  memoryFree: number;
}

/** Options of {@link LlamaWorker.loadModel}. */
export interface LoadModelOptions {
  /** A GGUF file; a relative path counts from the working directory. */
  modelPath: string;
  /**
   * Layers to keep on the GPU, the output layer counted. `"auto"` reckons how many fit into its free memory, together with a context of
   * {@link CreateContextOptions.contextSize}'s default; `"max"` takes all.
   * @default "auto"
   */
  gpuLayers?: number | "auto" | "max" | null | undefined;
  /**
   * Maps the file instead of reading it.
   * @default true
   */
  useMmap?: boolean | "auto" | null | undefined;
  /**
   * Keeps the weights from being swapped out.
   * @default false
   */
  useMlock?: boolean | null | undefined;
  /**
   * A chat template in Jinja, in place of the model's own.
   * @default the model's; ChatML, with a warning in {@link ModelInfo.warnings}, for a model without one
   */
  chatTemplate?: string | null | undefined;
  /**
   * Tries even when the weights, or later contexts of this model, seem to need more memory than there is.
   * @default false
   */
  ignoreMemorySafetyChecks?: boolean | null | undefined;
  /** Called with 0 to 1, and exactly once with 1. What it throws aborts the load, as `signal` does, and is what the promise rejects with. */
  onProgress?: ((progress: number) => void) | null | undefined;
  /**
   * Aborting it stops the load, unless that is done already; the promise then rejects with the signal's reason. There may be no model then: the one
   * before is given up when llama.cpp begins to load, so that both need not fit into memory.
   */
  signal?: AbortSignal | null | undefined;
}

/** The loaded model. */
export interface ModelInfo {
  /** The file's base name. */
  name: string;
  /** Bytes of all tensors. */
  size: number;
  /** Number of weights. */
  parameters: number;
  /** Tokens the model was trained for. */
  contextSize: number;
  /** For example `"llama"`. */
  architecture: string;
  /** Architecture, size and quantization in words, as llama.cpp tells them. */
  description: string;
  /** Whether the file brings a chat template along. */
  hasChatTemplate: boolean;
  /** Which template writes conversations: the file's own, the option `chatTemplate`, or ChatML because there is no other. */
  chatTemplate: "model" | "option" | "chatml";
  /** What may not be as you expect it, in English sentences; usually empty. */
  warnings: string[];
  /** Tokens in the vocabulary. */
  vocabularySize: number;
  /** Layers of the model, the output layer not counted. */
  layers: number;
  /** Layers on a GPU, the output layer counted. */
  gpuLayers: number;
  /** Numbers in the vector of a token. */
  embeddingSize: number;
}

/** What can be sent in a message of {@link LlamaWorker.downloadModel}'s options. */
export interface DownloadSource {
  /**
   * The folder, made if it is not there; a relative path counts from the working directory.
   * @default "models"
   */
  dir?: string | null | undefined;
  /**
   * SHA-256 of the file, 64 hexadecimal digits: what does not have it is not kept. For one model that is one file.
   * @default what the hub states, where it does
   */
  sha256?: string | null | undefined;
  /**
   * Access token of the hub, for repositories that are not public. It is sent to the hub's host and to no other.
   * @default the environment variable `HF_TOKEN`, unless `endpoint` is another server than the environment's
   */
  token?: string | null | undefined;
  /**
   * Address of the hub that names without a host belong to. Where it is another server than the default, only a `token` of the same call goes there.
   * @default the environment variable `HF_ENDPOINT`, else "https://huggingface.co"
   */
  endpoint?: string | null | undefined;
}

/** Options of {@link LlamaWorker.downloadModel}. */
export interface DownloadOptions extends DownloadSource {
  /**
   * Called at most every 100 ms for each model, with numbers that never go down. What it throws ends the download, as `signal` does, and is what
   * the promise rejects with.
   */
  onProgress?: ((progress: DownloadProgress) => void) | null | undefined;
  /**
   * Aborting it ends the download, unless that is done already; the promise then rejects with the signal's reason. What has come is kept beside the
   * place of the file, as `<name>.part`: the next download of the same file goes on there.
   */
  signal?: AbortSignal | null | undefined;
}

/** How far a download is. */
export interface DownloadProgress {
  /** As it was given to {@link LlamaWorker.downloadModel}. */
  modelId: string;
  /** Absolute path that the file will have; of a split model, that of the part under way. */
  file: string;
  /** Bytes of the whole model on disk, those of an earlier try included. */
  downloadedBytes: number;
  /** Bytes of the whole model; missing while the server has not said it. */
  totalBytes: number | undefined;
  /** 0 to 1, of the whole model. */
  progress: number;
}

/** Options of {@link LlamaWorker.createContext}. */
export interface CreateContextOptions {
  /**
   * Tokens that prompt, history and answer may have together, rounded up to a multiple of 256.
   * @default "auto": the smaller of what the model was trained for and 8192, or fewer when the machine has no memory for them
   */
  contextSize?: number | "auto" | null | undefined;
  /**
   * Tokens of a prompt that are evaluated at once.
   * @default "auto": 512, or contextSize when that is smaller
   */
  batchSize?: number | "auto" | null | undefined;
  /**
   * Conversations whose memory is kept at the same time, 1 to 256; they share `contextSize`. There may be more sessions than that: one that
   * has lost its place comes back from `sessionCacheBytes`.
   * @default 4
   */
  sequences?: number | null | undefined;
  /**
   * The most bytes of the machine's memory, beside the context, for the states of conversations that have lost their place in it, and, with models
   * whose memory cannot be cut back, for states in the midst of a conversation. What is saved there is not evaluated again. 0 saves nothing.
   * @default "auto": an eighth of what the machine has left, at most 512 MiB
   */
  sessionCacheBytes?: number | "auto" | null | undefined;
  /**
   * CPU threads, 1 to 512; never more are used than the machine has processors.
   * @default "auto": `numThreads` of `init`
   */
  threads?: number | "auto" | null | undefined;
  /**
   * Whether attention is computed in the way that needs less memory; `"auto"` where the backend and the model can.
   * @default "auto"
   */
  flashAttention?: "auto" | boolean | null | undefined;
  /**
   * Number format of the attention cache; the smaller ones save memory and cost precision.
   * @default "f16"
   */
  kvCacheType?: "f32" | "f16" | "bf16" | "q8_0" | "q5_1" | "q5_0" | "q4_1" | "q4_0" | null | undefined;
  /**
   * Tries even when the context seems to need more memory than there is.
   * @default false
   */
  ignoreMemorySafetyChecks?: boolean | null | undefined;
}

/** The context as it was created. */
export interface ContextInfo {
  /** Tokens. */
  contextSize: number;
  /** Tokens. */
  batchSize: number;
  /** Conversations whose memory is kept at the same time. */
  sequences: number;
  /** CPU threads at first; with `"auto"` others are tried, see `timings.threads`. */
  threads: number;
  /** The most bytes that states of conversations may take outside of the context. They are taken when something is saved. */
  sessionCacheBytes: number;
}

/** A part of a message's content. Other kinds of parts, such as images, are refused. */
export interface TextPart {
  type: "text";
  text: string;
}

/** The text of a message; parts are joined with line breaks. */
export type MessageContent = string | readonly TextPart[];

/** What a model gives a tool: what its JSON says. */
// biome-ignore lint/suspicious/noExplicitAny: the model decides
export type ToolArguments = any;

/** A tool call of a message that is given to the model: this package's form. */
export interface MessageToolCall {
  /**
   * What the result refers to.
   * @default made up
   */
  id?: string | null | undefined;
  /** The tool's name. */
  name: string;
  /** An object, or its JSON text. */
  arguments: object | string;
}

/** A tool call in OpenAI's form. */
export interface OpenAiToolCall {
  /** @default made up */
  id?: string | null | undefined;
  type?: "function" | undefined;
  function: { name: string; arguments: object | string };
}

/** Instructions. Roles `system` and `developer` are the same. */
export interface SystemMessage {
  role: "system" | "developer";
  content: MessageContent;
}

/** What the user says. */
export interface UserMessage {
  role: "user";
  content: MessageContent;
}

/** What the model has said. */
export interface AssistantMessage {
  /** Whose it is. */
  role: "assistant";
  /** May be missing beside tool calls. */
  content?: MessageContent | null | undefined;
  /** What it thought before; templates drop old thoughts as their models are used to it. */
  reasoning?: string | null | undefined;
  /** Other name of `reasoning`. */
  reasoning_content?: string | null | undefined;
  /** The tools it called. */
  toolCalls?: readonly MessageToolCall[] | null | undefined;
  /** The tools it called, in OpenAI's form. */
  tool_calls?: readonly OpenAiToolCall[] | null | undefined;
}

/** What a tool has answered. Without an id it belongs to the first open call, of the tool of that name if there is one. */
export interface ToolMessage {
  /** Whose it is. */
  role: "tool";
  /** The result, as text. */
  content: MessageContent;
  /** The `id` of the call. */
  toolCallId?: string | null | undefined;
  /** Other name of `toolCallId`. */
  tool_call_id?: string | null | undefined;
  /** The tool's name. */
  name?: string | null | undefined;
}

/** A message by role, as most chat interfaces write it. */
export type RoleMessage = SystemMessage | UserMessage | AssistantMessage | ToolMessage;

/** A part of a response in node-llama-cpp's form: text, a function call with its result, or a thought (comments are ignored). */
export type ResponsePart =
  | string
  | { type: "functionCall"; name: string; params: unknown; result: unknown }
  | { type: "segment"; segmentType: "thought" | "comment"; text: string };

/** A message as a chat history item of node-llama-cpp. */
export type HistoryItem =
  | { type: "system"; text: string }
  | { type: "user"; text: string }
  | { type: "model"; response: readonly ResponsePart[] };

/** All forms may be mixed in one list. */
export type ChatMessage = RoleMessage | HistoryItem;

/** A message as {@link ChatSession.history} tells it. Goes in again as it is. */
export type HistoryMessage =
  | { role: "system" | "user"; content: string }
  | { role: "assistant"; content: string; reasoning?: string; toolCalls?: CalledTool[] }
  | { role: "tool"; content: string; toolCallId?: string; name?: string };

/** A call that the model has made. */
export interface CalledTool {
  /** What the result refers to; made up where the model's format has no ids. */
  id: string;
  /** The tool's name. */
  name: string;
  /** The object that the model's JSON describes. */
  arguments: ToolArguments;
}

/** A call in a result. */
export interface ToolCall extends CalledTool {
  /** What the model was told, when a `handler` was run: its text, its JSON, or `Error: …`. */
  result?: string;
}

/** What is known while a tool runs. */
export interface ToolContext {
  /** The call's {@link CalledTool.id}. */
  toolCallId: string;
  /** Aborted when the generation is: nobody waits for the result any more. */
  signal: AbortSignal;
}

/** Something the model may call. */
export interface Tool {
  /**
   * What it is for, in words for the model.
   * @default none
   */
  description?: string | null | undefined;
  /**
   * A JSON schema of an object. The model's arguments keep to it, as far as llama.cpp's grammars can hold them to it: keywords
   * that they do not know are only told to the model.
   * @default an object without properties
   */
  parameters?: object | null | undefined;
  /**
   * Answers a call. A string goes to the model as it is, anything else as JSON, nothing at all as `null`. What it throws goes to the model as
   * `Error: ` and the message; the generation goes on. It is called as a method of its tool, and the arguments are its own.
   *
   * Must not wait for what its own session does only after this generation: another `generate`, `preload`, `setHistory`, `reset` and `dispose`. It would
   * wait for itself, until somebody aborts. `history` and `countTokens` answer at once, unless one of those has been asked for and waits.
   * @default none: the generation resolves with `stopReason: "toolCalls"`
   */
  handler?: ((args: ToolArguments, context: ToolContext) => unknown) | null | undefined;
}

/** A tool as OpenAI's interface lists it. */
export interface OpenAiTool {
  /** There is no other. */
  type: "function";
  /** As the fields of {@link Tool}. */
  function: { name: string; description?: string | null | undefined; parameters?: object | null | undefined };
  /** As {@link Tool.handler}. */
  handler?: ((args: ToolArguments, context: ToolContext) => unknown) | null | undefined;
}

/** A tool as node-llama-cpp defines it. */
export interface ChatFunction {
  /** As {@link Tool.description}. */
  description?: string | null | undefined;
  /** As {@link Tool.parameters}. */
  params?: object | null | undefined;
  /** As {@link Tool.handler}, but gets the parameters alone. */
  handler?: ((params: ToolArguments) => unknown) | null | undefined;
}

/**
 * Whether tools are called: as the model likes, never, at least one, or the one that is named. A tool that has to be called has to be only in the
 * first round.
 */
export type ToolChoice =
  | "auto"
  | "none"
  | "required"
  | { name: string }
  | { type: "function"; function: { name: string } };

/** More of a tool call that is being written. */
export interface FunctionCallParamsChunk {
  /** Which call of the answer, from 0. */
  callIndex: number;
  /** The tool's name. */
  functionName: string;
  /** What came to the JSON text of its arguments. */
  paramsChunk: string;
  /** Whether the arguments are complete. */
  done: boolean;
}

/** A piece of an answer or of a thought. */
export type ResponseChunk =
  | {
      type: undefined;
      text: string;
      /** Those that the text came from. */
      tokens: number[];
    }
  | {
      type: "segment";
      segmentType: "thought";
      /** Empty in the piece that ends the thought. */
      text: string;
      /** Those that the text came from. */
      tokens: number[];
      /** In the first piece of a thought. */
      segmentStartTime?: Date;
      /** In the last piece of a thought. */
      segmentEndTime?: Date;
    };

/** Options of {@link LlamaWorker.generate}. Unknown ones are ignored. */
export interface GenerateOptions {
  /**
   * Longest answer, in tokens, thoughts and tool calls included; 0, a negative number and Infinity set no limit. With handlers, of each round. A tool
   * call that it cuts off is dropped.
   * @default no limit: until the model ends its answer or the context is full
   */
  maxTokens?: number | null | undefined;
  /**
   * 0 always takes the likeliest token; larger values vary more.
   * @default 0
   */
  temperature?: number | null | undefined;
  /**
   * Draws from the K likeliest tokens; 0 from all. Counts only when `temperature` is above 0, as do `topP`, `minP`, `typicalP`, `topNSigma` and `xtc`.
   * @default 40
   */
  topK?: number | null | undefined;
  /**
   * Draws from the likeliest tokens that together have this probability, 0 to 1.
   * @default 0.95
   */
  topP?: number | null | undefined;
  /**
   * Leaves out tokens less likely than this share of the likeliest one, 0 to 1.
   * @default 0
   */
  minP?: number | null | undefined;
  /**
   * Draws from the tokens that are about as surprising as expected and together have this probability, 0 to 1.
   * @default 1: off
   */
  typicalP?: number | null | undefined;
  /**
   * Leaves out tokens that are more than so many standard deviations less likely than the likeliest one; 0 and less is off.
   * @default 0
   */
  topNSigma?: number | null | undefined;
  /**
   * With this `probability`, 0 to 1, leaves out all tokens more likely than `threshold`, 0 to 1, but the least likely of them.
   * @default off
   */
  xtc?: { probability: number; threshold: number } | null | undefined;
  /**
   * Makes tokens less likely that the answer has already.
   * @default false
   */
  repeatPenalty?: false | RepeatPenalty | null | undefined;
  /**
   * Makes tokens less likely that would go on with a repetition (the method DRY).
   * @default false
   */
  dryRepeatPenalty?: false | DryRepeatPenalty | null | undefined;
  /**
   * Keeps the surprise of the text constant, in place of `topK`, `topP`, `minP` and the like. A number is the version.
   * @default false
   */
  mirostat?: false | 1 | 2 | Mirostat | null | undefined;
  /**
   * Makes tokens likelier, or less likely: what is added to their logits; `"never"` and false rule a token out. Pairs of a token, or of a text and
   * so of all its tokens, or an object by token number as in OpenAI's interface.
   * @default none
   */
  tokenBias?:
    | readonly (readonly [token: number | string, bias: number | "never" | false])[]
    | { readonly [token: string]: number | "never" | false }
    | null
    | undefined;
  /**
   * The same seed draws the same answer; a whole number from 0 to 4294967294.
   * @default drawn anew for every generation
   */
  seed?: number | null | undefined;
  /** Ends the answer before any of these texts, with `stopReason: "customStopTrigger"`. A text that stands in an array of its own is as good. */
  stopSequences?: string | readonly (string | readonly [string])[] | null | undefined;
  /** Another name of `stopSequences`, which counts when both are given. */
  customStopTriggers?: string | readonly (string | readonly [string])[] | null | undefined;
  /**
   * Takes white space off the end of the answer.
   * @default false
   */
  trimWhitespaceSuffix?: boolean | null | undefined;
  /**
   * What the answer begins with; the model goes on from there. It is the first chunk and part of the result. Not together with `grammar` or
   * `jsonSchema`, which hold from the first character.
   * @default none
   */
  responsePrefix?: string | null | undefined;
  /**
   * Does not let the model end its answer: `maxTokens`, a stop sequence or the context does.
   * @default false
   */
  ignoreEos?: boolean | null | undefined;
  /**
   * Whether the model may think before it answers, where its template has a switch for it.
   * @default true
   */
  reasoning?: boolean | null | undefined;
  /**
   * `thoughtTokens`: the most tokens of a thought, which is then ended; 0 also turns thinking off, Infinity sets no limit.
   * @default no limit
   */
  budgets?: { thoughtTokens?: number | null | undefined } | null | undefined;
  /**
   * Variables for the chat template: an object of JSON values.
   * @default none
   */
  chatTemplateKwargs?: { readonly [name: string]: unknown } | null | undefined;
  /**
   * Adds {@link GenerationResult.logprobs} to the result: true for each token's own probability, a number from 0 to 20 for so many of the likeliest
   * tokens besides.
   * @default false
   */
  logprobs?: boolean | number | null | undefined;
  /**
   * A grammar in llama.cpp's GBNF that the answer keeps to. Not together with `jsonSchema`, `tools`, `functions` or `responsePrefix`.
   * @default none
   */
  grammar?: string | null | undefined;
  /**
   * A JSON schema that the answer keeps to, as an object or its JSON text; the result then has {@link GenerationResult.parsed}. Not together with
   * `grammar`, `tools`, `functions` or `responsePrefix`.
   * @default none
   */
  jsonSchema?: object | string | null | undefined;
  /**
   * What the model may call, by name (1 to 64 of the letters and digits of English, `_`, `.` and `-`) or as OpenAI lists it. When every tool that the
   * model calls has a `handler`, they are run together, their results go to the model, and so on until it answers in words.
   * @default none
   */
  tools?: { readonly [name: string]: Tool } | readonly OpenAiTool[] | null | undefined;
  /** Another form of `tools`, that of node-llama-cpp. Not together with `tools`. */
  functions?: { readonly [name: string]: ChatFunction } | null | undefined;
  /**
   * Whether, and which, tools are called.
   * @default "auto"
   */
  toolChoice?: ToolChoice | null | undefined;
  /**
   * The most tools that are called in one answer, from 1.
   * @default no limit
   */
  maxParallelFunctionCalls?: number | null | undefined;
  /**
   * How often handlers may be run before the model has to have answered, from 1; then the promise rejects with `TOOL_LOOP_LIMIT`.
   * @default 10
   */
  maxToolRounds?: number | null | undefined;
  /**
   * What happens when the conversation is longer than the context: the oldest turns are not shown to the model any more (the system prompt and the
   * newest turn are), or the promise rejects with `PROMPT_TOO_LONG`. An answer whose own turn alone fills the context ends with
   * `stopReason: "contextFull"` in both cases.
   * @default "dropOldest"
   */
  contextOverflow?: "dropOldest" | "error" | null | undefined;
  /**
   * Which generations of several sessions are evaluated first, 1 to 5.
   * @default 5: before the others
   */
  evaluationPriority?: number | null | undefined;
  /**
   * `"lookup"` guesses tokens by what came after the same ones before, in the prompt and the answer, and evaluates several at once. The answer is
   * the same; texts that quote, edit or repeat themselves come faster, and where guesses do not pay they cost almost nothing. Models
   * with recurrent memory answer without.
   * @default false
   */
  speculative?: "lookup" | false | null | undefined;
  /**
   * What the model is told before the conversation. Counts where one begins without a system message: in the first generation
   * of a session, and with a list of messages.
   * @default none
   */
  systemPrompt?: string | null | undefined;
  /**
   * Aborting it stops the generation; the promise then rejects with the signal's reason, and the conversation is as it was
   * before. When the model has ended its answer already, the promise resolves as if nothing had been aborted.
   */
  signal?: AbortSignal | null | undefined;
  /**
   * With true an aborted `signal` does not reject: the promise resolves with `stopReason: "abort"` and the text so far, which stays in the
   * conversation. Also when nothing was generated yet, or while tools run; then the conversation is as it was before. What {@link LlamaWorker.abort}
   * ends stays as well.
   * @default false
   */
  stopOnAbortSignal?: boolean | null | undefined;
  /**
   * Called with each piece of text. What it throws aborts the generation and is what the promise rejects with; the
   * conversation is as it was before only if the model had not ended its answer yet. Nobody waits for a promise that it returns, and a rejection of
   * that promise is yours to handle. All this holds for the other callbacks, too.
   */
  onTextChunk?: ((chunk: string) => void) | null | undefined;
  /**
   * Called with the tokens of each piece of text, as numbers; those of thoughts and of tool calls are not among them. Not to be confused with the
   * third argument of {@link LlamaWorker.generate}, which gets the text.
   */
  onToken?: ((tokens: number[]) => void) | null | undefined;
  /** Called with each piece of a thought. */
  onReasoningChunk?: ((chunk: string) => void) | null | undefined;
  /** Called with each piece of text and of thoughts, as in node-llama-cpp. */
  onResponseChunk?: ((chunk: ResponseChunk) => void) | null | undefined;
  /** Called with each piece of a tool call's arguments. */
  onFunctionCallParamsChunk?: ((chunk: FunctionCallParamsChunk) => void) | null | undefined;
}

/** See {@link GenerateOptions.repeatPenalty}. */
export interface RepeatPenalty {
  /**
   * Divides the likelihood of what the answer has, above 0; 1 is off.
   * @default 1.1
   */
  penalty?: number | null | undefined;
  /**
   * How many of the answer's last tokens count.
   * @default 64
   */
  lastTokens?: number | null | undefined;
  /**
   * Subtracted from a token's logit for each time that it is there.
   * @default 0
   */
  frequencyPenalty?: number | null | undefined;
  /**
   * Subtracted from a token's logit when it is there.
   * @default 0
   */
  presencePenalty?: number | null | undefined;
  /**
   * Whether line breaks count.
   * @default false
   */
  penalizeNewLine?: boolean | null | undefined;
}

/** See {@link GenerateOptions.dryRepeatPenalty}. */
export interface DryRepeatPenalty {
  /** How strong it is, above 0. */
  strength: number;
  /**
   * How fast it grows with the length of the repetition, from 1.
   * @default 1.75
   */
  base?: number | null | undefined;
  /**
   * Repetitions up to so many tokens are no matter.
   * @default 2
   */
  allowedLength?: number | null | undefined;
  /**
   * How many of the last tokens are searched for repetitions; null for all.
   * @default null
   */
  lastTokens?: number | null | undefined;
  /**
   * Texts across which nothing counts as repeated.
   * @default ["\n", ":", "\"", "*"]
   */
  sequenceBreakers?: readonly string[] | null | undefined;
}

/** See {@link GenerateOptions.mirostat}. */
export interface Mirostat {
  /**
   * Which of the two methods.
   * @default 2
   */
  version?: 1 | 2 | null | undefined;
  /**
   * The surprise to keep to, above 0.
   * @default 5
   */
  tau?: number | null | undefined;
  /**
   * How fast it is corrected, above 0.
   * @default 0.1
   */
  eta?: number | null | undefined;
}

/**
 * Why an answer ended: the model ended it, it wants tools called, it reached `maxTokens`, a stop sequence came, the context is full, or it was
 * aborted.
 */
export type StopReason = "eogToken" | "toolCalls" | "maxTokens" | "customStopTrigger" | "contextFull" | "abort";

/** What {@link LlamaWorker.generate} resolves with. With handlers: of all rounds together. */
export interface GenerationResult<Parsed = unknown> {
  /** All chunks, concatenated. */
  text: string;
  /** What the model thought, and nothing of it is in `text`; empty when it did not think. */
  reasoning: string;
  /** Why it ended. */
  stopReason: StopReason;
  /** The stop sequence that ended the answer, if one did. */
  stopSequence?: string;
  /** The tools that the model called; usually empty. */
  toolCalls: ToolCall[];
  /** With the option `logprobs`: each token of the answer. */
  logprobs?: TokenLogprobs[];
  /** With the option `jsonSchema`, when the model has ended its answer: what the text says. Missing when the answer was cut off. */
  parsed?: Parsed;
  /** How many tokens it took. */
  usage: Usage;
  /** How long it took. */
  timings: Timings;
}

/** A token and how likely it was, by the model alone, before any option. */
export interface LikelyToken {
  /** Its number in the vocabulary. */
  token: number;
  /** Its text; parts of characters read U+FFFD. */
  text: string;
  /** The natural logarithm of its probability. */
  logprob: number;
}

/** A token of an answer. */
export interface TokenLogprobs extends LikelyToken {
  /** The likeliest tokens in its place, in falling order; as many as were asked for. */
  top: LikelyToken[];
}

/** Whole numbers, counted by the model's tokenizer. With handlers: sums over the rounds, but for `droppedMessages`. */
export interface Usage {
  /** Tokens of the whole prompt: template, history and input. */
  promptTokens: number;
  /** Those among them that did not have to be evaluated again. */
  cachedTokens: number;
  /** Tokens that were generated, thoughts and tool calls included. */
  completionTokens: number;
  /** Those among them that were thoughts. */
  reasoningTokens: number;
  /** `promptTokens + completionTokens` */
  totalTokens: number;
  /** Messages of the conversation that did not fit and were not shown to the model. */
  droppedMessages: number;
  /** Tokens that were guessed, see `speculative`. */
  draftedTokens: number;
  /** Those among them that were right, and took no evaluation of their own. */
  acceptedTokens: number;
}

/** With handlers: sums over the rounds; the time that tools take is not among them. */
export interface Timings {
  /** Milliseconds spent on the prompt. */
  promptMs: number;
  /** Milliseconds from the start to the first token. */
  firstTokenMs: number;
  /** Milliseconds spent on the answer. */
  generationMs: number;
  /** Of the answer. */
  tokensPerSecond: number;
  /** CPU threads that evaluated its tokens in the end. */
  threads: number;
}

/** Options of {@link LlamaWorker.createSession}. */
export interface CreateSessionOptions {
  /**
   * What the model is told before the conversation. Counts when `history` has no system message.
   * @default none
   */
  systemPrompt?: string | null | undefined;
  /**
   * What was said already.
   * @default nothing
   */
  history?: readonly ChatMessage[] | null | undefined;
}

/** Options of {@link LlamaWorker.tokenize} and its relatives. */
export interface TokenizeOptions {
  /**
   * Whether the texts of special tokens, such as `<|im_end|>`, are those tokens; when reading tokens, whether special ones show their texts.
   * @default false
   */
  special?: boolean | null | undefined;
}

/** Options of {@link ChatSession.countTokens}: those that have a part in the prompt, as in {@link GenerateOptions}. */
export type CountTokensOptions = Pick<
  GenerateOptions,
  "tools" | "functions" | "toolChoice" | "reasoning" | "chatTemplateKwargs"
>;

/** Options of {@link LlamaWorker.applyChatTemplate}: those that have a part in the prompt, as in {@link GenerateOptions}. */
export interface ApplyChatTemplateOptions extends CountTokensOptions {
  /**
   * A chat template in Jinja, in place of the one that the model was loaded with.
   * @default that one
   */
  chatTemplate?: string | null | undefined;
}

/** What the model would be given. */
export interface RenderedPrompt {
  /** What the template writes. */
  prompt: string;
  /** Its tokens, with the one that the vocabulary wants in front. */
  tokens: number[];
}

/**
 * A generation under way: a promise of its result, and an async iterable of its text.
 *
 * Iterating may begin at any time and misses nothing; each loop starts with the first chunk. Leaving a loop early aborts the
 * generation. A loop throws when the generation fails and ends when it is aborted by {@link LlamaWorker.abort}.
 *
 * @example
 * ```ts
 * const generation = worker.generate("Tell me a story.");
 * for await (const chunk of generation) process.stdout.write(chunk);
 * const { usage } = await generation;
 * ```
 */
export interface Generation<Parsed = unknown> extends Promise<GenerationResult<Parsed>> {
  [Symbol.asyncIterator](): AsyncIterableIterator<string>;
}

/**
 * A port that carries the message contract: a web `MessagePort`, a `MessagePort` of `node:worker_threads`, or Electron's
 * `MessagePortMain`. One of `addEventListener` and `on` must be there. Its counterpart takes the worker's listeners off again
 * when the port closes or the worker is cleaned up.
 */
export interface MessagePortLike {
  postMessage(message: unknown): void;
  start?(): void;
  close?(): void;
  // biome-ignore lint/suspicious/noExplicitAny: the three kinds of port agree on nothing narrower
  on?(type: any, listener: (event: any) => void): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  off?(type: any, listener: (event: any) => void): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  removeListener?(type: any, listener: (event: any) => void): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  addEventListener?(type: any, listener: (event: any) => void): void;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  removeEventListener?(type: any, listener: (event: any) => void): void;
}

/**
 * One conversation. Several of them share a worker's context and run at the same time.
 *
 * What is asked of a session takes effect in that order; what comes after a generation whose tools have handlers waits for the end of all its rounds.
 * After {@link dispose}, and after a new context or model has taken the place of the
 * session's own, everything rejects with `SESSION_DISPOSED`; before there is a new context, with `CONTEXT_NOT_CREATED`. A session that nobody
 * keeps is disposed of some time later; one that is kept keeps its worker.
 *
 * @example
 * ```ts
 * await using session = await worker.createSession({ systemPrompt: "You are a pirate." });
 * const { text } = await session.generate("Hello!");
 * ```
 */
export interface ChatSession {
  /** As {@link LlamaWorker.generate}, in this session. Rejects with `SESSION_DISPOSED`, too. */
  generate<Parsed = unknown>(
    input: string | readonly ChatMessage[],
    options?: GenerateOptions | null,
    onToken?: ((chunk: string) => void) | null,
  ): Generation<Parsed>;

  /**
   * What was said, with all that was asked for before. Asked for while tools run and nothing else waits, it does not wait for their results: it tells
   * what was said up to their calls.
   */
  history(): Promise<HistoryMessage[]>;

  /**
   * Puts `messages` in place of what was said. An empty list is allowed.
   *
   * Rejects with `INVALID_MESSAGES`, `SESSION_DISPOSED`, `CONTEXT_NOT_CREATED`, `WORKER_STOPPED`.
   */
  setHistory(messages: readonly ChatMessage[]): Promise<void>;

  /** Goes back to what the session was created with. */
  reset(): Promise<void>;

  /**
   * Evaluates the conversation with `prompt` as the next thing the user says, so that the answer to it begins sooner. Changes nothing that was said, and
   * takes its place in the order of generations. {@link LlamaWorker.abort} ends it early; the promise resolves then, too.
   *
   * Rejects with what {@link generate} rejects with for the prompt and its options.
   *
   * @param options those of the generation that will follow, tools included: what is not the same has to be evaluated again. Callbacks and handlers are
   *   not called. An aborted `signal` rejects with its reason.
   */
  preload(prompt: string, options?: GenerateOptions | null): Promise<void>;

  /**
   * How many tokens the model would be given: the conversation, with `prompt` as the next thing the user says if there is one. While tools run it
   * answers as {@link history} does.
   *
   * @param options those of the generation that will follow, as far as they have a part in the prompt; others are ignored
   */
  countTokens(prompt?: string | null, options?: CountTokensOptions | null): Promise<number>;

  /**
   * Ends the session when what was asked of it before is done: it waits for a running generation, which {@link LlamaWorker.abort} or its signal ends
   * sooner. Harmless when that has happened already, and for the worker's default session,
   * which lasts as long as its context.
   */
  dispose(): Promise<void>;

  /** Same as {@link dispose}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * One model, its context and its chat sessions, on a thread of their own.
 *
 * Every method returns at once. The asynchronous ones never throw: they reject with a {@link LlamaError}. An idle worker
 * without an open port does not keep the process alive; one with a call under way does.
 */
export class LlamaWorker {
  /**
   * @param port speaks the message contract on it: listens, starts it and posts that the worker is ready
   * @throws {LlamaError} `NATIVE_LOAD_FAILED`, `INVALID_OPTION`
   */
  constructor(port?: MessagePortLike | null);

  /**
   * Receives what the worker has to say in the message contract: the answers to {@link handleMessage}, and a copy of what goes
   * to the port, if there is one.
   * @default null
   */
  onMessage: ((message: OutboundMessage) => void) | null;

  /**
   * Starts the backend. Comes first.
   *
   * Rejects with `INVALID_OPTION`, `BACKEND_UNAVAILABLE`, `WORKER_STOPPED`.
   */
  init(options?: InitOptions | null): Promise<InitInfo>;

  /**
   * Loads a model, in place of the one before it.
   *
   * Rejects with `NOT_INITIALIZED`, `INVALID_OPTION`, `MODEL_NOT_FOUND`, `MODEL_IN_ARCHIVE`, `MODEL_NOT_A_FILE`,
   * `MODEL_UNREADABLE`, `MODEL_INVALID`, `MODEL_LOAD_FAILED`, `INSUFFICIENT_MEMORY`, `TEMPLATE_FAILED` (of the option `chatTemplate`), `ABORTED`,
   * `WORKER_STOPPED`.
   *
   * @example
   * ```ts
   * const { name, contextSize } = await worker.loadModel("model.gguf", { onProgress: (progress) => bar.update(progress) });
   * ```
   */
  loadModel(options: LoadModelOptions): Promise<ModelInfo>;
  loadModel(path: string, options?: Omit<LoadModelOptions, "modelPath"> | null): Promise<ModelInfo>;

  /**
   * Fetches models and returns their absolute paths. Needs no `init`, runs beside everything else, and waits for a download of the same file that another
   * call or another process has under way.
   *
   * A model is named as `hf://organization/repository` (its `model.gguf`, else its only GGUF), `hf://organization/repository/path/file.gguf#revision`,
   * `hf:organization/repository:Q4_K_M` (the GGUF of that quantization), or an address. Of a split model, `…-00001-of-0000N.gguf`, all parts come,
   * and the path is that of the first.
   *
   * There is a file at the path only when it is whole: its length and, where it is known, its SHA-256 have been checked. A whole file that is
   * there already is not fetched again; a file of that name that is something else is replaced.
   *
   * Rejects with `INVALID_MODEL_ID`, `INVALID_OPTION`, `DOWNLOAD_NOT_FOUND`, `DOWNLOAD_UNAUTHORIZED`, `DOWNLOAD_FAILED`, `DOWNLOAD_CORRUPT`,
   * `DOWNLOAD_NO_SPACE`, `DOWNLOAD_WRITE_FAILED`, `ABORTED` (by {@link cleanup}, a message, or the end of the port), `WORKER_STOPPED`. Of several models the first failure
   * ends the call; what is whole by then stays.
   *
   * @example
   * ```ts
   * const path = await worker.downloadModel("hf://Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf", {
   *   onProgress: ({ progress }) => bar.update(progress),
   * });
   * await worker.loadModel(path);
   * ```
   */
  downloadModel(modelId: string, options?: DownloadOptions | null): Promise<string>;
  /** Several, each with its path, in order. */
  downloadModel(modelIds: readonly string[], options?: DownloadOptions | null): Promise<string[]>;
  downloadModel(models: string | readonly string[], options?: DownloadOptions | null): Promise<string | string[]>;

  /** As the method, without a worker. */
  static downloadModel(modelId: string, options?: DownloadOptions | null): Promise<string>;
  static downloadModel(modelIds: readonly string[], options?: DownloadOptions | null): Promise<string[]>;
  static downloadModel(
    models: string | readonly string[],
    options?: DownloadOptions | null,
  ): Promise<string | string[]>;

  /**
   * Creates the context, in place of the one before it; the default session starts over, and all others end.
   *
   * Rejects with `NOT_INITIALIZED`, `MODEL_NOT_LOADED`, `INVALID_OPTION`, `INSUFFICIENT_MEMORY`, `CONTEXT_CREATION_FAILED`,
   * `TEMPLATE_FAILED`, `WORKER_STOPPED`.
   */
  createContext(options?: CreateContextOptions | null): Promise<ContextInfo>;

  /** The default session, in which {@link generate} and the message contract talk. Cannot be disposed of. */
  readonly session: ChatSession;

  /**
   * Begins another conversation over the same context.
   *
   * Rejects with `NOT_INITIALIZED`, `CONTEXT_NOT_CREATED`, `INVALID_OPTION`, `INVALID_MESSAGES`, `WORKER_STOPPED`.
   *
   * @example
   * ```ts
   * const [french, german] = await Promise.all([
   *   worker.createSession({ systemPrompt: "Answer in French." }),
   *   worker.createSession({ systemPrompt: "Answer in German." }),
   * ]);
   * ```
   */
  createSession(options?: CreateSessionOptions | null): Promise<ChatSession>;

  /**
   * Answers a prompt, or a list of messages, in the default session.
   *
   * A prompt is the next user turn of the conversation so far. A list of messages is the conversation: it takes the place of
   * what was said before, and when its last message is the user's, that one is answered; else generation goes on from there. A list of
   * nothing but tool messages goes on with a conversation that waits for them. A list that ends with the assistant's tool calls has nothing to go on
   * from and is refused with `INVALID_MESSAGES`.
   * Generations of one session run one after the other, in the order they were asked for, each with all its tool calls; those of several sessions
   * run at the same time. One that fails or is aborted before the model has ended its answer leaves the conversation as it was.
   *
   * Rejects with `NOT_INITIALIZED`, `CONTEXT_NOT_CREATED`, `INVALID_OPTION`, `INVALID_MESSAGES`, `TEMPLATE_FAILED`,
   * `INVALID_GRAMMAR`, `UNSUPPORTED_SCHEMA`, `CONSTRAINT_FAILED`, `PROMPT_TOO_LONG`, `DECODE_FAILED`, `TOOL_LOOP_LIMIT`,
   * `WORKER_STOPPED`; with `SESSION_DISPOSED` when the context is replaced while tools run. After {@link abort} it resolves with what there is, and `stopReason: "abort"`.
   *
   * @typeParam Parsed what `jsonSchema` describes
   * @param onToken called with each piece of text, as `options.onTextChunk` is; `options.onToken` is another one and gets token numbers
   *
   * @example
   * ```ts
   * await worker.generate("My name is Ana.");
   * const { text } = await worker.generate("What is my name?", { maxTokens: 32 }, (chunk) => process.stdout.write(chunk));
   * ```
   *
   * @example
   * ```ts
   * const { text } = await worker.generate("What time is it in Lisbon?", {
   *   tools: {
   *     get_time: {
   *       description: "Get the time in a city.",
   *       parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
   *       handler: ({ city }) => timeIn(city),
   *     },
   *   },
   * });
   * ```
   */
  generate<Parsed = unknown>(
    input: string | readonly ChatMessage[],
    options?: GenerateOptions | null,
    onToken?: ((chunk: string) => void) | null,
  ): Generation<Parsed>;

  /**
   * The tokens of a text, without any in front or behind.
   *
   * Rejects with `NOT_INITIALIZED`, `MODEL_NOT_LOADED`, `INVALID_OPTION`, `WORKER_STOPPED`, as the next three do.
   */
  tokenize(text: string, options?: TokenizeOptions | null): Promise<number[]>;

  /** The text of tokens. Of those of {@link tokenize} it is the same text again; parts of characters read U+FFFD. */
  detokenize(tokens: readonly number[], options?: TokenizeOptions | null): Promise<string>;

  /** How many tokens a text has. */
  countTokens(text: string, options?: TokenizeOptions | null): Promise<number>;

  /**
   * What the model would be given for messages, for looking and testing. Generates nothing and changes nothing.
   *
   * Rejects with `INVALID_MESSAGES` and `TEMPLATE_FAILED`, too.
   */
  applyChatTemplate(
    messages: readonly ChatMessage[],
    options?: ApplyChatTemplateOptions | null,
  ): Promise<RenderedPrompt>;

  /**
   * Aborts every generation asked for so far, in all sessions; also those that wait for others or for tools. Downloads go on: they have a `signal`.
   *
   * @returns whether there was any
   */
  abort(): boolean;

  /**
   * Aborts everything, downloads too, frees sessions, context and model, and closes the port. Generations resolve as after {@link abort}.
   * Afterwards every call is refused with `WORKER_STOPPED`. Calling it again is harmless.
   */
  cleanup(): Promise<void>;

  /** Same as {@link cleanup}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;

  /**
   * Takes a message of the contract as if it had come over a port. Answers through {@link onMessage}, failures included. While a generation whose tools
   * have handlers is under way in the default session, all messages but `abort`, `tool_result` and those about downloads wait for its end.
   *
   * @throws {LlamaError} `WORKER_STOPPED`
   */
  handleMessage(message: InboundMessage): void;
}

interface Inbound {
  /** Comes back on every message that answers this one. */
  requestId?: string | number | undefined;
}

/** Options of `init` in a message. */
export interface MessageInitOptions extends InitOptions {
  /**
   * Language of the texts in `info` and `error` messages, from this message on.
   * @default "pt"
   */
  locale?: "pt" | "en" | `pt-${string}` | `en-${string}` | null | undefined;
}

/** Options of `load_model` in a message: some are the defaults of later messages. */
export interface MessageLoadModelOptions extends Omit<LoadModelOptions, "modelPath" | "onProgress" | "signal"> {
  /** Default of {@link CreateContextOptions.contextSize} in the next `create_context`. */
  contextSize?: number | "auto" | null | undefined;
  /** Default of {@link CreateContextOptions.batchSize} in the next `create_context`. */
  batchSize?: number | "auto" | null | undefined;
  /** Default of {@link GenerateOptions.seed} in generations. */
  seed?: number | null | undefined;
  /** Default of {@link CreateContextOptions.ignoreMemorySafetyChecks} in the next `create_context`. */
  ignoreMemorySafetyChecks?: boolean | null | undefined;
}

/** The older form of loading names the path beside the options. */
export type LoadModelMessage = Inbound & { type: "load_model" } & (
    | { options: MessageLoadModelOptions & { modelPath: string } }
    | { modelPath: string; options?: MessageLoadModelOptions | null | undefined }
  );

/** The options of a generation that are no data, and so cannot be sent in a message. */
type CallOptions =
  | "signal"
  | "onTextChunk"
  | "onToken"
  | "onReasoningChunk"
  | "onResponseChunk"
  | "onFunctionCallParamsChunk";

/**
 * Generation options that can be sent in a message; tools without handlers. Further fields of node-llama-cpp are ignored. `stopOnAbortSignal` is about
 * the message `abort`: the answer stays in the conversation as far as it came; there is no `completion_done` then, as after any abort.
 */
export type MessageGenerateOptions = Omit<GenerateOptions, CallOptions> & {
  /**
   * Whether thoughts are told, as `reasoning_chunk` messages.
   * @default false
   */
  streamReasoning?: boolean | null | undefined;
  [option: string]: unknown;
};

interface Generating {
  options?: MessageGenerateOptions | null | undefined;
}

/** What a worker understands, by `type`. */
export type InboundMessage =
  | (Inbound & { type: "init"; options?: MessageInitOptions | null | undefined })
  | LoadModelMessage
  | (Inbound & { type: "create_context"; options?: CreateContextOptions | null | undefined })
  | (Inbound & { type: "generate_completion"; prompt: string } & Generating)
  | (Inbound & { type: "generate_chat_completion"; messages: readonly ChatMessage[] } & Generating)
  | DownloadModelMessage
  | (Inbound & { type: "abort_download" })
  | (Inbound & { type: "tool_result"; results: readonly MessageToolResult[] })
  | (Inbound & { type: "tool_result" } & MessageToolResult)
  | (Inbound & { type: "abort" });

/** One model or several, by either name; each is answered by messages of its own. Needs no `init`. */
export type DownloadModelMessage = Inbound & { type: "download_model"; options?: DownloadSource | null | undefined } & (
    | { modelId: string | readonly string[] }
    | { modelIds: string | readonly string[] }
  );

/** What a tool has answered, in a message. */
export interface MessageToolResult {
  /** The `id` of the call. */
  toolCallId: string;
  /** A string goes to the model as it is, anything else as JSON. */
  result: unknown;
}

interface Outbound {
  /** That of the message this one answers. */
  requestId?: string | number;
}

/**
 * What a worker says, by `type`. The very first thing on a port is no object but the string
 * `LlamaWorker inicializado e pronto para receber comandos`.
 */
export type OutboundMessage =
  | (Outbound & { type: "info"; message: string })
  | (Outbound & { type: "error"; error: string; details?: string; code: ErrorCode })
  | (Outbound & { type: "progress"; operation: "load"; progress: number })
  | (Outbound & { type: "model_loaded"; modelInfo: ModelInfo })
  | (Outbound & { type: "completion_chunk"; chunk: string })
  | (Outbound & { type: "reasoning_chunk"; chunk: string })
  | (Outbound & { type: "tool_call"; toolCalls: CalledTool[] })
  | (Outbound & {
      type: "download_progress";
      /** 0 to 1, of the whole model. */
      progress: number;
      modelId: string;
      downloadedBytes: number;
      totalBytes?: number;
    })
  | (Outbound & { type: "download_complete"; filePath: string })
  | (Outbound & { type: "download_error"; error: string; code: ErrorCode })
  | (Outbound & {
      type: "completion_done";
      fullText: string;
      /** When the model thought. */
      reasoning?: string;
      /** With `jsonSchema`, when the model has ended its answer. */
      parsed?: unknown;
      /** With `logprobs`. */
      logprobs?: TokenLogprobs[];
      stats: MessageStats;
    });

/** The counts of a generation in a message. */
export interface MessageStats extends Usage {
  tokensPerSecond: number;
  stopReason: StopReason;
}
