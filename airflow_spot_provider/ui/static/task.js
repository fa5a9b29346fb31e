// The task instance's tab: one job as a whole, or all trials of a search.

import { get, post } from "./api.js";
import { axis, bar, legend } from "./bar.js";
import { draw } from "./charts.js";
import { curve } from "./curve.js";
import { confirmed } from "./confirm.js";
import { link, make, say, show } from "./dom.js";
import { clock, count, date, duration, money, now, percent, taskName } from "./format.js";
import { live } from "./live.js";
import { trainingLog } from "./log.js";
import { trials } from "./trials.js";

const query = new URLSearchParams(location.search);
const where = { dag_id: query.get("dag_id") ?? "", run_id: query.get("run_id") ?? "", task_id: query.get("task_id") ?? "", map_index: query.get("map_index") || "-1" };
if (!/^-?\d+$/.test(where.map_index)) where.map_index = "-1";
const title = make("h1", {}, "Spot training"), buttons = make("div", { class: "controls" });
const problem = make("div"), body = make("div"), charts = make("div");
document.getElementById("page").replaceChildren(make("div", { class: "top" }, title, buttons), problem, body, charts);

let refreshed = null, log = [], logOf = "", lookAgain = () => {}, told = "";

function facts(answer) {
  const row = answer.row, list = [];
  const add = (name, ...value) => list.push(make("dt", {}, name), make("dd", {}, ...value));
  add("Savings", answer.formula ?? (row.ended ? "not known: SageMaker gave no training and billable time" : "known after the end"));
  if (row.cost !== null) add("Cost", `${money(row.cost, row.currency)} of ${money(row.on_demand_cost, row.currency)} on demand (prices of ${row.price_date})`);
  else if (row.ended) add("Cost", "not known: no price, or no billable time");
  add("Runs on", `${row.instance_count} × ${row.instance_type ?? "not known"}, ${row.managed_spot ? "spot" : "on demand"}${row.region ? `, ${row.region}` : ""}`);
  if (!row.ended && row.max_wait_ends) add("MaxWait", `ends in ${duration((Date.parse(row.max_wait_ends) - now()) / 1000)}, at ${date(row.max_wait_ends)} UTC`);
  if (row.next_rung) add("Next rung", `${row.next_rung} goes on from the checkpoint if spot capacity does not suffice`);
  add("Attempts", answer.attempts.length ? answer.attempts.map((each) => `${each.job_name}: ${each.outcome}`).join("; ") : "1, under way");
  if (answer.work_lost.length) add("Interruptions", ...answer.work_lost.map((text) => make("div", {}, text)));
  add("Checkpoints", row.checkpoint ?? (answer.checkpoint_s3_uri ? "kept; their age is watched with checkpoint_interval=" : "none"), answer.checkpoint_s3_uri ? make("div", { class: "soft" }, answer.checkpoint_s3_uri) : null);
  if (answer.failure_reason) add("Reason", answer.failure_reason);
  if (answer.model_artifacts) add("Model", answer.model_artifacts);
  const shown = Object.entries(answer.last_metrics);
  if (shown.length) add("Metrics", shown.map(([name, value]) => `${name} ${Number(value.toPrecision(5))}`).join(", "));
  const published = Object.entries(answer.hyperparameters);
  if (published.length) add("Hyperparameters", published.map(([name, value]) => `${name}=${value}`).join(", "));
  add("Job", row.job_name ?? "none yet", row.links.console ? " · " : "", row.links.console ? link("console", row.links.console, { outside: true }) : "");
  return make("dl", {}, ...list);
}

function transitions(answer) {
  const lines = answer.timeline.map((each) => make("tr", {}, make("th", { scope: "row" }, each.status), make("td", {}, each.start ? `${date(each.start)}, ${clock(each.start)}` : ""),
    make("td", { class: "number" }, each.seconds === null ? "" : duration(each.seconds))));
  return make("details", {}, make("summary", {}, `${count(answer.timeline.length, "transition")}${answer.timeline_left_out ? `, ${answer.timeline_left_out} more in between` : ""}`),
    make("table", {}, make("thead", {}, make("tr", {}, ...["SecondaryStatus", "Since (UTC)", "For"].map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...lines)));
}

function page(answer) {
  const row = answer.row, lines = answer.log ?? log;
  const curves = Object.entries(answer.metrics).filter(([, points]) => points.length > 1);
  return [
    make("p", {}, make("b", {}, row.outcome ?? row.status), ` ${row.interruptions ? count(row.interruptions, "interruption") : ""}`,
      make("span", { class: "soft" }, ` ${answer.note && row.ended ? `${answer.note} ` : ""}${row.sentence}`)),
    row.warning ? make("div", { class: "note" }, row.warning) : null,
    bar(row, { large: true }), axis(row), legend(),
    make("div", { class: "panels" },
      make("section", { class: "panel", "aria-label": "Facts" }, facts(answer)),
      make("section", { class: "panel", "aria-label": "Training log" }, make("h2", {}, "Training log"),
        lines.length ? make("pre", { tabindex: "0" }, lines.join("\n")) : make("span", { class: "soft" }, "The task's log repeats new lines at each transition, if print_log is on; a refresh reads the newest from AWS."))),
    curves.length ? make("section", {}, make("h2", {}, "Metrics"), make("div", { class: "charts" }, ...curves.map(([name, points]) => curve(name, points)))) : null,
    answer.trials ? trials(answer.trials) : null,
    make("section", {}, make("h2", {}, "Timeline"), transitions(answer)),
  ];
}

function actions(answer) {
  const row = answer.row, name = row.job_name;
  const act = (text, path, question) => make("button", { type: "button", "data-acts": `${path} ${name}`, onclick: () => ask(path, question) }, text);
  return [
    make("button", { type: "button", "data-acts": "refresh", onclick: () => ask("refresh") }, "Refresh from AWS"),
    row.can_stop ? act("Stop and keep the checkpoint", "stop", `Stop ${name}? Its script has 120 seconds to save what it has; its checkpoints stay. The task then ends as Stopped.`) : null,
    row.next_rung ? act("Go to the next rung now", "next-rung", `Stop ${name}, and have ${row.next_rung} go on from its checkpoint?`) : null,
    make("a", { href: `api/trace?${new URLSearchParams({ dag_id: where.dag_id, run_id: where.run_id })}`, download: "" }, "Run's timelines for Perfetto"),
  ];
}

async function ask(path, question) {
  if (question && !(await confirmed(question))) return;
  try {
    const answer = await post(`api/task/${path}`, where);
    if (path === "refresh") refreshed = { ...answer, until: Date.now() + 30000 };
    else show(problem, make("div", { class: "note", role: "status" }, answer.message));
    lookAgain();
  } catch (error) {
    show(problem, make("div", { class: "note", role: "alert" }, error.message));
  }
}

async function look() {
  const newest = await get("api/task", where);
  const answer = refreshed && refreshed.until > Date.now() ? refreshed : newest;
  if (!answer.row) {
    title.textContent = `Spot training: ${where.task_id}`;
    show(body, make("div", { class: "empty" }, answer.explanation));
    return;
  }
  title.textContent = `${answer.row.dag_id} · ${taskName(answer.row)}`;
  const now = `${answer.row.status} ${answer.row.outcome}`;
  if (logOf !== now) {
    logOf = now;
    trainingLog(answer.row).then((lines) => { log = lines; });
  }
  show(buttons, ...actions(answer));
  show(body, ...page(answer));
  draw(charts, answer.charts ?? []);
  if (told !== (told = answer.row.sentence)) say(told);
}

lookAgain = live(look, (error) => show(problem, make("div", { class: "note", role: "alert" },
  error.status ? error.message : "Airflow cannot be reached just now; this page tries again by itself.")));
