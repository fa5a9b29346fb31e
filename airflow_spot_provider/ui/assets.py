"""The pages' files, and the charts' library out of the installed plotly."""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from fastapi import HTTPException, Request, Response, status

from airflow_spot_provider.ui.answers import is_known, tag_of

STATIC = Path(__file__).parent / "static"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
# Modules import one another by their plain names. After an upgrade all have to be of the new version: a browser keeps them, and
# asks each time whether they are what it has.
_KEPT_AND_ASKED_ABOUT = "private, no-cache"


def asset(request: Request, name: str) -> Response:
    """A file of the pages; no more than its tag if the browser has it.

    :raises HTTPException: 404: there is none of this name.
    """
    content = _files().get(name)
    if content is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such file of spot training's pages.")
    return _answer(request, content, tag_of(content), _KINDS[Path(name).suffix])


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
    headers = {"Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content, tag = _compressed()
    else:
        content = _script()
        tag = tag_of(content)
    return _answer(request, content, tag, _KINDS[".js"], headers)


def _answer(
    request: Request, content: bytes, tag: str, media_type: str, headers: dict[str, str] | None = None
) -> Response:
    headers = {"Cache-Control": _KEPT_AND_ASKED_ABOUT, "ETag": tag, **(headers or {})}
    if is_known(request, tag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


@cache
def _files() -> dict[str, bytes]:
    """All of them, read together: whatever is installed meanwhile, pages and API of this process are of one version."""
    return {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in _KINDS}


def _script() -> bytes:
    return resources.files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()


@cache
def _compressed() -> tuple[bytes, str]:
    content = gzip.compress(_script(), compresslevel=9, mtime=0)
    return content, tag_of(content)
