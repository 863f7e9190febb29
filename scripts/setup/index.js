/**
 * Everything between a fresh clone and a working addon, in order: each step says what it does, and nothing when it is done already.
 *
 * Installs only from package registries. Node.js and Rust are a person's own to install.
 */

"use strict";

const path = require("node:path");
const { thisMachine } = require("./machine");
const { buildAddon } = require("./native-build");
const { installNpmPackages } = require("./npm-packages");
const { requireRust } = require("./rust-toolchain");
const { requireSystemPackages } = require("./system-packages");

const ROOT = path.join(__dirname, "..", "..");

async function setUp() {
  const machine = thisMachine();
  requireRust(machine);
  await requireSystemPackages(machine);
  await installNpmPackages(ROOT);
  await buildAddon(ROOT, machine);
}

module.exports = { ROOT, setUp };
