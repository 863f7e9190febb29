/**
 * Texts of a given number of tokens, for the vocabularies that `crates/engine/examples/bench-model/vocabulary.rs` makes: every word of two
 * syllables with a space before it is one token.
 */

"use strict";

/** The same seed gives the same words. The text begins without a space, so its first word is a token or two more. */
function words({ consonants, vowels }, count, seed) {
  const syllables = [...consonants].flatMap((consonant) => [...vowels].map((vowel) => consonant + vowel));
  const random = randomNumbers(seed);
  const syllable = () => syllables[Math.floor(random() * syllables.length)];
  return Array.from({ length: count }, () => syllable() + syllable()).join(" ");
}

/** Numbers from 0 to 1. */
function randomNumbers(seed) {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x85ebca6b) >>> 0 || 1;
  return () => {
    // Marsaglia's xorshift.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Of a model with a generated vocabulary; the built-in one is asked in its own language. */
function promptFor(model, tokens, seed) {
  if (model.description) return words(model.description, tokens, seed);
  return `${seed} ${"Tell me a long story. ".repeat(Math.max(1, Math.round(tokens / 6)))}`;
}

module.exports = { promptFor, randomNumbers, words };
