/** The engine's examples that the bench runs: built here, found where cargo puts them. */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { cargoEnvironment } = require("../scripts/setup/cargo");
const { runVisibly } = require("../scripts/setup/command");
const { ROOT } = require("./folders");

const EXAMPLES = ["bench-model", "raw"];

/**
 * As the addon that is measured is built, so that nothing is compiled twice. Takes a moment when nothing has changed.
 *
 * @param {{ environment?: Record<string, string | undefined>, features?: string[] }} build
 */
async function buildPrograms({ environment = {}, features = [] }) {
  const chosen = EXAMPLES.flatMap((name) => ["--example", name]);
  const flags = features.length > 0 ? ["--features", features.join(",")] : [];
  await runVisibly("cargo", ["build", "--quiet", "--release", "--workspace", "--locked", ...flags, ...chosen], {
    cwd: ROOT,
    environment: { ...cargoEnvironment(ROOT), ...environment },
  });
  // Where `exampleProgram` looks, here and in what is started from here.
  if (environment.CARGO_TARGET_DIR) process.env.CARGO_TARGET_DIR = environment.CARGO_TARGET_DIR;
}

function exampleProgram(name) {
  const target = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target");
  const file = path.join(target, "release", "examples", process.platform === "win32" ? `${name}.exe` : name);
  if (!fs.existsSync(file)) throw new Error(`\`${file}\` is not there: \`npm run bench\` builds it`);
  return file;
}

module.exports = { buildPrograms, exampleProgram };
