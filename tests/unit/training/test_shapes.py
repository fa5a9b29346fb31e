"""Each member of a request gets the type that the API gives it, both ways; what cannot be is told in our words."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from airflow_spot_provider.training.rules import NOT_KNOWN
from airflow_spot_provider.training.shapes import Shape, fitted

SHAPES: dict[str, dict[str, Any]] = {
    "CreateThingRequest": {
        "type": "structure",
        "required": ["Name", "Role"],
        "members": {
            "Name": {"shape": "Text"},
            "Role": {"shape": "Text"},
            "Parts": {"shape": "Parts"},
            "Static": {"shape": "Map"},
            "Tags": {"shape": "Tags"},
            "StaticHyperParameters": {"shape": "Map"},
        },
    },
    "Parts": {"type": "list", "member": {"shape": "Part"}, "min": 1},
    "Part": {
        "type": "structure",
        "required": ["Count"],
        "members": {
            "Count": {"shape": "Whole"},
            "Share": {"shape": "Share"},
            "Fast": {"shape": "Flag"},
            "Label": {"shape": "Text"},
        },
    },
    "Map": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Free"}},
    "Tags": {"type": "list", "member": {"shape": "Tag"}},
    "Tag": {"type": "structure", "members": {"Key": {"shape": "Text"}, "Value": {"shape": "Free"}}},
    "Text": {"type": "string", "min": 1},
    "Free": {"type": "string"},
    "Whole": {"type": "integer", "min": 1},
    "Share": {"type": "float"},
    "Flag": {"type": "boolean"},
}
THING = Shape("CreateThingRequest", SHAPES)
SECRET = "tr0ub4dor&3"


def _known(value: object) -> bool:
    return not (isinstance(value, str) and "{{" in value)


def _fitted(request: object, **arguments: Any) -> tuple[Any, list[str]]:
    return fitted(request, THING, known=_known, **arguments)


def _part(**members: Any) -> tuple[Any, list[str]]:
    request, problems = _fitted({"Parts": [members]})
    return request["Parts"][0], problems


@pytest.mark.parametrize(
    ("member", "given", "becomes"),
    [
        ("Count", "20", 20),
        ("Count", " 20 ", 20),
        ("Count", 20.0, 20),
        ("Count", np.int64(20), 20),
        ("Count", Decimal(20), 20),
        ("Share", "0.5", 0.5),
        ("Share", 1, 1.0),
        ("Fast", "True", True),
        ("Fast", "false", False),
        ("Fast", False, False),
        ("Label", 20, "20"),
        ("Label", True, "True"),
        ("Label", 1e-05, "1e-05"),
        ("Label", "007", "007"),
        ("Count", "{{ params.it }}", "{{ params.it }}"),
    ],
    ids=repr,
)
def test_a_member_is_read_for_what_it_has_to_be(member: str, given: Any, becomes: Any) -> None:
    part, problems = _part(**{member: given})

    assert (part, problems) == ({member: becomes}, [])
    assert type(part[member]) is type(becomes)


def test_names_and_values_that_are_the_users_own_are_text_whatever_they_were() -> None:
    given = {"epochs": 20, "layers": [64, 32], "map": {"a": 1}, 1: True, "gone": None}
    request, problems = _fitted({"Static": given, "Tags": [{"Key": 2026, "Value": [1]}]})

    assert problems == []
    assert request["Static"] == {"epochs": "20", "layers": "[64, 32]", "map": '{"a": 1}', "1": "True"}
    assert request["Tags"] == [{"Key": "2026", "Value": "[1]"}]


@pytest.mark.parametrize(
    "given",
    [{"Parts": None}, {"Parts": [{"Count": 1, "Label": None}, None]}, MappingProxyType({"Tags": None})],
    ids=repr,
)
def test_what_is_none_is_absent_at_every_depth(given: Any) -> None:
    request, problems = _fitted(given)

    assert problems == []
    assert request in ({}, {"Parts": [{"Count": 1}]})


@pytest.mark.parametrize(
    "given",
    [
        "{'Parts': [{'Count': 1, 'Fast': True, 'Label': None}]}",
        '{"Parts": [{"Count": 1, "Fast": true, "Label": null}]}',
        {"Parts": '[{"Count": "1", "Fast": true}]'},
        {"Parts": ({"Count": 1, "Fast": True},)},
        {"Parts": ["{'Count': 1, 'Fast': True}"]},
    ],
    ids=repr,
)
def test_dicts_and_lists_are_read_from_the_text_that_a_template_renders(given: Any) -> None:
    assert _fitted(given) == ({"Parts": [{"Count": 1, "Fast": True}]}, [])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"Parts": [{"Count": "many"}]}, "Parts[0].Count is 'many'; it takes a whole number. Write it so"),
        ({"Parts": [{"Count": 1.5}]}, "Parts[0].Count is 1.5; it takes a whole number."),
        ({"Parts": [{"Count": True}]}, "Parts[0].Count is True; it takes a whole number."),
        ({"Parts": [{"Count": "9" * 5_000}]}, "Parts[0].Count is of type str; it takes a whole number."),
        ({"Parts": [{"Count": [1]}]}, "Parts[0].Count is of type list; it takes a whole number."),
        ({"Parts": [{"Count": 10**5_000}]}, "Parts[0].Count is of type int; it takes a whole number."),
        ({"Parts": [{"Count": 0}]}, "Parts[0].Count is 0; it takes 1 or more. Raise it."),
        ({"Parts": [{"Share": float("nan")}]}, "Parts[0].Share is nan; it takes a number."),
        ({"Parts": [{"Fast": "yes"}]}, "Parts[0].Fast is 'yes'; it takes True or False."),
        ({"Parts": [{"Fast": 1}]}, "Parts[0].Fast is of type int; it takes True or False."),
        ({"Parts": [{"Label": [SECRET]}]}, "Parts[0].Label is of type list; it takes text. Write it so"),
        ({"Parts": [{"Label": 10**5_000}]}, "Parts[0].Label is of type int; it takes text."),
        ({"Parts": []}, "Parts has 0 entries; it takes 1 or more entries. Fill it, or leave it out."),
        ({"Name": ""}, "Name has 0 characters; it takes 1 or more characters."),
        ({"Parts": SECRET}, "Parts is of type str; it takes a list."),
        ({"Parts": [SECRET]}, "Parts[0] is of type str; it takes a dict of Part's members."),
        ({"Static": [SECRET]}, "Static is of type list; it takes a dict of names to values."),
        (
            {"Static": {"a": SECRET.encode()}},
            "Static['a'] is of type bytes; it takes text, or a number, list",
        ),
        ({"Static": {"a": [SECRET.encode()]}}, "Static['a'] is of type list; it takes text, or"),
        ({"Static": {(1,): "v"}}, "The name (1,) in Static is of type tuple; it takes text."),
        (
            {"Nmae": SECRET},
            "Nmae is no member of CreateThing in the botocore that is installed; Name may be meant.",
        ),
        (
            {"Parts": [{"Zzzzz": 1}]},
            "Parts[0].Zzzzz is no member of Part in the botocore that is installed; take it",
        ),
        ({"HyperParameters": {}}, "StaticHyperParameters may be meant."),
        ([SECRET], "config is of type list; it takes a dict of CreateThing's members."),
    ],
    ids=lambda each: each[:50] if isinstance(each, str) else "",
)
def test_what_cannot_be_is_told_with_its_member_what_was_given_and_what_is_allowed(
    given: Any, says: str
) -> None:
    _, problems = _fitted(given)

    assert len(problems) == 1
    assert says in problems[0]
    assert SECRET not in problems[0]


def test_what_was_told_is_not_told_again() -> None:
    once, problems = _fitted({"Role": ["x"], "Name": "n"})

    assert len(problems) == 1
    assert once["Role"] is NOT_KNOWN
    assert _fitted(once, complete=True) == (once, [])


def test_members_that_are_missing_are_told_when_nothing_fills_them_in_any_more() -> None:
    given = {"Parts": [{"Label": "{{ params.it }}"}]}
    assert _fitted(given)[1] == []

    _, problems = _fitted(given, complete=True, derived=["Name"])

    assert problems == [
        "Parts[0].Count is missing from config; CreateThing requires it.",
        "Role is missing from config; CreateThing requires it.",
    ]


def test_what_the_submit_makes_longer_may_be_short() -> None:
    assert _fitted({"Name": ""}, derived=["Name"]) == ({"Name": ""}, [])


def test_the_request_that_is_given_is_not_changed() -> None:
    given = {"Parts": [{"Count": "1", "Label": None}], "Static": {"a": 1}}

    _fitted(given)

    assert given == {"Parts": [{"Count": "1", "Label": None}], "Static": {"a": 1}}
