// Plotly's charts, in the page's colours. The library is loaded when the first chart is wanted.

import { make } from "./dom.js";

let library = null;

function load() {
  library ??= new Promise((resolve, reject) => {
    const script = make("script", { src: "static/plotly.min.js" });
    script.onload = () => resolve(globalThis.Plotly);
    script.onerror = async () => {
      let detail = "The charts cannot be loaded; the tables hold the same numbers.";
      try {
        detail = (await (await fetch("static/plotly.min.js")).json()).detail ?? detail;
      } catch {
        // no more is known
      }
      reject(new Error(detail));
    };
    document.head.append(script);
  });
  return library;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function themed(layout) {
  const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line"), automargin: true };
  const own = Object.fromEntries(["xaxis", "yaxis", "yaxis2"].filter((name) => name === "xaxis" || layout[name]).map((name) => [name, { ...axis, ...layout[name] }]));
  return {
    ...layout, ...own, yaxis: { ...axis, ...layout.yaxis }, height: 300, margin: { l: 50, r: 50, t: 10, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), family: "Inter, system-ui, sans-serif", size: 12 },
    colorway: ["--training", "--demand", "--good", "--interrupted", "--uploading", "--downloading"].map(colour), legend: { orientation: "h", y: -0.2 },
  };
}

/** Draw charts into an element, and again when the theme changes. */
export async function draw(element, charts) {
  const told = JSON.stringify(charts);
  if (element.dataset.told === told) return;
  element.dataset.told = told;
  if (!charts.length) return element.replaceChildren();
  const places = charts.map((chart) => make("figure", { class: "panel", style: { margin: 0 } }, make("figcaption", {}, make("b", {}, chart.title)),
    make("div", { class: "chart", role: "img", "aria-label": chart.description })));
  element.replaceChildren(make("div", { class: "charts" }, ...places));
  try {
    const plotly = await load();
    const paint = () => places.forEach((place, index) => {
      const { data, layout } = charts[index].figure;
      plotly.react(place.querySelector(".chart"), data, themed(layout), { displayModeBar: false, responsive: true });
    });
    paint();
    addEventListener("themechange", paint);
  } catch (error) {
    element.replaceChildren(make("p", { class: "note" }, error.message));
  }
}
