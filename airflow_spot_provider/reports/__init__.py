"""Reports of spot trainings as files: HTML, Markdown, CSV, Parquet, JSON.

- ``sentences``: a report in words.
- ``tables``: its trainings as rows, and the report as Markdown.
- ``charts``: what plotly draws of it.
- ``page``: one HTML file with all of that in it.
- ``writing``: where the files go.
"""

from __future__ import annotations
