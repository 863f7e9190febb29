/**
 * What a person sees of a download: one line that is drawn again and again in a terminal, a few lines anywhere else.
 *
 * Downloads nothing; is told how far it is, and knows the time from a clock that it is given.
 */

"use strict";

/** Long enough for a steady figure, short enough to notice a slow stretch. */
const SPEED_WINDOW_MS = 5000;
const BAR_WIDTH = 16;
/** Some terminals do not say how wide they are, others say 0. */
const USUAL_COLUMNS = 80;
/** Of lines that stay, nobody wants a hundred. */
const LINE_EVERY_PERCENT = 10;
const [MEGABYTE, GIGABYTE] = [1e6, 1e9];

/** How fast bytes came lately. What was there before the first report did not come now. */
class Speed {
  /** @type {{ time: number, bytes: number }[]} */
  #samples = [];

  /**
   * @param {number} time in milliseconds
   * @param {number} bytes all that there are
   */
  add(time, bytes) {
    this.#samples.push({ time, bytes });
    while (this.#samples.length > 2 && this.#samples[1].time <= time - SPEED_WINDOW_MS) this.#samples.shift();
  }

  /** @returns {number | undefined} bytes per second, as soon as it can be told */
  get value() {
    const first = this.#samples[0];
    const last = this.#samples[this.#samples.length - 1];
    if (!first || last.time === first.time || last.bytes === first.bytes) return undefined;
    return ((last.bytes - first.bytes) * 1000) / (last.time - first.time);
  }
}

/**
 * @typedef {object} Screen
 * @property {(text: string) => void} write
 * @property {boolean} isTerminal
 * @property {number} [columns]
 * @property {() => number} now milliseconds
 */

class DownloadDisplay {
  #name;
  #screen;
  #speed = new Speed();
  #isDrawn = false;
  #isUnderWay = false;
  #nextPercent = 0;

  /**
   * @param {string} name
   * @param {Screen} screen
   */
  constructor(name, screen) {
    this.#name = name;
    this.#screen = screen;
  }

  /** @param {Pick<import("../index").DownloadProgress, "downloadedBytes" | "totalBytes" | "progress">} progress */
  show({ downloadedBytes, totalBytes, progress }) {
    // Before the first bytes it is not known yet whether there is anything to fetch, nor how much is there from an earlier try.
    this.#isUnderWay ||= downloadedBytes > 0 && progress < 1;
    if (!this.#isUnderWay) return;
    this.#speed.add(this.#screen.now(), downloadedBytes);
    const percent = totalBytes === undefined ? undefined : Math.floor(progress * 100);
    const figures = figuresOf({ percent, downloadedBytes, totalBytes, speed: this.#speed.value });
    if (this.#screen.isTerminal) this.#draw(percent, figures);
    else if ((percent ?? 0) >= this.#nextPercent) this.#writeLine(percent ?? 0, figures);
  }

  /** The place of the line is free again. */
  end() {
    if (this.#isDrawn) this.#screen.write("\r\x1b[K");
    this.#isDrawn = false;
  }

  /**
   * @param {number | undefined} percent
   * @param {string[]} figures
   */
  #draw(percent, figures) {
    // In the last column many terminals begin a new line, which could not be drawn over.
    const room = (this.#screen.columns || USUAL_COLUMNS) - 1;
    const text = figures.join("  ");
    const withBar = percent === undefined ? text : `${bar(percent)} ${text}`;
    const line = withBar.length <= room ? `${withBar}  ${this.#name}` : text;
    this.#screen.write(`\r\x1b[K${line.slice(0, room)}`);
    this.#isDrawn = true;
  }

  /**
   * @param {number} percent
   * @param {string[]} figures
   */
  #writeLine(percent, figures) {
    this.#nextPercent = percent - (percent % LINE_EVERY_PERCENT) + LINE_EVERY_PERCENT;
    this.#screen.write(`llama-worker: downloading ${this.#name}: ${figures.join(", ")}\n`);
  }
}

/** @param {number} percent */
function bar(percent) {
  const full = Math.floor((percent * BAR_WIDTH) / 100);
  return `[${"#".repeat(full)}${".".repeat(BAR_WIDTH - full)}]`;
}

/**
 * @param {{ percent?: number, downloadedBytes: number, totalBytes?: number, speed?: number }} state
 * @returns {string[]} how much, how fast, how long still; as far as it is known
 */
function figuresOf({ percent, downloadedBytes, totalBytes, speed }) {
  const figures = percent === undefined ? [] : [`${percent} %`];
  figures.push(sizes(downloadedBytes, totalBytes));
  if (speed === undefined) return figures;
  figures.push(`${(speed / MEGABYTE).toFixed(1)} MB/s`);
  if (totalBytes !== undefined) figures.push(`${duration((totalBytes - downloadedBytes) / speed)} left`);
  return figures;
}

/**
 * @param {number} bytes
 * @param {number} [total]
 */
function sizes(bytes, total) {
  const [unit, name] = (total ?? bytes) >= GIGABYTE ? [GIGABYTE, "GB"] : [MEGABYTE, "MB"];
  const figure = (/** @type {number} */ amount) => (amount / unit).toFixed(1);
  return total === undefined ? `${figure(bytes)} ${name}` : `${figure(bytes)} of ${figure(total)} ${name}`;
}

/** @param {number} seconds */
function duration(seconds) {
  const whole = Math.ceil(seconds);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

module.exports = { DownloadDisplay };
