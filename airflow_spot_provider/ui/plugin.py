"""The plugin that puts the pages into the Airflow UI."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from airflow_spot_provider._compat.server import has_external_views

URL_PREFIX = "/spot"
_TASK = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"

Scope = MutableMapping[str, Any]


class BuiltWhenAsked:
    """The pages' application, put together by the first request: each scheduler, triggerer and worker imports plugins, and only
    an API server is asked for pages.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._app: Callable[..., Awaitable[None]] | None = None

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a request, as ASGI has it."""
        await self._built()(scope, receive, send)

    def _built(self) -> Callable[..., Awaitable[None]]:
        with self._lock:
            if self._app is None:
                from airflow_spot_provider.ui.app import make_app

                self._app = make_app()
            return self._app


def root_path() -> str:
    """The path that Airflow is served under: the one of ``[api] base_url``, without a slash at its end."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


def views() -> list[dict[str, str]]:
    """Where Airflow's own pages lead to ours, which it shows in a frame."""
    pages = f"{root_path()}{URL_PREFIX}"
    return [
        {
            "name": "Spot training",
            "href": f"{pages}/",
            "destination": "nav",
            "url_route": "spot_training",
            "category": "browse",
        },
        {
            "name": "Spot training",
            "href": f"{pages}/dag?dag_id={{DAG_ID}}",
            "destination": "dag",
            "url_route": "spot_training_of_dag",
        },
        {
            "name": "Spot training",
            "href": f"{pages}/task?{_TASK}",
            "destination": "task_instance",
            "url_route": "spot_training_of_task",
        },
    ]


class SpotTrainingPlugin(AirflowPlugin):
    """Spot training in the navigation, on each DAG and on each task instance. Before Airflow 3.1 there is none of it."""

    name = "spot_training"
    fastapi_apps = (
        [{"app": BuiltWhenAsked(), "url_prefix": URL_PREFIX, "name": "Spot training"}]
        if has_external_views()
        else []
    )
    external_views = views() if has_external_views() else []
