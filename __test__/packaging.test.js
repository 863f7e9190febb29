/**
 * What `npm run package` promises of the packages, on files that are made up: manifests, the reading of libraries, the checks.
 *
 * Compiles nothing; the packages themselves are tried out in `package.test.js`.
 */

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { test } = require("node:test");
const { complaints, versionsAbove } = require("../scripts/package/checks");
const { readElf } = require("../scripts/package/elf");
const { committedFiles, gpuManifest, platformManifest, rootManifest } = require("../scripts/package/manifests");
const { gpuBackends } = require("../js/gpu-packages");
const shipped = require("../js/load-failure");
const { GLIBC_FLOOR, PLATFORMS } = require("../scripts/package/platforms");
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
  for (const name of libraries) {
    const { soname, needed, runpath, isStripped, versions } = readElf(path.join(NATIVE, name));
    assert.equal(runpath, "$ORIGIN", name);
    assert.ok(isStripped, `${name} is stripped`);
    assert.ok(needed.includes("libc.so.6") || needed.some((library) => library.includes("musl")), `${name}: ${needed}`);
    assert.ok(soname === undefined || (soname === name && soname.endsWith("-lw.so")), `${name}: ${soname}`);
    assert.deepEqual(versionsAbove(versions, "2.34"), [], name);
  }
  const addon = readElf(path.join(NATIVE, "llama-worker.node"));
  assert.deepEqual(
    addon.exported.filter((name) => !/^(napi_register_module_v1|llg_\w+)$/.test(name)),
    [],
  );
  assert.ok(addon.needed.includes("libllama-lw.so"));
});

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
  assert.deepEqual(complaints(folder, { libc: "glibc", isGpu: true, allowsSystemCxx: true }), []);
});

test("versions of glibc are compared as versions", () => {
  const versions = ["GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.35", "GLIBC_2.100", "GLIBCXX_3.4.30", "GCC_3.0"];
  assert.deepEqual(versionsAbove(versions, "2.34"), ["GLIBC_2.35", "GLIBC_2.100"]);
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

test("a release closes the changelog's open part", () => {
  const before = "# Changelog\n\n## Unreleased\n\n### Added\n\n- A thing.\n\n## 0.1.0 - 2026-01-01\n\n- Older.\n";
  const after = releaseChangelog(before, "0.2.0", "2026-02-03");
  assert.ok(after.includes("## Unreleased\n\n## 0.2.0 - 2026-02-03\n\n### Added\n\n- A thing.\n\n## 0.1.0"), after);
  assert.throws(() => releaseChangelog(after, "0.3.0", "2026-02-04"), /nothing under `## Unreleased`/);
  assert.throws(() => releaseChangelog("# Changelog\n", "0.2.0", "2026-02-03"), /no `## Unreleased`/);
});
