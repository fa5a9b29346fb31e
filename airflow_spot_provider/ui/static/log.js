// The newest lines of the training log, as the task's own log repeats them. Airflow's API says who may read it.

const MOST = 60;

/** @returns {Promise<string[]>} */
export async function trainingLog(row) {
  if (!row.try_number) return [];
  const part = (text) => encodeURIComponent(text);
  const path = `../api/v2/dags/${part(row.dag_id)}/dagRuns/${part(row.run_id)}/taskInstances/${part(row.task_id)}/logs/${row.try_number}`;
  const response = await fetch(`${path}?map_index=${row.map_index}&full_content=true`, { credentials: "same-origin", headers: { Accept: "application/json" } });
  if (!response.ok) return [];
  const { content } = await response.json();
  return linesOf((Array.isArray(content) ? content : []).map((each) => String(each?.event ?? each)), row.job_name);
}

export function linesOf(events, jobName) {
  const lines = [];
  let inside = false;
  for (const event of events) {
    if (event.startsWith("::group::Training log")) {
      inside = true;
      lines.length = 0; // it is told as a whole
    } else if (event.startsWith("::endgroup::")) inside = false;
    else if (inside) lines.push(event);
    else if (jobName && event.startsWith(`[${jobName}] `)) lines.push(event.slice(jobName.length + 3));
  }
  return lines.slice(-MOST);
}
