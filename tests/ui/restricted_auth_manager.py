"""An auth manager for tests: some users may read no more than the DAGs that are listed for them.

AIRFLOW__CORE__AUTH_MANAGER=restricted_auth_manager.RestrictedAuthManager   (this folder on PYTHONPATH)
AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=ann:admin,rita:viewer
SPOT_TEST_READABLE_DAGS={"rita": ["churn_retraining"]}
"""

from __future__ import annotations

import json
import os
from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

READABLE_DAGS = "SPOT_TEST_READABLE_DAGS"
"""Environment variable: JSON, DAG ids by user name. Whoever is not named may do what their role allows."""


class RestrictedAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager, with DAGs that some users know nothing of."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        listed = json.loads(os.environ.get(READABLE_DAGS, "{}")).get(user.username)
        dag_id = getattr(details, "id", None)
        if listed is not None and dag_id is not None and dag_id not in listed:
            return False
        return super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
