/** Whose turn it is in a round. Pure. */

"use strict";

/**
 * The sides that are held against each other are neighbours in every round, and take turns in going first; a third one moves along. Whoever is no
 * part of that comparison comes after them all, so that nobody stands between the two.
 *
 * @param {string[]} names all that take part in this round
 * @param {number} round from -1, which is not counted
 * @param {readonly string[]} apart those who come last
 */
function turnsOf(names, round, apart) {
  const compared = names.filter((name) => !apart.includes(name));
  const others = names.filter((name) => apart.includes(name));
  return [...rotated(compared, round + 1), ...rotated(others, round + 1)];
}

function rotated(names, by) {
  return names.map((_, place) => names[(place + by) % names.length]);
}

/**
 * A prompt of one of several sessions in one round. Never asked twice: a session that was reset still has in memory what it evaluated last, and
 * evaluates hardly anything of a prompt that it knows.
 */
function sessionSeed(index, round) {
  return 500 + index + 100 * (round + 2);
}

/** How many tokens all lists begin with: what a chat template puts in front of every prompt. */
function commonBeginning(lists) {
  const [first, ...others] = lists;
  const end = first.findIndex((token, place) => others.some((list) => list[place] !== token));
  return end < 0 ? first.length : end;
}

module.exports = { commonBeginning, sessionSeed, turnsOf };
