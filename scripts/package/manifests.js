/**
 * The package.json and README.md of every package that is published.
 *
 * Pure: text from the table of platforms and the checkout's package.json. Platform manifests are committed (`npm run generate`), the root
 * package's is made while packing: in a checkout npm must not look for packages that this very checkout is about to publish.
 */

"use strict";

const { StepFailed } = require("../setup/step-failed");
const { GPU_TITLES, PLATFORMS, packageNames, packageOf } = require("./platforms");

/** What npm needs of the checkout's manifest; scripts and development tools stay behind. */
const ROOT_FIELDS = [
  "name",
  "version",
  "description",
  "license",
  "author",
  "keywords",
  "type",
  "main",
  "types",
  "exports",
  "bin",
  "files",
  "sideEffects",
  "engines",
];
/** In every package beside the binaries. */
const PAPERS = ["LICENSE", "THIRD-PARTY-NOTICES.md", "sbom.cdx.json"];
/** With globs, as the number of CPU backends differs; what is packed is compared with what was built, see `pack.js`. */
const BINARIES = {
  linux: ["llama-worker.node", "*.so"],
  darwin: ["llama-worker.node", "*.dylib", "*.so", "metal/*.so"],
  win32: ["llama-worker.node", "*.dll"],
};

/**
 * @param {Record<string, any>} checkout its package.json
 * @returns {Record<string, any>}
 */
function rootManifest(checkout) {
  const { version } = checkout;
  const { platforms, gpus } = packageNames();
  const exactly = (/** @type {string[]} */ names) => Object.fromEntries(names.map((name) => [name, version]));
  return {
    ...Object.fromEntries(ROOT_FIELDS.filter((name) => name in checkout).map((name) => [name, checkout[name]])),
    optionalDependencies: exactly(platforms),
    // Optional ones are never installed by themselves; named here, strict package managers let this package see the one that you install.
    peerDependencies: exactly(gpus),
    peerDependenciesMeta: Object.fromEntries(gpus.map((name) => [name, { optional: true }])),
    publishConfig: { access: "public", provenance: true },
  };
}

/**
 * @param {string} name a key of `PLATFORMS`
 * @param {Record<string, any>} checkout its package.json
 */
function platformManifest(name, checkout) {
  const platform = PLATFORMS[name];
  return {
    ...commonManifest(name, checkout),
    description: `The native addon of llama-worker and its llama.cpp libraries for ${platform.title}`,
    ...systemOf(platform),
    main: "llama-worker.node",
    files: [...BINARIES[/** @type {keyof typeof BINARIES} */ (platform.os)], ...PAPERS],
    ...ending(checkout),
  };
}

/**
 * @param {string} name a key of `PLATFORMS`
 * @param {import("./platforms").Gpu} gpu
 * @param {Record<string, any>} checkout its package.json
 */
function gpuManifest(name, gpu, checkout) {
  const platform = PLATFORMS[name];
  return {
    ...commonManifest(`${name}-${gpu}`, checkout),
    description: `The ${GPU_TITLES[gpu]} backend of llama-worker for ${platform.title}`,
    ...systemOf(platform),
    files: [platform.os === "win32" ? "*.dll" : "*.so", ...PAPERS],
    ...ending(checkout),
  };
}

/**
 * @param {string} folder
 * @param {Record<string, any>} checkout
 */
function commonManifest(folder, { version, license, author }) {
  return { name: packageOf(folder), version, description: "", license, author };
}

/** @param {import("./platforms").Platform} platform */
function systemOf({ os, cpu, libc }) {
  return { os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) };
}

/** @param {Record<string, any>} checkout */
function ending({ engines }) {
  // Yarn keeps packages zipped, and the system's loader reads no archives.
  return { engines, preferUnplugged: true, publishConfig: { access: "public", provenance: true } };
}

/** A repository's address in a browser: host, owner, name. */
const REPOSITORY = /^https:\/\/[\w.-]+(:\d+)?\/[\w.-]+\/[\w.-]+$/;

/**
 * Says where a package comes from. npm takes a package with provenance only from the repository that its manifest names. The checkout does not
 * know its own address: a copy of it would tell another's.
 *
 * @param {Record<string, any>} manifest
 * @param {string} [repository] as `https://github.com/owner/name`
 * @param {string} [directory] the package's folder in it
 */
function withOrigin(manifest, repository, directory) {
  if (repository === undefined) return manifest;
  if (!REPOSITORY.test(repository) || repository.endsWith(".git"))
    throw new StepFailed(`\`${repository}\` is no repository, expected one like https://github.com/owner/name`);
  return {
    ...manifest,
    homepage: `${repository}#readme`,
    bugs: `${repository}/issues`,
    repository: { type: "git", url: `git+${repository}.git`, ...(directory && { directory }) },
  };
}

/** @param {string} name a key of `PLATFORMS` */
function platformReadme(name) {
  return `# ${packageOf(name)}

The native part of [\`llama-worker\`](../../README.md) for ${PLATFORMS[name].title}: the addon and the llama.cpp libraries that it loads from its
own folder. \`llama-worker\` picks it by itself; there is nothing to use here directly.

In a checkout \`npm run build\` puts the binaries for this machine here, and \`npm run package\` those that are published.
`;
}

/**
 * @param {string} name a key of `PLATFORMS`
 * @param {import("./platforms").Gpu} gpu
 */
function gpuReadme(name, gpu) {
  return `# ${packageOf(`${name}-${gpu}`)}

The ${GPU_TITLES[gpu]} backend of [\`llama-worker\`](../../README.md) for ${PLATFORMS[name].title}. Install it beside \`llama-worker\`, in the same version, to
evaluate models on a graphics card; see [the page on GPUs](../../docs/gpu.md).

In a checkout \`npm run package -- --gpu ${gpu}\` puts the library here.
`;
}

/** @param {Record<string, any>} manifest */
function renderManifest(manifest) {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/**
 * @param {Record<string, any>} checkout its package.json
 * @returns {{ name: string, text: string }[]} the committed files below `npm/`
 */
function committedFiles(checkout) {
  return Object.entries(PLATFORMS).flatMap(([name, { gpus }]) => [
    { name: `npm/${name}/package.json`, text: renderManifest(platformManifest(name, checkout)) },
    { name: `npm/${name}/README.md`, text: platformReadme(name) },
    ...gpus.flatMap((gpu) => [
      { name: `npm/${name}-${gpu}/package.json`, text: renderManifest(gpuManifest(name, gpu, checkout)) },
      { name: `npm/${name}-${gpu}/README.md`, text: gpuReadme(name, gpu) },
    ]),
  ]);
}

module.exports = { PAPERS, committedFiles, gpuManifest, platformManifest, renderManifest, rootManifest, withOrigin };
