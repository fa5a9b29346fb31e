"""EventBridge's events of training and tuning jobs.

Source: `Events that SageMaker AI sends to EventBridge
<https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html>`_: several may come for one change, and nobody
promises their order.
"""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.control.faults import EventFaults
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.services.targets import deliver, rules_of

TRAINING_JOB = "SageMaker Training Job State Change"
TUNING_JOB = "SageMaker HyperParameter Tuning Job State Change"
_EVENTS = uuid.UUID("6f0e0a3c-0d0c-4f8e-9b5e-6a7c3f3f2b11")
"""Under which the ids of events are made: from what they tell, so that they are the same in every run of a simulation."""


class TuningJob(Protocol):
    """What an event tells of a tuning job."""

    tags: list[dict[str, str]]

    @property
    def arn(self) -> str:
        """HyperParameterTuningJobArn."""

    @property
    def has_ended(self) -> bool:
        """Whether it has Completed, Failed or Stopped."""

    def describe(self) -> Mapping[str, Any] | None:
        """DescribeHyperParameterTuningJob's answer."""


class TrainingEvents:
    """Tells EventBridge of every change of a job.

    The description is taken at the change, and delivered as an event of the clock: no job waits for a queue. Where no rule
    listens, nothing is done at all.

    :param clock: delivers them.
    :param faults: what goes wrong with them.
    :param seed: makes what goes wrong repeatable.
    """

    def __init__(self, clock: Clock, faults: EventFaults | None = None, seed: int = 0) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, list[dict[str, Any]]] = {}
        self.set(faults or EventFaults(), seed)

    def set(self, faults: EventFaults, seed: int = 0) -> None:
        """Have these faults from now on."""
        with self._lock:
            self._faults = faults
            self._chance = random.Random(f"events/{seed}")

    def training_job_changed(self, job: TrainingJob) -> None:
        """A training job has made a transition; called with its lock held."""
        spec = job.spec
        if rules_of(spec.account_id, spec.region):
            self._send(TRAINING_JOB, spec.arn, job.describe() or {}, job.tags, last=job.has_ended)

    def tuning_job_changed(self, job: TuningJob) -> None:
        """A tuning job has changed; called with its lock held."""
        if rules_of(*_place(job.arn)):
            self._send(TUNING_JOB, job.arn, job.describe() or {}, job.tags, last=job.has_ended)

    def _send(
        self,
        detail_type: str,
        arn: str,
        description: Mapping[str, Any],
        tags: Sequence[Mapping[str, str]],
        *,
        last: bool,
    ) -> None:
        account_id, region = _place(arn)
        detail = {**_in_milliseconds(description), "Tags": {tag["Key"]: tag["Value"] for tag in tags}}
        with self._lock:
            event = {
                "version": "0",
                "id": str(uuid.uuid5(_EVENTS, json.dumps([arn, detail], sort_keys=True))),
                "detail-type": detail_type,
                "source": "aws.sagemaker",
                "account": account_id,
                "time": self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
                "region": region,
                "resources": [arn],
                "detail": detail,
            }
            due = self._drawn(arn, event, last=last)
            delay = self._faults.delay_seconds
        for one in due:
            self._clock.call_later(delay, partial(self._deliver, one))

    def _deliver(self, event: Mapping[str, Any]) -> None:
        deliver(event, self._clock.now())

    def _drawn(self, arn: str, event: dict[str, Any], *, last: bool) -> list[dict[str, Any]]:
        """What is delivered now: this event or not, once or twice, and after it those that were held back."""
        faults = self._faults
        lost, twice, held = (
            self._chance.random() < share for share in (faults.lose, faults.duplicate, faults.reorder)
        )
        mine = [] if lost else [event, event] if twice else [event]
        if held and mine and not last:
            # No event of this job can come after its last one: that is never held back.
            self._held.setdefault(arn, []).extend(mine)
            return []
        return mine + self._held.pop(arn, [])


def _place(arn: str) -> tuple[str, str]:
    """Account and region of an ARN."""
    _, _, _, region, account_id, _ = arn.split(":", 5)
    return account_id, region


def _in_milliseconds(value: Any) -> Any:
    """The same with its times as EventBridge has them: epoch milliseconds."""
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, Mapping):
        return {key: _in_milliseconds(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_milliseconds(entry) for entry in value]
    return value
