/**
 * What must be true of the binaries of a package, whoever built them.
 *
 * Says everything that is wrong at once and mends nothing. On systems other than Linux only what every system has is looked at: the names, and
 * that they are plain files.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { readElf } = require("./elf");
const { GCC_FLOOR, GLIBC_FLOOR } = require("./platforms");
const { isAtLeast, parseVersion } = require("../setup/version");

const BINARY = /\.(node|so|dylib|dll)$/;
const ADDON = "llama-worker.node";
/** What every Linux with Node.js has. The C++ library is not among them: it differs too much in age. */
const SYSTEM_LIBRARIES =
  /^(libc|libm|libgcc_s|libdl|libpthread|librt|ld-linux-x86-64|ld-linux-aarch64|libc\.musl-\w+)\.so(\.\d+)?$/;
/** What a GPU backend brings to the surface by its nature. */
const GPU_LIBRARIES = /^(libvulkan|libcuda|libcudart|libcublas|libcublasLt)\.so(\.\d+)?$/;
/** The names by which Node finds an addon, and the C interface of llguidance, which its crate always exports; nobody links to it. */
const ENTRY = /^napi_register_module_v1$|^node_api_module_get_api_version_v1$|^llg_\w+$/;

/**
 * @param {string} folder
 * @returns {string[]} the names of all binaries, those of folders inside it with their folder
 */
function binariesIn(folder) {
  const entries = fs.readdirSync(folder, { withFileTypes: true });
  return entries
    .flatMap((entry) =>
      entry.isDirectory()
        ? binariesIn(path.join(folder, entry.name)).map((name) => `${entry.name}/${name}`)
        : [entry.name].filter((name) => BINARY.test(name)),
    )
    .sort();
}

/**
 * @param {string} folder of a package
 * @param {{ isGpu?: boolean, libc?: "glibc" | "musl", allowsSystemCxx?: boolean, allowsNewerSystem?: boolean }} [kind] what a build for this machine only
 *   may need: `allowsSystemCxx` its C++ library, `allowsNewerSystem` a newer glibc and GCC than are promised
 * @returns {string[]} what is wrong, a sentence each
 */
function complaints(folder, { isGpu = false, libc, allowsSystemCxx = false, allowsNewerSystem = false } = {}) {
  const names = binariesIn(folder);
  if (names.length === 0) return ["there are no binaries"];
  return [
    ...(isGpu || names.includes(ADDON) ? [] : [`there is no \`${ADDON}\``]),
    ...names.flatMap((name) => plainFileComplaints(folder, name)),
    ...(libc
      ? names.flatMap((name) => elfComplaints(folder, name, { isGpu, libc, allowsSystemCxx, allowsNewerSystem }))
      : []),
    // What a GPU's backend wants is in another package, and on musl the system's names have no versions to tell them by.
    ...(libc === "glibc" && !isGpu ? wantComplaints(folder, names) : []),
  ];
}

/**
 * @param {string} folder
 * @param {string} name
 */
function plainFileComplaints(folder, name) {
  const entry = fs.lstatSync(path.join(folder, name));
  // npm leaves links out of a package without a word.
  return entry.isFile() ? [] : [`\`${name}\` is no plain file`];
}

/**
 * @param {string} folder
 * @param {string} name
 * @param {{ isGpu: boolean, libc: "glibc" | "musl", allowsSystemCxx: boolean, allowsNewerSystem: boolean }} kind
 */
function elfComplaints(folder, name, { isGpu, libc, allowsSystemCxx, allowsNewerSystem }) {
  const elf = readElf(path.join(folder, name));
  const foreign = elf.needed.filter((needed) => {
    if (/-lw\.so$/.test(needed)) return !isGpu && !fs.existsSync(path.join(folder, needed));
    if (/^libstdc\+\+\.so/.test(needed)) return !allowsSystemCxx;
    return !SYSTEM_LIBRARIES.test(needed) && !(isGpu && GPU_LIBRARIES.test(needed));
  });
  const tooNew = libc === "glibc" && !allowsNewerSystem ? versionsAbove(elf.versions, GLIBC_FLOOR) : [];
  const tooNewGcc = allowsNewerSystem ? [] : versionsAbove(elf.versions, GCC_FLOOR, "GCC_");
  return [
    ...foreign.map((needed) => `\`${name}\` needs \`${needed}\`, which not every system has`),
    ...tooNew.map(
      (version) => `\`${name}\` needs \`${version}\`, newer than the glibc ${GLIBC_FLOOR} that is promised`,
    ),
    ...tooNewGcc.map((version) => `\`${name}\` needs \`${version}\`, newer than the GCC ${GCC_FLOOR} that is promised`),
    // glibc 2.41 does not load such a library any more.
    ...(elf.hasExecutableStack ? [`\`${name}\` wants an executable stack`] : []),
    ...(elf.runpath === "$ORIGIN"
      ? []
      : [`\`${name}\` looks for its libraries in \`${elf.runpath}\`, expected $ORIGIN`]),
    ...(elf.isStripped ? [] : [`\`${name}\` is not stripped`]),
    ...nameComplaints(name, elf),
  ];
}

/**
 * Two addons in one process share libraries by their names: ours must be nobody else's.
 *
 * @param {string} name
 * @param {import("./elf").ElfFacts} elf
 */
function nameComplaints(name, { soname, exported }) {
  if (name === ADDON) {
    const others = exported.filter((symbol) => !ENTRY.test(symbol));
    return others.length === 0
      ? []
      : [`\`${name}\` exports ${others.length} names besides its own, as \`${others[0]}\``];
  }
  if (soname === undefined || (soname === name && /-lw\.so$/.test(soname))) return [];
  return [`\`${name}\` calls itself \`${soname}\`, expected its file's name, ending in -lw.so`];
}

/**
 * A name that nobody brings is found out when the addon is loaded, or only when it is called.
 *
 * @param {string} folder
 * @param {string[]} names
 */
function wantComplaints(folder, names) {
  const libraries = names.map((name) => ({ name, ...readElf(path.join(folder, name)) }));
  const brought = new Set(libraries.flatMap(({ exported }) => exported));
  return libraries.flatMap(({ name, wanted }) => {
    const missing = wanted.filter((symbol) => !brought.has(symbol));
    if (missing.length === 0) return [];
    return [`\`${name}\` wants ${missing.length} names that no library beside it has, as \`${missing[0]}\``];
  });
}

/**
 * A version without a number, as `GLIBC_PRIVATE` and `GLIBC_ABI_DT_RELR`, is above all: no older system is sure to have it.
 *
 * @param {string[]} versions
 * @param {string} floor
 * @param {string} [kind] what the versions begin with
 */
function versionsAbove(versions, floor, kind = "GLIBC_") {
  const highest = parseVersion(floor) ?? [];
  return versions.filter((version) => {
    if (!version.startsWith(kind)) return false;
    const parsed = parseVersion(version);
    return parsed === undefined || !isAtLeast(highest, parsed);
  });
}

module.exports = { binariesIn, complaints, versionsAbove };
