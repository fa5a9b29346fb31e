"""Lineage: how what a training read is named for OpenLineage."""

from __future__ import annotations

import pytest

from airflow_spot_provider.lineage import lineage_of
from airflow_spot_provider.training import Outcome, SpotTrainingResult


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("s3://bucket/data/churn/", "s3://bucket", "data/churn"),
        ("s3://bucket", "s3://bucket", "/"),
        ("s3://bucket/day=1#2/part?x=1", "s3://bucket", "day=1#2/part?x=1"),
        ("s3://[odd/key", "s3://[odd", "key"),
        ("https://s3.eu-west-1.amazonaws.com/bucket/key", "https://s3.eu-west-1.amazonaws.com", "bucket/key"),
    ],
)
def test_data_is_named_by_bucket_and_whole_key(uri: str, namespace: str, name: str) -> None:
    result = SpotTrainingResult(job_name="j", job_arn="arn", outcome=Outcome.COMPLETED, model_artifacts=uri)
    channel = {"DataSource": {"S3DataSource": {"S3Uri": uri}}}
    told = lineage_of({"InputDataConfig": [channel]}, result)
    for dataset in (*told.inputs, *told.outputs):
        assert (dataset.namespace, dataset.name) == (namespace, name)
