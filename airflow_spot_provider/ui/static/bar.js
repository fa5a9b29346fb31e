// A job's timeline as a bar: what it did when, its interruptions as marks, and where MaxWait ends.

import { make } from "./dom.js";
import { clock, duration, now } from "./format.js";

const NAMES = {
  queued: "waiting its turn", waiting: "waiting for capacity", starting: "starting", downloading: "downloading",
  training: "training on spot", uploading: "uploading", stopping: "stopping", other: "other", interrupted: "interrupted",
};

export function nameOf(phase, managedSpot) {
  return phase === "training" && !managedSpot ? "training on demand" : NAMES[phase] ?? phase;
}

/** The times between which the bar is drawn: a running job's bar leaves room for what is to come. */
export function extent(bar, ended) {
  const start = Date.parse(bar.start);
  if (Number.isNaN(start)) return null;
  // A local SageMaker's clock may run ahead of this one.
  const newest = Date.parse(bar.segments[bar.segments.length - 1]?.start ?? bar.start);
  const last = bar.end ? Date.parse(bar.end) : Math.max(now(), newest + (newest - start) * 0.05);
  const maxWait = Date.parse(bar.max_wait_ends ?? "");
  let end = Math.max(last, start + 1000);
  if (!ended) end = start + (end - start) * 1.15;
  if (maxWait > start && maxWait <= start + (end - start) * 1.35) end = Math.max(end, maxWait + (maxWait - start) * 0.02);
  return { start, end, last };
}

export function bar(row, { large = false } = {}) {
  const drawn = row.bar, range = extent(drawn, row.ended);
  if (!range || !drawn.segments.length) return make("div", { class: "bar", role: "img", "aria-label": "No timeline yet" });
  const place = (time) => `${Math.min(100, Math.max(0, ((time - range.start) / (range.end - range.start)) * 100)).toFixed(2)}%`;
  const parts = drawn.segments.map((segment) => {
    const from = Date.parse(segment.start), to = segment.end ? Date.parse(segment.end) : range.last;
    const width = Math.max(0, ((Math.min(to, range.end) - from) / (range.end - range.start)) * 100);
    const name = nameOf(segment.phase, row.managed_spot);
    return {
      text: `${name} ${duration((to - from) / 1000)}`,
      element: make("i", {
        class: `${segment.phase}${segment.phase === "training" && !row.managed_spot ? " demand" : ""}`,
        style: { left: place(from), width: `${width.toFixed(2)}%` },
        title: `${segment.status}: ${duration((to - from) / 1000)} from ${clock(segment.start)} UTC`,
      }),
    };
  });
  const marks = drawn.interruptions.map((time) =>
    make("i", { class: "interruption", style: { left: place(Date.parse(time)) }, title: `interrupted at ${clock(time)} UTC` }));
  const maxWait = Date.parse(drawn.max_wait_ends ?? "");
  if (maxWait >= range.start && maxWait <= range.end)
    marks.push(make("i", { class: "max-wait", style: { left: place(maxWait) }, title: `MaxWait ends at ${clock(drawn.max_wait_ends)} UTC` }));
  const shown = parts.slice(-12).map((part) => part.text);
  const label = `${parts.length > 12 ? "the newest: " : ""}${shown.join(", ")}; ${drawn.interruptions.length} interruptions`;
  return make("div", { class: large ? "bar large" : "bar", role: "img", "aria-label": label }, ...parts.map((part) => part.element), ...marks);
}

export function axis(row) {
  const range = extent(row.bar, row.ended);
  if (!range) return null;
  const days = range.end - range.start > 86400000;
  const labels = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const time = new Date(range.start + (range.end - range.start) * share).toISOString();
    return make("span", {}, days ? time.slice(5, 16).replace("T", " ") : time.slice(11, 16));
  });
  return make("div", { class: "axis", "aria-hidden": "true" }, ...labels);
}

export function legend() {
  const item = (classes, text) => make("li", {}, make("i", { class: classes }), text);
  return make("ul", { class: "legend", "aria-label": "Legend" },
    item("waiting", "waiting for capacity"), item("starting", "starting"), item("downloading", "downloading"),
    item("training", "training on spot"), item("training demand", "training on demand"), item("uploading", "uploading"),
    item("interrupted", "interrupted"), item("max-wait", "MaxWait ends"));
}
