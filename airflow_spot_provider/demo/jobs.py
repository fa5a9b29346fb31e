"""The training jobs of a demo, as lines that grow: what each goes through, and for how long."""

from __future__ import annotations

from collections.abc import Mapping

from botocore.exceptions import ClientError
from rich.table import Table
from rich.text import Text

from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.training import Timeline, outcome_of
from airflow_spot_provider.training.narration import duration

COLOURS = {
    "Starting": "grey62",
    "Downloading": "cyan",
    "Training": "blue",
    "Interrupted": "dark_orange",
    "Uploading": "magenta",
    "Stopping": "yellow",
    "Completed": "green",
    "MaxWaitTimeExceeded": "red",
}


class Jobs:
    """The training jobs at the emulator, asked as anyone asks SageMaker.

    :param emulator: the local SageMaker.
    :param run_id: the DAG run that is told about; jobs of others say theirs.
    """

    def __init__(self, emulator: SageMakerEmulator, run_id: str) -> None:
        self._run_id = run_id
        self._sagemaker = emulator.client("sagemaker")
        self._labels: dict[str, str] = {}
        self._ended: dict[str, Timeline] = {}

    def timelines(self) -> dict[str, Timeline]:
        """The timeline of each job so far, oldest job first, by what it is."""
        timelines = {}
        pages = self._sagemaker.get_paginator("list_training_jobs").paginate(
            SortBy="CreationTime", SortOrder="Ascending", MaxResults=100
        )
        for job in (job for page in pages for job in page["TrainingJobSummaries"]):
            name = job["TrainingJobName"]
            if name not in self._labels:
                self._labels[name] = self._label(name, job["TrainingJobArn"])
            if name not in self._ended:
                try:
                    description = self._sagemaker.describe_training_job(TrainingJobName=name)
                except ClientError:
                    continue  # listed, and not there yet
                timeline = Timeline.of(description)
                if outcome_of(description):
                    self._ended[name] = timeline
                timelines[self._labels[name]] = timeline
            else:
                timelines[self._labels[name]] = self._ended[name]
        return timelines

    def _label(self, name: str, arn: str) -> str:
        """Which task's job it is; a second one of the same says its name as well."""
        tags = {tag["Key"]: tag["Value"] for tag in self._sagemaker.list_tags(ResourceArn=arn)["Tags"]}
        task = tags.get("airflow-spot:task-id", name)
        if index := tags.get("airflow-spot:map-index"):
            task = f"{task} [{index}]"
        if lifecycle := tags.get("emulator:lifecycle"):
            task = f"{task}, {lifecycle}"
        if (run := tags.get("airflow-spot:run-id", self._run_id)) != self._run_id:
            task = f"{task} of {run}"
        return task if task not in self._labels.values() else f"{task}, {name}"


def progress_of(timelines: Mapping[str, Timeline]) -> Table:
    """A line for each job."""
    table = Table.grid(padding=(0, 2))
    for name, timeline in timelines.items():
        table.add_row(name, line_of(timeline))
    return table


def line_of(timeline: Timeline) -> Text:
    """What a job went through, such as "Starting 1m > Training 3m > Interrupted"."""
    line = Text()
    for entry in timeline.transitions:
        lasted = f" {duration(entry.seconds)}" if entry.end and entry.seconds >= 1 else ""
        line.append(f"{' > ' if line else ''}")
        line.append(f"{entry.status}{lasted}", style=COLOURS.get(entry.status, ""))
    return line
