"""Requests of the JSON services that are small: checked against botocore's service model, and lists in pages."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from botocore.validate import ParamValidator
from moto.core.exceptions import ServiceException

from airflow_spot_provider.emulator.wire.protocol import Call, Operation, service_model

T = TypeVar("T")
Refusal = Callable[[str], ServiceException]
"""Makes the service's error for a request that it does not take."""

LARGEST_PAGE = 100


def checked(service: str, operations: Mapping[str, Operation], refusal: Refusal) -> dict[str, Operation]:
    """The same operations, each behind a check of its request: required members, types, lengths, smallest numbers, enumerations.

    :param service: botocore's name of it.
    :param operations: what answers each operation.
    :param refusal: makes the error for a request that is not taken.
    """

    def _behind_a_check(name: str, answer: Operation) -> Operation:
        shape = service_model(service).operation_model(name).input_shape

        def _checked(call: Call) -> Mapping[str, Any]:
            sent = {key: value for key, value in call.parameters.items() if value is not None}
            known = {key: value for key, value in sent.items() if key in shape.members}  # AWS ignores others
            report = ParamValidator().validate(known, shape)
            if report.has_errors():
                # Without the value, and without the Python types that botocore names.
                raise refusal(report.generate_report().splitlines()[0].partition(", value: ")[0])
            for member, value in known.items():
                allowed = getattr(shape.members[member], "enum", None)
                if allowed and value not in allowed:
                    raise refusal(f"{member} is '{value}'; it takes one of {', '.join(allowed)}")
            return answer(Call(call.operation, known, call.account_id, call.region))

        return _checked

    return {name: _behind_a_check(name, answer) for name, answer in operations.items()}


def sliced(
    entries: Sequence[T],
    sent: Mapping[str, Any],
    *,
    refusal: Refusal,
    bad_token: Refusal,
    largest: int = LARGEST_PAGE,
) -> tuple[list[T], str | None]:
    """One page of a list that does not change, and the token of the next one if there is one.

    :param entries: the whole list, always in the same order.
    :param sent: the request, with MaxResults and NextToken.
    :param refusal: makes the error for a MaxResults out of range.
    :param bad_token: makes the error for a token that is none of this list.
    :param largest: how many a page has at most.
    """
    size = sent.get("MaxResults", largest)
    if isinstance(size, bool) or not 1 <= size <= largest:
        raise refusal(f"A page has 1 to {largest} entries; {size} were asked for")
    start = _place(sent.get("NextToken"), bad_token)
    end = start + size
    return list(entries[start:end]), _token(end) if end < len(entries) else None


def _token(place: int) -> str:
    return base64.b64encode(f"from {place}".encode()).decode()


def _place(token: str | None, bad_token: Refusal) -> int:
    if token is None:
        return 0
    try:
        word, _, place = base64.b64decode(token, validate=True).decode().partition(" ")
        if word == "from" and place.isdecimal():
            return int(place)
    except ValueError:
        raise bad_token(f"The token is not valid: {token}") from None
    raise bad_token(f"The token is not valid: {token}")
