// The task instance's tab: one training as a whole, or all trials of a search.

import { act, buttons } from "./actions.js";
import { get } from "./api.js";
import { axis } from "./axis.js";
import { bar, legend } from "./bar.js";
import { order } from "./datatable.js";
import { link, make, on, say, show } from "./dom.js";
import { facts } from "./facts.js";
import { clock, count, date, taskName } from "./format.js";
import { isFramed } from "./frame.js";
import { live, notice } from "./live.js";
import { trainingLog } from "./log.js";
import { curve } from "./plot.js";
import { stateOf } from "./state.js";
import { transitions } from "./transitions.js";
import { trials } from "./trials.js";
import "./tip.js";

const query = new URLSearchParams(location.search);
const where = Object.fromEntries(["dag_id", "run_id", "task_id"].map((name) => [name, query.get(name) ?? ""]));
where.map_index = /^-?\d+$/.test(query.get("map_index") ?? "") ? query.get("map_index") : "-1";

const title = make("div"), indicator = make("div"), problem = make("div"), message = make("div"), body = make("div");
const doing = make("div", { class: "controls", role: "group", "aria-label": "Actions" });
document.getElementById("page").replaceChildren(
  make("header", { class: "top" }, title, doing, indicator), problem, message, body);

let published = null, busy = null, lookAgain = () => {}, told = "";
/** What AWS told when it was asked, until the task publishes something newer. */
let refreshed = null;

on(doing, "click", { refresh: () => run("refresh"), stop: () => run("stop"), "next-rung": () => run("next-rung") });
on(body, "click", { order: (which) => { order(which); draw(); } });

async function run(name) {
  try {
    const stands = standsOf(published); // what is published while AWS is asked is newer
    const answer = await act(name, shown().row, where, () => { busy = name; show(message); draw(); });
    if (answer === null) return;
    if (name === "refresh") refreshed = { ...answer, stands, at: answer.server_time };
    else show(message, make("div", { class: "note", role: "status" }, make("p", {}, answer.message)));
  } catch (error) {
    show(message, notice(error));
  } finally {
    busy = null;
    draw();
    lookAgain();
  }
}

/** All that a task publishes anew: one that trains for hours without a transition goes on with metrics and checkpoints. */
function standsOf(answer) {
  const { row, timeline, metrics, last_metrics: newest, checkpoints } = answer ?? {};
  return JSON.stringify([row?.status, row?.outcome, timeline, metrics, newest, checkpoints]);
}

function shown() {
  return refreshed && refreshed.stands === standsOf(published) ? { ...published, ...refreshed } : published;
}

function draw() {
  const answer = shown();
  if (!answer) return;
  const row = answer.row;
  if (!row) {
    show(title, make("h1", {}, make("bdi", {}, `${where.dag_id} \u00b7 ${where.task_id}`)));
    show(doing);
    show(body, make("div", { class: "empty" }, make("h2", {}, "Nothing to show yet."), make("p", {}, answer.explanation)));
    return;
  }
  const [state, tone] = stateOf(row);
  show(title, make("h1", {}, make("bdi", {}, `${row.dag_id} \u00b7 ${taskName(row)}`)), make("div", { class: "soft" }, ...subtitle(row)));
  show(doing, ...buttons(row, where, busy));
  const curves = Object.entries(answer.metrics ?? {}).map(([name, points]) => points.length > 1 && curve(name, points)).filter(Boolean);
  show(body,
    make("div", { class: "state" }, make("b", { class: tone }, state), row.interruptions > 0 && make("span", {}, count(row.interruptions, "interruption")),
      make("span", {}, row.sentence)),
    row.warning && make("div", { class: "note" }, make("p", {}, row.warning)),
    bar(row, { large: true }), axis(row), legend(),
    make("div", { class: "panels" },
      make("section", { class: "panel", "aria-labelledby": "facts" }, make("h2", { id: "facts", class: "unseen" }, "Facts"), facts(answer)),
      make("section", { class: "panel", "aria-labelledby": "log" }, make("h2", { id: "log" }, "Training log"), ...log(answer))),
    curves.length > 0 && make("section", { "aria-labelledby": "metrics" }, make("h2", { id: "metrics" }, "Metrics"), make("div", { class: "plots" }, ...curves)),
    answer.trials && trials(answer.trials, answer.charts ?? []),
    make("section", { "aria-labelledby": "timeline" }, make("h2", { id: "timeline" }, "Timeline"), transitions(answer) ?? make("p", { class: "soft" }, "No transition is known yet.")));
}

function subtitle(row) {
  const run = [row.run_type ?? "run", row.run_after && date(row.run_after)].filter(Boolean).join(", ");
  return [make("span", { title: row.run_id }, run), ...(isFramed ? [] : [" \u00b7 ", link("task", row.links.task), " \u00b7 ", link("DAG", row.links.dag),
    " \u00b7 ", make("a", { href: "./" }, "all trainings")])];
}

function log(answer) {
  const fromAws = answer.refreshed && answer.log;
  const { log: lines, log_left_out_why: why } = fromAws ? { log: answer.log, log_left_out_why: null } : trainingLog(answer.row, where, draw);
  const note = fromAws ? `From AWS at ${clock(answer.at)}.` : why;
  if (!lines.length)
    return [make("p", { class: "soft" }, fromAws ? `${note} There is no line.` : note
      ?? (answer.row.ended ? "No line of it is in the task's log. Refresh from AWS reads the newest ones, as long as CloudWatch has them."
        : "Nothing yet. While the job trains, its newest lines are in the task's log; Refresh from AWS reads them at once."))];
  return [make("pre", { tabindex: "0", role: "region", "aria-label": "Newest lines, the newest first" }, [...lines].reverse().join("\n")),
    note && make("p", { class: "soft" }, note)];
}

async function look() {
  published = await get("api/task", where);
  draw();
  const row = shown().row, state = row ? `${stateOf(row)[0]}. ${count(row.interruptions, "interruption")}` : "";
  if (told && state !== told) say(state);
  told = state;
}

document.title = `${where.task_id || "Task"} \u00b7 Spot training`;
lookAgain = live({ look, tick: draw, indicator, problem });
