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

/** What says of which download something is told: the model as it was asked for, and the `requestId` that came with it, if one did. */
export interface DownloadOf {
  modelId: string;
  requestId?: string;
}

/** How far the load of a model is, or a download; from 0 to 1. `totalBytes` is missing while the server has not said it. */
export type Progress =
  | { operation: "load"; progress: number }
  | ({ operation: "download"; progress: number; downloadedBytes: number; totalBytes?: number } & DownloadOf);

/** Questions return at once; the answers come to the listeners. They take effect in the order they were asked, those about downloads at once. */
export interface LlmBridge {
  init(options?: MessageInitOptions): void;
  loadModel(options: MessageLoadModelOptions & { modelPath: string }): void;
  createContext(options?: CreateContextOptions): void;
  generateCompletion(prompt: string, options?: MessageGenerateOptions): void;
  generateChatCompletion(messages: readonly ChatMessage[], options?: MessageGenerateOptions): void;
  /** Several models are several downloads. Each ends with exactly one of `onDownloadComplete`, `onDownloadError` and `onDownloadAborted`. */
  downloadModel(modelId: string | readonly string[], requestId?: string): void;
  /** Ends the generation that runs. */
  abort(): void;
  /** Ends all downloads. What has come is kept: the next download of the same model goes on there. */
  abortDownload(): void;
  onModelLoaded(callback: (modelInfo: ModelInfo) => void): Unsubscribe;
  onProgress(callback: (progress: Progress) => void): Unsubscribe;
  onCompletionChunk(callback: (chunk: string) => void): Unsubscribe;
  onCompletionDone(callback: (done: { fullText: string; stats: MessageStats }) => void): Unsubscribe;
  /** `filePath` is what `loadModel` takes. */
  onDownloadComplete(callback: (download: DownloadOf & { filePath: string }) => void): Unsubscribe;
  onDownloadError(callback: (download: DownloadOf & { error: string; code: ErrorCode }) => void): Unsubscribe;
  onDownloadAborted(callback: (download: DownloadOf) => void): Unsubscribe;
  /** Every failure, those of downloads too. */
  onError(callback: (failure: { error: string; details?: string; code: ErrorCode }) => void): Unsubscribe;
}

declare global {
  interface Window {
    electronAPI: { llm: LlmBridge };
  }
}
