"""A config that becomes a request: each member of the type that SageMaker takes, then our rules, with all that is wrong in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_spot_provider.aws.kinds import Kind
from airflow_spot_provider.aws.request_shapes import shape_of
from airflow_spot_provider.operators import _s3_operations
from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.training.request import everything_is_known
from airflow_spot_provider.training.rules import Known
from airflow_spot_provider.training.shapes import fitted


def checked_request(
    build: Callable[[Mapping[str, Any]], dict[str, Any]],
    config: object,
    kind: Kind,
    *,
    known: Known | None = None,
) -> dict[str, Any]:
    """The request that a config comes to.

    :param build: merges the operator's arguments into the config, and holds it against our rules.
    :param config: members of the Create operation, or text that was rendered from them.
    :param kind: of the job that is created.
    :param known: at DAG parse, what can be looked at already; None when everything was rendered.
    :raises InvalidSpotRequest: with all that is wrong.
    """
    known = known or everything_is_known
    shape = shape_of(kind)
    config, _, told = _s3_operations.split(config, known=known)
    derived = (kind.name, "RoleArn")  # which rules of ours look at, as a role may be given by its name
    config, problems = fitted(config, shape, known=known, derived=derived)
    problems += told
    if not isinstance(config, Mapping):
        raise InvalidSpotRequest(problems)
    try:
        # Again for what the arguments have brought in.
        request, more = fitted(build(config), shape, known=known, complete=True, derived=derived)
    except InvalidSpotRequest as error:
        more = list(error.problems)
    if problems or more:
        raise InvalidSpotRequest([*problems, *more])
    return dict(request)
