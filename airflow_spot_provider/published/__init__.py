"""What tasks have published, read from Airflow's metadata database, for whoever shows many tasks: the pages and the command line.

- :class:`~.selection.Selection` says which tasks are meant, and in which order; the database filters, sorts and pages.
- :func:`~.rows.page_of` gives one page of them, running first; :func:`~.rows.row_of` one task; each as a
  :class:`~.rows.PublishedRow`, whose ``progress`` is what the task published.
- :func:`~.sums.figures` adds up savings and cost since a time: by DAG, task or instance type; :func:`~.sums.running_now` counts what
  runs.
- :func:`~.deadlines.near_deadlines` tells DAG runs that are about to miss one.

All of it reads the XCom ``spot_progress`` (docs/decisions/008). A stranger's XCom of that name is never an error: it is left out
and counted. A session is SQLAlchemy's, to the metadata database: ``airflow.utils.session.create_session()`` gives one.
"""

from __future__ import annotations
