"""What a CreateTrainingJob request becomes: on spot, on demand, and with parts that cannot be looked at yet."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.training import InvalidSpotRequest, on_demand_request, spot_request
from airflow_spot_provider.training.request import without_spot

CONFIG: dict[str, Any] = {
    "TrainingJobName": "digits",
    "RoleArn": "arn:aws:iam::123456789012:role/training",
    "AlgorithmSpecification": {
        "TrainingImage": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1",
        "TrainingInputMode": "File",
    },
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
    "StoppingCondition": {"MaxRuntimeInSeconds": 1_800},
    "HyperParameters": {"epochs": "10"},
    "InputDataConfig": [
        {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://bucket/in"}}}
    ],
}
TEMPLATE = "{{ params.it }}"


class Reference:
    """Stands for another task's XCom before it is there."""


def rendered(value: object) -> bool:
    return not isinstance(value, Reference) and not (isinstance(value, str) and "{{" in value)


def test_config_becomes_a_spot_request() -> None:
    request = spot_request(CONFIG, max_wait=3_600, checkpoint_s3_uri="s3://bucket/checkpoints")

    assert request == {
        **CONFIG,
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 1_800, "MaxWaitTimeInSeconds": 3_600},
        "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints"},
    }


def test_a_config_that_says_it_all_stays_as_it_is() -> None:
    config = {
        **CONFIG,
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 1_800, "MaxWaitTimeInSeconds": 1_800},
        "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints", "LocalPath": "/opt/ml/saved"},
    }

    assert spot_request(config) == config


def test_arguments_win_over_config() -> None:
    config = {
        **CONFIG,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 61},
        "CheckpointConfig": {"S3Uri": "s3://old/prefix", "LocalPath": "/opt/ml/saved"},
        "HyperParameters": {"epochs": "10", "rate": "0.1"},
    }

    request = spot_request(
        config,
        max_wait=120,
        checkpoint_s3_uri="s3://new/prefix",
        hyperparameters={"rate": 0.5, "depth": 3},
        instance_type="ml.p3.2xlarge",
    )

    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120}
    assert request["CheckpointConfig"] == {"S3Uri": "s3://new/prefix", "LocalPath": "/opt/ml/saved"}
    assert request["HyperParameters"] == {"epochs": "10", "rate": "0.5", "depth": "3"}
    assert request["ResourceConfig"] == {**CONFIG["ResourceConfig"], "InstanceType": "ml.p3.2xlarge"}


@pytest.mark.parametrize("absent", ["left out", "None"])
def test_arguments_fill_members_that_config_has_not(absent: str) -> None:
    given = ("RoleArn", "OutputDataConfig", "AlgorithmSpecification", "ResourceConfig")
    config = {member: CONFIG[member] for member in given}
    if absent == "None":
        members = ("StoppingCondition", "CheckpointConfig", "HyperParameters")
        config.update(dict.fromkeys(members))

    request = spot_request(
        config,
        max_wait=86_400,
        checkpoint_s3_uri="s3://bucket/checkpoints",
        hyperparameters={"epochs": 3},
    )

    assert request["StoppingCondition"] == {"MaxWaitTimeInSeconds": 86_400}
    assert request["CheckpointConfig"] == {"S3Uri": "s3://bucket/checkpoints"}
    assert request["HyperParameters"] == {"epochs": "3"}


def test_an_argument_fills_in_what_resource_config_has_not() -> None:
    resources = {"InstanceCount": 1, "VolumeSizeInGB": 10}

    request = spot_request(
        {**CONFIG, "ResourceConfig": resources}, max_wait=3_600, instance_type="ml.c5.xlarge"
    )

    assert request["ResourceConfig"] == {**resources, "InstanceType": "ml.c5.xlarge"}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (
            {"AlgorithmSpecification": {"TrainingInputMode": "File"}},
            "neither TrainingImage nor AlgorithmName.*Give",
        ),
        ({"AlgorithmSpecification": {"TrainingImage": ""}}, "neither TrainingImage nor AlgorithmName"),
        ({"AlgorithmSpecification": None}, "AlgorithmSpecification is missing from config"),
        ({"ResourceConfig": None}, "ResourceConfig is missing from config"),
        (
            {"AlgorithmSpecification": {"TrainingImage": "i", "AlgorithmName": "a"}},
            "both TrainingImage and AlgorithmName.*Take the other out",
        ),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large"}},
            "ResourceConfig has no InstanceCount; it takes both",
        ),
        ({"ResourceConfig": {"VolumeSizeInGB": 1}}, "has no InstanceType and no InstanceCount"),
        (
            {"OutputDataConfig": {"S3OutputPath": "bucket/out"}},
            "S3OutputPath is 'bucket/out'; it takes s3://bucket",
        ),
    ],
    ids=str,
)
def test_what_sagemaker_wants_one_of_is_told(members: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=says) as raised:
        spot_request({**CONFIG, **members}, max_wait=3_600)

    assert len(raised.value.problems) == 1


@pytest.mark.parametrize(
    "resources",
    [
        {"InstanceGroups": [{"InstanceType": "ml.m5.large", "InstanceCount": 1, "InstanceGroupName": "g"}]},
        {"InstanceType": TEMPLATE, "InstanceCount": TEMPLATE},
    ],
    ids=["groups", "templates"],
)
def test_other_ways_to_say_the_instances_are_fine(resources: dict[str, Any]) -> None:
    request = spot_request({**CONFIG, "ResourceConfig": resources}, max_wait=3_600, known=rendered)

    assert request["ResourceConfig"] == resources


@pytest.mark.parametrize(
    ("max_wait", "seconds"),
    [
        (1_800, 1_800),
        (1_800.0, 1_800),
        ("1800", 1_800),
        (" 1800 ", 1_800),
        (timedelta(hours=1), 3_600),
        (timedelta(days=28), 2_419_200),
        (np.float64(1_800), 1_800),
    ],
    ids=repr,
)
def test_max_wait_takes_seconds_or_a_timedelta(max_wait: Any, seconds: int) -> None:
    request = spot_request(CONFIG, max_wait=max_wait)

    assert request["StoppingCondition"]["MaxWaitTimeInSeconds"] == seconds
    assert type(request["StoppingCondition"]["MaxWaitTimeInSeconds"]) is int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (-3, "-3"),
        (2**70, str(2**70)),
        (0.1, "0.1"),
        (1e-07, "1e-07"),
        (float("inf"), "inf"),
        (Decimal("0.10"), "0.10"),
        (Fraction(1, 2), "1/2"),
        (np.int64(4), "4"),
        (np.uint8(255), "255"),
        (np.float32(0.1), "0.1"),
        (np.float64(0.1), "0.1"),
        ("text", "text"),
        ("", ""),
        ("3", "3"),
        ('{"json": [1]}', '{"json": [1]}'),
        (True, "True"),
        ([64, 32], "[64, 32]"),
        ({"a": (1, "é")}, '{"a": [1, "é"]}'),
        ([np.float32(0.5), date(2026, 1, 2), MappingProxyType({"a": 1})], '[0.5, "2026-01-02", {"a": 1}]'),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00"),
    ],
    ids=repr,
)
def test_hyperparameters_become_strings(value: Any, text: str) -> None:
    request = spot_request(CONFIG, max_wait=1_800, hyperparameters={"it": value})

    assert request["HyperParameters"] == {"epochs": "10", "it": text}
    assert type(request["HyperParameters"]["it"]) is str


def test_hyperparameters_of_config_become_strings_too() -> None:
    config = {**CONFIG, "HyperParameters": {"epochs": 10}}

    assert spot_request(config, max_wait=1_800)["HyperParameters"] == {"epochs": "10"}
    assert on_demand_request(config)["HyperParameters"] == {"epochs": "10"}


def test_a_hyperparameter_that_is_none_is_left_out() -> None:
    config = {**CONFIG, "HyperParameters": {"epochs": "10", "rate": "0.5", "depth": None}}

    request = spot_request(config, max_wait=1_800, hyperparameters={"rate": None})

    assert request["HyperParameters"] == {"epochs": "10"}


def _tags(count: int, *more: Any) -> list[Any]:
    return [*({"Key": f"key-{number}", "Value": "v"} for number in range(count)), *more]


def test_as_many_tags_as_leave_room_for_our_own() -> None:
    request = spot_request({**CONFIG, "Tags": _tags(47)}, max_wait=1_800)

    assert len(request["Tags"]) == 47


@pytest.mark.parametrize("build", [spot_request, on_demand_request])
@pytest.mark.parametrize(
    ("tags", "says"),
    [
        (_tags(48), "There are 48 Tags; .* at most 50 .* needs 3 .*: 47 are left. Take 1 out of config."),
        (_tags(47, TEMPLATE), "There are 48 Tags"),
        (
            _tags(2, {"Key": "key-1", "Value": "w"}, {"Key": TEMPLATE}),
            r"keys \['key-1'\] more than once.*Leave one",
        ),
    ],
    ids=["too many", "too many with a template", "a key twice"],
)
def test_tags_that_sagemaker_would_refuse_with_ours(
    build: Callable[..., dict[str, Any]], tags: Any, says: str
) -> None:
    with pytest.raises(InvalidSpotRequest, match=says) as raised:
        build(
            {**CONFIG, "Tags": tags}, known=rendered, **({"max_wait": 1_800} if build is spot_request else {})
        )

    assert len(raised.value.problems) == 1


def test_config_is_not_changed_and_shares_nothing_with_the_request() -> None:
    config = {**copy.deepcopy(CONFIG), "CheckpointConfig": {"S3Uri": "s3://old/prefix"}}
    before = copy.deepcopy(config)
    hyperparameters = {"rate": 0.5}

    request = spot_request(
        config,
        max_wait=1_800,
        checkpoint_s3_uri="s3://new/prefix",
        hyperparameters=hyperparameters,
        instance_type="ml.p3.2xlarge",
    )
    request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = "s3://elsewhere"
    request["ResourceConfig"]["InstanceCount"] = 9
    request["HyperParameters"]["epochs"] = "changed"

    assert config == before
    assert hyperparameters == {"rate": 0.5}


def test_config_may_be_any_mapping() -> None:
    config = MappingProxyType({**CONFIG, "ResourceConfig": MappingProxyType(CONFIG["ResourceConfig"])})

    request = spot_request(config, max_wait=1_800, instance_type="ml.c5.xlarge")

    assert request["ResourceConfig"]["InstanceType"] == "ml.c5.xlarge"
    assert type(request["ResourceConfig"]) is dict


def test_tuples_become_lists_as_in_json() -> None:
    config = {**CONFIG, "InputDataConfig": ({"ChannelName": "train"},)}

    assert spot_request(config, max_wait=1_800)["InputDataConfig"] == [{"ChannelName": "train"}]


def test_on_demand_request_is_the_config_with_arguments_put_over_it() -> None:
    request = on_demand_request(
        {**CONFIG, "EnableManagedSpotTraining": False},
        checkpoint_s3_uri="s3://bucket/checkpoints",
        hyperparameters={"rate": 0.5},
        instance_type="ml.c5.xlarge",
    )

    assert request == {
        **CONFIG,
        "EnableManagedSpotTraining": False,
        "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints"},
        "HyperParameters": {"epochs": "10", "rate": "0.5"},
        "ResourceConfig": {**CONFIG["ResourceConfig"], "InstanceType": "ml.c5.xlarge"},
    }


def test_on_demand_needs_no_checkpoints_however_long() -> None:
    config = {**CONFIG, "StoppingCondition": {"MaxRuntimeInSeconds": 86_400}}

    assert on_demand_request(config) == config


def test_the_same_training_without_spot() -> None:
    spot = spot_request(CONFIG, max_wait=3_600, checkpoint_s3_uri="s3://bucket/checkpoints")
    before = copy.deepcopy(spot)

    on_demand = without_spot(spot)

    assert on_demand == {**CONFIG, "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints"}}
    assert on_demand_request(on_demand) == on_demand
    assert spot == before


@pytest.mark.parametrize("stopping", [None, TEMPLATE], ids=["left out", "templated"])
def test_without_spot_leaves_what_it_cannot_look_into(stopping: str | None) -> None:
    config = {} if stopping is None else {"StoppingCondition": stopping}

    assert without_spot({**config, "EnableManagedSpotTraining": True}) == config


@pytest.mark.parametrize("unknown", [TEMPLATE, Reference()], ids=["template", "reference"])
@pytest.mark.parametrize(
    "path",
    [(member,) for member in CONFIG]
    + [
        ("EnableManagedSpotTraining",),
        ("CheckpointConfig",),
        ("CheckpointConfig", "S3Uri"),
        ("OutputDataConfig", "S3OutputPath"),
        ("ResourceConfig", "InstanceCount"),
        ("ResourceConfig", "KeepAlivePeriodInSeconds"),
        ("ResourceConfig", "InstancePreferences"),
        ("StoppingCondition", "MaxRuntimeInSeconds"),
        ("StoppingCondition", "MaxWaitTimeInSeconds"),
        ("AlgorithmSpecification", "TrainingImage"),
        ("HyperParameters", "epochs"),
        ("Environment",),
    ],
    ids=".".join,
)
def test_what_cannot_be_looked_at_yet_is_carried_through_unchecked(
    path: tuple[str, ...], unknown: object
) -> None:
    config = copy.deepcopy(CONFIG)
    config["StoppingCondition"]["MaxWaitTimeInSeconds"] = 1_800
    holder = config
    for key in path[:-1]:
        holder = holder.setdefault(key, {})
    holder[path[-1]] = unknown

    request = spot_request(config, known=rendered)

    assert request == {**config, "EnableManagedSpotTraining": True}


@pytest.mark.parametrize("member", ["EnableManagedSpotTraining", "StoppingCondition", "ResourceConfig"])
def test_on_demand_carries_through_what_it_cannot_look_at_yet(member: str) -> None:
    config = {**CONFIG, member: TEMPLATE}

    assert on_demand_request(config, known=rendered) == config


def test_arguments_that_cannot_be_looked_at_yet_are_carried_through() -> None:
    reference = Reference()

    request = spot_request(
        {**CONFIG, "StoppingCondition": {"MaxRuntimeInSeconds": 86_400}},
        max_wait=TEMPLATE,
        checkpoint_s3_uri=TEMPLATE,
        hyperparameters={"epochs": reference, "rate": TEMPLATE},
        instance_type=TEMPLATE,
        known=rendered,
    )

    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400, "MaxWaitTimeInSeconds": TEMPLATE}
    assert request["CheckpointConfig"] == {"S3Uri": TEMPLATE}
    assert request["HyperParameters"] == {"epochs": reference, "rate": TEMPLATE}
    assert request["ResourceConfig"]["InstanceType"] == TEMPLATE


def test_arguments_for_a_member_that_cannot_be_looked_at_yet_wait_for_it() -> None:
    reference: Any = Reference()

    request = spot_request(
        {**CONFIG, "StoppingCondition": reference, "HyperParameters": TEMPLATE},
        max_wait=60,
        hyperparameters=reference,
        known=rendered,
    )

    assert request["StoppingCondition"] is reference
    assert request["HyperParameters"] == TEMPLATE


def test_what_is_literal_is_checked_beside_what_is_templated() -> None:
    config = {**CONFIG, "RoleArn": TEMPLATE, "TrainingJobName": "not_a_name"}

    with pytest.raises(InvalidSpotRequest, match="not_a_name") as raised:
        spot_request(config, max_wait=60, known=rendered)

    assert len(raised.value.problems) == 2


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=5)
    | st.just(TEMPLATE)
    | st.binary(max_size=3)
    | st.decimals()
    | st.builds(Reference),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
FIELDS = {
    "StoppingCondition": ["MaxRuntimeInSeconds", "MaxWaitTimeInSeconds"],
    "ResourceConfig": ["InstanceCount", "KeepAlivePeriodInSeconds", "InstancePreferences", "InstanceType"],
    "CheckpointConfig": ["S3Uri"],
    "OutputDataConfig": ["S3OutputPath"],
    "AlgorithmSpecification": ["TrainingImage"],
    "HyperParameters": ["a", "b"],
}


def _member(name: str) -> st.SearchStrategy[Any]:
    return VALUES | st.dictionaries(st.sampled_from(FIELDS.get(name, ["x"])), VALUES)


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        name: _member(name)
        for name in (*FIELDS, "TrainingJobName", "RoleArn", "EnableManagedSpotTraining", "Environment")
    },
)
CONFIGS = CHANGES.map(lambda changes: {**CONFIG, **changes})


@given(
    st.sampled_from([spot_request, on_demand_request]),
    CONFIGS | VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            "max_wait": VALUES | st.timedeltas(),
            "checkpoint_s3_uri": VALUES,
            "hyperparameters": VALUES | st.dictionaries(st.text(max_size=3) | st.integers(), VALUES),
            "instance_type": VALUES,
        },
    ),
    st.booleans(),
)
def test_any_input_makes_a_request_or_a_clear_error(
    build: Callable[..., dict[str, Any]], config: Any, arguments: dict[str, Any], at_parse: bool
) -> None:
    before = repr(config)
    problems: tuple[str, ...] | None = None

    try:
        build(config, **arguments, **({"known": rendered} if at_parse else {}))
    except InvalidSpotRequest as error:
        problems = error.problems

    assert repr(config) == before
    assert problems is None or (all(len(problem) > 20 for problem in problems) and problems)


def test_members_of_any_type_are_compared_without_asking_their_truth() -> None:
    config = {
        **CONFIG,
        "CheckpointConfig": {"S3Uri": np.array(["s3://a", "s3://b"])},
        "StoppingCondition": {"MaxRuntimeInSeconds": np.array([1, 2]), "MaxWaitTimeInSeconds": np.int64(60)},
        "EnableManagedSpotTraining": np.array([True, False]),
        "HyperParameters": np.array([1, 2]),
    }

    with pytest.raises(InvalidSpotRequest) as raised:
        spot_request(config)

    assert len(raised.value.problems) == 5


@pytest.mark.parametrize("instead", ["HyperParameterTuningResourceConfig", "ServerlessJobConfig"])
def test_what_stands_for_a_resource_config_is_enough(instead: str) -> None:
    assert spot_request({**CONFIG, "ResourceConfig": None, instead: {}}, max_wait=3_600)


@pytest.mark.parametrize("member", ["AlgorithmSpecification", "ResourceConfig"])
def test_without_an_image_or_instances_there_is_no_job(member: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=f"{member} is missing from config"):
        spot_request({**CONFIG, member: None}, max_wait=3_600)
