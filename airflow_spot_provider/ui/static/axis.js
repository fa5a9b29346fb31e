// The time axis under a large bar: a few round times.

import { extentOf } from "./bar.js";
import { make } from "./dom.js";
import { clock, dayAndMonth, hourAndMinute } from "./format.js";

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY,
];
const MOST = 7;

/** Round times between two, the step between them first. @param {number} start @param {number} end */
export function roundTimes(start, end) {
  const step = STEPS.find((each) => (end - start) / each <= MOST) ?? Math.ceil((end - start) / MOST / DAY) * DAY;
  const times = [];
  for (let time = Math.ceil(start / step) * step; time <= end; time += step) times.push(time);
  return { step, times };
}

/** @param {import("./api.js").Row} row */
export function axis(row) {
  const range = extentOf(row);
  if (!range || !row.bar.segments.length) return null;
  const { step, times } = roundTimes(range.start, range.end);
  let day = "";
  const labels = times.map((time) => {
    const today = dayAndMonth(time), hour = step < MINUTE ? clock(new Date(time).toISOString()) : hourAndMinute(time);
    // Days are those of UTC: elsewhere they begin at another hour, which is told.
    const whole = step >= DAY && hour === "00:00";
    const text = whole ? today : step >= DAY || (day && day !== today) ? `${today} ${hour}` : hour;
    day = today;
    const share = ((time - range.start) / (range.end - range.start)) * 100;
    const side = share < 3 ? "first" : share > 97 ? "last" : "";
    return make("span", { class: side, style: { left: `${share.toFixed(2)}%` } }, text);
  });
  return make("div", { class: "axis", "aria-hidden": "true" }, ...labels);
}
