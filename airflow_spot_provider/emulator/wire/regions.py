"""Which regions there are: at AWS a region that there is not has no address, here every region has the same."""

from __future__ import annotations

from functools import cache

import botocore.session
from moto.settings import allow_unknown_region

_EVERYWHERE = "ec2"
"""A service that every region has."""
_OWN = frozenset({"sagemaker"})
"""Services that are asked for only where botocore knows an endpoint of theirs; moto has no place for their state elsewhere."""
_ANYWHERE = frozenset({"s3"})
"""Services to which moto's regions are no matter."""


def is_known(service: str, region: str) -> bool:
    """Whether a service can be called in a region.

    :param service: botocore's name of it.
    :param region: such as ``us-east-1``.
    """
    if service in _ANYWHERE or allow_unknown_region():
        return True
    return region in _regions_of(service if service in _OWN else _EVERYWHERE)


@cache
def _regions_of(service: str) -> frozenset[str]:
    session = botocore.session.get_session()
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions(service, partition_name=partition)
    )
