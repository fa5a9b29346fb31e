// How a task stands, in a word and a tone.

/** @typedef {import("./api.js").Row} Row */

const PHASES = {
  queued: "Waiting its turn", waiting: "Waiting", starting: "Starting", downloading: "Downloading", training: "Training",
  interrupted: "Interrupted", uploading: "Uploading", stopping: "Stopping",
};

/**
 * @param {Row} row
 * @returns {[string, "good"|"warn"|"bad"|""]}
 */
export function stateOf(row) {
  if (!row.ended) return [PHASES[row.phase] ?? (row.status || "Running"), ["waiting", "queued", "interrupted"].includes(row.phase) ? "warn" : ""];
  if (!row.outcome) return ["No outcome", "warn"];
  return [row.outcome, toneOf(row.outcome)];
}

/** @param {string} outcome */
export function toneOf(outcome) {
  if (outcome.startsWith("Completed")) return "good";
  return outcome === "Stopped" || outcome === "unknown" ? "warn" : "bad";
}

/** What tells a task apart. @param {Row} row */
export function keyOf(row) {
  return [row.dag_id, row.run_id, row.task_id, row.map_index].join("\n");
}
