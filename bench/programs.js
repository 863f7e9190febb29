/** The engine's examples that the bench runs: built here, found where cargo puts them. */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { runCargo } = require("../scripts/setup/cargo");
const { ROOT } = require("./folders");

const EXAMPLES = ["bench-model", "raw"];

/** As the tests build them, so that nothing is compiled twice. Takes a moment when nothing has changed. */
async function buildPrograms() {
  const chosen = EXAMPLES.flatMap((name) => ["--example", name]);
  await runCargo(ROOT, ["build", "--quiet", "--release", "--workspace", "--locked", ...chosen]);
}

function exampleProgram(name) {
  const target = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target");
  const file = path.join(target, "release", "examples", process.platform === "win32" ? `${name}.exe` : name);
  if (!fs.existsSync(file)) throw new Error(`\`${file}\` is not there: \`npm run bench\` builds it`);
  return file;
}

module.exports = { buildPrograms, exampleProgram };
