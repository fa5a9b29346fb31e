// The trials of a search.

import { datatable } from "./datatable.js";
import { make } from "./dom.js";
import { count, number, percent, short } from "./format.js";
import { scatter } from "./plot.js";

/**
 * @param {{metric: string|null, best: string|number|null, rows: any[], left_out: number}} answer
 * @param {import("./charts.js").Chart[]} charts
 */
export function trials(answer, charts) {
  const metric = answer.metric ?? "objective", best = answer.best;
  const isBest = (row) => best !== null && row.name === best;
  const given = (row) => Object.entries(row.hyperparameters ?? {}).map(([name, value]) => `${name}=${value}`).join(", ");
  const columns = [
    { name: "Trial", cell: (row) => [String(row.name), isBest(row) ? " \u2605 best" : ""].join(""), value: (row) => row.name },
    { name: "Outcome", cell: (row) => row.outcome ?? "not known", value: (row) => row.outcome },
    { name: metric, cell: (row) => short(row.objective), value: (row) => row.objective, numeric: true },
    { name: "Billed, s", cell: (row) => (typeof row.billable_seconds === "number" ? number(row.billable_seconds) : ""), value: (row) => row.billable_seconds, numeric: true },
    { name: "Savings", cell: (row) => percent(row.savings_percent), value: (row) => row.savings_percent, numeric: true },
    { name: "Interruptions", cell: (row) => String(row.interruptions ?? ""), value: (row) => row.interruptions, numeric: true },
  ];
  if (answer.rows.some(given)) columns.push({ name: "Hyperparameters", cell: (row) => given(row), value: undefined });
  return make("section", { class: "trials", "aria-labelledby": "trials" }, make("h2", { id: "trials" }, `Trials: ${number(answer.rows.length)}`),
    charts.length > 0 && make("div", { class: "plots" }, ...charts.map((chart) => scatter(chart, best))),
    datatable("Trials", columns, answer.rows, (row) => `trial ${row.name}`, { marked: isBest }),
    answer.left_out > 0 && make("p", { class: "soft" }, `${count(answer.left_out, "trial")} more not listed.`));
}
