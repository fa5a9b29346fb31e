// What to show where there is nothing to show: how to begin, or how to look further.

import { make } from "./dom.js";
import { PERIODS, addressOf, asked, isFiltered } from "./filters.js";
import { count } from "./format.js";

const EXAMPLE = `from datetime import timedelta

from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator

SageMakerSpotTrainingOperator(
    task_id="train",
    config={...},  # members of CreateTrainingJob
    max_wait=timedelta(hours=6),
    checkpoint_s3_uri="s3://my-bucket/checkpoints/churn",
)`;

/** @param {number} total how many there are on other pages: rows become fewer, and an address stays */
export function empty(total) {
  if (total)
    return make("div", { class: "empty" }, make("h2", {}, "There is nothing on this page any more."),
      make("p", {}, `There ${total === 1 ? "is" : "are"} ${count(total, "training")} on the pages before it.`),
      make("p", { class: "ways" }, make("a", { href: addressOf({}) }, "Go to the first page")));
  const period = (PERIODS[asked.days] ?? `last ${asked.days} days`).toLowerCase();
  const longer = Object.keys(PERIODS).find((days) => Number(days) > Number(asked.days));
  const further = longer && make("a", { href: addressOf({ days: longer }) }, `Look at the ${PERIODS[longer].toLowerCase()}`);
  if (isFiltered())
    return make("div", { class: "empty" }, make("h2", {}, "No training matches."),
      make("p", {}, `None of the ${period} is like what you ask for. `),
      make("p", { class: "ways" }, make("a", { href: addressOf({ state: "all", search: "", dag_id: "" }) }, "Show all trainings"), further));
  return make("div", { class: "empty" }, make("h2", {}, `No spot training in the ${period}.`),
    make("p", {}, "A task shows up here as soon as it has submitted its first job. This is how one begins:"),
    make("pre", { tabindex: "0", role: "region", "aria-label": "Example" }, EXAMPLE),
    make("p", {}, "The provider's documentation has more: README.md, and the example DAGs in dags/. Without an AWS account, ",
      make("code", {}, "airflow-spot emulator"), " is a local SageMaker to try it on."),
    further && make("p", { class: "ways" }, further));
}
