"""How triggers come to the one watcher of their connection and region."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from asgiref.sync import sync_to_async

from airflow_spot_provider.aws.errors import Backoff
from airflow_spot_provider.aws.watching.events import QueueReader
from airflow_spot_provider.aws.watching.kinds import Kind
from airflow_spot_provider.aws.watching.line import Connect, Line
from airflow_spot_provider.aws.watching.metrics import AirflowMetrics
from airflow_spot_provider.aws.watching.subscription import Subscription
from airflow_spot_provider.aws.watching.watcher import Watcher, watchers_of_this_loop
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook

log = logging.getLogger(__name__)


def subscribe(
    hook: Callable[[], SageMakerSpotHook], kind: Kind, subscription: Subscription, *, key: Hashable
) -> AbstractContextManager[Subscription]:
    """Watch a job for as long as the context lasts.

    :param hook: makes a hook with the trigger's settings. A new one for each client: credentials may have been renewed.
    :param key: the settings; triggers with the same ones share a watcher.
    """

    def _client_of(service: str) -> Connect:
        async def _connect() -> AbstractAsyncContextManager[Any]:
            try:
                return await hook().connect(service)
            except AirflowRuntimeError as error:
                raise ConnectionError("Airflow did not hand out the AWS connection.") from error

        return _connect

    watchers, jitter = watchers_of_this_loop(), random.Random()

    async def _listen(watcher: Watcher, metrics: AirflowMetrics) -> None:
        backoff = Backoff(jitter, base=5.0, cap=300.0)
        while True:
            try:
                queue = await sync_to_async(hook().events_queue)()
                break
            except ValueError as error:
                log.warning("%s Jobs are watched by polling.", error)
                return
            except Exception as error:  # noqa: BLE001 - jobs are watched without events meanwhile
                log.info("It is not known yet whether there is a queue of events (%s).", error)
                await asyncio.sleep(backoff.next_delay())
        if queue is None:
            return

        def _reader() -> QueueReader:
            line = Line(_client_of("sqs"), jitter=jitter, metrics=metrics)
            return QueueReader(queue, line, metrics=metrics, backoff=Backoff(jitter, cap=300.0))

        await watchers.listen(watcher, queue if "/" in queue else (queue, key), _reader)

    def _make() -> Watcher:
        metrics = AirflowMetrics(hook()._region_name or "default")
        watcher = Watcher(_client_of("sagemaker"), jitter=jitter, metrics=metrics)
        watcher.start(_listen(watcher, metrics), name="listening for events")
        return watcher

    return watchers.subscribe(key, _make, kind, subscription)
