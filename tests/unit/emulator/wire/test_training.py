"""The training operations, in one process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from moto.sagemaker.models import sagemaker_backends

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.exceptions import ResourceInUse
from airflow_spot_provider.emulator.instances.instance import SimulatedInstance
from airflow_spot_provider.emulator.jobs.lifecycles import Lifecycle, lifecycle_named
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.training_job import World
from airflow_spot_provider.emulator.market.prices import SpotPrices
from airflow_spot_provider.emulator.spec import JobSpec
from airflow_spot_provider.emulator.wire.training import TrainingResponse

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
    clock: SteppedClock,
    storage: Any,
    request_of: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(
        clock=clock,
        prices=SpotPrices(),
        launch=lambda spec, _number, _listener: SimulatedInstance(spec, storage),
        background=lambda work: work(),
    )
    monkeypatch.setattr(TrainingResponse, "world", world, raising=False)
    monkeypatch.setattr(TrainingResponse, "plans", MeetingPlans(), raising=False)
    made: list[bool] = []

    def _create() -> None:
        response = TrainingResponse()
        response.current_account, response.region, response._sent = ACCOUNT, REGION, request_of()
        try:
            response.create_training_job()
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
