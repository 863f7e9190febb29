/** Which sides a row compares. */

"use strict";

const { PEERS } = require("../peers");

/** The addon, another side, and the peers that are installed. */
function addonAnd(other, bench) {
  return ["addon", other, ...bench.peers];
}

/** The addon, the raw loop and the peers; without these for a large model, whose prompts take them minutes. The targets are about the raw loop. */
function rawAndPeers(bench, model) {
  return model.name === "1.1b" ? ["addon", "raw"] : addonAnd("raw", bench);
}

module.exports = { PEER_NAMES: PEERS, addonAnd, rawAndPeers };
