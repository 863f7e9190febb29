/** What of the machine and its processes matters to a measurement. Reads `/proc` where there is one. */

"use strict";

const fs = require("node:fs");
const os = require("node:os");
const { setTimeout: sleep } = require("node:timers/promises");

/** Its kind, and nothing by which it could be told from others of that kind. */
function describeMachine() {
  const model = os.cpus()[0]?.model.trim() ?? os.arch();
  const gigabytes = Math.round(os.totalmem() / 2 ** 30);
  return `${model}, ${os.availableParallelism()} processors (${physicalCores()} cores), ${gigabytes} GiB of memory, ${os.type()} ${os.arch()}`;
}

/** As many as may be used at once without two of them sharing a core. */
function physicalCores() {
  const available = os.availableParallelism();
  const text = readIfThere("/proc/cpuinfo");
  if (!text) return available;
  const cores = new Set();
  for (const processor of text.split("\n\n")) {
    const value = (key) => processor.match(new RegExp(`^${key}\\s*: (.*)$`, "m"))?.[1];
    if (value("core id") !== undefined) cores.add(`${value("physical id")}/${value("core id")}`);
  }
  return cores.size > 0 ? Math.min(cores.size, available) : available;
}

/** The share of all processors' time that was used in the next moment, while the bench does nothing. */
async function busyShare(momentMs = 500) {
  const before = processorTimes();
  await sleep(momentMs);
  const after = processorTimes();
  return after.all > before.all ? (after.used - before.used) / (after.all - before.all) : 0;
}

function processorTimes() {
  const times = os.cpus().map((processor) => processor.times);
  const all = times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
  return { all, used: all - times.reduce((sum, { idle }) => sum + idle, 0) };
}

/** Nanoseconds that the main thread of a process has run; `undefined` where the kernel does not tell. */
function mainThreadTime(pid) {
  const text = readIfThere(`/proc/${pid}/task/${pid}/schedstat`);
  return text ? Number(text.split(" ")[0]) : undefined;
}

/** Bytes that a process has in memory, without those of the file `except`; `undefined` where the kernel does not tell. */
function residentBytes(pid, except) {
  const text = readIfThere(`/proc/${pid}/smaps`);
  return text === undefined ? undefined : residentIn(text, except);
}

/** Pure: the sum of a process's mappings. */
function residentIn(smaps, except) {
  let counts = true;
  let kilobytes = 0;
  for (const line of smaps.split("\n")) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) counts = except === undefined || !line.endsWith(except);
    const resident = counts && line.match(/^Rss:\s+(\d+) kB/);
    if (resident) kilobytes += Number(resident[1]);
  }
  return kilobytes * 1024;
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    // No such file: another system, or a kernel that keeps it to itself.
    if (["ENOENT", "EACCES", "EPERM"].includes(error.code)) return undefined;
    throw error;
  }
}

module.exports = { busyShare, describeMachine, mainThreadTime, physicalCores, residentBytes, residentIn };
