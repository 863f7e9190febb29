/**
 * Makes an app of the example as a user has it: with the packages installed from tarballs, and packed into an asar archive.
 *
 * The JavaScript is turned into what the old Electron of these tests understands; the binaries are those that are published.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { packBinaries, packRoot } = require("../package/pack");
const { PLATFORMS } = require("../package/platforms");
const { npmCommand, runQuietly } = require("../setup/command");

/** What has to lie outside the archive; docs/electron.md says so too. */
const UNPACKED = "**/node_modules/llama-worker*/**";
/** Of Electron 9. */
const TARGET = "node12.14";

/**
 * @param {string} root of the checkout
 * @param {string} folder is emptied
 * @param {string} platform the folder below `npm/` whose binaries are used
 * @returns {Promise<{ plain: string, archive: string }>} the app as a folder, and as an archive
 */
async function makeApp(root, folder, platform) {
  const plain = path.join(folder, "plain");
  fs.rmSync(folder, { recursive: true, force: true });
  fs.cpSync(path.join(root, "examples", "electron-chat"), plain, { recursive: true });
  fs.cpSync(path.join(__dirname, "old"), plain, { recursive: true });
  const manifest = { name: "electron-chat", version: "0.1.0", main: "drive.js" };
  fs.writeFileSync(path.join(plain, "package.json"), JSON.stringify(manifest));
  // A file that only JavaScript can see in the archive.
  fs.writeFileSync(path.join(plain, "model.gguf"), "GGUF");
  const tarballs = [await packRoot(root, folder), await packBinaries(root, platform, folder, PLATFORMS[platform])];
  const install = ["install", "--ignore-scripts", "--offline", "--no-audit", "--no-fund", "--no-save"];
  const [command, args] = npmCommand([...install, ...tarballs.map(({ file }) => file)]);
  await runQuietly(command, args, { cwd: plain });
  // That Node.js knows no `exports`.
  fs.writeFileSync(path.join(plain, "node_modules", "llama-worker", "worker.js"), 'require("./js/worker.js");\n');
  for (const place of [plain, path.join(plain, "node_modules", "llama-worker", "js")]) await makeOlder(root, place);
  const archive = path.join(folder, "app.asar");
  await require("@electron/asar").createPackageWithOptions(plain, archive, { unpack: UNPACKED });
  return { plain, archive };
}

/**
 * @param {string} root
 * @param {string} folder whose scripts are rewritten
 */
async function makeOlder(root, folder) {
  const scripts = fs.readdirSync(folder).filter((name) => name.endsWith(".js"));
  const esbuild = path.join(root, "node_modules", "esbuild", "bin", "esbuild");
  const options = [
    `--target=${TARGET}`,
    "--format=cjs",
    "--platform=node",
    "--outdir=.",
    "--allow-overwrite",
    "--log-level=warning",
  ];
  await runQuietly(process.execPath, [esbuild, ...scripts, ...options], { cwd: folder });
  for (const name of scripts) {
    const file = path.join(folder, name);
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").replaceAll('require("node:', 'require("'));
  }
}

module.exports = { UNPACKED, makeApp };
