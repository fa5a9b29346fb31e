// The newest lines of the training log, as the task's own log repeats them.

import { get } from "./api.js";

const EVERY = 10_000; // milliseconds, while the job goes on: reading a task's log is work for Airflow

let told = { log: [], log_left_out_why: null }, readAt = 0, readAs = "", reading = false;

/**
 * What is known of the log by now; asks for newer lines when the job has gone on.
 * @param {import("./api.js").Row} row
 * @param {Record<string, string>} where
 * @param {() => void} changed called when there is something else to show
 * @returns {{log: string[], log_left_out_why: string|null}} and why there is none, or not all
 */
export function trainingLog(row, where, changed) {
  const stands = `${row.try_number} ${row.status} ${row.outcome}`;
  const due = stands !== readAs || (!row.ended && Date.now() - readAt > EVERY);
  if (due && !reading) {
    [reading, readAs, readAt] = [true, stands, Date.now()];
    get("api/log", where).then((answer) => {
      told = answer;
    }, (error) => {
      // What is shown stays; the page itself tells when Airflow is away.
      told = { ...told, log_left_out_why: error.status ? error.message : told.log_left_out_why };
    }).finally(() => {
      reading = false;
      changed();
    });
  }
  return told;
}
