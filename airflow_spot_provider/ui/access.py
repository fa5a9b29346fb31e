"""Who may see and do what: Airflow's own permissions, asked of its auth manager.

Not by Airflow's ``requires_access_dag``: it looks for the DAG in a request by itself, where it is found otherwise than we find it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.batch_apis import IsAuthorizedDagRequest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Depends, Header, HTTPException, Query, status
from pydantic import AfterValidator


def _kept_by_databases(text: str) -> str:
    """PostgreSQL takes no NUL, not even in a text that it is to look for."""
    if "\0" in text:
        raise ValueError("it holds a NUL character, which no name in Airflow has; ask without it")
    return text


Method = Literal["GET", "PUT"]
Text = AfterValidator(_kept_by_databases)
"""Of what goes to the database."""
Identifier = Annotated[str, Query(min_length=1, max_length=250), Text]

_MAY_NOT = {
    "GET": "You may not read that of this DAG. Whoever runs this Airflow can grant it.",
    "PUT": "You may not change runs of this DAG. Whoever runs this Airflow can grant it.",
}


def may(user: Any, method: Method, entity: DagAccessEntity | None, dag_id: str | None) -> bool:
    """Whether a user may read, or change, what a DAG has of something.

    :param entity: of what; None for the DAG itself.
    :param dag_id: of which DAG; None for whether they may of any.
    """
    return bool(
        get_auth_manager().is_authorized_dag(
            method=method, access_entity=entity, details=_details(dag_id), user=user
        )
    )


def _details(dag_id: str | None) -> DagDetails:
    # A query for each DAG of a page is made only where there are teams.
    teams = dag_id is not None and conf.getboolean("core", "multi_team", fallback=False)
    return DagDetails(
        id=dag_id, team_name=DagModel.get_team_name(dag_id) if teams and dag_id is not None else None
    )


def can_edit(user: Any, dag_id: str) -> bool:
    """Whether the user may change runs of the DAG, as it takes to clear or fail a task."""
    return may(user, "PUT", DagAccessEntity.RUN, dag_id)


def readable_dags(user: GetUserDep) -> frozenset[str]:
    """The DAGs of which the user may read what tasks have published.

    One that Airflow does not know any more is not among them, and so none of its jobs is shown. As long as it knows the DAG,
    its file may be gone.

    :raises HTTPException: 403: the user may not read that of any DAG.
    """
    _require(user, "GET", _PUBLISHED, None)
    manager = get_auth_manager()
    readable = frozenset(manager.get_authorized_dag_ids(user=user, method="GET"))
    asked: list[IsAuthorizedDagRequest] = [
        {"method": "GET", "access_entity": entity, "details": _details(dag_id)}
        for dag_id in readable
        for entity in _PUBLISHED
    ]
    if manager.batch_is_authorized_dag(asked, user=user):
        return readable
    return frozenset(
        dag_id for dag_id in readable if all(may(user, "GET", entity, dag_id) for entity in _PUBLISHED)
    )


ReadableDags = Annotated[frozenset[str], Depends(readable_dags)]


def _asked(method: Method, *entities: DagAccessEntity | None) -> Callable[..., None]:
    def check(user: GetUserDep, dag_id: Identifier) -> None:
        _require(user, method, entities, dag_id)

    return check


def _require(
    user: Any, method: Method, entities: tuple[DagAccessEntity | None, ...], dag_id: str | None
) -> None:
    for entity in entities:
        if not may(user, method, entity, dag_id):
            raise HTTPException(status.HTTP_403_FORBIDDEN, _MAY_NOT[method])


def comes_from_our_page(x_spot_request: Annotated[str | None, Header()] = None) -> None:
    """A page of somebody else's cannot send this header along with the user's cookie.

    :raises HTTPException: 403: it is not there.
    """
    if x_spot_request != "1":
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, "This takes the header X-Spot-Request: 1, which our own pages send."
        )


_PUBLISHED = (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)
READS = Depends(_asked("GET", None, *_PUBLISHED))
"""What the tasks of a DAG have published."""
READS_LOG = Depends(_asked("GET", DagAccessEntity.TASK_LOGS))
EDITS = Depends(_asked("PUT", DagAccessEntity.RUN))
OUR_PAGE = Depends(comes_from_our_page)
