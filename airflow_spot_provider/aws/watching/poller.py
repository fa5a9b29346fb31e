"""Finds out what changed of the watched jobs of one kind, with as few calls as it takes.

- A job that is new here is looked for among those in progress, a hundred a call, newest first.
- After that a poll lists what was modified since the newest change that SageMaker has told of. It costs what changed, not
  what is watched and not what exists.
- Only a watched job that changed is described. Where that is cheaper than listing (few watched, many changes that are not
  ours), the watched ones are described instead.
- A slow reconciliation looks at every watched job, for what a filter by time could miss.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection

from airflow_spot_provider.aws.errors import (
    NOT_FOUND_GRACE_SECONDS,
    is_not_found,
    is_worth_a_retry,
)
from airflow_spot_provider.aws.kinds import Description, Kind, modified_of
from airflow_spot_provider.aws.watching.cursor import Cursor
from airflow_spot_provider.aws.watching.describe_queue import ORDINARY, URGENT, DescribeQueue
from airflow_spot_provider.aws.watching.expectations import Expectations
from airflow_spot_provider.aws.watching.line import AT_ONCE, Line
from airflow_spot_provider.aws.watching.lists import PAGE, Lists
from airflow_spot_provider.aws.watching.metrics import Metrics
from airflow_spot_provider.aws.watching.pace import Pace
from airflow_spot_provider.aws.watching.subscription import Sighting, Subscription
from airflow_spot_provider.aws.watching.trouble import say_it_is_over, tell_of_trouble
from airflow_spot_provider.aws.watching.watched import Watched, is_older
from airflow_spot_provider.training.lifecycle import instant

log = logging.getLogger(__name__)

RECONCILE_SECONDS = 300.0
_GATHER, _GATHER_AT_MOST = 0.05, 1.0
"""Seconds in which new jobs are gathered, so that one listing finds many."""
_BACKLOG = 100
"""With more jobs to describe than these, an ended one is told by its summary."""
_FEW = 20
_LAG_SECONDS = 1.0
_LIST_AGAIN, _LIST_AGAIN_AT_MOST = 4, 64
_DISTRUST_SECONDS = 600.0
_EVENT_SECONDS = 30.0


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
        self.pace = Pace(jitter)
        self._cursor = Cursor()
        self._expectations = Expectations(kind, self.pace)
        self._jobs: dict[str, Watched] = {}
        self._fresh: dict[str, None] = {}
        self._news = asyncio.Event()
        self._queue = DescribeQueue(self._describe)
        self._next_poll = 0.0
        self._reconcile_at = 0.0
        self._lists = Lists(kind, line)
        self._pages = 1.0
        self._polls_without_list = 0
        self._list_again = _LIST_AGAIN
        self._distrust_until = 0.0
        self._queue_is_read = False

    # Who waits

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, subscription: Subscription) -> None:
        """Someone waits for a job."""
        now = self._now()
        if not self._jobs:
            self._reconcile_at = now + self._reconcile_in()
        job = self._jobs.setdefault(subscription.job_name, Watched())
        job.subscriptions = (*job.subscriptions, subscription)
        job.state = None
        self._fresh[subscription.job_name] = None
        self.pace.joined(subscription.poll_interval, now)
        self._next_poll = min(self._next_poll, now + self.pace.delay(now))
        self._news.set()

    def remove(self, subscription: Subscription) -> None:
        """Someone waits no more."""
        job = self._jobs[subscription.job_name]
        job.subscriptions = tuple(other for other in job.subscriptions if other is not subscription)
        self.pace.left(subscription.poll_interval)
        if not job.subscriptions:
            del self._jobs[subscription.job_name]
            self._fresh.pop(subscription.job_name, None)

    # What happens

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(AT_ONCE):
                        tasks.create_task(self._queue.run())
                    tasks.create_task(self._line.warm_up())
                    tasks.create_task(tell_of_trouble(self._line, self.pace, self._subscriptions))
                    while True:
                        await self._look()
            except Exception:
                # A bug, or an answer of another shape, must not end anybody's wait: the jobs go on.
                log.exception("A look at the watched %ss failed; the next one follows.", self._kind.noun)
            await asyncio.sleep(self.pace.interval)

    def announce(self, description: Description) -> None:
        """An event told of a change: a hint to look, which may be late, repeated or about somebody else's job."""
        job = self._jobs.get(str(description.get(self._kind.name)))
        if job is None:
            return
        modified = modified_of(description)
        if job.state is not None:
            known = job.state[-1]
            if modified is not None and known is not None and modified < known:
                return
            if self._kind.state_of(description) == job.state:
                return
        if modified is not None:
            job.announced = max(modified, job.announced or modified)
        self._queue.want(str(description[self._kind.name]), URGENT)

    async def _look(self) -> None:
        await self._until_there_is_something_to_do()
        if self._fresh:
            await self._find(tuple(self._fresh))
        now = self._now()
        if now < self._next_poll or not self._jobs:
            return
        if now >= self._reconcile_at:
            self._reconcile_at = now + self._reconcile_in()
            await self._find(tuple(self._jobs))
        else:
            await self._poll()
        ended = self._now()
        self.pace.events_arrive = self._queue_is_read and ended >= self._distrust_until
        self._next_poll = max(ended, now + self.pace.delay(now))
        self._metrics.timing("poll_duration", ended - now, kind=self._kind.noun)
        self._metrics.gauge("watched_jobs", len(self._jobs), kind=self._kind.noun)

    async def _until_there_is_something_to_do(self) -> None:
        while not self._jobs:
            self._news.clear()
            await self._news.wait()
        gathered_by: float | None = None
        while True:
            self._news.clear()
            now = self._now()
            if self._fresh:
                # They come in crowds: one listing finds them all.
                gathered_by = now + _GATHER_AT_MOST if gathered_by is None else gathered_by
                until = min(now + _GATHER, gathered_by)
            else:
                until = self._next_poll
            if until <= now:
                return
            try:
                async with asyncio.timeout_at(until):
                    await self._news.wait()
            except TimeoutError:
                return

    async def _find(self, names: Collection[str]) -> None:
        """Look at exactly these jobs, in the cheaper way: a page of those in progress, or a description each."""
        missing = set(names)
        pages = 0
        if len(missing) > 1 and self._lists.may_be_asked():
            async for page in self._lists.pages(StatusEquals="InProgress"):
                pages += 1
                for summary in page:
                    self._listed(summary)
                    missing.discard(summary[self._kind.name])
                if pages >= len(missing):
                    break
        for name in missing:
            if name in self._jobs:
                self._queue.want(name, ORDINARY)
                self._fresh.pop(name, None)

    async def _poll(self) -> None:
        """Look at what was modified since the newest change that SageMaker told of."""
        now = self._now()
        since = self._cursor.since(now)
        if not self._lists.may_be_asked() or self._is_cheaper_described():
            self._describe_all()
            return
        if since is None:
            await self._find(tuple(self._jobs))
            return
        self._cursor.begin()
        pages = 0
        async for page in self._lists.pages(LastModifiedTimeAfter=since):
            pages += 1
            for summary in page:
                self._listed(summary)
            if len(page) == PAGE and pages > len(self._jobs):
                # Too much changes that is not ours. What is described now, is described after what was listed.
                self._describe_all()
                break
        if not self._lists.may_be_asked():
            self._describe_all()
            return
        self._pages += (pages - self._pages) / 2
        if pages <= len(self._jobs):
            self._list_again = _LIST_AGAIN

    def _is_cheaper_described(self) -> bool:
        """Whether describing all costs no more calls than the last listings did. Now and then it is tried again."""
        if len(self._jobs) > self._pages:
            return False
        self._polls_without_list += 1
        if len(self._jobs) == 1 or self._polls_without_list < self._list_again:
            return True
        self._polls_without_list = 0
        self._list_again = min(2 * self._list_again, _LIST_AGAIN_AT_MOST)
        return False

    def _describe_all(self) -> None:
        for name in self._jobs:
            self._queue.want(name, ORDINARY)

    def _listed(self, summary: Description) -> None:
        modified = modified_of(summary)
        self._cursor.saw(modified, self._now())
        name = summary[self._kind.name]
        job = self._jobs.get(name)
        if job is None:
            return
        self._fresh.pop(name, None)
        state = self._kind.state_of(summary)
        if state == job.state:
            return
        first = job.state is None
        if not first and is_older(state, job.state):
            return
        if not self._is_same_job(name, job, summary):
            return
        if not first:
            self._was_not_announced(job, modified)
        if self._kind.has_ended(summary):
            job.summary = summary
            if self._line.is_strained or len(self._queue) > _BACKLOG:
                self._deliver(name, job, Sighting(summary, whole=False))
            else:
                self._queue.want(name, URGENT)
        elif first and (self._kind.is_at_its_beginning(summary) or len(self._jobs) > _FEW):
            # Among many, what a job went through before it was first seen here is told with its next change.
            self._deliver(name, job, Sighting(summary, whole=False))
        else:
            self._queue.want(name, ORDINARY)

    # Describing

    async def _describe(self, name: str) -> None:
        if name not in self._jobs:
            return
        ended = self._jobs[name].summary is not None
        try:
            description = await self._line.call(
                self._kind.describe, patient=not ended, **{self._kind.name: name}
            )
        except Exception as error:  # noqa: BLE001 - _not_described() tells it to whoever waits for the job
            if (job := self._jobs.get(name)) is not None:
                self._not_described(name, job, error)
            return
        if (job := self._jobs.get(name)) is None:
            return
        modified = modified_of(description)
        self._cursor.saw(modified, self._now())
        job.missing_since = None
        if job.summary is not None and not self._kind.has_ended(description):
            # The list is ahead of this answer.
            self._deliver(name, job, Sighting(job.summary, whole=False))
            return
        state = self._kind.state_of(description)
        if (job.announced or 0) > (modified or 0) and not self._kind.has_ended(description):
            # The event is ahead of this answer.
            job.announced = None
            self._queue.want_later(name, _LAG_SECONDS)
        if (job.state is not None and is_older(state, job.state)) or not self._is_same_job(
            name, job, description
        ):
            return
        if state == job.state and job.summary is None:
            return
        self._deliver(name, job, Sighting(description, whole=True))

    def _not_described(self, name: str, job: Watched, error: Exception) -> None:
        if job.summary is not None:
            self._deliver(name, job, Sighting(job.summary, whole=False))
        elif is_not_found(error):
            now = self._now()
            job.missing_since = now if job.missing_since is None else job.missing_since
            if now - job.missing_since < NOT_FOUND_GRACE_SECONDS:
                self._queue.want_later(name, min(self.pace.interval, 5.0))
            else:
                self._give_up(job, self._kind.not_found(name), error)
        elif is_worth_a_retry(error):
            self._queue.want_later(name, _LAG_SECONDS)
        else:
            self._give_up(job, self._kind.not_watched(name, error), error)

    # Telling

    def _deliver(self, name: str, job: Watched, sighting: Sighting) -> None:
        description, now = sighting.description, self._now()
        first = job.state is None
        job.state = self._kind.state_of(description)
        job.summary = job.missing_since = None
        self._fresh.pop(name, None)
        self.pace.news(now)
        modified = modified_of(description)
        if not first and modified is not None and self._line.told_at is not None:
            delay = max(0.0, self._line.told_at.timestamp() - modified)
            self._metrics.timing("detection_delay", delay, kind=self._kind.noun)
        if sighting.whole:
            group = job.subscriptions[0].group if job.subscriptions else None
            self._expectations.learn(description, group, now)
        for subscription in job.subscriptions:
            say_it_is_over(subscription)
            subscription.put(sighting)

    def _give_up(self, job: Watched, error: Exception, cause: Exception) -> None:
        error.__cause__ = cause
        for subscription in job.subscriptions:
            subscription.put(error)

    def _is_same_job(self, name: str, job: Watched, description: Description) -> bool:
        created = instant(description.get("CreationTime"))
        if created is None:
            return True
        seconds = int(created.timestamp())
        if job.created is None:
            job.created = seconds
        if abs(seconds - job.created) <= 1:
            return True
        self._give_up(job, self._kind.another(name), ValueError(f"created {created.isoformat()}"))
        return False

    def _was_not_announced(self, job: Watched, modified: int | None) -> None:
        """Polling found what an event should have told: fall back to the quick pace for a while."""
        if not self._queue_is_read or (job.announced or 0) >= (modified or 0):
            return
        if self._line.told_at is None or self._line.told_at.timestamp() - (modified or 0) < _EVENT_SECONDS:
            return  # its event may still be on its way
        self._metrics.incr("push_missed", kind=self._kind.noun)
        if self._now() >= self._distrust_until:
            log.warning(
                "A %s has changed and no event told of it: is the rule there, and does nobody else read this queue? Polling "
                "at the usual interval for %.0f s. See docs/push.md.",
                self._kind.noun,
                _DISTRUST_SECONDS,
            )
        self._distrust_until = self._now() + _DISTRUST_SECONDS

    def events_arrive(self, arrive: bool) -> None:
        """Whether the queue can be read: polling is then only the safety net, unless events were missing lately."""
        self._queue_is_read = arrive
        if not arrive:
            self._next_poll = min(self._next_poll, self._now() + self.pace.interval)
            self._news.set()

    def _subscriptions(self) -> list[Subscription]:
        return [subscription for job in self._jobs.values() for subscription in job.subscriptions]

    def _reconcile_in(self) -> float:
        return max(RECONCILE_SECONDS, 20 * self.pace.interval) * (0.9 + self._jitter.random() / 5)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
