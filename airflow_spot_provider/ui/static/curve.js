// A metric's curve, small enough to be drawn by hand.

import { make, makeSvg } from "./dom.js";
import { clock } from "./format.js";

const WIDTH = 420, HEIGHT = 150, LEFT = 46, BOTTOM = 20;

// A log line without a time is told by its place.
const timeOf = (time) => (Number.isNaN(Date.parse(time)) ? "" : clock(time, false));

/** @param {string} name @param {[string, number][]} points */
export function curve(name, points) {
  const times = points.map(([time], index) => (Number.isNaN(Date.parse(time)) ? index : Date.parse(time)));
  const values = points.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)], [first, last] = [times[0], times[times.length - 1]];
  const x = (time) => LEFT + ((time - first) / (last - first || 1)) * (WIDTH - LEFT - 8);
  const y = (value) => 10 + (1 - (value - low) / (high - low || 1)) * (HEIGHT - BOTTOM - 18);
  const line = times.map((time, index) => `${index ? "L" : "M"}${x(time).toFixed(1)},${y(values[index]).toFixed(1)}`).join("");
  const label = (text, left, top, anchor = "end") => makeSvg("text", { x: left, y: top, "text-anchor": anchor }, text);
  const short = (value) => Number(value.toPrecision(4)).toString();
  return make("figure", { class: "panel", style: { margin: 0 } },
    make("figcaption", {}, make("b", {}, name), ` ${short(values[values.length - 1])}`),
    makeSvg("svg", { class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
      "aria-label": `${name} from ${short(values[0])} to ${short(values[values.length - 1])} over ${points.length} values; lowest ${short(low)}, highest ${short(high)}` },
      makeSvg("line", { x1: LEFT, x2: WIDTH, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
      label(short(high), LEFT - 6, 16), label(short(low), LEFT - 6, HEIGHT - BOTTOM - 4),
      label(timeOf(points[0][0]), LEFT, HEIGHT - 4, "start"), label(timeOf(points[points.length - 1][0]), WIDTH - 8, HEIGHT - 4),
      makeSvg("path", { d: line }), makeSvg("circle", { cx: x(last), cy: y(values[values.length - 1]), r: 3 })));
}
