// A job's timeline as a bar: what it did when, its interruptions as marks, and where MaxWait ends.

import { now } from "./clock.js";
import { make } from "./dom.js";
import { clock, count, date, duration } from "./format.js";

/** @typedef {import("./api.js").Row} Row */

const NAMES = {
  queued: "waiting its turn", waiting: "waiting for capacity", starting: "starting", downloading: "downloading",
  training: "training on spot", uploading: "uploading", stopping: "stopping", other: "other",
};
const MOST_TOLD = 12;
const ROOM_TO_COME = 1.16; // of a job that still runs, the bar shows that there is more to come
const MAX_WAIT_WITHIN = 2.5; // MaxWait's end is on the bar unless that would squeeze what has happened into less than 40 % of it

/** A phase in words. @param {string} phase @param {boolean} managedSpot */
export function nameOf(phase, managedSpot) {
  return phase === "training" && !managedSpot ? "training on demand" : NAMES[phase] ?? phase;
}

/** The class of a phase's colour and pattern. @param {string} phase @param {boolean} managedSpot */
export function classOf(phase, managedSpot) {
  if (!(phase in NAMES)) return "phase other";
  return `phase ${phase === "training" && !managedSpot ? "demand" : phase}`;
}

/**
 * The times between which a bar is drawn; null where there is nothing to draw.
 * @param {Row} row
 * @returns {{start: number, end: number, last: number, maxWait: number|null, beyond: boolean}|null}
 */
export function extentOf(row) {
  const { bar } = row, start = Date.parse(bar.start ?? "");
  if (Number.isNaN(start)) return null;
  const starts = bar.segments.map((segment) => Date.parse(segment.start)).filter((time) => !Number.isNaN(time));
  // A local SageMaker's clock can run ahead of the server's.
  const newest = Math.max(start, ...starts);
  const told = Date.parse(bar.end ?? "");
  const last = Math.max(start + 1000, Number.isNaN(told) ? Math.max(row.ended ? newest : now(), newest) : told);
  const maxWait = Date.parse(bar.max_wait_ends ?? "");
  if (row.ended) return { start, end: last, last, maxWait: maxWait <= last ? maxWait : null, beyond: false };
  let end = start + (last - start) * ROOM_TO_COME;
  const within = maxWait > start && maxWait - start <= (last - start) * MAX_WAIT_WITHIN;
  if (within) end = Math.max(end, maxWait + (maxWait - start) * 0.02);
  return { start, end, last, maxWait: within ? maxWait : null, beyond: maxWait > end };
}

/**
 * @param {Row} row
 * @param {{large?: boolean}} [options] large: with words in it
 */
export function bar(row, { large = false } = {}) {
  const range = extentOf(row), classes = large ? "bar large" : "bar";
  if (!range || !row.bar.segments.length)
    return make("div", { class: `${classes} none`, role: "img", "aria-label": "No timeline yet" });
  const place = (time) => Math.min(100, Math.max(0, ((time - range.start) / (range.end - range.start)) * 100));
  const segments = segmentsOf(row, range);
  const parts = segments.map(({ phase, status, from, to }) => {
    const width = place(to) - place(from), name = nameOf(phase, row.managed_spot);
    const ended = to === range.last && !row.ended ? "now" : clock(new Date(to).toISOString());
    return make("i", {
      class: classOf(phase, row.managed_spot),
      style: { left: `${place(from).toFixed(2)}%`, width: `${width.toFixed(2)}%` },
      "data-tip": `${name}, ${duration((to - from) / 1000)}\n${clock(new Date(from).toISOString())} to ${ended}\n${status}`,
    }, large && width > 8 && make("span", {}, name.replace(/ (for|on) .*/, "")));
  });
  const marks = row.bar.interruptions.map((time) => make("i", {
    class: "interruption", style: { left: `${place(Date.parse(time)).toFixed(2)}%` }, "data-tip": `Interrupted\n${date(time)}` }));
  if (range.maxWait !== null)
    marks.push(make("i", {
      class: "max-wait", style: { left: `${place(range.maxWait).toFixed(2)}%` }, "data-tip": `MaxWait ends\n${date(row.bar.max_wait_ends)}` }));
  else if (range.beyond)
    marks.push(make("i", { class: "beyond", "data-tip": `MaxWait ends later than this bar\n${date(row.bar.max_wait_ends)}` }, "\u203a"));
  return make("div", { class: classes, role: "img", "aria-label": inWords(row, segments) }, make("div", { class: "track" }, ...parts), ...marks);
}

/** @param {Row} row @param {{last: number}} range */
function segmentsOf(row, range) {
  const timed = row.bar.segments.filter((segment) => !Number.isNaN(Date.parse(segment.start)));
  return timed.map((segment, index) => {
    const next = timed[index + 1];
    const from = Date.parse(segment.start), told = Date.parse(segment.end ?? next?.start ?? "");
    return { phase: segment.phase, status: segment.status, from, to: Math.max(from, Number.isNaN(told) ? range.last : told) };
  });
}

function inWords(row, segments) {
  const told = segments.slice(-MOST_TOLD).map(({ phase, from, to }) => `${nameOf(phase, row.managed_spot)} ${duration((to - from) / 1000)}`);
  const earlier = segments.length > MOST_TOLD ? `${count(segments.length - MOST_TOLD, "earlier phase")}, then ` : "";
  const interruptions = row.bar.interruptions.length ? `; ${count(row.bar.interruptions.length, "interruption")}` : "";
  const maxWait = !row.ended && row.bar.max_wait_ends ? `; MaxWait ends ${date(row.bar.max_wait_ends)}` : "";
  return `Timeline: ${earlier}${told.join(", ")}${interruptions}${maxWait}`;
}

/** What the colours and patterns mean. */
export function legend() {
  const item = (classes, text) => make("li", {}, make("i", { class: classes }), text);
  return make("ul", { class: "legend", "aria-label": "What the bars show" },
    item("phase waiting", "waiting for capacity"), item("phase starting", "starting"), item("phase downloading", "downloading"),
    item("phase training", "training on spot"), item("phase demand", "training on demand"), item("phase uploading", "uploading"),
    item("phase stopping", "stopping"), item("interruption", "interrupted"), item("max-wait", "MaxWait ends"));
}
