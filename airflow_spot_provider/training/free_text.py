"""Values as the text that SageMaker takes for them, and back: of hyperparameters, environment variables and tags above all."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from numbers import Real
from pathlib import PurePath
from typing import Any
from uuid import UUID

_PLAIN = (str, Real, Decimal, date, PurePath, UUID)
"""What has one plain way to be text."""


def as_text(value: Any) -> Any:
    """A value with one plain way to be text as that text; anything else as it is."""
    if isinstance(value, str) or not isinstance(value, _PLAIN):
        return value
    try:
        return str(value)
    except ValueError:  # an integer of thousands of digits
        return value


def as_free_text(value: Any) -> Any:
    """The same; lists and dicts as JSON, which scripts read them from. What cannot be text comes back as it is."""
    text = as_text(value)
    return text if isinstance(text, str) else _json_of(text)


def container_of(value: object, kind: Any) -> Any | None:
    """A dict or a list, read from text if a template rendered it as that; None if it is none.

    :param value: a value, or its text as JSON or as Python.
    :param kind: ``Mapping``, or ``(list, tuple)``, as :func:`isinstance` takes it.
    """
    if isinstance(value, str):
        value = _read(value)
    return value if isinstance(value, kind) else None


def _read(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return None


def _json_of(value: Any) -> Any:
    if not isinstance(value, list | tuple | Mapping):
        return value
    try:
        return json.dumps(value, default=_plain, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return value


def _plain(value: object) -> Any:
    """What JSON has no type for, inside a list or dict."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(text := as_text(value), str):
        return text
    raise TypeError
