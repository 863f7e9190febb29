/**
 * Says why the native addon could not be loaded, and what to do about it.
 *
 * Pure: it is told what was tried and what the system's loader said. The loader's own words stay in the message; a remedy is added only where
 * they name a cause that is known.
 */

"use strict";

/**
 * A folder that was tried. `cause` is what the system's loader said about an addon that is there.
 *
 * @typedef {{ folder: string, isInstalled: boolean, hasAddon: boolean, problem?: string, cause?: string }} Place
 */

/**
 * @typedef {object} System
 * @property {string} triple as in `linux-x64-gnu`
 * @property {boolean} isSupported whether this platform has a package
 * @property {string} [glibc] its version
 * @property {string[]} foreign platform packages that are installed for another system
 * @property {boolean} isBundled whether this code was taken out of its package
 */

/** Every platform that has a package. A test compares these and the next with `scripts/package/platforms.js`, which is not shipped. */
const PLATFORMS = [
  "linux-x64-gnu",
  "linux-arm64-gnu",
  "linux-x64-musl",
  "darwin-arm64",
  "darwin-x64",
  "win32-x64-msvc",
  "win32-arm64-msvc",
];
/** The newest glibc whose functions the published binaries need. */
const GLIBC_FLOOR = "2.34";

/**
 * The first that fits counts: one that says more stands before one that says less.
 *
 * @type {{ cause: RegExp, remedy: (found: RegExpExecArray, system: System) => string }[]}
 */
const KNOWN_CAUSES = [
  {
    cause: /version `(GLIBC_[\w.]+)' not found/,
    remedy: ([, version], { glibc = "older" }) =>
      `this system's glibc (${glibc}) is too old: the addon needs \`${version}\`, the published one ${GLIBC_FLOOR} (Ubuntu 22.04, Debian 12, RHEL 9); use a newer system or image, or build the addon on this one`,
  },
  {
    cause: /version `((?:GLIBCXX|CXXABI)_[\d.]+)' not found/,
    remedy: ([, version]) =>
      `this system's C++ library is too old: the addon was built here or elsewhere for \`${version}\`; install the published package, which brings its own`,
  },
  {
    // Before the next: on musl a name of our own libraries that is missing and one of another C library are told alike.
    cause:
      /Error relocating \S+ (?:llama|ggml|gguf|common)_\w+: symbol not found|Error relocating \S+ _Z\w*(?:llama|ggml|gguf|common)\w*: symbol not found/,
    remedy: differentBuilds,
  },
  {
    cause:
      /(?:ld-musl|libc\.musl)[^:]*: cannot open shared object|Error loading shared library ld-linux|__\w+: symbol not found|Error relocating/,
    remedy: (_, { triple }) =>
      `the addon was built for another C library than this system's: install \`llama-worker-${triple}\``,
  },
  {
    cause: /library load disallowed by system policy|library load denied by system policy/i,
    remedy: () =>
      "macOS has put the files under quarantine, because they did not come through a package manager: install the package with one, or take the mark off with `xattr -dr com.apple.quarantine` and the folder",
  },
  {
    cause: /different Team IDs|code signature|not valid for use in process/i,
    remedy: () =>
      "macOS refuses libraries that are not signed as the app is: sign the unpacked `.node`, `.dylib` and `.so` files with the app's own identity",
  },
  {
    cause:
      /incompatible architecture|wrong ELF class|invalid ELF header|Exec format error|not a valid Win32 application|file too short/,
    remedy: (_, { triple }) =>
      `the file is damaged or of another architecture: reinstall \`llama-worker-${triple}\`, and install on the system that runs it`,
  },
  {
    cause: /(?:cannot open shared object file|Error loading shared library \S+): Permission denied/,
    remedy: () => "this process may not read that file: check the rights of it and of its folder",
  },
  {
    cause: /failed to map segment from shared object|Error loading shared library \S+: Operation not permitted/,
    remedy: () =>
      "this system does not let code run from that folder: it may be mounted with `noexec`, as temporary folders are; put the package elsewhere",
  },
  {
    cause:
      /(lib[\w.+-]+-lw\.(?:so|dylib)|lib[\w.+-]+\.so[\d.]*): cannot open shared object file|Error loading shared library (lib[\w.+-]+\.so[\d.]*)|Library not loaded: \S*?([\w.+-]+\.dylib)/,
    remedy: ([, glibc, musl, mac]) => missingLibrary(glibc ?? musl ?? mac),
  },
  {
    cause: /The specified module could not be found/,
    remedy: () => missingLibrary("one of the DLLs beside it"),
  },
  {
    cause: /undefined symbol: \S+|Symbol not found: \S+|The specified procedure could not be found/,
    remedy: differentBuilds,
  },
];

/**
 * @param {unknown} _
 * @param {System} system
 */
function differentBuilds(_, { triple }) {
  return `the files of that folder are of different builds: reinstall \`llama-worker-${triple}\``;
}

/** @param {string} name */
function missingLibrary(name) {
  return name.includes("-lw.") || !name.startsWith("lib")
    ? `the platform package is incomplete, ${name} is missing: reinstall it, and have a packager copy or unpack the whole package, not only the \`.node\` file`
    : `this system lacks ${name}: install it with the system's package manager`;
}

/**
 * @param {Place[]} places
 * @param {System} system
 */
function describeFailure(places, system) {
  const tried = places.map((place) => `\`${place.folder}\` (${whatHappened(place)})`).join(", ");
  return `the native addon for \`${system.triple}\` could not be loaded, tried ${tried}; ${remedyFor(places, system)}`;
}

/** @param {Place} place */
function whatHappened({ isInstalled, hasAddon, problem, cause }) {
  if (problem) return problem;
  if (cause) return cause;
  if (!isInstalled) return "the package is not installed";
  return hasAddon ? "it was not tried" : "there is no llama-worker.node";
}

/**
 * @param {Place[]} places
 * @param {System} system
 */
function remedyFor(places, system) {
  const causes = places.flatMap(({ cause }) => cause ?? []);
  for (const text of causes) {
    const known = KNOWN_CAUSES.map(({ cause, remedy }) => ({ found: cause.exec(text), remedy })).find(
      ({ found }) => found,
    );
    if (known?.found) return known.remedy(known.found, system);
  }
  if (causes.length > 0) return "check that all files of that folder are there and were built for this system";
  return remedyForMissing(places, system);
}

/**
 * @param {Place[]} places
 * @param {System} system
 */
function remedyForMissing(places, { triple, isSupported, foreign, isBundled }) {
  const name = `llama-worker-${triple}`;
  if (isBundled)
    return "this code was bundled into another file: mark `llama-worker` as external in the bundler, and ship its package";
  if (places.some(({ problem }) => problem)) return `install \`${name}\` in the version of \`llama-worker\``;
  if (places.some(({ folder }) => /\.asar([\\/]|\.unpacked)/.test(folder)))
    return `the package is inside an asar archive, from which no system loads libraries: unpack \`**/node_modules/llama-worker*/**\``;
  const others = foreign.map((other) => `\`${other}\``).join(", ");
  if (!isSupported) {
    const found = others && `${others} is installed, which is for another system, and `;
    return `${found}there is no package for this platform; build the addon in a checkout with \`npm run build\``;
  }
  if (others)
    return `${others} is installed, which is for another system: install \`${name}\` on the system that runs it (a node_modules folder cannot be copied between systems)`;
  return `install \`${name}\` (npm leaves it out with \`--omit=optional\`, and where a lock file was made on another system), or build the addon in a checkout with \`npm run build\``;
}

/**
 * The loader's own words are at the end of the chain of causes, and its reason is a line further down on macOS.
 *
 * @param {any} error
 * @returns {string}
 */
function loaderWords(error) {
  if (error?.cause) return loaderWords(error.cause);
  const [words, ...others] = String(error?.message ?? error).split(/\r?\n/);
  const reason = others.find((line) => /^\s*Reason: /.test(line));
  return reason ? `${words}, ${reason.trim()}` : words;
}

module.exports = { GLIBC_FLOOR, PLATFORMS, describeFailure, loaderWords };
