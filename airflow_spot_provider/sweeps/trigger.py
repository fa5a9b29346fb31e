"""The trigger of a trial that may be stopped early: intermediate values go from the training log to the pruner meanwhile."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_spot_provider.aws.errors import code_of
from airflow_spot_provider.hooks.sagemaker_spot import LOG_GROUP
from airflow_spot_provider.sweeps.settings import SweepSettings
from airflow_spot_provider.sweeps.trials import Trials
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger

_LATE = 60_000
"""Milliseconds that a line of the log may come after later ones."""


class SpotTrialTrigger(SageMakerSpotTrainingTrigger):
    """Watch the training job of a trial, and stop it when Optuna's pruner says that the trial loses.

    The values are read from the training log in CloudWatch Logs by the metric's regular expression, in the order in which they
    were printed: the first is step 0. Nothing is kept here but how far the log was read: the study knows which steps it was told.

    :param job_name: TrainingJobName.
    :param settings: of the sweep, as JSON.
    :param run: whose trial it is.
    :param number: of the trial.
    :param metric_regex: as in MetricDefinitions.
    :param settings_of_trigger: as for the training trigger.
    """

    def __init__(
        self,
        job_name: str,
        *,
        settings: Mapping[str, Any],
        run: str,
        number: int,
        metric_regex: str | None,
        **settings_of_trigger: Any,
    ) -> None:
        super().__init__(job_name, **settings_of_trigger)
        self.settings = settings
        self.run_key = run
        self.number = number
        self.metric_regex = metric_regex

    def arguments(self) -> dict[str, Any]:
        """The arguments that are this trigger's own."""
        return {
            **super().arguments(),
            "settings": dict(self.settings),
            "run": self.run_key,
            "number": self.number,
            "metric_regex": self.metric_regex,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the job to end, and judge the trial meanwhile."""
        judging = asyncio.get_running_loop().create_task(self._judge(), name=f"judging trial {self.number}")
        try:
            async for event in super().run():
                yield event
        finally:
            judging.cancel()

    async def _judge(self) -> None:
        """Report what is new every ``poll_interval``; stop the job once the trial has lost."""
        if self.metric_regex is None:
            return
        printed = _Printed(self.job_name, re.compile(self.metric_regex))
        trouble = ""
        while True:
            await asyncio.sleep(self.poll_interval)
            try:
                await printed.read_on(self.watcher().line("logs").call)
                step = await asyncio.to_thread(self._report, list(enumerate(printed.values)))
            except Exception as error:  # noqa: BLE001 - a trial that cannot be judged trains to its end
                if trouble != (trouble := code_of(error)):
                    self.logger().warning("Trial %s cannot be judged just now (%r).", self.number, error)
                continue
            trouble = ""
            if step is not None:
                self.logger().info(
                    "Trial %s loses at step %s: stopping %s, so that it bills no more.",
                    self.number,
                    step,
                    self.job_name,
                )
                with suppress(asyncio.CancelledError):
                    await asyncio.to_thread(self.hook().jobs(self.kind).stop, self.job_name)
                return

    def _report(self, values: list[tuple[int, float]]) -> int | None:
        """In a thread: Optuna's storage blocks."""
        trials = Trials(SweepSettings.from_json(self.settings), self.run_key)
        return trials.report(self.number, values)


class _Printed:
    """The metric's values that a job has printed so far, in order. Reads on where it ended, so that a long log is read once."""

    def __init__(self, job_name: str, regex: re.Pattern[str]) -> None:
        self.values: list[float] = []
        self._job_name = job_name
        self._regex = regex
        self._newest = 0
        self._seen: dict[str, int] = {}

    async def read_on(self, call: Callable[..., Awaitable[dict[str, Any]]]) -> None:
        """Read what is new."""
        members: dict[str, Any] = {
            "logGroupName": LOG_GROUP,
            "logStreamNamePrefix": f"{self._job_name}/",
            "startTime": max(0, self._newest - _LATE),
        }
        while True:
            try:
                answer = await call("filter_log_events", patient=False, **members)
            except Exception as error:
                if code_of(error) == "ResourceNotFoundException":
                    return  # the job has not logged yet
                raise
            for event in answer.get("events") or ():
                self._take(event)
            if not answer.get("nextToken"):
                break
            members["nextToken"] = answer["nextToken"]
        since = self._newest - _LATE
        self._seen = {event: at for event, at in self._seen.items() if at >= since}

    def _take(self, event: Mapping[str, Any]) -> None:
        if event["eventId"] in self._seen:
            return
        self._seen[event["eventId"]] = event["timestamp"]
        self._newest = max(self._newest, event["timestamp"])
        if found := self._regex.search(event["message"]):
            with suppress(ValueError):
                self.values.append(float(found.group(1)))
