// The timeline as a table: what the large bar shows, to be read.

import { nameOf } from "./bar.js";
import { secondsSince } from "./clock.js";
import { make } from "./dom.js";
import { clock, count, dayAndMonth, duration } from "./format.js";

/** @param {any} answer of the API about one task */
export function transitions(answer) {
  const { timeline, timeline_left_out: leftOut, row } = answer;
  if (!timeline?.length) return null;
  const lines = timeline.map((each, index) => {
    const seconds = each.seconds ?? (index === timeline.length - 1 && !row.ended ? secondsSince(each.start) : null);
    return make("tr", { class: each.phase === "interrupted" ? "marked" : null }, make("th", { scope: "row" }, each.status),
      make("td", { class: "soft" }, each.phase === "ended" ? "over" : each.phase === "interrupted" ? "interrupted, waiting for capacity" : nameOf(each.phase, row.managed_spot)),
      make("td", {}, each.start ? `${dayAndMonth(Date.parse(each.start))} ${clock(each.start)}` : "not known"),
      make("td", { class: "number" }, seconds === null || each.phase === "ended" ? "" : duration(Math.max(0, seconds))));
  });
  const headings = ["SecondaryStatus", "That is", "Since"].map((text) => make("th", { scope: "col" }, text));
  const summary = `${count(timeline.length, "transition")}${leftOut ? `; ${leftOut} more in between are not kept` : ""}`;
  return make("details", { "data-key": "transitions" }, make("summary", {}, summary),
    make("table", { class: "figures" }, make("caption", { class: "unseen" }, "Transitions"),
      make("thead", {}, make("tr", {}, ...headings, make("th", { scope: "col", class: "number" }, "For"))), make("tbody", {}, ...lines)));
}
