// What is asked for. It is kept in the address after #, so that a reload keeps it and a link shares it.

import { make } from "./dom.js";
import { tellAddress } from "./frame.js";

const DEFAULTS = { days: "7", state: "all", search: "", dag_id: "", sort: "started", order: "desc", offset: "" };
const TYPING = 250; // milliseconds without a key until a search is asked

export const PERIODS = { 1: "Last day", 7: "Last 7 days", 30: "Last 30 days", 90: "Last 90 days", 366: "Last year" };
const NOW = {
  running: "Running", waiting: "Waiting for capacity", queued: "Waiting its turn", training: "Training", interrupted: "Interrupted", at_risk: "At risk of MaxWait or deadline",
};
const ENDED = {
  ended: "Ended", Completed: "Completed", MaxWaitTimeExceeded: "MaxWaitTimeExceeded", MaxRuntimeExceeded: "MaxRuntimeExceeded",
  Stopped: "Stopped", Failed: "Failed", NoJobSucceeded: "NoJobSucceeded",
  CompletedWithMaxWaitTimeExceeded: "CompletedWithMaxWaitTimeExceeded", unknown: "No outcome",
};

/** What is asked for, each by its name in the API. @type {Record<string, string>} */
export const asked = {};

function read() {
  const told = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  for (const name of Object.keys(DEFAULTS)) asked[name] = told[name] ?? DEFAULTS[name];
  if (!/^\d+$/.test(asked.offset)) asked.offset = "";
}

/** Whether anything but the period is asked for. */
export function isFiltered() {
  return ["state", "search", "dag_id"].some((name) => asked[name] !== DEFAULTS[name]);
}

/**
 * The address of the same page with something else asked for; it begins with the first page.
 * @param {Record<string, string>} changes
 */
export function addressOf(changes) {
  const told = Object.entries({ ...asked, offset: "", ...changes }).filter(([name, value]) => value !== DEFAULTS[name]);
  return `#${new URLSearchParams(told)}`;
}

/**
 * The controls, in an element that stays.
 * @param {() => void} changed called when something else is asked for
 */
export function controls(changed) {
  read();
  const options = (names) => Object.entries(names).map(([value, text]) => make("option", { value }, text));
  const days = select("days", "Period", ...options(PERIODS));
  const state = select("state", "State or outcome", make("option", { value: "all" }, "All states"),
    make("optgroup", { label: "Now" }, ...options(NOW)), make("optgroup", { label: "Over" }, ...options(ENDED)));
  const search = /** @type {HTMLInputElement} */ (make("input", {
    id: "search", type: "search", placeholder: "Search DAG, task, run, job\u2026", "aria-label": "Search DAG, task, run or job", maxlength: 250,
    autocomplete: "off", spellcheck: "false" }));
  let typing = 0;

  function take({ fromAddress = true } = {}) {
    read();
    for (const control of [days, state, search])
      if (control.value !== asked[control.id] && !(control === search && !fromAddress)) control.value = asked[control.id];
    if (!days.value) days.append(make("option", { value: asked.days, selected: true }, `Last ${asked.days} days`));
    tellAddress();
    changed();
  }

  function ask(changes) {
    history.replaceState(null, "", addressOf(changes));
    take({ fromAddress: false });
  }

  for (const control of [days, state]) control.addEventListener("change", () => ask({ [control.id]: control.value }));
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => ask({ search: search.value.trim() }), TYPING);
  });
  addEventListener("hashchange", () => take());
  for (const control of [days, state, search]) control.value = asked[control.id];
  if (!days.value) days.append(make("option", { value: asked.days, selected: true }, `Last ${asked.days} days`));
  return make("div", { class: "controls", role: "search", "aria-label": "Trainings" }, days, state, search);
}

/** @returns {HTMLSelectElement} */
function select(id, label, ...options) {
  return /** @type {HTMLSelectElement} */ (make("select", { id, "aria-label": label }, ...options));
}
