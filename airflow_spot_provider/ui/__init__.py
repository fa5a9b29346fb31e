"""The pages in the Airflow UI (Airflow 3.1 and later).

- ``plugin``: tells Airflow of them.
- ``app``: the FastAPI application; its routes, thin.
- ``access``: who may see and do what.
- ``views``, ``details``, ``charts``, ``trace``: what the answers hold.
- ``actions``: what a user can do from a page; only these and a refresh call AWS.
- ``static/``: the pages themselves.
"""

from __future__ import annotations
