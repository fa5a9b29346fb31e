"""The plugin that puts the pages into the Airflow UI."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_spot_provider._compat import has_external_views

URL_PREFIX = "/spot"
_WHERE = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"


def _apps() -> list[dict[str, Any]]:
    from airflow_spot_provider.ui.app import make_app

    return [{"app": make_app(), "url_prefix": URL_PREFIX, "name": "Spot training"}]


class SpotTrainingPlugin(AirflowPlugin):
    """Spot training in the navigation, on each DAG and on each task instance. Before Airflow 3.1 there is none of it."""

    name = "spot_training"
    fastapi_apps = _apps() if has_external_views() else []
    external_views = (
        [
            {
                "name": "Spot training",
                "href": f"{URL_PREFIX}/",
                "destination": "nav",
                "url_route": "spot_training",
                "category": "browse",
            },
            {
                "name": "Spot training",
                "href": f"{URL_PREFIX}/dag?dag_id={{DAG_ID}}",
                "destination": "dag",
                "url_route": "spot_training_of_dag",
            },
            {
                "name": "Spot training",
                "href": f"{URL_PREFIX}/task?{_WHERE}",
                "destination": "task_instance",
                "url_route": "spot_training_of_task",
            },
        ]
        if has_external_views()
        else []
    )
