/**
 * The rounds of one answer: what the model said before it called tools, and what it said to their results, as one result.
 *
 * Generates nothing and calls nothing.
 */

"use strict";

/** @typedef {import("../index").GenerationResult} Result */

/** What there is when nothing was generated. */
function nothing() {
  const usage = {
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    reasoningTokens: 0,
    totalTokens: 0,
    droppedMessages: 0,
    draftedTokens: 0,
    acceptedTokens: 0,
  };
  const timings = { promptMs: 0, firstTokenMs: 0, generationMs: 0, tokensPerSecond: 0, threads: 0 };
  return { text: "", reasoning: "", stopReason: "abort", toolCalls: [], usage, timings };
}

class Rounds {
  /** @type {any[]} */
  #results = [];

  /** How many there are. */
  get length() {
    return this.#results.length;
  }

  /** @param {any} result of the addon, for one round */
  add(result) {
    this.#results.push(result);
  }

  /**
   * Notes what the calls of the last round gave.
   *
   * @param {string[]} texts in the order of the calls
   */
  addToolResults(texts) {
    const last = this.#results[this.#results.length - 1];
    last.toolCalls = last.toolCalls.map((/** @type {object} */ call, /** @type {number} */ index) => ({
      ...call,
      result: texts[index],
    }));
  }

  /**
   * @param {import("../index").StopReason} [stopReason] when it did not end as its last round did
   * @returns {any}
   */
  total(stopReason) {
    const results = this.#results;
    const last = results[results.length - 1] ?? nothing();
    const sum = results.length > 1 ? { ...last, ...summed(results) } : last;
    return stopReason ? { ...sum, stopReason } : sum;
  }
}

/** @param {any[]} results */
function summed(results) {
  const logprobs = results.flatMap((result) => result.logprobs ?? []);
  return {
    text: results.map((result) => result.text).join(""),
    reasoning: results.map((result) => result.reasoning).join(""),
    toolCalls: results.flatMap((result) => result.toolCalls),
    ...(logprobs.length > 0 && { logprobs }),
    usage: summedUsage(results.map((result) => result.usage)),
    timings: summedTimings(results.map((result) => result.timings)),
  };
}

/** @param {any[]} usages */
function summedUsage(usages) {
  const { droppedMessages } = usages[usages.length - 1];
  return {
    promptTokens: sumOf(usages, "promptTokens"),
    cachedTokens: sumOf(usages, "cachedTokens"),
    completionTokens: sumOf(usages, "completionTokens"),
    reasoningTokens: sumOf(usages, "reasoningTokens"),
    totalTokens: sumOf(usages, "totalTokens"),
    droppedMessages,
    draftedTokens: sumOf(usages, "draftedTokens"),
    acceptedTokens: sumOf(usages, "acceptedTokens"),
  };
}

/** @param {any[]} timings */
function summedTimings(timings) {
  const generationMs = sumOf(timings, "generationMs");
  const tokens = timings.reduce((sum, { tokensPerSecond, generationMs: ms }) => sum + (tokensPerSecond * ms) / 1000, 0);
  return {
    promptMs: sumOf(timings, "promptMs"),
    firstTokenMs: timings[0].firstTokenMs,
    generationMs,
    tokensPerSecond: generationMs > 0 ? (tokens * 1000) / generationMs : 0,
    threads: timings[timings.length - 1].threads,
  };
}

/**
 * @param {any[]} list
 * @param {string} field
 */
function sumOf(list, field) {
  return list.reduce((sum, element) => sum + element[field], 0);
}

module.exports = { Rounds };
