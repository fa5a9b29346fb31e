"""What spot saved: a report over tasks, task groups, mapped tasks, DAG runs, or asset events."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from airflow.sdk import Asset, AssetAlias, XComArg
from airflow.sdk.definitions.asset import AssetRef

from airflow_spot_provider._compat.sdk import AirflowSkipException, BaseOperator
from airflow_spot_provider.hooks._folders import path_problem
from airflow_spot_provider.operators._reported import MOST_RUNS, Reported, runs_of
from airflow_spot_provider.operators._reported_events import events_of
from airflow_spot_provider.operators._spot_tasks import (
    checked_tasks,
    index_to_read,
    spot_tasks_of_group,
    spot_tasks_upstream_of,
)
from airflow_spot_provider.reports.sentences import headline_of, log_table, trend_sentence, whole_list
from airflow_spot_provider.reports.writing import checked_formats, file_names, write
from airflow_spot_provider.training import InvalidSpotRequest, SpotTrainingError
from airflow_spot_provider.training.json_text import whole_uri
from airflow_spot_provider.training.report import bounded, report_of
from airflow_spot_provider.training.reported import without_repeats
from airflow_spot_provider.training.thresholds import Thresholds

if TYPE_CHECKING:
    from airflow.sdk import Context

OnBreach = Literal["fail", "skip", "warn"]
_LONGEST = timedelta(days=36_500)


class SavingsReportBreached(SpotTrainingError):
    """A report's threshold is not kept. The report itself was published."""


class SpotSavingsReportOperator(BaseOperator):
    """Sum up what trainings on spot saved, cost and came to; publish it as XCom, and write it to files if asked.

    It runs when what is upstream has ended, however it did (``trigger_rule="all_done"``), and publishes before it fails or skips.
    With neither tasks, nor a group, nor assets it reports all spot tasks upstream of it.

    :param training_task_ids: ids of training and tuning tasks, and of a sweep's ``trials``, with their task groups; mapped ones with all
        members.
    :param task_group_id: all spot tasks of a task group; together with ``training_task_ids``, both.
    :param assets: instead, the events of these assets, which trainings with ``outlets=`` emit: those that triggered this DAG run, or
        those of the newest ``last_n_runs`` runs that emitted any, or all since ``since``.
    :param last_n_runs: how many DAG runs, this one included; those before it by logical date (Airflow 3.1 on). At most 200.
    :param since: instead, all runs since then: a datetime, or a timedelta before this run. At most 200.
    :param path: folder to write files to (templated): a local one, or any that fsspec writes, such as ``s3://bucket/reports/{{ run_id }}``.
    :param formats: which files: some of ``html``, ``markdown``, ``csv``, ``parquet``, ``json``.
    :param conn_id: Airflow connection for the path (default: the one in the URL; for S3 ``aws_default``).
    :param title: heading of the files (templated).
    :param min_savings_percent: the least savings of all trainings together. What is not known breaches nothing: it is said in ``notes``.
    :param max_interruptions: the most interruptions in all.
    :param max_cost: the most money, in the currency of the price list.
    :param on_breach: ``fail``, ``skip`` or ``warn`` when a threshold is not kept.
    :return: the report as plain JSON under 8 KB: see docs/reports.md.
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
        super().__init__(**kwargs)
        self.training_task_ids = _listed(training_task_ids)
        self.task_group_id = task_group_id
        self.assets = assets
        self.last_n_runs = last_n_runs
        self.since = since
        self.path = path
        self.formats = checked_formats(formats)
        self.conn_id = conn_id
        self.title = title
        self.thresholds = Thresholds(min_savings_percent, max_interruptions, max_cost)
        self.on_breach = on_breach
        self._check()
        self.inlets = [*self.inlets, *(assets or ())]  # whose events Airflow lets the task read

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, sum up, publish, write; then judge."""
        runs, before, notes = self._reported(context)
        runs = without_repeats(runs)
        if before is not None:
            (before,) = without_repeats([before])
        report = report_of(runs, before=before, notes=notes)
        report["breaches"] = self.thresholds.breaches(report)
        report["notes"] += self.thresholds.not_judged(report)
        self._tell(report)
        published = self._publish(context, {**report, "folder": None, "files": []})
        if self.path is not None:
            folder = write(
                report, runs, self.path, formats=self.formats, title=str(self.title), conn_id=self.conn_id
            )
            files = file_names(self.formats)
            self.log.info("Written to %s: %s", folder, ", ".join(files))
            published = self._publish(context, {**report, "folder": whole_uri(folder), "files": files})
        if report["breaches"]:
            self._judge(" ".join(report["breaches"]))
        return published

    def _publish(self, context: Context, report: dict[str, Any]) -> dict[str, Any]:
        small = bounded(report)
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=small)
        return small

    def _reported(self, context: Context) -> Reported:
        since = self._after(context)
        if self.assets:
            return events_of(context, self.assets, newest=self.last_n_runs, since=since)
        task = context["task"]
        index = getattr(context["ti"], "map_index", None)
        tasks = {task_id: index_to_read(task, task_id, index) for task_id in self._task_ids(context)}
        most = MOST_RUNS if self.since is not None else self.last_n_runs
        return runs_of(context, tasks, most=most, since=since)

    def _task_ids(self, context: Context) -> list[str]:
        named = checked_tasks(context["dag"], self.training_task_ids or ())
        if self.task_group_id is not None:
            found = spot_tasks_of_group(context["dag"], self.task_group_id)
            where = f"in the task group {self.task_group_id!r}"
        elif self.training_task_ids is None:
            found, where = spot_tasks_upstream_of(context["task"]), "upstream"
        else:
            return named
        if not found:
            raise SpotTrainingError(
                f"There is no spot training {where} to report. Name the tasks with training_task_ids=."
            )
        return list(dict.fromkeys([*named, *sorted(found)]))

    def _after(self, context: Context) -> datetime | None:
        if not isinstance(self.since, timedelta):
            return self.since
        run: Any = context["dag_run"]
        return cast("datetime", run.run_after or datetime.now(UTC)) - self.since

    def _tell(self, report: dict[str, Any]) -> None:
        self.log.info("%s", headline_of(report))
        if trend := trend_sentence(report["trend"]):
            self.log.info("%s", trend)
        self.log.info("\n%s", log_table(report))
        for heading, kind in (("Not completed", "failed"), ("No result", "missing")):
            if report[kind]:
                self.log.warning("%s: %s", heading, "; ".join(whole_list(report[kind])))
        for note in report["notes"]:
            self.log.warning("%s", note)

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
        given = [name for name, is_given in sources.items() if is_given]
        if sources["assets"] and len(given) > 1:
            problems.append(f"{given} are given; a report is of tasks or of assets: write two of them.")
        problems += _list_problems(
            "training_task_ids", self.training_task_ids, _is_task_id, "ids of tasks, which are no templates"
        )
        problems += _list_problems("assets", self.assets, _is_asset, "assets, such as model_asset('churn')")
        problems += self._period_problems()
        problems += [
            f"{name} is {value!r}; it takes an id."
            for name, value in (("task_group_id", self.task_group_id), ("conn_id", self.conn_id))
            if value is not None and not _is_text(value)
        ]
        if (
            self.path is not None
            and not isinstance(self.path, XComArg)
            and (problem := path_problem(self.path))
        ):
            problems.append(problem)
        if self.path is not None and not self.formats:
            problems.append("path is given and formats is empty; name at least one, or leave path out.")
        if self.on_breach not in get_args(OnBreach):
            problems.append(f"on_breach is {self.on_breach!r}; it takes one of {list(get_args(OnBreach))}.")
        if problems:
            raise InvalidSpotRequest(problems)

    def _period_problems(self) -> list[str]:
        problems = []
        if type(self.last_n_runs) is not int or not 1 <= self.last_n_runs <= MOST_RUNS:
            problems.append(
                f"last_n_runs is {self.last_n_runs!r}; it takes a whole number from 1 to {MOST_RUNS}."
            )
        since: object = self.since
        if since is not None and not isinstance(since, datetime | timedelta):
            problems.append(
                f"since is {since!r}; it takes a datetime with a timezone, or a timedelta such as timedelta(days=30)."
            )
        if isinstance(self.since, datetime) and self.since.tzinfo is None:
            problems.append(f"since is {self.since!r}, which has no timezone; give it one.")
        if self.since is not None and self.last_n_runs != 1:
            problems.append("since and last_n_runs are given; a report reads one of them.")
        if isinstance(self.since, timedelta) and not timedelta(0) < self.since <= _LONGEST:
            problems.append(
                f"since is {self.since!r}; it takes a timedelta back from this run, above 0 and of at most {_LONGEST.days:,} days."
            )
        return problems


def _listed(task_ids: Any) -> Any:
    return [task_ids] if isinstance(task_ids, str) else task_ids


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_task_id(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w.-]+", value) is not None


def _is_asset(value: object) -> bool:
    return isinstance(value, Asset | AssetAlias | AssetRef)


def _list_problems(name: str, given: Any, is_one: Callable[[object], bool], wanted: str) -> list[str]:
    """What is wrong with a list of sources; None stands for all spot tasks upstream."""
    if given is None:
        return []
    if not isinstance(given, Collection) or isinstance(given, str):
        return [f"{name} is {given!r}; it takes a list of {wanted}."]
    if not given:
        return [f"{name} is empty; name one, or leave it out for all spot tasks upstream."]
    strange = [each for each in given if not is_one(each)]
    return [f"{name} holds {strange}; it takes {wanted}."] if strange else []
