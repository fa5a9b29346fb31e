"""One watcher for each AWS connection and region, in the process (and event loop) that waits.

Who owns what::

    Watchers            all watchers of an event loop; :func:`watchers_of_this_loop` is the one place that has them
      QueueReader       one for each queue of events
      Watcher           one for each connection, region and client configuration: its line, its pollers, its life
        Turns           whose turn it is to submit, where SageMaker takes no more jobs just now
        Line            one for each AWS service: the one client; the pace of calls, and the patience, that all share
        Stopper         stops the jobs of killed tasks
        Poller          how the training jobs are now, and another for the tuning jobs
          Subscription  what one trigger holds: its job's news

A watcher is started by the first subscription and ended by the last, when the last job that is to be stopped has been. It runs outside of any trigger's context, so that
what it logs goes to the triggerer's own log.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from airflow_spot_provider.aws.kinds import Description, Kind
from airflow_spot_provider.aws.watching.events import QueueReader
from airflow_spot_provider.aws.watching.line import Connect, Line
from airflow_spot_provider.aws.watching.metrics import Metrics
from airflow_spot_provider.aws.watching.poller import Poller
from airflow_spot_provider.aws.watching.stopping import AskStates, Stop, Stopper
from airflow_spot_provider.aws.watching.subscription import Subscription
from airflow_spot_provider.aws.watching.turns import Ticket, Turns

_LINGER_SECONDS = 5.0
"""A watcher that nobody needs stays for so long: the next member of a fan-out then finds its client."""


class Watcher:
    """Watches the jobs of one connection and region, and stops those that nobody waits for any more.

    :param connect_to: gives what makes new clients of an AWS service.
    :param ask_states: asks Airflow what tasks are doing.
    :param jitter: spreads what is repeated.
    :param metrics: where it is counted and measured.
    """

    def __init__(
        self,
        connect_to: Callable[[str], Connect],
        *,
        ask_states: AskStates,
        jitter: random.Random,
        metrics: Metrics,
    ) -> None:
        self._connect_to = connect_to
        self._jitter = jitter
        self._metrics = metrics
        self._lines: dict[str, Line] = {}
        self._pollers: dict[Kind, Poller] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._end: asyncio.TimerHandle | None = None
        self._events_arrive = False
        self.turns = Turns(jitter)
        self.ended: Callable[[], None] = lambda: None
        self._stopper = Stopper(
            self.line("sagemaker"), ask_states, jitter=jitter, idle=self._end_unless_needed
        )
        self.start(self._stopper.run(), name="stopping jobs")
        self.start(self._keep_the_lines(), name="keeping the lines to AWS")

    def __len__(self) -> int:
        return sum(map(len, self._pollers.values())) + len(self.turns) + len(self._stopper)

    def line(self, service: str) -> Line:
        """The line to an AWS service, with this watcher's connection: one client for all who ask over it."""
        if service not in self._lines:
            self._lines[service] = Line(self._connect_to(service), jitter=self._jitter, metrics=self._metrics)
        return self._lines[service]

    def add(self, kind: Kind, subscription: Subscription) -> None:
        """Someone waits for a job of this kind."""
        self._stay()
        if kind not in self._pollers:
            poller = Poller(kind, self.line("sagemaker"), jitter=self._jitter, metrics=self._metrics)
            poller.events_arrive(self._events_arrive)
            self._pollers[kind] = poller
            self.start(poller.run(), name=f"watching {kind.noun}s")
        self._pollers[kind].add(subscription)

    def remove(self, kind: Kind, subscription: Subscription) -> None:
        """Someone waits no more; whoever is the last ends the watcher."""
        self._pollers[kind].remove(subscription)
        self._end_unless_needed()

    def stop_job(self, stop: Stop) -> None:
        """Have a job stopped. It is the watcher's own work from here on, which no trigger's end reaches."""
        self._stay()
        self._stopper.add(stop)

    def queue_up(self, waits_for: str, *, since: float, waited: float, stay: float, task: Hashable) -> Ticket:
        """Someone waits for a turn to submit; see :meth:`Turns.join`."""
        self._stay()
        return self.turns.join(waits_for, since=since, waited=waited, stay=stay, task=task)

    def leave_queue(self, ticket: Ticket) -> None:
        """Someone waits for a turn no more."""
        self.turns.leave(ticket)
        self._end_unless_needed()

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Start what lives as long as the watcher does, in a context of its own."""
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(work, name=name, context=contextvars.Context()))

    def announce(self, description: Description) -> None:
        """An event told of a job's change."""
        for kind, poller in self._pollers.items():
            if kind.name in description:
                poller.announce(description)

    def events_arrive(self, arrive: bool) -> None:
        """Whether events are read: polling is then only the safety net."""
        self._events_arrive = arrive
        for poller in self._pollers.values():
            poller.events_arrive(arrive)

    def _stay(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None

    def _end_unless_needed(self) -> None:
        if not len(self) and self._end is None:
            self._end = asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._stop)

    def _stop(self) -> None:
        self.ended()
        for task in self._tasks:
            task.cancel()

    async def _keep_the_lines(self) -> None:
        """Close the clients at the end, which may be the end of the whole loop, and of jobs to be stopped over them."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.ended()
            await self._stopper.finish()
            for line in self._lines.values():
                await line.close()


class Watchers:
    """All watchers of one event loop, and the readers of the queues from which they hear of changes.

    :param jitter: spreads what they repeat.
    """

    def __init__(self, jitter: random.Random) -> None:
        self.jitter = jitter
        self._watchers: dict[Hashable, Watcher] = {}
        self._readers: dict[Hashable, tuple[QueueReader, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._watchers)

    def get(self, key: Hashable, make: Callable[[], Watcher]) -> Watcher:
        """The watcher for these settings. It stays for a moment: whoever asks for it subscribes at once.

        :param key: what tells watchers apart: connection, region, client configuration.
        :param make: makes the watcher, if there is none.
        """
        watcher = self._watchers.get(key)
        if watcher is None:
            watcher = self._watchers[key] = make()
            watcher.ended = partial(self._forget, key, watcher)
        return watcher

    async def listen(self, watcher: Watcher, key: Hashable, make: Callable[[], QueueReader]) -> None:
        """Tell a watcher of the events in a queue until cancelled; watchers with the same queue share its reader.

        :param key: what tells queues apart.
        :param make: makes the reader, if there is none.
        """
        if key not in self._readers:
            reader = make()
            loop = asyncio.get_running_loop()
            task = loop.create_task(reader.run(), name="reading events", context=contextvars.Context())
            self._readers[key] = reader, task
        reader, task = self._readers[key]
        reader.add(watcher)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            reader.remove(watcher)
            if not len(reader):
                del self._readers[key]
                task.cancel()

    def _forget(self, key: Hashable, watcher: Watcher) -> None:
        if self._watchers.get(key) is watcher:
            del self._watchers[key]


_BY_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, Watchers] = WeakKeyDictionary()


def watchers_of_this_loop() -> Watchers:
    """The watchers of the running event loop: a triggerer has one loop, and a test has none from the test before."""
    loop = asyncio.get_running_loop()
    if loop not in _BY_LOOP:
        _BY_LOOP[loop] = Watchers(random.Random())
    return _BY_LOOP[loop]
