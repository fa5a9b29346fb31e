"""A stand-in for the task instance that Airflow hands to an operator: identity, tries, XComs in a dict."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context


class FakeTaskInstance:
    """Just what operators ask of a task instance."""

    def __init__(
        self, run_id: str, *, task_id: str = "train", try_number: int = 1, max_tries: int = 0
    ) -> None:
        self.dag_id = "integration"
        self.run_id = run_id
        self.task_id = task_id
        self.map_index: int | None = -1
        self.try_number = try_number
        self.max_tries = max_tries
        self.xcoms: dict[str, Any] = {}
        self.pullable: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, task_ids: str, map_indexes: int | None = None, key: str = "return_value") -> Any:
        if task_ids == self.task_id and key != "return_value":
            return self.xcoms.get(key)
        value = self.pullable.get(task_ids)
        return value[map_indexes] if map_indexes is not None else value

    def next_try(self) -> FakeTaskInstance:
        """The same task instance tried again: as at Airflow, its XComs are gone."""
        return FakeTaskInstance(
            self.run_id, task_id=self.task_id, try_number=self.try_number + 1, max_tries=self.max_tries
        )

    def cleared(self) -> FakeTaskInstance:
        """The same task instance after a user's clear, which gives it as many tries more."""
        anew = self.next_try()
        anew.max_tries += self.try_number
        return anew

    @property
    def context(self) -> Context:
        return {"ti": self}  # type: ignore[typeddict-item]
