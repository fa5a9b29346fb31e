"""Call what a task wants called while its job runs; whatever becomes of that, the job is watched on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from airflow_spot_provider._compat.sdk import conf
from airflow_spot_provider._compat.supervisor import publish_xcom, read_own_xcom
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.training.due_alerts import (
    context_of,
    is_due,
    key_of,
    remembered,
    seconds_until,
)
from airflow_spot_provider.training.phases import Phase
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.triggers._calling import call

ALERTS_KEY = "spot_alerts"
"""The XCom that says which alerts of a job have been told: ``{"job_name", "told": {alert: time}}``."""
SECONDS_FOR_ONE = 60.0
"""An alert that takes longer is given up."""
_SECONDS_FOR_XCOM = 30.0

_under_way: set[asyncio.Task[None]] = set()
"""An alert that is being told when its job ends is told all the same."""


class JobAlerts:
    """The alerts of one job.

    :param conditions: of :func:`~airflow_spot_provider.training.alerts.checked_alerts`.
    :param job_name: TrainingJobName.
    :param task_instance: the trigger's; None in a plain event loop.
    :param log: the task's.
    """

    __slots__ = (
        "_begun",
        "_conditions",
        "_job_name",
        "_known",
        "_log",
        "_one_by_one",
        "_progress",
        "_task_instance",
        "_timer",
        "_told",
    )

    def __init__(
        self, conditions: Sequence[Mapping[str, Any]], job_name: str, *, task_instance: Any, log: Log
    ) -> None:
        self._conditions = conditions
        self._job_name = job_name
        self._task_instance = task_instance
        self._log = log
        self._begun: set[str] = set()
        self._told: dict[str, str | None] = {}
        self._known = False
        self._one_by_one = asyncio.Lock()
        self._progress: Mapping[str, Any] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def saw(self, progress: Mapping[str, Any], now: datetime | None) -> None:
        """Take in how the job is, and tell what is due.

        :param progress: a SpotProgress as JSON.
        :param now: the time by AWS's clock, as nearly as it is known.
        """
        self._progress = progress
        if progress.get("phase") == Phase.STOPPING:
            # It is being stopped, perhaps by whoever was told; and a job that was killed is of no interest any more.
            self.stop()
            return
        waits: list[float] = []
        for condition in self._conditions:
            key = key_of(condition)
            if key in self._begun:
                continue
            if is_due(condition, progress, now):
                self._begun.add(key)
                task = asyncio.get_running_loop().create_task(
                    self._tell(condition, now, context_of(condition, progress, now, **self._task())),
                    name=f"alert of {self._job_name}",
                )
                _under_way.add(task)
                task.add_done_callback(_under_way.discard)
            elif (left := seconds_until(condition, progress, now)) is not None:
                waits.append(left)
        self._look_again(min(waits, default=None), now)

    def stop(self) -> None:
        """The job has ended, or is watched by somebody else now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self, left: float | None, now: datetime | None) -> None:
        """When time alone has made the next one due. This process only measures how long that is."""
        self.stop()
        if left is None or now is None:
            return
        loop, then = asyncio.get_running_loop(), now + timedelta(seconds=left)

        def _time_is_up() -> None:
            assert self._progress is not None
            self.saw(self._progress, then)

        self._timer = loop.call_later(left, _time_is_up)

    async def _tell(
        self, condition: Mapping[str, Any], now: datetime | None, context: dict[str, Any]
    ) -> None:
        key = key_of(condition)
        async with self._one_by_one:
            if key in await self._remembered():
                return
            self._log.info("Alert: %s Calling %s.", context["message"], condition["path"])
            try:
                await call(condition["path"], condition["kwargs"], context, seconds=SECONDS_FOR_ONE)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the job is watched, whatever a user's function does
                self._log.warning(
                    "The alert did not come through: %s raised %s: %s. It is not tried again; the job is watched on.",
                    condition["path"],
                    type(error).__name__,
                    error,
                )
            await self._remember(key, iso(now))

    async def _remembered(self) -> set[str]:
        """What has been told of this job, by this trigger or by one before it in another triggerer."""
        if not self._known and self._task_instance is not None:
            try:
                async with asyncio.timeout(_SECONDS_FOR_XCOM):
                    published = await read_own_xcom(self._task_instance, ALERTS_KEY)
            except Exception as error:  # noqa: BLE001 - rather twice than never
                self._log.info("It is not known whether this alert was told before (%r).", error)
            else:
                self._known = True
                self._told.update(dict.fromkeys(remembered(published, self._job_name)))
        return set(self._told)

    async def _remember(self, key: str, at: str | None) -> None:
        self._told[key] = at
        if self._task_instance is None:
            return
        try:
            async with asyncio.timeout(_SECONDS_FOR_XCOM):
                await publish_xcom(
                    self._task_instance, ALERTS_KEY, {"job_name": self._job_name, "told": dict(self._told)}
                )
        except Exception as error:  # noqa: BLE001 - told once more after a restart, at the worst
            self._log.info("That this alert was told cannot be kept just now (%r).", error)

    def _task(self) -> dict[str, Any]:
        ti = self._task_instance
        names = ("dag_id", "run_id", "task_id", "map_index")
        return {**{name: getattr(ti, name, None) for name in names}, "ti": ti, "task_url": _task_url(ti)}


def _task_url(ti: Any) -> str | None:
    """The task's page in the Airflow UI; None where Airflow does not know its own address."""
    base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
    if ti is None or not base:
        return None
    mapped = f"/mapped/{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
    run, task = quote(ti.run_id, safe=""), quote(ti.task_id, safe="")
    return f"{base}/dags/{quote(ti.dag_id, safe='')}/runs/{run}/tasks/{task}{mapped}"
