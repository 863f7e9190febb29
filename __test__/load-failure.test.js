/**
 * What is said when the addon does not load: the loader's own words, and what to do. Each failure is provoked on a copy of the real package,
 * in a process of its own.
 *
 * Other systems' words are a table: nobody's loader says them here.
 */

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { after, before, test } = require("node:test");
const { nativeDirectory } = require("../js/binding");
const { describeFailure, loaderWords } = require("../js/load-failure");
const { readElf } = require("../scripts/package/elf");
const { PLATFORMS } = require("../scripts/package/platforms");
const { CHECKOUT, PLATFORM, run, temporaryFolder } = require("./consumer");

const { version } = require("../package.json");
const NAME = `llama-worker-${PLATFORM}`;
const REPORT = `
  const { LlamaWorker, LlamaError } = require("llama-worker");
  try { new LlamaWorker(); console.log(JSON.stringify({ code: "none" })); }
  catch (error) {
    const { code, message, cause } = error;
    console.log(JSON.stringify({ code, message, cause: cause?.message, isOurs: error instanceof LlamaError }));
  }
`;

/** @type {string} */
let folder;
before(() => (folder = temporaryFolder()));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/**
 * A project with the JavaScript of this checkout, and without an addon unless it is given one.
 *
 * @param {string} name
 */
function projectOf(name) {
  const project = path.join(folder, name);
  const modules = path.join(project, "node_modules");
  fs.cpSync(path.join(CHECKOUT, "js"), path.join(modules, "llama-worker", "js"), { recursive: true });
  fs.copyFileSync(path.join(CHECKOUT, "package.json"), path.join(modules, "llama-worker", "package.json"));
  return { project, modules };
}

/**
 * @param {string} modules
 * @param {{ name?: string, omits?: string, version?: string }} [differences]
 */
function addNative(modules, { name = NAME, omits, version: other = version } = {}) {
  const target = path.join(modules, name);
  fs.mkdirSync(target, { recursive: true });
  for (const file of fs.readdirSync(nativeDirectory)) {
    if (file !== omits && /\.(node|so|dylib|dll)$/.test(file))
      fs.copyFileSync(path.join(nativeDirectory, file), path.join(target, file));
  }
  fs.writeFileSync(path.join(target, "package.json"), JSON.stringify({ name, version: other }));
  return target;
}

/**
 * @param {string} project
 * @param {string[]} [nodeOptions]
 */
async function failureOf(project, nodeOptions = []) {
  fs.writeFileSync(path.join(project, "report.cjs"), REPORT);
  return JSON.parse(await run(process.execPath, [...nodeOptions, "report.cjs"], project));
}

/**
 * @param {string} project
 * @param {RegExp[]} patterns
 * @param {string[]} [nodeOptions]
 */
async function assertFailure(project, patterns, nodeOptions) {
  const failure = await failureOf(project, nodeOptions);
  assert.deepEqual([failure.code, failure.isOurs], ["NATIVE_LOAD_FAILED", true], JSON.stringify(failure));
  for (const pattern of patterns) assert.match(failure.message, pattern);
  assert.doesNotMatch(failure.message, /npm has a bug/);
  return failure;
}

/** What is provoked is Linux's; the words that are expected are those of this system's C library. Both kinds of words are in the table below, everywhere. */
const onLinux = { skip: process.platform !== "linux" };
const isGlibc = process.platform === "linux" && PLATFORMS[PLATFORM].libc === "glibc";
/** Only glibc's libraries have versions, and only there another C library can be pretended. */
const onGlibc = { skip: !isGlibc };
const MISSING = isGlibc
  ? /libllama-lw\.so: cannot open shared object file/
  : /Error loading shared library libllama-lw\.so: No such file or directory/;

test("with all its files it loads", async () => {
  const { project, modules } = projectOf("whole");
  addNative(modules);
  assert.deepEqual(await failureOf(project), { code: "none" });
});

/** Loading it stops an application for milliseconds. */
test("the addon is loaded with the first worker, not with the package", async () => {
  const script = `
    const { LlamaWorker } = require(process.argv[1]);
    const isLoaded = () => Object.keys(require.cache).some((file) => file.endsWith(".node"));
    const before = isLoaded();
    const worker = new LlamaWorker();
    console.log(JSON.stringify([before, isLoaded(), worker instanceof LlamaWorker, worker.abort()]));
    worker.cleanup();
  `;
  const printed = await run(process.execPath, ["-e", script, CHECKOUT], folder);
  assert.deepEqual(JSON.parse(printed), [false, true, true, false]);
});

test("a platform package that is missing is named", async () => {
  const { project } = projectOf("missing");
  await assertFailure(project, [
    new RegExp(`\`${NAME}\` \\(the package is not installed\\)`),
    new RegExp(`install \`${NAME}\` .*--omit=optional`),
  ]);
});

test("a platform package of another system is told from none", async () => {
  const { project, modules } = projectOf("foreign");
  const other = `llama-worker-${PLATFORM === "darwin-arm64" ? "win32-x64-msvc" : "darwin-arm64"}`;
  addNative(modules, { name: other });
  await assertFailure(project, [
    new RegExp(`\`${other}\` is installed, which is for another system: install \`${NAME}\``),
  ]);
});

test("a platform package of another version is not loaded", async () => {
  const { project, modules } = projectOf("version");
  addNative(modules, { version: "9.9.9" });
  await assertFailure(project, [
    /it is version 9\.9\.9, and this is llama-worker \d+\.\d+\.\d+: install the same/,
    new RegExp(`; install \`${NAME}\` in the version of \`llama-worker\`$`),
  ]);
});

test("a library that is missing beside the addon is named", onLinux, async () => {
  const { project, modules } = projectOf("side-car");
  addNative(modules, { omits: "libllama-lw.so" });
  const { cause } = await assertFailure(project, [
    MISSING,
    /the platform package is incomplete, libllama-lw\.so is missing: reinstall it, .*unpack the whole package/,
  ]);
  assert.match(cause, new RegExp(`^${MISSING.source}`));
});

test("a system that is too old is named, with its version", onGlibc, async () => {
  const { project, modules } = projectOf("glibc");
  const target = addNative(modules);
  const library = path.join(target, "libllama-lw.so");
  // As if it had been built on a system of the future.
  const bytes = fs.readFileSync(library);
  const needed = readElf(library).versions.find((name) => /^GLIBC_2\.\d\d$/.test(name));
  assert.ok(needed, "the library needs some version of glibc");
  bytes.write("GLIBC_2.99", bytes.indexOf(`${needed}\0`), "latin1");
  fs.writeFileSync(library, bytes);
  const { glibcVersionRuntime } = /** @type {any} */ (process.report.getReport()).header;
  await assertFailure(project, [
    /version `GLIBC_2\.99' not found/,
    new RegExp(
      `this system's glibc \\(${glibcVersionRuntime}\\) is too old: the addon needs \`GLIBC_2\\.99\`, the published one 2\\.34`,
    ),
  ]);
});

/** What a program's file begins with, and what Node.js reports when that says nothing. */
const MUSL = {
  "by the program's loader": "\x7fELF /lib/ld-musl-x86_64.so.1",
  "by the report, where the program names no loader": "\x7fELF",
};

for (const [how, start] of Object.entries(MUSL)) {
  test(`on musl, told ${how}, the package for musl is asked for`, onGlibc, async () => {
    const { project, modules } = projectOf(`musl ${how}`);
    addNative(modules);
    const program = path.join(project, "program");
    fs.writeFileSync(program, start);
    const pretend = path.join(project, "musl.cjs");
    fs.writeFileSync(
      pretend,
      `const fs = require("node:fs");
      const { openSync } = fs;
      fs.openSync = (file, ...rest) => openSync(file === "/proc/self/exe" ? ${JSON.stringify(program)} : file, ...rest);
      process.report.getReport = () => ({ header: {} });`,
    );
    const platform = `linux-${process.arch}-musl`;
    const remedy = PLATFORMS[platform]
      ? `: install \`llama-worker-${platform}\``
      : ", and there is no package for this platform";
    await assertFailure(
      project,
      [/could not be loaded/, new RegExp(`\`${NAME}\` is installed, which is for another system${remedy}`)],
      ["--require", pretend],
    );
  });
}

test("a file that is no library is damaged", onLinux, async () => {
  const { project, modules } = projectOf("damaged");
  const target = addNative(modules);
  fs.writeFileSync(path.join(target, "llama-worker.node"), "not an addon at all, but long enough to be read as one");
  await assertFailure(project, [
    /invalid ELF header|file too short|Exec format error/,
    /damaged or of another architecture: reinstall/,
  ]);
});

test("a bundled copy asks to be left outside", async () => {
  const { project } = projectOf("bundled");
  const bundle = path.join(project, "bundle.cjs");
  const entry = path.join(project, "entry.cjs");
  fs.writeFileSync(entry, REPORT);
  const esbuild = path.join(CHECKOUT, "node_modules/esbuild/bin/esbuild");
  await run(
    process.execPath,
    [esbuild, entry, "--bundle", "--platform=node", `--outfile=${bundle}`, "--log-level=error"],
    project,
  );
  const away = path.join(folder, "away");
  fs.mkdirSync(away);
  fs.copyFileSync(bundle, path.join(away, "bundle.cjs"));
  const failure = JSON.parse(await run(process.execPath, ["bundle.cjs"], away));
  assert.equal(failure.code, "NATIVE_LOAD_FAILED", JSON.stringify(failure));
  assert.match(failure.message, /mark `llama-worker` as external in the bundler/);
});

test("an explicit folder is the only one", async () => {
  const { project, modules } = projectOf("explicit");
  addNative(modules);
  fs.writeFileSync(path.join(project, "report.cjs"), REPORT);
  const environment = { LLAMA_WORKER_NATIVE_DIR: path.join(project, "nowhere") };
  const { code, message } = JSON.parse(await run(process.execPath, ["report.cjs"], project, environment));
  assert.equal(code, "NATIVE_LOAD_FAILED");
  assert.match(message, /nowhere` \(there is no llama-worker\.node\)/);
});

test("other systems' words have their remedies", () => {
  /** @type {[cause: string, remedy: RegExp][]} */
  const table = [
    [
      "dlopen(x.node, 0x0001): Library not loaded: @rpath/libllama-lw.dylib",
      /incomplete, libllama-lw\.dylib is missing/,
    ],
    [
      "code signature in <X> '/x.node' not valid for use in process: mapping process and mapped file (non-platform) have different Team IDs",
      /sign the unpacked `\.node`/,
    ],
    ["The specified module could not be found.", /incomplete, one of the DLLs beside it is missing/],
    ["\\\\?\\C:\\x.node is not a valid Win32 application.", /another architecture/],
    ["mach-o file, but is an incompatible architecture (have 'x86_64', need 'arm64')", /another architecture/],
    [
      "Error loading shared library libgcc_s.so.1: Error relocating x.node: __register_atfork: symbol not found",
      /another C library/,
    ],
    ["libc.musl-x86_64.so.1: cannot open shared object file: No such file or directory", /another C library/],
    [
      "/lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by x)",
      /C\+\+ library is too old.*GLIBCXX_3\.4\.30/,
    ],
    ["libgomp.so.1: cannot open shared object file: No such file or directory", /this system lacks libgomp\.so\.1/],
    [
      "Error loading shared library libllama-lw.so: No such file or directory (needed by /x.node)",
      /incomplete, libllama-lw\.so is missing/,
    ],
    [
      "Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /x.node)",
      /another C library/,
    ],
    [
      "libggml-lw.so: cannot open shared object file: Permission denied",
      /may not read that file: check the rights of it and of its folder/,
    ],
    [
      "Error loading shared library /x/llama-worker.node: Exec format error",
      /damaged or of another architecture: reinstall/,
    ],
    [
      "Error loading shared library libggml-lw.so: Permission denied (needed by /x.node)",
      /may not read that file: check the rights of it and of its folder/,
    ],
    [
      "Error loading shared library libggml-lw.so: Operation not permitted (needed by /x.node)",
      /mounted with `noexec`/,
    ],
    ["Error relocating /x.node: llama_model_load_from_file: symbol not found", /of different builds: reinstall/],
    ["Error relocating /x.node: _ZN4llama5thingEv: symbol not found", /of different builds: reinstall/],
    ["Error relocating /x.node: fcntl64: symbol not found", /another C library/],
    ["/x.node: failed to map segment from shared object", /mounted with `noexec`/],
    ["/x.node: undefined symbol: llama_model_load_from_file", /of different builds: reinstall/],
    [
      "dlopen(x.node, 0x0001): Library not loaded: @rpath/libllama-lw.dylib, Reason: tried: '/x/libllama-lw.dylib' (code signature in <X> not valid for use in process: mapping process and mapped file (non-platform) have different Team IDs)",
      /sign the unpacked `\.node`/,
    ],
    [
      "dlopen(x.node, 0x0001): tried: 'x.node' (code signature in <X> 'x.node' not valid for use in process: library load disallowed by system policy)",
      /under quarantine.*`xattr -dr com\.apple\.quarantine`/,
    ],
    ["something nobody has seen before", /check that all files of that folder are there/],
  ];
  for (const [cause, remedy] of table) {
    const place = { folder: "/x", isInstalled: true, hasAddon: true, cause };
    const system = { triple: "linux-x64-gnu", isSupported: true, foreign: [], isBundled: false };
    const message = describeFailure([place], system);
    assert.ok(message.includes(cause), "the loader's own words stay");
    assert.match(message, remedy);
  }
});

test("of what the loader says, the deepest words and the reason are kept", () => {
  const words = "dlopen(x.node, 0x0001): Library not loaded: @rpath/libllama-lw.dylib";
  const reason = "Reason: tried: '/x/libllama-lw.dylib' (no such file)";
  for (const [message, expected] of [
    ["one line", "one line"],
    [`${words}\n  Referenced from: <1> /x.node\n  ${reason}`, `${words}, ${reason}`],
    ["The specified module could not be found.\r\n\\\\?\\C:\\x.node", "The specified module could not be found."],
  ]) {
    const deepest = new Error(message);
    assert.equal(loaderWords(new Error("outer", { cause: new Error("inner", { cause: deepest }) })), expected);
  }
  assert.equal(loaderWords("no error at all"), "no error at all");
});

test("what is not there at all has its remedies too", () => {
  const gone = {
    folder: "/apps/a.asar.unpacked/node_modules/llama-worker-linux-x64-gnu",
    isInstalled: true,
    hasAddon: false,
  };
  const system = { triple: "linux-x64-gnu", isSupported: true, foreign: [], isBundled: false };
  assert.match(
    describeFailure([gone], system),
    /inside an asar archive.*unpack `\*\*\/node_modules\/llama-worker\*\/\*\*`/,
  );
  const nothing = { folder: "llama-worker-freebsd-x64", isInstalled: false, hasAddon: false };
  const message = describeFailure([nothing], { ...system, triple: "freebsd-x64", isSupported: false });
  assert.match(message, /; there is no package for this platform.*`npm run build`/);
  const foreign = ["llama-worker-linux-arm64-gnu"];
  const unsupported = { ...system, triple: "linux-arm64-musl", isSupported: false, foreign };
  assert.match(
    describeFailure([{ ...nothing, folder: "llama-worker-linux-arm64-musl" }], unsupported),
    /; `llama-worker-linux-arm64-gnu` is installed, which is for another system, and there is no package for this platform; build/,
  );
});
