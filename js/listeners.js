/**
 * The callbacks of one generation: what the addon reports piece by piece goes to those who listen.
 *
 * Catches nothing: what a callback throws is for the caller to deal with, and ends the generation there.
 */

"use strict";

const { checkFunction } = require("./options");

const CALLBACKS = ["onTextChunk", "onToken", "onReasoningChunk", "onResponseChunk", "onFunctionCallParamsChunk"];

class Listeners {
  #callbacks;
  /** @type {(text: string) => void} */
  #onText;
  /** Chosen, but nothing of their text has come yet. */
  #tokens = /** @type {number[]} */ ([]);
  #isThinking = false;
  /** Calls of the rounds before this one. */
  #earlierCalls = 0;
  #callsOfRound = 0;

  /**
   * @param {Record<string, any>} callbacks the options of the generation
   * @param {(text: string) => void} onText hears the text before the callbacks do
   * @param {((text: string) => void) | null} [onTextArgument] the third argument of `generate`
   */
  constructor(callbacks, onText, onTextArgument) {
    for (const name of CALLBACKS) checkFunction(name, callbacks[name]);
    checkFunction("onToken", onTextArgument, "argument");
    const { onTextChunk, onToken, onReasoningChunk, onResponseChunk, onFunctionCallParamsChunk } = callbacks;
    this.#callbacks = { onToken, onReasoningChunk, onResponseChunk, onFunctionCallParamsChunk };
    this.#onText = (text) => {
      onText(text);
      onTextChunk?.(text);
      onTextArgument?.(text);
    };
  }

  /** Whether the addon has to report tokens. */
  get wantTokens() {
    return Boolean(this.#callbacks.onToken ?? this.#callbacks.onResponseChunk);
  }

  /** @param {import("./binding").Piece} piece */
  hear(piece) {
    switch (piece.type) {
      case "tokens":
        this.#tokens.push(...piece.tokens);
        return;
      case "reasoning":
        return this.#hearThought(piece.text);
      case "text":
        return this.#hearText(piece.text);
      case "toolCall":
        return this.#hearCall(piece);
    }
  }

  /** A round is over; tokens that became no text, such as those of a stop sequence, are nobody's. */
  endRound() {
    this.#tokens = [];
    this.#earlierCalls += this.#callsOfRound;
    this.#callsOfRound = 0;
    this.#endThought();
  }

  /** @param {string} text */
  #hearText(text) {
    const tokens = this.#takeTokens();
    this.#endThought();
    const { onToken, onResponseChunk } = this.#callbacks;
    this.#onText(text);
    if (tokens.length > 0) onToken?.(tokens);
    onResponseChunk?.({ type: undefined, text, tokens });
  }

  /** @param {string} text */
  #hearThought(text) {
    const tokens = this.#takeTokens();
    const start = this.#isThinking ? {} : { segmentStartTime: new Date() };
    this.#isThinking = true;
    this.#callbacks.onReasoningChunk?.(text);
    this.#callbacks.onResponseChunk?.({ type: "segment", segmentType: "thought", text, tokens, ...start });
  }

  #endThought() {
    if (!this.#isThinking) return;
    this.#isThinking = false;
    const end = { text: "", tokens: [], segmentEndTime: new Date() };
    this.#callbacks.onResponseChunk?.({ type: "segment", segmentType: "thought", ...end });
  }

  /** @param {{ index: number, name: string, arguments: string, done: boolean }} part */
  #hearCall({ index, name, arguments: paramsChunk, done }) {
    this.#tokens = [];
    this.#endThought();
    this.#callsOfRound = Math.max(this.#callsOfRound, index + 1);
    const callIndex = this.#earlierCalls + index;
    this.#callbacks.onFunctionCallParamsChunk?.({ callIndex, functionName: name, paramsChunk, done });
  }

  #takeTokens() {
    const tokens = this.#tokens;
    this.#tokens = [];
    return tokens;
  }
}

module.exports = { Listeners };
