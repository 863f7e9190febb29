/**
 * `npm run generate`: writes the committed files that are made from others. With `--check` it only says which of them are out of date.
 *
 * Needs a finished setup: the types of the native class come out of its build.
 */

"use strict";

require("./setup/node-version").requireNode();

const fs = require("node:fs");
const path = require("node:path");
const { renderApiReference } = require("./api-reference");
const { renderNotices } = require("./notices");
const { committedFiles } = require("./package/manifests");
const { readManifest } = require("./package/pack");
const { ROOT, setUp } = require("./setup");
const { builtTypes } = require("./setup/native-build");
const { StepFailed, runScript } = require("./setup/step-failed");

/** @type {{ name: string, render: (root: string) => string | Promise<string> }[]} */
const GENERATED = [
  { name: "js/native.d.ts", render: builtTypes },
  { name: "THIRD-PARTY-NOTICES.md", render: renderNotices },
  { name: "index.d.mts", render: renderModuleTypes },
  { name: "docs/api.md", render: renderApiReference },
  ...committedFiles(readManifest(ROOT)).map(({ name, text }) => ({ name, render: () => text })),
];

/** To TypeScript a file's ending says which module system it is of, so each face of the package has types of its own. */
function renderModuleTypes() {
  return `/** The types of \`import\`, those of \`require\` under another ending. Made by \`npm run generate\`. */

export * from "./index.js";
export { default } from "./index.js";
`;
}

/** @returns {Promise<{ name: string, text: string }[]>} the files whose text is not what it should be */
async function outdatedFiles() {
  const outdated = [];
  for (const { name, render } of GENERATED) {
    const text = await render(ROOT);
    if (readIfThere(path.join(ROOT, name)) !== text) outdated.push({ name, text });
  }
  return outdated;
}

/** @param {string} file */
function readIfThere(file) {
  // A checkout on Windows may have turned the line ends.
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8").replaceAll("\r\n", "\n") : undefined;
}

runScript(async () => {
  await setUp();
  const outdated = await outdatedFiles();
  const names = outdated.map(({ name }) => `\`${name}\``).join(" and ");
  if (process.argv.includes("--check")) {
    if (outdated.length > 0)
      throw new StepFailed(`${names} out of date: run \`npm run generate\` and commit the result`);
    return;
  }
  for (const { name, text } of outdated) {
    fs.mkdirSync(path.dirname(path.join(ROOT, name)), { recursive: true });
    fs.writeFileSync(path.join(ROOT, name), text);
  }
  process.stdout.write(outdated.length > 0 ? `wrote ${names}\n` : "everything is up to date\n");
});
