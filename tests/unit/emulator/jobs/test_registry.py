"""The training jobs of one server."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from airflow_spot_provider.emulator.exceptions import ResourceInUse
from airflow_spot_provider.emulator.jobs.lifecycles import Lifecycle, lifecycle_named
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.market.quotas import Quotas
from airflow_spot_provider.emulator.spec import JobSpec

ACCOUNT, REGION = "210987654321", "us-west-2"


class MeetingPlans(Plans):
    """Holds a creation up for a moment, so that another one can be in the middle of its own."""

    def __init__(self) -> None:
        super().__init__(lifecycle_named("never-launched"))
        self._both = threading.Barrier(2)

    def take(self, spec: JobSpec) -> Lifecycle:
        with contextlib.suppress(threading.BrokenBarrierError):
            self._both.wait(0.5)
        return super().take(spec)


def test_same_name_at_the_same_time_makes_one_job(
    world: World, request_of: Callable[..., dict[str, Any]]
) -> None:
    registry = Registry(world, MeetingPlans(), Quotas())
    made: list[bool] = []

    def _create() -> None:
        try:
            registry.create(JobSpec(request_of(), ACCOUNT, REGION))
        except ResourceInUse:
            made.append(False)
        else:
            made.append(True)

    threads = [threading.Thread(target=_create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, True]
    sagemaker_backends[ACCOUNT][REGION].training_jobs.clear()
