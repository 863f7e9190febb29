/**
 * Is there a Rust that can build the addon?
 *
 * Only looks: a toolchain is a person's own choice, and its installer does not come from a package registry.
 */

"use strict";

const { StepFailed } = require("./step-failed");
const { isAtLeast, parseVersion } = require("./version");

/** The `rust-version` of Cargo.toml. */
const OLDEST_RUST = [1, 88];
const WHERE_TO_GET_IT = "https://rustup.rs";

/**
 * @param {Pick<import("./machine").Machine, "versionLine">} machine
 * @returns {string | undefined} one sentence when it is missing or too old
 */
function rustComplaint(machine) {
  const needed = `at least ${OLDEST_RUST.join(".")} is needed`;
  for (const command of ["rustc", "cargo"]) {
    const line = machine.versionLine(command);
    const version = line && parseVersion(line);
    if (!version)
      return `Rust is not installed (no working \`${command}\`), ${needed}: get it from ${WHERE_TO_GET_IT}, then run this again`;
    if (!isAtLeast(version, OLDEST_RUST)) {
      return `\`${command}\` ${version.join(".")} is too old, ${needed}: run \`rustup update stable\` or see ${WHERE_TO_GET_IT}, then run this again`;
    }
  }
  return undefined;
}

/** @param {import("./machine").Machine} machine */
function requireRust(machine) {
  const complaint = rustComplaint(machine);
  if (complaint) throw new StepFailed(complaint);
}

module.exports = { requireRust, rustComplaint };
