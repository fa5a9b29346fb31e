"""Which rules and queues there are to be, and what they are called.

Sources: `SageMaker events <https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html>`_ and
`EventBridge quotas <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>`_ (five targets a rule).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TAG = "airflow-spot:events"
"""On all that is made here, with the name as its value; what bears the name and not the tag is somebody else's."""
PATTERN = {
    "source": ["aws.sagemaker"],
    "detail-type": [
        "SageMaker Training Job State Change",
        "SageMaker HyperParameter Tuning Job State Change",
    ],
}
QUEUE_ATTRIBUTES = {
    # Polling has found what is older than that.
    "MessageRetentionPeriod": "3600",
    "ReceiveMessageWaitTimeSeconds": "20",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
TARGETS_A_RULE = 5
MOST_TRIGGERERS = 100


@dataclass(frozen=True)
class EventRules:
    """The rules and queues of one Airflow in one account and region.

    :param name: of the rules; the queues' names begin with it.
    :param triggerers: how many queues there are.
    :raises ValueError: the name or the number is none that AWS or this provider takes.
    """

    name: str = "airflow-spot-events"
    triggerers: int = 1

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", self.name):
            raise ValueError(
                f"--name is {self.name!r}; it takes 1 to 60 letters, digits, hyphens and underscores."
            )
        if not 1 <= self.triggerers <= MOST_TRIGGERERS:
            raise ValueError(
                f"--triggerers is {self.triggerers}; it takes a number from 1 to {MOST_TRIGGERERS}."
            )

    def queue(self, ordinal: int) -> str:
        """The name of a triggerer's queue."""
        return f"{self.name}-{ordinal}"

    def queues(self) -> list[str]:
        """The names of all queues."""
        return [self.queue(ordinal) for ordinal in range(self.triggerers)]

    def rules(self) -> Iterator[tuple[str, list[str]]]:
        """Each rule's name, and its queues'."""
        queues = self.queues()
        for number, first in enumerate(range(0, self.triggerers, TARGETS_A_RULE), start=1):
            yield self._rule(number), queues[first : first + TARGETS_A_RULE]

    def names_a_rule(self, name: str) -> bool:
        """Whether a rule of this name would be one of these, with however many triggerers."""
        return name in {self._rule(number) for number in range(1, MOST_TRIGGERERS // TARGETS_A_RULE + 1)}

    def names_a_queue(self, name: str) -> bool:
        """Whether a queue of this name would be one of these, with however many triggerers."""
        return name in {self.queue(ordinal) for ordinal in range(MOST_TRIGGERERS)}

    def setting(self) -> str:
        """The value of ``[airflow_spot] events_queue`` that suits every triggerer."""
        return self.queue(0) if self.triggerers == 1 else f"{self.name}-{{ordinal}}"

    def _rule(self, number: int) -> str:
        return self.name if number == 1 else f"{self.name}-{number}"
