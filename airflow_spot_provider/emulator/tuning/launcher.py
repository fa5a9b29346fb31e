"""Launches the training jobs of a tuning job."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.spec import JobSpec
from airflow_spot_provider.emulator.tuning.definition import Definition
from airflow_spot_provider.emulator.tuning.member import Member
from airflow_spot_provider.emulator.tuning.spec import TuningJobSpec
from airflow_spot_provider.emulator.tuning.warm_start import WarmStart


class Launcher:
    """Chooses the definition and the hyperparameters of each training job, and makes it.

    :param spec: what was asked for.
    :param warm_start: what the tuning job goes on from.
    :param registry: where training jobs are made.
    """

    def __init__(self, spec: TuningJobSpec, warm_start: WarmStart, registry: Registry) -> None:
        self._spec = spec
        self._warm_start = warm_start
        self._registry = registry

    def next_definition(self, members: Sequence[Member]) -> Definition | None:
        """The definition with the fewest training jobs, so that all get the same share; None if there are enough."""
        if _launched(members) >= self._spec.most_training_jobs:
            return None
        counts = {id(definition): 0 for definition in self._spec.definitions}
        for member in members:
            counts[id(member.definition)] += 1
        unexhausted = [
            definition
            for definition in self._spec.definitions
            if definition.strategy.size is None or counts[id(definition)] < definition.strategy.size
        ]
        return min(unexhausted, key=lambda definition: counts[id(definition)], default=None)

    def launch(
        self,
        definition: Definition,
        members: Sequence[Member],
        tags: Sequence[Mapping[str, str]],
        created: datetime,
    ) -> Member:
        """Make the next training job.

        :param definition: what to make it of.
        :param members: those that there are.
        :param tags: the tuning job's.
        :param created: CreationTime of the tuning job.
        :raises ResourceLimitExceeded: there is no room for it under a quota now.
        :raises ServiceException: it cannot be made at all.
        """
        trials = [member.trial for member in members if member.definition is definition]
        trial_number = trials[-1].number + 1 if trials else 1
        number = _launched(members) + 1
        name = self._name(number, created)
        training_job = self._launched_before(name)
        if training_job is None:
            values = definition.strategy.suggest(
                trial_number, [*self._warm_start.trials_for(definition), *trials]
            )
            request = definition.training_job_request(name, values, tags)
            training_job = self._registry.create(
                JobSpec(request, self._spec.account_id, self._spec.region, tuning_job_arn=self._spec.arn)
            )
        given = training_job.spec.hyperparameters
        return Member(
            number,
            trial_number,
            definition,
            {each.name: given[each.name] for each in definition.ranges},
            training_job,
        )

    def _launched_before(self, name: str) -> TrainingJob | None:
        """The training job of this name, where the server was lost between launching it and noting so."""
        job = self._registry.of(self._spec.account_id, self._spec.region).get(name)
        return job if job is not None and job.spec.tuning_job_arn == self._spec.arn else None

    def _name(self, number: int, created: datetime) -> str:
        """``<tuning job>-<number>-<8 hex digits>``: the same for the same tuning job of the same time."""
        digest = hashlib.sha256(f"{self._spec.arn}/{created.isoformat()}/{number}".encode()).hexdigest()
        return f"{self._spec.name}-{number:03d}-{digest[:8]}"


def _launched(members: Sequence[Member]) -> int:
    """How many training jobs were launched; of a tuning job that was kept, some may have been deleted since."""
    return members[-1].number if members else 0
