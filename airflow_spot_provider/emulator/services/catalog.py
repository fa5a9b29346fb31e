"""What training instances cost on demand: approximate list prices, made for tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class InstanceType:
    """One ml.* instance type for training.

    :param name: such as ``ml.m5.xlarge``.
    :param usd_per_hour: on demand in us-east-1.
    :param vcpus: virtual CPUs.
    :param memory_gib: memory in GiB.
    :param gpus: GPUs; 0 where there are none.
    """

    name: str
    usd_per_hour: float
    vcpus: int
    memory_gib: float
    gpus: int


@dataclass(frozen=True)
class Region:
    """One AWS region, as price lists know it.

    :param name: such as ``us-east-1``.
    :param location: the price list's name for it, such as ``US East (N. Virginia)``.
    :param usage_prefix: what its usage types begin with, such as ``USE1``.
    :param factor: its prices over those of us-east-1.
    :param lacks: patterns of the instance types that it does not have for training, as far as it is known from reports.
    """

    name: str
    location: str
    usage_prefix: str
    factor: float
    lacks: tuple[str, ...] = ()


class Catalog:
    """Instance types and regions with their prices.

    The prices are close to those that AWS listed for SageMaker training at the date ``as_of``; other regions than us-east-1 follow by
    one factor each. No bill is to be reckoned with them.

    :param instance_types: all that are known.
    :param regions: all that are known.
    :param as_of: the date of the list, as ``YYYY-MM-DD``.
    """

    def __init__(self, instance_types: list[InstanceType], regions: list[Region], as_of: str) -> None:
        self.instance_types = {entry.name: entry for entry in instance_types}
        self.regions = {region.name: region for region in regions}
        self.as_of = as_of

    def usd_per_hour(self, instance_type: str, region: str) -> float | None:
        """The on-demand price of one instance; None where it is not known."""
        entry, place = self.instance_types.get(instance_type), self.regions.get(region)
        return None if entry is None or place is None else round(entry.usd_per_hour * place.factor, 4)


@cache
def default_catalog() -> Catalog:
    """The catalog that comes with the package (``prices.json``)."""
    data: dict[str, Any] = json.loads(files(__package__).joinpath("prices.json").read_text("utf-8"))
    return Catalog(
        [InstanceType(name, **entry) for name, entry in data["instance_types"].items()],
        [
            Region(name, **{**entry, "lacks": tuple(entry.get("lacks", ()))})
            for name, entry in data["regions"].items()
        ],
        data["as_of"],
    )
