/**
 * The packages that the bench compares with, installed in the cache at the versions of `peers/package-lock.json`.
 *
 * CPU packages only and no install scripts: nothing is compiled, and no weights are downloaded.
 */

"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { npmCommand, runQuietly } = require("../scripts/setup/command");
const { made } = require("./folders");

const DESCRIPTIONS = ["package.json", "package-lock.json", ".npmrc"];
const PEERS = ["node-llama-cpp", "llama.node"];

/** The folder they are in; `undefined` where their prebuilt packages do not run. */
async function ensurePeers(cache, say) {
  if (process.platform !== "linux" || process.arch !== "x64") {
    say("the peers are pinned for Linux x64 only, they are left out");
    return undefined;
  }
  const source = path.join(__dirname, "peers");
  const hash = crypto.createHash("sha256");
  for (const name of DESCRIPTIONS) hash.update(fs.readFileSync(path.join(source, name)));
  const folder = made(cache, "peers", hash.digest("hex").slice(0, 12));
  const finished = path.join(folder, ".installed");
  if (fs.existsSync(finished)) return folder;
  say("installing the peers");
  for (const name of DESCRIPTIONS) fs.copyFileSync(path.join(source, name), path.join(folder, name));
  // `install`, not `ci`: the lock cannot name optional packages of other platforms that were never published. Without optional ones,
  // which are hundreds of megabytes of GPU builds; the CPU builds are dependencies of our own list.
  const args = ["install", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"];
  const [command, npmArgs] = npmCommand(args);
  await runQuietly(command, npmArgs, { cwd: folder, failure: "the peers could not be installed" });
  fs.writeFileSync(finished, "");
  return folder;
}

/** Their versions, as they are pinned. */
function peerVersions() {
  const { dependencies } = require("./peers/package.json");
  return { "node-llama-cpp": dependencies["node-llama-cpp"], "llama.node": dependencies["@fugood/llama.node"] };
}

module.exports = { PEERS, ensurePeers, peerVersions };
