"""What a CreateHyperParameterTuningJob request becomes: on spot in every definition, on demand, and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.training import (
    InvalidSpotRequest,
    on_demand_tuning_request,
    spot_tuning_request,
)

TEMPLATE = "{{ params.it }}"
OBJECTIVE = {"Type": "Maximize", "MetricName": "accuracy"}
RANGES = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.01", "MaxValue": "1"}]}
DEFINITION: dict[str, Any] = {
    "StaticHyperParameters": {"epochs": "10"},
    "AlgorithmSpecification": {
        "TrainingImage": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=(.*)"}],
    },
    "RoleArn": "arn:aws:iam::123456789012:role/training",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
    "StoppingCondition": {"MaxRuntimeInSeconds": 1_800},
}
SEARCH: dict[str, Any] = {
    "Strategy": "Bayesian",
    "ResourceLimits": {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 4},
    "HyperParameterTuningJobObjective": OBJECTIVE,
    "ParameterRanges": RANGES,
}
CONFIG: dict[str, Any] = {"HyperParameterTuningJobConfig": SEARCH, "TrainingJobDefinition": DEFINITION}
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 1_800, "MaxWaitTimeInSeconds": 3_600},
}


class Reference:
    """Stands for another task's XCom before it is there; as at Airflow, two of them cannot be compared."""

    __hash__ = None  # type: ignore[assignment]  # a list holds it, a set does not


def rendered(value: object) -> bool:
    return not isinstance(value, Reference) and not (isinstance(value, str) and "{{" in value)


def several(*names: str, **members: Any) -> dict[str, Any]:
    """A config with a definition of each name, and these members in all of them."""
    own = {"TuningObjective": OBJECTIVE, "HyperParameterRanges": RANGES}
    search = {key: SEARCH[key] for key in ("Strategy", "ResourceLimits")}
    definitions = [copy.deepcopy({**DEFINITION, **own, "DefinitionName": name, **members}) for name in names]
    return {"HyperParameterTuningJobConfig": search, "TrainingJobDefinitions": definitions}


def with_search(**members: Any) -> dict[str, Any]:
    search = {key: value for key, value in {**SEARCH, **members}.items() if value is not None}
    return {**CONFIG, "HyperParameterTuningJobConfig": search}


def with_limits(**limits: Any) -> dict[str, Any]:
    return with_search(ResourceLimits={**SEARCH["ResourceLimits"], **limits})


def with_definition(**members: Any) -> dict[str, Any]:
    return {**CONFIG, "TrainingJobDefinition": {**DEFINITION, **members}}


def problems_of(config: Any, **arguments: Any) -> str:
    with pytest.raises(InvalidSpotRequest) as raised:
        spot_tuning_request(config, **{"max_wait": 3_600, **arguments})
    return "\n".join(raised.value.problems)


def test_spot_max_wait_and_checkpoints_are_put_into_the_definition() -> None:
    request = spot_tuning_request(
        CONFIG, max_wait=timedelta(hours=1), checkpoint_s3_uri="s3://bucket/checkpoints"
    )

    checkpoints = {"CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints"}}
    assert request == {**CONFIG, "TrainingJobDefinition": {**DEFINITION, **SPOT, **checkpoints}}


def test_spot_max_wait_and_checkpoints_are_put_into_each_of_several_definitions() -> None:
    config = several("a", "b")

    request = spot_tuning_request(config, max_wait=3_600, checkpoint_s3_uri="s3://bucket/checkpoints")

    checkpoints = {"CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints"}}
    assert request["TrainingJobDefinitions"] == [
        {**definition, **SPOT, **checkpoints} for definition in config["TrainingJobDefinitions"]
    ]


def test_definitions_keep_a_max_wait_of_their_own() -> None:
    config = several("a", "b")
    config["TrainingJobDefinitions"][1]["StoppingCondition"]["MaxWaitTimeInSeconds"] = 7_200
    config["TrainingJobDefinitions"][0]["StoppingCondition"]["MaxWaitTimeInSeconds"] = 1_800

    request = spot_tuning_request(config)

    waits = [each["StoppingCondition"]["MaxWaitTimeInSeconds"] for each in request["TrainingJobDefinitions"]]
    assert waits == [1_800, 7_200]


def test_config_is_not_changed_and_shares_nothing_with_the_request() -> None:
    config = copy.deepcopy(CONFIG)

    request = spot_tuning_request(config, max_wait=3_600)
    request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 1
    request["TrainingJobDefinition"]["StaticHyperParameters"]["epochs"] = "changed"

    assert config == CONFIG


def test_config_may_be_any_mapping() -> None:
    assert spot_tuning_request(MappingProxyType(CONFIG), max_wait=3_600)["TrainingJobDefinition"] == {
        **DEFINITION,
        **SPOT,
    }


def test_tuning_on_demand_is_the_config() -> None:
    assert on_demand_tuning_request(CONFIG) == CONFIG
    with_checkpoints = on_demand_tuning_request(CONFIG, checkpoint_s3_uri="s3://bucket/checkpoints")
    assert with_checkpoints["TrainingJobDefinition"]["CheckpointConfig"]["S3Uri"] == "s3://bucket/checkpoints"


def test_max_wait_is_refused_on_demand_with_the_definitions_name() -> None:
    config = several("a", "b")
    config["TrainingJobDefinitions"][1] |= SPOT

    with pytest.raises(InvalidSpotRequest) as raised:
        on_demand_tuning_request(config)

    assert len(raised.value.problems) == 2
    assert all(problem.startswith("TrainingJobDefinitions[1] (b): ") for problem in raised.value.problems)


@pytest.mark.parametrize("forgotten", [{}, {"EnableManagedSpotTraining": None}], ids=["left out", "None"])
def test_max_wait_without_spot_in_one_of_several_definitions_is_refused(forgotten: dict[str, Any]) -> None:
    config = several("a", "b", StoppingCondition=SPOT["StoppingCondition"])
    config["TrainingJobDefinitions"][0]["EnableManagedSpotTraining"] = True
    config["TrainingJobDefinitions"][1] |= forgotten

    told = problems_of(config)

    assert told.startswith("TrainingJobDefinitions[1] (b): MaxWaitTimeInSeconds is given without")
    assert "which TrainingJobDefinitions[0] (a) has" in told


def test_spot_switched_off_in_one_of_several_definitions_is_refused() -> None:
    config = several("a", "b")
    config["TrainingJobDefinitions"][1]["EnableManagedSpotTraining"] = False

    assert problems_of(config).startswith("TrainingJobDefinitions[1] (b): EnableManagedSpotTraining is False")


def test_each_definition_has_the_rules_of_a_training_job() -> None:
    config = several("a", "b")
    config["TrainingJobDefinitions"][0]["StoppingCondition"] = {"MaxRuntimeInSeconds": 9_000}
    del config["TrainingJobDefinitions"][1]["RoleArn"]

    told = problems_of(config).splitlines()

    assert [line[:30] for line in told] == ["TrainingJobDefinitions[0] (a):"] * 2 + [
        "TrainingJobDefinitions[1] (b):"
    ]
    assert "MaxWait covers waiting plus running" in told[0]
    assert "there is no checkpoint URI" in told[1]
    assert "RoleArn is missing" in told[2]


def test_uncheckpointed_hours_may_be_insisted_on() -> None:
    config = with_definition(StoppingCondition={"MaxRuntimeInSeconds": 9_000})

    request = spot_tuning_request(config, max_wait=10_000, allow_no_checkpoint=True)

    assert "CheckpointConfig" not in request["TrainingJobDefinition"]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("text", "config is of type str"),
        ({**CONFIG, "HyperParameterTuningJobName": "n" * 33}, "1 to 32 letters"),
        ({"TrainingJobDefinition": DEFINITION}, "HyperParameterTuningJobConfig is missing"),
        ({**CONFIG, "HyperParameterTuningJobConfig": []}, "HyperParameterTuningJobConfig is of type list"),
        (with_search(Strategy=None), "Strategy is missing"),
        (with_search(ResourceLimits=None), "ResourceLimits is missing"),
        (with_search(ResourceLimits=[3]), "ResourceLimits is of type list"),
        (with_search(ResourceLimits={}), "MaxParallelTrainingJobs is missing"),
        (with_limits(MaxParallelTrainingJobs=0), "MaxParallelTrainingJobs is 0; it takes a whole number, 1 or more"),
        (with_limits(MaxRuntimeInSeconds=60), "MaxRuntimeInSeconds is 60; it takes a whole number, 120 or more"),
        (with_limits(MaxNumberOfTrainingJobs=2.5), "MaxNumberOfTrainingJobs is 2.5"),
        (with_limits(MaxNumberOfTrainingJobs=3), "no more can run side by side than there are"),
        ({"HyperParameterTuningJobConfig": SEARCH}, "config has neither of them"),
        ({**CONFIG, "TrainingJobDefinitions": []}, "config has both of them"),
        ({**several(), "TrainingJobDefinitions": []}, "There are 0 TrainingJobDefinitions"),
        (several(*map(str, range(11))), "There are 11 TrainingJobDefinitions"),
        ({**several(), "TrainingJobDefinitions": {"a": DEFINITION}}, "TrainingJobDefinitions is of type dict"),
        ({**several("a"), "TrainingJobDefinitions": ["a"]}, "TrainingJobDefinitions[0] is of type str"),
        ({**CONFIG, "TrainingJobDefinition": "a"}, "TrainingJobDefinition is of type str"),
        (several("a", "a"), "needs a DefinitionName of its own; they are ['a', 'a']"),
        (several("a", DefinitionName=None), "needs a DefinitionName of its own; they are [None]"),
        ({**several("a"), "HyperParameterTuningJobConfig": SEARCH}, "each has a HyperParameterRanges of its own"),
        (several("a", TuningObjective=None), "TrainingJobDefinitions[0] (a): TuningObjective is missing"),
        (with_search(HyperParameterTuningJobObjective=None), "HyperParameterTuningJobObjective is missing"),
        (with_search(HyperParameterTuningJobObjective={"Type": "Best", "MetricName": "accuracy"}), "Type is 'Best'"),
        (with_search(HyperParameterTuningJobObjective={"Type": "Minimize"}), "MetricName is missing"),
        (
            with_search(HyperParameterTuningJobObjective={"Type": "Minimize", "MetricName": "loss"}),
            "which no training job publishes; it takes one of those that MetricDefinitions name, ['accuracy']",
        ),
        (with_definition(HyperParameters={"epochs": "3"}), "HyperParameters is no member of a definition"),
        (
            with_search(ParameterRanges={"IntegerParameterRanges": [{"Name": "n", "MinValue": "5", "MaxValue": 5}]}),
            "ParameterRanges: 'n' goes from MinValue 5 to MaxValue 5",
        ),
        (
            several("a", HyperParameterRanges={"ContinuousParameterRanges": [{"Name": "r", "MinValue": 2, "MaxValue": 1}]}),
            "HyperParameterRanges: 'r' goes from MinValue 2 to MaxValue 1",
        ),
    ],
)  # fmt: skip
def test_what_sagemaker_would_refuse_is_said_before_anything_is_submitted(config: Any, told: str) -> None:
    assert told in problems_of(config)


@pytest.mark.parametrize(
    "entry",
    ["odd", {"Name": "r"}, {"Name": "r", "MinValue": "low", "MaxValue": "high"}, {"MinValue": TEMPLATE}],
    ids=repr,
)
def test_ranges_that_cannot_be_read_are_left_to_sagemaker(entry: Any) -> None:
    config = with_search(ParameterRanges={"IntegerParameterRanges": [entry]})

    request = spot_tuning_request(config, max_wait=3_600, known=rendered)

    assert request["HyperParameterTuningJobConfig"] == config["HyperParameterTuningJobConfig"]


@pytest.mark.parametrize("listed", [None, [], ["odd"], [{"Name": TEMPLATE}], TEMPLATE], ids=repr)
def test_objective_of_metrics_that_are_not_told_is_not_refused(listed: Any) -> None:
    algorithm = {**DEFINITION["AlgorithmSpecification"], "MetricDefinitions": listed}

    assert spot_tuning_request(
        with_definition(AlgorithmSpecification=algorithm), max_wait=3_600, known=rendered
    )


def test_a_single_definition_may_have_the_objective_itself() -> None:
    config = with_search(HyperParameterTuningJobObjective=None)
    config["TrainingJobDefinition"] = {**DEFINITION, "TuningObjective": OBJECTIVE}

    assert (
        spot_tuning_request(config, max_wait=3_600)["TrainingJobDefinition"]["TuningObjective"] == OBJECTIVE
    )


@pytest.mark.parametrize("unknown", [TEMPLATE, Reference()], ids=["template", "reference"])
@pytest.mark.parametrize(
    "path",
    [
        ("HyperParameterTuningJobName",),
        ("HyperParameterTuningJobConfig",),
        ("HyperParameterTuningJobConfig", "Strategy"),
        ("HyperParameterTuningJobConfig", "ResourceLimits"),
        ("HyperParameterTuningJobConfig", "ResourceLimits", "MaxNumberOfTrainingJobs"),
        ("HyperParameterTuningJobConfig", "HyperParameterTuningJobObjective"),
        ("HyperParameterTuningJobConfig", "HyperParameterTuningJobObjective", "MetricName"),
        ("HyperParameterTuningJobConfig", "ParameterRanges"),
        ("TrainingJobDefinition",),
        ("TrainingJobDefinition", "StoppingCondition"),
        ("TrainingJobDefinition", "StaticHyperParameters"),
        ("TrainingJobDefinition", "StaticHyperParameters", "epochs"),
        ("WarmStartConfig",),
    ],
    ids=".".join,
)
def test_what_cannot_be_looked_at_yet_is_carried_through_unchecked(
    path: tuple[str, ...], unknown: object
) -> None:
    config = copy.deepcopy(CONFIG)
    config["TrainingJobDefinition"] |= copy.deepcopy(SPOT)
    holder = config
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = unknown

    assert spot_tuning_request(config, known=rendered) == config


@pytest.mark.parametrize("unknown", [TEMPLATE, Reference()], ids=["template", "reference"])
def test_definitions_that_cannot_be_looked_at_yet_are_carried_through(unknown: object) -> None:
    config = several("a")
    config["TrainingJobDefinitions"].append(unknown)
    all_unknown = {**several(), "TrainingJobDefinitions": unknown}

    request = spot_tuning_request(config, max_wait=3_600, known=rendered)

    assert request["TrainingJobDefinitions"][1] is unknown
    assert spot_tuning_request(all_unknown, known=rendered) == all_unknown


PARENT = {"job_name": "tune-1", "job_arn": "arn", "outcome": "Completed"}


@pytest.mark.parametrize(
    ("warm_start", "names"),
    [
        (PARENT, ["tune-1"]),
        ("tune-1", ["tune-1"]),
        ([PARENT, "tune-2", None, "tune-1"], ["tune-1", "tune-2"]),
        (("tune-2",), ["tune-2"]),
    ],
    ids=repr,
)
def test_warm_start_names_the_parents(warm_start: Any, names: list[str]) -> None:
    request = spot_tuning_request(
        CONFIG, max_wait=3_600, warm_start=warm_start, warm_start_type="TransferLearning"
    )

    assert request["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": name} for name in names],
        "WarmStartType": "TransferLearning",
    }


@pytest.mark.parametrize("nothing", [None, [], [None]], ids=repr)
def test_without_an_earlier_run_there_is_nothing_to_go_on_from(nothing: Any) -> None:
    assert "WarmStartConfig" not in spot_tuning_request(CONFIG, max_wait=3_600, warm_start=nothing)


@pytest.mark.parametrize(
    "warm_start", [TEMPLATE, Reference(), ["tune-1", Reference()]], ids=["template", "reference", "list"]
)
def test_warm_start_from_what_is_not_there_yet_waits_for_it(warm_start: Any) -> None:
    request = spot_tuning_request(CONFIG, max_wait=3_600, warm_start=warm_start, known=rendered)

    assert "WarmStartConfig" not in request


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"warm_start": 3}, "warm_start holds a int, which is no tuning job"),
        ({"warm_start": {"outcome": "Completed"}}, "warm_start holds a dict"),
        ({"warm_start": "not a name"}, "warm_start holds 'not a name'"),
        ({"warm_start": [f"tune-{number}" for number in range(6)]}, "warm_start names 6 tuning jobs"),
        ({"warm_start": PARENT, "warm_start_type": "Identical"}, "warm_start_type is 'Identical'"),
    ],
)
def test_what_cannot_be_gone_on_from_is_refused(arguments: dict[str, Any], told: str) -> None:
    assert told in problems_of(CONFIG, **arguments)


def test_two_warm_starts_are_refused() -> None:
    config = {**CONFIG, "WarmStartConfig": {"WarmStartType": "TransferLearning"}}

    assert "take one of the two away" in problems_of(config, warm_start="tune-1")
    assert spot_tuning_request(config, max_wait=3_600)["WarmStartConfig"] == config["WarmStartConfig"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(TEMPLATE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = (
    *DEFINITION,
    "TuningObjective",
    "HyperParameterRanges",
    "DefinitionName",
    "EnableManagedSpotTraining",
)
DEFINITIONS = VALUES | st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, VALUES)).map(
    lambda changes: {**DEFINITION, **changes}
)
CONFIGS = VALUES | st.fixed_dictionaries(
    {},
    optional={
        "HyperParameterTuningJobName": VALUES,
        "HyperParameterTuningJobConfig": VALUES
        | st.fixed_dictionaries({}, optional=dict.fromkeys(SEARCH, VALUES)).map(
            lambda new: {**SEARCH, **new}
        ),
        "TrainingJobDefinition": DEFINITIONS,
        "TrainingJobDefinitions": VALUES | st.lists(DEFINITIONS, max_size=3),
        "WarmStartConfig": VALUES,
    },
)


@given(
    st.sampled_from([spot_tuning_request, on_demand_tuning_request]),
    CONFIGS,
    st.fixed_dictionaries(
        {},
        optional={
            "max_wait": VALUES,
            "checkpoint_s3_uri": VALUES,
            "warm_start": VALUES,
            "warm_start_type": VALUES,
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


@pytest.mark.parametrize(
    ("low", "high", "says", "says_not"),
    [("9", "1", "Swap them", "Widen"), ("5", "5", "Widen it", "Swap")],
    ids=["the wrong way round", "of one value"],
)
def test_the_advice_on_a_range_fits_it(low: str, high: str, says: str, says_not: str) -> None:
    ranges = {"IntegerParameterRanges": [{"Name": "depth", "MinValue": low, "MaxValue": high}]}

    told = problems_of(with_search(ParameterRanges=ranges))

    assert says in told
    assert says_not not in told


def test_an_objective_without_a_type_is_told_as_missing() -> None:
    assert "The objective's Type is missing" in problems_of(
        with_search(HyperParameterTuningJobObjective={"MetricName": "accuracy"})
    )
