/**
 * Which GPU is chosen and what is said when none can be: installations are made up of copies of the addon and of libraries that do not load, each
 * tried in a process of its own.
 *
 * No GPU is needed here; a real backend on a real driver is `npm run test:vulkan`.
 */

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { after, before, describe, test } = require("node:test");
const { LlamaWorker, builtInModelPath } = require("../js/index");
const { nativeDirectory } = require("../js/binding");
const { gpuBackends } = require("../js/gpu-packages");
const { PLATFORMS } = require("../scripts/package/platforms");
const { gpuManifest } = require("../scripts/package/manifests");
const { CHECKOUT, PLATFORM, installTarballs, packPackages, run, temporaryFolder } = require("./consumer");
const { CAPITAL, loadedWorker } = require("./support");

const { version } = require("../package.json");
const onLinux = { skip: process.platform !== "linux" };

/** Tells what `init` makes of each choice, in one process. */
const TRY = `
  const { LlamaWorker, builtInModelPath } = require(process.argv[2]);
  (async () => {
    const outcomes = {};
    for (const gpu of JSON.parse(process.argv[3])) {
      const worker = new LlamaWorker();
      try { outcomes[gpu] = await worker.init({ gpu, numThreads: 1 }); }
      catch ({ code, message }) { outcomes[gpu] = { code, message }; }
      await worker.cleanup();
    }
    console.log(JSON.stringify(outcomes));
  })();
`;

/** @type {string} */
let folder;
before(() => (folder = temporaryFolder()));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/**
 * @param {string} name
 * @param {Record<string, { version: string, library: string | Buffer }>} gpus what is installed beside the addon
 */
function installation(name, gpus) {
  const native = path.join(folder, name);
  fs.cpSync(nativeDirectory, native, { recursive: true });
  for (const [gpu, { version: installed, library }] of Object.entries(gpus)) {
    fs.mkdirSync(`${native}-${gpu}`);
    fs.writeFileSync(path.join(`${native}-${gpu}`, "package.json"), JSON.stringify({ version: installed }));
    fs.writeFileSync(path.join(`${native}-${gpu}`, `libggml-${gpu}.so`), library);
  }
  return native;
}

/**
 * @param {string} native
 * @param {unknown[]} choices
 */
async function outcomes(native, choices) {
  const script = path.join(folder, "try.cjs");
  fs.writeFileSync(script, TRY);
  const args = [script, path.join(CHECKOUT, "js/index.js"), JSON.stringify(choices)];
  return JSON.parse(await run(process.execPath, args, folder, { LLAMA_WORKER_NATIVE_DIR: native }));
}

/** Not every Linux has packages for GPUs. */
const whereItHasPackages = { skip: process.platform !== "linux" || PLATFORMS[PLATFORM].gpus.length === 0 };

describe("without a GPU's package", onLinux, () => {
  test("the processor evaluates, and a named GPU is an error that names the package", async () => {
    const found = await outcomes(installation("plain", {}), ["auto", "off", false, "vulkan", "cuda", "metal"]);
    for (const choice of ["auto", "off", "false"]) {
      const { backend, devices, warnings } = found[choice];
      assert.deepEqual([backend, warnings], ["CPU", []], choice);
      assert.deepEqual(
        devices.map((/** @type {any} */ { type, isChosen }) => [type, isChosen]),
        [["cpu", true]],
      );
      assert.ok(devices[0].memoryTotal > 0 && devices[0].memoryFree > 0);
    }
    for (const gpu of ["vulkan", "cuda"]) {
      assert.equal(found[gpu].code, "BACKEND_UNAVAILABLE");
      if (!PLATFORMS[PLATFORM].gpus.includes(/** @type {any} */ (gpu))) {
        assert.match(found[gpu].message, /^there is no \w+ backend for this platform$/);
        continue;
      }
      const name = `llama-worker-${PLATFORM}-${gpu}`;
      assert.match(
        found[gpu].message,
        new RegExp(`^the \\w+ backend is not installed: install \`${name}\` ${version} beside`),
      );
    }
    assert.deepEqual(found.metal, {
      code: "BACKEND_UNAVAILABLE",
      message: "there is no Metal backend for this platform",
    });
  });
});

describe("with a package that does not work", whereItHasPackages, () => {
  test("a library that does not load is skipped with a warning, or is the error's reason", async () => {
    const native = installation("broken", { vulkan: { version, library: "no library" } });
    const { auto, vulkan, off } = await outcomes(native, ["auto", "vulkan", "off"]);
    assert.equal(auto.backend, "CPU");
    assert.equal(auto.warnings.length, 1);
    assert.match(
      auto.warnings[0],
      /^the Vulkan backend does not load \(.*libggml-vulkan\.so.*(file too short|invalid ELF header)/,
    );
    assert.deepEqual([vulkan.code, vulkan.message], ["BACKEND_UNAVAILABLE", auto.warnings[0]]);
    assert.deepEqual(off.warnings, []);
  });

  test("a library that is no backend is refused", async () => {
    const library = fs.readFileSync(path.join(nativeDirectory, "libggml-base-lw.so"));
    const { cuda } = await outcomes(installation("other", { cuda: { version, library } }), ["cuda"]);
    assert.equal(cuda.code, "BACKEND_UNAVAILABLE");
    assert.match(cuda.message, /^the CUDA backend does not load \(.*ggml_backend_init.* and CUDA 12's libraries/);
  });

  test("a package of another version is not loaded", async () => {
    const native = installation("older", { vulkan: { version: "0.0.1", library: "whatever" } });
    const { auto, vulkan } = await outcomes(native, ["auto", "vulkan"]);
    assert.deepEqual([auto.backend, auto.warnings], ["CPU", []]);
    assert.match(
      vulkan.message,
      new RegExp(`is version 0\\.0\\.1, which does not fit: install \`llama-worker-${PLATFORM}-vulkan\` ${version}$`),
    );
  });
});

describe("installed with the other packages", whereItHasPackages, () => {
  /** A package of a backend as it is packed, with a library in it that ggml refuses: the reason tells which file was tried. */
  async function packGpu() {
    const root = path.join(folder, "made-up");
    const place = path.join(root, "npm", `${PLATFORM}-vulkan`);
    fs.mkdirSync(place, { recursive: true });
    const manifest = gpuManifest(
      PLATFORM,
      "vulkan",
      JSON.parse(fs.readFileSync(path.join(CHECKOUT, "package.json"), "utf8")),
    );
    fs.writeFileSync(path.join(place, "package.json"), JSON.stringify(manifest));
    fs.writeFileSync(path.join(place, "libggml-vulkan.so"), "no library");
    const stage = path.join(place, "pack");
    fs.mkdirSync(stage);
    await run("npm", ["pack", "--ignore-scripts", "--pack-destination", stage], place);
    const [name] = fs.readdirSync(stage);
    return { file: path.join(stage, name) };
  }

  /** @type {{ root: string, platform: string, gpu: string }} */
  let tarballs;
  before(async () => {
    const packed = await packPackages(path.join(folder, "packed"));
    tarballs = { root: packed.root.file, platform: packed.platform.file, gpu: (await packGpu()).file };
  });

  /** @param {string} from where `llama-worker` is required */
  async function triedLibrary(from) {
    const script = path.join(from, "try.cjs");
    fs.writeFileSync(script, TRY);
    const { vulkan } = JSON.parse(await run(process.execPath, [script, "llama-worker", '["vulkan"]'], from));
    assert.equal(vulkan.code, "BACKEND_UNAVAILABLE");
    return /failed to load (\S*libggml-vulkan\.so):/.exec(vulkan.message)?.[1] ?? vulkan.message;
  }

  test("by npm, the backend's package is found", async () => {
    const project = path.join(folder, "flat");
    await installTarballs(
      project,
      Object.values(tarballs).map((file) => /** @type {any} */ ({ file })),
    );
    const expected = path.join(project, "node_modules", `llama-worker-${PLATFORM}-vulkan`, "libggml-vulkan.so");
    assert.equal(await triedLibrary(project), expected);
  });

  test("by a package manager that shows each package only what it names, it is found too", async () => {
    const project = path.join(folder, "strict");
    const store = (/** @type {string} */ name) => path.join(project, "node_modules/.pnpm", name, "node_modules", name);
    const names = {
      root: "llama-worker",
      platform: `llama-worker-${PLATFORM}`,
      gpu: `llama-worker-${PLATFORM}-vulkan`,
    };
    for (const [kind, name] of Object.entries(names)) {
      fs.mkdirSync(store(name), { recursive: true });
      const file = tarballs[/** @type {keyof typeof tarballs} */ (kind)];
      await run("tar", ["-xzf", file, "-C", store(name), "--strip-components=1"], project);
    }
    // What the root package's manifest names lies beside it as a link, and so does in the project what the project names.
    const { optionalDependencies, peerDependencies } = JSON.parse(
      fs.readFileSync(path.join(store(names.root), "package.json"), "utf8"),
    );
    fs.symlinkSync(store(names.root), path.join(project, "node_modules", names.root), "junction");
    const link = (/** @type {string} */ name) => {
      assert.ok(name in { ...optionalDependencies, ...peerDependencies }, name);
      fs.symlinkSync(store(name), path.join(path.dirname(store(names.root)), name), "junction");
    };
    link(names.platform);
    assert.match(await triedLibrary(project), /^the Vulkan backend is not installed/);
    link(names.gpu);
    assert.equal(await triedLibrary(project), path.join(store(names.gpu), "libggml-vulkan.so"));
  });
});

test("each system has its own backends", (context) => {
  const place = fs.mkdtempSync(path.join(folder, "systems-"));
  context.after(() => fs.rmSync(place, { recursive: true }));
  const resolve = () => undefined;
  const of = (/** @type {string} */ triple) =>
    gpuBackends({ triple, folder: path.join(place, triple), version, resolve }).map(({ gpu, library }) => [
      gpu,
      library !== undefined,
    ]);
  assert.deepEqual(of("linux-x64-gnu"), [
    ["cuda", false],
    ["vulkan", false],
  ]);
  assert.deepEqual(of("linux-x64-musl"), []);
  assert.deepEqual(of("darwin-arm64"), [["metal", false]]);
  fs.mkdirSync(path.join(place, "darwin-arm64/metal"), { recursive: true });
  fs.writeFileSync(path.join(place, "darwin-arm64/metal/libggml-metal.so"), "");
  assert.deepEqual(of("darwin-arm64"), [["metal", true]]);
  fs.mkdirSync(path.join(place, "win32-x64-msvc-vulkan"), { recursive: true });
  fs.writeFileSync(path.join(place, "win32-x64-msvc-vulkan/ggml-vulkan.dll"), "");
  fs.writeFileSync(path.join(place, "win32-x64-msvc-vulkan/package.json"), JSON.stringify({ version }));
  assert.deepEqual(of("win32-x64-msvc"), [
    ["cuda", false],
    ["vulkan", true],
  ]);
});

test("without a GPU all layers stay with the processor, whatever was asked for", async (context) => {
  const worker = await loadedWorker(context);
  for (const gpuLayers of /** @type {const} */ (["auto", "max", 3, undefined])) {
    const model = await worker.loadModel(builtInModelPath, { gpuLayers });
    assert.equal(model.gpuLayers, 0, String(gpuLayers));
  }
  await worker.createContext({ threads: 1 });
  assert.equal((await worker.generate(CAPITAL.question)).text, CAPITAL.answer);
});

test("`init` tells which build of the CPU backend was chosen", async (context) => {
  const worker = new LlamaWorker();
  context.after(() => worker.cleanup());
  const { cpuVariant } = await worker.init({ gpu: "off" });
  const variants = fs
    .readdirSync(nativeDirectory)
    .flatMap((name) => /^(?:lib)?ggml-cpu-(.+)\.\w+$/.exec(name)?.[1] ?? []);
  if (variants.length === 0) assert.equal(cpuVariant, null);
  else assert.ok(cpuVariant && variants.includes(cpuVariant), `${cpuVariant} among ${variants}`);
});
