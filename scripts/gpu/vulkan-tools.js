/**
 * What building and running the Vulkan backend takes: a shader compiler, the loader, Mesa's drivers, and headers of version 1.4.
 *
 * Debian's own headers may be older than ggml wants. Then those of the next release are unpacked beside the build, from the same mirror; nothing of
 * them is installed. Elsewhere the variable VULKAN_SDK names a development kit.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { outputOf, runQuietly } = require("../setup/command");
const { say } = require("../setup/report");
const { StepFailed } = require("../setup/step-failed");
const { installWithApt } = require("../setup/system-packages");

/** `vk::LayerSettingEXT`, which ggml uses, came between 1.3.239 and this. */
const OLDEST_HEADERS = 1_004_000;
const SYSTEM_HEADER = "/usr/include/vulkan/vulkan_core.h";
const NEXT_RELEASE = { name: "trixie", packages: ["libvulkan-dev", "spirv-headers"] };

/**
 * @param {string} folder
 * @param {import("../setup/machine").Machine} machine
 * @returns {Promise<string[]>} options for CMake
 */
async function fetchVulkanTools(folder, machine) {
  // A development kit that is named in the environment is complete, and ggml's own build finds it. It has no drivers.
  const hasKit = Boolean(machine.environment.VULKAN_SDK);
  const needs = {
    glslc: hasKit || machine.hasCommand("glslc"),
    "libvulkan-dev": hasKit || fs.existsSync(SYSTEM_HEADER),
    "mesa-vulkan-drivers": hasDriver(machine),
  };
  const missing = Object.entries(needs).flatMap(([name, isThere]) => (isThere ? [] : [name]));
  if (missing.length > 0) await install(missing, machine);
  if (hasKit) return [];
  if (headerVersion(SYSTEM_HEADER) >= OLDEST_HEADERS && fs.existsSync("/usr/include/spirv")) return [];
  const include = path.join(folder, "headers", "usr", "include");
  if (!fs.existsSync(include)) await unpackNewerHeaders(folder);
  return [
    `-DVulkan_INCLUDE_DIR=${include}`,
    `-DCMAKE_CXX_FLAGS=-I${include}`,
    `-DCMAKE_PREFIX_PATH=${path.join(folder, "headers", "usr")}`,
  ];
}

/**
 * What running a backend takes that is built already.
 *
 * @param {import("../setup/machine").Machine} machine
 */
async function fetchVulkanDriver(machine) {
  if (!hasDriver(machine)) await install(["libvulkan1", "mesa-vulkan-drivers"], machine);
}

/** @param {import("../setup/machine").Machine} machine */
function hasDriver(machine) {
  return ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"].some((folder) => machine.filesIn(folder).length > 0);
}

/**
 * @param {string} file
 * @returns {number} as 1004309 for 1.4.309; 0 where there is none
 */
function headerVersion(file) {
  if (!fs.existsSync(file)) return 0;
  const text = fs.readFileSync(file, "utf8");
  const patch = /#define VK_HEADER_VERSION (\d+)/.exec(text)?.[1];
  const version = /#define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION\(0, (\d+), (\d+),/.exec(text);
  return version ? Number(version[1]) * 1_000_000 + Number(version[2]) * 1_000 + Number(patch) : 0;
}

/**
 * @param {string[]} packages
 * @param {import("../setup/machine").Machine} machine
 */
async function install(packages, machine) {
  if (!machine.isDebian || !(machine.isRoot || machine.hasCommand("sudo")))
    throw new StepFailed(
      `the Vulkan backend needs ${packages.join(", ")}: install them with your system's package manager`,
    );
  await installWithApt(packages, machine.isRoot);
}

/** @param {string} folder */
async function unpackNewerHeaders(folder) {
  say("fetching newer Vulkan headers");
  const sources = path.join(folder, "sources");
  fs.mkdirSync(path.join(folder, "lists", "partial"), { recursive: true });
  fs.mkdirSync(sources, { recursive: true });
  fs.writeFileSync(path.join(sources, "next.sources"), await nextReleaseSource());
  const options = [
    ...["-o", "Dir::Etc::sourcelist=/dev/null", "-o", `Dir::Etc::sourceparts=${sources}`],
    ...["-o", `Dir::State::Lists=${path.join(folder, "lists")}`],
  ];
  await runQuietly("apt-get", [...options, "update"], { cwd: folder });
  await runQuietly("apt-get", [...options, "download", ...NEXT_RELEASE.packages], { cwd: folder });
  for (const name of fs.readdirSync(folder).filter((file) => file.endsWith(".deb"))) {
    await runQuietly("dpkg", ["-x", path.join(folder, name), path.join(folder, "headers.next")]);
  }
  // Last, because what is there counts as whole.
  fs.renameSync(path.join(folder, "headers.next"), path.join(folder, "headers"));
}

/** @returns {Promise<string>} where this system gets its packages from, for the next release */
async function nextReleaseSource() {
  const policy = await outputOf("apt-cache", ["policy", "libvulkan-dev"]);
  const mirror = /^\s+\d+ (https?:\/\/\S+) (\S+)\/main /m.exec(policy)?.[1];
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  if (!mirror || !fs.existsSync(keyring))
    throw new StepFailed(
      "the Vulkan headers are too old, and this is no Debian to take newer ones from; set VULKAN_SDK to a Vulkan development kit of 1.4",
    );
  const { name } = NEXT_RELEASE;
  return `Types: deb\nURIs: ${mirror}\nSuites: ${name}\nComponents: main\nSigned-By: ${keyring}\n`;
}

module.exports = { fetchVulkanDriver, fetchVulkanTools };
