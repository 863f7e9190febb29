/**
 * The CPU backend that a release has for this processor.
 *
 * A developer's build has one for all processors with AVX2; a release has a variant for each kind, as the peers' packages do, and llama.cpp
 * picks one at run time. This compiles the single variant that would be picked here, from the same vendored source, and puts it beside copies of
 * the addon and its libraries. Linux on x64 only.
 */

"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { outputOf, runQuietly } = require("../scripts/setup/command");
const { ROOT, made } = require("./folders");

/** llama.cpp's names of the variants and the processor features each needs, the better ones first. */
const VARIANTS = [
  ["sapphirerapids", ["amx_int8", "avx512_bf16", "avx512_vnni", "avx512vbmi"]],
  ["zen4", ["avx512_bf16", "avx512_vnni", "avx512vbmi"]],
  ["cooperlake", ["avx512_bf16", "avx512_vnni"]],
  ["icelake", ["avx512_vnni", "avx512vbmi"]],
  ["cascadelake", ["avx512_vnni"]],
  ["skylakex", ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"]],
  ["alderlake", ["avx_vnni"]],
];

const CMAKE_OPTIONS = {
  CMAKE_BUILD_TYPE: "Release",
  BUILD_SHARED_LIBS: "ON",
  GGML_BACKEND_DL: "ON",
  GGML_CPU_ALL_VARIANTS: "ON",
  GGML_NATIVE: "OFF",
  GGML_OPENMP: "OFF",
  LLAMA_BUILD_APP: "OFF",
  LLAMA_BUILD_COMMON: "OFF",
  LLAMA_BUILD_EXAMPLES: "OFF",
  LLAMA_BUILD_SERVER: "OFF",
  LLAMA_BUILD_TESTS: "OFF",
  LLAMA_BUILD_TOOLS: "OFF",
  // The library finds its neighbours where it is copied to.
  CMAKE_BUILD_WITH_INSTALL_RPATH: "ON",
  CMAKE_DISABLE_FIND_PACKAGE_OpenSSL: "ON",
  CMAKE_PROJECT_INCLUDE: path.join(ROOT, "cmake", "side-cars.cmake"),
};

/**
 * The name of the variant for a processor; `undefined` when none is better than the package's own backend.
 *
 * @param {string} cpuinfo
 */
function variantFor(cpuinfo) {
  const flags = new Set(cpuinfo.match(/^flags\s*: (.*)$/m)?.[1].split(" "));
  return VARIANTS.find(([, needed]) => needed.every((flag) => flags.has(flag)))?.[0];
}

/** The folder with the addon and that backend; `native` when there is nothing better. */
async function ensureReleaseBackend(cache, native, say) {
  const hasVariants = fs.readdirSync(native).some((name) => name.startsWith("libggml-cpu-"));
  if (hasVariants || process.platform !== "linux" || process.arch !== "x64") return native;
  const variant = variantFor(fs.readFileSync("/proc/cpuinfo", "utf8"));
  if (variant === undefined) return native;
  const backend = await ensureVariant(cache, variant, say);
  const hash = crypto.createHash("sha256");
  const files = fs.readdirSync(native).filter((name) => name !== "libggml-cpu.so");
  for (const name of files) hash.update(fs.readFileSync(path.join(native, name)));
  const folder = path.join(made(cache, "native"), `${variant}-${hash.digest("hex").slice(0, 12)}`);
  if (fs.existsSync(folder)) return folder;
  // Renamed into place, so that it is whole when it is there. What is there is never written again: another bench may have it mapped.
  const part = `${folder}.part`;
  fs.rmSync(part, { recursive: true, force: true });
  fs.mkdirSync(part);
  for (const name of files) fs.copyFileSync(path.join(native, name), path.join(part, name));
  fs.copyFileSync(backend, path.join(part, path.basename(backend)));
  fs.renameSync(part, folder);
  return folder;
}

async function ensureVariant(cache, variant, say) {
  const source = await vendoredSource();
  const [, version] = source.match(/llama-cpp-sys-2-([\d.]+)/) ?? [];
  const folder = made(cache, "backends", version ?? "unknown");
  const file = path.join(folder, `libggml-cpu-${variant}.so`);
  if (fs.existsSync(file)) return file;
  say(`compiling the CPU backend ${variant}, once`);
  const build = path.join(folder, "build");
  const options = Object.entries(CMAKE_OPTIONS).map(([name, value]) => `-D${name}=${value}`);
  const failure = "the CPU backend could not be compiled";
  await runQuietly("cmake", ["-G", "Ninja", "-S", source, "-B", build, ...options], { failure });
  await runQuietly("cmake", ["--build", build, "--target", `ggml-cpu-${variant}`], { failure });
  fs.copyFileSync(path.join(build, "bin", path.basename(file)), file);
  return file;
}

/** Where cargo has unpacked the llama.cpp that everything else is built from. */
async function vendoredSource() {
  const metadata = JSON.parse(await outputOf("cargo", ["metadata", "--format-version=1", "--locked"], { cwd: ROOT }));
  const { manifest_path: manifest } = metadata.packages.find(({ name }) => name === "llama-cpp-sys-2");
  return path.join(path.dirname(manifest), "llama.cpp");
}

module.exports = { ensureReleaseBackend, variantFor };
