// Times, durations, amounts: as a person says them.

import { zone } from "./clock.js";

const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: zone });
const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: zone });
const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone });
const second = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: zone });
const plain = new Intl.NumberFormat("en-US");

/** "1h 54m"; of less than an hour "26m", of less than ten minutes "6m 5s", and of six "6m". @param {number|null|undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  const whole = Math.max(0, Math.round(seconds));
  const days = Math.floor(whole / 86400), hours = Math.floor((whole % 86400) / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const and = (amount, unit) => (amount ? ` ${amount}${unit}` : "");
  if (days) return `${days}d${and(hours, "h")}`;
  if (hours) return `${hours}h${and(minutes, "m")}`;
  if (minutes) return `${minutes}m${and(minutes < 10 ? whole % 60 : 0, "s")}`;
  return `${whole}s`;
}

/** "23 Nov 06:00". @param {string|null|undefined} iso */
export function date(iso) {
  const time = dateOf(iso);
  return time ? `${day.format(time)} ${minute.format(time)}` : "";
}

/** "23 Nov 2026". @param {string|null|undefined} iso */
export function wholeDay(iso) {
  const time = dateOf(iso);
  return time ? dayOfYear.format(time) : "";
}

/** "06:00:07". @param {string|null|undefined} iso */
export function clock(iso) {
  const time = dateOf(iso);
  return time ? second.format(time) : "";
}

/** "06:00". @param {number} milliseconds */
export function hourAndMinute(milliseconds) {
  return minute.format(milliseconds);
}

/** "23 Nov". @param {number} milliseconds */
export function dayAndMonth(milliseconds) {
  return day.format(milliseconds);
}

/** A price list's day: it is a date without a time, the same in every time zone. @param {string|null|undefined} iso */
export function priceDay(iso) {
  const time = dateOf(iso);
  return time ? time.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" }) : "";
}

/** "67.2%"; of what lies just between two tenths the even one, as the task log and the reports say it. @param {number|null|undefined} value */
export function percent(value) {
  if (typeof value !== "number") return "not known";
  const between = Math.abs(value) % 1 === 0.25;
  return `${(between ? value - 0.05 * Math.sign(value) : value).toFixed(1).replace("-", "\u2212")}%`;
}

/** "$2.03", "€0.0004". @param {number|null|undefined} amount @param {string|null|undefined} currency */
export function money(amount, currency) {
  if (typeof amount !== "number" || !currency) return "";
  const small = amount !== 0 && Math.abs(amount) < 0.1;
  const digits = small ? { maximumSignificantDigits: 2 }
    : Math.abs(amount) >= 100 ? { maximumFractionDigits: 0 }
    : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  try {
    return new Intl.NumberFormat("en-US", { style: "currency", currency, ...digits }).format(amount);
  } catch {
    return `${plain.format(amount)} ${currency}`; // a currency that nobody knows
  }
}

/** "1,234 jobs". @param {number} amount @param {string} noun */
export function count(amount, noun) {
  return `${plain.format(amount)} ${noun}${amount === 1 ? "" : "s"}`;
}

/** @param {number} amount */
export function number(amount) {
  return plain.format(amount);
}

/** A metric's value: five digits tell enough. @param {number|null|undefined} value */
export function short(value) {
  return typeof value === "number" && Number.isFinite(value) ? String(Number(value.toPrecision(5))).replace(/^-/, "\u2212") : "";
}

/** "214 MB". @param {number|null|undefined} size */
export function bytes(size) {
  if (typeof size !== "number") return "";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0, rest = size;
  while (rest >= 1000 && unit < units.length - 1) [rest, unit] = [rest / 1000, unit + 1];
  return `${rest >= 10 || unit === 0 ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`;
}

/** "train[17]" of a mapped task. @param {{task_id: string, map_index: number}} row */
export function taskName(row) {
  return row.map_index >= 0 ? `${row.task_id}[${row.map_index}]` : row.task_id;
}

function dateOf(iso) {
  const time = new Date(iso ?? Number.NaN);
  return Number.isNaN(time.getTime()) ? null : time;
}
