/**
 * The addon as it is published, which is what people run: its libraries load faster than a developer's, and llama.cpp picks the CPU backend that was
 * compiled for this kind of processor.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { packageEnvironment } = require("../scripts/package/build");
const { packedComplaint, sourcesOf, unpackPacked } = require("../scripts/package/packed");
const { thisPlatform } = require("../scripts/package/this-platform");
const { runVisibly } = require("../scripts/setup/command");
const { ROOT, made } = require("./folders");

/** The folder that it is unpacked to; what `npm run package` made of other sources is made anew. */
async function ensurePackage(cache, say) {
  const [platform] = await thisPlatform(ROOT);
  const name = `llama-worker-${platform}`;
  const complaint = await packedComplaint(ROOT, name, "addon");
  if (complaint) {
    say("building the package, as it is published");
    await runVisibly(process.execPath, [path.join(ROOT, "scripts", "package.js")], { cwd: ROOT });
  }
  const folder = path.join(made(cache, "packages"), `${platform}-${sourcesOf(ROOT, "addon").slice(0, 12)}`);
  if (fs.existsSync(folder)) return folder;
  // Renamed into place, so that it is whole when it is there. What is there is never written again: another bench may have it mapped.
  const part = `${folder}.part`;
  await unpackPacked(ROOT, name, "addon", part);
  fs.renameSync(part, folder);
  return folder;
}

/** How the package's build is called, for what is built beside it without compiling llama.cpp once more. */
async function packageBuild() {
  const [, platform] = await thisPlatform(ROOT);
  const features = platform.os === "linux" ? ["static-stdcxx"] : [];
  return { environment: packageEnvironment(ROOT, platform), features };
}

module.exports = { ensurePackage, packageBuild };
