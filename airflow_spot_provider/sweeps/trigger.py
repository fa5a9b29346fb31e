"""The trigger of a trial that may be stopped early: intermediate values go from the training log to the pruner meanwhile."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from airflow.triggers.base import TriggerEvent

from airflow_spot_provider.aws.errors import code_of
from airflow_spot_provider.aws.watching.stopping import Stop
from airflow_spot_provider.sweeps.settings import SweepSettings
from airflow_spot_provider.sweeps.trials import Trials
from airflow_spot_provider.triggers._matching import CannotMatch
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger

_asking: WeakKeyDictionary[asyncio.AbstractEventLoop, defaultdict[str, asyncio.Lock]] = WeakKeyDictionary()
"""One thread at a time asks a storage: a database that does not answer takes no more of them, which others wait for."""


class SpotTrialTrigger(SageMakerSpotTrainingTrigger):
    """Watch the training job of a trial, and stop it when Optuna's pruner says that the trial loses.

    The values are read from the training log in CloudWatch Logs by the metric's regular expression, in the order in which they
    were printed: the first is step 0. A line may reach the log a minute late; so a value is reported when it is a minute old, and
    nothing will be put in before it any more. That makes the steps the same whenever and how often the log is read: nothing is kept
    here, and the study knows which steps it was told.

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
        if self.metric_regex is None:
            async for event in super().run():
                yield event
            return
        self.training_log().objective = self.metric_regex
        judging = asyncio.get_running_loop().create_task(self._judge(), name=f"judging trial {self.number}")
        try:
            async for event in super().run():
                yield event
        finally:
            judging.cancel()

    async def _judge(self) -> None:
        """Report what is new every ``poll_interval``; stop the job once the trial has lost."""
        judge = _Judge(SweepSettings.from_json(self.settings), self.run_key, self.number)
        log, trouble = self.logger(), ""
        while True:
            await asyncio.sleep(self.poll_interval)
            try:
                judge.take(await self.training_log().new_values(log))
                if (step := await judge.losing_step()) is not None:
                    log.info(
                        "Trial %s loses at step %s: stopping %s, so that it bills no more.",
                        self.number,
                        step,
                        self.job_name,
                    )
                    self._stop_job()
                    return
            except CannotMatch as error:
                log.warning(
                    "Trial %s is not judged, and trains to its end: the Regex of its metric comes to nothing (%s).",
                    self.number,
                    error,
                )
                return
            except Exception as error:  # noqa: BLE001 - a trial that cannot be judged trains to its end
                if trouble != (trouble := code_of(error)):
                    log.warning("Trial %s cannot be judged just now (%r).", self.number, error)
            else:
                trouble = ""

    def _stop_job(self) -> None:
        """Have the watcher stop the job: the task goes on waiting for its end."""
        self.watcher().stop_job(Stop(self.kind, self.job_name, is_kill=False))


class _Judge:
    """Asks the pruner about one trial.

    :param settings: of the sweep.
    :param run: whose trial it is.
    :param number: of the trial.
    """

    def __init__(self, settings: SweepSettings, run: str, number: int) -> None:
        self._settings = settings
        self._run = run
        self._number = number
        self._trials: Trials | None = None
        self._steps_told = 0
        self._waiting: list[float] = []
        self._has_asked = False

    def take(self, values: list[float]) -> None:
        """Take in the values that follow those before."""
        self._waiting += values

    async def losing_step(self) -> int | None:
        """Report what was taken in, and tell at which step the trial loses; None if it does not.

        :raises Exception: the storage cannot be asked; what was to be reported is kept.
        """
        if self._has_asked and not self._waiting:
            return None  # there is nothing that the study does not know
        values = list(enumerate(self._waiting, self._steps_told))
        locks = _asking.setdefault(asyncio.get_running_loop(), defaultdict(asyncio.Lock))
        async with locks[self._settings.storage]:
            step = await asyncio.to_thread(self._report, values)
        self._has_asked = True
        self._steps_told += len(values)
        del self._waiting[: len(values)]
        return step

    def _report(self, values: list[tuple[int, float]]) -> int | None:
        """In a thread: Optuna's storage blocks."""
        try:
            if self._trials is None:
                self._trials = Trials(self._settings, self._run)
            return self._trials.report(self._number, values)
        except Exception:
            self._trials = None  # its database may have moved, or its password: the connection tells
            raise
