// Small plots drawn as SVG: a metric's curve, the trials of a search. The numbers are in their label and beside them.

import { make, makeSvg } from "./dom.js";
import { clock, number, short } from "./format.js";

const WIDTH = 420, HEIGHT = 160, LEFT = 52, RIGHT = 10, TOP = 10, BOTTOM = 22;

/**
 * A figure with a line through points.
 * @param {string} name
 * @param {[string, number][]} points times (ISO 8601) and values
 */
export function curve(name, points) {
  const known = points.filter(([, value]) => Number.isFinite(value));
  if (!known.length) return null;
  // A log line without a time has its place only.
  const timed = known.every(([time]) => !Number.isNaN(Date.parse(time)));
  const xs = known.map(([time], index) => (timed ? Date.parse(time) : index)), ys = known.map(([, value]) => value);
  const labels = timed ? [clock(known[0][0]), clock(known[known.length - 1][0])] : ["first", "newest"];
  const label = `${name}: from ${short(ys[0])} to ${short(ys[ys.length - 1])} over ${number(ys.length)} values; lowest ${short(Math.min(...ys))}, highest ${short(Math.max(...ys))}`;
  return figure(name, short(ys[ys.length - 1]), label, ({ x, y }) => [
    makeSvg("path", { d: xs.map((value, index) => `${index ? "L" : "M"}${x(value)},${y(ys[index])}`).join("") }),
    makeSvg("circle", { cx: x(xs[xs.length - 1]), cy: y(ys[ys.length - 1]), r: 3 }),
  ], xs, ys, labels);
}

/**
 * A figure with a point for each trial; the best is larger.
 * @param {string} name
 * @param {{name: string|number, objective: number|null}[]} trials in their order
 * @param {string|number|null} best
 */
export function scatter(name, trials, best) {
  const known = trials.map((trial, index) => ({ ...trial, index })).filter((trial) => Number.isFinite(trial.objective));
  if (known.length < 2) return null;
  const ys = known.map((trial) => trial.objective), xs = known.map((trial) => trial.index);
  const label = `${name} of ${number(known.length)} trials; lowest ${short(Math.min(...ys))}, highest ${short(Math.max(...ys))}; each is in the table`;
  return figure(name, "of each trial", label, ({ x, y }) => known.map((trial) => makeSvg("circle", {
    class: trial.name === best ? "best" : "trial", cx: x(trial.index), cy: y(trial.objective), r: trial.name === best ? 5 : 3,
    "data-tip": `${trial.name}${trial.name === best ? ", the best" : ""}\n${name} ${short(trial.objective)}` })),
    xs, ys, [String(known[0].name), String(known[known.length - 1].name)].map((text) => (text.length > 24 ? `\u2026${text.slice(-23)}` : text)));
}

function figure(name, told, label, marks, xs, ys, [first, last]) {
  const [left, right] = [Math.min(...xs), Math.max(...xs)], [low, high] = [Math.min(...ys), Math.max(...ys)];
  const x = (value) => (LEFT + ((value - left) / (right - left || 1)) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const y = (value) => (TOP + (high === low ? 0.5 : 1 - (value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM - 6)).toFixed(1);
  const text = (words, at, height, anchor) => makeSvg("text", { x: at, y: height, "text-anchor": anchor }, words);
  const bottom = HEIGHT - BOTTOM;
  return make("figure", { class: "panel plot" },
    make("figcaption", {}, make("b", {}, name), " ", make("span", { class: "soft" }, told)),
    makeSvg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
      ...[low, high].filter((value, index) => !index || high !== low).map((value) => makeSvg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) })),
      ...[low, high].filter((value, index) => !index || high !== low).map((value) => text(short(Number(value.toPrecision(3))), LEFT - 8, Number(y(value)) + 4, "end")),
      text(first, LEFT, bottom + 17, "start"), xs.length > 1 && text(last, WIDTH - RIGHT, bottom + 17, "end"), ...marks({ x, y })));
}
