"""Configs as people bring them, with members dropped, nulls, text for numbers, numbers for text, and templates: each becomes a request
that botocore takes, or is refused in our words, at DAG parse wherever it can be known.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_spot_provider.operators._job import SpotJobOperator
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.operators.tuning import SageMakerSpotTuningOperator
from airflow_spot_provider.training import InvalidSpotRequest

MODEL = ServiceModel(create_loader().load_service_model("sagemaker", "service-2"))
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/Training"


def _resources(instance_type: str, gigabytes: int) -> dict[str, Any]:
    return {"InstanceType": instance_type, "InstanceCount": 1, "VolumeSizeInGB": gigabytes}


def _channel(name: str) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://bucket/{name}",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "ContentType": "text/csv"}


TRAINING_SHAPES: dict[str, dict[str, Any]] = {
    "a built-in algorithm with its flags": {
        "TrainingJobName": "forest-1a2b3",
        "AlgorithmSpecification": {
            "TrainingImage": f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/randomcutforest:1",
            "TrainingInputMode": "File",
        },
        "RoleArn": ROLE,
        "InputDataConfig": [_channel("train")],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/data/"},
        "ResourceConfig": _resources("ml.m4.xlarge", 1),
        "StoppingCondition": {"MaxRuntimeInSeconds": 1800},
        "HyperParameters": {"eval_metrics": '["accuracy"]', "feature_dim": "1", "num_trees": "100"},
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
    },
    "a state machine's": {
        "RoleArn": ROLE,
        "TrainingJobName": "sample-job",
        "AlgorithmSpecification": {
            "EnableSageMakerMetricsTimeSeries": True,
            "TrainingImage": "registry/image:1",
            "TrainingInputMode": "FastFile",
        },
        "EnableManagedSpotTraining": True,
        "Environment": {"SAGEMAKER_PROGRAM": "/opt/program/train.py"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": _resources("ml.g4dn.xlarge", 20),
        "StoppingCondition": {"MaxRuntimeInSeconds": 3000, "MaxWaitTimeInSeconds": 3000},
    },
    "named by its day, with a role's name": {
        "TrainingJobName": "models-{{ ds_nodash }}",
        "AlgorithmSpecification": {"TrainingImage": "registry/sklearn:1.2", "TrainingInputMode": "File"},
        "RoleArn": "Training",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/{{ ds_nodash }}/"},
        "ResourceConfig": _resources("ml.m5.large", 30),
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "HyperParameters": {"n-estimators": "100", "max-depth": "6"},
        "S3Operations": {
            "S3Upload": [{"Path": "/tmp/code", "Bucket": "bucket", "Key": "code.tar.gz", "Tar": True}]
        },
    },
    "isolated, encrypted, tagged": {
        "TrainingJobName": "isolated-job",
        "AlgorithmSpecification": {
            "TrainingImage": "registry/image:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out", "KmsKeyId": "alias/models"},
        "ResourceConfig": {**_resources("ml.m5.large", 100), "VolumeKmsKeyId": "alias/disks"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints/", "LocalPath": "/opt/ml/checkpoints"},
        "VpcConfig": {"SecurityGroupIds": ["sg-0123456789abcdef0"], "Subnets": ["subnet-0123456789abcdef0"]},
        "RetryStrategy": {"MaximumRetryAttempts": 3},
        "Tags": [{"Key": "CostCenter", "Value": "1234"}],
    },
}
TUNING_SHAPES: dict[str, dict[str, Any]] = {
    "a random search": {
        "HyperParameterTuningJobName": "search-1",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 8, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "9"}],
                "ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.01", "MaxValue": "1"}],
                "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
            },
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {"epochs": "10"},
            "AlgorithmSpecification": {
                "TrainingImage": "registry/image:1",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
            },
            "RoleArn": ROLE,
            "InputDataConfig": [_channel("train")],
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
            "ResourceConfig": _resources("ml.m5.large", 10),
            "StoppingCondition": {"MaxRuntimeInSeconds": 1800},
            "EnableManagedSpotTraining": True,
        },
        "Tags": [{"Key": "team", "Value": "models"}],
    },
}
CONTEXT = {
    "ds_nodash": "20260101",
    "number": 20,
    "text": "text",
    "flag": True,
    "items": [1, "a"],
    "mapping": {"a": 1},
    "nothing": None,
}
TEMPLATES = ["{{ " + name + " }}" for name in CONTEXT]
ODD = st.sampled_from(
    [
        None, "", "20", " 20 ", "twenty", "True", "false", "maybe", 0, 1, 20, 20.0, 20.5, -1, True, False, float("nan"), float("inf"),
        10**30, [], {}, [1], [None], {"a": 1}, {"a": None}, "[1, 2]", '{"a": 1}', b"bytes", {1, 2}, (1,), "x" * 300, "a b/c", *TEMPLATES,
    ]
).map(copy.deepcopy)  # fmt: skip
Path = tuple[str | int, ...]


def _paths(part: Any, path: Path = ()) -> Iterator[Path]:
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _paths(value, (*path, key))


@st.composite
def _changed(draw: st.DrawFn, shapes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    config = copy.deepcopy(shapes[draw(st.sampled_from(sorted(shapes)))])
    for _ in range(draw(st.integers(0, 4))):
        paths = sorted(_paths(config), key=str)
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        holder: Any = config
        for key in path[:-1]:
            holder = holder[key]
        match draw(st.sampled_from(["drop", "as text", "odd", "another member"])):
            case "drop":
                del holder[path[-1]]
            case "as text":
                holder[path[-1]] = str(holder[path[-1]])
            case "odd":
                holder[path[-1]] = draw(ODD)
            case _ if isinstance(holder, dict):
                holder["Anothr"] = draw(ODD)
    return config


def _has_template(part: Any) -> bool:
    if isinstance(part, dict):
        return any(map(_has_template, part.values()))
    if isinstance(part, list | tuple | set):
        return any(map(_has_template, part))
    return isinstance(part, str) and "{{" in part


_NAMES_A_MEMBER = re.compile(
    r"[A-Z][A-Za-z0-9]+[\[.]|\b[A-Z][a-z0-9]+(?:[A-Z][A-Za-z0-9]+)+\b|\bTags\b|\bStrategy\b|\bEnvironment\b|^Hyperparameter|^The (?:name|checkpoint URI)"
    r"|^max_wait|^checkpoint_s3_uri|^hyperparameters|^instance_type|^Anothr|config (?:has|is)|objective|^There is no MaxWait|\bName\b"
)
_SAYS_WHAT_TO_DO = re.compile(
    r"it takes|[Tt]ake |[Ll]eave|[Pp]ass |Raise|Lower|may be meant|requires it|Write|Fill|[Gg]ive|Swap|Widen|needs a|no more can run"
    r"|has a|Correct|Shorten"
)


def _refusals(error: InvalidSpotRequest) -> None:
    for problem in error.problems:
        assert _NAMES_A_MEMBER.search(problem), problem
        assert _SAYS_WHAT_TO_DO.search(problem), problem
        assert problem.endswith((".", "]")), problem
    assert len(set(error.problems)) == len(error.problems)
    assert error.__cause__ is None
    assert "Parameter validation" not in str(error)


def _come_to(build: Any, config: dict[str, Any], *, native: bool, **arguments: Any) -> None:
    before = copy.deepcopy(config)
    try:
        with DAG("d", schedule=None, render_template_as_native_obj=native):
            operator: SpotJobOperator = build(
                **{
                    "task_id": "it",
                    "config": config,
                    "max_wait": 3600,
                    "region_name": "us-east-1",
                    **arguments,
                }
            )
    except InvalidSpotRequest as error:
        _refusals(error)
        return
    assert repr(config) == repr(before)
    operator.render_template_fields(dict(CONTEXT))
    try:
        request = operator._request()
    except InvalidSpotRequest as error:
        # What is no template was known when the DAG was parsed.
        if not _has_template([before, arguments]):
            pytest.fail(f"That was known when the DAG was parsed: {error}")
        _refusals(error)
        return
    shape = MODEL.operation_model(f"Create{operator.kind.resource}").input_shape
    request.setdefault(operator.kind.name, "a-name")
    for definition in (request, request.get("TrainingJobDefinition", {})):
        if "RoleArn" in definition and not definition["RoleArn"].startswith("arn:"):
            definition["RoleArn"] = ROLE  # as it is looked up
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("name", sorted(TRAINING_SHAPES))
def test_a_public_config_is_taken_as_it_is(name: str, native: bool) -> None:
    with DAG("d", schedule=None, render_template_as_native_obj=native):
        operator = SageMakerSpotTrainingOperator(task_id="it", config=TRAINING_SHAPES[name], max_wait=3600)
    operator.render_template_fields(dict(CONTEXT))

    assert operator._request()["StoppingCondition"]["MaxWaitTimeInSeconds"] == 3600


@settings(max_examples=100, deadline=None)
@given(_changed(TRAINING_SHAPES), st.booleans())
def test_a_public_config_becomes_a_request_or_is_refused_in_our_words(
    config: dict[str, Any], native: bool
) -> None:
    _come_to(SageMakerSpotTrainingOperator, config, native=native)


@settings(max_examples=100, deadline=None)
@given(_changed(TUNING_SHAPES), st.booleans())
def test_a_public_tuning_config_becomes_a_request_or_is_refused_in_our_words(
    config: dict[str, Any], native: bool
) -> None:
    _come_to(SageMakerSpotTuningOperator, config, native=native)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(TRAINING_SHAPES)),
    st.fixed_dictionaries(
        {},
        optional={
            name: ODD | st.dictionaries(st.sampled_from(["a", "epochs"]), ODD)
            for name in ("max_wait", "checkpoint_s3_uri", "hyperparameters", "instance_type")
        },
    ),
    st.booleans(),
)
def test_arguments_of_any_kind_are_taken_or_refused_in_our_words(
    name: str, arguments: dict[str, Any], native: bool
) -> None:
    _come_to(SageMakerSpotTrainingOperator, copy.deepcopy(TRAINING_SHAPES[name]), native=native, **arguments)
