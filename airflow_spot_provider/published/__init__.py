"""What tasks have published, read from Airflow's metadata database, for whoever shows many tasks: the pages and the command line.

- :class:`~.selection.Selection` says which tasks are meant; the database filters, sorts and pages.
- :func:`~.rows.page_of` gives one page of them, running first; :func:`~.rows.row_of` one task.
- :func:`~.sums.running_now` and :func:`~.sums.sums_by` add up.

All of it reads the XCom ``spot_progress`` (docs/decisions/008). A stranger's XCom of that name is never an error: it is left out
and counted.
"""

from __future__ import annotations
