// What is known of one task's training, as a list.

import { now, secondsSince } from "./clock.js";
import { link, make } from "./dom.js";
import { bytes, clock, count, date, duration, money, priceDay, short } from "./format.js";

/** @param {any} answer of the API about one task */
export function facts(answer) {
  const row = answer.row, list = [];
  const add = (name, ...value) => {
    if (value.some(Boolean)) list.push(make("dt", { "data-key": `${name}?` }, name), make("dd", { "data-key": name }, ...value));
  };
  add("Savings", ...savings(answer));
  add("Cost", cost(row));
  add("Runs on", `${row.instance_count} \u00d7 ${row.instance_type ?? "an instance type that is not known"}, ${row.managed_spot ? "spot" : "on demand"}`,
    row.region && `, ${row.region}`);
  add("Attempts", ...attempts(answer));
  if (!row.ended && row.max_wait_ends) {
    const left = -secondsSince(row.max_wait_ends);
    add("MaxWait", make("span", { class: row.at_risk ? "warn" : null }, left > 0 ? `${duration(left)} left` : "over"), `, ends ${date(row.max_wait_ends)}`);
  }
  add("Deadline", row.deadline && make("span", { class: "warn" }, `the DAG run's is ${date(row.deadline)}`));
  const next = row.ended ? null : answer.rung ?? row.next_rung;
  add("Next rung", next && `${next} goes on from the checkpoint where spot capacity does not suffice`);
  add("Interruptions", ...(answer.work_lost ?? []).map((text) => make("div", {}, text)));
  add("Checkpoints", ...checkpoints(answer));
  add("Reason", answer.failure_reason && make("span", { class: "text" }, answer.failure_reason));
  add("Metrics", named(answer.last_metrics, " ", short));
  add("Hyperparameters", named(answer.hyperparameters, "=", String));
  add("Job", ...job(row, answer));
  add("Model", answer.model_artifacts && make("code", {}, answer.model_artifacts));
  return make("dl", {}, ...list);
}

function savings({ formula, row }) {
  if (formula) {
    const at = formula.lastIndexOf(" = "); // "(...) × 100 = 74.2%"
    return at < 0 ? [formula] : [formula.slice(0, at + 3), make("b", {}, formula.slice(at + 3))];
  }
  return [make("span", { class: "soft" }, row.ended ? "not known: SageMaker gave no training and billable time" : "known after the end")];
}

function cost(row) {
  if (typeof row.cost === "number") {
    const prices = row.price_date ? `, prices of ${priceDay(row.price_date)}` : "";
    return `${money(row.cost, row.currency)} of ${money(row.on_demand_cost, row.currency)} on demand${prices}`;
  }
  return row.ended ? make("span", { class: "soft" }, "not known: no price, or no billable time") : "";
}

function attempts({ attempts: told }) {
  return (told ?? []).map((each, index) => make("div", {}, `${index + 1}: ${each.managed_spot ? "spot" : "on demand"}, ${each.outcome}`,
    told.length > 1 && make("span", { class: "soft" }, ` ${each.job_name}`)));
}

function checkpoints({ row, checkpoints: seen, checkpoint_s3_uri: place }) {
  const told = [];
  if (seen) {
    const newest = seen.newest ? `newest at ${clock(seen.newest)} (${duration((now() - Date.parse(seen.newest)) / 1000)} ago)` : row.ended ? "none" : "none yet";
    const every = seen.expected_every ? `${seen.stale ? "expected " : ""}every ${duration(seen.expected_every)}` : "";
    const parts = [seen.objects ? count(seen.objects, "object") : "", newest, bytes(seen.newest_bytes), every, `looked at ${clock(seen.looked)}`];
    told.push(make("div", { class: seen.stale ? "warn" : null }, parts.filter(Boolean).join(", ")));
  } else if (row.checkpoint) told.push(make("div", {}, row.checkpoint));
  else told.push(make("span", { class: "soft" }, place ? "kept; not looked at. A task with checkpoint_interval= has their age watched while its job trains" : "none: an interruption loses all work"));
  if (place) told.push(make("div", { class: "soft" }, make("code", {}, place)));
  return told;
}

function job(row) {
  const { log, console } = row.links;
  const ways = [console && link("console", console, { outside: true, "aria-label": `${row.job_name} in the AWS console` }), log && link("log", log, { "aria-label": "The task's log" })];
  return [row.job_name ? make("code", {}, row.job_name) : make("span", { class: "soft" }, "none yet"),
    ...ways.filter(Boolean).flatMap((each) => [" \u00b7 ", each])];
}

function named(values, between, told) {
  return Object.entries(values ?? {}).map(([name, value]) => `${name}${between}${told(value)}`).join(", ");
}
