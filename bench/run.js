/**
 * `npm run bench`: measures this addon against a raw llama.cpp loop and against its peers, and writes `RESULTS.md` and `results.svg`.
 *
 * Sets up what it needs; asserts no time. What was measured with this build is kept: a run that was stopped goes on where it was.
 */

"use strict";

require("../scripts/setup/node-version").requireNode();

const fs = require("node:fs");
const path = require("node:path");
const { setUp } = require("../scripts/setup");
const { thisMachine } = require("../scripts/setup/machine");
const { requireRust } = require("../scripts/setup/rust-toolchain");
const { StepFailed, runScript } = require("../scripts/setup/step-failed");
const { requireSystemPackages } = require("../scripts/setup/system-packages");
const { Bench } = require("./bench");
const { ROOT, cacheFolder, made, nativeFolder } = require("./folders");
const { busyShare, describeMachine, physicalCores } = require("./machine");
const { USAGE, chosen, parseOptions } = require("./options");
const { ensurePackage, packageBuild } = require("./package");
const { ensurePeers, peerVersions } = require("./peers");
const { buildPrograms, exampleProgram } = require("./programs");
const { summary, writeReport } = require("./report");
const { ROWS } = require("./rows");
const { Store, fingerprintOf } = require("./store");
const { markdownTable } = require("./table");

/** What lies beside it - notices, a list of sources - measures nothing. */
const BINARY = /\.(node|so|dylib|dll)$/;

/** Above this the machine does something else, and absolute figures mean little. */
const QUIET_SHARE = 0.15;

const say = (text) => console.error(`bench: ${text}`);

async function main() {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) return console.log(USAGE);
  const rows = chosenRows(options.rows);
  const cache = cacheFolder();
  await build(options, cache);
  const peersFolder = options.withPeers ? await ensurePeers(cache, say) : undefined;
  const store = new Store(made(cache, "results"), fingerprint(options.profile, peersFolder));
  const bench = new Bench({ cache, peersFolder, sizes: options.sizes, threads: physicalCores(), say });
  stopTogether(bench);
  const wanted = measurements(rows, options.sizes.models).filter(
    ({ row, modelName }) => options.isFresh || !store.has(row.name, modelName),
  );
  const failed = await measureAll(bench, store, wanted);
  report(store, options, rows);
  if (failed.length > 0) throw new StepFailed(`not measured: ${failed.join("; ")}`);
}

/** What is measured, unless somebody names it, and the programs beside it. */
async function build({ isDeveloperBuild }, cache) {
  const machine = thisMachine();
  requireRust(machine);
  await requireSystemPackages(machine);
  const isNamed = process.env.LLAMA_WORKER_NATIVE_DIR !== undefined;
  if (!isNamed && isDeveloperBuild) await setUp();
  // Obeyed by everything that is started from here.
  if (!isNamed && !isDeveloperBuild) process.env.LLAMA_WORKER_NATIVE_DIR = await ensurePackage(cache, say);
  say("building the programs that the bench runs");
  await buildPrograms(isNamed || isDeveloperBuild ? {} : await packageBuild());
}

/** Nobody is left behind who would slow down the next bench. */
function stopTogether(bench) {
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
    process.once(signal, () => {
      bench.kill();
      process.exit(1);
    });
  }
}

/** A row that fails costs itself; it is told at the end. Returns which did. */
async function measureAll(bench, store, wanted) {
  const failed = [];
  for (const { row, modelName } of wanted) {
    try {
      await measure(bench, store, row, modelName);
    } catch (error) {
      say(error.stack);
      failed.push(`${row.name} of ${modelName} (${error.message.split("\n")[0]})`);
    } finally {
      await bench.closeAll();
    }
  }
  return failed;
}

function chosenRows(list) {
  const names = ROWS.map(({ name }) => name);
  return list === undefined ? ROWS : ROWS.filter(({ name }) => chosen("--rows", list, names).includes(name));
}

function measurements(rows, models) {
  return rows.flatMap((row) => {
    const names = row.models.filter((name) => models.includes(name));
    return names.map((modelName) => ({ row, modelName }));
  });
}

async function measure(bench, store, row, modelName) {
  const model = bench.model(modelName);
  const share = await busyShare();
  say(
    `${row.name}, ${model.title}${share > QUIET_SHARE ? ` (${Math.round(share * 100)} % of the machine are busy already)` : ""}`,
  );
  const start = Date.now();
  bench.failures.clear();
  const measured = await row.run(bench, model);
  const failures = [...bench.failures].map(([side, reason]) => `${side} failed (${reason})`);
  const entries = measured.map((entry) => ({
    ...entry,
    model: model.title,
    note: [entry.note, ...failures].filter(Boolean).join("; "),
  }));
  store.set(row.name, modelName, { at: new Date().toISOString(), busyShare: share, entries });
  for (const line of markdownTable(entries).slice(2)) console.log(line);
  say(`took ${((Date.now() - start) / 1000).toFixed(0)} s`);
}

/** The bench's own programs count too: another raw loop is another limit, and another way to measure gives other figures. */
function fingerprint(profile, peersFolder) {
  const addon = fs
    .readdirSync(nativeFolder())
    .filter((name) => BINARY.test(name))
    .sort()
    .map((name) => path.join(nativeFolder(), name));
  const scripts = ["rows", "sides"].flatMap((folder) => {
    const names = fs.readdirSync(path.join(__dirname, folder)).sort();
    return names.map((name) => path.join(__dirname, folder, name));
  });
  const files = [
    ...addon,
    exampleProgram("raw"),
    ...["bench.js", "turns.js"].map((name) => path.join(__dirname, name)),
    ...scripts,
  ];
  return fingerprintOf(files, profile, describeMachine(), peersFolder === undefined ? {} : peerVersions());
}

function report(store, { profile, results, sizes }, rows) {
  // Of a part of the rows the report is still about all that were measured.
  const all = profile === "full" && results === undefined ? ROWS : rows;
  const found = measurements(all, sizes.models).map(({ row, modelName }) => store.get(row.name, modelName));
  const measured = found.filter((one) => one !== undefined);
  const entries = measured.flatMap((one) => one.entries);
  console.log(["", ...markdownTable(entries), "", summary(entries)].join("\n"));
  if (profile !== "full" && results === undefined) return;
  const folder = results === undefined ? __dirname : path.resolve(results);
  writeReport({ entries, facts: factsAbout(measured), folder });
  say(`wrote ${path.relative(process.cwd(), path.join(folder, "RESULTS.md"))} and results.svg`);
}

function factsAbout(measured) {
  const { version } = require(path.join(ROOT, "package.json"));
  const busiest = Math.max(0, ...measured.map(({ busyShare: share }) => share));
  const peers = Object.entries(peerVersions()).map(([name, of]) => `${name} ${of}`);
  return {
    machine: describeMachine(),
    "CPU backend": cpuBackend(),
    "busy before a row began": `${Math.round(busiest * 100)} % at most`,
    versions: [`llama-worker ${version}`, ...peers, `Node.js ${process.versions.node}`].join(", "),
    measured:
      measured
        .map(({ at }) => at.slice(0, 10))
        .sort()
        .at(-1) ?? "",
  };
}

/** Which of the compiled backends is there; llama.cpp picks the best of them for the processor. */
function cpuBackend() {
  const names = fs.readdirSync(nativeFolder()).filter((name) => name.includes("ggml-cpu"));
  return names.length === 1 ? names[0] : "the best of the package's variants";
}

runScript(main);
