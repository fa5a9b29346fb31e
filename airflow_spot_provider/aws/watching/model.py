"""SageMaker's API model, cut down to what is called: the whole of it takes a client ten megabytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore import utils
from botocore.loaders import Loader, create_loader

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS

OPERATIONS = frozenset(
    {
        operation
        for kind in (TRAINING_JOBS, TUNING_JOBS)
        for operation in (f"Describe{kind.resource}", f"List{kind.resource}s", f"Stop{kind.resource}")
    }
    | {"AddTags", "ListTags"}
)
"""What a watcher asks of SageMaker."""


@cache
def data_loader() -> Loader:
    """What reads botocore's data, once for all clients of a process: each session's own would read it again."""
    loader: Loader = create_loader()
    keep_only(loader, "sagemaker", OPERATIONS)
    return loader


def keep_only(loader: Any, service: str, operations: Collection[str]) -> None:
    """Have a session's next clients of a service know these operations alone.

    :param loader: the session's ``data_loader``, which keeps the models that it has read.
    :param service: the service's name.
    :param operations: by the API's names; with all that their answers are made of.
    """
    model = loader.load_service_model(service, "service-2")
    _delete(model["operations"], keep=operations)
    shapes = model["shapes"]
    needed: set[str] = set()
    waiting = [name for operation in model["operations"].values() for name in _references(operation)]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(_references(shapes[name]))
    _delete(shapes, keep=needed)


def parse_timestamp(value: Any) -> datetime:
    """Read a time of an answer, in UTC.

    A page of a list has two hundred times, as seconds since 1970, and botocore tries the zone of this machine on each: most of what it
    takes to read a page.

    :param value: seconds, or text in one of the formats that botocore reads.
    :raises ValueError: it is none of these.
    """
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    parsed: datetime = utils.parse_timestamp(value)
    return parsed


def _delete(members: dict[str, Any], *, keep: Collection[str]) -> None:
    for name in [name for name in members if name not in keep]:
        del members[name]


def _references(part: object) -> Iterator[str]:
    """The names of the shapes that a part of a model refers to."""
    if isinstance(part, Mapping):
        if isinstance(shape := part.get("shape"), str):
            yield shape
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)
