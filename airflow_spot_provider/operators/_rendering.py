"""What of an operator's arguments can be looked at, and what of them Airflow may show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEMPLATE_MARKS = ("{{", "{%", "{#")
_SECRET_MEMBERS = ("Environment", "HyperParameters", "StaticHyperParameters")
MASK = "***"


def is_rendered(value: object) -> bool:
    """Whether a value is final: neither a Jinja template nor a reference to another task's XCom."""
    if isinstance(value, str):
        return not any(mark in value for mark in _TEMPLATE_MARKS)
    return not hasattr(value, "resolve")


def masked_values(member: Any) -> Any:
    """The names of a mapping with every value masked; anything else is masked whole, None excepted."""
    if isinstance(member, Mapping):
        return dict.fromkeys(member, MASK)
    return None if member is None else MASK


def masked_config(config: Any) -> Any:
    """A config with the values of Environment and HyperParameters masked, wherever they are: Airflow shows rendered templates
    in its UI.
    """
    if isinstance(config, Mapping):
        return {
            key: masked_values(value) if key in _SECRET_MEMBERS else masked_config(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return [masked_config(value) for value in config]
    return config
