"""Faults on demand: what goes wrong between a client and AWS, from a seed."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_spot_provider.emulator.jobs.liberties import FILTER_FIRST, Liberties
from airflow_spot_provider.emulator.wire.errors import error_answer
from airflow_spot_provider.emulator.wire.protocol import Answer

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
_KINDS = ("error", "requests_per_second", "latency_seconds", "connection", "expired_credentials")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ErrorFault(_Strict):
    """An error that the service answers with.

    :param code: such as ``ThrottlingException``.
    :param message: for people.
    :param status: of HTTP.
    """

    code: Annotated[str, Field(pattern=r"^[A-Za-z.]{1,100}$")] = "InternalFailure"
    message: Annotated[str, Field(max_length=1000)] = "We encountered an internal error. Please try again."
    status: Annotated[int, Field(ge=400, le=599)] = 500


class Fault(_Strict):
    """One thing that goes wrong: exactly one of the last five.

    :param operation: a pattern of what it happens to, such as ``DescribeTrainingJob``, ``sagemaker:*`` or ``*``.
    :param probability: of each call.
    :param times: to so many calls, then no more; without it, for ever.
    :param error: the service answers with an error.
    :param requests_per_second: calls beyond so many in a (real) second are throttled.
    :param latency_seconds: the answer comes so much later, in real seconds.
    :param connection: it is dropped *before* the call is carried out, *during* the answer, or *after* the call without one;
        with *half* the answer ends in the middle, and nothing else is wrong.
    :param expired_credentials: the caller's credentials have expired.
    """

    operation: str = "*"
    probability: Share = 1.0
    times: Annotated[int, Field(ge=1)] | None = None
    error: ErrorFault | None = None
    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    latency_seconds: Annotated[float, Field(gt=0, le=600)] | None = None
    connection: Literal["before", "during", "after", "half"] | None = None
    expired_credentials: Literal[True] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        given = [name for name in _KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(_KINDS)}; found {', '.join(given) or 'none'}")
        return self

    def fits(self, service: str, operation: str) -> bool:
        """Whether it happens to this operation."""
        return any(fnmatchcase(name, self.operation) for name in (operation, f"{service}:{operation}"))


class EventFaults(_Strict):
    """What goes wrong with EventBridge's events.

    :param duplicate: the share that comes twice.
    :param reorder: the share that comes after a later one.
    :param lose: the share that never comes.
    :param delay_seconds: how much later they all come, in emulated seconds.
    """

    duplicate: Share = 0.0
    reorder: Share = 0.0
    lose: Share = 0.0
    delay_seconds: Seconds = 0.0


class FaultSettings(_Strict):
    """All that goes wrong, and the liberties that SageMaker takes.

    :param seed: makes it repeatable.
    :param rules: each is tried in turn at every call.
    :param events: what goes wrong with events.
    :param list: whether the pages of a list are cut first or filtered first; None: as the server was started.

    The others are those of :class:`~airflow_spot_provider.emulator.jobs.liberties.Liberties`.
    """

    seed: int = 0
    rules: tuple[Fault, ...] = ()
    events: EventFaults = EventFaults()
    list: Literal["cut-first", "filter-first"] | None = None
    lag_seconds: Seconds = 0.0
    tags_lag_seconds: Seconds = 0.0
    denied_seconds: Seconds = 0.0
    bare_summaries: bool = False
    pending: bool = False
    stopping_in_status_only: bool = False

    def liberties(self, order: str) -> Liberties:
        """The liberties that SageMaker takes.

        :param order: what is done first to a list, unless these settings say it.
        """
        return Liberties(
            filters_first=(self.list or order) == FILTER_FIRST,
            lag_seconds=self.lag_seconds,
            tags_lag_seconds=self.tags_lag_seconds,
            denied_seconds=self.denied_seconds,
            bare_summaries=self.bare_summaries,
            pending=self.pending,
            stopping_in_status_only=self.stopping_in_status_only,
        )


class Faults:
    """The faults of one server: between a WSGI server and what answers.

    :param changed: is told of new settings.
    """

    def __init__(self, changed: Callable[[FaultSettings], object] = lambda _: None) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self.set(FaultSettings())

    def set(self, settings: FaultSettings) -> None:
        """Have these faults, and no others, from now on."""
        with self._lock:
            self.settings = settings
            self._chance = random.Random(settings.seed)
            self._left = [rule.times for rule in settings.rules]
            self._recent: list[list[float]] = [[] for _ in settings.rules]
        self._changed(settings)

    def answer(
        self, environ: Any, service: str, operation: str, carry_out: Callable[[], Answer]
    ) -> Answer | None:
        """Answer a call with whatever goes wrong with it.

        :param carry_out: does what was asked for.
        :return: the answer; None if there is none, and the connection is to be dropped.
        """
        rules = self._drawn(service, operation)
        for rule in rules:
            if rule.latency_seconds is not None:
                time.sleep(rule.latency_seconds)
        for rule in rules:
            if rule.error is not None:
                return error_answer(environ, rule.error.code, rule.error.message, rule.error.status)
            if rule.requests_per_second is not None:
                return _throttled(environ, service)
            if rule.expired_credentials:
                return error_answer(
                    environ,
                    "ExpiredToken" if service in ("s3", "sts", "iam") else "ExpiredTokenException",
                    "The security token included in the request is expired",
                    400 if service in ("s3", "sagemaker") else 403,
                )
        broken = {rule.connection for rule in rules}
        if "before" in broken:
            return None
        status, headers, body = carry_out()
        if "after" in broken:
            return None
        if "during" in broken:
            # The length that was promised does not come: the server closes the connection after half of it.
            headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
            return status, {**headers, "Content-Length": str(len(body) + 1)}, body[: len(body) // 2]
        if "half" in broken:
            headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
            return status, headers, body[: len(body) // 2]
        return status, headers, body

    def concern(self, service: str, operation: str) -> bool:
        """Whether anything may go wrong with this operation."""
        return any(rule.fits(service, operation) for rule in self.settings.rules)

    def _drawn(self, service: str, operation: str) -> list[Fault]:
        """The faults that happen to this call."""
        drawn = []
        with self._lock:
            for number, rule in enumerate(self.settings.rules):
                if not rule.fits(service, operation) or self._left[number] == 0:
                    continue
                if rule.requests_per_second is not None and not self._is_too_fast(
                    number, rule.requests_per_second
                ):
                    continue
                if self._chance.random() >= rule.probability:
                    continue
                if (left := self._left[number]) is not None:
                    self._left[number] = left - 1
                drawn.append(rule)
        return drawn

    def _is_too_fast(self, number: int, rate: float) -> bool:
        """Whether there were as many calls in the last second already; one that is throttled does not count."""
        now = time.monotonic()
        window = max(1.0, 1 / rate)
        recent = [at for at in self._recent[number] if now - at < window]
        too_fast = len(recent) >= rate * window
        self._recent[number] = recent if too_fast else [*recent, now]
        return too_fast


def _throttled(environ: Any, service: str) -> Answer:
    if service == "s3":
        return error_answer(environ, "SlowDown", "Please reduce your request rate.", 503)
    code = "Throttling" if service in ("iam", "sts", "ec2", "cloudwatch") else "ThrottlingException"
    return error_answer(environ, code, "Rate exceeded", 400)
