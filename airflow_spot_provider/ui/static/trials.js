// The trials of a search as a table that can be sorted.

import { make } from "./dom.js";
import { percent } from "./format.js";

let by = "name", ascending = true;

/** @param {{metric: string|null, best: string|null, rows: any[], left_out: number}} answer */
export function trials(answer) {
  const columns = { name: "Trial", outcome: "Outcome", objective: answer.metric ?? "objective", billable_seconds: "Billed, s", savings_percent: "Savings", interruptions: "Interruptions" };
  const section = make("section", {});
  const paint = () => {
    const sorted = [...answer.rows].sort((one, other) => order(one[by], other[by]) * (ascending ? 1 : -1));
    const headings = Object.entries(columns).map(([key, text]) => make("th", { scope: "col", "aria-sort": by === key ? (ascending ? "ascending" : "descending") : "none" },
      make("button", { type: "button", "data-acts": `${key} ${by} ${ascending}`, onclick: () => { ascending = by === key ? !ascending : true; by = key; paint(); } }, text)));
    const lines = sorted.map((row) => make("tr", {}, make("th", { scope: "row" }, String(row.name), row.name === answer.best ? " ★ best" : ""),
      make("td", {}, row.outcome ?? "not known"), make("td", {}, row.objective === null ? "" : String(Number(row.objective.toPrecision(5)))),
      make("td", {}, row.billable_seconds === null ? "" : row.billable_seconds.toLocaleString("en-US")), make("td", {}, percent(row.savings_percent)),
      make("td", {}, String(row.interruptions ?? "")), make("td", {}, Object.entries(row.hyperparameters).map(([name, value]) => `${name}=${value}`).join(", "))));
    section.replaceChildren(make("h2", {}, "Trials"), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Trials" },
      make("table", {}, make("caption", { class: "unseen" }, "Trials"), make("thead", {}, make("tr", {}, ...headings, make("th", { scope: "col" }, "Hyperparameters"))), make("tbody", {}, ...lines))),
      answer.left_out ? make("p", { class: "soft" }, `${answer.left_out} more are not listed.`) : "");
  };
  paint();
  return section;
}

function order(one, other) {
  if (one === other) return 0;
  if (one === null || one === undefined) return 1;
  if (other === null || other === undefined) return -1;
  return one < other ? -1 : 1;
}
