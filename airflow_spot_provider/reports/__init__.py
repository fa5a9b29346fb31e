"""Reports of spot trainings as files: HTML, Markdown, CSV, Parquet, JSON.

- ``tables``: a report as rows for a table, and as a table in words.
- ``page``: one HTML file with its charts in it.
- ``writing``: where the files go.
"""

from __future__ import annotations
