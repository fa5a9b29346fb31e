"""All training jobs of the fake SageMaker's account: those that are watched, other people's, and what has long ended."""

from __future__ import annotations

import base64
import json
import random
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from benchmarks.watching.jobs import Job

_AGE_SECONDS = 3_600.0
_STARTING_SECONDS = 60.0
_CREATED_PER_SECOND, _YOUNG_CREATED_PER_SECOND = 100, 500
"""No two jobs have the same times. The young are closer together, so that all of them are young when they are watched."""
_OLD_EVERY_SECONDS, _OLD_SECONDS = 240.0, 600.0
CHANGE_SECONDS = 0.1
"""So much lies between two changes of other people's jobs."""
_CHANGES_PER_NEW_JOB = 20
_NEXT = {"Starting": "Training", "Training": "Interrupted", "Interrupted": "Starting"}


@dataclass(frozen=True)
class Setting:
    """What the account holds, and how it answers.

    :param watched: names of the jobs that somebody is going to wait for.
    :param others: how many jobs of other people's run; they were created between the watched ones.
    :param old: how many jobs ended before the first of those was created.
    :param young: the jobs that run were created within the last seconds and are ``Starting``, instead of an hour ago and ``Training``.
    :param filters_first: a list's filters are applied before its pages are cut. SageMaker documents the opposite.
    :param latency_seconds: what each answer takes.
    :param seed: of the order in which jobs were created, and of what happens to other people's.
    """

    watched: tuple[str, ...] = ()
    others: int = 0
    old: int = 0
    young: bool = False
    filters_first: bool = False
    latency_seconds: float = 0.02
    seed: int = 0


_KEYS: dict[str, Callable[[Job], tuple[Any, str]]] = {
    "CreationTime": lambda job: (job.created, job.name),
    "Name": lambda job: (job.name, job.name),
    "Status": lambda job: (job.status, job.name),
}


class Account:
    """The jobs, in every order that can be asked for.

    :param setting: what the account holds.
    """

    def __init__(self, setting: Setting) -> None:
        self._filters_first = setting.filters_first
        self._chance = random.Random(setting.seed)
        self._others: list[Job] = []
        self._jobs = {job.name: job for job in (*self._running(setting), *self._old(setting))}
        # Neither a job's creation time nor its name changes: these two orders are made once.
        self._orders = {by: sorted(self._jobs.values(), key=_KEYS[by]) for by in ("CreationTime", "Name")}

    def __getitem__(self, name: str) -> Job:
        """:raises KeyError: there is no such job."""
        return self._jobs[name]

    def change_others(self, now: float) -> None:
        """Have something happen to a job of other people's; now and then one ends, and a new one begins."""
        place = self._chance.randrange(len(self._others))
        job = self._others[place]
        if self._chance.randrange(_CHANGES_PER_NEW_JOB):
            job.move_on(_NEXT[job.secondary_status], now)
            return
        job.move_on("Completed", now)
        new = self._others[place] = Job(f"theirs-{len(self._jobs):05d}-new", now)
        self._jobs[new.name] = new
        for by, ordered in self._orders.items():
            insort(ordered, new, key=_KEYS[by])

    def page(self, query: Mapping[str, Any]) -> tuple[list[Job], str | None]:
        """The jobs of one ListTrainingJobs answer, and the token of the next.

        A page is cut first, and filtered then, as SageMaker does it: it may come back short, or empty, with a token. A token
        says after which job a page starts: what changes between two pages neither doubles nor hides another job.
        """
        by = query.get("SortBy", "CreationTime")
        descending = (
            query.get("SortOrder", "Descending" if by == "CreationTime" else "Ascending") == "Descending"
        )
        key = _KEYS[by]
        ordered = self._orders[by] if by in self._orders else sorted(self._jobs.values(), key=key)
        first, end = 0, len(ordered)
        if token := query.get("NextToken"):
            last = tuple(json.loads(base64.urlsafe_b64decode(token)))
            if descending:
                end = bisect_left(ordered, last, key=key)
            else:
                first = bisect_right(ordered, last, key=key)
        jobs = (ordered[n] for n in (reversed(range(first, end)) if descending else range(first, end)))
        if self._filters_first:
            jobs = (job for job in jobs if _matches(job, query))
        page = list(islice(jobs, int(query.get("MaxResults", 10))))
        more = next(jobs, None) is not None
        following = base64.urlsafe_b64encode(json.dumps(key(page[-1])).encode()).decode() if more else None
        return [job for job in page if _matches(job, query)], following

    def _running(self, setting: Setting) -> list[Job]:
        theirs = [f"theirs-{number:05d}" for number in range(setting.others)]
        names = [*setting.watched, *theirs]
        if theirs:
            self._chance.shuffle(names)
        now = time.time()
        rate = _YOUNG_CREATED_PER_SECOND if setting.young else _CREATED_PER_SECOND
        start = now - (len(names) / rate if setting.young else _AGE_SECONDS)
        running = {}
        for number, name in enumerate(names):
            created = round(start + number / rate, 3)
            running[name] = Job(name, created, began=None if setting.young else created + _STARTING_SECONDS)
        for name in setting.watched:
            running[name].write()
        self._others = [running[name] for name in theirs]
        return list(running.values())

    @staticmethod
    def _old(setting: Setting) -> list[Job]:
        last = time.time() - _AGE_SECONDS - _OLD_SECONDS
        created = (round(last - number * _OLD_EVERY_SECONDS, 3) for number in range(setting.old))
        return [
            Job(f"old-{number:05d}", at, began=at + _STARTING_SECONDS, ended=at + _OLD_SECONDS)
            for number, at in enumerate(created)
        ]


def _matches(job: Job, query: Mapping[str, Any]) -> bool:
    return (
        job.modified > query.get("LastModifiedTimeAfter", 0)
        and job.modified < query.get("LastModifiedTimeBefore", float("inf"))
        and job.created > query.get("CreationTimeAfter", 0)
        and job.created < query.get("CreationTimeBefore", float("inf"))
        and job.status == query.get("StatusEquals", job.status)
        and query.get("NameContains", "") in job.name
    )
