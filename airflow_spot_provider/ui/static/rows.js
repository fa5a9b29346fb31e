// The table of tasks: a line for each, and headings that sort.

import { bar } from "./bar.js";
import { secondsSince } from "./clock.js";
import { link, make } from "./dom.js";
import { addressOf, asked } from "./filters.js";
import { count, date, duration, money, percent, priceDay, taskName } from "./format.js";
import { isFramed } from "./frame.js";
import { keyOf, stateOf } from "./state.js";

/** @typedef {import("./api.js").Row} Row */

const SENTENCE_TELLS_HOW_LONG = ["queued", "waiting", "interrupted", "training"];

/** @param {{rows: Row[], running: number, total: number}} answer */
export function table(answer) {
  const head = make("tr", {}, heading("DAG \u00b7 task", { dag: "DAG \u00b7 task" }),
    heading("Lifecycle", { started: "Started", status: "Status", interruptions: "Interruptions" }),
    heading("MaxWait left", { max_wait: "MaxWait left" }, true),
    heading("Savings", { savings: "Savings" }, true), heading("Cost", { cost: "Cost" }, true));
  const caption = `${count(answer.total, "training")}, ${answer.running} of them running; the running ones come first`;
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Trainings" },
    make("table", { class: "jobs" }, make("caption", { class: "unseen" }, caption),
      make("thead", {}, head), make("tbody", {}, ...answer.rows.map(line))));
}

function heading(name, sorts, numeric = false) {
  const several = Object.keys(sorts).length > 1;
  const sorted = asked.sort in sorts, direction = asked.order === "asc" ? "ascending" : "descending";
  const buttons = Object.entries(sorts).map(([sort, text]) => make("button", {
    type: "button", "data-key": sort, "data-do": `sort:${sort}`, "aria-label": `Sort by ${text}`, class: asked.sort === sort ? "sorted" : "",
  }, text, make("span", { class: "arrow", "aria-hidden": "true" }, asked.sort === sort ? (asked.order === "asc" ? "\u2191" : "\u2193") : "")));
  return make("th", { scope: "col", class: numeric ? "number" : "", "aria-sort": sorted ? direction : "none" },
    several && make("span", { class: "name" }, name), ...buttons);
}

/** @param {Row} row */
function line(row) {
  const [state, tone] = stateOf(row);
  return make("tr", { "data-key": keyOf(row) },
    make("th", { scope: "row", class: "names" }, names(row)),
    make("td", { class: "life" },
      make("div", { class: "state" }, make("b", { class: tone }, state),
        row.ended || SENTENCE_TELLS_HOW_LONG.includes(row.phase) ? null : make("span", {}, duration(secondsSince(row.since))),
        row.interruptions > 0 && make("span", {}, count(row.interruptions, "interruption")),
        row.kind === "tuning" && make("span", {}, "tuning job")),
      bar(row),
      make("p", {}, row.sentence),
      row.checkpoint && make("p", { class: row.warning ? "warn" : "" }, row.checkpoint),
      row.warning && make("p", { class: "warn" }, row.warning)),
    maxWaitLeft(row),
    make("td", { class: "number" }, typeof row.savings_percent === "number" ? percent(row.savings_percent)
      : make("span", { class: "soft" }, row.ended ? "not known" : "after the end")),
    cost(row));
}

function names(row) {
  const run = [row.run_type ?? "run", row.run_after && date(row.run_after)].filter(Boolean).join(", ");
  const { dag, task, log, console, spot_tab, spot_task } = row.links;
  return make("div", {},
    make("div", { class: "who", title: row.dag_id.length + row.task_id.length > 100 ? `${row.dag_id} \u00b7 ${taskName(row)}` : null }, make("bdi", { class: "dag" }, link(row.dag_id, dag)), " \u00b7 ",
      make("bdi", {}, link(taskName(row), isFramed ? spot_tab ?? task : spot_task ?? task))),
    make("div", { class: "run", title: row.run_id }, run),
    make("div", { class: "ways" }, log && link("log", log, { "aria-label": `Log of ${row.dag_id}, ${taskName(row)}` }),
      console && link("console", console, { outside: true, "aria-label": `${row.job_name} in the AWS console` }),
      !asked.dag_id && make("a", { href: addressOf({ dag_id: row.dag_id }), class: "only",
        title: "Only this DAG", "aria-label": `Filter by DAG ${row.dag_id}` }, "filter")));
}

function maxWaitLeft(row) {
  const deadline = row.deadline && make("div", { class: "small" }, `deadline ${date(row.deadline).slice(-5)}`);
  if (row.ended || !row.max_wait_ends) return make("td", { class: "number warn" }, deadline);
  const left = -(secondsSince(row.max_wait_ends) ?? Number.NaN);
  return make("td", { class: `number ${row.at_risk ? "warn" : ""}`, title: `MaxWait ends ${date(row.max_wait_ends)}` },
    left > 0 ? duration(left) : "over", deadline || (row.at_risk && make("div", { class: "small" }, "at risk")));
}

function cost(row) {
  if (typeof row.cost !== "number")
    return make("td", { class: "number soft" }, row.ended && typeof row.savings_percent === "number" ? "no price" : "");
  return make("td", { class: "number", title: row.price_date ? `Prices of ${priceDay(row.price_date)}` : null }, money(row.cost, row.currency),
    typeof row.on_demand_cost === "number" && make("div", { class: "soft" }, `of ${money(row.on_demand_cost, row.currency)}`));
}
