/**
 * The setup's decisions, on machines that are made up: what is missing, what to say, what to do again.
 *
 * Installs and builds nothing; that the real setup works is what every other test in this folder rests on.
 */

"use strict";

const assert = require("node:assert/strict");
const { execFile } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { test } = require("node:test");
const { promisify } = require("node:util");
const { blockComment, lineComment, spdxCopyrights } = require("../scripts/notices/llama-cpp");
const { chosenLicense, licenseFiles } = require("../scripts/notices/license-texts");
const { linkedCrates } = require("../scripts/notices/linked-crates");
const { readCargoMessage } = require("../scripts/setup/cargo");
const { runQuietly } = require("../scripts/setup/command");
const { hasLibclang } = require("../scripts/setup/libclang");
const { countSteps } = require("../scripts/setup/llama-progress");
const { planBuild } = require("../scripts/setup/native-build");
const { nodeComplaint } = require("../scripts/setup/node-version");
const { fillPlatformFolder, librariesOf } = require("../scripts/setup/platform-folder");
const { formatDuration } = require("../scripts/setup/report");
const { rustComplaint } = require("../scripts/setup/rust-toolchain");
const { hashInputs, readStamp, writeStamp } = require("../scripts/setup/stamp");
const {
  firstKnown,
  howToInstall,
  packagesFor,
  requireSystemPackages,
  unmetNeeds,
} = require("../scripts/setup/system-packages");
const { isAtLeast, parseVersion } = require("../scripts/setup/version");
const { runNode } = require("./support");

/** @param {import("node:test").TestContext} context */
function temporaryFolder(context) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-setup-"));
  context.after(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

/**
 * @param {string} folder
 * @param {Record<string, string>} files
 */
function writeFiles(folder, files) {
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), content);
  }
}

test("a version is the first dotted number of the line", () => {
  const table = {
    "rustc 1.95.0 (59807616e 2026-04-14)": [1, 95, 0],
    "cmake version 3.25.1": [3, 25, 1],
    1.88: [1, 88],
    "no version here": undefined,
  };
  for (const [line, version] of Object.entries(table)) assert.deepEqual(parseVersion(line), version, line);
});

test("versions are compared by number, not by letter", () => {
  /** @type {[number[], number[], boolean][]} */
  const table = [
    [[1, 88, 0], [1, 88], true],
    [[1, 100], [1, 88], true],
    [[2, 0], [1, 88], true],
    [[1, 87, 9], [1, 88], false],
    [[1], [1, 88], false],
    [[], [1, 88], false],
  ];
  for (const [version, minimum, expected] of table) {
    assert.equal(isAtLeast(version, minimum), expected, `${version} >= ${minimum}`);
  }
});

test("an old Node.js gets one sentence", () => {
  assert.match(nodeComplaint("18.20.4") ?? "", /^Node\.js 18\.20\.4 is too old, at least 20 is needed: .*nodejs\.org/);
  assert.match(nodeComplaint("9.0.0") ?? "", /too old/);
  for (const version of ["20.0.0", "26.10.0", "100.0.0"]) assert.equal(nodeComplaint(version), undefined, version);
});

test("Rust is there, missing or too old", () => {
  /** @type {[Record<string, string>, RegExp | undefined][]} */
  const table = [
    [{ rustc: "rustc 1.88.0", cargo: "cargo 1.88.0" }, undefined],
    [{}, /^Rust is not installed \(no working `rustc`\), at least 1\.88 is needed: get it from .*rustup\.rs/],
    [{ rustc: "rustc 1.88.0" }, /no working `cargo`/],
    [{ rustc: "rustc 1.63.0", cargo: "cargo 1.63.0" }, /^`rustc` 1\.63\.0 is too old/],
    [{ rustc: "rustc 1.88.0", cargo: "cargo 1.65.0" }, /^`cargo` 1\.65\.0 is too old/],
  ];
  for (const [versions, expected] of table) {
    const complaint = rustComplaint({ versionLine: (command) => versions[command] });
    if (expected) assert.match(complaint ?? "", expected);
    else assert.equal(complaint, undefined);
  }
});

/** @type {Record<string, string[]>} */
const LIBCLANG = {
  "/usr/lib": ["llvm-14", "python3"],
  "/usr/lib/llvm-14/lib": ["libclang-14.so.14"],
  "/opt/homebrew/opt/llvm/lib": ["libclang.dylib"],
  "C:\\Program Files\\LLVM\\bin": ["libclang.dll"],
};

/**
 * A machine with everything, less what a test takes away.
 *
 * @param {Partial<import("../scripts/setup/machine").Machine> & { without?: string[], cmake?: string }} [differences]
 * @returns {import("../scripts/setup/machine").Machine}
 */
function machine({ without = [], cmake = "cmake version 3.25.1", ...differences } = {}) {
  return {
    platform: "linux",
    isRoot: true,
    isDebian: true,
    environment: {},
    hasCommand: (name) => !without.includes(name),
    versionLine: (command) => (command === "cmake" && !without.includes("cmake") ? cmake : undefined),
    filesIn: (folder) => (without.includes("libclang") ? [] : (LIBCLANG[folder] ?? [])),
    ...differences,
  };
}

test("what is missing decides which packages apt-get installs", () => {
  /** @type {[object, string[]][]} */
  const table = [
    [{}, []],
    [{ without: ["cmake"] }, ["cmake"]],
    [{ cmake: "cmake version 3.16.3" }, ["cmake"]],
    [{ without: ["ninja"] }, ["ninja-build"]],
    [{ without: ["clang"] }, ["clang", "libclang-dev"]],
    [{ without: ["libclang"] }, ["clang", "libclang-dev"]],
    [{ without: ["c++"] }, ["g++"]],
    [{ without: ["ccache"] }, ["ccache"]],
    [
      { without: ["cmake", "ninja", "clang", "libclang", "c++", "ccache"] },
      ["cmake", "ninja-build", "clang", "libclang-dev", "g++", "ccache"],
    ],
  ];
  for (const [differences, packages] of table) {
    assert.deepEqual(packagesFor(unmetNeeds(machine(differences)), "apt"), packages, JSON.stringify(differences));
  }
});

test("where apt-get is not the way, one command is named", () => {
  const without = ["ninja", "ccache", "apt-get"];
  const others = ["dnf", "pacman", "apk"];
  const except = (/** @type {string} */ name) => [...without, ...others.filter((other) => other !== name)];
  /** @type {[object, RegExp][]} */
  const table = [
    [{ isDebian: false, without: except("dnf") }, /: run `dnf install -y ninja-build ccache`, then run this again$/],
    [{ isDebian: false, without: except("pacman"), isRoot: false }, /`sudo pacman -S --needed ninja ccache`/],
    [{ isDebian: false, without: except("apk") }, /`apk add samurai ccache`/],
    [{ isDebian: false, without, isRoot: false, platform: "darwin" }, /`brew install ninja ccache`/],
    [
      { isDebian: false, without, isRoot: false, platform: "win32" },
      /`winget install Ninja-build.Ninja Ccache.Ccache`/,
    ],
    [
      { isDebian: false, without: except("none") },
      /the build needs ninja, ccache: install it with your system's package/,
    ],
    [{ isDebian: true, without: ["ninja", "sudo"], isRoot: false }, /`sudo apt-get install -y .* ninja-build`/],
  ];
  for (const [differences, expected] of table) {
    const here = machine(differences);
    assert.match(howToInstall(unmetNeeds(here), here), expected);
  }
});

/**
 * Puts a program of ours before the system's own for one test.
 *
 * @param {import("node:test").TestContext} context
 * @param {string} name
 * @param {string} script
 */
function replaceCommand(context, name, script) {
  const folder = temporaryFolder(context);
  fs.writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const before = process.env.PATH;
  process.env.PATH = `${folder}${path.delimiter}${before}`;
  context.after(() => {
    process.env.PATH = before;
  });
}

test("apt-get is updated and asked for what is missing, without a question", async (context) => {
  const log = path.join(temporaryFolder(context), "log");
  replaceCommand(context, "apt-get", `echo "$DEBIAN_FRONTEND $@" >> ${log}`);
  const installed = () => fs.existsSync(log);
  await requireSystemPackages(machine({ hasCommand: (name) => name !== "ninja" || installed() }));
  const options = "noninteractive -o DPkg::Lock::Timeout=300";
  const expected = [`${options} update`, `${options} install -y --no-install-recommends ninja-build`];
  assert.deepEqual(fs.readFileSync(log, "utf8").trim().split("\n"), expected);
});

test("an apt-get that fails, or changes nothing, is said", async (context) => {
  const noNinja = machine({ without: ["ninja"] });
  replaceCommand(context, "apt-get", "exit 0");
  await assert.rejects(requireSystemPackages(noNinja), {
    message: /^the build needs ninja, and this system's own packages do not bring it$/,
  });
  replaceCommand(context, "apt-get", "echo no network >&2; exit 100");
  const failure = { message: "apt-get could not install ninja-build (exit code 100)", output: "no network" };
  await assert.rejects(requireSystemPackages(noNinja), failure);
});

test("nobody but root or sudo can install", async () => {
  const nobody = machine({ without: ["ninja", "sudo"], isRoot: false });
  await assert.rejects(requireSystemPackages(nobody), { message: /^the build needs ninja: run `sudo apt-get install/ });
});

test("libclang is found where distributions and people put it, and not mistaken for its C++ sister", () => {
  /** @type {[Record<string, string[]>, Record<string, string>, NodeJS.Platform, boolean][]} */
  const table = [
    [{ "/usr/lib": ["llvm-19"], "/usr/lib/llvm-19/lib": ["libclang.so"] }, {}, "linux", true],
    [{ "/usr/lib": ["llvm-19"], "/usr/lib/llvm-19/lib": ["libclang-cpp.so.19"] }, {}, "linux", false],
    [{ "/usr/lib": ["aarch64-linux-gnu"], "/usr/lib/aarch64-linux-gnu": ["libclang-14.so.13"] }, {}, "linux", true],
    [{ "/usr/lib64": ["libclang.so.18.1"] }, {}, "linux", true],
    [{ "/opt/llvm": ["libclang.so"] }, {}, "linux", false],
    [{ "/opt/llvm": ["libclang.so"] }, { LIBCLANG_PATH: "/opt/llvm" }, "linux", true],
    [{}, { LIBCLANG_PATH: "/opt/llvm/libclang.so" }, "linux", true],
    [{ "/opt/homebrew/opt/llvm/lib": ["libclang.dylib"] }, {}, "darwin", true],
    [{ "C:\\Program Files\\LLVM\\bin": ["libclang.dll"] }, {}, "win32", true],
    [{}, {}, "win32", false],
  ];
  for (const [folders, environment, platform, expected] of table) {
    const here = { platform, environment, filesIn: (/** @type {string} */ folder) => folders[folder] ?? [] };
    assert.equal(hasLibclang(here), expected, JSON.stringify([folders, environment]));
  }
});

const CLIENT = path.join(__dirname, "..", "scripts", "client.js");
const PREPACK = path.join(__dirname, "..", "scripts", "prepack.js");

test("the client gets all arguments, runs where the user stands, and its exit code is handed on", async (context) => {
  const folder = temporaryFolder(context);
  const script = path.join(folder, "fake-client.js");
  fs.writeFileSync(
    script,
    "console.log(JSON.stringify([process.cwd(), process.argv.slice(2)])); process.exitCode = 7;",
  );
  const args = ["--model", "near by.gguf", "--threads=1", "What's that? --help"];
  const start = `require(${JSON.stringify(CLIENT)}).runClient(...JSON.parse(process.argv[1])).then((code) => process.exit(code))`;
  const run = (env) => runNode(["-e", start, JSON.stringify([script, args])], { env });
  const fromFolder = await run({ INIT_CWD: folder });
  assert.deepEqual(JSON.parse(fromFolder.stdout), [fs.realpathSync(folder), args]);
  assert.equal(fromFolder.code, 7);
  assert.equal(JSON.parse((await run({ INIT_CWD: "" })).stdout)[0], process.cwd());
});

test("nothing is packed without a model, and a checkout is not published", async (context) => {
  const folder = temporaryFolder(context);
  const prepack = async (...args) => {
    const { code, stdout, stderr } = await runNode([PREPACK, folder, ...args]);
    assert.equal(stdout, "");
    return { code, stderr };
  };
  const { code, stderr } = await prepack();
  assert.equal(code, 1);
  assert.match(stderr, /^the built-in model `[^`]+` is missing\n$/);
  writeFiles(folder, { "models/tiny-chat/tiny-chat.gguf": "" });
  assert.deepEqual(await prepack(), { code: 0, stderr: "" });
  assert.match((await prepack("--publish")).stderr, /^a checkout is not published: .*`npm run package`/);
});

test("a hash of inputs sees names, contents and facts, and nothing else", (context) => {
  const root = temporaryFolder(context);
  writeFiles(root, { "src/one.rs": "1", "src/deep/two.rs": "2", other: "x" });
  const hash = (facts = ["rustc 1.88"]) => hashInputs(root, ["src", "missing"], facts);
  const before = hash();
  writeFiles(root, { other: "y" });
  assert.equal(hash(), before, "a file that is no input");
  assert.notEqual(hash(["rustc 1.89"]), before, "another fact");
  writeFiles(root, { "src/deep/two.rs": "3" });
  const changed = hash();
  assert.notEqual(changed, before, "another content");
  fs.renameSync(path.join(root, "src/one.rs"), path.join(root, "src/three.rs"));
  assert.notEqual(hash(), changed, "another name");
});

test("a stamp that is missing or broken is an empty one", (context) => {
  const file = path.join(temporaryFolder(context), "stamp.json");
  assert.deepEqual(readStamp(file), {});
  fs.writeFileSync(file, "{");
  assert.deepEqual(readStamp(file), {});
  writeStamp(file, { inputs: "a" });
  assert.deepEqual(readStamp(file), { inputs: "a" });
});

test("the addon is built again only when its inputs changed or a file is gone", () => {
  const complete = { inputs: "a", environment: "e", folder: "npm/x", files: ["one", "two"] };
  const everything = () => true;
  /** @type {[object, { inputs: string, environment: string }, (file: string) => boolean, string][]} */
  const table = [
    [complete, { inputs: "a", environment: "e" }, everything, "nothing"],
    [complete, { inputs: "a", environment: "e" }, (file) => file !== "npm/x/two", "build"],
    [complete, { inputs: "b", environment: "e" }, everything, "build"],
    [complete, { inputs: "b", environment: "f" }, everything, "rebuild llama.cpp"],
    [{}, { inputs: "a", environment: "e" }, everything, "build"],
    // What is left when llama.cpp was forgotten and the build then failed.
    [{ environment: "f" }, { inputs: "b", environment: "f" }, everything, "build"],
  ];
  for (const [before, now, exists, expected] of table) {
    assert.equal(planBuild(before, now, exists), expected, JSON.stringify([before, now]));
  }
});

test("cargo's messages tell where the addon and llama.cpp are", () => {
  const scriptRun = (/** @type {string} */ id) =>
    JSON.stringify({ reason: "build-script-executed", package_id: id, out_dir: "/t/out" });
  const artifact = (/** @type {string} */ kind, /** @type {string[]} */ filenames) =>
    JSON.stringify({ reason: "compiler-artifact", target: { kind: [kind] }, filenames });
  /** @type {[string, object][]} */
  const table = [
    ["   Compiling something", {}],
    [scriptRun("registry+https://example.org/index#llama-cpp-sys-2@0.1.161"), { llamaFolder: "/t/out" }],
    [scriptRun("llama-cpp-sys-2 0.1.161 (registry+https://example.org/index)"), { llamaFolder: "/t/out" }],
    [scriptRun("registry+https://example.org/index#libc@0.2.0"), {}],
    [artifact("cdylib", ["/t/libllama_worker.so"]), { addon: "/t/libllama_worker.so" }],
    [artifact("cdylib", ["/t/llama_worker.dll.lib", "/t/llama_worker.dll"]), { addon: "/t/llama_worker.dll" }],
    [artifact("lib", ["/t/libllama_worker_engine.rlib"]), {}],
    [JSON.stringify({ reason: "build-finished", success: true }), {}],
  ];
  for (const [line, expected] of table) assert.deepEqual(readCargoMessage(line), expected, line);
});

test("ninja's files tell how far llama.cpp is", () => {
  const rules = [
    "build ggml/a.c.o: C_COMPILER__ggml_unscanned_Release /x/a.c || order",
    "build src/b.cpp.o: CXX_COMPILER__llama_Release /x/b.cpp",
    "build bin/libllama-lw.so: CXX_SHARED_LIBRARY_LINKER__llama_Release src/b.cpp.o",
    "build all: phony bin/libllama-lw.so",
    "build edit_cache: CUSTOM_COMMAND",
  ].join("\n");
  const header = "# ninja log v5";
  const finished = (/** @type {string} */ name) => `3\t253\t1795343555\t${name}\t4aae`;
  assert.deepEqual(countSteps(rules, header), { done: 0, total: 3 });
  assert.deepEqual(countSteps(rules, [header, finished("ggml/a.c.o")].join("\n")), { done: 1, total: 3 });
  const twice = [header, finished("ggml/a.c.o"), finished("ggml/a.c.o"), finished("install")];
  assert.deepEqual(countSteps(rules, twice.join("\n")), { done: 1, total: 3 }, "built twice, and another kind of step");
});

test("durations are read by people", () => {
  for (const [seconds, text] of /** @type {const} */ ([
    [5, "5 s"],
    [59, "59 s"],
    [60, "1 min 0 s"],
    [754, "12 min 34 s"],
  ])) {
    assert.equal(formatDuration(seconds * 1000), text);
  }
});

const LLAMA_LIBRARIES = {
  "lib/libllama-lw.so": "llama",
  "lib/libllama-common-lw.so": "common",
  "lib/libggml-lw.so": "ggml",
  "lib/libggml-base-lw.so": "base",
  "bin/libggml-cpu.so": "cpu",
};

test("the platform folder gets the addon with all its libraries and loses what is older", async (context) => {
  const folder = temporaryFolder(context);
  writeFiles(folder, {
    ...Object.fromEntries(Object.entries(LLAMA_LIBRARIES).map(([name, content]) => [`llama/${name}`, content])),
    "llama/lib/cmake/llama/llama-config.cmake": "not a library",
    "llama/lib/libsomething.a": "not a shared library",
    "libllama_worker.so": "addon",
    "npm/x/libggml-vulkan.so": "from an earlier build",
    "npm/x/llama-worker.node": "old",
    "npm/x/package.json": "{}",
  });
  const built = { addon: path.join(folder, "libllama_worker.so"), llamaFolder: path.join(folder, "llama") };
  const names = await fillPlatformFolder(path.join(folder, "npm/x"), built, { strips: false });
  const expected = ["llama-worker.node", ...Object.keys(LLAMA_LIBRARIES).map((name) => path.basename(name))];
  assert.deepEqual(names.toSorted(), expected.toSorted());
  assert.deepEqual(fs.readdirSync(path.join(folder, "npm/x")).sort(), [...expected, "package.json"].sort());
  assert.equal(fs.readFileSync(path.join(folder, "npm/x/llama-worker.node"), "utf8"), "addon");
});

test("a llama.cpp build without a backend is not shipped", (context) => {
  const folder = temporaryFolder(context);
  const { "bin/libggml-cpu.so": _backend, ...libraries } = LLAMA_LIBRARIES;
  writeFiles(folder, libraries);
  assert.throws(() => librariesOf(folder), /expected 4 libraries and a backend: run `cargo clean/);
});

test("a failed command is one sentence with the end of what it printed", async () => {
  const script = "for (let i = 0; i < 200; i++) console.error('line ' + i); process.exitCode = 3";
  await assert.rejects(runQuietly(process.execPath, ["-e", script], { failure: "the step failed" }), (error) => {
    assert.equal(error.message, "the step failed (exit code 3)");
    assert.match(error.output, /line 199$/);
    assert.doesNotMatch(error.output, /line 100$/m);
    return true;
  });
});

test("a command that is not there is one sentence", async () => {
  const failure = { name: "Error", message: /^`no-such-command` could not be started: / };
  await assert.rejects(runQuietly("no-such-command", []), failure);
});

test("only what is linked into the addon is in the notices", () => {
  const crate = (/** @type {string} */ name, kind = "lib", source = "registry") => {
    return {
      id: name,
      name,
      version: "1.0.0",
      license: "MIT",
      authors: [],
      manifest_path: "",
      source,
      targets: [{ kind: [kind] }],
    };
  };
  const needs = (/** @type {string} */ pkg, /** @type {(string | null)[]} */ ...kinds) => {
    return { pkg, dep_kinds: kinds.map((kind) => ({ kind })) };
  };
  const metadata = {
    packages: [
      { ...crate("addon", "cdylib"), source: null },
      crate("linked"),
      crate("deep"),
      crate("builder"),
      crate("tester"),
      crate("macro", "proc-macro"),
      crate("parser"),
      crate("both"),
    ],
    workspace_members: ["addon"],
    resolve: {
      nodes: [
        {
          id: "addon",
          deps: [
            needs("linked", null),
            needs("builder", "build"),
            needs("tester", "dev"),
            needs("macro", null),
            needs("both", "build", null),
          ],
        },
        { id: "linked", deps: [needs("deep", null)] },
        { id: "macro", deps: [needs("parser", null)] },
      ],
    },
  };
  assert.deepEqual(
    linkedCrates(metadata).map(({ name }) => name),
    ["linked", "deep", "both"],
  );
});

test("where a crate offers MIT, MIT is taken and only its text quoted", () => {
  /** @type {[string, string][]} */
  const licenses = [
    ["MIT OR Apache-2.0", "MIT"],
    ["Unlicense OR MIT", "MIT"],
    ["Apache-2.0/MIT", "MIT"],
    ["MIT", "MIT"],
    ["ISC", "ISC"],
    ["(MIT OR Apache-2.0) AND Unicode-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0"],
  ];
  for (const [expression, expected] of licenses) assert.equal(chosenLicense(expression), expected);
  /** @type {[string[], string, string[]][]} */
  const files = [
    [["LICENSE-APACHE", "LICENSE-MIT", "README.md"], "MIT", ["LICENSE-MIT"]],
    [["license-apache-2.0", "license-mit"], "MIT", ["license-mit"]],
    [["COPYING", "LICENSE-MIT", "UNLICENSE"], "MIT", ["LICENSE-MIT"]],
    [["LICENSE", "src"], "ISC", ["LICENSE"]],
    [["LICENSE-APACHE", "LICENSE-MIT", "NOTICE"], "MIT", ["LICENSE-MIT", "NOTICE"]],
    [["LICENSE-MIT", "LICENSE-UNICODE"], "MIT AND Unicode-3.0", ["LICENSE-MIT", "LICENSE-UNICODE"]],
    [["Cargo.toml"], "MIT", []],
  ];
  for (const [names, license, expected] of files) assert.deepEqual(licenseFiles(names, license), expected);
});

test("notices are read out of source comments", () => {
  assert.equal(lineComment("// Copyright X\n//\n// Free.\n\n// Other\ncode"), "Copyright X\n\nFree.");
  assert.equal(blockComment("/* one */ /*\n   free words\n   here\n*/", "free words"), "free words\nhere");
  assert.throws(() => blockComment("/* one */", "free words"), /no notice with `free words`/);
  const spdx =
    "// SPDX-FileCopyrightText: 2013 A\n// SPDX-FileCopyrightText: 2013 A\n// SPDX-FileCopyrightText: 2009 B\n";
  assert.deepEqual(spdxCopyrights(spdx), ["Copyright (c) 2013 A", "Copyright (c) 2009 B"]);
});

test("of the names of a system's package the first that it knows is installed, else the last", async () => {
  const known =
    (/** @type {string[]} */ ...names) =>
    async (/** @type {string} */ name) =>
      names.includes(name);
  const either = "libasound2t64|libasound2";
  assert.equal(await firstKnown(either, known("libasound2t64", "libasound2")), "libasound2t64");
  assert.equal(await firstKnown(either, known("libasound2")), "libasound2");
  assert.equal(await firstKnown(either, known()), "libasound2");
  assert.equal(await firstKnown("xvfb", known()), "xvfb");
});

test("a Python that is too old for the model's making is refused in one sentence", async (context) => {
  if (process.platform === "win32") return context.diagnostic("a script of bash");
  const folder = temporaryFolder(context);
  const make = path.join(__dirname, "..", "models", "tiny-chat", "make");
  const environment = {
    ...process.env,
    PATH: `${folder}:${process.env.PATH}`,
    TINY_CHAT_BUILD: path.join(folder, "build"),
  };
  for (const version of ["Python 3.10.12", "Python 2.7.18"]) {
    fs.writeFileSync(path.join(folder, "python3"), `#!/bin/sh\necho "${version}"\n`, { mode: 0o755 });
    const failure = await promisify(execFile)(make, ["--test"], { env: environment }).catch((error) => error);
    assert.equal(failure.code, 1, version);
    assert.equal(
      failure.stderr,
      `${version} is not what the model is made with: install Python 3.11 or a newer 3.x as python3, then run this again\n`,
    );
  }
  assert.deepEqual(fs.readdirSync(folder), ["python3"]);
});
