/**
 * The works inside llama.cpp's libraries, with the texts that its sources carry.
 *
 * Only what is linked into the libraries that travel with the addon: the image, audio and hashing libraries beside them in llama.cpp's
 * `vendor/` folder belong to its multimodal part, which is not built. Whoever updates llama.cpp looks through `vendor/` again.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { mitText, tidy } = require("./license-texts");

/** @typedef {{ name: string, license: string, text: string }} Work */

/**
 * @param {string} folder of the vendored llama.cpp
 * @returns {Work[]}
 */
function llamaWorks(folder) {
  const read = (/** @type {string} */ name) => fs.readFileSync(path.join(folder, name), "utf8");
  return [
    { name: "llama.cpp and ggml", license: "MIT", text: tidy(read("LICENSE")) },
    {
      name: "llamafile's matrix multiplication, in ggml",
      license: "MIT",
      text: lineComment(read("ggml/src/ggml-cpu/llamafile/sgemm.cpp")),
    },
    {
      name: "YaRN, in ggml",
      license: "MIT",
      text: mitText([copyrightLine(read("ggml/src/ggml-cpu/ops.cpp"), "MIT licensed. ")]),
    },
    {
      name: "JSON for Modern C++ (nlohmann/json)",
      license: "MIT",
      text: mitText(spdxCopyrights(read("vendor/nlohmann/json.hpp"))),
    },
    { name: "cpp-httplib", license: "MIT", text: tidy(read("vendor/cpp-httplib/LICENSE")) },
    {
      name: "subprocess.h (sheredom)",
      license: "Unlicense",
      text: blockComment(read("vendor/sheredom/subprocess.h"), "unencumbered software"),
    },
  ];
}

/**
 * @param {string} source
 * @returns {string} the comment of `//` lines that it opens with
 */
function lineComment(source) {
  const lines = source.split(/\r?\n/);
  const end = lines.findIndex((line) => !line.startsWith("//"));
  return tidy(
    lines
      .slice(0, end)
      .map((line) => line.replace(/^\/\/ ?/, ""))
      .join("\n"),
  );
}

/**
 * @param {string} source
 * @param {string} phrase
 * @returns {string} the first comment between `/*` and its end that has the phrase
 */
function blockComment(source, phrase) {
  const comments = source.match(/\/\*[\s\S]*?\*\//g) ?? [];
  const text = found(
    comments.find((comment) => comment.includes(phrase)),
    phrase,
  ).slice(2, -2);
  return tidy(text.replace(/^ {3}/gm, ""));
}

/**
 * @param {string} source
 * @param {string} before what stands before the copyright on its line
 */
function copyrightLine(source, before) {
  const line = source.split(/\r?\n/).find((text) => text.includes(`${before}Copyright`));
  return found(line, before).split(before)[1].trim();
}

/** @param {string} source */
function spdxCopyrights(source) {
  const holders = [...source.matchAll(/SPDX-FileCopyrightText: (.+)/g)].map((match) => match[1].trim());
  return [...new Set(holders)].map((holder) => `Copyright (c) ${holder}`);
}

/**
 * @param {string | undefined} text
 * @param {string} sought
 * @returns {string}
 */
function found(text, sought) {
  if (text === undefined)
    throw new Error(`llama.cpp's sources have no notice with \`${sought}\` any more: see scripts/notices/llama-cpp.js`);
  return text;
}

module.exports = { blockComment, lineComment, llamaWorks, spdxCopyrights };
