/**
 * `npm run lifetimes`: ends workers, threads and processes in every way and at every moment. Each must end by itself, with the exit code of its end and
 * without a signal, and leave nothing behind: no thread in a process that goes on, no half file under the name of a whole one.
 *
 *   node stress/lifetimes.js [--count 500] [--seed 1] [--seconds …] [--from 0] [--jobs <processors>] [--only "garbage during prompt"]
 *
 * `--count` of each end at each moment, from number `--from` on, so that a long run can be done in parts; `--jobs` processes at a time. Many ends share a
 * process where the end is not the process's own. Most ends must have struck while their step was still under way. A long run that `--seconds` cut short fails.
 */

"use strict";

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { cutShort, readOptions, row, runStress, timeLimit } = require("./options");

const CHILD = path.join(__dirname, "lifetimes-child.js");
/** Far above what any child takes, and above the time for which one itself waits for its threads. */
const LONGEST_CHILD_MS = 60_000;
/** Of so many of each it is not enough to have done some. */
const LONG_COUNT = 50;
/**
 * The shares of ends that must have struck while their step was under way: of all, and of each end at each moment. The rest strike a worker that is idle
 * again: a load is often over within a millisecond or two. Fewer ends say nothing about shares.
 */
const LEAST_STRUCK = 0.8;
const LEAST_STRUCK_OF_EACH = 0.2;
const FEWEST_FOR_SHARE = 10;
/** Ends of one child, where one process can have many. */
const ENDS_OF_A_CHILD = 10;
/** What is downloaded, see the child. */
const DOWNLOAD_BYTES = 1 << 18;

const MOMENTS = ["load", "context", "prompt", "decode", "download"];

/**
 * How things end, with the exit code that this gives a process; `once`: the end is the process's own, so each needs one; `says`: what it leaves on
 * standard error, since any failure gives this code.
 *
 * @type {Record<string, { code: number, once?: boolean, signal?: NodeJS.Signals, says?: string }>}
 */
const ENDS = {
  terminate: { code: 0 },
  cleanup: { code: 0 },
  "cleanup in a thread": { code: 0 },
  garbage: { code: 0 },
  "garbage in a thread": { code: 0 },
  "port closed": { code: 0 },
  "port closed in a thread": { code: 0 },
  "exit in a thread": { code: 0 },
  "throw in a thread": { code: 0 },
  "throw in a callback in a thread": { code: 0 },
  exit: { code: 3, once: true },
  throw: { code: 1, once: true, says: ": nobody catches this" },
  "throw in a callback": { code: 1, once: true, says: ": nobody catches this" },
  interrupt: { code: 0, once: true, signal: "SIGINT" },
};

/** @typedef {{ code: number | null, signal: NodeJS.Signals | null, output: string, errors: string }} Ended `errors`: standard error */
/** @typedef {{ end: string, moment: string, number: number, count: number }} Work `number`: of the first of so many ends */

/**
 * Runs one child to its end.
 *
 * @param {Work} work
 * @param {{ seed: number, folder: string }} options
 * @returns {Promise<Ended>}
 */
function runChild({ end, moment, number, count }, { seed, folder }) {
  const { signal } = ENDS[end];
  const args = ["--expose-gc", CHILD, end, moment, String(count), String(seed * 1_000_003 + number), folder];
  const stdio = /** @type {any} */ (["ignore", "pipe", "pipe", ...(signal ? ["ipc"] : [])]);
  const child = spawn(process.execPath, args, { stdio });
  let [output, errors] = ["", ""];
  const stuck = setTimeout(() => {
    errors += `\nits threads:\n${threadsOf(child.pid)}`;
    child.kill("SIGKILL");
  }, LONGEST_CHILD_MS);
  child.stdout?.setEncoding("utf8").on("data", (text) => (output += text));
  child.stderr?.setEncoding("utf8").on("data", (text) => (errors += text));
  // It says when it has come to the moment at which it is to be ended from outside.
  if (signal) child.once("message", () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, killed) => {
      clearTimeout(stuck);
      resolve({ code, signal: killed, output, errors });
    });
  });
}

/** @param {number | undefined} pid what each thread of a process waits for, as far as the system tells */
function threadsOf(pid) {
  const folder = `/proc/${pid}/task`;
  if (!fs.existsSync(folder)) return "";
  const read = (/** @type {string} */ thread, /** @type {string} */ name) => {
    try {
      return fs.readFileSync(path.join(folder, thread, name), "utf8").trim();
    } catch {
      return "?";
    }
  };
  const names = ["comm", "wchan", "syscall"];
  return fs
    .readdirSync(folder)
    .map((thread) => names.map((name) => read(thread, name)).join(" "))
    .join("\n");
}

/**
 * @param {string} end
 * @param {Ended} ended
 * @param {number} [count] of ends that the child was to do
 * @returns {string | undefined} what is wrong with it
 */
function fault(end, { code, signal, output, errors }, count = 1) {
  const { code: expected, once, says } = ENDS[end];
  const last = `${output.slice(-1000)}\n${errors.slice(-2000)}`;
  if (signal === "SIGKILL") return `did not end by itself\n${last}`;
  if (signal !== null) return `died of ${signal}\n${last}`;
  if (code !== expected) return `ended with ${code}, expected ${expected}\n${last}`;
  if (says && !errors.includes(says)) return `ended with ${code}, but not of what it was to throw\n${last}`;
  const { pending, late } = strikes(output);
  if (pending + late !== count) return `came to ${pending + late} of ${count} moments\n${last}`;
  if (!once && !output.includes("all ended")) return `did not come to its end\n${last}`;
  return undefined;
}

/** @param {string} output of a child */
function strikes(output) {
  const times = (/** @type {string} */ line) => output.split("\n").filter((one) => one === line).length;
  return { pending: times("struck while pending"), late: times("struck too late") };
}

/**
 * Whether enough ends struck a step that was under way.
 *
 * @param {Map<string, { count: number, pending: number }>} done of each end at each moment
 * @returns {string[]} what failed
 */
function idleStrikes(done) {
  const all = [...done.values()].reduce(
    (sum, { count, pending }) => ({ count: sum.count + count, pending: sum.pending + pending }),
    { count: 0, pending: 0 },
  );
  const isTooFew = (
    /** @type {{ count: number, pending: number }} */ { count, pending },
    /** @type {number} */ least,
  ) => count >= FEWEST_FOR_SHARE && pending < least * count;
  return [
    ...[...done].filter(([, one]) => isTooFew(one, LEAST_STRUCK_OF_EACH)),
    ...(isTooFew(all, LEAST_STRUCK) ? [/** @type {const} */ (["all ends", all])] : []),
  ].map(([name, { count, pending }]) => `${name}: only ${pending} of ${count} struck while their step was under way`);
}

/**
 * All that is to be done: some of each first, so that a run that is cut short has had all of them.
 *
 * @param {{ count: number, from: number, only?: string }} options `only`: the one end at the one moment, as a failure names it
 * @returns {Generator<Work>}
 */
function* allWork({ count, from, only }) {
  for (let number = from; number < from + count; number++) {
    for (const [end, { once }] of Object.entries(ENDS)) {
      const size = once ? 1 : ENDS_OF_A_CHILD;
      if ((number - from) % size !== 0) continue;
      for (const moment of MOMENTS) {
        if (only !== undefined && only !== nameOf({ end, moment })) continue;
        yield { end, moment, number, count: Math.min(size, from + count - number) };
      }
    }
  }
}

/** @param {Pick<Work, "end" | "moment">} work */
function nameOf({ end, moment }) {
  return `${end} during ${moment}`;
}

/** @param {string} folder of downloads that were cut short, or not */
function halfFiles(folder) {
  const whole = fs.readdirSync(folder).filter((name) => name.endsWith(".gguf"));
  return whole.filter((name) => fs.statSync(path.join(folder, name)).size !== DOWNLOAD_BYTES);
}

/** @param {import("./options").Options} options */
async function lifetimes(options) {
  const limit = timeLimit(options);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "llama-worker-lifetimes-"));
  /** @type {string[]} */
  const failures = [];
  /** @type {Map<string, { count: number, pending: number }>} */
  const done = new Map();
  const planned = [...allWork(options)].reduce((sum, { count }) => sum + count, 0);
  const work = allWork(options);
  const worker = async () => {
    for (let next = work.next(); !next.done && !limit.isOver(); next = work.next()) {
      const { number, count } = next.value;
      const name = nameOf(next.value);
      const ended = await runChild(next.value, { seed: options.seed, folder });
      const wrong = fault(next.value.end, ended, count);
      if (wrong)
        failures.push(`${name} (--seed ${options.seed} --from ${number} --count ${count} --only): it ${wrong}`);
      if (wrong) process.stdout.write(`FAILED: ${failures.at(-1)}\n`);
      const before = done.get(name) ?? { count: 0, pending: 0 };
      done.set(name, { count: before.count + count, pending: before.pending + strikes(ended.output).pending });
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, worker));
  const half = halfFiles(folder);
  if (half.length > 0) failures.push(`half files have the names of whole ones: ${half.join(", ")}`);
  fs.rmSync(folder, { recursive: true, force: true });
  const sum = (/** @type {"count" | "pending"} */ name) => [...done.values()].reduce((all, one) => all + one[name], 0);
  const total = sum("count");
  row("ends", `${total} of ${planned} in ${limit.elapsed().toFixed(0)} s (seed ${options.seed}, from ${options.from})`);
  for (const [name, { count, pending }] of done) row(`  ${name}`, `${count}, ${pending} while it was under way`);
  row("struck while their step was under way", `${sum("pending")} of ${total}`);
  row("processes and threads that did not end as they should", failures.length);
  if (total === 0) failures.push("nothing was ended");
  return [
    ...failures,
    ...idleStrikes(done),
    ...(options.count >= LONG_COUNT ? cutShort({ done: total, count: planned }, 0) : []),
  ];
}

if (require.main === module) void runStress(() => lifetimes(readOptions({ count: 500 })));

module.exports = { ENDS, MOMENTS, allWork, fault, halfFiles, idleStrikes, lifetimes, runChild };
