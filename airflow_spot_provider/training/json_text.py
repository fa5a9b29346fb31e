"""Text and numbers that fit into an XCom: plain JSON, of a size that is known, with nothing in it that a database refuses."""

from __future__ import annotations

import json

_MAX_URI = 3_200
"""What the JSON of any S3 URI takes, unless its key is made of control characters."""


def json_bytes(value: object) -> int:
    """What a value's JSON takes, each character beyond ASCII counted as its escape."""
    return len(json.dumps(value))


def sound(text: str) -> str:
    """Without what databases refuse: NUL, and halves of a character that was cut through."""
    return text.replace("\0", "").encode(errors="replace").decode()


def clipped(text: str, limit: int) -> str:
    """The beginning of a text, as much as fits into ``limit`` bytes of JSON."""
    limit = max(0, limit)
    text = sound(text)[:limit]
    while (size := json_bytes(text) - len('""')) > limit:
        text = text[: len(text) * limit // size]
    return text


def whole_uri(text: str | None) -> str | None:
    """A URI as it is or not at all: a part of one would name something else."""
    return text if text and text == sound(text) and json_bytes(text) <= _MAX_URI else None
