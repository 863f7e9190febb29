/** Which sides a row compares. */

"use strict";

const { PEERS } = require("../peers");

/** The addon, another side, and the peers that are installed. */
function addonAnd(other, bench) {
  return ["addon", other, ...bench.peers];
}

module.exports = { PEER_NAMES: PEERS, addonAnd };
