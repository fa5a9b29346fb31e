// Talks to our API, which is beside this page whatever path Airflow is served under.

import { setServerTime } from "./clock.js";

/**
 * @typedef {{phase: string, status: string, start: string, end: string|null}} Segment
 * @typedef {{start: string|null, end: string|null, max_wait_ends: string|null, segments: Segment[], interruptions: string[],
 *   left_out?: number}} Bar
 * @typedef {{currency: string, cost: number, on_demand_cost: number, price_date: string}} Money
 * @typedef {object} Row one task, as the API tells it
 * @property {string} dag_id
 * @property {string} task_id
 * @property {string} run_id
 * @property {number} map_index
 * @property {string|null} run_type
 * @property {string|null} run_after
 * @property {number|null} [try_number]
 * @property {string} kind
 * @property {string|null} job_name
 * @property {string} status
 * @property {string} phase
 * @property {string|null} since
 * @property {string|null} outcome
 * @property {boolean} ended
 * @property {boolean} managed_spot
 * @property {string|null} instance_type
 * @property {number} instance_count
 * @property {string|null} region
 * @property {string|null} max_wait_ends
 * @property {boolean} at_risk
 * @property {string|null} [deadline] of its DAG run, where that is near
 * @property {number} interruptions
 * @property {number|null} savings_percent
 * @property {number|null} cost
 * @property {number|null} on_demand_cost
 * @property {string|null} currency
 * @property {string|null} price_date
 * @property {string} sentence
 * @property {string|null} warning
 * @property {string|null} checkpoint
 * @property {Bar} bar
 * @property {Record<string, string|null>} links
 * @property {boolean} can_stop
 * @property {string|null} next_rung
 * @property {string|null} problem
 */

const SLOWEST = 20_000; // milliseconds that an answer may take
const MOST_KEPT = 8;
/** @type {Map<string, {tag: string, answer: any}>} */
const kept = new Map();

/** The server has answered, and it was no. */
export class Refused extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const WORDS = {
  401: "You are signed out of Airflow. Sign in again; this page then goes on by itself.",
  403: "You may not see this. Whoever runs this Airflow can grant access to the DAG.",
  502: "Airflow's server is restarting or cannot be reached (502).",
  503: "Airflow's server is restarting or has too much to do (503).",
  504: "Airflow's server took too long to answer (504).",
};

/** @param {string} path @param {Record<string, any>} [parameters] @returns {Promise<any>} */
export async function get(path, parameters = {}) {
  const told = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const url = `${path}?${new URLSearchParams(told)}`;
  const known = kept.get(url);
  const response = await fetch(url, {
    headers: { Accept: "application/json", ...(known ? { "If-None-Match": known.tag } : {}) },
    credentials: "same-origin",
    cache: "no-store",
    signal: AbortSignal.timeout(SLOWEST),
  });
  if (response.status === 304 && known) {
    setServerTime(response.headers.get("X-Server-Time"));
    return known.answer;
  }
  const answer = await read(response);
  setServerTime(answer.server_time);
  const tag = response.headers.get("ETag");
  kept.delete(url);
  if (tag) kept.set(url, { tag, answer });
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
  return answer;
}

/** @param {string} path @param {Record<string, any>} parameters @returns {Promise<any>} */
export async function post(path, parameters) {
  const headers = { Accept: "application/json", "X-Spot-Request": "1" };
  return read(await fetch(`${path}?${new URLSearchParams(parameters)}`, { method: "POST", headers, credentials: "same-origin" }));
}

async function read(response) {
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    // Not of ours: a proxy's page, or half an answer. The status tells the rest.
  }
  if (response.ok && answer !== null && typeof answer === "object") return answer;
  const told = typeof answer?.detail === "string" ? answer.detail : null;
  const words = WORDS[response.status] ?? `Airflow's server answered ${response.status}, and nothing that this page can read.`;
  throw new Refused(response.status, response.status === 401 ? words : told ?? words);
}
