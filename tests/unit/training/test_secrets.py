"""What of a request is never shown, in a structure and in a text of SageMaker's."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_spot_provider.training.secrets import (
    HYPERPARAMETERS,
    MASK,
    SECRET_MEMBERS,
    masked_request,
    masked_text,
    masked_values,
    secret_mappings,
    told_failure_reason,
)

FREE_TEXT = ("TrainingContainerArgument", "TrainingContainerEntrypointString")


def _free_members(shape: Any, path: tuple[str, ...] = (), seen: tuple[str, ...] = ()) -> Iterator[str]:
    """The members of a request that take any text a user likes, by botocore's model: maps, and a container's arguments."""
    if shape.type_name == "structure" and shape.name not in seen:
        for name, member in shape.members.items():
            yield from _free_members(member, (*path, name), (*seen, shape.name))
    elif shape.type_name == "list":
        yield from _free_members(shape.member, path, seen)
    elif shape.type_name == "map" or shape.name in FREE_TEXT:
        yield path[-1]


@pytest.mark.parametrize("operation", ["CreateTrainingJob", "CreateHyperParameterTuningJob"])
def test_every_member_that_takes_any_text_is_taken_for_a_secret(operation: str) -> None:
    model = botocore.session.get_session().get_service_model("sagemaker").operation_model(operation)

    found = set(_free_members(model.input_shape))

    assert len(found) >= 2
    assert found <= SECRET_MEMBERS


def test_names_are_shown_and_values_are_not_wherever_they_are() -> None:
    request = {
        "TrainingJobName": "j",
        "AlgorithmSpecification": {"TrainingImage": "i", "ContainerArguments": ["--token", "hunter2"]},
        "Environment": {"DB_PASSWORD": "s3cr3t"},
        "HyperParameters": "{'token': 'hunter2'}",
        "DebugHookConfig": None,
        "TrainingJobDefinitions": ({"StaticHyperParameters": {"token": "hunter2"}, "Environment": None},),
    }

    assert masked_request(request) == {
        "TrainingJobName": "j",
        "AlgorithmSpecification": {"TrainingImage": "i", "ContainerArguments": [MASK, MASK]},
        "Environment": {"DB_PASSWORD": MASK},
        "HyperParameters": MASK,
        "DebugHookConfig": None,
        "TrainingJobDefinitions": [{"StaticHyperParameters": {"token": MASK}, "Environment": None}],
    }


@pytest.mark.parametrize("write", [json.dumps, repr])
def test_text_that_a_template_made_of_a_part_is_shown_as_that_part(write: Any) -> None:
    definitions = [{"Environment": {"DB_PASSWORD": "s3cr3t"}}]

    assert masked_request({"TrainingJobDefinitions": write(definitions)}) == {
        "TrainingJobDefinitions": [{"Environment": {"DB_PASSWORD": MASK}}]
    }


def test_text_that_names_a_secret_member_and_cannot_be_read_is_not_shown() -> None:
    assert masked_request(["{'Environment': {'DB_PASSWORD': s3cr3t}}", "s3://bucket"]) == [
        MASK,
        "s3://bucket",
    ]
    assert masked_values("s3cr3t") == MASK


REASON = (
    'AlgorithmError: ExecuteUserScriptError:\nCommand "/opt/conda/bin/python train.py --api-token hunter2 --epochs 3 '
    '--mode fast", exit code: 1'
)


def test_command_line_in_a_failure_reason_shows_no_value() -> None:
    description = {
        "FailureReason": REASON,
        "HyperParameters": {"api-token": "hunter2", "epochs": "3", "mode": '"fast"'},
    }

    told = told_failure_reason(description)

    assert told == REASON.replace("hunter2", MASK).replace("fast", MASK)
    assert told_failure_reason({"HyperParameters": {"a": "b"}}) == ""


def test_short_numbers_and_words_leave_a_message_readable() -> None:
    request = {
        "HyperParameters": {"epochs": "3", "lr": "0.1", "depth": "3600", "early": "true", "kind": "gbm"},
        "Environment": {"WORKERS": "6", "EMPTY": ""},
    }
    message = "MaxRuntime must be >= 3600; 3 of 0.10 true gbm; VolumeSizeInGB 60, 6 GB and 6.5"

    assert masked_text(message, request) == message.replace(" 6 GB", f" {MASK} GB")


def test_a_short_value_whose_name_speaks_of_a_secret_is_masked() -> None:
    request = {"HyperParameters": {"pin_token": "1234", "depth": "12"}}

    assert masked_text("pin 1234, 12345, depth 12", request) == f"pin {MASK}, 12345, depth 12"


def test_arguments_and_members_that_are_no_mapping_are_masked_in_texts_too() -> None:
    request = {
        "AlgorithmSpecification": {"ContainerArguments": ["--token", "hunter2"], "ContainerEntrypoint": None},
        "Environment": "DB=s3cr3t",
    }

    assert masked_text("ran --token hunter2 with DB=s3cr3t", request) == f"ran {MASK} {MASK} with {MASK}"


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ('say "please"', r"say \"please\""),
        ("two\nlines", r"two\nlines"),
        ('{"user": "ann-smith", "n": 3}', "user=ann-smith"),
        ('["token-1", "token-2"]', "--x token-2"),
        ("a b c d", "'a b c d'"),
        ("-----BEGIN-----", "key -----BEGIN-----."),
    ],
)
def test_values_are_found_as_the_toolkit_and_sagemaker_write_them(value: str, quoted: str) -> None:
    told = masked_text(f"Command {quoted} end", {"HyperParameters": {"x": value}})

    assert MASK in told
    assert told.endswith("end")
    for secret in ("please", "two", "ann-smith", "token-2", "a b c d", "BEGIN"):
        assert secret not in told


def test_secret_that_sagemaker_has_cut_off_is_cut_off() -> None:
    description = {"Environment": {"KEY": "abcdefgh-ijklmnop"}, "FailureReason": ("x" * 1_015 + " abcdefgh")}

    assert told_failure_reason(description) == "x" * 1_015 + f" {MASK}"
    assert told_failure_reason({**description, "FailureReason": "x" * 1_024}) == "x" * 1_024


def test_beginning_of_a_long_value_that_is_quoted_alone_is_masked() -> None:
    value = "first-half-of-it/second-half-of-it"
    told = masked_text(
        f"Value '{value[:20]}...' of {value[:14]}, not {value[:8]}", {"Environment": {"KEY": value}}
    )

    assert told == f"Value '{MASK}...' of {MASK}, not {value[:8]}"


def test_json_that_nobody_can_read_is_a_value_like_any() -> None:
    deep = "[" * 50_000

    assert masked_text(f"got {deep}.", {"HyperParameters": {"x": deep}}) == f"got {MASK}."


VALUES = st.from_regex(r"[A-Za-z0-9_/+=.:@-]{0,20}[a-z]{6}[A-Za-z0-9_/+=.:@-]{0,20}", fullmatch=True)
MEMBERS = st.sampled_from(sorted(SECRET_MEMBERS - {"ContainerArguments", "ContainerEntrypoint"}))


@given(
    values=st.dictionaries(MEMBERS, st.dictionaries(VALUES, VALUES, min_size=1, max_size=3), min_size=1),
    words=st.lists(st.sampled_from(["exit", "code:", "1", ">=", "3600", "Command"]), max_size=6),
    quote=st.sampled_from(["", '"', "'"]),
)
def test_no_value_survives_in_a_text_that_has_it_by_itself(
    values: dict[str, dict[str, str]], words: list[str], quote: str
) -> None:
    secrets = [value for member in values.values() for value in member.values()]
    text = " ".join([*words, *(f"{quote}{value}{quote}" for value in secrets)])

    told = masked_text(text, {"TrainingJobDefinition": values})

    tokens = re.split(r"[\s\"']+", told)
    assert not set(tokens) & {value for value in secrets if value not in words}


@given(st.text(string.ascii_lowercase + " ", max_size=200), st.dictionaries(VALUES, VALUES, max_size=5))
def test_text_without_the_values_comes_back_as_it_was(text: str, values: dict[str, str]) -> None:
    assume(not any(value.strip() in text for value in values.values()))

    assert masked_text(text, {"Environment": values, "HyperParameters": values}) == text


def test_members_with_named_values_are_found_wherever_they_are() -> None:
    request = {
        "Environment": {"A": "1"},
        "AlgorithmSpecification": {"ContainerArguments": ["x"]},
        "TrainingJobDefinitions": [{"StaticHyperParameters": {"b": "2"}, "Environment": None}],
    }

    assert list(secret_mappings(request)) == [{"A": "1"}, {"b": "2"}]
    assert list(secret_mappings(None)) == []


def test_hyperparameters_are_secret_members() -> None:
    assert HYPERPARAMETERS < SECRET_MEMBERS
