// Small plots drawn as SVG: a metric's curve, the trials of a search. The numbers are in their label and beside them.

import { make, makeSvg } from "./dom.js";
import { clock, number, short } from "./format.js";

const WIDTH = 300, HEIGHT = 140, LEFT = 50, RIGHT = 10, TOP = 10, BOTTOM = 22;

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
 * One of the API's charts whose traces are points or lines.
 * @param {import("./charts.js").Chart} chart
 * @param {string|number|null} best the name of the trial whose point is larger
 */
export function scatter(chart, best) {
  const { data, layout } = chart.figure;
  const traces = data.map((trace) => ({ ...trace, points: trace.x.map((x, index) => ({ x, y: trace.y[index], text: trace.text?.[index] ?? x }))
    .filter((point) => Number.isFinite(point.y)) }));
  const all = traces.flatMap((trace) => trace.points);
  if (all.length < 2) return null;
  const numeric = layout.xaxis?.type !== "category" && all.every((point) => Number.isFinite(point.x));
  const places = [...new Set(all.map((point) => point.x))];
  const place = (x) => (!numeric ? places.indexOf(x) : layout.xaxis?.type === "log" ? Math.log10(x) : x);
  const xs = all.map((point) => place(point.x)), ys = all.map((point) => point.y);
  const ends = (numeric ? [Math.min(...all.map((point) => point.x)), Math.max(...all.map((point) => point.x))].map(short)
    : [places[0], places[places.length - 1]].map(String)).map((text) => (text.length > 22 ? `\u2026${text.slice(-21)}` : text));
  const label = `${chart.title}. ${number(all.length)} points; lowest ${short(Math.min(...ys))}, highest ${short(Math.max(...ys))}. The numbers are in the table.`;
  const isBest = (point) => best !== null && String(point.text) === String(best);
  const more = layout.xaxis?.type === "log" ? `${layout.xaxis?.title?.text ?? ""}, logarithmic` : "";
  return figure(chart.title, more, label, ({ x, y }) => traces.flatMap((trace) => (trace.mode === "lines" || trace.mode === "lines+markers"
    ? [makeSvg("path", { class: "so-far", d: trace.points.map((point, index) => `${index ? "L" : "M"}${x(place(point.x))},${y(point.y)}`).join("") })]
    : trace.points.map((point) => makeSvg("circle", {
      class: isBest(point) ? "best" : "trial", cx: x(place(point.x)), cy: y(point.y), r: isBest(point) ? 5 : 3,
      "data-tip": `${point.text}${isBest(point) ? ", the best" : ""}\n${short(point.y)}${numeric ? ` at ${short(point.x)}` : ""}` })))), xs, ys, ends);
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
