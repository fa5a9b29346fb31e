"""What all jobs of one server share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.instances.instance import Instance, Listener
from airflow_spot_provider.emulator.jobs.liberties import Liberties
from airflow_spot_provider.emulator.market.prices import SpotPrices
from airflow_spot_provider.emulator.market.spot_market import SpotMarket
from airflow_spot_provider.emulator.spec import JobSpec

if TYPE_CHECKING:
    from airflow_spot_provider.emulator.jobs.training_job import TrainingJob


@dataclass(frozen=True)
class World:
    """What all jobs of one server share.

    :param clock: its time.
    :param prices: what spot costs on it.
    :param market: its capacity.
    :param launch: gives a job's stay with this number an instance.
    :param background: runs what may take its time; a simulation runs it at once.
    :param keep: is told of a job after each of its changes, with the job's lock held.
    :param announce: is told of a job after each of its transitions, with the job's lock held: it has to be short.
    :param liberties: which SageMaker takes, now.
    """

    clock: Clock
    prices: SpotPrices
    market: SpotMarket
    launch: Callable[[JobSpec, int, Listener], Instance]
    background: Callable[[Callable[[], None]], None]
    announce: Callable[[TrainingJob], None]
    keep: Callable[[TrainingJob], None]
    liberties: Callable[[], Liberties] = Liberties
