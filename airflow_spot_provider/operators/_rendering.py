"""What of an operator's arguments can be looked at already."""

from __future__ import annotations

_TEMPLATE_MARKS = ("{{", "{%", "{#")


def is_rendered(value: object) -> bool:
    """Whether a value is final: neither a Jinja template nor a reference to another task's XCom."""
    if isinstance(value, str):
        return not any(mark in value for mark in _TEMPLATE_MARKS)
    return not hasattr(value, "resolve")
