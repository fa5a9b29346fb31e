"""The trigger of a task that may not submit yet: wait for its turn in the triggerer, holding no worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_spot_provider.triggers._watching import WatchingTrigger, key_of, shortest_deferral


class SageMakerSpotTurnTrigger(WatchingTrigger):
    """Wait until a task may try again to submit its job: those who have waited longest go first.

    It ends with one event, ``{"waited_since", "ahead"}``: its place, and how many were before it when it came. There is no job yet, so a kill of the task has nothing to stop. Started again in
    another triggerer it has the place that it had.

    :param waits_for: what there is not enough of, such as a quota's name; one queue for each.
    :param since: when the task began to wait, epoch seconds.
    :param again: whether it comes back from a try that was refused.
    :param connection: ``aws_conn_id``, ``region_name``, ``verify``, ``botocore_config`` and ``poll_interval``, as the operator
        takes them.
    """

    def __init__(self, waits_for: str, *, since: float, again: bool = False, **connection: Any) -> None:
        super().__init__(**connection)
        self.waits_for = waits_for
        self.since = since
        self.again = again

    def arguments(self) -> dict[str, Any]:
        """The arguments that are this trigger's own."""
        return {"waits_for": self.waits_for, "since": self.since, "again": self.again}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the turn, and yield one event when it has come."""
        ti, watcher = self.task_instance, self.watcher()
        ticket = watcher.queue_up(
            self.waits_for,
            since=self.since,
            waited=self._waited(),
            stay=shortest_deferral(),
            task=key_of(ti) if ti is not None else self.since,
        )
        try:
            ahead = watcher.turns.ahead_of(ticket)
            if not self.again:
                self.logger().info(
                    "Waiting for %s; %s.",
                    self.waits_for,
                    f"{ahead} ahead" if ahead else "the next in the queue",
                )
            await ticket.turn()
        finally:
            watcher.leave_queue(ticket)
        yield TriggerEvent({"waited_since": self.since, "ahead": ahead})

    def _waited(self) -> float:
        return max(0.0, datetime.now(UTC).timestamp() - self.since)
