"""Give each member of a request the type that SageMaker takes there: text, a number, True or False, a dict or a list.

A template renders numbers as text; with ``render_template_as_native_obj=True`` text comes out as numbers, booleans and lists. Either
way each member is read for what it has to be. What cannot be is told with the member, what was given and what is allowed, in words of
ours: botocore checks the same, and its words reach nobody.

The types are those of SageMaker's API model, as botocore has it: `botocore's data
<https://github.com/boto/botocore/tree/develop/botocore/data/sagemaker>`_. Nothing here reads it: it is handed in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from difflib import get_close_matches
from numbers import Real
from typing import Any

from airflow_spot_provider.training.free_text import as_free_text, as_text, container_of
from airflow_spot_provider.training.rules import NOT_KNOWN, Known

_MEANT = {"HyperParameters": "StaticHyperParameters", "StaticHyperParameters": "HyperParameters"}
_A_NUMBER = "number"
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Shape:
    """A type of the API: what a request, or a member of one, has to be.

    :param name: of the type, as the API calls it.
    :param shapes: all types by name, as botocore's model has them.
    """

    name: str
    shapes: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @property
    def kind(self) -> str:
        """``structure``, ``map``, ``list``, ``string``, ``integer``, ``long``, ``float``, ``double`` or ``boolean``."""
        return str(self.shapes[self.name]["type"])

    @property
    def members(self) -> Mapping[str, Mapping[str, Any]]:
        """A structure's members by name."""
        members: Mapping[str, Mapping[str, Any]] = self.shapes[self.name].get("members", {})
        return members

    @property
    def required(self) -> tuple[str, ...]:
        """The members that a structure has to have."""
        return tuple(self.shapes[self.name].get("required", ()))

    @property
    def least(self) -> float | None:
        """The least number, or the least length."""
        return self.shapes[self.name].get("min")

    def of(self, part: str) -> Shape:
        """The type of a structure's member; of a list's ``member``; of a map's ``key`` or ``value``."""
        holder = self.members if part in self.members else self.shapes[self.name]
        return replace(self, name=holder[part]["shape"])


def fitted(
    request: object,
    shape: Shape,
    *,
    known: Known,
    complete: bool = False,
    derived: Collection[str] = (),
) -> tuple[Any, list[str]]:
    """A copy of a request in which each member has the type that the API gives it.

    Members that are None are left out, as if they had not been given. What cannot be of its type is told, and stands as a member that
    cannot be looked at, so that no other rule tells of it again.

    :param request: members of the operation, or text that is JSON or a Python literal of them.
    :param shape: of the operation's input.
    :param known: tells whether a value can be looked at already; what it says no to is carried through.
    :param complete: whether members that are missing are told; not of what arguments may still fill in.
    :param derived: members that the submit fills in, or makes longer: the job's name, a role's name.
    :return: the copy, and one sentence for each problem. No value of a member that is text is in them: it may be a secret.
    """
    fitting = _Fitting(known, complete, derived, shape.name.removesuffix("Request"), [])
    return fitting.value(request, shape, ""), fitting.problems


@dataclass(frozen=True, slots=True)
class _Fitting:
    """One walk through a request."""

    known: Known
    complete: bool
    derived: Collection[str]
    operation: str
    problems: list[str]

    def value(self, value: object, shape: Shape, path: str, *, free_text: bool = False) -> Any:
        """One value as the type of its place.

        :param free_text: the text is nobody's but the user's, so that lists and dicts are written into it as JSON.
        """
        if value is NOT_KNOWN or not self.known(value):
            return value
        match shape.kind:
            case "structure":
                return self._structure(value, shape, path)
            case "map":
                return self._map(value, shape, path)
            case "list":
                return self._list(value, shape, path)
            case "string":
                return self._text(value, shape, path, free_text=free_text)
            case "boolean":
                return self._boolean(value, path)
            case _:
                return self._number(value, shape, path)

    def _structure(self, value: object, shape: Shape, path: str) -> Any:
        if (given := container_of(value, Mapping)) is None:
            return self._refused(path, value, f"a dict of {shape.name.removesuffix('Request')}'s members")
        fitted: dict[Any, Any] = {}
        free_text = "Value" if set(shape.members) == {"Key", "Value"} else None
        for name, member in given.items():
            where = f"{path}.{name}".removeprefix(".")
            if member is None:
                continue
            if name not in shape.members:
                self._no_member(where, name, shape)
                continue
            fitted[name] = self.value(member, shape.of(name), where, free_text=name == free_text)
        if self.complete:
            for name in shape.required:
                if name not in fitted and name not in self.derived:
                    where = f"{path}.{name}".removeprefix(".")
                    self.problems.append(f"{where} is missing from config; {self.operation} requires it.")
        return fitted

    def _map(self, value: object, shape: Shape, path: str) -> Any:
        if (given := container_of(value, Mapping)) is None:
            return self._refused(path, value, "a dict of names to values")
        fitted = {}
        for name, item in given.items():
            where = f"{path}[{name!r}]"
            key = self.value(name, shape.of("key"), f"The name {name!r} in {path}")
            if item is not None:
                fitted[key] = self.value(item, shape.of("value"), where, free_text=True)
        return fitted

    def _list(self, value: object, shape: Shape, path: str) -> Any:
        if (given := container_of(value, (list, tuple))) is None:
            return self._refused(path, value, "a list")
        items = [
            self.value(item, shape.of("member"), f"{path}[{place}]")
            for place, item in enumerate(given)
            if item is not None
        ]
        return self._at_least(items, len(items), shape, path, "entries")

    def _text(self, value: object, shape: Shape, path: str, *, free_text: bool) -> Any:
        text = as_free_text(value) if free_text else as_text(value)
        if not isinstance(text, str):
            allowed = "text, or a number, list or dict that is written as text" if free_text else "text"
            return self._refused(path, value, allowed)
        if path.rpartition(".")[2] in self.derived:
            return text
        return self._at_least(text, len(text), shape, path, "characters")

    def _boolean(self, value: object, path: str) -> Any:
        told = str(value).strip().lower() if isinstance(value, str | bool) else None
        if told not in ("true", "false"):
            return self._refused(path, value, "True or False", shown=True)
        return told == "true"

    def _number(self, value: object, shape: Shape, path: str) -> Any:
        is_whole = shape.kind in ("integer", "long")
        number = _number_of(value)
        if number is None or (is_whole and number != int(number)):
            return self._refused(path, value, f"a {'whole ' if is_whole else ''}number", shown=True)
        if is_whole:
            number = int(value) if isinstance(value, int) else int(number)
        return self._at_least(number, number, shape, path, _A_NUMBER)

    def _at_least(self, value: Any, size: float, shape: Shape, path: str, what: str) -> Any:
        """A value that is large enough, or long enough."""
        if shape.least is None or size >= shape.least:
            return value
        if what == _A_NUMBER:
            self.problems.append(f"{path} is {value!r}; it takes {shape.least} or more. Raise it.")
        else:
            least = f"{shape.least} or more {what}"
            self.problems.append(f"{path} has {size} {what}; it takes {least}. Fill it, or leave it out.")
        return NOT_KNOWN

    def _refused(self, path: str, value: object, allowed: str, *, shown: bool = False) -> Any:
        given = f"{value!r}" if shown and isinstance(value, str | bool | float) else ""
        told = given if 0 < len(given) <= _LONGEST_SHOWN else f"of type {type(value).__name__}"
        advice = " Write it so, or leave it out." if path else ""
        self.problems.append(f"{path or 'config'} is {told}; it takes {allowed}.{advice}")
        return NOT_KNOWN

    def _no_member(self, path: str, name: object, shape: Shape) -> None:
        close = get_close_matches(str(name), shape.members, n=1)
        meant = [_MEANT[name]] if isinstance(name, str) and _MEANT.get(name) in shape.members else close
        advice = f"{meant[0]} may be meant" if meant else "take it out of config"
        self.problems.append(
            f"{path} is no member of {shape.name.removesuffix('Request')} in the botocore that is installed; {advice}."
        )


def _number_of(value: object) -> float | None:
    """A finite number, or None. A bool is none: it was written for something else."""
    if isinstance(value, bool) or not isinstance(value, str | Real | Decimal):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError, TypeError):
        return None
    return number if abs(number) < float("inf") else None
