"""What the service model says of a request: members, types, lengths, ranges, patterns, enumerations.

The wording is that of AWS's services: ``1 validation error detected: Value 'x' at 'sortBy' failed to satisfy constraint: ...``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from airflow_spot_provider.emulator.exceptions import ValidationException

_RANGES = {"integer": 2**31, "long": 2**63}
_TYPES = {
    "structure": "a structure",
    "map": "a map",
    "list": "a list",
    "string": "a string",
    "boolean": "a boolean",
    "integer": "an integer",
    "long": "an integer",
    "float": "a number",
    "double": "a number",
    "timestamp": "a time in epoch seconds",
}
# Java's classes of characters that stand in patterns. Python's \w has the letters, the numbers and "_".
_JAVA_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    r"\p{Alnum}": r"a-zA-Z0-9",
}
_SECRET = ("environment", "hyperparameters")
"""What may hold secrets: their values are in no message."""
_LONGEST_SHOWN = 200


def check_shape(shape: Shape | None, parameters: Mapping[str, Any]) -> None:
    """Refuse what a shape does not allow. Members that it does not know are ignored, as AWS's JSON protocol has it.

    :param shape: of an operation's input; None for one without.
    :param parameters: the request as it was sent.
    :raises ValidationException: with all that is wrong.
    """
    if shape is None:
        return
    problems = list(_problems(shape, parameters, ""))
    if problems:
        count = len(problems)
        raise ValidationException(
            f"{count} validation error{'s' * (count != 1)} detected: {'; '.join(problems)}"
        )


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if not _is_of_type(shape, value):
        yield f"{_value(value, path)} at '{path}' failed to satisfy constraint: Member must be {_TYPES[shape.type_name]}"
        return
    yield from _own_problems(shape, value, path)
    match shape:
        case StructureShape():
            for name, member in shape.members.items():
                where = f"{path}.{name[0].lower()}{name[1:]}" if path else f"{name[0].lower()}{name[1:]}"
                if value.get(name) is not None:
                    yield from _problems(member, value[name], where)
                elif name in shape.required_members:
                    yield f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
        case ListShape():
            for number, item in enumerate(value):
                yield from _problems(shape.member, item, f"{path}.{number + 1}.member")
        case MapShape():
            for key, item in value.items():
                yield from _problems(shape.key, key, f"{path}.key")
                yield from _problems(shape.value, item, f"{path}.value")
        case _:
            return


def _is_of_type(shape: Shape, value: Any) -> bool:
    kind = shape.type_name
    if kind in ("structure", "map"):
        return isinstance(value, dict)
    if kind == "list":
        return isinstance(value, list)
    if kind == "string":
        return isinstance(value, str) and _is_text(value)
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind in _RANGES:
        return isinstance(value, int) and -_RANGES[kind] <= value < _RANGES[kind]
    if kind == "timestamp":
        return _is_time(value)
    return abs(value) < float("inf")


def _own_problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    rules, kind = shape.metadata, shape.type_name
    failed = f"{_value(value, path)} at '{path}' failed to satisfy constraint: Member must"
    if kind in ("integer", "long", "float", "double"):
        if "max" in rules and value > rules["max"]:
            yield f"{failed} have value less than or equal to {rules['max']}"
        if "min" in rules and value < rules["min"]:
            yield f"{failed} have value greater than or equal to {rules['min']}"
    if kind in ("string", "list", "map"):
        if "max" in rules and len(value) > rules["max"]:
            yield f"{failed} have length less than or equal to {rules['max']}"
        if "min" in rules and len(value) < rules["min"]:
            yield f"{failed} have length greater than or equal to {rules['min']}"
    if kind == "string":
        if rules.get("enum") and value not in rules["enum"]:
            yield f"{failed} satisfy enum value set: [{', '.join(rules['enum'])}]"
        pattern = rules.get("pattern")
        if pattern and (expression := _expression(pattern)) and not expression.fullmatch(value):
            yield f"{failed} satisfy regular expression pattern: {pattern}"


def _value(value: Any, path: str) -> str:
    """A value as a message tells it: none that may be a secret, and none that is long."""
    if any(word in path.lower() for word in _SECRET) or not isinstance(value, str | int | float):
        return "Value"
    shown = str(value).encode(errors="replace").decode()
    return f"Value '{shown if len(shown) <= _LONGEST_SHOWN else f'{shown[:_LONGEST_SHOWN]}...'}'"


@cache
def _expression(pattern: str) -> re.Pattern[str] | None:
    """A pattern of the service model, which is Java's, as Python's; None for the few that are none in either."""
    for java, python in _JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None


def _is_text(value: str) -> bool:
    """Whether it can be written: half of a character cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_time(value: float) -> bool:
    try:
        datetime.fromtimestamp(value, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return False
    return True
