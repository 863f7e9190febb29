/**
 * `npm test`: the setup, then every check of the project, ended by the first that fails. `npm test -- clippy tsc` runs only those named.
 *
 * What CI runs and what a developer runs is the same. Prints nothing after the last test runner's own summary.
 */

"use strict";

require("./setup/node-version").requireNode();

const fs = require("node:fs");
const path = require("node:path");
const { ROOT, setUp } = require("./setup");
const { runCargo } = require("./setup/cargo");
const { runVisibly } = require("./setup/command");
const { thisMachine } = require("./setup/machine");
const { say } = require("./setup/report");
const { StepFailed, runScript } = require("./setup/step-failed");

/** Far above what any test takes: one that hangs, in a hook too, fails instead of holding up everything. */
const LONGEST_TEST_MS = 180_000;

/** @typedef {{ name: string, checks: string, run: () => Promise<void> }} Step */

/** @type {Step[]} cheap ones first */
const STEPS = [
  { name: "rustfmt", checks: "the format of the Rust code", run: () => runCargo(ROOT, ["fmt", "--all", "--check"]) },
  {
    name: "biome",
    checks: "format and lints of the JavaScript",
    run: () => runNode(["node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings"]),
  },
  { name: "tsc", checks: "types, also of the example for Electron", run: runTypeCheck },
  {
    name: "generated",
    checks: "generated files are up to date",
    run: () => runNode(["scripts/generate.js", "--check"]),
  },
  {
    name: "clippy",
    checks: "lints of the Rust code",
    run: () => runCargo(ROOT, [...inRelease("clippy"), "--all-targets", "--", "-D", "warnings"]),
  },
  { name: "model-pipeline", checks: "how the built-in model is made", run: runModelPipeline },
  { name: "cargo-test", checks: "the engine", run: () => runCargo(ROOT, inRelease("test")) },
  {
    name: "node-test",
    checks: "the package, through the built addon",
    run: () => runNode(["--test", `--test-timeout=${LONGEST_TEST_MS}`, "--test-reporter=spec", ...testFiles()]),
  },
];

async function runTypeCheck() {
  for (const project of [".", "examples/electron-chat"])
    await runNode(["node_modules/typescript/bin/tsc", "-p", project]);
}

/** @param {string} command */
function inRelease(command) {
  return [command, "--release", "--workspace", "--locked"];
}

/**
 * In CI with a few steps of real training. That takes a gigabyte of Python packages, so elsewhere only what runs without them is tested;
 * using and changing the addon needs no Python at all.
 */
async function runModelPipeline() {
  const folder = path.join(ROOT, "models", "tiny-chat");
  if (process.env.CI === "true") return runVisibly(path.join(folder, "make"), ["--test"], { cwd: folder });
  if (thisMachine().hasCommand("python3")) return runVisibly("python3", ["-m", "unittest"], { cwd: folder });
  say("left out, because there is no python3");
}

/** @param {string[]} args */
function runNode(args) {
  return runVisibly(process.execPath, args, { cwd: ROOT });
}

function testFiles() {
  const names = fs.readdirSync(path.join(ROOT, "__test__")).filter((name) => /\.test\.m?js$/.test(name));
  return names.sort().map((name) => `__test__/${name}`);
}

/** @param {string[]} names */
function chosenSteps(names) {
  const unknown = names.find((name) => !STEPS.some((step) => step.name === name));
  if (unknown)
    throw new StepFailed(`unknown step \`${unknown}\`, expected ${STEPS.map(({ name }) => name).join(", ")}`);
  return names.length > 0 ? STEPS.filter((step) => names.includes(step.name)) : STEPS;
}

/** @param {Step} step */
async function runStep({ name, checks, run }) {
  process.stdout.write(`\n== ${name}: ${checks}\n`);
  try {
    await run();
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    throw new StepFailed(`${error.message}; \`npm test -- ${name}\` runs this step alone`);
  }
}

runScript(async () => {
  const steps = chosenSteps(process.argv.slice(2));
  await setUp();
  for (const step of steps) await runStep(step);
});
