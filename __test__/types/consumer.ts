/**
 * Uses every public type the way a program does; `tsc` is the test. Never runs.
 */

import type { MessagePort as ThreadPort } from "node:worker_threads";
import {
  builtInModelPath,
  type ChatFunction,
  type ChatMessage,
  type ChatSession,
  type ContextInfo,
  type DownloadOptions,
  type DownloadProgress,
  type ErrorCode,
  type Generation,
  type GenerationResult,
  type HistoryMessage,
  type InboundMessage,
  type InitInfo,
  LlamaError,
  LlamaWorker,
  type MessagePortLike,
  type ModelInfo,
  type OpenAiTool,
  type OutboundMessage,
  type RenderedPrompt,
  type StopReason,
  type Tool,
  type ToolCall,
} from "../../index";

import facade = require("../../js/index");

import sessionFile = require("../../js/session");

/** What Electron's `MessagePortMain` looks like, in the words of its own type definitions. */
declare class ElectronPort {
  on(event: "close", listener: () => void): this;
  on(event: "message", listener: (messageEvent: { data: unknown; ports: ElectronPort[] }) => void): this;
  once(event: "close", listener: () => void): this;
  close(): void;
  postMessage(message: unknown, transfer?: ElectronPort[]): void;
  start(): void;
}

declare const threadPort: ThreadPort;
declare const webPort: globalThis.MessagePort;
declare const electronPort: ElectronPort;

/** What the declarations promise; the implementation defines `Symbol.asyncDispose` only where there is such a symbol. */
export const implemented: {
  LlamaWorker: new (port?: MessagePortLike | null) => Omit<LlamaWorker, typeof Symbol.asyncDispose>;
  LlamaError: typeof LlamaError;
  builtInModelPath: string;
} = facade;

/** Likewise. */
export const implementedSession: new (
  ...args: ConstructorParameters<typeof sessionFile.ChatSession>
) => Omit<ChatSession, typeof Symbol.asyncDispose> = sessionFile.ChatSession;

export async function classWithEverything(): Promise<void> {
  await using worker = new LlamaWorker();
  const info: InitInfo = await worker.init({ gpu: "auto", numThreads: 2, debug: false });
  const controller = new AbortController();
  const onProgress = (progress: number): string => progress.toFixed(2);
  const model: ModelInfo = await worker.loadModel(builtInModelPath, { onProgress, signal: controller.signal });
  await worker.loadModel({ modelPath: builtInModelPath, gpuLayers: 0, useMmap: true, useMlock: false });
  const context: ContextInfo = await worker.createContext({
    contextSize: Math.min(model.contextSize, 4096),
    batchSize: 256,
    sessionCacheBytes: 1 << 20,
    threads: info.devices.length,
    flashAttention: "auto",
    kvCacheType: "q8_0",
  });
  const result: GenerationResult = await worker.generate(
    `${context.contextSize} ${context.sessionCacheBytes}`,
    { maxTokens: 8 },
    (chunk) => chunk.length,
  );
  const reason: StopReason = result.stopReason;
  const counts: number = result.usage.cachedTokens + result.timings.tokensPerSecond;
  const aborted: boolean = worker.abort();
  await worker.cleanup();
  console.log(reason, counts, aborted);
}

/** Also under `exactOptionalPropertyTypes` a program may hand on what it was not given. */
export function handingOn(worker: LlamaWorker, limit: number | undefined, signal: AbortSignal | undefined): Generation {
  return worker.generate("Hello", { maxTokens: limit, signal, systemPrompt: undefined });
}

export async function streaming(worker: LlamaWorker): Promise<string> {
  const messages: readonly ChatMessage[] = [
    { role: "system", content: "Be brief." },
    { type: "user", text: "My name is Ana." },
    { type: "model", response: ["Nice to meet you, Ana!"] },
    { role: "user", content: "What is my name?" },
  ];
  const generation: Generation = worker.generate(messages, {
    temperature: 0.7,
    topK: 20,
    topP: 0.9,
    minP: 0.05,
    seed: 7,
    stopSequences: ["\n\n"],
    customStopTriggers: ["###"],
    systemPrompt: "Be brief.",
    signal: AbortSignal.timeout(1000),
    onTextChunk: (chunk) => console.log(chunk),
  });
  for await (const chunk of generation) console.log(chunk.toUpperCase());
  const plain: Promise<string> = generation.then(({ text }) => text);
  return plain;
}

export async function downloads(worker: LlamaWorker, signal: AbortSignal | undefined): Promise<string[]> {
  const seen: DownloadProgress[] = [];
  const options: DownloadOptions = {
    dir: "models",
    signal,
    token: undefined,
    onProgress: (progress) => seen.push(progress),
  };
  const one: string = await worker.downloadModel("hf://organization/repository", {
    ...options,
    sha256: "0".repeat(64),
  });
  const names: readonly string[] = ["hf:organization/repository:Q4_K_M", "https://example.com/model.gguf"];
  const several: string[] = await LlamaWorker.downloadModel(names, options);
  const either: string | string[] = await worker.downloadModel(seen.length > 0 ? names : "hf://a/b", options);
  console.log(either);
  const bytes: (number | undefined)[] = seen.map(({ downloadedBytes, totalBytes }) => totalBytes ?? downloadedBytes);
  console.log(bytes);
  return [one, ...several];
}

export async function sessions(worker: LlamaWorker): Promise<ChatMessage[]> {
  await using session = await worker.createSession({
    systemPrompt: "Be brief.",
    history: [{ role: "user", content: "Hi" }],
  });
  const fallback: ChatSession = worker.session;
  await session.preload("Hello", { responsePrefix: "Hi" });
  const count: number = (await session.countTokens()) + (await fallback.countTokens("Hello", { reasoning: null }));
  await session.generate("Hello", { maxTokens: count });
  const history: HistoryMessage[] = await session.history();
  await fallback.setHistory(history);
  await fallback.reset();
  return history;
}

/** All forms of one conversation, mixed. */
export const everyForm: readonly ChatMessage[] = [
  { role: "developer", content: [{ type: "text", text: "Be brief." }] },
  { role: "user", content: "What is the weather in Lisbon?" },
  { role: "assistant", content: null, toolCalls: [{ id: "1", name: "weather", arguments: { city: "Lisbon" } }] },
  { role: "tool", content: "sunny", toolCallId: "1", name: "weather" },
  {
    role: "assistant",
    reasoning_content: "It was asked before.",
    tool_calls: [{ id: "2", type: "function", function: { name: "weather", arguments: '{"city":"Porto"}' } }],
  },
  { role: "tool", content: [{ type: "text", text: "rainy" }], tool_call_id: "2" },
  { type: "system", text: "Be long." },
  { type: "user", text: "And in Faro?" },
  {
    type: "model",
    response: [
      { type: "segment", segmentType: "thought", text: "Faro…" },
      { type: "functionCall", name: "weather", params: { city: "Faro" }, result: { sky: "sunny" } },
      "It is sunny.",
    ],
  },
];

export function everyOption(worker: LlamaWorker): Generation {
  return worker.generate("Hello", {
    maxTokens: Number.POSITIVE_INFINITY,
    typicalP: 0.9,
    topNSigma: 1,
    xtc: { probability: 0.5, threshold: 0.1 },
    repeatPenalty: { penalty: 1.1, lastTokens: 64, frequencyPenalty: 0, presencePenalty: 0, penalizeNewLine: false },
    dryRepeatPenalty: { strength: 1, base: 1.75, allowedLength: 2, lastTokens: null, sequenceBreakers: ["\n"] },
    mirostat: { version: 2, tau: 5, eta: 0.1 },
    tokenBias: [
      [5, -1],
      ["Paris", "never"],
    ],
    stopSequences: "###",
    customStopTriggers: ["a", ["b"]],
    trimWhitespaceSuffix: true,
    responsePrefix: "Sure: ",
    ignoreEos: false,
    reasoning: true,
    budgets: { thoughtTokens: 100 },
    chatTemplateKwargs: { enable_thinking: true },
    logprobs: 3,
    maxParallelFunctionCalls: 2,
    maxToolRounds: 3,
    contextOverflow: "error",
    evaluationPriority: 1,
    speculative: "lookup",
    stopOnAbortSignal: true,
    onToken: (tokens) => console.log(tokens.length),
    onReasoningChunk: (chunk) => console.log(chunk.length),
    onResponseChunk: (chunk) => console.log(chunk.type === "segment" ? chunk.segmentEndTime : chunk.text),
    onFunctionCallParamsChunk: ({ callIndex, functionName, paramsChunk, done }) =>
      console.log(callIndex + 1, functionName + paramsChunk, !done),
  });
}

export async function structured(worker: LlamaWorker): Promise<string | undefined> {
  const jsonSchema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] } as const;
  const { parsed } = await worker.generate<{ name: string }>("Who are you?", { jsonSchema });
  const { logprobs } = await worker.generate("Hello", {
    grammar: 'root ::= "a"',
    logprobs: true,
    tokenBias: { "5": -1 },
  });
  return parsed?.name ?? logprobs?.[0]?.top[0]?.text;
}

export async function tools(worker: LlamaWorker): Promise<ToolCall[]> {
  const weather: Tool = {
    description: "Get the weather of a city.",
    parameters: { type: "object", properties: { city: { type: "string" } } },
    handler: async ({ city }, { toolCallId, signal }) => ({ city, toolCallId, late: signal.aborted }),
  };
  const listed: OpenAiTool = { type: "function", function: { name: "time", parameters: {} } };
  const old: ChatFunction = { params: { type: "object" }, handler: ({ city }) => `${city}` };
  const { toolCalls } = await worker.generate("Hello", { tools: { weather }, toolChoice: { name: "weather" } });
  await worker.generate("Hello", { tools: [listed], toolChoice: "required" });
  await worker.generate("Hello", { functions: { old } });
  return toolCalls;
}

export async function texts(worker: LlamaWorker): Promise<string> {
  const tokens: number[] = await worker.tokenize("Hello", { special: true });
  const count: number = await worker.countTokens("Hello");
  const { prompt }: RenderedPrompt = await worker.applyChatTemplate([{ role: "user", content: "Hello" }], {
    tools: { dice: {} },
    chatTemplate: "{{ messages[0].content }}",
  });
  return `${prompt} ${await worker.detokenize(tokens)} ${count}`;
}

export function ports(): LlamaWorker[] {
  return [new LlamaWorker(threadPort), new LlamaWorker(webPort), new LlamaWorker(electronPort), new LlamaWorker(null)];
}

export function contract(worker: LlamaWorker): void {
  worker.onMessage = (message) => console.log(describe(message));
  worker.onMessage = null;
  const inbound: InboundMessage[] = [
    { type: "init", options: { gpu: false, numThreads: 1, locale: "en" } },
    { type: "load_model", options: { modelPath: "model.gguf" }, requestId: 1 },
    { type: "load_model", modelPath: "model.gguf", options: { ignoreMemorySafetyChecks: true, contextSize: 512 } },
    { type: "create_context", options: undefined },
    { type: "generate_completion", prompt: "Hello", options: { maxTokens: 8, repeatPenalty: { penalty: 1.1 } } },
    { type: "generate_chat_completion", messages: [{ role: "user", content: "Hello" }], requestId: "a" },
    { type: "generate_completion", prompt: "Hello", options: { tools: { dice: {} }, streamReasoning: true } },
    { type: "tool_result", toolCallId: "1", result: 6, requestId: "a" },
    { type: "tool_result", results: [{ toolCallId: "1", result: { rolled: 6 } }] },
    { type: "download_model", modelId: "hf://organization/repository", requestId: 2 },
    { type: "download_model", modelIds: ["a", "b"], options: { dir: "models", endpoint: "https://example.com" } },
    { type: "abort_download" },
    { type: "abort" },
  ];
  for (const message of inbound) worker.handleMessage(message);
}

function describe(message: OutboundMessage): string {
  switch (message.type) {
    case "info":
      return message.message;
    case "error":
      return `${message.code}: ${message.error} ${message.details ?? ""}`;
    case "progress":
      return `${message.operation} ${message.progress}`;
    case "model_loaded":
      return message.modelInfo.name;
    case "download_progress":
      return `${message.progress}`;
    case "download_complete":
      return message.filePath;
    case "download_error":
      return message.error;
    case "completion_chunk":
      return message.chunk;
    case "reasoning_chunk":
      return message.chunk;
    case "tool_call":
      return message.toolCalls.map(({ id, name }) => `${id} ${name}`).join();
    case "completion_done":
      return `${message.fullText} ${message.stats.totalTokens} ${message.stats.droppedMessages} ${message.reasoning ?? ""}`;
    default:
      return message satisfies never;
  }
}

export function failure(error: unknown): ErrorCode | undefined {
  return error instanceof LlamaError ? error.code : undefined;
}

export function mistakes(worker: LlamaWorker): void {
  // @ts-expect-error a temperature is a number
  void worker.generate("Hello", { temperature: "x" });
  // @ts-expect-error there is no such role
  void worker.generate([{ role: "robot", content: "Hello" }]);
  // @ts-expect-error a part that is no text
  void worker.generate([{ role: "user", content: [{ type: "image_url", image_url: "x" }] }]);
  // @ts-expect-error a tool's result says whose it is in a message of its own
  void worker.generate([{ role: "tool", content: [{ type: "tool-result" }] }]);
  // @ts-expect-error there is no such overflow
  void worker.generate("Hello", { contextOverflow: "shift" });
  // @ts-expect-error the default session is not set
  worker.session = null;
  // @ts-expect-error a model to download has a name
  void worker.downloadModel(new URL("https://example.com/model.gguf"));
  // @ts-expect-error there is no such message
  worker.handleMessage({ type: "bogus" });
  // @ts-expect-error a port can post
  new LlamaWorker({ on() {} });
  // @ts-expect-error there is no such code
  new LlamaError("OOPS", "something happened");
}
