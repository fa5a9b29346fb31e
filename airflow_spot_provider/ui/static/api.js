// Talks to our API, which is beside this page whatever path Airflow is served under.

import { setServerTime } from "./format.js";

const tags = new Map(); // url -> the answer that we have, and its tag

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const words = {
  401: "You are signed out of Airflow. Sign in again, then reload this page.",
  403: "You may not see this. Whoever runs this Airflow can grant access to the DAG.",
};

/** @returns {Promise<any>} */
export async function get(path, parameters = {}) {
  const url = `${path}?${new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value !== null))}`;
  const known = tags.get(url);
  const response = await fetch(url, {
    headers: known ? { "If-None-Match": known.tag } : {}, credentials: "same-origin", cache: "no-store",
  });
  if (response.status === 304 && known) {
    setServerTime(response.headers.get("X-Server-Time"));
    return known.answer;
  }
  const answer = await read(response);
  setServerTime(answer.server_time);
  const tag = response.headers.get("ETag");
  if (tag) {
    tags.delete(url);
    tags.set(url, { tag, answer });
    if (tags.size > 8) tags.delete(tags.keys().next().value);
  }
  return answer;
}

export async function post(path, parameters) {
  const url = `${path}?${new URLSearchParams(parameters)}`;
  return read(await fetch(url, { method: "POST", headers: { "X-Spot-Request": "1" }, credentials: "same-origin" }));
}

async function read(response) {
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    // what is no JSON is no answer of ours
  }
  if (!response.ok || answer === null) {
    const message = words[response.status] ?? answer?.detail ?? `Airflow answered ${response.status} and no more.`;
    throw new Refused(response.status, response.status === 403 && answer?.detail ? answer.detail : message);
  }
  return answer;
}
