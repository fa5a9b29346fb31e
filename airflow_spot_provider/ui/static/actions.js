// What a user can do about one task's training.

import { post } from "./api.js";
import { confirmed } from "./confirm.js";
import { make } from "./dom.js";

/**
 * The buttons that the user may press.
 * @param {import("./api.js").Row} row
 * @param {Record<string, string>} where
 * @param {string|null} busy which of them is under way
 */
export function buttons(row, where, busy) {
  const button = (name, text, under) => make("button", {
    type: "button", "data-key": name, "data-do": name, "aria-disabled": busy && "true" }, busy === name ? under : text);
  const trace = new URLSearchParams({ dag_id: where.dag_id, run_id: where.run_id });
  return [
    row.job_name && button("refresh", "Refresh from AWS", "Asking AWS\u2026"),
    row.can_stop && button("stop", "Stop and keep the checkpoint", "Stopping\u2026"),
    row.next_rung && button("next-rung", "Go to the next rung now", "Stopping\u2026"),
    make("a", { href: `api/trace?${trace}`, download: "", class: "button", "data-key": "trace" }, "Export run for Perfetto"),
  ];
}

/**
 * Do it, once the user is sure.
 * @param {"refresh"|"stop"|"next-rung"} name
 * @param {import("./api.js").Row} row
 * @param {Record<string, string>} where
 * @param {() => void} begun called when it is under way
 * @returns {Promise<any>} what the API answers; null if it was left
 */
export async function act(name, row, where, begun) {
  const keeps = "Its script has 120 seconds to save what it has, and its checkpoints stay.";
  const questions = {
    stop: ["Stop this training?", `SageMaker stops ${row.job_name}. ${keeps} The task then ends as Stopped.`],
    "next-rung": ["Go to the next rung now?", `SageMaker stops ${row.job_name}. ${keeps} ${row.next_rung} then goes on from there.`],
  };
  if (name in questions && !(await confirmed(questions[name][0], questions[name][1], "Stop the job"))) return null;
  begun();
  return post(`api/task/${name}`, where);
}
