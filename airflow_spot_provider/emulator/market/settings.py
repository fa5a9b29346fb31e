"""What a market file says: a JSON object, or a bare availability trace."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random as Chance
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from airflow_spot_provider.emulator.market import capacity
from airflow_spot_provider.emulator.market.capacity import Changes

DEFAULT_ZONES = ("a", "b", "c")

Instances = Annotated[int, Field(ge=0, le=1_000_000)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Random(_Strict):
    """Capacity that goes and comes at random.

    :param interruptions_per_hour: of available time.
    :param mean_outage_seconds: how long it is away on average.
    :param capacity: instances when it is there.
    """

    interruptions_per_hour: Positive = 0.5
    mean_outage_seconds: Positive = 1800.0
    capacity: Instances = 16


class Trace(_Strict):
    """A replayed availability trace.

    :param gap_seconds: seconds between two data points.
    :param data: instances available at each.
    :param start_seconds: the place in it at which the emulated time begins.
    """

    gap_seconds: Positive
    data: Annotated[list[Instances], Field(min_length=1)]
    start_seconds: NotNegative = 0.0


class Source(_Strict):
    """Where a pool's capacity comes from: exactly one of these.

    :param random: at random.
    :param preset: with the life and outage times of measured zones: steady, plentiful, contended or scarce.
    :param capacity: of a preset when it is there; without a preset, for ever.
    :param trace: a trace, or the path of a file that holds one (from the market file's folder).
    :param script: pairs of seconds since the start, ascending, and instances.
    """

    random: Random | None = None
    preset: Literal["steady", "plentiful", "contended", "scarce"] | None = None
    capacity: Instances | None = None
    trace: Trace | None = None
    script: list[tuple[NotNegative, Instances]] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        given = [name for name in ("random", "preset", "trace", "script") if getattr(self, name) is not None]
        if len(given) > 1 or not (given or self.capacity is not None):
            raise ValueError(
                f"give exactly one of random, preset, trace, script or capacity; found {given or 'none'}"
            )
        if self.capacity is not None and given and given != ["preset"]:
            raise ValueError(f"capacity goes with preset or stands alone; found it with {given[0]}")
        times = [seconds for seconds, _ in self.script or ()]
        if times != sorted(times):
            raise ValueError(f"the seconds of a script have to ascend; found {times}")
        return self

    def changes(self, chance: Chance) -> Changes:
        """The capacity over time."""
        if self.random is not None:
            return capacity.on_and_off(chance, **self.random.model_dump())
        if self.trace is not None:
            return capacity.replayed(**self.trace.model_dump())
        if self.script is not None:
            return capacity.scripted(self.script)
        if self.preset is not None:
            return capacity.PRESETS[self.preset].changes(
                chance, 16 if self.capacity is None else self.capacity
            )
        assert self.capacity is not None
        return capacity.constant(self.capacity)


class PoolSettings(Source):
    """The capacity of some pools.

    :param instance_type: a pattern such as ``ml.p3.*``.
    :param zone: the letter of an availability zone, or ``*`` for each.
    """

    instance_type: str = "*"
    zone: str = "*"

    def fits(self, instance_type: str, zone: str) -> bool:
        """Whether it says something of this pool."""
        return fnmatchcase(instance_type, self.instance_type) and self.zone in ("*", zone)


class OnDemand(_Strict):
    """The on-demand capacity of instance types.

    :param instance_type: a pattern such as ``ml.p3.*``.
    :param capacity: how many instances there are.
    :param capacity_error_after_seconds: a job that waits for longer fails with a CapacityError; without it, it waits on.
    """

    instance_type: str = "*"
    capacity: Instances
    capacity_error_after_seconds: NotNegative | None = None


class Unavailable(_Strict):
    """Instance types that some regions do not have.

    :param instance_type: a pattern such as ``ml.p5.*``.
    :param region: a pattern such as ``eu-*``; without it, no region has them.
    """

    instance_type: str
    region: str = "*"


class MarketSettings(_Strict):
    """A market.

    :param zones: the letters of the availability zones of each region.
    :param pools: the first that fits says where a pool's capacity comes from.
    :param default: of pools that none fits.
    :param on_demand: the first that fits; on-demand capacity is unlimited where none does.
    :param quotas: by name, such as ``ml.p3.2xlarge for spot training job usage``.
    :param unavailable: what regions do not have, beside what is known of AWS's.
    """

    zones: Annotated[list[Annotated[str, Field(pattern="^[a-z]$")]], Field(min_length=1)] = list(
        DEFAULT_ZONES
    )
    pools: list[PoolSettings] = []
    default: Source = Source(random=Random())
    on_demand: list[OnDemand] = []
    quotas: dict[str, Instances] = {}
    unavailable: list[Unavailable] = []

    def source(self, instance_type: str, zone: str) -> Source:
        """Where a pool's capacity comes from."""
        return next((pool for pool in self.pools if pool.fits(instance_type, zone)), self.default)

    def on_demand_of(self, instance_type: str) -> OnDemand | None:
        """What is said of an instance type on demand."""
        fitting = (entry for entry in self.on_demand if fnmatchcase(instance_type, entry.instance_type))
        return next(fitting, None)


def read_market(path: Path) -> MarketSettings:
    """Read a market file, or a bare trace as the market of every pool.

    :param path: the file; traces that it names are read from its folder.
    :raises ValueError: it makes no sense; the message tells the place.
    """
    content = _json(path)
    if isinstance(content, dict) and "data" in content:
        content = {"default": {"trace": content}}
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {_shown(content)}; a market is a JSON object (see docs/market.md).")
    sources = [content.get("default"), *_list(content.get("pools"))]
    for source in sources:
        if isinstance(source, dict) and "trace" in source:
            source["trace"] = _trace(source["trace"], path)
    try:
        return MarketSettings.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise ValueError(f"{path}: {_places(error)}") from error


def _trace(trace: Any, market: Path) -> Any:
    """A trace in our shape; a file's is ``{"metadata": {"gap_seconds": ...}, "data": [...]}``."""
    if isinstance(trace, str):
        trace = _json(market.parent / trace)
    if isinstance(trace, dict) and isinstance(metadata := trace.get("metadata"), dict):
        rest = {name: value for name, value in trace.items() if name != "metadata"}
        return {"gap_seconds": metadata.get("gap_seconds"), **rest}
    return trace


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no JSON: {error}.") from error


def _places(error: ValidationError) -> str:
    """Every problem with its place."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'the file'}: {problem['msg']}"
        f" (given: {_shown(problem['input'])})"
        for problem in error.errors()
    )


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
