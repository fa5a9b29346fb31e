"""One tuning job as a state machine: it launches training jobs, takes in what they come to, and ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from moto.core.exceptions import ServiceException

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.exceptions import ResourceLimitExceeded
from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.tags import Tags
from airflow_spot_provider.emulator.tuning import completion, description
from airflow_spot_provider.emulator.tuning.definition import Definition
from airflow_spot_provider.emulator.tuning.launcher import Launcher
from airflow_spot_provider.emulator.tuning.member import Member
from airflow_spot_provider.emulator.tuning.spec import TuningJobSpec
from airflow_spot_provider.emulator.tuning.stopping import is_behind
from airflow_spot_provider.emulator.tuning.trial import Trial
from airflow_spot_provider.emulator.tuning.warm_start import WarmStart

log = logging.getLogger(__name__)

_ENDED = frozenset({"Completed", "Failed", "Stopped"})
_LOOK_SECONDS = 10.0
"""How often it looks at what its training jobs have stated, where it may stop them for it."""
_LEAST_REAL_LOOK_SECONDS = 0.1
_QUOTA_SECONDS = 60.0
"""How long it waits at most before it asks again for room under a quota."""


class TuningJob:
    """One tuning job. moto keeps it among its own, and reads ``tags`` and ``arn``.

    :param spec: what was asked for.
    :param warm_start: what it goes on from.
    :param registry: where it makes its training jobs.
    :param clock: the emulated time.
    :param keep: is told of it after each change, with its lock held.
    :param announce: is told of it after each change of its status, with its lock held: it has to be short.
    """

    def __init__(
        self,
        spec: TuningJobSpec,
        warm_start: WarmStart,
        registry: Registry,
        clock: Clock,
        keep: Callable[[TuningJob], None],
        announce: Callable[[TuningJob], None],
    ) -> None:
        self.spec = spec
        self.warm_start = warm_start
        self.creation_time = self.last_modified_time = clock.now()
        self._tags = Tags(spec.tags, self.creation_time)
        self.end_time: datetime | None = None
        self.convergence_time: datetime | None = None
        self.status = "InProgress"
        self.failure_reason: str | None = None
        self.finish: completion.Finish | None = None
        self.members: list[Member] = []
        self.in_order_of_ending: list[Member] = []
        self.waits_for_room = False
        self._launcher = Launcher(spec, warm_start, registry)
        self._clock = clock
        self._keep = keep
        self._announce = announce
        self._lock = threading.RLock()

    # What the API asks

    @property
    def name(self) -> str:
        """HyperParameterTuningJobName."""
        return self.spec.name

    @property
    def arn(self) -> str:
        """HyperParameterTuningJobArn."""
        return self.spec.arn

    @property
    def tags(self) -> list[dict[str, str]]:
        """Its tags; moto reads them too."""
        return self._tags.present

    @tags.setter
    def tags(self, tags: list[dict[str, str]]) -> None:
        self._tags.replace(tags, self._clock.now())

    @property
    def age_seconds(self) -> float:
        """How long it has been there."""
        return (self._clock.now() - self.creation_time).total_seconds()

    @property
    def has_ended(self) -> bool:
        """Whether it has Completed, Failed or Stopped."""
        return self.status in _ENDED

    @property
    def losses(self) -> list[float]:
        """The objectives of its training jobs in the order in which they ended, less being better."""
        losses = [member.loss for member in list(self.in_order_of_ending)]
        return [loss for loss in losses if loss is not None]

    @property
    def best(self) -> Member | None:
        """The training job that completed with the best objective so far, or, where none has, the best that was stopped."""
        evaluated = [(member, member.loss) for member in list(self.members)]
        ranked = sorted(
            (member.training_job.training_job_status != "Completed", loss, member.number, member)
            for member, loss in evaluated
            if loss is not None
        )
        return ranked[0][3] if ranked else None

    @property
    def runtime_seconds(self) -> float:
        """How long it has been running."""
        return ((self.end_time or self._clock.now()) - self.creation_time).total_seconds()

    def describe(self) -> dict[str, Any]:
        """DescribeHyperParameterTuningJob's answer."""
        with self._lock:
            return description.described(self)

    def tags_before(self, lag_seconds: float) -> list[dict[str, str]]:
        """Its tags as they were some seconds ago."""
        return self._tags.at(self._clock.now() - timedelta(seconds=lag_seconds))

    def summarize(self) -> dict[str, Any]:
        """Its HyperParameterTuningJobSummary."""
        with self._lock:
            return description.summarized(self)

    def stop(self) -> bool:
        """Stop its training jobs, and then itself.

        :return: False if it is stopping or has ended already.
        """
        with self._lock:
            if self.status != "InProgress":
                return False
            self.finish = completion.Finish("Stopped")
            self._set_status("Stopping")
            self._clock.call_later(0, self.advance)
            return True

    # What it goes through

    def begin(self) -> None:
        """Begin its life."""
        with self._lock:
            self._change()
            self._announce(self)
            self.take_up()

    def retag(self, tags: list[dict[str, str]]) -> None:
        """Have these tags, and no others."""
        with self._lock:
            self.tags = tags
            self._keep(self)

    def take_up(self) -> None:
        """Go on, after the server was lost too."""
        with self._lock:
            runtime = self.spec.max_runtime_seconds
            if runtime is not None:
                self._clock.call_at(self.creation_time + timedelta(seconds=runtime), self._run_out_of_time)
            if self.spec.watches_training_jobs:
                self._look_later()
            self._clock.call_later(0, self.advance)

    def advance(self) -> None:
        """Take in what training jobs have come to, and launch others, or end; an event of the clock."""
        with self._lock:
            if self.has_ended:
                return
            self._take_in()
            if self.finish is None:
                self.finish = self._finish_now()
            if self.finish is None:
                self._launch()
            if self.finish is not None:
                self._stop_members()
            if not self._running:
                self._end_if_done()

    def _take_in(self) -> None:
        """Note what has ended since."""
        known = set(self.in_order_of_ending)
        ended = [member for member in self.members if member.has_ended and member not in known]
        if not ended:
            return
        self.in_order_of_ending += ended
        stale = completion.not_improving(self.losses)
        if self.convergence_time is None and stale >= completion.CONVERGED_AFTER:
            self.convergence_time = self._clock.now()
        self._change()

    def _finish_now(self) -> completion.Finish | None:
        """Whether it is past hope, or has what it was to find."""
        reason = self._failure(is_last=False)
        if reason is not None:
            return completion.Finish("Failed", reason)
        objective = self.spec.definitions[0].objective
        target = self.spec.criteria.get("TargetObjectiveMetricValue")
        target_loss = None if target is None or objective is None else objective.loss(target)
        return (
            completion.Finish("Completed")
            if completion.is_complete(self.spec.criteria, self.losses, target_loss)
            else None
        )

    def _launch(self) -> None:
        """Launch as many training jobs as may run at a time."""
        while (
            len(self._running) < self.spec.most_parallel and (definition := self._next_definition) is not None
        ):
            try:
                member = self._launcher.launch(definition, self.members, self.tags, self.creation_time)
            except ResourceLimitExceeded:
                if not self.waits_for_room:
                    self.waits_for_room = True
                    self._clock.call_later(_QUOTA_SECONDS, self._ask_again)
                return
            except ServiceException as refusal:
                log.warning("The tuning job %s cannot launch a training job: %s", self.name, refusal.message)
                self.finish = completion.Finish("Failed", f"ClientError: {refusal.message}")
                return
            self.members.append(member)
            self._change()

    def _stop_members(self) -> None:
        for member in self._running:
            member.training_job.stop()

    def _end_if_done(self) -> None:
        """End, if nothing is to come: of one that has all its training jobs, by what they have come to."""
        if self.finish is None and self._next_definition is not None:
            return
        self._take_in()
        if self.finish is None:
            reason = self._failure(is_last=True)
            self.finish = (
                completion.Finish("Completed") if reason is None else completion.Finish("Failed", reason)
            )
        self.failure_reason = self.finish.failure_reason
        self.end_time = self._clock.now()
        self._set_status(self.finish.status)

    def _failure(self, *, is_last: bool) -> str | None:
        completed = [member for member in self.in_order_of_ending if not member.failed]
        has_objective = any(definition.objective is not None for definition in self.spec.definitions)
        return completion.failure_of(
            ended=len(self.in_order_of_ending),
            completed=len(completed),
            evaluated=len(self.losses) if has_objective else len(completed),
            is_last=is_last,
        )

    def _run_out_of_time(self) -> None:
        with self._lock:
            if self.finish is None and not self.has_ended:
                self.finish = completion.Finish("Completed")
                self.advance()

    def _ask_again(self) -> None:
        with self._lock:
            self.waits_for_room = False
            self.advance()

    def _look_later(self) -> None:
        seconds = max(_LOOK_SECONDS, self._clock.emulated_seconds(_LEAST_REAL_LOOK_SECONDS))
        self._clock.call_later(seconds, self._look)

    def _look(self) -> None:
        """Stop the training jobs that are not worth going on with."""
        with self._lock:
            if self.has_ended:
                return
            for member in self._running:
                if member.training_job.secondary_status != "Training":
                    continue
                trials, trial = self._trials(member.definition), member.trial
                if trial.losses and (
                    member.definition.strategy.is_to_stop(trial, trials)
                    or (self.spec.stops_early and is_behind(trial, trials))
                ):
                    member.training_job.stop()
            self._look_later()

    @property
    def _next_definition(self) -> Definition | None:
        """What the next training job is made of; None if none is to come."""
        return self._launcher.next_definition(self.members)

    @property
    def _running(self) -> list[Member]:
        return [member for member in self.members if not member.has_ended]

    def _trials(self, definition: Definition) -> list[Trial]:
        return [member.trial for member in self.members if member.definition is definition]

    def _set_status(self, status: str) -> None:
        self.status = status
        self._change()
        self._announce(self)

    def _change(self) -> None:
        self.last_modified_time = self._clock.now()
        self._keep(self)
