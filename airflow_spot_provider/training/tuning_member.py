"""One training job of a tuning job: what the tuning job tells of it, and what it tells itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_spot_provider.training.lifecycle import Outcome, outcome_of
from airflow_spot_provider.training.result import SpotTrainingResult
from airflow_spot_provider.training.savings import Savings


@dataclass(frozen=True, slots=True)
class TuningMember:
    """A training job of a tuning job.

    :param summary: its HyperParameterTrainingJobSummary, which holds neither its billable time nor its SecondaryStatus.
    :param result: what its own description tells; None if it cannot be described any more, or has not ended.
    """

    summary: Mapping[str, Any]
    result: SpotTrainingResult | None

    @property
    def name(self) -> str:
        """TrainingJobName."""
        return str(self.summary["TrainingJobName"])

    @property
    def definition(self) -> str | None:
        """DefinitionName of its TrainingJobDefinition, if it has one."""
        definition: str | None = self.summary.get("TrainingJobDefinitionName")
        return definition

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None if that is not known: of one that was stopped, a summary does not tell why."""
        if self.result is not None:
            return self.result.outcome
        return outcome_of(self.summary)

    @property
    def objective(self) -> float | None:
        """The value of the objective metric that it came to; None if there is none, or it is no finite number."""
        value = (self.summary.get("FinalHyperParameterTuningJobObjectiveMetric") or {}).get("Value")
        return None if value is None or not math.isfinite(value) else float(value)

    @property
    def managed_spot(self) -> bool:
        """Whether it describes itself as managed spot training."""
        return self.result is not None and self.result.managed_spot

    @property
    def savings(self) -> Savings:
        """What it saved; unknown if it cannot be described any more."""
        return Savings(unknown=1) if self.result is None else self.result.savings

    @property
    def row(self) -> tuple[str, str | None, float | None, int | None, float | None, int | None]:
        """Name, outcome, objective, billable seconds, savings in percent (two decimals) and interruptions; None for what is not known."""
        outcome = None if self.outcome is None else str(self.outcome)
        if self.result is None:
            return (self.name, outcome, self.objective, None, None, None)
        percent = self.result.savings_percent
        return (
            self.name,
            outcome,
            self.objective,
            self.result.billable_seconds,
            None if percent is None else round(percent, 2),
            self.result.interruptions,
        )
