"""What a task does when SageMaker takes no more jobs just now: it waits its turn, without a worker and without a retry spent."""

from __future__ import annotations

import random
import time
from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator

from airflow_spot_provider.aws.errors import Backoff
from airflow_spot_provider.aws.watching.turns import LONGEST_PAUSE, SHORTEST_PAUSE
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import MustWaitItsTurn, WaitedInVain
from airflow_spot_provider.training.narration import duration
from airflow_spot_provider.training.phases import WAITING_FOR_A_TURN, phase_of
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.triggers._progress import PROGRESS_KEY
from airflow_spot_provider.triggers.turn import SageMakerSpotTurnTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class TurnTakingOperator(AwsBaseOperator[SageMakerSpotHook]):
    """A task whose submit may have to wait for others' jobs to end."""

    aws_hook_class = SageMakerSpotHook
    deferrable: bool
    poll_interval: float

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._waits_since: float | None = None
        self._pauses = Backoff(random.Random(), base=SHORTEST_PAUSE, cap=LONGEST_PAUSE)

    @abstractmethod
    def execute(self, context: Context) -> Any:
        """Submit."""

    def take_turn(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Try again: it is this task's turn. A submit is idempotent, so nothing is remembered but the place in the queue."""
        if event is not None:
            self._waits_since = event["waited_since"]
            waited = duration(datetime.now(UTC).timestamp() - event["waited_since"])
            # Airflow keeps the log of a task's newest trigger only: what this one's said is said here.
            self.log.info("It is this task's turn, after %s; %s were ahead of it.", waited, event["ahead"])
        return self.execute(context)

    def _await_turn(self, context: Context, refusal: MustWaitItsTurn, progress: dict[str, Any]) -> None:
        """Wait until it is worthwhile to try again: deferred, which does not return, or in the worker.

        :param progress: what is published meanwhile, besides why the task waits.
        :raises WaitedInVain: it has waited for as long as this is to be waited for.
        """
        now = datetime.now(UTC).timestamp()
        again, since = self._waits_since is not None, self._waits_since or now
        self._waits_since = since
        if refusal.at_most is not None and now - since >= refusal.at_most:
            raise WaitedInVain(
                f"{refusal.why} The task has waited for {duration(now - since)}. Nothing has been submitted; a retry waits anew."
            ) from refusal
        if again:
            self.log.info(
                "%s The task keeps its place; it has waited for %s.", refusal.why, duration(now - since)
            )
        else:
            self.log.info(
                "%s The task waits its turn, the oldest first, %s. Nothing has been submitted, and no retry is spent.",
                refusal.why,
                "deferred" if self.deferrable else "in this worker",
            )
            if self.do_xcom_push:
                told_since = iso(datetime.fromtimestamp(since, UTC))
                progress = {
                    **progress,
                    "status": WAITING_FOR_A_TURN,
                    "phase": phase_of(WAITING_FOR_A_TURN),
                    "since": told_since,
                    "waits_for": refusal.waits_for,
                    "waits_since": told_since,
                }
                context["ti"].xcom_push(key=PROGRESS_KEY, value=progress)
        if not self.deferrable:
            time.sleep(self._pauses.next_delay())
            return
        self.defer(
            trigger=SageMakerSpotTurnTrigger(refusal.waits_for, since=since, again=again, **self._settings),
            method_name=self.take_turn.__name__,
            timeout=self._time_left(),
        )

    def _time_left(self) -> timedelta | None:
        """What is left of execution_timeout, which Airflow counts anew with each deferral."""
        if self.execution_timeout is None or self._waits_since is None:
            return self.execution_timeout
        waited = timedelta(seconds=datetime.now(UTC).timestamp() - self._waits_since)
        return max(self.execution_timeout - waited, timedelta(seconds=1))

    @property
    def _settings(self) -> dict[str, Any]:
        """What any trigger needs to reach SageMaker as this operator does."""
        return {
            "aws_conn_id": self.aws_conn_id,
            "region_name": self.region_name,
            "verify": self.verify,
            "botocore_config": self.botocore_config,
            "poll_interval": self.poll_interval,
        }
