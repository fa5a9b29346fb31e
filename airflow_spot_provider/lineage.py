"""What a training read, wrote and came to, for OpenLineage; imported only where its provider asks for it.

Source: `OpenLineage in Airflow's operators
<https://airflow.apache.org/docs/apache-airflow-providers-openlineage/stable/guides/developer.html>`_.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from airflow.providers.common.compat.openlineage.facet import Dataset, RunFacet
from airflow.providers.openlineage.extractors import OperatorLineage

from airflow_spot_provider.training import SpotTrainingResult, SpotTuningResult

FACET = "airflow_spot_training"
"""Under this name a run's facets have what the training came to."""


@attrs.define
class SpotTrainingRunFacet(RunFacet):
    """What a training, or a tuning job, came to. None stands for what is not known.

    :param job_name: of the job at SageMaker.
    :param job_arn: of the same.
    :param outcome: how it ended.
    :param managed_spot: whether it was on spot.
    :param instance_type: what it ran on; None for several types and for tuning jobs.
    :param instance_count: on how many.
    :param savings_percent: SageMaker's formula.
    :param training_instance_seconds: trained seconds x instances.
    :param billable_instance_seconds: billed seconds x instances.
    :param interruptions: how often it was interrupted.
    :param waiting_seconds: without an instance.
    :param cost: billed time at the on-demand price.
    :param on_demand_cost: what the same training would have cost on demand.
    :param currency: of both.
    :param price_date: ISO date of the price.
    :param checkpoint_s3_uri: where its checkpoints are.
    """

    job_name: str
    job_arn: str
    outcome: str
    managed_spot: bool
    instance_type: str | None
    instance_count: int | None
    savings_percent: float | None
    training_instance_seconds: float
    billable_instance_seconds: float
    interruptions: int
    waiting_seconds: float
    cost: float | None
    on_demand_cost: float | None
    currency: str | None
    price_date: str | None
    checkpoint_s3_uri: str | None


def lineage_of(
    description: Mapping[str, Any], result: SpotTrainingResult | SpotTuningResult
) -> OperatorLineage[Dataset, RunFacet]:
    """Inputs, the model, and the run's facet.

    :param description: of the job; its channels are the inputs. Nothing else of it is told.
    :param result: how it ended.
    """
    inputs = dict.fromkeys(_inputs_of(description))
    model: str | None
    if isinstance(result, SpotTrainingResult):
        model = result.model_artifacts
    else:
        model = result.best.model_artifacts if result.best else None
    return OperatorLineage(
        inputs=[_dataset(uri) for uri in inputs],
        outputs=[_dataset(model)] if model else [],
        run_facets={FACET: _facet(result)},
    )


def _facet(result: SpotTrainingResult | SpotTuningResult) -> SpotTrainingRunFacet:
    training = result if isinstance(result, SpotTrainingResult) else None
    return SpotTrainingRunFacet(
        job_name=result.job_name,
        job_arn=result.job_arn,
        outcome=str(result.outcome),
        managed_spot=result.managed_spot,
        instance_type=training.instance_type if training else None,
        instance_count=training.instance_count if training else None,
        savings_percent=result.savings_percent,
        training_instance_seconds=result.savings.training_instance_seconds,
        billable_instance_seconds=result.savings.billable_instance_seconds,
        interruptions=result.interruptions,
        waiting_seconds=result.waiting_seconds,
        cost=result.cost,
        on_demand_cost=result.on_demand_cost,
        currency=result.currency,
        price_date=result.price_date,
        checkpoint_s3_uri=training.checkpoint_s3_uri if training else None,
    )


def _inputs_of(description: Mapping[str, Any]) -> Iterator[str]:
    """S3 URIs of the channels, of all definitions of a tuning job."""
    definitions = [
        description,
        description.get("TrainingJobDefinition") or {},
        *(description.get("TrainingJobDefinitions") or ()),
    ]
    for definition in definitions:
        for channel in definition.get("InputDataConfig") or ():
            uri = ((channel.get("DataSource") or {}).get("S3DataSource") or {}).get("S3Uri")
            if uri:
                yield uri


def _dataset(uri: str) -> Dataset:
    """As OpenLineage names what is in S3: the bucket is the namespace. A key may have any character, those that end a URL's path too."""
    scheme, _, path = uri.partition("://")
    bucket, _, key = path.partition("/")
    return Dataset(namespace=f"{scheme}://{bucket}", name=key.strip("/") or "/")
