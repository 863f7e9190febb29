/**
 * What `npm run package` promises of the packages, on files that are made up: manifests, the reading of libraries, the checks.
 *
 * Compiles nothing; the packages themselves are tried out in `package.test.js`.
 */

"use strict";

const assert = require("node:assert/strict");
const { execFile } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { test } = require("node:test");
const { promisify } = require("node:util");
const { packageEnvironment } = require("../scripts/package/build");
const { complaints, versionsAbove } = require("../scripts/package/checks");
const { readElf } = require("../scripts/package/elf");
const {
  committedFiles,
  gpuManifest,
  platformManifest,
  rootManifest,
  withOrigin,
} = require("../scripts/package/manifests");
const { packRoot } = require("../scripts/package/pack");
const { packedComplaint, sourcesOf, unpackPacked } = require("../scripts/package/packed");
const { gpuBackends } = require("../js/gpu-packages");
const shipped = require("../js/load-failure");
const { GLIBC_FLOOR, PLATFORMS, SIZE_LIMIT, packageNames } = require("../scripts/package/platforms");
const { sizeComplaint, sizeInReadme } = require("../scripts/package/readme-size");
const { releaseChangelog, setVersion } = require("../scripts/release/edits");

const CHECKOUT = path.join(__dirname, "..");
const checkout = JSON.parse(fs.readFileSync(path.join(CHECKOUT, "package.json"), "utf8"));
/** The addon of the last build. */
const NATIVE = require("../js/binding").nativeDirectory;

/** @param {import("node:test").TestContext} context */
function temporaryFolder(context) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-packaging-"));
  context.after(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

test("the root package names every platform exactly, and nothing else", () => {
  const root = rootManifest(checkout);
  assert.deepEqual(
    root.optionalDependencies,
    Object.fromEntries(Object.keys(PLATFORMS).map((name) => [`llama-worker-${name}`, checkout.version])),
  );
  assert.equal(Object.keys(root.optionalDependencies).length, 7);
  for (const name of Object.keys(root.peerDependencies)) {
    assert.match(name, /^llama-worker-(linux|win32)-(x64|arm64)-(gnu|msvc)-(vulkan|cuda)$/);
    assert.deepEqual(root.peerDependenciesMeta[name], { optional: true });
  }
  for (const field of ["dependencies", "devDependencies", "scripts", "napi", "overrides"])
    assert.ok(!(field in root), field);
});

test("a platform package is for its system only", () => {
  for (const [name, { os: system, cpu, libc, gpus }] of Object.entries(PLATFORMS)) {
    const manifests = [platformManifest(name, checkout), ...gpus.map((gpu) => gpuManifest(name, gpu, checkout))];
    for (const manifest of manifests) {
      assert.deepEqual([manifest.os, manifest.cpu, manifest.libc], [[system], [cpu], libc && [libc]], manifest.name);
      assert.equal(manifest.version, checkout.version);
      assert.deepEqual(
        [manifest.scripts, manifest.dependencies, manifest.optionalDependencies],
        [undefined, undefined, undefined],
      );
      for (const paper of ["LICENSE", "THIRD-PARTY-NOTICES.md", "sbom.cdx.json"])
        assert.ok(manifest.files.includes(paper), paper);
    }
  }
});

test("a package tells the repository that it was made for, and none by itself", async (context) => {
  const folder = temporaryFolder(context);
  for (const manifest of [rootManifest(checkout), platformManifest("linux-x64-gnu", checkout)]) {
    assert.ok(!("repository" in withOrigin(manifest)));
    const { name, repository, bugs } = withOrigin(manifest, "https://github.com/owner/name", "npm/folder");
    assert.equal(name, manifest.name);
    assert.deepEqual(repository, {
      type: "git",
      url: "git+https://github.com/owner/name.git",
      directory: "npm/folder",
    });
    assert.equal(bugs, "https://github.com/owner/name/issues");
  }
  for (const wrong of ["", "owner/name", "https://github.com/owner", "https://github.com/owner/name.git"])
    assert.throws(
      () => withOrigin({}, wrong),
      /is no repository, expected one like https:\/\/github\.com\/owner\/name/,
      wrong,
    );
  const { file } = await packRoot(CHECKOUT, folder, { repository: "https://github.com/owner/name" });
  const packed = await promisify(execFile)("tar", ["-xzOf", file, "package/package.json"]);
  assert.equal(JSON.parse(packed.stdout).repository.url, "git+https://github.com/owner/name.git");
});

/**
 * @param {string} folder that stands for a checkout with what CI has built
 * @param {(name: string) => Record<string, any>} manifestOf
 */
async function buildAll(folder, manifestOf) {
  fs.mkdirSync(path.join(folder, "package"), { recursive: true });
  fs.mkdirSync(path.join(folder, "dist"), { recursive: true });
  const { platforms, gpus } = packageNames();
  for (const name of [...platforms, ...gpus, "llama-worker"]) {
    const manifest = { name, ...manifestOf(name) };
    fs.writeFileSync(path.join(folder, "package", "package.json"), JSON.stringify(manifest));
    const tarball = path.join(folder, "dist", `${name}-${manifest.version}.tgz`);
    await promisify(execFile)("tar", ["-czf", tarball, "package"], { cwd: folder });
    fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify(manifest));
  }
}

/** Takes npm's place: notes what it is asked, and says that one package is published already. */
const FALSE_NPM = `
  const [command, what, ...options] = process.argv.slice(2);
  require("node:fs").appendFileSync(process.env.NOTES, JSON.stringify([command, what, ...options]) + "\\n");
  if (command === "view") {
    if (!what.startsWith("llama-worker-linux-x64-gnu@")) process.exit(1);
    console.log("published");
  }
`;

/**
 * @param {string} folder
 * @param {string[]} args
 */
async function publish(folder, args) {
  const [npm, notes] = [path.join(folder, "npm.js"), path.join(folder, "notes")];
  fs.writeFileSync(npm, FALSE_NPM);
  fs.writeFileSync(notes, "");
  const script = path.join(CHECKOUT, "scripts/publish.js");
  const environment = { ...process.env, npm_execpath: npm, NOTES: notes };
  const ended = await promisify(execFile)(process.execPath, [script, ...args], { env: environment }).catch(
    (error) => error,
  );
  const asked = fs.readFileSync(notes, "utf8").split("\n").filter(Boolean);
  return { code: ended.code ?? 0, stderr: ended.stderr, asked: asked.map((line) => JSON.parse(line)) };
}

test("a tag publishes what is not published yet, the root package last", async (context) => {
  const folder = temporaryFolder(context);
  await buildAll(folder, () => ({ version: "0.2.0", repository: { url: "git+https://github.com/owner/name.git" } }));
  const { code, stderr, asked } = await publish(folder, ["v0.2.0", folder]);
  assert.deepEqual([code, stderr], [0, ""]);
  const published = asked.filter(([command]) => command === "publish");
  assert.equal(published.length, Object.keys(PLATFORMS).length - 1 + packageNames().gpus.length + 1);
  assert.ok(!published.some(([, file]) => /linux-x64-gnu-0/.test(file)));
  assert.match(published.at(-1)[1], /llama-worker-0\.2\.0\.tgz$/);
  for (const [, , ...options] of published)
    assert.deepEqual(options, ["--access", "public", "--tag", "latest", "--provenance"]);
});

test("a version before its release does not become the latest", async (context) => {
  const folder = temporaryFolder(context);
  await buildAll(folder, () => ({
    version: "0.2.0-rc.1",
    repository: { url: "git+https://github.com/owner/name.git" },
  }));
  const { asked } = await publish(folder, ["v0.2.0-rc.1", folder, "--dry-run"]);
  for (const asking of asked) assert.deepEqual(asking.slice(2), ["--access", "public", "--tag", "next", "--dry-run"]);
  assert.ok(asked.length > 0);
});

test("nothing is published when a package is missing, of another version, or does not say where it is from", async (context) => {
  const folder = temporaryFolder(context);
  const silent = "llama-worker-darwin-x64";
  await buildAll(folder, (name) => ({
    version: "0.2.0",
    ...(name !== silent && { repository: { url: "git+https://x.org" } }),
  }));
  /** @type {[tag: string, reason: RegExp][]} */
  const table = [
    ["v0.3.0", /the tag is `v0\.3\.0` and the version 0\.2\.0, expected the tag v0\.2\.0/],
    ["v0.2.0", /these do not name their repository, .*: llama-worker-darwin-x64\. Make them with/],
  ];
  for (const [tag, reason] of table) {
    const { code, stderr, asked } = await publish(folder, [tag, folder]);
    assert.deepEqual([code, asked], [1, []], tag);
    assert.match(stderr, reason);
  }
  fs.rmSync(path.join(folder, "dist", "llama-worker-win32-x64-msvc-cuda-0.2.0.tgz"));
  assert.match((await publish(folder, ["v0.2.0", folder])).stderr, /not built: llama-worker-win32-x64-msvc-cuda/);
});

test("what others run is built with nobody's own flags", () => {
  for (const [name, platform] of Object.entries(PLATFORMS)) {
    const environment = packageEnvironment(CHECKOUT, platform);
    // Cargo prefers the first to the second, whatever is in it.
    assert.ok("CARGO_ENCODED_RUSTFLAGS" in environment && environment.CARGO_ENCODED_RUSTFLAGS === undefined, name);
    assert.match(environment.RUSTFLAGS ?? "missing", /^(-C target-feature=[+-]crt-static)?$/, name);
  }
  assert.equal(packageEnvironment(CHECKOUT, PLATFORMS["darwin-arm64"]).MACOSX_DEPLOYMENT_TARGET, "13.3");
  // ggml refuses to make a choice of builds for it, and takes one only from clang.
  const { CC, GGML_CPU_ALL_VARIANTS } = packageEnvironment(CHECKOUT, PLATFORMS["win32-arm64-msvc"]);
  assert.deepEqual([CC, GGML_CPU_ALL_VARIANTS], ["clang-cl", "OFF"]);
});

test("what is shipped knows the platforms that are packaged", () => {
  assert.deepEqual(shipped.PLATFORMS, Object.keys(PLATFORMS));
  assert.equal(shipped.GLIBC_FLOOR, GLIBC_FLOOR);
  for (const [triple, { gpus, os: system }] of Object.entries(PLATFORMS)) {
    const known = gpuBackends({ triple, folder: "/nowhere", version: "0.0.0", resolve: () => undefined }).map(
      ({ gpu }) => gpu,
    );
    assert.deepEqual(known.sort(), system === "darwin" ? ["metal"] : gpus.toSorted(), triple);
  }
});

test("the committed manifests are those of the table", () => {
  for (const { name, text } of committedFiles(checkout)) {
    assert.equal(fs.readFileSync(path.join(CHECKOUT, name), "utf8").replaceAll("\r\n", "\n"), text, name);
  }
});

test("the libraries beside the addon are found from its own folder, under names of their own", (context) => {
  if (process.platform !== "linux") return context.diagnostic("only Linux libraries can be read");
  const libraries = fs.readdirSync(NATIVE).filter((name) => /\.(so|node)$/.test(name));
  assert.ok(libraries.length >= 6, libraries.join(", "));
  // A developer's build needs the glibc of the system that built it, which may be newer than the one that is promised.
  const isPackaged =
    Boolean(process.env.LLAMA_WORKER_NATIVE_DIR) ||
    libraries.filter((name) => name.startsWith("libggml-cpu-")).length > 1;
  for (const name of libraries) {
    const { soname, needed, runpath, isStripped, versions } = readElf(path.join(NATIVE, name));
    assert.equal(runpath, "$ORIGIN", name);
    assert.ok(isStripped, `${name} is stripped`);
    assert.ok(needed.includes("libc.so.6") || needed.some((library) => library.includes("musl")), `${name}: ${needed}`);
    assert.ok(soname === undefined || (soname === name && soname.endsWith("-lw.so")), `${name}: ${soname}`);
    if (isPackaged) assert.deepEqual(versionsAbove(versions, GLIBC_FLOOR), [], name);
  }
  const addon = readElf(path.join(NATIVE, "llama-worker.node"));
  assert.deepEqual(
    addon.exported.filter((name) => !/^(napi_register_module_v1|llg_\w+)$/.test(name)),
    [],
  );
  assert.ok(addon.needed.includes("libllama-lw.so"));
});

test("what needs a newer glibc than is promised cannot be published, and runs where it was built", (context) => {
  if (process.platform !== "linux") return context.diagnostic("only Linux libraries can be read");
  const folder = temporaryFolder(context);
  const library = path.join(folder, "libggml-base-lw.so");
  const bytes = fs.readFileSync(path.join(NATIVE, "libggml-base-lw.so"));
  const version = readElf(path.join(NATIVE, "libggml-base-lw.so")).versions.find((name) =>
    /^GLIBC_2\.\d\d$/.test(name),
  );
  if (!version) return context.diagnostic("musl has no versions");
  bytes.write("GLIBC_2.99", bytes.indexOf(`${version}\0`), "latin1");
  fs.writeFileSync(library, bytes);
  const about = (/** @type {object} */ kind) =>
    complaints(folder, { libc: "glibc", isGpu: true, ...kind }).filter((text) => text.includes("GLIBC_2.99"));
  assert.deepEqual(about({}), [
    `\`libggml-base-lw.so\` needs \`GLIBC_2.99\`, newer than the glibc ${GLIBC_FLOOR} that is promised`,
  ]);
  assert.deepEqual(about({ allowsNewerSystem: true }), []);
});

test("a package tells from which sources it was made, and what others made is refused", async (context) => {
  const folder = temporaryFolder(context);
  for (const name of [
    "js",
    "index.d.ts",
    "index.d.mts",
    "supervisor.d.ts",
    "package.json",
    "models/tiny-chat/tiny-chat.gguf",
  ])
    fs.cpSync(path.join(CHECKOUT, name), path.join(folder, name), { recursive: true });
  fs.cpSync(path.join(CHECKOUT, "scripts/package"), path.join(folder, "scripts/package"), { recursive: true });
  const dist = path.join(folder, "dist");
  const complaint = () => packedComplaint(folder, "llama-worker", "root");
  assert.match(String(await complaint()), /^there is no `dist.llama-worker-.*\.tgz`: run `npm run package` first$/);
  await packRoot(CHECKOUT, dist);
  assert.equal(await complaint(), undefined);
  const place = path.join(folder, "place");
  await unpackPacked(folder, "llama-worker", "root", place);
  assert.ok(fs.existsSync(path.join(place, "js/index.js")));
  fs.appendFileSync(path.join(folder, "js/index.js"), "\n");
  const refusal =
    /^`dist.llama-worker-.*\.tgz` was made from other sources than those that are here: run `npm run package` first$/;
  assert.match(String(await complaint()), refusal);
  await assert.rejects(unpackPacked(folder, "llama-worker", "root", place), { message: refusal });
});

test("each kind of package has sources of its own", (context) => {
  const folder = temporaryFolder(context);
  const hashes = () => /** @type {const} */ (["root", "addon", "gpu"]).map((kind) => sourcesOf(folder, kind));
  const before = hashes();
  /** @type {[file: string, changed: boolean[]][]} */
  const table = [
    ["js/binding.js", [true, false, false]],
    ["crates/engine/src/lib.rs", [false, true, false]],
    ["scripts/package/gpu-backend.js", [false, true, true]],
    ["Cargo.lock", [false, true, true]],
    ["docs/api.md", [false, false, false]],
  ];
  for (const [name, expected] of table) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), "anything");
    assert.deepEqual(
      hashes().map((hash, index) => hash !== before[index]),
      expected,
      name,
    );
    fs.rmSync(path.join(folder, name));
  }
});

test("the README tells our own size as it was packed", () => {
  const [english, portuguese] = ["README.md", "README.pt-BR.md"].map((name) =>
    fs.readFileSync(path.join(CHECKOUT, name), "utf8").replaceAll("\r\n", "\n"),
  );
  const said = sizeInReadme(english);
  assert.equal(sizeInReadme(portuguese), said);
  assert.ok(said <= SIZE_LIMIT);
  // The first lines say it too.
  for (const text of [english, portuguese]) assert.ok(text.slice(0, 2500).includes(` ${said / 1_000_000} MB `));
  assert.equal(sizeComplaint(english, said + 900_000), undefined);
  assert.match(String(sizeComplaint(english, said - 1_200_000)), /^the README says that the packages have .* MB, and/);
  assert.throws(() => sizeInReadme("# llama-worker"), /no row of sizes/);
});

test("a GPU's backend needs nothing that only the machine that builds it has", (context) => {
  const folder = temporaryFolder(context);
  if (process.platform !== "linux") return context.diagnostic("only Linux libraries can be read");
  const library = path.join(folder, "libggml-cuda.so");
  const bytes = fs.readFileSync(path.join(NATIVE, "libggml-lw.so"));
  // In the place of another library that it needs.
  bytes.write("libnccl.so.2\0", bytes.indexOf("libggml-base-lw.so\0"), "latin1");
  fs.writeFileSync(library, bytes);
  assert.ok(readElf(library).needed.includes("libnccl.so.2"));
  assert.ok(complaints(folder, { isGpu: true, libc: "glibc" }).some((text) => text.includes("needs `libnccl.so.2`")));
});

/** @param {Buffer} bytes of a library; sets the flag in its program header for the stack */
function withExecutableStack(bytes) {
  const [start, size, count] = [
    Number(bytes.readBigUInt64LE(0x20)),
    bytes.readUInt16LE(0x36),
    bytes.readUInt16LE(0x38),
  ];
  const headers = Array.from({ length: count }, (_, index) => start + index * size);
  const stack = headers.find((at) => bytes.readUInt32LE(at) === 0x6474e551);
  assert.ok(stack, "the library has a header for the stack");
  bytes.writeUInt32LE(7, stack + 4);
  return bytes;
}

test("what cannot be published is said", (context) => {
  if (process.platform !== "linux") return context.diagnostic("only Linux libraries can be read");
  const folder = temporaryFolder(context);
  /** @param {Parameters<typeof complaints>[1]} [kind] */
  const wrong = (kind) => complaints(folder, kind).join("\n");
  assert.equal(wrong(), "there are no binaries");
  fs.copyFileSync(path.join(NATIVE, "libggml-base-lw.so"), path.join(folder, "libggml-base-lw.so"));
  assert.equal(wrong(), "there is no `llama-worker.node`");
  fs.copyFileSync(path.join(NATIVE, "libggml-base-lw.so"), path.join(folder, "libother.so"));
  assert.match(
    wrong({ libc: "glibc", isGpu: true }),
    /`libother\.so` calls itself `libggml-base-lw\.so`, expected its file's name/,
  );
  fs.rmSync(path.join(folder, "libother.so"));
  fs.copyFileSync(path.join(NATIVE, "libggml-lw.so"), path.join(folder, "libggml-lw.so"));
  fs.rmSync(path.join(folder, "libggml-base-lw.so"));
  assert.match(wrong({ libc: "glibc" }), /`libggml-lw\.so` needs `libggml-base-lw\.so`, which not every system has/);
  fs.symlinkSync(path.join(NATIVE, "libggml-base-lw.so"), path.join(folder, "libggml-base-lw.so"));
  assert.match(wrong(), /`libggml-base-lw\.so` is no plain file/);
  fs.rmSync(path.join(folder, "libggml-base-lw.so"));
  fs.copyFileSync(path.join(NATIVE, "llama-worker.node"), path.join(folder, "llama-worker.node"));
  for (const [name, as] of [
    ["libggml-base-lw.so", "libggml-base-lw.so"],
    ["libllama-lw.so", "libllama-lw.so"],
    // As if it had been linked with too short a list of what it gives to others.
    ["libggml-lw.so", "libllama-common-lw.so"],
  ])
    fs.copyFileSync(path.join(NATIVE, name), path.join(folder, as));
  assert.match(
    wrong({ libc: "glibc" }),
    /`llama-worker\.node` wants \d+ names that no library beside it has, as `_Z\w+`/,
  );
  const library = path.join(folder, "libggml-base-lw.so");
  assert.doesNotMatch(wrong({ libc: "glibc" }), /executable stack/);
  fs.writeFileSync(library, withExecutableStack(fs.readFileSync(library)));
  assert.match(wrong({ libc: "glibc" }), /`libggml-base-lw\.so` wants an executable stack/);
  fs.writeFileSync(path.join(folder, "libtext.so"), "not a library");
  assert.throws(() => wrong({ libc: "glibc" }), /`[^`]*libtext\.so` is no 64-bit little-endian ELF file/);
});

test("a node or a system without the C++ library is served", (context) => {
  if (process.platform !== "linux") return context.diagnostic("only Linux libraries can be read");
  const folder = temporaryFolder(context);
  const { needed } = readElf(path.join(NATIVE, "libggml-base-lw.so"));
  fs.copyFileSync(path.join(NATIVE, "libggml-base-lw.so"), path.join(folder, "libggml-base-lw.so"));
  const isForeign = complaints(folder, { libc: "glibc", isGpu: true }).some((text) => text.includes("libstdc++"));
  // A developer's build uses this system's; a package must not.
  assert.equal(isForeign, needed.includes("libstdc++.so.6"));
  const local = { isGpu: true, allowsSystemCxx: true, allowsNewerSystem: true };
  assert.deepEqual(complaints(folder, { libc: "glibc", ...local }), []);
});

test("versions of glibc are compared as versions", () => {
  const versions = ["GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.35", "GLIBC_2.100", "GLIBCXX_3.4.30", "GCC_3.0"];
  assert.deepEqual(versionsAbove(versions, "2.34"), ["GLIBC_2.35", "GLIBC_2.100"]);
  // The first came with 2.36, the second promises nothing at all.
  const numberless = ["GLIBC_ABI_DT_RELR", "GLIBC_PRIVATE"];
  assert.deepEqual(versionsAbove([...versions, ...numberless], "2.100"), numberless);
  assert.deepEqual(versionsAbove(["GCC_3.0", "GCC_12.0.0", "GLIBC_2.99"], "11.0", "GCC_"), ["GCC_12.0.0"]);
});

test("a release sets one version everywhere", () => {
  /** @type {[file: string, before: string, after: string][]} */
  const table = [
    [
      "package.json",
      '{\n  "name": "llama-worker",\n  "version": "0.1.0",\n  "x": "0.1.0"\n}\n',
      '"version": "0.2.0",\n  "x": "0.1.0"',
    ],
    [
      "Cargo.toml",
      '[workspace.package]\nversion = "0.1.0"\n[dependencies]\nother = "0.1.0"\n',
      'version = "0.2.0"\n[dependencies]\nother = "0.1.0"',
    ],
    [
      "Cargo.lock",
      '[[package]]\nname = "llama-worker"\nversion = "0.1.0"\n\n[[package]]\nname = "other"\nversion = "0.1.0"\n\n[[package]]\nname = "llama-worker-engine"\nversion = "0.1.0"\n',
      'name = "llama-worker"\nversion = "0.2.0"\n\n[[package]]\nname = "other"\nversion = "0.1.0"\n\n[[package]]\nname = "llama-worker-engine"\nversion = "0.2.0"',
    ],
    [
      "package-lock.json",
      '{\n  "name": "llama-worker",\n  "version": "0.1.0",\n  "packages": {\n    "": {\n      "name": "llama-worker",\n      "version": "0.1.0"\n    },\n    "node_modules/x": {\n      "version": "0.1.0"\n    }\n  }\n}\n',
      '"version": "0.2.0",\n  "packages": {\n    "": {\n      "name": "llama-worker",\n      "version": "0.2.0"\n    },\n    "node_modules/x": {\n      "version": "0.1.0"',
    ],
  ];
  for (const [file, before, after] of table) assert.ok(setVersion(file, before, "0.2.0").includes(after), file);
  assert.throws(() => setVersion("package.json", "{}", "0.2.0"), /no version/);
});

test("a release that cannot be made whole changes nothing, and one that can says how its tag gets out", async (context) => {
  const folder = temporaryFolder(context);
  const names = [
    "package.json",
    "package-lock.json",
    "Cargo.toml",
    "Cargo.lock",
    "examples/electron-chat/package.json",
  ];
  const folders = committedFiles(checkout).map(({ name }) => path.dirname(name));
  for (const name of ["examples/electron-chat", ...folders]) fs.mkdirSync(path.join(folder, name), { recursive: true });
  for (const name of names) fs.copyFileSync(path.join(CHECKOUT, name), path.join(folder, name));
  fs.writeFileSync(path.join(folder, "CHANGELOG.md"), "# Changelog\n\n## Unreleased\n\n- A thing.\n");
  const lock = path.join(folder, "Cargo.lock");
  const whole = fs.readFileSync(lock, "utf8");
  fs.writeFileSync(lock, "nothing of ours\n");
  const state = () => ["CHANGELOG.md", ...names].map((name) => fs.readFileSync(path.join(folder, name), "utf8"));
  const before = state();
  const release = () =>
    promisify(execFile)(process.execPath, [path.join(CHECKOUT, "scripts/release.js"), "7.8.9", folder]);
  await assert.rejects(release(), /`Cargo\.lock` has no version to set/);
  assert.deepEqual(state(), before);
  fs.writeFileSync(lock, whole);
  const { stdout } = await release();
  // A tag without a message is not pushed by `--follow-tags`.
  assert.match(stdout, /git tag -a v7\.8\.9 -m 7\.8\.9 && git push --follow-tags/);
  for (const text of state()) assert.ok(text.includes("7.8.9"));
  const { version } = JSON.parse(fs.readFileSync(path.join(folder, "npm/darwin-arm64/package.json"), "utf8"));
  assert.equal(version, "7.8.9");
});

test("a release closes the changelog's open part", () => {
  const before = "# Changelog\n\n## Unreleased\n\n### Added\n\n- A thing.\n\n## 0.1.0 - 2026-01-01\n\n- Older.\n";
  const after = releaseChangelog(before, "0.2.0", "2026-02-03");
  assert.ok(after.includes("## Unreleased\n\n## 0.2.0 - 2026-02-03\n\n### Added\n\n- A thing.\n\n## 0.1.0"), after);
  assert.throws(() => releaseChangelog(after, "0.3.0", "2026-02-04"), /nothing under `## Unreleased`/);
  assert.throws(() => releaseChangelog("# Changelog\n", "0.2.0", "2026-02-03"), /no `## Unreleased`/);
});
