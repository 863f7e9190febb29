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
 * - `INVALID_MESSAGES`: the prompt or the messages cannot be understood: an empty list, an unknown role, a content that is no string
 * - `NOT_INITIALIZED`: `init` comes first
 * - `MODEL_NOT_LOADED`: `loadModel` comes first
 * - `CONTEXT_NOT_CREATED`: `createContext` comes first
 * - `BACKEND_UNAVAILABLE`: the backend asked for cannot be used on this machine
 * - `MODEL_NOT_FOUND`: there is no file at the path
 * - `MODEL_NOT_A_FILE`: the path is a folder or a device
 * - `MODEL_UNREADABLE`: the operating system refuses to read the file
 * - `MODEL_INVALID`: the file is no GGUF model that can generate text, or is damaged
 * - `MODEL_LOAD_FAILED`: llama.cpp could not load the file
 * - `CONTEXT_CREATION_FAILED`: llama.cpp could not create the context
 * - `INSUFFICIENT_MEMORY`: the model or the context needs more memory than there is
 * - `TEMPLATE_FAILED`: the model's chat template does not accept these messages
 * - `PROMPT_TOO_LONG`: the conversation does not fit into the context
 * - `DECODE_FAILED`: llama.cpp failed while evaluating
 * - `ABORTED`: the operation was aborted
 * - `WORKER_STOPPED`: `cleanup` was called; the worker takes no more calls
 * - `UNKNOWN_MESSAGE_TYPE`: a message of the contract has a `type` that is not known; only in contract messages
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
  | "MODEL_NOT_A_FILE"
  | "MODEL_UNREADABLE"
  | "MODEL_INVALID"
  | "MODEL_LOAD_FAILED"
  | "CONTEXT_CREATION_FAILED"
  | "INSUFFICIENT_MEMORY"
  | "TEMPLATE_FAILED"
  | "PROMPT_TOO_LONG"
  | "DECODE_FAILED"
  | "ABORTED"
  | "WORKER_STOPPED"
  | "UNKNOWN_MESSAGE_TYPE"
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
   * The backend that evaluates: `"auto"` takes the best one that is installed, `false` and `"off"` the CPU.
   * @default "auto"
   */
  gpu?: "auto" | "cuda" | "metal" | "vulkan" | "off" | false | null | undefined;
  /**
   * CPU threads of the contexts that name no number of their own, 1 to 512; never more are used than the machine has
   * processors.
   * @default "auto": chosen for model and machine
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
  devices: DeviceInfo[];
  /** CPU features that the loaded backend uses, for example `"AVX2"`. */
  cpuFeatures: string[];
  llamaCppVersion: string;
}

/** A device that can evaluate. */
export interface DeviceInfo {
  name: string;
  description: string;
  backend: string;
  type: "cpu" | "gpu" | "integratedGpu" | "accelerator";
  /** Bytes. */
  memoryTotal: number;
  /** Bytes. */
  memoryFree: number;
}

/** Options of {@link LlamaWorker.loadModel}. */
export interface LoadModelOptions {
  /** A GGUF file; a relative path counts from the working directory. */
  modelPath: string;
  /**
   * Layers to keep on the GPU.
   * @default all that fit
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
  /** Called with 0 to 1, and exactly once with 1. What it throws aborts the load and is what the promise rejects with. */
  onProgress?: ((progress: number) => void) | null | undefined;
  /** Aborting it stops the load, unless that is done already; the promise then rejects with the signal's reason. */
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
  /** Tokens in the vocabulary. */
  vocabularySize: number;
  layers: number;
  embeddingSize: number;
}

/** Options of {@link LlamaWorker.createContext}. */
export interface CreateContextOptions {
  /**
   * Tokens that prompt, history and answer may have together, rounded up to a multiple of 256.
   * @default "auto": the smaller of what the model was trained for and 8192
   */
  contextSize?: number | "auto" | null | undefined;
  /**
   * Tokens of a prompt that are evaluated at once.
   * @default "auto": 512, or contextSize when that is smaller
   */
  batchSize?: number | "auto" | null | undefined;
  /**
   * CPU threads, 1 to 512; never more are used than the machine has processors.
   * @default "auto": `numThreads` of `init`
   */
  threads?: number | "auto" | null | undefined;
  /** @default "auto" */
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
  threads: number;
}

/** A message by role, as most chat interfaces write it. */
export interface RoleMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

/** A message as a chat history item of node-llama-cpp. */
export type HistoryItem =
  | { type: "system"; text: string }
  | { type: "user"; text: string }
  | { type: "model"; response: readonly string[] };

/** Both shapes may be mixed in one list. */
export type ChatMessage = RoleMessage | HistoryItem;

/** Options of {@link LlamaWorker.generate}. Unknown ones are ignored. */
export interface GenerateOptions {
  /**
   * Longest answer, in tokens; 0, a negative number and Infinity set no limit.
   * @default no limit: until the model ends its answer or the context is full
   */
  maxTokens?: number | null | undefined;
  /**
   * 0 always takes the likeliest token; larger values vary more.
   * @default 0
   */
  temperature?: number | null | undefined;
  /**
   * Draws from the K likeliest tokens; 0 from all. Counts only when `temperature` is above 0, as do the next three.
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
   * The same seed draws the same answer; a whole number from 0 to 4294967294.
   * @default drawn anew for every generation
   */
  seed?: number | null | undefined;
  /** Ends the answer before any of these texts, with `stopReason: "customStopTrigger"`. */
  stopSequences?: readonly string[] | null | undefined;
  /** Another name of `stopSequences`, which counts when both are given. */
  customStopTriggers?: readonly string[] | null | undefined;
  /**
   * What the model is told before the conversation. Counts where one begins without a system message: in the first generation
   * after `createContext`, and with a list of messages.
   */
  systemPrompt?: string | null | undefined;
  /**
   * Aborting it stops the generation; the promise then rejects with the signal's reason, and the conversation is as it was
   * before. When the model has ended its answer already, the promise resolves as if nothing had been aborted.
   */
  signal?: AbortSignal | null | undefined;
  /**
   * Called with each piece of text. What it throws aborts the generation and is what the promise rejects with; the
   * conversation is as it was before only if the model had not ended its answer yet.
   */
  onTextChunk?: ((chunk: string) => void) | null | undefined;
}

/**
 * Why an answer ended: the model ended it, it reached `maxTokens`, a stop sequence came, the context is full, or it was aborted.
 */
export type StopReason = "eogToken" | "maxTokens" | "customStopTrigger" | "contextFull" | "abort";

/** What {@link LlamaWorker.generate} resolves with. */
export interface GenerationResult {
  /** All chunks, concatenated. */
  text: string;
  stopReason: StopReason;
  usage: Usage;
  timings: Timings;
}

/** Whole numbers, counted by the model's tokenizer. */
export interface Usage {
  /** Tokens of the whole prompt: template, history and input. */
  promptTokens: number;
  /** Those among them that did not have to be evaluated again. */
  cachedTokens: number;
  completionTokens: number;
  /** `promptTokens + completionTokens` */
  totalTokens: number;
}

export interface Timings {
  /** Milliseconds spent on the prompt. */
  promptMs: number;
  /** Milliseconds from the start to the first token. */
  firstTokenMs: number;
  /** Milliseconds spent on the answer. */
  generationMs: number;
  /** Of the answer. */
  tokensPerSecond: number;
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
export interface Generation extends Promise<GenerationResult> {
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
 * One model, its context and one chat session, on a thread of their own.
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
   * Rejects with `NOT_INITIALIZED`, `INVALID_OPTION`, `MODEL_NOT_FOUND`, `MODEL_NOT_A_FILE`, `MODEL_UNREADABLE`,
   * `MODEL_INVALID`, `MODEL_LOAD_FAILED`, `ABORTED`, `WORKER_STOPPED`.
   *
   * @example
   * ```ts
   * const { name, contextSize } = await worker.loadModel("model.gguf", { onProgress: (progress) => bar.update(progress) });
   * ```
   */
  loadModel(options: LoadModelOptions): Promise<ModelInfo>;
  loadModel(path: string, options?: Omit<LoadModelOptions, "modelPath"> | null): Promise<ModelInfo>;

  /**
   * Creates the context, in place of the one before it; the conversation starts over.
   *
   * Rejects with `NOT_INITIALIZED`, `MODEL_NOT_LOADED`, `INVALID_OPTION`, `INSUFFICIENT_MEMORY`, `CONTEXT_CREATION_FAILED`,
   * `TEMPLATE_FAILED`, `WORKER_STOPPED`.
   */
  createContext(options?: CreateContextOptions | null): Promise<ContextInfo>;

  /**
   * Answers a prompt, or a list of messages.
   *
   * A prompt is the next user turn of the conversation so far. A list of messages is the conversation: it takes the place of
   * what was said before, and when its last message is the user's, that one is answered; else generation goes on from there.
   * Generations run one after the other, in the order they were asked for. One that fails or is aborted before
   * the model has ended its answer leaves the conversation as it was.
   *
   * Rejects with `NOT_INITIALIZED`, `CONTEXT_NOT_CREATED`, `INVALID_OPTION`, `INVALID_MESSAGES`, `TEMPLATE_FAILED`, `PROMPT_TOO_LONG`,
   * `DECODE_FAILED`, `WORKER_STOPPED`. After {@link abort} it resolves with what there is, and `stopReason: "abort"`.
   *
   * @param onToken called with each piece of text, as `options.onTextChunk` is
   *
   * @example
   * ```ts
   * await worker.generate("My name is Ana.");
   * const { text } = await worker.generate("What is my name?", { maxTokens: 32 }, (chunk) => process.stdout.write(chunk));
   * ```
   */
  generate(
    input: string | readonly ChatMessage[],
    options?: GenerateOptions | null,
    onToken?: ((chunk: string) => void) | null,
  ): Generation;

  /**
   * Aborts every generation asked for so far.
   *
   * @returns whether there was any
   */
  abort(): boolean;

  /**
   * Aborts everything, frees session, context and model, and closes the port. Afterwards every call is refused with
   * `WORKER_STOPPED`. Calling it again is harmless.
   */
  cleanup(): Promise<void>;

  /** Same as {@link cleanup}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;

  /**
   * Takes a message of the contract as if it had come over a port. Answers through {@link onMessage}, failures included.
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

/** Generation options that can be sent in a message. Further fields of node-llama-cpp are ignored. */
export type MessageGenerateOptions = Omit<GenerateOptions, "signal" | "onTextChunk"> & { [option: string]: unknown };

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
  | (Inbound & { type: "abort" });

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
  | (Outbound & { type: "completion_done"; fullText: string; stats: MessageStats });

/** The counts of a generation in a message. */
export interface MessageStats extends Usage {
  tokensPerSecond: number;
  stopReason: StopReason;
}
