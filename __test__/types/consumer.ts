/**
 * Uses every public type the way a program does; `tsc` is the test. Never runs.
 */

import type { MessagePort as ThreadPort } from "node:worker_threads";
import {
  builtInModelPath,
  type ChatMessage,
  type ContextInfo,
  type ErrorCode,
  type Generation,
  type GenerationResult,
  type InboundMessage,
  type InitInfo,
  LlamaError,
  LlamaWorker,
  type MessagePortLike,
  type ModelInfo,
  type OutboundMessage,
  type StopReason,
} from "../../index";

import facade = require("../../js/index");

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
    threads: info.devices.length,
    flashAttention: "auto",
    kvCacheType: "q8_0",
  });
  const result: GenerationResult = await worker.generate(
    `${context.contextSize}`,
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
    case "completion_chunk":
      return message.chunk;
    case "completion_done":
      return `${message.fullText} ${message.stats.totalTokens}`;
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
  // @ts-expect-error there is no such message
  worker.handleMessage({ type: "bogus" });
  // @ts-expect-error a port can post
  new LlamaWorker({ on() {} });
  // @ts-expect-error there is no such code
  new LlamaError("OOPS", "something happened");
}
