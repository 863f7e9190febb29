/**
 * `npm run memcheck`: the engine's tests under valgrind. Reads and writes where nothing is, and memory that is lost for good, are failures.
 *
 *   node scripts/memcheck.js [--test chat|engine] [filter…]     without a filter the unit tests of the rooms in which C++ code runs or memory is counted
 *
 * A filter that no test has in its name is a failure too: nothing was looked at. Looks at our code and at what it calls in llama.cpp's libraries. valgrind runs everything some thirty times slower.
 */

"use strict";

const path = require("node:path");
const { parseArgs } = require("node:util");
const { ROOT } = require("./setup");
const { runQuietly } = require("./setup/command");
const { thisMachine } = require("./setup/machine");
const { StepFailed, runScript } = require("./setup/step-failed");

/** Unit tests in which C++ code of ours or of llama.cpp runs, or which take apart what comes from there. */
const DEFAULT_FILTERS = ["llama::", "chat::", "text::"];
/** These make more than valgrind can follow in a time that anybody would wait for, or are about a process's own memory. */
const LEFT_OUT = ["a_death_that_nobody_catches", "what_is_allocated_is_noticed"];

async function memcheck() {
  if (!thisMachine().hasCommand("valgrind")) throw new StepFailed("`valgrind` is not installed");
  const { values, positionals } = parseArgs({ options: { test: { type: "string" } }, allowPositionals: true });
  const filters = positionals.length > 0 || values.test ? positionals : DEFAULT_FILTERS;
  const program = await testProgram(values.test);
  const skipped = LEFT_OUT.flatMap((name) => ["--skip", name]);
  const valgrind = [
    ...["--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"],
    ...["--quiet", `--suppressions=${path.join(__dirname, "memcheck.supp")}`],
  ];
  /** @type {string[]} */
  const lines = [];
  await runQuietly("valgrind", [...valgrind, program, "--test-threads=1", ...skipped, ...filters], {
    cwd: path.join(ROOT, "crates", "engine"),
    // As cargo itself does it: llama.cpp's libraries lie beside what was built.
    environment: { LD_LIBRARY_PATH: path.dirname(path.dirname(program)) },
    onOutputLine: (line) => {
      lines.push(line);
      process.stdout.write(`${line}\n`);
    },
    onErrorLine: (line) => void process.stderr.write(`${line}\n`),
  });
  const idle = filtersWithoutTests(filters, lines);
  if (idle.length > 0) throw new StepFailed(`no test ran for ${idle.join(", ")}`);
  process.stdout.write("passed\n");
}

/**
 * @param {string[]} filters parts of tests' names; none are all tests
 * @param {string[]} lines what the tests printed
 * @returns {string[]} those for which no test ran
 */
function filtersWithoutTests(filters, lines) {
  const names = lines.flatMap((line) => /^test (\S+) \.\.\./.exec(line)?.[1] ?? []);
  if (names.length === 0) return filters.length > 0 ? filters : ["any name"];
  return filters.filter((filter) => !names.some((name) => name.includes(filter)));
}

/**
 * Builds the engine's unit tests, or those in a folder of `tests/`, and says where they are.
 *
 * @param {string} [folder]
 */
async function testProgram(folder) {
  const args = [
    "test",
    "--release",
    "--locked",
    "-p",
    "llama-worker-engine",
    ...(folder ? ["--test", folder] : ["--lib"]),
    "--no-run",
    "--message-format=json",
  ];
  /** @type {string | undefined} */
  let program;
  const onOutputLine = (/** @type {string} */ line) => {
    if (!line.startsWith("{")) return;
    const { executable, target } = JSON.parse(line);
    if (executable && target?.name === (folder ?? "llama_worker_engine")) program = executable;
  };
  await runQuietly("cargo", args, { cwd: ROOT, onOutputLine });
  if (!program) throw new StepFailed("cargo built no test program");
  return program;
}

if (require.main === module) runScript(memcheck);

module.exports = { filtersWithoutTests };
