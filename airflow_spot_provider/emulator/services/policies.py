"""IAM policies: whether they let somebody do something.

Source: `Policy evaluation logic <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>`_ and the
grammar of its elements. Of the condition operators there are those of strings, ARNs, numbers and Booleans, Null, ``...IfExists``, ``ForAnyValue:``
and ``ForAllValues:``; a condition with another one (dates, IP addresses) is taken as not met.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY = "allowed", "explicitDeny", "implicitDeny"


@dataclass(frozen=True)
class Policy:
    """One policy of an identity.

    :param name: its id, as simulations name it.
    :param kind: such as ``role`` for an inline policy of a role, ``aws-managed`` or ``user-managed``.
    :param document: its JSON.
    """

    name: str
    kind: str
    document: str

    @property
    def statements(self) -> list[dict[str, Any]]:
        """Its statements.

        :raises ValueError: the document is no policy.
        """
        read = json.loads(self.document)
        statements = read.get("Statement") if isinstance(read, dict) else None
        statements = [statements] if isinstance(statements, dict) else statements
        if not isinstance(statements, list) or not all(_is_statement(entry) for entry in statements):
            raise ValueError("a policy is a JSON object with a Statement, whose Effect is Allow or Deny")
        return statements


@dataclass(frozen=True)
class Question:
    """What is asked: whether this may be done.

    :param action: such as ``iam:PassRole``.
    :param resource: an ARN, or ``*``.
    :param context: what is known of the request: values by condition key, in lower case.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass
class Decision:
    """The answer.

    :param effect: allowed, explicitDeny or implicitDeny.
    :param matched: the policies whose statements led to it.
    :param missing: condition keys that were asked for, and not known.
    """

    effect: str
    matched: list[Policy]
    missing: list[str]


def decide(policies: Iterable[Policy], question: Question) -> Decision:
    """Evaluate policies: a Deny wins over every Allow, and without an Allow nothing is allowed.

    :raises ValueError: one of them is no policy.
    """
    allowing: list[Policy] = []
    denying: list[Policy] = []
    missing: set[str] = set()
    for policy in policies:
        for statement in policy.statements:
            if not _concerns(statement, question):
                continue
            met, unknown = _is_met(statement.get("Condition") or {}, question.context)
            missing |= unknown
            if met:
                (allowing if statement.get("Effect") == "Allow" else denying).append(policy)
    effect = EXPLICIT_DENY if denying else ALLOWED if allowing else IMPLICIT_DENY
    return Decision(effect, _once(denying or allowing), sorted(missing))


def _is_statement(entry: Any) -> bool:
    if not isinstance(entry, dict) or entry.get("Effect") not in ("Allow", "Deny"):
        return False
    condition = entry.get("Condition") or {}
    return isinstance(condition, dict) and all(isinstance(block, dict) for block in condition.values())


def _once(policies: list[Policy]) -> list[Policy]:
    return list(dict.fromkeys(policies))


def _concerns(statement: Mapping[str, Any], question: Question) -> bool:
    """Whether a statement speaks of this action and resource."""
    action = question.action.lower()
    if "NotAction" in statement:
        speaks = not any(_matches(entry.lower(), action) for entry in _listed(statement["NotAction"]))
    else:
        speaks = any(_matches(entry.lower(), action) for entry in _listed(statement.get("Action")))
    if not speaks:
        return False
    if "NotResource" in statement:
        return not any(_matches(entry, question.resource) for entry in _listed(statement["NotResource"]))
    return any(_matches(entry, question.resource) for entry in _listed(statement.get("Resource", "*")))


def _is_met(condition: Mapping[str, Any], context: Mapping[str, Sequence[str]]) -> tuple[bool, set[str]]:
    """Whether a whole Condition is met, and which of its keys are not known."""
    met, missing = True, set()
    for name, block in condition.items():
        quantifier, _, base = name.rpartition(":")
        optional, base = base.endswith("IfExists"), base.removesuffix("IfExists")
        for key, wanted in block.items():
            actual = context.get(key.lower())
            if actual is None and base != "Null":
                missing.add(key)
            met &= _holds(base, quantifier, optional, _listed(wanted), actual)
    return met, missing


def _holds(
    base: str, quantifier: str, optional: bool, wanted: list[str], actual: Sequence[str] | None
) -> bool:
    if base == "Null":
        return any((value.lower() == "true") == (actual is None) for value in wanted)
    negated = "Not" in base
    compare = _OPERATORS.get(base.replace("Not", ""))
    if compare is None:
        return False
    if actual is None:
        return optional or negated or quantifier == "ForAllValues"
    fits = [any(compare(value, entry) for entry in wanted) != negated for value in actual]
    # Without a quantifier a value that must not be any of these is asked of all values, and one that must be, of one.
    return all(fits) if quantifier == "ForAllValues" or (negated and not quantifier) else any(fits)


def _numbers(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def _compare(value: str, wanted: str) -> bool:
        try:
            return compare(float(value), float(wanted))
        except ValueError:
            return False

    return _compare


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": lambda value, wanted: _matches(wanted, value),
    "ArnEquals": lambda value, wanted: _matches(wanted, value),
    "ArnLike": lambda value, wanted: _matches(wanted, value),
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "NumericEquals": _numbers(operator.eq),
    "NumericLessThan": _numbers(operator.lt),
    "NumericLessThanEquals": _numbers(operator.le),
    "NumericGreaterThan": _numbers(operator.gt),
    "NumericGreaterThanEquals": _numbers(operator.ge),
}


def _listed(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [str(entry).lower() if isinstance(entry, bool) else str(entry) for entry in values]


def _matches(pattern: str, value: str) -> bool:
    return _pattern(pattern).fullmatch(value) is not None


@lru_cache(maxsize=10_000)
def _pattern(text: str) -> re.Pattern[str]:
    """A pattern of IAM's: * stands for any characters, ? for one."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(letter) or re.escape(letter) for letter in text), re.DOTALL)
