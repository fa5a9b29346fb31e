// Plotly's charts, in the page's colours. The library is 1.4 MB: it is loaded when the first chart is wanted, after all else is there.

import { make, show } from "./dom.js";

const LIBRARY = new URL("plotly.min.js", import.meta.url);
const AXES = ["xaxis", "yaxis", "yaxis2"];
const COLOURS = ["--training", "--demand", "--good", "--interrupted", "--uploading", "--downloading"];
const OUTCOMES = {
  Completed: "--good", MaxWaitTimeExceeded: "--demand", MaxRuntimeExceeded: "--uploading", Stopped: "--stopping", Failed: "--bad",
};
const PATTERNS = { "on demand": "/", MaxWaitTimeExceeded: "/", MaxRuntimeExceeded: "x", Stopped: ".", Failed: "\\", interruptions: "/" };

/** @typedef {{id: string, title: string, description: string, figure: {data: any[], layout: any}}} Chart */

let library = null, drawn = "", places = [], charts = [];

function load() {
  library ??= new Promise((resolve, reject) => {
    const script = /** @type {HTMLScriptElement} */ (make("script", { src: LIBRARY.href }));
    script.addEventListener("load", () => resolve(globalThis.Plotly));
    script.addEventListener("error", () => reason().then((text) => reject(new Error(text))));
    document.head.append(script);
  });
  return library;
}

/** Why the library cannot be had: the server says what to install. */
async function reason() {
  const otherwise = "The charts cannot be loaded just now; the tables hold the same numbers.";
  try {
    return (await (await fetch(LIBRARY, { credentials: "same-origin" })).json()).detail ?? otherwise;
  } catch {
    return otherwise;
  }
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function layoutOf(data, layout) {
  const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line"), automargin: true };
  const highest = Math.max(1, ...data.filter((trace) => trace.yaxis === "y2").flatMap((trace) => trace.y));
  const second = { range: [0, highest * 2.5], nticks: 5, tickformat: "~d", tickmode: "auto" };
  const axes = AXES.filter((name) => name !== "yaxis2" || layout[name])
    .map((name) => [name, { ...axis, ...layout[name], ...(name === "yaxis2" ? second : {}) }]);
  return {
    ...layout, ...Object.fromEntries(axes), height: 260, margin: { l: 48, r: 48, t: 34, b: 36 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", colorway: COLOURS.map(colour),
    font: { color: colour("--ink"), family: "Inter, system-ui, sans-serif", size: 12 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
  };
}

// Names are escaped where they come from; a line's end is the one mark that is made of them here.
const inLines = (label) => (typeof label === "string" ? label.replaceAll("\n", "<br>") : label);

function dataOf(data) {
  return data.map((trace, index) => {
    if (Array.isArray(trace.x)) trace = { ...trace, x: trace.x.map(inLines) };
    const own = colour(OUTCOMES[trace.name] ?? COLOURS[index % COLOURS.length]);
    // Behind the line of the first axis, and lower than it mostly is.
    if (trace.yaxis === "y2" && trace.type === "bar") trace = { ...trace, opacity: 0.6 };
    if (trace.type !== "bar") return { ...trace, marker: { color: own, size: 6, ...trace.marker }, line: { color: own, width: 2, ...trace.line } };
    // Neither is a bar told by its colour alone.
    const pattern = { shape: PATTERNS[trace.name] ?? "", fillmode: "overlay", bgcolor: own, fgcolor: colour("--panel"), solidity: 0.16, size: 7 };
    return { ...trace, marker: { color: own, pattern, ...trace.marker } };
  });
}

function paint() {
  charts.forEach((chart, index) => globalThis.Plotly?.react(places[index], dataOf(chart.figure.data), layoutOf(chart.figure.data, chart.figure.layout ?? {}), {
    displayModeBar: false, responsive: true }));
}

/**
 * Draw charts into an element, if they are others than before.
 * @param {Element} element which nothing else draws into
 * @param {Chart[]} wanted
 */
export async function draw(element, wanted) {
  const told = JSON.stringify(wanted);
  if (told === drawn) return;
  drawn = told;
  const sameOnes = wanted.map((chart) => chart.id).join() === charts.map((chart) => chart.id).join() && places.length > 0;
  charts = wanted;
  if (!sameOnes) {
    places = charts.map((chart) => make("div", { class: "chart", role: "img", "aria-label": `${chart.title}. ${chart.description} The tables below hold the numbers.` }));
    element.replaceChildren(...charts.map((chart, index) => make("figure", { class: "panel" }, make("figcaption", {}, make("b", {}, chart.title)), places[index])));
  }
  if (!charts.length) return;
  try {
    await load();
    paint();
  } catch (error) {
    [charts, places] = [[], []];
    show(element, make("p", { class: "note" }, error.message));
  }
}

addEventListener("themechange", paint);
