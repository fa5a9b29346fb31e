// The page of all tasks: a strip on top, and a table that follows them.

import { get } from "./api.js";
import { legend } from "./bar.js";
import { make, on, say, show } from "./dom.js";
import { empty } from "./empty.js";
import { addressOf, asked, controls, isFiltered } from "./filters.js";
import { count, number, taskName } from "./format.js";
import { live } from "./live.js";
import { table } from "./rows.js";
import { keyOf, stateOf } from "./state.js";
import { strip } from "./tiles.js";
import "./tip.js";

const LINES = 25;
const SUMMARY_EVERY = 4_000; // milliseconds

const indicator = make("div"), problem = make("div"), tiles = make("div", { class: "tiles" }), chosen = make("div");
const list = make("div", { class: "list" }), pages = make("div");
let summary = null, summaryOf = 0, answer = null, lookAgain = () => {};
/** @type {Map<string, string>} */
let told = new Map();

const filters = controls(() => {
  told = new Map();
  list.classList.add("asking");
  lookAgain();
});
document.getElementById("page").replaceChildren(
  make("header", { class: "top" }, make("h1", {}, "Spot training"), filters, indicator), problem, tiles, chosen, list, pages, legend());

on(list, "click", {
  sort: (sort) => {
    const turned = asked.sort === sort ? asked.order === "desc" : sort === "dag" || sort === "status" || sort === "max_wait";
    location.hash = addressOf({ sort, order: turned ? "asc" : "desc" });
  },
});

function draw() {
  show(tiles, summary && strip(summary));
  show(chosen, asked.dag_id && make("p", { class: "chosen" }, "Only DAG ", make("bdi", {}, make("b", {}, asked.dag_id)), " ",
    make("a", { href: addressOf({ dag_id: "" }) }, "show all DAGs")));
  show(list, answer.rows.length ? table(answer) : empty(answer.total));
  show(pages, turning());
}

function turning() {
  const offset = Number(asked.offset || 0), last = Math.min(offset + LINES, answer.total);
  const end = Math.ceil(answer.total / LINES) * LINES; // an address may lead beyond it
  const leftOut = answer.left_out > 0 && make("p", { class: "soft" }, `${count(answer.left_out, "entry").replace("entrys", "entries")} left out. ${answer.left_out_why ?? ""}`);
  const go = (text, to, possible) => possible ? make("a", { href: addressOf({ offset: to ? String(to) : "" }), "data-key": text }, text)
    : make("span", { class: "soft", "data-key": text }, text);
  return make("div", { class: "pages" }, leftOut,
    (answer.total > LINES || offset > 0) && make("nav", { "aria-label": "Pages" },
      make("span", {}, answer.rows.length ? `${number(offset + 1)} to ${number(last)} of ${number(answer.total)}` : `none of ${number(answer.total)}`),
      go("Previous", Math.max(0, Math.min(offset, end) - LINES), offset > 0), go("Next", offset + LINES, last < answer.total)));
}

/** Say what has become different, not what is as it was. */
function announce() {
  const states = new Map(answer.rows.map((row) => [keyOf(row), stateOf(row)[0]]));
  if (!told.size) say(isFiltered() || asked.offset ? `${count(answer.total, "training")} found` : `${count(answer.total, "training")}, ${answer.running} running`);
  else {
    const changed = answer.rows.filter((row) => told.has(keyOf(row)) && told.get(keyOf(row)) !== states.get(keyOf(row)));
    if (changed.length) say(changed.slice(0, 3).map((row) => `${row.dag_id} ${taskName(row)}: ${stateOf(row)[0]}`).join("; "));
  }
  told = states;
}

async function look() {
  const wanted = JSON.stringify(asked), stale = Date.now() - summaryOf > SUMMARY_EVERY;
  const [jobs, sums] = await Promise.all([get("api/jobs", { ...asked, limit: LINES }), stale ? get("api/summary", { days: 30 }) : summary]);
  if (stale) [summary, summaryOf] = [sums, Date.now()];
  if (wanted !== JSON.stringify(asked)) return; // something else is asked for by now, and on its way
  answer = jobs;
  list.classList.remove("asking");
  draw();
  announce();
}

lookAgain = live({ look, tick: draw, indicator, problem });
