/**
 * The package as a user gets it: packed from this checkout, installed into an empty project, used from there.
 *
 * Needs no registry, which also shows that the package has no dependencies. The features themselves are the other tests' business.
 */

"use strict";

const assert = require("node:assert/strict");
const { execFile } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { after, before, test } = require("node:test");
const { promisify } = require("node:util");
const { CAPITAL, HANG_MS } = require("./support");

const CHECKOUT = path.join(__dirname, "..");
const manifest = JSON.parse(fs.readFileSync(path.join(CHECKOUT, "package.json"), "utf8"));

/** What npm runs where a package is installed. `prepack` is not among them: it runs only where one is packed. */
const LIFECYCLE_SCRIPTS = ["preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare"];

/** Says what a consumer sees, in a form that both module systems can print. */
const USE = `
  const worker = new LlamaWorker();
  await worker.init({ gpu: false, numThreads: 1 });
  await worker.loadModel(builtInModelPath);
  await worker.createContext({ threads: 1 });
  const { text } = await worker.generate(${JSON.stringify(CAPITAL.question)});
  await worker.cleanup();
  console.log(JSON.stringify({ text, error: LlamaError.name }));
`;

/** @type {string} */
let folder;
/** @type {string} */
let project;
/** @type {string[]} */
let packedFiles;

/** What npm told this process about our own package must not reach the npm of the empty project. */
function cleanEnvironment() {
  const foreign = /^(npm_|LLAMA_WORKER_NATIVE_DIR$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 * @returns {Promise<string>} what it printed; rejects when it fails or does not end by itself
 */
async function run(command, args, cwd) {
  const shell = process.platform === "win32" && command !== process.execPath;
  const options = { cwd, env: cleanEnvironment(), timeout: HANG_MS, shell };
  const { stdout } = await promisify(execFile)(command, args, options);
  return stdout;
}

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-package-"));
  project = path.join(folder, "project");
  fs.mkdirSync(project);
  fs.writeFileSync(path.join(project, "package.json"), JSON.stringify({ name: "consumer", private: true }));
  const [packed] = JSON.parse(await run("npm", ["pack", "--json", "--pack-destination", folder], CHECKOUT));
  packedFiles = packed.files.map((/** @type {{ path: string }} */ file) => file.path);
  const install = ["install", "--ignore-scripts", "--offline", "--no-audit", "--no-fund"];
  await run("npm", [...install, path.join(folder, packed.filename)], project);
});

after(() => fs.rmSync(folder, { recursive: true, force: true }));

/**
 * @param {string} name
 * @param {string} source
 * @returns {Promise<string>} what the script printed
 */
function runInProject(name, source) {
  fs.writeFileSync(path.join(project, name), source);
  return run(process.execPath, [name], project);
}

test("every file that package.json lists is packed, and nothing of the sources", () => {
  const listed = manifest.files.filter((/** @type {string} */ entry) => !entry.includes("*"));
  for (const entry of [...listed, "README.md", "LICENSE", "js/index.mjs", "js/worker.js", "js/cli.js"]) {
    const isPacked = packedFiles.some((file) => file === entry || file.startsWith(`${entry}/`));
    assert.ok(isPacked, `\`${entry}\` is packed`);
  }
  const foreign = /^(\.|node_modules|target|src|crates|cmake|scripts|__test__|bench|Cargo|package-lock|tsconfig|biome)/;
  assert.deepEqual(
    packedFiles.filter((file) => foreign.test(file)),
    [],
  );
});

test("the addon of this platform travels with its libraries", () => {
  const natives = packedFiles.filter((file) => file.startsWith("npm/")).map((file) => path.posix.basename(file));
  assert.ok(natives.includes("llama-worker.node"), natives.join(", "));
  for (const library of ["llama-lw", "llama-common-lw", "ggml-lw", "ggml-base-lw", "ggml-cpu"]) {
    assert.ok(
      natives.some((name) => RegExp(`^(lib)?${library}.*\\.(so|dylib|dll)$`).test(name)),
      `${library} among ${natives.join(", ")}`,
    );
  }
});

test("the package has no dependencies and runs nothing when it is installed", () => {
  const installed = JSON.parse(fs.readFileSync(path.join(project, "node_modules/llama-worker/package.json"), "utf8"));
  assert.deepEqual({ ...installed.dependencies, ...installed.optionalDependencies, ...installed.peerDependencies }, {});
  assert.deepEqual(
    LIFECYCLE_SCRIPTS.filter((name) => name in installed.scripts),
    [],
  );
  assert.deepEqual(
    fs.readdirSync(path.join(project, "node_modules")).filter((name) => !name.startsWith(".")),
    ["llama-worker"],
  );
});

test("every folder of `npm/` describes the package it becomes", () => {
  for (const name of fs.readdirSync(path.join(CHECKOUT, "npm")).filter((entry) => !entry.startsWith("."))) {
    const platform = JSON.parse(fs.readFileSync(path.join(CHECKOUT, "npm", name, "package.json"), "utf8"));
    assert.equal(platform.name, `llama-worker-${name}`);
    assert.equal(platform.version, manifest.version);
    assert.equal(platform.main, "llama-worker.node");
    assert.deepEqual(
      platform.files.filter((/** @type {string} */ file) => file.includes("*")),
      [],
    );
  }
});

test("require gives the class, and it answers", async () => {
  const source = `
    const { LlamaWorker, LlamaError, builtInModelPath } = require("llama-worker");
    (async () => {${USE}})();
  `;
  const { text, error } = JSON.parse(await runInProject("consumer.cjs", source));
  assert.equal(text, CAPITAL.answer);
  assert.equal(error, "LlamaError");
});

test("import gives the class, and it answers", async () => {
  const source = `import { LlamaWorker, LlamaError, builtInModelPath } from "llama-worker";${USE}`;
  const { text, error } = JSON.parse(await runInProject("consumer.mjs", source));
  assert.equal(text, CAPITAL.answer);
  assert.equal(error, "LlamaError");
});

test("both module systems get the same class", async () => {
  const source = `
    import { createRequire } from "node:module";
    import { LlamaWorker } from "llama-worker";
    console.log(createRequire(import.meta.url)("llama-worker").LlamaWorker === LlamaWorker);
  `;
  assert.equal((await runInProject("same.mjs", source)).trim(), "true");
});

test("the fork script resolves to a file of the package", async () => {
  const source = `console.log(require.resolve("llama-worker/worker"))`;
  const file = (await runInProject("resolve.cjs", source)).trim();
  const expected = path.join(fs.realpathSync(project), "node_modules/llama-worker/js/worker.js");
  assert.equal(file, expected);
  assert.ok(fs.existsSync(file));
});

test("npx llama-worker answers in the terminal", async () => {
  const answer = await run("npm", ["exec", "--offline", "--", "llama-worker", CAPITAL.question], project);
  assert.equal(answer, `${CAPITAL.answer}\n`);
});
