"""Makes sure, again and again, that the present state of every watched job of one kind is known, with as few calls as it takes.

- A look is a sweep over the jobs that are due. It remembers nothing of what *must have* changed since the last one: every sweep asks
  how each of these jobs is now.
- A page of the list, newest first, tells the state of a hundred jobs in one call. The sweep reads as many pages as are cheaper than
  a description of each job that they show, and describes the rest: a training of three weeks under twenty thousand
  newer jobs costs one call, not two hundred.
- Only a job that has changed is described, so that its task's log can tell each transition.
- An event (push) has a job described at once. The sweep is slow then, and finds what no event told of.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from contextlib import suppress

from airflow_spot_provider.aws.errors import is_denied, is_not_found, is_worth_a_retry
from airflow_spot_provider.aws.kinds import Description, Kind
from airflow_spot_provider.aws.lag import lag_seconds
from airflow_spot_provider.aws.standing import Stage, Standing
from airflow_spot_provider.aws.watching.describe_queue import ORDINARY, URGENT, DescribeQueue
from airflow_spot_provider.aws.watching.line import AT_ONCE, Line
from airflow_spot_provider.aws.watching.lists import Lists, Page
from airflow_spot_provider.aws.watching.metrics import Metrics
from airflow_spot_provider.aws.watching.pace import seconds_to_next_look
from airflow_spot_provider.aws.watching.subscription import Sighting, Subscription
from airflow_spot_provider.aws.watching.trouble import say_it_is_over, tell_of_trouble
from airflow_spot_provider.aws.watching.watched import WatchedJob
from airflow_spot_provider.training.lifecycle import instant

log = logging.getLogger(__name__)

_GATHER, _GATHER_CROWD = 0.05, 0.2
"""Seconds from one new job to the next, and the share of the interval in all (a second at most), for which a sweep waits for more of them:
a crowd comes within moments, and a job that comes when the pages are half read is found by the next sweep only."""
_GATHER_SHARE, _GATHER_AT_MOST = 0.1, 3.0
"""Of the interval, and in seconds: while new jobs keep coming, so much lies between two looks for them."""
_AHEAD = 0.4
"""Of its interval: a job that is due so soon is looked at together with those that are due now. Less than the quickest pace."""
_BACKLOG = 100
"""With more jobs to describe than these, an ended one is told by its summary."""
_FEW = 20
_LAG_SECONDS = 1.0
_DISTRUST_SECONDS = 600.0
_EVENT_SECONDS = 30.0
_UNUSED_INTERVAL = 30.0


class Poller:
    """Watches the jobs of one kind over one line.

    :param kind: training jobs or tuning jobs.
    :param line: makes the calls.
    :param jitter: spreads what is repeated.
    :param metrics: where it is counted and measured.
    """

    def __init__(self, kind: Kind, line: Line, *, jitter: random.Random, metrics: Metrics) -> None:
        self._kind = kind
        self._line = line
        self._jitter = jitter
        self._metrics = metrics
        self._jobs: dict[str, WatchedJob] = {}
        self._queue = DescribeQueue(self._describe)
        self._lists = Lists(kind, line)
        self._wake = asyncio.Event()
        self._next_sweep = math.inf
        self._swept_at = -math.inf
        self._crowd_since: float | None = None
        self._gather_until = -math.inf
        self._news_at = 0.0
        self._events_arrive = False
        self._distrust_until = 0.0

    # Who waits

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, subscription: Subscription) -> None:
        """Someone waits for a job, which is looked for at once."""
        now = self._now()
        interval = subscription.poll_interval
        due = max(now + _GATHER, self._swept_at + min(_GATHER_SHARE * interval, _GATHER_AT_MOST))
        self._crowd_since = now if self._crowd_since is None else self._crowd_since
        self._gather_until = min(now + _GATHER, self._crowd_since + min(_GATHER_CROWD * interval, 1.0))
        job = self._jobs.setdefault(subscription.job_name, WatchedJob(due))
        job.join(subscription)
        self._look_by(job, due)
        self._news_at = now

    def remove(self, subscription: Subscription) -> None:
        """Someone waits no more."""
        job = self._jobs[subscription.job_name]
        job.leave(subscription)
        if not job.subscriptions:
            del self._jobs[subscription.job_name]

    @property
    def interval(self) -> float:
        """The shortest ``poll_interval`` of all who wait, seconds."""
        return min((job.interval for job in self._jobs.values()), default=_UNUSED_INTERVAL)

    # What happens

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(AT_ONCE):
                        tasks.create_task(self._queue.run())
                    tasks.create_task(self._line.warm_up())
                    tasks.create_task(tell_of_trouble(self._line, lambda: self.interval, self._subscriptions))
                    while True:
                        await self._until_a_job_is_due()
                        await self._sweep()
            except Exception:
                # A bug, or an answer of another shape, must not end anybody's wait: the jobs go on.
                log.exception("A look at the watched %ss failed; the next one follows.", self._kind.noun)
            await asyncio.sleep(self.interval)

    def announce(self, detail: Description) -> None:
        """An event told of a change: a hint to look, which may be late, repeated or about somebody else's job."""
        name = str(detail.get(self._kind.name))
        job = self._jobs.get(name)
        if job is None:
            return
        seen = self._kind.seen(detail)
        if seen.modified is not None:
            job.announced = max(seen.modified, job.announced or seen.modified)
        if self._kind.compare(job.known, seen) is Standing.NEWS:
            self._hint(job, detail)
            self._queue.want(name, URGENT)

    def events_arrive(self, arrive: bool) -> None:
        """Whether the queue can be read: sweeps are then only the safety net, unless events were missing lately."""
        self._events_arrive = arrive
        if not arrive:
            self._look_sooner()

    async def _until_a_job_is_due(self) -> None:
        while self._now() < (begin := max(self._next_sweep, self._gather_until)):
            self._wake.clear()
            when = None if math.isinf(begin) else begin
            with suppress(TimeoutError):
                async with asyncio.timeout_at(when):
                    await self._wake.wait()

    # Looking

    async def _sweep(self) -> None:
        """Find out how each job is that is due."""
        began = self._swept_at = self._now()
        self._next_sweep = math.inf
        self._crowd_since = None
        due = {
            name: job
            for name, job in self._jobs.items()
            if job.due <= began + _AHEAD * job.interval and not job.is_over
        }
        spread = 0.9 + self._jitter.random() / 10
        for job in due.values():
            self._plan_next(job, began, spread)

        def _take(page: Page) -> None:
            for name, summary in page.items():
                if (job := self._jobs.get(name)) is not None and not job.is_over:
                    self._plan_next(job, began, spread)
                    self._listed(name, job, summary)

        try:
            for name in await self._lists.look_for({name: job.created for name, job in due.items()}, _take):
                if name in self._jobs:
                    self._queue.want(name, ORDINARY)
        finally:
            next_due = min((job.due for job in self._jobs.values() if not job.is_over), default=math.inf)
            self._next_sweep = min(self._next_sweep, next_due)
        self._metrics.timing("poll_duration", self._now() - began, kind=self._kind.noun)
        self._metrics.gauge("watched_jobs", len(self._jobs), kind=self._kind.noun)

    def _listed(self, name: str, job: WatchedJob, summary: Description) -> None:
        """Take in what a list says of a watched job."""
        seen = self._kind.seen(summary)
        if self._kind.compare(job.known, seen) is not Standing.NEWS or not self._is_same_job(
            name, job, summary
        ):
            return
        first = job.known is None
        if seen.stage is Stage.ENDED:
            job.end = summary
            if self._line.is_strained or len(self._queue) > _BACKLOG:
                self._deliver(job, Sighting(summary, whole=False))
            else:
                self._queue.want(name, URGENT)
        elif (
            first
            and seen.stage is Stage.RUNNING
            and (self._kind.is_at_its_beginning(summary) or len(self._jobs) > _FEW)
        ):
            # Among many, what a job went through before it was first seen here is told with its next change.
            self._deliver(job, Sighting(summary, whole=False))
        elif seen != job.hinted or seen.stage is Stage.OVER:
            # What no description agrees with is asked about once, unless the end is at stake.
            self._hint(job, summary)
            self._queue.want(name, ORDINARY)

    # Describing

    async def _describe(self, name: str) -> None:
        if (job := self._jobs.get(name)) is None or job.is_over:
            return
        try:
            description = await self._line.call(
                self._kind.describe, patient=job.end is None, **{self._kind.name: name}
            )
        except Exception as error:  # noqa: BLE001 - _not_described() tells it to whoever waits for the job
            if self._jobs.get(name) is job:
                self._not_described(name, job, error)
            return
        if self._jobs.get(name) is job and not job.is_over:
            self._described(name, job, description)

    def _described(self, name: str, job: WatchedJob, description: Description) -> None:
        job.missing_since = None
        if not self._is_same_job(name, job, description):
            return
        seen = self._kind.seen(description)
        if job.end is not None and seen.stage is not Stage.ENDED:
            # The list is ahead of this answer.
            self._deliver(job, Sighting(job.end, whole=False))
            return
        if job.hinted is not None and self._kind.compare(seen, job.hinted) is Standing.NEWS:
            # So is it, or an event.
            if (seconds := job.seconds_until_it_catches_up()) is not None:
                self._queue.want_later(name, seconds)
        else:
            job.has_caught_up()
        if self._kind.compare(job.known, seen) is Standing.NEWS:
            self._deliver(job, Sighting(description, whole=True))

    def _not_described(self, name: str, job: WatchedJob, error: Exception) -> None:
        if job.end is not None:
            self._deliver(job, Sighting(job.end, whole=False))
        elif is_not_found(error) or (is_denied(error) and job.known is None):
            # It was created a moment ago, and SageMaker or IAM does not know everywhere yet.
            now = self._now()
            job.missing_since = now if job.missing_since is None else job.missing_since
            if now - job.missing_since < lag_seconds(error):
                self._queue.want_later(name, min(job.interval, 5.0))
            elif is_not_found(error):
                self._give_up(job, self._kind.not_found(name), error)
            else:
                self._give_up(job, self._kind.not_watched(name, error), error)
        elif is_worth_a_retry(error):
            self._queue.want_later(name, _LAG_SECONDS)
        else:
            self._give_up(job, self._kind.not_watched(name, error), error)

    # Telling

    def _deliver(self, job: WatchedJob, sighting: Sighting) -> None:
        now, first = self._now(), job.known is None
        seen = job.known = self._kind.seen(sighting.description)
        job.end = job.missing_since = None
        job.is_over = seen.stage is Stage.ENDED
        self._news_at = now
        if not first and seen.modified is not None and self._line.told_at is not None:
            delay = max(0.0, self._line.told_at.timestamp() - seen.modified)
            self._metrics.timing("detection_delay", delay, kind=self._kind.noun)
            if (
                self._events_arrive
                and delay >= _EVENT_SECONDS
                and (job.announced or 0.0) < int(seen.modified)
            ):
                self._was_not_announced(now)
        for subscription in job.subscriptions:
            if self._kind.compare(subscription.known, seen) is Standing.NEWS:
                subscription.known = seen
                say_it_is_over(subscription)
                subscription.put(sighting)

    def _give_up(self, job: WatchedJob, error: Exception, cause: Exception) -> None:
        error.__cause__ = cause
        job.is_over = True
        for subscription in job.subscriptions:
            subscription.put(error)

    def _was_not_announced(self, now: float) -> None:
        """A look has found what an event should have told long ago: look at the usual pace for a while."""
        self._metrics.incr("push_missed", kind=self._kind.noun)
        if now >= self._distrust_until:
            log.warning(
                "A %s has changed and no event told of it: is the rule there, and does nobody else read this queue? Polling "
                "at the usual interval for %.0f s. See docs/push.md.",
                self._kind.noun,
                _DISTRUST_SECONDS,
            )
        self._distrust_until = now + _DISTRUST_SECONDS
        self._look_sooner()

    def _is_same_job(self, name: str, job: WatchedJob, description: Description) -> bool:
        created = _created(description)
        if created is None:
            return True
        if job.created is None:
            told_at = self._line.told_at
            job.created = created
            job.born_at = self._now() - (0.0 if told_at is None else max(0.0, told_at.timestamp() - created))
        if abs(created - job.created) <= 1.0:
            return True
        self._give_up(
            job, self._kind.another(name), ValueError(f"created at {created:.0f}, not {job.created:.0f}")
        )
        return False

    def _hint(self, job: WatchedJob, shown: Description) -> None:
        seen = self._kind.seen(shown)
        if job.hinted is None or self._kind.compare(job.hinted, seen) is Standing.NEWS:
            job.hinted = seen
            job.has_caught_up()

    def _subscriptions(self) -> list[Subscription]:
        return [subscription for job in self._jobs.values() for subscription in job.subscriptions]

    # When

    def _look_by(self, job: WatchedJob, due: float) -> None:
        job.due = min(job.due, due)
        if job.due < self._next_sweep:
            self._next_sweep = job.due
            self._wake.set()

    def _plan_next(self, job: WatchedJob, began: float, spread: float) -> None:
        """Plan the next look at a job: all that one sweep looks at is due together again."""
        seconds = seconds_to_next_look(
            job.interval,
            age=began - (began if job.born_at is None else job.born_at),
            quiet_for=began - self._news_at,
            events_arrive=self._events_arrive and began >= self._distrust_until,
        )
        job.due = began + spread * seconds

    def _look_sooner(self) -> None:
        """The safety net is not enough any more."""
        now = self._now()
        for job in self._jobs.values():
            self._look_by(job, now + job.interval)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _created(description: Description) -> float | None:
    """CreationTime in epoch seconds, by SageMaker's clock."""
    created = instant(description.get("CreationTime"))
    return None if created is None else created.timestamp()
