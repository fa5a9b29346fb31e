"""What alerts call in tests, by its import path as a triggerer does; it keeps what it was told."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from airflow.sdk import BaseNotifier

told: list[dict[str, Any]] = []
"""What was told since the test began."""
NOT_CALLABLE = "text"
release = threading.Event()
"""Lets :func:`hang` go on."""


def note(text: str, context: dict[str, Any], more: Any = None) -> None:
    told.append({"text": text, "context": context, "more": more, "thread": threading.current_thread().name})


def note_text(text: str) -> None:
    told.append({"text": text})


async def anote(text: str, *, context: dict[str, Any]) -> None:
    await asyncio.sleep(0)
    told.append({"text": text, "context": context, "thread": threading.current_thread().name})


def refuse(**_: Any) -> None:
    told.append({"text": "refused"})
    raise RuntimeError("the pager is out of order")


def leave(**_: Any) -> None:
    told.append({"text": "leaving"})
    raise SystemExit(1)


async def aleave() -> None:
    leave()


def hang(**_: Any) -> None:
    told.append({"text": "hanging"})
    release.wait(30)


class NoteNotifier(BaseNotifier):
    """A notifier that blocks."""

    template_fields = ("text",)

    def __init__(self, *, text: str, channel: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.channel = channel

    def notify(self, context: Any) -> None:
        told.append({"text": self.text, "channel": self.channel, "context": dict(context)})


class PickyNotifier(NoteNotifier):
    """A notifier that looks for what it needs when it is made."""

    def __init__(self, *, connection: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        raise LookupError(connection)


class AsyncNoteNotifier(NoteNotifier):
    """A notifier that can be awaited."""

    async def async_notify(self, context: Any) -> None:
        told.append({"text": self.text, "awaited": True, "context": dict(context)})
