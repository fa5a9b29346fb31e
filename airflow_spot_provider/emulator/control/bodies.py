"""What the control API takes."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_spot_provider.emulator.market.prices import DEFAULT_ZONE

_LONGEST_STEP_SECONDS = 366 * 86_400.0


class Body(BaseModel):
    """A JSON object, and no members but these."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PlanBody(Body):
    """``{"lifecycle": <name>, "job_name": <a name, or leave it out for the next job>}``."""

    lifecycle: str
    job_name: str | None = None


class InterruptBody(Body):
    """``{"torn": <whether in the middle of writing a checkpoint>}``, or nothing."""

    torn: bool = False


class AdvanceBody(Body):
    """``{"seconds": <emulated seconds, 0 or more>}``."""

    seconds: Annotated[float, Field(ge=0, le=_LONGEST_STEP_SECONDS)]


class CapacityBody(Body):
    """``{"instance_type": ..., "capacity": <instances, or null to let go>}``, and ``zone`` and ``region`` if they matter."""

    instance_type: str
    capacity: Annotated[int, Field(ge=0)] | None
    zone: str = DEFAULT_ZONE
    region: str = "us-east-1"


class AvailabilityBody(Body):
    """``{"instance_type": <a pattern>, "available": <whether the region has it, or null to take that back>}``, and ``region``, a pattern too."""

    instance_type: str
    available: bool | None
    region: str = "us-east-1"


class QuotaBody(Body):
    """``{"name": "ml.m5.large for spot training job usage", "limit": <instances>}``."""

    name: str
    limit: Annotated[int, Field(ge=0)]


M = TypeVar("M", bound=BaseModel)


def read(model: type[M], body: bytes) -> M:
    """Read a body.

    :raises ValueError: it is not what is taken; the message says what is.
    """
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'the body'}: {problem['msg']}"
            for problem in error.errors()
        )
        members: dict[str, Any] = model.model_json_schema()["properties"]
        raise ValueError(f"Send a JSON object with {', '.join(members)}. {problems}.") from None
