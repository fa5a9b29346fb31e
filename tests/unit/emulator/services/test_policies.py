"""Whether policies let somebody do something."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_spot_provider.emulator.services.policies import Policy, Question, decide


def _policy(*statements: dict[str, Any]) -> Policy:
    return Policy("policy", "role", json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def _allow(action: Any, resource: Any = "*", **elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def _deny(action: Any, resource: Any = "*", **elements: Any) -> dict[str, Any]:
    return {**_allow(action, resource, **elements), "Effect": "Deny"}


@pytest.mark.parametrize(
    ("statements", "action", "resource", "effect"),
    [
        ([], "s3:GetObject", "*", "implicitDeny"),
        ([_allow("s3:GetObject")], "s3:GetObject", "*", "allowed"),
        ([_allow("s3:getobject")], "S3:GetObject", "*", "allowed"),
        ([_allow(["sqs:*", "s3:Get*"])], "s3:GetObject", "*", "allowed"),
        ([_allow("s3:Get?bject")], "s3:GetObject", "*", "allowed"),
        ([_allow("s3.GetObject")], "s3:GetObject", "*", "implicitDeny"),
        ([_allow("s3:Get")], "s3:GetObject", "*", "implicitDeny"),
        ([_allow("*"), _deny("s3:*")], "s3:GetObject", "*", "explicitDeny"),
        ([_deny("s3:*"), _allow("*")], "iam:PassRole", "*", "allowed"),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], "s3:GetObject", "*", "allowed"),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], "iam:PassRole", "*", "implicitDeny"),
        ([_allow("s3:*", "arn:aws:s3:::data/*")], "s3:GetObject", "arn:aws:s3:::data/a/b", "allowed"),
        ([_allow("s3:*", "arn:aws:s3:::data/*")], "s3:GetObject", "arn:aws:s3:::other/a", "implicitDeny"),
        ([_allow("s3:*", "arn:aws:s3:::data/*")], "s3:GetObject", "*", "implicitDeny"),
        (
            [{"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::data/*"}, _allow("s3:*")],
            "s3:GetObject",
            "arn:aws:s3:::other/a",
            "explicitDeny",
        ),
    ],
)
def test_deny_wins_and_nothing_is_allowed_by_itself(
    statements: list[dict[str, Any]], action: str, resource: str, effect: str
) -> None:
    assert decide([_policy(*statements)], Question(action, resource)).effect == effect


@pytest.mark.parametrize(
    ("condition", "context", "effect"),
    [
        ({"StringEquals": {"iam:PassedToService": "a"}}, {"iam:passedtoservice": ["a"]}, "allowed"),
        ({"StringEquals": {"iam:PassedToService": ["b", "a"]}}, {"iam:passedtoservice": ["a"]}, "allowed"),
        ({"StringEquals": {"iam:PassedToService": "a"}}, {"iam:passedtoservice": ["b"]}, "implicitDeny"),
        ({"StringEquals": {"k": "a"}}, {}, "implicitDeny"),
        ({"StringEqualsIfExists": {"k": "a"}}, {}, "allowed"),
        ({"StringNotEquals": {"k": "a"}}, {"k": ["b"]}, "allowed"),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": ["b"]}, "implicitDeny"),
        ({"StringNotLike": {"k": "a*"}}, {}, "allowed"),
        ({"StringLike": {"k": "*.amazonaws.com"}}, {"k": ["x.amazonaws.com"]}, "allowed"),
        ({"Bool": {"k": "true"}}, {"k": ["true"]}, "allowed"),
        ({"Bool": {"k": True}}, {"k": ["false"]}, "implicitDeny"),
        ({"Null": {"k": "true"}}, {}, "allowed"),
        ({"Null": {"k": "false"}}, {}, "implicitDeny"),
        ({"NumericLessThan": {"k": "10"}}, {"k": ["9.5"]}, "allowed"),
        ({"NumericGreaterThanEquals": {"k": "10"}}, {"k": ["nine"]}, "implicitDeny"),
        ({"ArnLike": {"k": "arn:aws:s3:::a*"}}, {"k": ["arn:aws:s3:::ab"]}, "allowed"),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "c"]}, "implicitDeny"),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "b"]}, "allowed"),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {"k": ["c", "a"]}, "allowed"),
        ({"StringEquals": {"k": "a"}, "Bool": {"l": "true"}}, {"k": ["a"], "l": ["false"]}, "implicitDeny"),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": ["10.1.1.1"]}, "implicitDeny"),
    ],
)
def test_condition_has_to_be_met(condition: Any, context: Any, effect: str) -> None:
    policy = _policy(_allow("iam:PassRole", Condition=condition))
    assert decide([policy], Question("iam:PassRole", "*", context)).effect == effect


def test_condition_keys_that_are_not_known_are_told() -> None:
    policy = _policy(_allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "a"}}))
    assert decide([policy], Question("iam:PassRole")).missing == ["iam:PassedToService"]


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "{}",
        '{"Statement": 1}',
        '{"Statement": ["x"]}',
        '{"Statement": {"Effect": "Maybe"}}',
        '{"Statement": {"Effect": "Deny", "Condition": [1]}}',
    ],
)
def test_what_is_no_policy_is_said(document: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decide([Policy("p", "role", document)], Question("s3:GetObject"))
