/**
 * Publishes what CI built for a tag: `node scripts/publish.js v0.2.0`. The packages of the platforms come first, so that whoever gets the root package
 * finds them. With `--dry-run` npm only says what it would do.
 *
 * Refuses unless every package is there in the tag's version and names the repository that it comes from, which npm compares with where it is
 * published from. What an earlier, broken-off run has published is left out. A version like 0.2.0-rc.1 becomes npm's `next`, not its `latest`.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { packageNames } = require("./package/platforms");
const { readManifest } = require("./package/pack");
const { npmCommand, outputOf, runVisibly } = require("./setup/command");
const { StepFailed, runScript } = require("./setup/step-failed");

const args = process.argv.slice(2);
const isDry = args.includes("--dry-run");
const [tag = "", root = path.join(__dirname, "..")] = args.filter((argument) => !argument.startsWith("--"));

/** @param {string} version */
function tarballs(version) {
  const { platforms, gpus } = packageNames();
  const names = [...platforms, ...gpus, "llama-worker"];
  const files = names.map((name) => ({ name, file: path.join(root, "dist", `${name}-${version}.tgz`) }));
  const missing = files.filter(({ file }) => !fs.existsSync(file));
  if (missing.length > 0) throw new StepFailed(`not built: ${missing.map(({ name }) => name).join(", ")}`);
  return files;
}

/** @param {{ name: string, file: string }[]} packages */
async function requireOrigin(packages) {
  const without = [];
  for (const { name, file } of packages) {
    const manifest = JSON.parse(await outputOf("tar", ["-xzOf", file, "package/package.json"]));
    if (!manifest.repository?.url) without.push(name);
  }
  if (without.length > 0)
    throw new StepFailed(
      `these do not name their repository, which npm wants for provenance: ${without.join(", ")}. Make them with \`npm run package -- --repository https://…\``,
    );
}

/**
 * @param {string} name
 * @param {string} version
 */
async function isPublished(name, version) {
  const [command, all] = npmCommand(["view", `${name}@${version}`, "version"]);
  try {
    return (await outputOf(command, all)).trim() !== "";
  } catch (error) {
    // npm fails for what it does not find, and for a registry that does not answer; publishing tells the two apart.
    if (error instanceof StepFailed) return false;
    throw error;
  }
}

runScript(async () => {
  const { version } = readManifest(root);
  if (tag !== `v${version}`)
    throw new StepFailed(`the tag is \`${tag}\` and the version ${version}, expected the tag v${version}`);
  const packages = tarballs(version);
  await requireOrigin(packages);
  const channel = version.includes("-") ? "next" : "latest";
  for (const { name, file } of packages) {
    if (!isDry && (await isPublished(name, version))) continue;
    const options = ["--access", "public", "--tag", channel, ...(isDry ? ["--dry-run"] : ["--provenance"])];
    const [command, all] = npmCommand(["publish", file, ...options]);
    await runVisibly(command, all);
  }
});
