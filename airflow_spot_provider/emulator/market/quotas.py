"""Service quotas: how many instances of a type training may have at a time.

Source: `Service quotas of Amazon SageMaker AI <https://docs.aws.amazon.com/general/latest/gr/sagemaker.html>`_.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from airflow_spot_provider.emulator.exceptions import ResourceLimitExceeded
from airflow_spot_provider.emulator.spec import JobSpec

DEFAULT_QUOTA = 100_000
"""As good as none; an account at AWS begins with a few, or with 0."""


def quota_name(instance_type: str, *, spot: bool) -> str:
    """The name of a quota, as Service Quotas lists it."""
    return f"{instance_type} for {'spot ' if spot else ''}training job usage"


class Quotas:
    """The quotas of every account and region of one server.

    :param limits: by name, such as ``ml.p3.2xlarge for spot training job usage``; for all accounts and regions.
    """

    def __init__(self, limits: Mapping[str, int] | None = None) -> None:
        self._limits = dict(limits or {})
        self._own: dict[tuple[str, str, str], int] = {}
        self._lock = threading.Lock()

    def limit(self, account_id: str, region: str, name: str) -> int:
        """How many instances there may be."""
        with self._lock:
            return self._own.get((account_id, region, name), self._limits.get(name, DEFAULT_QUOTA))

    def set(self, name: str, limit: int, *, account_id: str | None = None, region: str | None = None) -> None:
        """Set a limit: for one account and region, or, without them, for all that have none of their own."""
        with self._lock:
            if account_id is not None and region is not None:
                self._own[account_id, region, name] = limit
            else:
                self._limits[name] = limit

    def limits(self) -> dict[str, int]:
        """The limits that were set for all."""
        with self._lock:
            return dict(self._limits)

    def check(self, spec: JobSpec, running: Iterable[JobSpec]) -> None:
        """Refuse a job for which there is no room beside those that run.

        :raises ResourceLimitExceeded: with SageMaker's wording.
        """
        used: Counter[str] = Counter()
        for other in running:
            if other.spot == spec.spot:
                used.update(other.instances)
        for instance_type, wanted in spec.instances.items():
            name = quota_name(instance_type, spot=spec.spot)
            limit = self.limit(spec.account_id, spec.region, name)
            if used[instance_type] + wanted > limit:
                raise ResourceLimitExceeded(
                    f"The account-level service limit '{name}' is {limit} Instances, with current utilization of "
                    f"{used[instance_type]} Instances and a request delta of {wanted} Instances. Please use AWS Service "
                    "Quotas to request an increase for this quota. If AWS Service Quotas is not available, contact AWS "
                    "support to request an increase for this quota."
                )
