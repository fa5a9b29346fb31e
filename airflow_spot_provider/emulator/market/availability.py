"""Which instance types a region has for training: no waiting brings one that it has not."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from airflow_spot_provider.emulator.exceptions import NotAvailableInRegion


@dataclass(frozen=True)
class Lack:
    """What some regions lack.

    :param instance_type: a pattern such as ``ml.p2.*``.
    :param region: a pattern such as ``eu-*``.
    """

    instance_type: str
    region: str

    def fits(self, instance_type: str, region: str) -> bool:
        """Whether it says so of this instance type in this region."""
        return fnmatchcase(instance_type, self.instance_type) and fnmatchcase(region, self.region)


class Availability:
    """The instance types of each region of one server: all, but for those that are lacking.

    :param lacks: what is lacking from the start.
    """

    def __init__(self, lacks: Iterable[Lack] = ()) -> None:
        self._lacks: Sequence[Lack] = tuple(lacks)
        self._set: dict[Lack, bool] = {}
        self._lock = threading.Lock()

    def set(self, instance_type: str, region: str, *, available: bool | None) -> None:
        """Say whether a region has an instance type; the latest that fits counts.

        :param instance_type: a pattern.
        :param region: a pattern.
        :param available: None takes back what was said of these same patterns.
        """
        entry = Lack(instance_type, region)
        with self._lock:
            self._set.pop(entry, None)
            if available is not None:
                self._set[entry] = available

    def told(self) -> list[dict[str, object]]:
        """What was said while the server ran, the latest last, after what is lacking from the start."""
        with self._lock:
            said = list(self._set.items())
        return [
            {"instance_type": entry.instance_type, "region": entry.region, "available": available}
            for entry, available in [*((lack, False) for lack in self._lacks), *said]
        ]

    def has(self, instance_type: str, region: str) -> bool:
        """Whether training jobs of a region can have it."""
        with self._lock:
            said = list(self._set.items())
        for entry, available in reversed(said):
            if entry.fits(instance_type, region):
                return available
        return not any(lack.fits(instance_type, region) for lack in self._lacks)

    def check(self, instance_types: Iterable[str], region: str) -> None:
        """Refuse what a region has not.

        :raises NotAvailableInRegion: with SageMaker's wording (aws/amazon-sagemaker-examples#1001).
        """
        for instance_type in instance_types:
            if not self.has(instance_type, region):
                raise NotAvailableInRegion(
                    f"The requested resource training-job/{instance_type} is not available in this region"
                )
