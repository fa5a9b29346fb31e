// The DAG's tab: its runs side by side, and what they came to.

import { get } from "./api.js";
import { draw as drawCharts } from "./charts.js";
import { datatable, order } from "./datatable.js";
import { make, on, show } from "./dom.js";
import { count, date, duration, money, number, percent, priceDay } from "./format.js";
import { live } from "./live.js";
import { toneOf } from "./state.js";

const dagId = new URLSearchParams(location.search).get("dag_id") ?? "";
const indicator = make("div"), problem = make("div"), head = make("div"), tables = make("div");
const charts = make("div", { class: "charts" });
document.getElementById("page").replaceChildren(
  make("header", { class: "top" }, make("h1", {}, "Spot training of ", make("bdi", {}, dagId)), indicator), problem, head, charts, tables);
let answer = null;

on(tables, "click", { order: (which) => { order(which); draw(); } });

const amountOf = (sums) => (sums.money.length === 1 ? sums.money[0].cost : null);

/** A line for each currency: they are never added. */
function costs(sums) {
  if (!sums.money.length) return make("span", { class: "soft" }, "not known");
  return make("div", {}, ...sums.money.map((each) => make("div", {}, `${money(each.cost, each.currency)} of ${money(each.on_demand_cost, each.currency)}`)));
}

function outcomes(sums) {
  const told = Object.entries(sums.outcomes ?? {});
  return make("span", { class: "outcomes" }, ...told.flatMap(([name, amount], index) =>
    [index ? ", " : null, make("span", { class: toneOf(name) }, `${number(amount)} ${name === "unknown" ? "no outcome" : name}`)]));
}

function totals(sums, runs) {
  const days = sums.money.map((each) => each.price_date).filter(Boolean).sort();
  const tile = (amount, words, more) => make("li", {}, make("div", { class: "tile" }, make("b", {}, amount), make("span", {}, words), more && make("span", { class: "soft" }, more)));
  const paid = sums.money.map((each) => `${money(each.cost, each.currency)} instead of ${money(each.on_demand_cost, each.currency)}`).join("; ");
  const unknown = [sums.unknown ? `${count(sums.unknown, "job")} without a figure` : "", sums.no_price ? `${count(sums.no_price, "job")} without a price` : "",
    days.length ? `prices of ${priceDay(days[0])}` : ""].filter(Boolean).join("; ");
  return make("ul", { class: "strip", "aria-label": "Over these runs" },
    tile(number(runs), runs === 1 ? "run" : "newest runs", sums.tasks === undefined ? "" : count(sums.tasks, "training")),
    tile(number(sums.interruptions), sums.interruptions === 1 ? "interruption" : "interruptions"),
    tile(duration(sums.waiting_seconds) || "0s", "without an instance"),
    make("li", {}, make("div", { class: "tile" }, make("b", {}, number(sums.outcomes?.Completed ?? 0)), make("span", {}, "Completed"), make("span", { class: "soft" }, others(sums)))),
    make("li", { class: "wide" }, make("div", { class: "tile" },
      make("b", {}, typeof sums.savings_percent === "number" ? `${percent(sums.savings_percent)} saved` : "No savings yet"),
      make("span", {}, paid ? `${paid} on demand` : sums.jobs ? "what it cost is not known" : "no job has ended with a figure"),
      unknown && make("span", { class: "soft" }, unknown))));
}

function others(sums) {
  return Object.entries(sums.outcomes ?? {}).filter(([name]) => name !== "Completed")
    .map(([name, amount]) => `${number(amount)} ${name === "unknown" ? "no outcome" : name}`).join(", ");
}

function runsTable() {
  const columns = [
    { name: "Run", cell: (run) => make("span", { title: run.run_id }, [run.run_type, date(run.run_after)].filter(Boolean).join(", ") || run.run_id), value: (run) => run.run_after },
    { name: "Outcomes", cell: (run) => (Object.keys(run.outcomes ?? {}).length ? outcomes(run) : make("span", { class: "soft" }, "running")) },
    { name: "Interruptions", cell: (run) => number(run.interruptions), value: (run) => run.interruptions, numeric: true },
    { name: "Waited", cell: (run) => duration(run.waiting_seconds), value: (run) => run.waiting_seconds, numeric: true },
    { name: "Savings", cell: (run) => percent(run.savings_percent), value: (run) => run.savings_percent, numeric: true },
    { name: "Cost", cell: (run) => costs(run), value: amountOf, numeric: true },
    { name: "Timelines", cell: (run) => make("a", { href: `api/trace?${new URLSearchParams({ dag_id: dagId, run_id: run.run_id })}`, download: "",
      "aria-label": `Timelines of ${run.run_id} for Perfetto` }, "for Perfetto") },
  ];
  return make("section", { "aria-labelledby": "runs" }, make("h2", { id: "runs" }, "Runs"), datatable("Runs", columns, answer.runs, (run) => run.run_id));
}

function typesTable() {
  const name = (each) => `${each.instance_type} ${each.managed_spot ? "on spot" : "on demand"}`;
  const columns = [
    { name: "Instance type", cell: name, value: name },
    { name: "Jobs", cell: (each) => number(each.jobs), value: (each) => each.jobs, numeric: true },
    { name: "Outcomes", cell: outcomes },
    { name: "Interruptions each", cell: (each) => each.interruptions_per_job.toFixed(1), value: (each) => each.interruptions_per_job, numeric: true },
    { name: "Waited each", cell: (each) => duration(each.mean_waiting_seconds), value: (each) => each.mean_waiting_seconds, numeric: true },
    { name: "Savings", cell: (each) => percent(each.savings_percent), value: (each) => each.savings_percent, numeric: true },
    { name: "Cost each", cell: (each) => perJob(each) || make("span", { class: "soft" }, "not known"), value: (each) => amountOf({ money: each.cost_per_job ?? [] }), numeric: true },
  ];
  return make("section", { "aria-labelledby": "types" }, make("h2", { id: "types" }, "Instance types compared"),
    datatable("Instance types", columns, answer.instance_types, name));
}

function perJob(each) {
  return (each.cost_per_job ?? []).map((known) => money(known.cost, known.currency)).join("; ");
}

function draw() {
  const warnings = answer.checkpoint_warnings.map((text) => make("div", { class: "note", "data-key": text }, make("p", {}, text)));
  if (!answer.runs.length) {
    show(head, make("div", { class: "empty" }, make("h2", {}, "No spot training in the newest runs."),
      make("p", {}, "A task of this DAG shows up here as soon as it has submitted a job with an operator of airflow_spot_provider.")));
    show(tables);
    return;
  }
  show(head, ...warnings, totals(answer.totals, answer.runs.length));
  show(tables, runsTable(), answer.instance_types.length > 0 && typesTable(),
    answer.left_out > 0 && make("p", { class: "soft" }, answer.left_out_why ?? `${number(answer.left_out)} left out.`));
}

async function look() {
  answer = await get("api/dags", { dag_id: dagId });
  draw();
  // After the next paint: nobody waits for a chart to read a table.
  requestAnimationFrame(() => setTimeout(() => drawCharts(charts, answer.runs.length ? answer.charts : [])));
}

document.title = `${dagId} \u00b7 Spot training`;
live({ look, indicator, problem });
