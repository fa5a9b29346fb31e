// The page of all tasks: a strip on top, and a table that follows them.

import { get } from "./api.js";
import { bar, legend } from "./bar.js";
import { link, make, say, show } from "./dom.js";
import { count, date, duration, money, now, percent, taskName } from "./format.js";
import { live } from "./live.js";

const PAGE = 25;
const DEFAULTS = { days: "7", state: "all", search: "", dag_id: "", sort: "started", order: "desc", offset: "0" };
const STATES = {
  all: "All states", running: "Running", waiting: "Waiting for capacity", training: "Training", interrupted: "Interrupted",
  at_risk: "At risk of MaxWait", ended: "Ended", Completed: "Completed", MaxWaitTimeExceeded: "MaxWaitTimeExceeded",
  MaxRuntimeExceeded: "MaxRuntimeExceeded", Stopped: "Stopped", Failed: "Failed",
};
const DAYS = { 1: "Last day", 7: "Last 7 days", 30: "Last 30 days", 90: "Last 90 days" };
const PHASES = {
  queued: "Waiting its turn", waiting: "Waiting", starting: "Starting", downloading: "Downloading", training: "Training",
  interrupted: "Interrupted", uploading: "Uploading", stopping: "Stopping", other: "Other",
};

const asked = { ...DEFAULTS, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
let lookAgain = () => {};
let asOf = 0;

function ask(changes) {
  Object.assign(asked, { offset: "0" }, changes);
  const told = Object.entries(asked).filter(([name, value]) => value !== DEFAULTS[name]);
  history.replaceState(null, "", `#${new URLSearchParams(told)}`);
  for (const [name, control] of Object.entries(controls)) if (document.activeElement !== control) control.value = asked[name];
  lookAgain();
}

function choice(label, name, options) {
  const listed = Object.entries(options).map(([value, text]) => make("option", { value }, text));
  const control = make("select", { "aria-label": label, onchange: (event) => ask({ [name]: event.target.value }) }, ...listed);
  control.value = asked[name];
  return control;
}

let typing = 0;
const controls = {
  days: choice("Period", "days", DAYS),
  state: choice("State or outcome", "state", STATES),
  search: make("input", {
    type: "search", placeholder: "Search DAG, task, run, job", "aria-label": "Search DAG, task, run or job", value: asked.search,
    oninput: (event) => { clearTimeout(typing); typing = setTimeout(() => ask({ search: event.target.value }), 250); },
  }),
};
const freshness = make("span", { class: "when" });
const problem = make("div"), strip = make("div"), table = make("div"), pages = make("div");
document.getElementById("page").replaceChildren(
  make("div", { class: "top" }, make("h1", {}, "Spot training"),
    make("div", { class: "controls", role: "search" }, controls.days, controls.state, controls.search, freshness)),
  problem, strip, table, pages, legend());

function tiles(summary) {
  const tile = (state, number, words, more, tone) => {
    const inner = [make("b", { class: number && tone }, String(number)), make("span", {}, words), more && make("span", { class: "soft" }, more)];
    return make("li", { class: "tile" }, make("a", {
      href: `#state=${state}`, "data-acts": state, onclick: (event) => { event.preventDefault(); ask({ state }); } }, ...inner));
  };
  const waited = summary.longest_wait_seconds, all = summary.waiting + summary.queued;
  const paid = summary.money.map((each) => `${money(each.cost, each.currency)} instead of ${money(each.on_demand_cost, each.currency)} on demand`);
  const dates = summary.money.map((each) => each.price_date).sort();
  const unknown = [
    summary.unknown ? `${count(summary.unknown, "job")} without a figure` : "",
    summary.no_price ? `${count(summary.no_price, "job")} without a price` : "",
    dates.length ? `prices of ${dates[0]}` : "",
  ].filter(Boolean).join("; ");
  return make("ul", { class: "strip", "aria-label": "Now, and this month" },
    tile("training", summary.training, "training"),
    tile("waiting", all, "waiting for capacity", waited === null ? "" : `longest ${duration(waited)}`),
    tile("interrupted", summary.interrupted, "interrupted now"),
    tile("at_risk", summary.at_risk, "at risk of MaxWait", "", "warn"),
    make("li", { class: "tile" },
      make("b", {}, summary.savings_percent === null ? "No savings yet" : `${percent(summary.savings_percent)} saved`),
      make("span", {}, `${summary.days} days: ${paid.join("; ") || (summary.jobs ? "what it cost is not known" : "no job has ended")}`),
      unknown && make("span", { class: "soft" }, unknown)));
}

function statusOf(row) {
  if (!row.ended) return [PHASES[row.phase] ?? row.status, row.phase === "interrupted" || row.at_risk ? "warn" : ""];
  if (row.outcome === null) return ["Not known", "warn"];
  const good = row.outcome.startsWith("Completed");
  return [row.outcome, good ? "good" : row.outcome === "Stopped" ? "warn" : "bad"];
}

function line(row) {
  const [status, tone] = statusOf(row);
  const run = `${row.run_type ?? "run"}${row.run_after ? `, ${date(row.run_after)}` : ""}`;
  const left = row.ended || !row.max_wait_ends ? null : (Date.parse(row.max_wait_ends) - now()) / 1000;
  const key = [row.dag_id, row.run_id, row.task_id, row.map_index].join("\n");
  return make("tr", { "data-key": key },
    make("th", { scope: "row", class: "names", style: { fontSize: "14px", color: "inherit", whiteSpace: "normal" } },
      make("b", {}, link(row.dag_id, row.links.dag)), " · ", link(taskName(row), row.links.spot_tab ?? row.links.task),
      make("div", { class: "soft", title: row.run_id }, link(run, row.links.log))),
    make("td", { class: "life" },
      make("b", { class: tone, title: row.status }, status),
      row.interruptions ? make("span", { class: "soft" }, ` ${count(row.interruptions, "interruption")}`) : null,
      row.kind === "tuning" ? make("span", { class: "soft" }, " · tuning job") : null,
      bar(row),
      make("div", { class: "soft" }, row.sentence),
      row.checkpoint && make("div", { class: row.warning ? "warn" : "soft", title: row.warning }, row.checkpoint),
      row.warning && make("div", { class: "warn" }, row.warning)),
    make("td", { class: `number ${row.at_risk ? "warn" : ""}` }, left === null ? "" : left > 0 ? duration(left) : "over"),
    make("td", { class: "number" }, row.savings_percent !== null ? percent(row.savings_percent)
      : make("span", { class: "soft" }, row.ended ? "not known" : "after the end")),
    make("td", { class: "number" }, row.cost === null ? "" : money(row.cost, row.currency),
      row.on_demand_cost === null ? null : make("div", { class: "soft" }, `of ${money(row.on_demand_cost, row.currency)}`)));
}

function heading(text, sort, numeric) {
  const sorted = asked.sort === sort, direction = asked.order === "asc" ? "ascending" : "descending";
  return make("th", { scope: "col", class: numeric ? "number" : "", "aria-sort": sorted ? direction : "none" },
    make("button", {
      type: "button", "data-acts": `${sort} ${asked.order} ${asked.sort}`,
      onclick: () => ask({ sort, order: sorted && asked.order === "desc" ? "asc" : "desc" }),
    }, text, sorted ? (asked.order === "asc" ? " ↑" : " ↓") : ""));
}

function rows(answer) {
  const head = make("tr", {}, heading("DAG · task", "dag"), heading("Lifecycle", "started"), heading("MaxWait left", "max_wait", true),
    heading("Savings", "savings", true), heading("Cost", "cost", true));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Trainings" }, make("table", {},
    make("caption", { class: "unseen" }, "Trainings, running ones first"), make("thead", {}, head), make("tbody", {}, ...answer.rows.map(line))));
}

function empty() {
  const filtered = ["state", "search", "dag_id"].some((name) => asked[name] !== DEFAULTS[name]);
  if (filtered)
    return make("div", { class: "empty" }, "No training is like that. ", make("button", {
      type: "button", "data-acts": "all", onclick: () => { controls.search.value = ""; ask({ ...DEFAULTS, days: asked.days }); } }, "Show all"));
  return make("div", { class: "empty" }, make("b", {}, `No spot training in the ${DAYS[asked.days]?.toLowerCase() ?? "period"}.`),
    make("div", {}, "A DAG with this operator shows up here as soon as it has submitted its first job:"),
    make("pre", {}, `from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator

SageMakerSpotTrainingOperator(
    task_id="train",
    config={...},                # members of CreateTrainingJob
    max_wait=timedelta(hours=6),
    checkpoint_s3_uri="s3://my-bucket/checkpoints",
)`));
}

function turn(answer) {
  const offset = Number(asked.offset);
  if (answer.total <= PAGE && !offset) return make("div", { class: "pages soft" }, answer.left_out ? `${answer.left_out} left out: ${answer.left_out_why}` : "");
  const go = (text, to, possible) => make("button", { type: "button", disabled: !possible, "data-acts": `${to} ${possible}`, onclick: () => ask({ offset: String(to) }) }, text);
  return make("nav", { class: "pages", "aria-label": "Pages" },
    answer.left_out ? make("span", { class: "soft" }, `${answer.left_out} left out: ${answer.left_out_why}`) : null,
    make("span", { class: "soft" }, `${offset + 1} to ${Math.min(offset + PAGE, answer.total)} of ${answer.total.toLocaleString("en-US")}`),
    go("Newer", Math.max(0, offset - PAGE), offset > 0), go("Older", offset + PAGE, offset + PAGE < answer.total));
}

async function look() {
  const wanted = JSON.stringify(asked);
  const [summary, answer] = [await get("api/summary", { days: 30 }), await get("api/jobs", { ...asked, limit: PAGE })];
  if (wanted !== JSON.stringify(asked)) return lookAgain();
  asOf = Date.now();
  show(problem);
  show(strip, tiles(summary));
  show(table, answer.rows.length ? rows(answer) : empty());
  show(pages, turn(answer));
  say(`${count(answer.running, "training")} running, ${answer.total} in all`);
  tick();
}

function trouble(error) {
  const old = asOf ? ` What is shown is ${duration((Date.now() - asOf) / 1000)} old.` : "";
  const text = error.status ? error.message : "Airflow cannot be reached just now; this page tries again by itself.";
  show(problem, make("div", { class: "note", role: "alert" }, `${text}${old}`));
}

function tick() {
  if (asOf) freshness.textContent = `live, ${duration((Date.now() - asOf) / 1000)} ago`;
}

lookAgain = live(look, trouble);
setInterval(tick, 1000);
addEventListener("hashchange", () => ask(Object.fromEntries(new URLSearchParams(location.hash.slice(1)))));
