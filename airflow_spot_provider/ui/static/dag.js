// The DAG's tab: its runs side by side, and what they came to.

import { get } from "./api.js";
import { draw } from "./charts.js";
import { link, make, show } from "./dom.js";
import { count, date, duration, money, percent } from "./format.js";
import { live } from "./live.js";

const dagId = new URLSearchParams(location.search).get("dag_id") ?? "";
const problem = make("div"), head = make("div"), tables = make("div"), charts = make("div");
document.getElementById("page").replaceChildren(
  make("div", { class: "top" }, make("h1", {}, `Spot training of ${dagId}`)), problem, head, charts, tables);

const paid = (sums) => sums.money.map((each) => `${money(each.cost, each.currency)} of ${money(each.on_demand_cost, each.currency)}`).join("; ");
const outcomes = (sums) => Object.entries(sums.outcomes).map(([name, number]) => `${number} ${name}`).join(", ");

function totals(answer) {
  const sums = answer.totals, dates = sums.money.map((each) => each.price_date).sort();
  const tile = (number, words, more) => make("li", { class: "tile" }, make("b", {}, number), make("span", {}, words), more && make("span", { class: "soft" }, more));
  return make("ul", { class: "strip", "aria-label": "Over these runs" },
    tile(String(answer.runs.length), answer.runs.length === 1 ? "run" : "runs", count(sums.tasks, "training")),
    tile(String(sums.interruptions), "interruptions"),
    tile(duration(sums.waiting_seconds), "without an instance"),
    tile(sums.savings_percent === null ? "not known" : percent(sums.savings_percent), "saved", sums.unknown ? `${count(sums.unknown, "job")} without a figure` : ""),
    tile(paid(sums) || "not known", "cost, of what on demand would have cost",
      [dates.length ? `prices of ${dates[0]}` : "", sums.no_price ? `${count(sums.no_price, "job")} without a price` : ""].filter(Boolean).join("; ")));
}

function table(title, columns, rows) {
  const headings = columns.map(([name, numeric]) => make("th", { scope: "col", class: numeric ? "number" : "" }, name));
  const lines = rows.map((cells) => make("tr", {}, ...cells.map((cell, index) => index === 0 ? make("th", { scope: "row" }, cell)
    : make("td", { class: columns[index][1] ? "number" : "" }, cell))));
  return make("section", {}, make("h2", {}, title), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
    make("table", {}, make("caption", { class: "unseen" }, title), make("thead", {}, make("tr", {}, ...headings)), make("tbody", {}, ...lines))));
}

function runs(answer) {
  const columns = [["Run"], ["Outcomes"], ["Interruptions", true], ["Without an instance", true], ["Savings", true], ["Cost, of on demand", true], ["Timelines"]];
  const rows = answer.runs.map((run) => {
    const where = new URLSearchParams({ dag_id: dagId, run_id: run.run_id });
    return [make("span", { title: run.run_id }, `${run.run_type}, ${date(run.run_after)}`), outcomes(run) || "running", String(run.interruptions),
      duration(run.waiting_seconds), percent(run.savings_percent), paid(run) || "not known",
      make("a", { href: `api/trace?${where}`, download: "" , "aria-label": `Timelines of ${run.run_id} for Perfetto`}, "for Perfetto")];
  });
  return table("Runs", columns, rows);
}

function types(answer) {
  const columns = [["Instance type"], ["Trainings", true], ["Outcomes"], ["Savings", true], ["Interruptions each", true], ["Waited each", true], ["Cost, of on demand", true]];
  const rows = answer.instance_types.map((each) => [`${each.instance_type}${each.managed_spot ? " on spot" : " on demand"}`, String(each.tasks), outcomes(each),
    percent(each.savings_percent), each.interruptions_per_job.toFixed(1), duration(each.mean_waiting_seconds), paid(each) || "not known"]);
  return table("Instance types", columns, rows);
}

async function look() {
  const answer = await get("api/dags", { dag_id: dagId });
  show(problem, ...answer.checkpoint_warnings.map((text) => make("div", { class: "note" }, text)),
    answer.left_out ? make("div", { class: "note" }, answer.left_out_why) : null);
  if (!answer.runs.length) {
    show(head, make("div", { class: "empty" }, "No task of this DAG has published a spot training in its newest runs."));
    show(tables);
    return;
  }
  show(head, totals(answer));
  show(tables, runs(answer), types(answer));
  draw(charts, answer.charts);
}

live(look, (error) => show(problem, make("div", { class: "note", role: "alert" },
  error.status ? error.message : "Airflow cannot be reached just now; this page tries again by itself.")));
