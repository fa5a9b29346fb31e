"""One look at the jobs: SageMaker is asked which there are, Airflow's metadata database who waits for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_spot_provider._compat.sdk import conf
from airflow_spot_provider.cli.database import NoDatabase, metadata_database
from airflow_spot_provider.cli.jobs.standing import JudgedJob, Standing, judged
from airflow_spot_provider.cli.jobs.waiting import tasks_of
from airflow_spot_provider.hooks._tagged import TaggedJob, seen_anew, tagged_jobs
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has found.

    :param jobs: the newest first.
    :param now: when, by AWS's clock.
    :param no_database: why Airflow's metadata database cannot be read; None if it can.
    """

    jobs: tuple[JudgedJob, ...]
    now: datetime
    no_database: str | None

    def of(self, standing: Standing) -> list[JudgedJob]:
        """Those of which this is to be thought."""
        return [each for each in self.jobs if each.standing is standing]


class Looks:
    """Looks at the jobs of one account and region.

    :param hook: asks SageMaker.
    :param warn: is told once what makes a look a poor one.
    """

    def __init__(self, hook: SageMakerSpotHook, *, warn: Callable[[str], None]) -> None:
        self._hook = hook
        self._warn = warn
        self._warned: set[str] = set()

    @property
    def deployment(self) -> str:
        """Which Airflow this is."""
        return str(conf.get("airflow_spot", "deployment", fallback=""))

    def all(self, *, ended_since: datetime | None = None) -> Seen:
        """Look at all jobs that are in progress.

        :param ended_since: and at those that have ended since.
        """
        found = tagged_jobs(self._hook, ended_since=ended_since)
        if found.not_searched is not None:
            self._warn_once(
                f"SageMaker does not search for these credentials ({found.not_searched}), so each job is asked about on its own, "
                "with a call or two. The permission sagemaker:Search spares that."
            )
        seen, no_database = self._judged(found.jobs)
        if no_database is not None:
            self._warn_once(f"{no_database} Which tasks wait for the jobs is not known.")
        # A search may be a moment behind: what looks like an orphan may have ended.
        jobs = [self.again(each) or each if each.standing is Standing.ORPHAN else each for each in seen]
        return Seen(tuple(jobs), found.now, no_database)

    def again(self, before: JudgedJob) -> JudgedJob | None:
        """Look at one job again, and at its task; None if the job is gone.

        :raises NoDatabase: the metadata database cannot be read.
        """
        job = seen_anew(self._hook.jobs(before.job.kind), before.job)
        if job is None:
            return None
        [seen], no_database = self._judged([job])
        if no_database is not None:
            raise NoDatabase(no_database)
        return seen

    def _judged(self, jobs: Sequence[TaggedJob]) -> tuple[list[JudgedJob], str | None]:
        try:
            with metadata_database() as session:
                tasks = tasks_of(session, jobs, self.deployment)
        except NoDatabase as error:
            return [judged(job, None, airflow_is_known=False) for job in jobs], str(error)
        return [judged(job, tasks.get(job.name), airflow_is_known=True) for job in jobs], None

    def _warn_once(self, sentence: str) -> None:
        if sentence not in self._warned:
            self._warned.add(sentence)
            self._warn(sentence)
