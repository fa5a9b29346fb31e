"""Where a row leads: Airflow's own pages, and the AWS console."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from airflow.configuration import conf

from airflow_spot_provider.links.sagemaker import SageMakerTrainingJobLink, SageMakerTuningJobLink
from airflow_spot_provider.published.rows import PublishedRow

_CONSOLES = {"aws": "aws.amazon.com", "aws-cn": "amazonaws.cn", "aws-us-gov": "amazonaws-us-gov.com"}


def links_of(row: PublishedRow) -> dict[str, str | None]:
    """``dag``, ``task``, ``log``, ``spot_task`` and ``console``; the last is None while the region is not known."""
    root = urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")
    dag = f"{root}/dags/{quote(row.dag_id, safe='')}"
    task = f"{dag}/runs/{quote(row.run_id, safe='')}/tasks/{quote(row.task_id, safe='')}"
    if row.map_index >= 0:
        task += f"/mapped/{row.map_index}"
    where = urlencode(
        {"dag_id": row.dag_id, "run_id": row.run_id, "task_id": row.task_id, "map_index": row.map_index}
    )
    return {
        "dag": dag,
        "task": task,
        "log": task,
        "spot_task": f"{root}/spot/task?{where}",
        "spot_tab": f"{task}/plugin/spot_training_of_task",
        "console": _console(row),
    }


def _console(row: PublishedRow) -> str | None:
    region, name = row.progress.region, row.progress.job_name
    if not region or not name:
        return None
    partition = (
        "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    )
    link = SageMakerTuningJobLink if row.progress.kind == "tuning" else SageMakerTrainingJobLink
    return link.format_str.format(
        aws_domain=_CONSOLES[partition], region_name=quote(region, safe=""), job_name=quote(name, safe="")
    )
