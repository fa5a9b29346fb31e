"""Warm start: a tuning job that goes on from what earlier ones have found.

Source: `Run a warm start hyperparameter tuning job
<https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-warm-start.html>`_.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_spot_provider.training.exceptions import InvalidSpotRequest
from airflow_spot_provider.training.naming import checked_tuning_job_name
from airflow_spot_provider.training.rules import Known

IDENTICAL = "IdenticalDataAndAlgorithm"
TRANSFER = "TransferLearning"
WARM_START_TYPES = (IDENTICAL, TRANSFER)
MAX_PARENTS = 5


def warm_start_problems(warm_start: object, warm_start_type: object, known: Known) -> Iterator[str]:
    """What cannot be gone on from."""
    if known(warm_start_type) and warm_start_type not in WARM_START_TYPES:
        yield f"warm_start_type is {warm_start_type!r}; it takes one of {list(WARM_START_TYPES)}."
    parents = [parent for parent in parents_in(warm_start) if parent is not None]
    if len(parents) > MAX_PARENTS:
        yield f"warm_start names {len(parents)} tuning jobs; SageMaker takes at most {MAX_PARENTS}."
    for parent in parents:
        if not known(parent):
            continue
        try:
            checked_tuning_job_name(_name_of(parent))
        except InvalidSpotRequest:
            told = repr(parent) if isinstance(parent, str) else f"a {type(parent).__name__}"
            yield (
                f"warm_start holds {told}, which is no tuning job. It takes the output of an earlier tuning task, the name of a "
                "tuning job, or a list of them."
            )


def warm_start_config(warm_start: object, warm_start_type: str) -> dict[str, Any]:
    """The member WarmStartConfig for what a user passes as ``warm_start``; nothing if there is nothing to go on from.

    :param warm_start: a result of an earlier tuning task, the name of a tuning job, a list of them, or None.
    :param warm_start_type: WarmStartType.
    """
    names = list(dict.fromkeys(_name_of(parent) for parent in parents_in(warm_start) if parent is not None))
    if not names:
        return {}
    parents = [{"HyperParameterTuningJobName": name} for name in names]
    return {"WarmStartConfig": {"ParentHyperParameterTuningJobs": parents, "WarmStartType": warm_start_type}}


def parents_in(warm_start: object) -> Sequence[object]:
    """What a user passes as ``warm_start``, as a list; one of an earlier run that there was not is None."""
    return warm_start if isinstance(warm_start, list | tuple) else [warm_start]


def parents_of(description: Mapping[str, Any]) -> list[str]:
    """The names of the tuning jobs that one went on from."""
    parents = (description.get("WarmStartConfig") or {}).get("ParentHyperParameterTuningJobs") or ()
    return [name for each in parents if (name := each.get("HyperParameterTuningJobName"))]


def _name_of(parent: Any) -> Any:
    return parent.get("job_name") if isinstance(parent, Mapping) else parent
