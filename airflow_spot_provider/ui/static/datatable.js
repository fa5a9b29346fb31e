// A table of figures whose headings sort it, in the browser: it is all there.

import { make } from "./dom.js";

/**
 * @typedef {{name: string, cell: (row: any) => any, value?: (row: any) => any, numeric?: boolean}} Column a column with `value` sorts
 */

/** @type {Map<string, {by: number, ascending: boolean}>} */
const orders = new Map();

/**
 * @param {string} title of the table; its headings tell `data-do="order:title|column"`
 * @param {Column[]} columns
 * @param {any[]} rows
 * @param {(row: any) => string} key
 * @param {{marked?: (row: any) => boolean}} [options] marked: rows that stand out
 */
export function datatable(title, columns, rows, key, { marked = () => false } = {}) {
  const order = orders.get(title);
  const sorted = order ? [...rows].sort((one, other) => compare(columns[order.by].value(one), columns[order.by].value(other), order.ascending)) : rows;
  const headings = columns.map((column, index) => {
    const chosen = order?.by === index, sorts = column.value !== undefined;
    const arrow = make("span", { class: "arrow", "aria-hidden": "true" }, chosen ? (order.ascending ? "\u2191" : "\u2193") : "");
    return make("th", { scope: "col", class: column.numeric ? "number" : "", "aria-sort": sorts ? (chosen ? (order.ascending ? "ascending" : "descending") : "none") : null },
      sorts ? make("button", { type: "button", "data-do": `order:${title}|${index}`, class: chosen ? "sorted" : "" }, column.name, arrow) : column.name);
  });
  const lines = sorted.map((row) => make("tr", { "data-key": key(row), class: marked(row) ? "marked" : null }, ...columns.map((column, index) =>
    index ? make("td", { class: column.numeric ? "number" : "" }, column.cell(row)) : make("th", { scope: "row" }, column.cell(row)))));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, table` },
    make("table", { class: "figures" }, make("caption", { class: "unseen" }, title), make("thead", {}, make("tr", {}, ...headings)), make("tbody", {}, ...lines)));
}

/** Sort a table by a column, or the other way round. @param {string} told "title|column" */
export function order(told) {
  const at = told.lastIndexOf("|"), title = told.slice(0, at), by = Number(told.slice(at + 1)), before = orders.get(title);
  orders.set(title, { by, ascending: before?.by === by ? !before.ascending : true });
}

/** What is not known comes last, whichever way it is sorted. */
function compare(one, other, ascending) {
  const [missing, alsoMissing] = [one, other].map((value) => value === null || value === undefined || value === "");
  if (missing || alsoMissing) return Number(missing) - Number(alsoMissing);
  const less = typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
  return ascending ? less : -less;
}
