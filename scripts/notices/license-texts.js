/**
 * The licence texts of one crate, from its own folder.
 *
 * Where a crate offers a choice that has MIT in it, MIT is taken. Gives no legal advice and checks no licence against a list.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");

const LICENSE_FILE = /^(un)?licen[cs]e|^copying|^notice/i;

/**
 * @param {string} expression as in Cargo.toml: `MIT OR Apache-2.0`
 * @returns {string} the one that this project takes
 */
function chosenLicense(expression) {
  const alternatives = expression.split(/ OR |\//).map((name) => name.trim());
  return !expression.includes("AND") && alternatives.includes("MIT") ? "MIT" : expression;
}

/**
 * @param {string[]} names the files of the crate's folder
 * @param {string} license the chosen one
 * @returns {string[]} those to quote
 */
function licenseFiles(names, license) {
  const all = names.filter((name) => LICENSE_FILE.test(name)).sort();
  const notices = all.filter((name) => /^notice/i.test(name));
  const named = all.filter((name) => name.toLowerCase().includes(license.toLowerCase()));
  const general = all.filter((name) => /^licen[cs]e(\.\w+)?$/i.test(name));
  if (named.length > 0) return [...named, ...notices];
  return general.length > 0 ? [...general, ...notices] : all;
}

/**
 * @param {import("./linked-crates").Package} crate
 * @returns {{ license: string, text: string }}
 */
function licenseOf(crate) {
  const license = chosenLicense(crate.license ?? "unknown");
  const folder = path.dirname(crate.manifest_path);
  const files = licenseFiles(fs.readdirSync(folder), license);
  const texts = files.map((name) => tidy(fs.readFileSync(path.join(folder, name), "utf8")));
  if (texts.length > 0) return { license, text: texts.join("\n\n") };
  if (license === "MIT") return { license, text: mitText([`Copyright (c) ${holders(crate)}`]) };
  throw new Error(
    `\`${crate.name}\` has the licence \`${license}\` and no licence file: its text has to come from elsewhere`,
  );
}

/** @param {import("./linked-crates").Package} crate */
function holders({ name, authors }) {
  const names = authors.map((author) => author.replace(/\s*<.*>/, ""));
  return names.length > 0 ? names.join(", ") : `the ${name} authors`;
}

/** @param {string} text */
function tidy(text) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  return lines
    .map((line) => line.trimEnd())
    .join("\n")
    .trim();
}

/** @param {string[]} copyrights for works that name the licence but do not carry its text */
function mitText(copyrights) {
  return `MIT License

${copyrights.join("\n")}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.`;
}

module.exports = { chosenLicense, licenseFiles, licenseOf, mitText, tidy };
