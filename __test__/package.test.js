/**
 * The package as a user gets it: packed from this checkout, installed from tarballs into an empty project, used from there with every module
 * system, compiler setting and bundler that people use.
 *
 * Needs no registry, which also shows that the package has no dependencies. The features themselves are the other tests' business.
 */

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { after, before, test } = require("node:test");
const { CHECKOUT, PLATFORM, installTarballs, packPackages, run, temporaryFolder } = require("./consumer");
const { CAPITAL } = require("./support");

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
const IMPORTING = `import { LlamaWorker, LlamaError, builtInModelPath } from "llama-worker";\nasync function main() {${USE}}\nmain();\n`;

/** @type {string} */
let folder;
/** @type {string} */
let project;
/** @type {{ root: import("./consumer").Tarball, platform: import("./consumer").Tarball }} */
let packed;

before(async () => {
  folder = temporaryFolder();
  project = path.join(folder, "project");
  packed = await packPackages(folder);
  await installTarballs(project, [packed.root, packed.platform]);
});

after(() => fs.rmSync(folder, { recursive: true, force: true }));

/**
 * @param {string} name
 * @param {string} source
 * @returns {Promise<string>} what the script printed
 */
function runInProject(name, source) {
  write(name, source);
  return run(process.execPath, [name], project);
}

/**
 * @param {string} name
 * @param {string} source
 */
function write(name, source) {
  const file = path.join(project, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, source);
  return file;
}

/**
 * A development tool of the checkout, run in the project.
 *
 * @param {string} script
 * @param {string[]} args
 */
function tool(script, args) {
  return run(process.execPath, [path.join(CHECKOUT, "node_modules", script), ...args], project);
}

/** @param {string} printed */
function assertAnswers(printed) {
  assert.deepEqual(JSON.parse(printed), { text: CAPITAL.answer, error: "LlamaError" });
}

test("the root package has JavaScript, types and the model, and nothing native", () => {
  const { entries } = packed.root;
  const listed = manifest.files.filter((/** @type {string} */ entry) => !entry.includes("*"));
  for (const entry of [...listed, "README.md", "LICENSE", "js/index.mjs", "js/worker.js", "js/cli.js", "index.d.mts"]) {
    assert.ok(
      entries.some((file) => file === entry || file.startsWith(`${entry}/`)),
      `\`${entry}\` is packed`,
    );
  }
  const foreign =
    /^(\.|npm|node_modules|target|src|crates|cmake|scripts|__test__|bench|Cargo|package-lock|tsconfig|biome)|\.(node|so|dll|dylib)$/;
  assert.deepEqual(
    entries.filter((file) => foreign.test(file)),
    [],
  );
});

test("the platform package has the addon, its libraries and its papers, as plain files", () => {
  const names = packed.platform.entries;
  assert.ok(names.includes("llama-worker.node"), names.join(", "));
  for (const library of ["llama-lw", "llama-common-lw", "ggml-lw", "ggml-base-lw", "ggml-cpu"]) {
    assert.ok(
      names.some((name) => RegExp(`^(lib)?${library}.*\\.(so|dylib|dll)$`).test(name)),
      `${library} among ${names.join(", ")}`,
    );
  }
  for (const paper of ["LICENSE", "THIRD-PARTY-NOTICES.md", "sbom.cdx.json"]) assert.ok(names.includes(paper), paper);
  const installed = path.join(project, "node_modules", `llama-worker-${PLATFORM}`);
  for (const name of names) assert.ok(fs.lstatSync(path.join(installed, name)).isFile(), name);
});

test("the list of parts names what is inside", () => {
  const file = path.join(project, "node_modules", `llama-worker-${PLATFORM}`, "sbom.cdx.json");
  const bom = JSON.parse(fs.readFileSync(file, "utf8"));
  assert.equal(bom.bomFormat, "CycloneDX");
  assert.equal(bom.metadata.component.name, `llama-worker-${PLATFORM}`);
  const names = bom.components.map((/** @type {{ name: string }} */ { name }) => name);
  for (const name of ["llama.cpp and ggml", "cpp-httplib", "napi", "llguidance"]) assert.ok(names.includes(name), name);
  for (const name of ["serde_derive", "bindgen", "jsonschema"]) assert.ok(!names.includes(name), name);
  for (const { name, licenses } of bom.components) {
    const [{ license, expression }] = licenses;
    assert.match(license?.id ?? expression, /^[\w.-]+( (OR|AND|WITH) [\w.()-]+)*$|^\(/, name);
  }
});

test("the package has no dependencies and runs nothing when it is installed", () => {
  const installed = JSON.parse(fs.readFileSync(path.join(project, "node_modules/llama-worker/package.json"), "utf8"));
  assert.equal(installed.dependencies, undefined);
  assert.equal(installed.scripts, undefined);
  const native = JSON.parse(
    fs.readFileSync(path.join(project, `node_modules/llama-worker-${PLATFORM}/package.json`), "utf8"),
  );
  assert.deepEqual(
    LIFECYCLE_SCRIPTS.filter((name) => name in { ...manifest.scripts, ...native.scripts }),
    [],
  );
  assert.deepEqual(
    fs.readdirSync(path.join(project, "node_modules")).filter((name) => !name.startsWith(".")),
    ["llama-worker", `llama-worker-${PLATFORM}`],
  );
});

test("the addon comes from the platform package, with the first worker", async () => {
  const source = `const { LlamaWorker } = require("llama-worker");
    const addon = () => Object.keys(require.cache).find((file) => file.endsWith(".node"));
    console.log(addon());
    new LlamaWorker();
    console.log(addon());`;
  const [imported, used] = (await runInProject("where.cjs", source)).trim().split("\n");
  assert.equal(imported, "undefined");
  assert.equal(used, path.join(project, "node_modules", `llama-worker-${PLATFORM}`, "llama-worker.node"));
});

test("require gives the class, and it answers", async () => {
  const source = `
    const { LlamaWorker, LlamaError, builtInModelPath } = require("llama-worker");
    (async () => {${USE}})();
  `;
  assertAnswers(await runInProject("consumer.cjs", source));
});

test("import gives the class, and it answers", async () => {
  assertAnswers(await runInProject("consumer.mjs", IMPORTING));
});

test("both module systems get the same class", async () => {
  const source = `
    import { createRequire } from "node:module";
    import facade, { LlamaWorker } from "llama-worker";
    const required = createRequire(import.meta.url)("llama-worker");
    console.log(required.LlamaWorker === LlamaWorker && facade.LlamaWorker === LlamaWorker);
  `;
  assert.equal((await runInProject("same.mjs", source)).trim(), "true");
});

test("the fork script resolves to a file of the package", async () => {
  const source = `console.log(require.resolve("llama-worker/worker"))`;
  const file = (await runInProject("resolve.cjs", source)).trim();
  assert.equal(file, path.join(project, "node_modules/llama-worker/js/worker.js"));
  assert.ok(fs.existsSync(file));
});

test("npx llama-worker answers in the terminal", async () => {
  const answer = await run("npm", ["exec", "--offline", "--", "llama-worker", CAPITAL.question], project);
  assert.equal(answer, `${CAPITAL.answer}\n`);
});

const TYPED = `
  import facade, { LlamaError, LlamaWorker, builtInModelPath, type InitInfo } from "llama-worker";
  export async function answer(prompt: string): Promise<string> {
    await using worker = new LlamaWorker();
    const info: InitInfo = await worker.init({ gpu: "auto" });
    const variant: string | null = info.cpuVariant;
    await worker.loadModel(builtInModelPath, { gpuLayers: variant === null ? "auto" : 0 });
    const { text } = await worker.generate(prompt);
    // @ts-expect-error there is no such option
    await worker.init({ gpus: "auto" });
    if (text === "") throw new LlamaError("INTERNAL", "no answer");
    return new facade.LlamaWorker() instanceof LlamaWorker ? text : "";
  }
`;
const REQUIRED = `
  import llama = require("llama-worker");
  export const worker: llama.LlamaWorker = new llama.LlamaWorker();
  export const path: string = llama.builtInModelPath;
`;

/** @type {[module: string, moduleResolution: string, files: Record<string, string>][]} */
const COMPILERS = [
  ["node16", "node16", { "a.mts": TYPED, "b.cts": REQUIRED }],
  ["nodenext", "nodenext", { "a.mts": TYPED, "b.cts": REQUIRED }],
  ["esnext", "bundler", { "a.ts": TYPED }],
];

for (const [module, moduleResolution, files] of COMPILERS) {
  test(`TypeScript finds the types with \`${moduleResolution}\``, async () => {
    const place = `typescript-${moduleResolution}`;
    const compilerOptions = {
      ...{
        module,
        moduleResolution,
        strict: true,
        noEmit: true,
        target: "es2022",
        lib: ["es2022", "esnext.disposable"],
      },
      ...{ types: ["node"], typeRoots: [path.join(CHECKOUT, "node_modules/@types")], skipLibCheck: false },
    };
    write(`${place}/tsconfig.json`, JSON.stringify({ compilerOptions }));
    for (const [name, source] of Object.entries(files)) write(`${place}/${name}`, source);
    assert.equal(await tool("typescript/bin/tsc", ["-p", path.join(project, place)]), "");
  });
}

for (const format of ["cjs", "esm"]) {
  test(`esbuild leaves the package outside a bundle (${format})`, async () => {
    const entry = write("esbuild/entry.mjs", IMPORTING);
    const bundle = path.join(project, `esbuild/out-${format}.${format === "cjs" ? "cjs" : "mjs"}`);
    const options = ["--bundle", "--platform=node", "--external:llama-worker", `--format=${format}`];
    await tool("esbuild/bin/esbuild", [entry, ...options, `--outfile=${bundle}`, "--log-level=warning"]);
    assertAnswers(await run(process.execPath, [bundle], project));
  });
}

test("Vite leaves the package outside a bundle, as Electron's main process is built", async () => {
  const entry = write("vite/main.mjs", IMPORTING);
  const config = {
    ...{ root: path.join(project, "vite"), configFile: false, logLevel: "error" },
    build: {
      ...{ outDir: "out", lib: { entry, formats: ["cjs"], fileName: "main" } },
      rollupOptions: { external: ["llama-worker"] },
    },
  };
  const script = path.join(CHECKOUT, "node_modules/vite/dist/node/index.js");
  const build = `import(${JSON.stringify(`file://${script}`)}).then(({ build }) => build(${JSON.stringify(config)}));`;
  await runInProject("vite/build.cjs", build);
  const [bundle] = fs.readdirSync(path.join(project, "vite/out")).filter((name) => /\.c?js$/.test(name));
  fs.renameSync(path.join(project, "vite/out", bundle), path.join(project, "vite/out/main.cjs"));
  assertAnswers(await run(process.execPath, ["vite/out/main.cjs"], project));
});

test("publint has nothing to say", async () => {
  const installed = path.join(project, "node_modules/llama-worker");
  const printed = await tool("publint/src/cli.js", [installed, "--strict", "--pack", "false"]);
  assert.match(printed, /All good!/);
});

test("are-the-types-wrong has nothing to say", async () => {
  // Not for Node.js 10, which knows no `exports` and is far below what the package runs on.
  const args = [packed.root.file, "--profile", "node16", "--format", "ascii"];
  const printed = await tool("@arethetypeswrong/cli/dist/index.js", args);
  assert.match(printed, /node16 \(from CJS\): 🟢 \(CJS\)\nnode16 \(from ESM\): 🟢 \(ESM\)\nbundler: 🟢/);
  const judged = printed.split("\n").filter((line) => /^(node16|bundler)/.test(line));
  assert.deepEqual(
    judged.filter((line) => !line.includes("🟢")),
    [],
  );
});
