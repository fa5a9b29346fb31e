"""The pages' files: what they may not hold, how large they are, and that all they name is there."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

import airflow_spot_provider.ui

STATIC = Path(airflow_spot_provider.ui.__file__).parent / "static"
FILES = sorted(path.name for path in STATIC.iterdir())
SCRIPTS = [name for name in FILES if name.endswith(".js")]
PAGES = [name for name in FILES if name.endswith(".html")]
MOST_OF_A_PAGE = 100_000
"""Bytes of all that a page loads, besides plotly and what the API answers."""
SERVED_FROM_ELSEWHERE = {"plotly.min.js"}  # out of the installed package

MARKUP_OR_CODE_FROM_TEXT = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|document\.write(ln)?|DOMParser|srcdoc|eval)\b"
    r"|\bnew\s+Function\b|\bset(Timeout|Interval)\(\s*[\"'`]|javascript:"
)
COMMENT = re.compile(r"/\*.*?\*/|^\s*//[^\n]*", re.DOTALL | re.MULTILINE)
SVG_NAMESPACE = "http://www.w3.org/2000/svg"


def code_of(name: str) -> str:
    """A script without its comments."""
    return COMMENT.sub("", (STATIC / name).read_text(encoding="utf-8"))


class Page(HTMLParser):
    """What a page loads, and what in it runs or styles by itself."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self._in: str | None = None
        self.feed((STATIC / name).read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in = tag
        self.loads += [value or "" for attribute, value in attrs if attribute in ("src", "href")]
        self.inline += [
            attribute for attribute, _ in attrs if attribute.startswith("on") or attribute == "style"
        ]

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - HTMLParser calls it so
        self._in = None

    def handle_data(self, data: str) -> None:
        if self._in in ("script", "style") and data.strip():
            self.inline.append(data.strip())


def imports_of(name: str) -> Iterator[str]:
    for found in re.finditer(r"\b(?:from|import)\s*\(?\s*\"([^\"]+)\"", code_of(name)):
        yield found.group(1)


def loaded_by(page: str) -> set[str]:
    """All files of ours that a page loads, itself included."""
    loaded, waiting = {page}, [each.removeprefix("static/") for each in Page(page).loads]
    while waiting:
        name = waiting.pop()
        if name in loaded:
            continue
        loaded.add(name)
        if name.endswith(".js"):
            waiting += [each.removeprefix("./") for each in imports_of(name)]
    return loaded


def test_there_is_a_page_for_each_place_in_airflow() -> None:
    assert PAGES == ["dag.html", "jobs.html", "task.html"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_markup_or_code_of_text(name: str) -> None:
    assert not (found := MARKUP_OR_CODE_FROM_TEXT.search(code_of(name))), found


@pytest.mark.parametrize(
    "text", ["a.innerHTML = b", "eval(b)", "new Function(b)", "setTimeout('b')", "href = 'javascript:b'"]
)
def test_what_makes_markup_or_code_of_text_is_recognised(text: str) -> None:
    assert MARKUP_OR_CODE_FROM_TEXT.search(text)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_in_a_page_runs_by_itself(name: str) -> None:
    assert Page(name).inline == []


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_loaded_from_elsewhere(name: str) -> None:
    text = code_of(name).replace(SVG_NAMESPACE, "")
    assert not re.search(r"[\"'`(=\s](https?:)?//\w", text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_import_exists(name: str) -> None:
    for imported in imports_of(name):
        assert imported.startswith("./"), imported
        assert (STATIC / imported).is_file(), imported


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_its_files_relative_to_itself(name: str) -> None:
    """Airflow can be served under any path."""
    for loaded in Page(name).loads:
        assert loaded.startswith("static/")
        assert (STATIC / loaded.removeprefix("static/")).is_file()


def test_every_file_belongs_to_a_page() -> None:
    assert set(FILES) == set().union(*(loaded_by(page) for page in PAGES))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_light(name: str) -> None:
    sizes = {each: (STATIC / each).stat().st_size for each in loaded_by(name)}
    assert sum(sizes.values()) < MOST_OF_A_PAGE, sizes


def test_only_the_page_of_a_dag_loads_plotly() -> None:
    naming = {name for name in SCRIPTS if any(each in code_of(name) for each in SERVED_FROM_ELSEWHERE)}
    assert naming == {"charts.js"}
    assert [page for page in PAGES if "charts.js" in loaded_by(page)] == ["dag.html"]


def test_the_page_of_a_dag_stays_within_its_weight_with_plotly() -> None:
    """Airflow's API server compresses what it sends; plotly_script does so once, and harder."""
    import plotly

    library = (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_bytes()
    ours = sum(len(gzip.compress((STATIC / each).read_bytes(), mtime=0)) for each in loaded_by("dag.html"))
    assert len(gzip.compress(library, compresslevel=9, mtime=0)) + ours < 1_500_000


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_module_is_short(name: str) -> None:
    assert len((STATIC / name).read_text(encoding="utf-8").splitlines()) < 300


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to parse scripts with")
def test_every_script_is_well_formed() -> None:
    for name in SCRIPTS:
        kind = "commonjs" if name == "theme.js" else "module"
        checked = subprocess.run(
            [str(shutil.which("node")), f"--input-type={kind}", "--check"],
            input=(STATIC / name).read_bytes(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert checked.returncode == 0, f"{name}: {checked.stderr.decode()}"


def test_colours_of_the_two_themes_are_the_same_ones() -> None:
    css = (STATIC / "spot.css").read_text(encoding="utf-8")
    light, dark = (
        set(re.findall(r"(--[\w-]+):", css.split(start, 1)[1].split("}", 1)[0]))
        for start in (":root {", ":root.dark {")
    )
    assert light == dark
    assert set(re.findall(r"var\((--[\w-]+)\)", css)) <= light
