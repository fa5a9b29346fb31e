// The newest lines of the training log, as the task's own log repeats them. Airflow's API says who may read it.

const MOST = 60;
const EVERY = 20_000; // milliseconds, while the job trains: reading a task's log is work for Airflow
const SLOWEST = 20_000;

let lines = [], readAt = 0, readAs = "", reading = false;

/**
 * The lines that are known by now; asks for newer ones when the job has gone on.
 * @param {import("./api.js").Row} row
 * @param {() => void} changed called when there are others
 * @returns {string[]}
 */
export function trainingLog(row, changed) {
  const stands = `${row.try_number} ${row.status} ${row.outcome}`;
  const due = stands !== readAs || (!row.ended && Date.now() - readAt > EVERY);
  if (due && !reading && row.try_number) {
    [reading, readAs, readAt] = [true, stands, Date.now()];
    read(row).then((newest) => {
      if (newest.join("\n") === lines.join("\n")) return;
      lines = newest;
      changed();
    }).catch(() => {
      readAs = ""; // a log that cannot be read now is read at the next look that is due
    }).finally(() => {
      reading = false;
    });
  }
  return lines;
}

async function read(row) {
  const part = (text) => encodeURIComponent(text);
  const path = `../api/v2/dags/${part(row.dag_id)}/dagRuns/${part(row.run_id)}/taskInstances/${part(row.task_id)}/logs/${row.try_number}`;
  const response = await fetch(`${path}?map_index=${row.map_index}&full_content=true`, {
    credentials: "same-origin", headers: { Accept: "application/json" }, signal: AbortSignal.timeout(SLOWEST) });
  if (!response.ok) return [];
  const { content } = await response.json();
  return linesOf((Array.isArray(content) ? content : []).map((each) => String(each?.event ?? each)), row.job_name);
}

/**
 * The lines of the training log among those of the task's log.
 * @param {string[]} events
 * @param {string|null} jobName
 */
export function linesOf(events, jobName) {
  const found = [];
  let inside = false;
  for (const event of events) {
    if (event.startsWith("::group::Training log")) {
      inside = true;
      found.length = 0; // it is told as a whole
    } else if (event.startsWith("::endgroup::")) inside = false;
    else if (inside) found.push(event);
    else if (jobName && event.startsWith(`[${jobName}] `)) found.push(event.slice(jobName.length + 3));
  }
  return found.slice(-MOST);
}
