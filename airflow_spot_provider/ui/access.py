"""Who may see and do what: Airflow's own permissions, asked of its auth manager."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, Header, HTTPException, Query, status

TaskQuery = Annotated[str, Query(min_length=1, max_length=250)]


def readable_dags(user: GetUserDep) -> frozenset[str]:
    """The DAGs that the user may read. One that was deleted is not among them, and so none of its jobs is shown."""
    return frozenset(get_auth_manager().get_authorized_dag_ids(user=user, method="GET"))


ReadableDags = Annotated[frozenset[str], Depends(readable_dags)]


def can_edit(user: Any, dag_id: str) -> bool:
    """Whether the user may change runs of the DAG."""
    return bool(
        get_auth_manager().is_authorized_dag(
            method="PUT", access_entity=DagAccessEntity.RUN, details=DagDetails(id=dag_id), user=user
        )
    )


def comes_from_our_page(x_spot_request: Annotated[str | None, Header()] = None) -> None:
    """A page of somebody else's cannot send this header along with the user's cookie."""
    if x_spot_request != "1":
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, "This takes the header X-Spot-Request: 1, which our own pages send."
        )


READS_RUN = Depends(requires_access_dag("GET", DagAccessEntity.RUN))
READS_TASK = Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE))
READS_XCOM = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))
READS_LOG = Depends(requires_access_dag("GET", DagAccessEntity.TASK_LOGS))
EDITS_RUN = Depends(requires_access_dag("PUT", DagAccessEntity.RUN))
OUR_PAGE = Depends(comes_from_our_page)
