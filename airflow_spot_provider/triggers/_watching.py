"""What triggers share: their settings, and the way to the one watcher of their connection and region."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger
from asgiref.sync import sync_to_async

from airflow_spot_provider._compat.sdk import conf
from airflow_spot_provider._compat.supervisor import task_states_in_triggerer
from airflow_spot_provider.aws.errors import Backoff
from airflow_spot_provider.aws.watching.events import QueueReader
from airflow_spot_provider.aws.watching.line import Connect, Line
from airflow_spot_provider.aws.watching.metrics import AirflowMetrics
from airflow_spot_provider.aws.watching.stopping import TaskKey
from airflow_spot_provider.aws.watching.watcher import Watcher, Watchers, watchers_of_this_loop
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import ConnectionNotFound

log = logging.getLogger(__name__)

_HEARTBEATS = 2


class WatchingTrigger(BaseTrigger):
    """A trigger that waits for a job of SageMaker.

    :param aws_conn_id: Airflow connection to take credentials, region, role and endpoint from.
    :param region_name: AWS region; None for the connection's.
    :param verify: whether to verify TLS certificates, or a path to a CA bundle.
    :param botocore_config: keyword arguments of ``botocore.config.Config``.
    :param poll_interval: seconds; a change is known within about two of them, and mostly within one.
    """

    def __init__(
        self,
        *,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        poll_interval: float = 30.0,
    ) -> None:
        super().__init__()
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.poll_interval = poll_interval

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """The arguments that are the trigger's own."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path, and every argument: nothing of the operator's settings is lost on the way."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                **self.arguments(),
                "aws_conn_id": self.aws_conn_id,
                "region_name": self.region_name,
                "verify": self.verify,
                "botocore_config": self.botocore_config,
                "poll_interval": self.poll_interval,
            },
        )

    def hook(self) -> SageMakerSpotHook:
        """A new hook with the operator's settings."""
        return self._settings.hook()

    def watcher(self) -> Watcher:
        """The watcher that all triggers with these settings share."""
        return watcher_for(self._settings)

    @property
    def _settings(self) -> Settings:
        return Settings(self.aws_conn_id, self.region_name, self.verify, self.botocore_config)


@dataclass(frozen=True, slots=True)
class Settings:
    """How AWS is reached: what tells watchers apart. A watcher keeps these, and no trigger.

    :param aws_conn_id: Airflow connection.
    :param region_name: AWS region; None for the connection's.
    :param verify: whether to verify TLS certificates, or a path to a CA bundle.
    :param botocore_config: keyword arguments of ``botocore.config.Config``.
    """

    aws_conn_id: str | None
    region_name: str | None
    verify: bool | str | None = None
    botocore_config: dict[str, Any] | None = None

    @property
    def key(self) -> Hashable:
        """What tells these from others."""
        return repr(self)

    def hook(self) -> SageMakerSpotHook:
        """A new hook: credentials may have been renewed since the last one."""
        return SageMakerSpotHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=self.botocore_config,
        )


def shortest_deferral() -> float:
    """Seconds that a task has to stay deferred.

    The scheduler fails a task that resumes before it has heard that the task was deferred: "finished with state success, but the
    task instance's state attribute is running". It hears of it with a heartbeat of the worker.
    """
    return _HEARTBEATS * float(conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0))


def key_of(task_instance: Any) -> TaskKey:
    """What tells the tasks that wait here apart, whatever they wait for."""
    ti = task_instance
    return TaskKey(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)


def watcher_for(settings: Settings) -> Watcher:
    """The watcher that triggers with the same settings share."""
    watchers = watchers_of_this_loop()
    return watchers.get(settings.key, lambda: _start(watchers, settings))


def _start(watchers: Watchers, settings: Settings) -> Watcher:
    jitter = watchers.jitter
    metrics = AirflowMetrics(settings.region_name or "default")

    def _client_of(service: str) -> Connect:
        async def _connect() -> AbstractAsyncContextManager[Any]:
            hook = settings.hook()
            try:
                client = await hook.connect(service)
            except (AirflowRuntimeError, ConnectionNotFound) as error:
                # It was there when the job was submitted.
                raise ConnectionError("Airflow did not hand out the AWS connection.") from error
            metrics.region = settings.region_name or hook.region_name or "default"
            return client

        return _connect

    async def _listen() -> None:
        queue = await _queue(settings, Backoff(jitter, base=5.0, cap=300.0))
        if queue is None:
            return

        def _reader() -> QueueReader:
            line = Line(_client_of("sqs"), jitter=jitter, metrics=metrics)
            return QueueReader(queue, line, metrics=metrics, backoff=Backoff(jitter, cap=300.0))

        # A name may be another queue for another connection; a URL is not.
        shared = queue if "/" in queue else (queue, settings.key)
        await watchers.listen(watcher, shared, _reader)

    watcher = Watcher(_client_of, ask_states=task_states_in_triggerer, jitter=jitter, metrics=metrics)
    watcher.start(_listen(), name="listening for events")
    return watcher


async def _queue(settings: Settings, backoff: Backoff) -> str | None:
    while True:
        try:
            return await sync_to_async(settings.hook().events_queue)()
        except ValueError as error:
            log.warning("%s Jobs are watched by polling.", error)
            return None
        except Exception as error:  # noqa: BLE001 - jobs are watched without events meanwhile
            log.info("It is not known yet whether there is a queue of events (%r).", error)
        await asyncio.sleep(backoff.next_delay())
