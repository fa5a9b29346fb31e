// The strip on top: what goes on just now, and what spot has saved.

import { make } from "./dom.js";
import { addressOf, asked } from "./filters.js";
import { count, duration, money, number, percent, priceDay } from "./format.js";

/** @param {any} summary */
export function strip(summary) {
  return make("ul", { class: "strip", "aria-label": "Now, and what spot has saved" },
    tile("training", summary.training, "training", summary.running > summary.training ? `of ${number(summary.running)} running` : ""),
    tile("waiting", summary.waiting, "waiting for capacity", [
      summary.waiting && summary.longest_wait_seconds !== null ? `longest ${duration(summary.longest_wait_seconds)}` : "",
      summary.queued ? `${number(summary.queued)} more for a quota` : ""].filter(Boolean).join(", ")),
    tile("interrupted", summary.interrupted, "interrupted now"),
    tile("at_risk", summary.at_risk, "at risk of MaxWait or deadline", "", "warn"),
    saved(summary));
}

function tile(state, amount, words, more = "", tone = "") {
  const chosen = asked.state === state;
  const href = addressOf({ state: chosen ? "all" : state });
  return make("li", { "data-key": state }, make("a", { class: "tile", href, "aria-current": chosen && "true" },
    make("b", { class: amount ? tone : "" }, number(amount)), make("span", {}, words), more && make("span", { class: "soft" }, more)));
}

function saved(summary) {
  const paid = summary.money.map((each) => `${money(each.cost, each.currency)} instead of ${money(each.on_demand_cost, each.currency)}`);
  const days = summary.money.map((each) => each.price_date).filter(Boolean).sort();
  const known = typeof summary.savings_percent === "number";
  const unknown = [
    summary.unknown ? `${count(summary.unknown, "job")} without a figure` : "",
    summary.no_price ? `${count(summary.no_price, "job")} without a price` : "",
    days.length ? `prices of ${priceDay(days[0])}` : "",
  ].filter(Boolean).join("; ");
  const bill = paid.length ? `${paid.join("; ")} on demand` : summary.jobs ? "what it cost is not known" : "no job has ended with a figure";
  return make("li", { class: "wide", "data-key": "saved" }, make("div", { class: "tile" },
    make("b", {}, known ? `${percent(summary.savings_percent)} saved` : "No savings yet"),
    make("span", {}, `${summary.days} days: ${bill}`),
    unknown && make("span", { class: "soft" }, unknown)));
}
