"""What spot saved: a report over tasks, task groups, mapped tasks, DAG runs, or asset events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator

from airflow_spot_provider.operators._reported import (
    members_of_events,
    runs_of,
    spot_tasks_of_group,
    spot_tasks_upstream_of,
)
from airflow_spot_provider.reports.tables import headline_of, trend_sentence
from airflow_spot_provider.reports.writing import checked_formats, write
from airflow_spot_provider.training import InvalidSpotRequest, SpotTrainingError
from airflow_spot_provider.training.report import Run, Thresholds, report_of

if TYPE_CHECKING:
    from airflow.sdk import Context

OnBreach = Literal["fail", "skip", "warn"]
MOST_RUNS = 200


class SavingsReportBreached(SpotTrainingError):
    """A report's threshold is not kept. The report itself was published."""


class SpotSavingsReportOperator(BaseOperator):
    """Sum up what trainings on spot saved, cost and came to; publish it as XCom, and write it to files if asked.

    It runs when what is upstream has ended, however it did (``trigger_rule="all_done"``), and publishes before it fails or skips.

    :param training_task_ids: ids of training and tuning tasks, and of a sweep's ``trials``, with their task groups; mapped ones with all
        members. Left out, together with ``task_group_id`` and ``assets``: all spot tasks upstream of this one.
    :param task_group_id: instead, all spot tasks of a task group.
    :param assets: instead, the events of these assets, which trainings with ``outlets=`` emit; since ``since``, or the newest
        ``last_n_runs`` of each.
    :param last_n_runs: how many DAG runs, this one included; those before it by logical date.
    :param since: instead, all runs since then: a datetime, or a timedelta before this run. At most 200.
    :param path: folder to write files to (templated): a local one, or any that fsspec writes, such as ``s3://bucket/reports/{{ run_id }}``.
    :param formats: which files: some of ``html``, ``markdown``, ``csv``, ``parquet``, ``json``.
    :param conn_id: Airflow connection for the path.
    :param title: heading of the files (templated).
    :param min_savings_percent: the least savings of all trainings together. Unknown savings keep any threshold.
    :param max_interruptions: the most interruptions in all.
    :param max_cost: the most money, in the currency of the price list.
    :param on_breach: ``fail``, ``skip`` or ``warn`` when a threshold is not kept.
    :raises InvalidSpotRequest: at DAG parse, with all that is wrong.
    :raises SavingsReportBreached: a threshold is not kept.
    """

    template_fields: Sequence[str] = ("path", "title")
    ui_color = "#f0e442"
    ui_fgcolor = "#000000"

    def __init__(
        self,
        *,
        training_task_ids: Collection[str] | None = None,
        task_group_id: str | None = None,
        assets: Sequence[Any] | None = None,
        last_n_runs: int = 1,
        since: datetime | timedelta | None = None,
        path: str | None = None,
        formats: Sequence[str] = ("html", "markdown", "csv"),
        conn_id: str | None = None,
        title: str = "Spot training: {{ dag.dag_id }}",
        min_savings_percent: float | None = None,
        max_interruptions: int | None = None,
        max_cost: float | None = None,
        on_breach: OnBreach = "fail",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("trigger_rule", "all_done")
        if assets:
            kwargs["inlets"] = [*kwargs.get("inlets", ()), *assets]
        super().__init__(**kwargs)
        self.training_task_ids = None if training_task_ids is None else _listed(training_task_ids)
        self.task_group_id = task_group_id
        self.assets = list(assets) if assets else None
        self.last_n_runs = last_n_runs
        self.since = since
        self.path = path
        self.formats = checked_formats(formats)
        self.conn_id = conn_id
        self.title = title
        self.thresholds = Thresholds(min_savings_percent, max_interruptions, max_cost)
        self.on_breach = on_breach
        self._check()

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, sum up, publish, write; then judge."""
        runs = self._runs(context)
        report = report_of(runs)
        report["breaches"] = self.thresholds.breaches(report)
        self._tell(report)
        files: list[str] = []
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value={**report, "files": files})
        if self.path:
            files = write(
                report, runs, self.path, formats=self.formats, title=self.title, conn_id=self.conn_id
            )
            self.log.info("Written: %s", ", ".join(files))
        published = {**report, "files": files}
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=published)
        if report["breaches"]:
            self._judge(" ".join(report["breaches"]))
        return published

    def _runs(self, context: Context) -> list[Run]:
        if self.assets:
            return members_of_events(
                context["inlet_events"], self.assets, since=self._after(context), newest=self.last_n_runs
            )
        task_ids = self.training_task_ids
        if task_ids is None:
            dag = context["dag"]
            found = (
                spot_tasks_of_group(dag, self.task_group_id)
                if self.task_group_id
                else spot_tasks_upstream_of(context["task"])
            )
            task_ids = sorted(found)
            if not task_ids:
                where = f"in the task group {self.task_group_id!r}" if self.task_group_id else "upstream"
                raise SpotTrainingError(
                    f"There is no spot training {where} to report. Name the tasks with training_task_ids=."
                )
        most = MOST_RUNS if self.since is not None else self.last_n_runs
        return runs_of(context, task_ids, most=most, since=self._after(context))

    def _after(self, context: Context) -> datetime | None:
        if not isinstance(self.since, timedelta):
            return self.since
        run: Any = context["dag_run"]
        return cast("datetime", run.run_after or datetime.now(UTC)) - self.since

    def _tell(self, report: dict[str, Any]) -> None:
        self.log.info("%s", headline_of(report))
        if trend := trend_sentence(report["trend"]):
            self.log.info("%s", trend)
        for heading, names in (("Not completed", report["failed"]), ("No result", report["missing"])):
            if names:
                self.log.warning("%s: %s", heading, "; ".join(names))

    def _judge(self, breaches: str) -> None:
        if self.on_breach == "warn":
            self.log.warning("%s", breaches)
        elif self.on_breach == "skip":
            raise AirflowSkipException(breaches)
        else:
            raise SavingsReportBreached(breaches)

    def _check(self) -> None:
        problems = []
        sources = {
            "training_task_ids": self.training_task_ids is not None,
            "task_group_id": self.task_group_id is not None,
            "assets": self.assets is not None,
        }
        if sum(sources.values()) > 1:
            given = [name for name, is_given in sources.items() if is_given]
            problems.append(f"{given} are given; a report reads one of them.")
        if self.training_task_ids is not None and not self.training_task_ids:
            problems.append(
                "training_task_ids is empty; name a task, or leave it out for all spot tasks upstream."
            )
        if type(self.last_n_runs) is not int or not 1 <= self.last_n_runs <= MOST_RUNS:
            problems.append(
                f"last_n_runs is {self.last_n_runs!r}; it takes a whole number from 1 to {MOST_RUNS}."
            )
        since: object = self.since
        if since is not None and not isinstance(since, datetime | timedelta):
            problems.append(f"since is {since!r}; it takes a datetime with a timezone, or a timedelta.")
        if isinstance(self.since, datetime) and self.since.tzinfo is None:
            problems.append(f"since is {self.since!r}, which has no timezone; give it one.")
        if self.since is not None and self.last_n_runs != 1:
            problems.append("since and last_n_runs are given; a report reads one of them.")
        if self.on_breach not in get_args(OnBreach):
            problems.append(f"on_breach is {self.on_breach!r}; it takes one of {list(get_args(OnBreach))}.")
        if problems:
            raise InvalidSpotRequest(problems)


def _listed(task_ids: Collection[str]) -> list[str]:
    return [task_ids] if isinstance(task_ids, str) else list(task_ids)
