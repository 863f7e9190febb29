/**
 * The programs and libraries that building llama.cpp needs from the operating system.
 *
 * Installs them where apt-get does it (Debian, Ubuntu and their like). Elsewhere it only says which one command would: a package manager
 * that we never ran should not be run behind a person's back.
 */

"use strict";

const { hasLibclang } = require("./libclang");
const { outputOf, runQuietly, runVisibly } = require("./command");
const { say, withProgress } = require("./report");
const { StepFailed } = require("./step-failed");
const { isAtLeast, parseVersion } = require("./version");

/** @typedef {import("./machine").Machine} Machine */
/** @typedef {"apt" | "brew" | "dnf" | "pacman" | "apk" | "winget"} PackageManager */

/**
 * @typedef {object} Need
 * @property {string} name as a person knows it
 * @property {(machine: Machine) => boolean} isMet
 * @property {Record<PackageManager, string[]>} packages
 */

/** The side-cars' names are set by a deferred call (cmake/side-cars.cmake), which came with this version. */
const OLDEST_CMAKE = [3, 19];

/** @type {Need[]} */
const NEEDS = [
  {
    name: `cmake (${OLDEST_CMAKE.join(".")} or newer)`,
    isMet: (machine) => isAtLeast(parseVersion(machine.versionLine("cmake") ?? "") ?? [], OLDEST_CMAKE),
    packages: {
      apt: ["cmake"],
      brew: ["cmake"],
      dnf: ["cmake"],
      pacman: ["cmake"],
      apk: ["cmake"],
      winget: ["Kitware.CMake"],
    },
  },
  {
    name: "ninja",
    isMet: (machine) => machine.hasCommand("ninja"),
    packages: {
      apt: ["ninja-build"],
      brew: ["ninja"],
      dnf: ["ninja-build"],
      pacman: ["ninja"],
      apk: ["samurai"],
      winget: ["Ninja-build.Ninja"],
    },
  },
  {
    // bindgen asks the command for its include folders and uses the library to read llama.cpp's headers.
    name: "clang with libclang",
    isMet: (machine) => machine.hasCommand("clang") && hasLibclang(machine),
    packages: {
      apt: ["clang", "libclang-dev"],
      brew: ["llvm"],
      dnf: ["clang", "clang-devel"],
      pacman: ["clang"],
      apk: ["clang", "clang-dev"],
      winget: ["LLVM.LLVM"],
    },
  },
  {
    name: "a C++17 compiler",
    // On Windows the compiler is on no PATH; Rust's own toolchain there cannot do without it either.
    isMet: (machine) => machine.platform === "win32" || machine.hasCommand("c++"),
    packages: {
      apt: ["g++"],
      brew: ["llvm"],
      dnf: ["gcc-c++"],
      pacman: ["gcc"],
      apk: ["build-base"],
      winget: ["Microsoft.VisualStudio.2022.BuildTools"],
    },
  },
  {
    // Not needed to build, but without it every clean build takes the ten minutes again.
    name: "ccache",
    isMet: (machine) => machine.hasCommand("ccache"),
    packages: {
      apt: ["ccache"],
      brew: ["ccache"],
      dnf: ["ccache"],
      pacman: ["ccache"],
      apk: ["ccache"],
      winget: ["Ccache.Ccache"],
    },
  },
];

/** @type {Record<PackageManager, string>} */
const INSTALL = {
  apt: "apt-get install -y --no-install-recommends",
  brew: "brew install",
  dnf: "dnf install -y",
  pacman: "pacman -S --needed",
  apk: "apk add",
  winget: "winget install",
};

/** A machine that has just started is often updating itself and holds the lock. */
const APT = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"];

/** @param {Machine} machine */
function unmetNeeds(machine) {
  return NEEDS.filter((need) => !need.isMet(machine));
}

/**
 * @param {Need[]} needs
 * @param {PackageManager} manager
 */
function packagesFor(needs, manager) {
  return [...new Set(needs.flatMap((need) => need.packages[manager]))];
}

/**
 * @param {Machine} machine
 * @returns {PackageManager | undefined}
 */
function packageManagerOf(machine) {
  if (machine.isDebian && machine.hasCommand("apt-get")) return "apt";
  if (machine.platform === "darwin") return "brew";
  if (machine.platform === "win32") return "winget";
  return /** @type {const} */ (["dnf", "pacman", "apk"]).find((name) => machine.hasCommand(name));
}

/**
 * The one command that a person would type.
 *
 * @param {Need[]} needs
 * @param {PackageManager} manager
 * @param {boolean} isRoot
 */
function installCommand(needs, manager, isRoot) {
  const asRoot = isRoot || manager === "brew" || manager === "winget" ? "" : "sudo ";
  return `${asRoot}${INSTALL[manager]} ${packagesFor(needs, manager).join(" ")}`;
}

/** @param {Need[]} needs */
function namesOf(needs) {
  return needs.map(({ name }) => name).join(", ");
}

/**
 * @param {Need[]} needs
 * @param {Machine} machine
 */
function howToInstall(needs, machine) {
  const manager = packageManagerOf(machine);
  const how = manager
    ? `run \`${installCommand(needs, manager, machine.isRoot)}\``
    : "install it with your system's package manager";
  return `the build needs ${namesOf(needs)}: ${how}, then run this again`;
}

/** @param {Machine} machine */
async function requireSystemPackages(machine) {
  const needs = unmetNeeds(machine);
  if (needs.length === 0) return;
  if (!canInstall(machine)) throw new StepFailed(howToInstall(needs, machine));
  await installWithApt(packagesFor(needs, "apt"), machine.isRoot);
  const unmet = unmetNeeds(machine);
  if (unmet.length > 0)
    throw new StepFailed(`the build needs ${namesOf(unmet)}, and this system's own packages do not bring it`);
}

/** @param {Machine} machine */
function canInstall(machine) {
  return packageManagerOf(machine) === "apt" && (machine.isRoot || machine.hasCommand("sudo"));
}

/**
 * @param {string} packages one, or several with `|` between them
 * @param {(name: string) => Promise<boolean>} isKnown
 * @returns {Promise<string>} the first that the system knows, else the last
 */
async function firstKnown(packages, isKnown) {
  const names = packages.split("|");
  for (const name of names.slice(0, -1)) if (await isKnown(name)) return name;
  return names[names.length - 1];
}

/** @param {string} name */
async function aptKnows(name) {
  return /^\s+Candidate: \d/m.test(await outputOf("apt-cache", ["policy", name], { environment: { LC_ALL: "C" } }));
}

/**
 * @param {string[]} packages `new|old` is the first of them that the system has
 * @param {boolean} isRoot
 */
async function installWithApt(packages, isRoot) {
  say(`installing system packages with apt-get: ${packages.join(" ")}`);
  // The password is asked for here, where no progress line overwrites the question.
  if (!isRoot) await runVisibly("sudo", ["-v"]);
  /** @param {string[]} args */
  const apt = async (...args) => {
    const [command, ...rest] = [...(isRoot ? [] : ["sudo"]), ...APT, ...args];
    const failure = `apt-get could not install ${packages.join(", ")}`;
    await withProgress(
      () => `apt-get ${args[0]}`,
      () => runQuietly(command, rest, { failure }),
    );
  };
  await apt("update");
  // Only now the lists are there.
  const names = await Promise.all(packages.map((name) => firstKnown(name, aptKnows)));
  await apt("install", "-y", "--no-install-recommends", ...names);
}

module.exports = { aptKnows, firstKnown, howToInstall, installWithApt, packagesFor, requireSystemPackages, unmetNeeds };
