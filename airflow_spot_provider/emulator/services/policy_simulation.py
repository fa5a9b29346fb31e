"""IAM's SimulatePrincipalPolicy and SimulateCustomPolicy, over the policies that moto keeps.

Source: `SimulatePrincipalPolicy <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>`_.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, wraps
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.exceptions import NotFoundException
from moto.iam.models import AWSManagedPolicy, IAMBackend
from moto.iam.responses import IamResponse

from airflow_spot_provider.emulator.services.parameters import sliced
from airflow_spot_provider.emulator.services.policies import ALLOWED, Decision, Policy, Question, decide

_NAMING = (
    "attach_role_policy",
    "attach_user_policy",
    "attach_group_policy",
    "get_policy",
    "get_policy_version",
    "list_policy_versions",
)
"""moto's methods that are given the ARN of a managed policy."""
_PAGE, _LARGEST_PAGE = 100, 1000


class ValidationError(ServiceException):
    """What IAM says to a request without a member that it needs."""

    code = "ValidationError"


class InvalidInput(ServiceException):
    """What IAM says to a request that it does not take."""

    code = "InvalidInput"


def install_policy_simulation() -> None:
    """Let moto's IAM answer both operations, and know AWS's managed policies when they are named.

    moto has those policies, and leaves them out unless told otherwise, since all of them take their time; here each comes when
    it is attached or asked for.
    """
    IamResponse.simulate_principal_policy = _simulate_principal_policy  # type: ignore[attr-defined]  # moto has none
    IamResponse.simulate_custom_policy = _simulate_custom_policy  # type: ignore[attr-defined]  # moto has none
    for name in _NAMING:
        method = getattr(IAMBackend, name)
        if not hasattr(method, "__wrapped__"):
            setattr(IAMBackend, name, _knowing_aws_policies(method))


def _simulate_principal_policy(response: IamResponse) -> ActionResult:
    """SimulatePrincipalPolicy."""
    sent = response._get_params()
    _check_members(sent, "PolicySourceArn", "ActionNames")
    identity, boundary = _identity(response.backend, sent["PolicySourceArn"])
    return _answer(sent, [*identity, *_given(sent, "PolicyInputList")], boundary)


def _simulate_custom_policy(response: IamResponse) -> ActionResult:
    """SimulateCustomPolicy: of the policies that are sent along."""
    sent = response._get_params()
    _check_members(sent, "PolicyInputList", "ActionNames")
    return _answer(sent, _given(sent, "PolicyInputList"), None)


def _check_members(sent: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not sent.get(name):
            member = name[0].lower() + name[1:]
            raise ValidationError(
                f"1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
            )


def _answer(sent: Mapping[str, Any], policies: list[Policy], boundary: list[Policy] | None) -> ActionResult:
    context = {
        entry["ContextKeyName"].lower(): list(entry.get("ContextKeyValues") or ())
        for entry in sent.get("ContextEntries") or ()
    }
    boundary = _given(sent, "PermissionsBoundaryPolicyInputList") or boundary
    results = []
    for action in sent.get("ActionNames") or ():
        if ":" not in action:
            raise InvalidInput(f"The action {action} has no service prefix, such as s3:GetObject")
        for resource in sent.get("ResourceArns") or ("*",):
            question = Question(action, resource, context)
            try:
                decision = decide(policies, question)
                limit = None if boundary is None else decide(boundary, question)
            except ValueError as error:
                raise InvalidInput(f"A policy is malformed: {error}") from error
            results.append(_result(question, decision, limit))
    place = {"MaxResults": sent.get("MaxItems", _PAGE), "NextToken": sent.get("Marker")}
    page, marker = sliced(results, place, refusal=InvalidInput, bad_token=InvalidInput, largest=_LARGEST_PAGE)
    return ActionResult({"EvaluationResults": page, "IsTruncated": marker is not None, "Marker": marker})


def _result(question: Question, decision: Decision, limit: Decision | None) -> dict[str, Any]:
    effect = decision.effect
    if limit is not None and effect == ALLOWED:
        effect = limit.effect
    result: dict[str, Any] = {
        "EvalActionName": question.action,
        "EvalResourceName": question.resource,
        "EvalDecision": effect,
        "MatchedStatements": [
            {"SourcePolicyId": policy.name, "SourcePolicyType": policy.kind} for policy in decision.matched
        ],
        "MissingContextValues": decision.missing,
    }
    if limit is not None:
        result["PermissionsBoundaryDecisionDetail"] = {
            "AllowedByPermissionsBoundary": limit.effect == ALLOWED
        }
    return result


def _given(sent: Mapping[str, Any], member: str) -> list[Policy]:
    return [
        Policy(f"{member}.{number}", "none", document)
        for number, document in enumerate(sent.get(member) or (), start=1)
    ]


def _identity(backend: IAMBackend, arn: str) -> tuple[list[Policy], list[Policy] | None]:
    """The policies of a role, user or group, and its permissions boundary if it has one.

    :raises NotFoundException: there is no such role, user or group.
    """
    prefix, _, rest = arn.partition(":iam::")
    _, _, resource = rest.partition(":")
    kind, _, name = resource.partition("/")
    name = name.rpartition("/")[2]
    if not prefix or not name:
        raise InvalidInput(f"Invalid Entity Arn: {arn} does not identify a role, user or group")
    if kind == "role":
        role = backend.get_role(name)
        _check_arn(role.arn, arn)
        return list(_policies(role, role.policies, "role")), _boundary(backend, role.permissions_boundary_arn)
    if kind == "user":
        user = backend.get_user(name)
        _check_arn(user.arn, arn)
        groups = [_of_group(group) for group in backend.get_groups_for_user(name)]
        own = _policies(user, user.policies, "user")
        return [*own, *(policy for group in groups for policy in group)], None
    if kind == "group":
        group = backend.get_group(name)
        _check_arn(group.arn, arn)
        return list(_of_group(group)), None
    raise InvalidInput(f"Invalid Entity Arn: {arn} does not identify a role, user or group")


def _check_arn(found: str, wanted: str) -> None:
    if found != wanted:
        raise NotFoundException(f"The entity {wanted} cannot be found.")


def _of_group(group: Any) -> Iterable[Policy]:
    return _policies(group, group.policies, "group")


def _policies(identity: Any, inline: Mapping[str, Any], kind: str) -> Iterator[Policy]:
    for name, document in inline.items():
        yield Policy(name, kind, document if isinstance(document, str) else json.dumps(document))
    for policy in identity.managed_policies.values():
        yield _managed(policy)


def _managed(policy: Any) -> Policy:
    kind = "aws-managed" if ":iam::aws:" in policy.arn else "user-managed"
    document = next(version.document for version in policy.versions if version.is_default)
    return Policy(policy.name, kind, document)


def _boundary(backend: IAMBackend, arn: str | None) -> list[Policy] | None:
    return [_managed(backend.get_policy(arn))] if arn else None


def _knowing_aws_policies(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same method, after which a policy of AWS's that it names is one that moto knows."""

    @wraps(method)
    def _wrapped(self: IAMBackend, policy_arn: str, *args: Any, **kwargs: Any) -> Any:
        name = policy_arn.rpartition("/")[2]
        if ":iam::aws:policy/" in policy_arn and policy_arn not in self.managed_policies:
            data = _aws_policies().get(name)
            if data is not None:
                policy = AWSManagedPolicy.from_data(name, self.account_id, self.region_name, data)
                if policy.arn == policy_arn:
                    self.managed_policies[policy_arn] = policy
        return method(self, policy_arn, *args, **kwargs)

    return _wrapped


@cache
def _aws_policies() -> dict[str, Any]:
    policies: dict[str, Any] = json.loads(aws_managed_policies_data)
    return policies
