"""What Amazon's own operators do with a config before they submit it, and what they put into XCom afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, Description, Kind
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators import _s3_operations
from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.training.request import everything_is_known
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.training.secrets import masked_request

XCOMS = ("result", "stock")


def prepared(
    request: Mapping[str, Any], config: object, *, hook: SageMakerSpotHook, log: Log
) -> dict[str, Any]:
    """A checked request with names of roles expanded to ARNs, its config's S3Operations carried out.

    :param request: of a training job or a tuning job.
    :param config: as it was rendered.
    """
    ready = _with_role_arns(request, hook)
    _, operations, _ = _s3_operations.split(config, known=everything_is_known)
    if operations:
        # Importing it takes a while, and every DAG file imports this.
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        s3 = S3Hook(aws_conn_id=hook.aws_conn_id, region_name=hook.region_name, verify=hook.verify)
        _s3_operations.carry_out(operations, s3=s3, log=log)
    return dict(ready)


def _with_role_arns(part: Any, hook: SageMakerSpotHook) -> Any:
    """A request, or a definition of a tuning job's training jobs."""
    ready = dict(part)
    if "RoleArn" in ready:
        ready["RoleArn"] = hook.role_arn(ready["RoleArn"])
    if "TrainingJobDefinition" in ready:
        ready["TrainingJobDefinition"] = _with_role_arns(ready["TrainingJobDefinition"], hook)
    if "TrainingJobDefinitions" in ready:
        ready["TrainingJobDefinitions"] = [
            _with_role_arns(each, hook) for each in ready["TrainingJobDefinitions"]
        ]
    return ready


def checked_xcom(xcom: object) -> bool:
    """Whether the description is published as well, as Amazon's operators do.

    :raises InvalidSpotRequest: it is neither ``result`` nor ``stock``.
    """
    if xcom not in XCOMS:
        raise InvalidSpotRequest(
            [
                f"xcom is {xcom!r}; it takes 'result', or 'stock' to have Amazon's ['Training'] in the result too."
            ]
        )
    return xcom == "stock"


def stock_xcom(kind: Kind, description: Description, failure_reason: str | None) -> dict[str, Any]:
    """The job's description where Amazon's operators put it: times are ISO texts, and no value of what may be secret is in it.

    :param failure_reason: as the result tells it: SageMaker's own may quote the script's command line.
    """
    key = "Training" if kind is TRAINING_JOBS else "Tuning"
    told = {name: value for name, value in description.items() if name != "ResponseMetadata"}
    if "FailureReason" in told:
        told["FailureReason"] = failure_reason
    return {key: json.loads(json.dumps(masked_request(told), default=iso))}
