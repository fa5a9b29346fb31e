"""What a training job knows of its instances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from airflow_spot_provider.emulator.instances.ending import Ending


@dataclass(frozen=True)
class Listener:
    """Whom the instances tell what happens on them; each is called on a thread of the instances' own.

    :param line: a line of the log.
    :param checkpoint: a checkpoint has reached S3.
    :param exited: all programs ended with 0, or one ended with another status.
    :param failed: the job cannot go on, for this FailureReason.
    """

    line: Callable[[str], None]
    checkpoint: Callable[[], None]
    exited: Callable[[int], None]
    failed: Callable[[str], None]


class Instance(Protocol):
    """One stay of a job on its instances. Each step may take its time, and raises TrainingProblem where the job cannot go on."""

    runs_script: bool

    def download(self) -> None:
        """Bring everything in: channels, script, checkpoints."""

    def train(self) -> None:
        """Begin to train."""

    def end(self) -> Ending:
        """End what runs, with SageMaker's grace, and mirror its checkpoints a last time."""

    def tear(self) -> Ending:
        """End what runs at once, and leave S3 as a loss in the middle of writing a checkpoint does."""

    def metrics(self) -> Mapping[str, float]:
        """The figures that a job without a program states in the end."""

    def kill(self) -> None:
        """End what runs, and leave it at that."""

    def upload(self, *, completed: bool) -> str | None:
        """Bring out what the job leaves, and say where its model is, if it has one.

        :param completed: False for a job that was stopped on the way.
        """

    def failure(self) -> str:
        """What the program says of its failure."""

    def discard(self) -> None:
        """Remove what is left of it here."""
