"""What a config of an operator comes to when a DAG renders it, natively or as text: by botocore's own model of SageMaker's API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk import DAG
from botocore.loaders import create_loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS, Kind
from airflow_spot_provider.aws.request_shapes import shape_of
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.operators.tuning import SageMakerSpotTuningOperator
from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.training.shapes import fitted

MODEL = ServiceModel(create_loader().load_service_model("sagemaker", "service-2"))
BASE: dict[str, Any] = {
    "RoleArn": "arn:aws:iam::123456789012:role/training",
    "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
    "ResourceConfig": {
        "InstanceType": "ml.m5.large",
        "InstanceCount": "{{ 1 }}",
        "VolumeSizeInGB": "{{ 5 }}",
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": "{{ 600 }}"},
}
CONTEXT = {"number": 20, "flag": True, "layers": [64, 32], "nothing": None}
Requested = Callable[..., dict[str, Any]]


def _requested(*, native: bool, **members: Any) -> dict[str, Any]:
    with DAG("d", schedule=None, render_template_as_native_obj=native):
        operator = SageMakerSpotTrainingOperator(
            task_id="train", config={**BASE, **members}, max_wait="{{ 900 }}", region_name="us-east-1"
        )
    operator.render_template_fields(dict(CONTEXT))
    request: dict[str, Any] = operator._request()
    return request


TEXTS = [
    "20",
    "007",
    "1e5",
    "1_000",
    "0x10",
    "1e-05",
    "True",
    "true",
    "None",
    "[64, 32]",
    '"quoted"',
    "{'a': 1}",
    "a\n",
    "",
    " 2 ",
]


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("text", TEXTS)
def test_text_without_a_template_goes_out_as_it_was_written(text: str, native: bool) -> None:
    request = _requested(
        native=native,
        HyperParameters={"it": text},
        Environment={"IT": text},
        Tags=[{"Key": "it", "Value": text}],
        TrainingJobName="20260101",
    )

    assert request["HyperParameters"] == {"it": text}
    assert request["Environment"] == {"IT": text}
    assert request["Tags"] == [{"Key": "it", "Value": text}]
    assert request["TrainingJobName"] == "20260101"


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize(
    ("template", "text"),
    [("{{ number }}", "20"), ("{{ flag }}", "True"), ("{{ layers }}", "[64, 32]"), ("{{ number }}x", "20x")],
)
def test_what_a_template_renders_is_text_where_sagemaker_takes_text(
    template: str, text: str, native: bool
) -> None:
    request = _requested(
        native=native,
        HyperParameters={"it": template},
        Environment={"IT": template},
        Tags=[{"Key": "it", "Value": template}],
    )

    assert request["HyperParameters"] == {"it": text}
    assert request["Environment"] == {"IT": text}
    assert request["Tags"][0]["Value"] == text


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_what_a_template_renders_is_a_number_or_a_flag_where_sagemaker_takes_that(native: bool) -> None:
    request = _requested(
        native=native, EnableNetworkIsolation="{{ flag }}", EnableManagedSpotTraining="{{ flag }}"
    )

    assert request["ResourceConfig"] == {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 5,
    }
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900}
    assert request["EnableNetworkIsolation"] is True
    assert request["EnableManagedSpotTraining"] is True


def test_none_that_a_native_template_renders_is_absent() -> None:
    request = _requested(native=True, Environment="{{ nothing }}", HyperParameters={"it": "{{ nothing }}"})

    assert "Environment" not in request
    assert request["HyperParameters"] == {}


@pytest.mark.parametrize("flag", ["True", "true", True], ids=repr)
def test_spot_said_as_text_is_no_contradiction(flag: object) -> None:
    operator = SageMakerSpotTrainingOperator(
        task_id="train", config={**BASE, "EnableManagedSpotTraining": flag}, max_wait=900
    )
    assert operator.config["EnableManagedSpotTraining"] == flag


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (
            {"ResourceConfig": {**BASE["ResourceConfig"], "VolumeSizeInGB": "lots"}},
            "VolumeSizeInGB is 'lots'",
        ),
        ({"EnableNetworkIsolation": "maybe"}, "EnableNetworkIsolation is 'maybe'; it takes True or False"),
        ({"EnableManagedSpotTraining": "False"}, "EnableManagedSpotTraining is False in config"),
        ({"Chanels": []}, "Chanels is no member of CreateTrainingJob"),
        ({"VpcConfig": {"Subnets": ["s"]}}, "VpcConfig.SecurityGroupIds is missing from config"),
        ({"Tags": [{"Key": f"k{i}", "Value": "v"} for i in range(48)]}, "There are 48 Tags"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_what_cannot_be_is_refused_when_the_dag_is_parsed(members: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=says) as raised:
        SageMakerSpotTrainingOperator(task_id="train", config={**BASE, **members}, max_wait=900)

    assert len(raised.value.problems) == 1


def test_a_tuning_job_is_read_by_the_model_too() -> None:
    ranges = {
        "ContinuousParameterRanges": [{"Name": "rate", "MinValue": 0.01, "MaxValue": 1}],
        "CategoricalParameterRanges": [{"Name": "layers", "Values": [1, 2, "many"]}],
    }
    search = {
        "Strategy": "Random",
        "ResourceLimits": {"MaxNumberOfTrainingJobs": " 20 ", "MaxParallelTrainingJobs": "2"},
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "accuracy"},
        "ParameterRanges": ranges,
    }
    operator = SageMakerSpotTuningOperator(
        task_id="tune",
        config={
            "HyperParameterTuningJobConfig": search,
            "TrainingJobDefinition": {**BASE, "StaticHyperParameters": {"epochs": 10}, "Environment": None},
            "Tags": None,
        },
        max_wait="3600",
    )
    operator.render_template_fields({})

    request = operator._request()

    written = request["HyperParameterTuningJobConfig"]
    assert written["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 2}
    assert written["ParameterRanges"] == {
        "ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.01", "MaxValue": "1"}],
        "CategoricalParameterRanges": [{"Name": "layers", "Values": ["1", "2", "many"]}],
    }
    assert request["TrainingJobDefinition"]["StaticHyperParameters"] == {"epochs": "10"}
    assert request["TrainingJobDefinition"]["ResourceConfig"]["VolumeSizeInGB"] == 5
    assert "Environment" not in request["TrainingJobDefinition"]
    assert "Tags" not in request


def _leaves(shape: Shape, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Shape]]:
    """Every member that is text, a number or a flag, with its path; keys of maps apart."""
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                yield from _leaves(member, (*path, name))
        case "list":
            yield from _leaves(shape.member, (*path, 0))
        case "map":
            yield from _leaves(shape.value, (*path, "a-name"))
        case _:
            yield path, shape


def _holding(path: tuple[str | int, ...], value: Any) -> Any:
    for key in reversed(path):
        value = [value] if key == 0 else {key: value}
    return value


OF_ANOTHER_TYPE: dict[str, list[Any]] = {
    "string": [10**79],
    "integer": ["100000", 100000.0],
    "long": ["100000", 100000.0],
    "float": ["100000", 100000],
    "double": ["100000", 100000],
    "boolean": ["True", "false"],
}


@pytest.mark.parametrize("kind", [TRAINING_JOBS, TUNING_JOBS], ids=lambda kind: kind.resource)
def test_every_member_at_every_depth_becomes_what_botocore_takes(kind: Kind) -> None:
    shape = MODEL.operation_model(f"Create{kind.resource}").input_shape
    leaves = list(_leaves(shape))
    assert len(leaves) > 60

    for path, leaf in leaves:
        for value in OF_ANOTHER_TYPE[leaf.type_name]:
            request, problems = fitted(_holding(path, value), shape_of(kind), known=lambda _value: True)

            refused = ParamValidator().validate(request, shape).generate_report()
            assert problems == []
            # What is missing beside it is another matter.
            assert all(
                "Missing required" in line or "Invalid length" in line for line in refused.splitlines()
            ), (
                path,
                refused,
            )
