/**
 * The native class as the addon exports it. Made from src/ by `npm run generate`; the public types are in index.d.ts.
 */

/** The native part of the class in `js/llama-worker.js`, which holds one. */
export declare class LlamaWorker {
  /** Downloads one model or several, beside everything else. */
  downloadModel(modelIds: string | readonly string[], options?: object): number
  /** Aborts every download. Returns whether there was any. */
  abortDownloads(): boolean
  /**
   * `onEvents` gets arrays of events, in order; `nativeDirectory` is the folder with the libraries beside the addon; `gpuBackends` are
   * those that this platform can have.
   */
  constructor(onEvents: (events: object[]) => void, nativeDirectory: string, gpuBackends?: { gpu: string, library?: string, remedy: string }[])
  /** Loads the compute backends. */
  init(options?: object): number
  /** Loads a model; `path` counts before the `modelPath` of the options. */
  loadModel(options?: object, path?: string): number
  /** Creates the context, in place of the one before. */
  createContext(options?: object): number
  /** Generates from a prompt or messages, in a session or in the default one. */
  generate(input: string | object[], options?: object, session?: number): number
  /** Evaluates a prompt, so that an answer to it can begin sooner. */
  preload(prompt: string | object[], options?: object, session?: number): number
  /** Begins a session under a number that none had before. */
  createSession(session: number, options?: object): number
  /** What was said in a session. */
  sessionHistory(session?: number): number
  /** Puts messages in place of what was said. */
  setSessionHistory(session: number, messages: object[]): number
  /** Goes back to what a session began with. */
  resetSession(session?: number): number
  /** Takes back the turn that waits for results of tools. */
  abandonToolCalls(session?: number): number
  /** Ends a session. */
  disposeSession(session: number): number
  /** Counts the tokens of a session, with `prompt` as the next thing the user says. */
  countSessionTokens(session?: number, prompt?: string, options?: object): number
  /** The tokens of a text. */
  tokenize(text: string, options?: object): number
  /** The text of tokens. */
  detokenize(tokens: number[], options?: object): number
  /** What the model would be given for messages. */
  applyChatTemplate(messages: object[], options?: object): number
  /** Aborts one request, or every generation. Returns whether there was anything to abort. */
  abort(id?: number | undefined | null): boolean
  /** Aborts everything and frees everything. */
  cleanup(): number
  /**
   * Ends every download and every engine thread of the process and waits for them, at most two seconds each. For a process that is about
   * to exit.
   */
  static stopAll(): void
  /**
   * Handles a message of the contract. Returns the id of the step it began, or 0 when it was answered at once.
   * A generation that `isAborted` was aborted while it waited for its turn, and only ends.
   */
  handleMessage(message: unknown, isAborted?: boolean): number
}
