/**
 * The addon and its llama.cpp libraries in `npm/<platform>/`, built only when what they are made from has changed.
 *
 * Cargo knows better what to compile again; the stamp only spares the question, and it notices what cargo cannot see: llama.cpp's build
 * is never configured anew for a changed environment.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { ADDON_CRATE, LLAMA_CRATE, cargoBuild, typesFolder } = require("./cargo");
const { outputOf, runQuietly } = require("./command");
const { llamaProgress } = require("./llama-progress");
const { fillPlatformFolder } = require("./platform-folder");
const { say, withProgress } = require("./report");
const { hashInputs, readStamp, writeStamp } = require("./stamp");

/** The types of the native class, made with the addon; `npm run generate` commits a copy. */
const TYPES_FILE = "native.d.ts";
/** What llama.cpp is configured with. */
const ENVIRONMENT = [".cargo", "cmake"];
const INPUTS = [
  ...ENVIRONMENT,
  "Cargo.toml",
  "Cargo.lock",
  "build.rs",
  "src",
  "crates",
  "package-lock.json",
  "scripts/setup",
];

/** @typedef {{ inputs?: string, environment?: string, folder?: string, files?: string[] }} BuildStamp */

/** @param {string} root */
function stampFile(root) {
  return path.join(root, "npm", ".build-stamp.json");
}

/**
 * What is to be done: nothing, a build, or a build with llama.cpp from the start.
 *
 * @param {BuildStamp} before
 * @param {{ inputs: string, environment: string }} now
 * @param {(file: string) => boolean} exists
 * @returns {"nothing" | "build" | "rebuild llama.cpp"}
 */
function planBuild(before, now, exists) {
  if (before.environment !== undefined && before.environment !== now.environment) return "rebuild llama.cpp";
  const isComplete = before.files?.every((name) => exists(`${before.folder}/${name}`));
  return isComplete && before.inputs === now.inputs ? "nothing" : "build";
}

/**
 * @param {string} root
 * @param {import("./machine").Machine} machine
 */
async function buildAddon(root, machine) {
  const compiler = await outputOf("rustc", ["-vV"], { cwd: root });
  const now = { inputs: hashInputs(root, INPUTS, [compiler]), environment: hashInputs(root, ENVIRONMENT) };
  const plan = planBuild(readStamp(stampFile(root)), now, (file) => fs.existsSync(path.join(root, file)));
  if (plan === "nothing") return;
  if (plan === "rebuild llama.cpp") await forgetLlama(root, now.environment);
  say(announcement(isCold(root)));
  const built = await buildWithProgress(root);
  const folder = `npm/${platformOf(compiler)}`;
  const strips = machine.platform === "linux" && machine.hasCommand("strip");
  const libraries = await fillPlatformFolder(path.join(root, folder), built, { strips });
  await writeTypes(root, path.join(root, folder, TYPES_FILE));
  writeStamp(stampFile(root), { ...now, folder, files: [...libraries, TYPES_FILE] });
}

/**
 * Says that what lies in the platform's folder is no developer's build any more: the next setup makes one again.
 *
 * @param {string} root
 */
function forgetAddon(root) {
  const { environment } = readStamp(stampFile(root));
  writeStamp(stampFile(root), { environment });
}

/**
 * @param {string} root
 * @param {string} environment noted at once, or a build that fails would start from nothing the next time too
 */
async function forgetLlama(root, environment) {
  await runQuietly("cargo", ["clean", "--release", "-p", LLAMA_CRATE], { cwd: root });
  writeStamp(stampFile(root), { environment });
}

/** @param {boolean} cold */
function announcement(cold) {
  if (!cold) return "building the native addon";
  return "building the native addon: compiling llama.cpp takes 5 to 10 minutes on two cores the first time, later builds are quick";
}

/**
 * @param {string} root
 * @returns {string[]} where cargo lets llama.cpp be built; abandoned ones too
 */
function llamaFolders(root) {
  const parent = path.join(path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target"), "release", "build");
  const names = fs.existsSync(parent) ? fs.readdirSync(parent) : [];
  return names.filter((name) => name.startsWith(`${LLAMA_CRATE}-`)).map((name) => path.join(parent, name, "out"));
}

/** @param {string} root */
function isCold(root) {
  return !llamaFolders(root).some((folder) => fs.existsSync(path.join(folder, "lib")));
}

/** @param {string} root */
function buildWithProgress(root) {
  fs.mkdirSync(typesFolder(root), { recursive: true });
  const start = Date.now();
  let crate = "the Rust crates";
  const describe = () => {
    const llama = llamaProgress(
      llamaFolders(root).map((folder) => path.join(folder, "build")),
      start,
    );
    return llama && llama.done < llama.total
      ? `llama.cpp: ${llama.done} of ${llama.total} steps`
      : `compiling ${crate}`;
  };
  const onErrorLine = (/** @type {string} */ line) => {
    crate = /^\s*Compiling (\S+)/.exec(line)?.[1] ?? crate;
  };
  return withProgress(describe, () => buildWithTypes(root, onErrorLine));
}

/**
 * Cargo does not know of the types file: when it is gone and the crate is up to date, the crate has to be compiled again to get it back.
 *
 * @param {string} root
 * @param {(line: string) => void} onErrorLine
 */
async function buildWithTypes(root, onErrorLine) {
  const built = await cargoBuild(root, { onErrorLine });
  if (fs.existsSync(path.join(typesFolder(root), ADDON_CRATE))) return built;
  const force = `NAPI_FORCE_BUILD_${ADDON_CRATE.replaceAll("-", "_").toUpperCase()}`;
  return cargoBuild(root, { onErrorLine, environment: { [force]: String(Date.now()) } });
}

/** @param {string} compiler what `rustc -vV` prints */
function platformOf(compiler) {
  const { parseTriple } = require("@napi-rs/cli");
  const host = /^host: (\S+)/m.exec(compiler);
  return parseTriple(host?.[1] ?? "").platformArchABI;
}

/**
 * @param {string} root
 * @param {string} file
 */
async function writeTypes(root, file) {
  dropRepeatedLines(path.join(typesFolder(root), ADDON_CRATE));
  // Not at the top: the package is there only after the setup's own npm step.
  const { generateTypeDef } = require("@napi-rs/cli");
  const { dts } = await generateTypeDef({
    typeDefDir: typesFolder(root),
    cwd: root,
    constEnum: false,
    dtsHeader: TYPES_HEADER,
  });
  fs.writeFileSync(file, dts);
}

/**
 * Clippy compiles the crate twice at once, and both times the macros note the types in the same file.
 *
 * @param {string} file
 */
function dropRepeatedLines(file) {
  const lines = fs.readFileSync(file, "utf8").split("\n");
  fs.writeFileSync(file, [...new Set(lines)].join("\n"));
}

const TYPES_HEADER = `/**
 * The native class as the addon exports it. Made from src/ by \`npm run generate\`; the public types are in index.d.ts.
 */

`;

/**
 * @param {string} root
 * @returns {string} the types of the addon that is built
 */
function builtTypes(root) {
  const { folder } = readStamp(stampFile(root));
  return fs.readFileSync(path.join(root, folder, TYPES_FILE), "utf8");
}

module.exports = { buildAddon, builtTypes, forgetAddon, planBuild };
