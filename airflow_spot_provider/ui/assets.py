"""The pages' files, and the charts' library out of the installed plotly."""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from fastapi import HTTPException, Request, Response, status

STATIC = Path(__file__).parent / "static"


def asset(name: str) -> Path:
    """A file of the pages.

    :raises HTTPException: 404: there is none of this name.
    """
    path = STATIC / name
    if path.parent != STATIC or not path.is_file():
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such file of spot training's pages.")
    return path


def plotly_script(request: Request) -> Response:
    """plotly.min.js, compressed once for all who ask.

    :raises HTTPException: 404: plotly is not installed; with what to do.
    """
    if find_spec("plotly") is None:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND,
            "The charts take plotly where the API server runs: pip install 'airflow-spot-provider[ui]'. The tables hold the same "
            "numbers.",
        )
    headers = {"Cache-Control": "private, max-age=86400", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            _compressed(), media_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"}
        )
    return Response(_script(), media_type="text/javascript", headers=headers)


def _script() -> bytes:
    return resources.files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()


@cache
def _compressed() -> bytes:
    return gzip.compress(_script(), compresslevel=9, mtime=0)
