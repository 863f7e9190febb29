/** What the preload script gives the page. */

import type {
  ChatMessage,
  CreateContextOptions,
  ErrorCode,
  MessageGenerateOptions,
  MessageInitOptions,
  MessageLoadModelOptions,
  MessageStats,
  ModelInfo,
} from "llama-worker";

type Unsubscribe = () => void;

/** Questions return at once; the answers come to the listeners. They take effect in the order they were asked. */
export interface LlmBridge {
  init(options?: MessageInitOptions): void;
  loadModel(options: MessageLoadModelOptions & { modelPath: string }): void;
  createContext(options?: CreateContextOptions): void;
  generateCompletion(prompt: string, options?: MessageGenerateOptions): void;
  generateChatCompletion(messages: readonly ChatMessage[], options?: MessageGenerateOptions): void;
  downloadModel(modelId: string | readonly string[], requestId?: string): void;
  /** Ends the generation that runs. */
  abort(): void;
  abortDownload(): void;
  onModelLoaded(callback: (modelInfo: ModelInfo) => void): Unsubscribe;
  onProgress(callback: (progress: { operation: string; progress: number }) => void): Unsubscribe;
  onCompletionChunk(callback: (chunk: string) => void): Unsubscribe;
  onCompletionDone(callback: (done: { fullText: string; stats: MessageStats }) => void): Unsubscribe;
  onError(callback: (failure: { error: string; details?: string; code: ErrorCode }) => void): Unsubscribe;
}

declare global {
  interface Window {
    electronAPI: { llm: LlmBridge };
  }
}
