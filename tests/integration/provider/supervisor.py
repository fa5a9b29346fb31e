"""A stand-in for the process that serves triggers: it keeps their XComs, and knows what tasks are doing."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetTaskStates, GetXCom, SetXCom, TaskStatesResult

from airflow_spot_provider.triggers import _progress


class Supervisor:
    """XComs of one task, newest last, and the states of all."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []
        self.states: Callable[[], dict[str, dict[str, str | None]]] | None = None
        """Gives states of tasks, by run id and key; None where every task is deferred."""

    async def asend(self, message: Any) -> Any:
        if isinstance(message, SetXCom):
            self.written.append((message.key, message.value))
            return None
        if isinstance(message, GetTaskStates):
            assert message.run_ids is not None
            assert message.task_ids is not None
            deferred = {run_id: dict.fromkeys(message.task_ids, "deferred") for run_id in message.run_ids}
            return TaskStatesResult(task_states=deferred if self.states is None else self.states())
        assert isinstance(message, GetXCom)
        return SimpleNamespace(value=self.xcoms.get(message.key))

    @property
    def xcoms(self) -> dict[str, Any]:
        return dict(self.written)

    def all_of(self, key: str) -> list[Any]:
        return [value for name, value in self.written if name == key]


def serve_triggers(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """Serve the triggers of a test, at once."""
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    monkeypatch.setattr(_progress, "SECONDS_BETWEEN", 0.0)
    return supervisor
