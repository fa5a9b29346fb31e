"""Install the wheel beside each Airflow that is supported, as its users do (with the constraints of its time), and try it there.

``python -m tests.matrix`` does it for all; ``--airflow 3.0.6 3.3.2 --python 3.11`` for some; ``--steps`` names what is tried. Each pair
has a virtualenv and a copy of the tests in ``build/matrix``: what is tested is the wheel, not the checkout. ``--write`` puts the table
into docs/versions.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "matrix"
PAGE = ROOT / "docs" / "versions.md"
BEGIN, END = "<!-- table: make test-matrix -->", "<!-- end of the table -->"
LOWEST = "lowest"
RELEASED = {
    "3.0.6": "2025-08-30",
    "3.1.8": "2026-03-12",
    "3.2.2": "2026-05-30",
    "3.3.2": "2026-09-18",
    LOWEST: "",
}
"""The day after each Airflow came out: its constraints are what the index held by then. ``lowest`` is the least that our own
requirements allow, of everything."""
AIRFLOW_OF_LOWEST = "3.0.6"
PYTHONS = ("3.11", "3.12", "3.13")
TOOLS = (
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "hypothesis",
    "jsonschema",
    "hatchling",
    "iniconfig",
    "pluggy",
)
PROVIDERS = ("apache-airflow-providers-celery", "apache-airflow-providers-openlineage")
SHOWN = {
    "apache-airflow-providers-amazon": "amazon",
    "apache-airflow-providers-common-compat": "common-compat",
    "sqlalchemy": "SQLAlchemy",
    "moto": "moto",
}
UNIT = (
    "tests/unit",
    "--ignore=tests/unit/emulator",
    *(f"--ignore=tests/unit/test_{name}.py" for name in ("compose", "monitoring", "packaging")),
)
"""Without what looks at the repository, and without the emulator's tables of botocore's newest shapes."""


class Failed(Exception):
    """A step did not pass."""


@dataclass
class Row:
    """One Airflow on one Python.

    :param airflow: its version, or :data:`LOWEST`.
    :param python: such as ``3.11``.
    :param told: what each step came to, by its name.
    """

    airflow: str
    python: str
    told: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Its virtualenv and its copy of the tests."""
        return BUILD / f"{self.airflow}-py{self.python}"

    @property
    def bin(self) -> Path:
        """Where its commands are."""
        return self.folder / "venv" / "bin"

    def run(self, *command: str | Path, timeout: float = 1_800) -> str:
        """Run a command of its virtualenv, in its copy of the tests.

        :return: what it wrote.
        :raises Failed: it ended otherwise than with 0.
        """
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": str(self.folder / "work" / "build" / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        return _run(
            *command,
            cwd=self.folder / "work",
            environment=environment,
            timeout=timeout,
            log=self.folder / "log.txt",
        )

    def pytest(self, *arguments: str, timeout: float = 1_800) -> str:
        """Run tests of its copy; what passed, failed and was left out. Packages of a year ago warn of each other: that is no error.

        :raises Failed: some failed.
        """
        told = self.run(
            self.bin / "pytest",
            "-q",
            "-p",
            "no:anyio",
            "-p",
            "no:cacheprovider",
            "-o",
            "filterwarnings=default",
            *arguments,
            timeout=timeout,
        )
        [*_, counts] = re.findall(r"^=*\s?(\d+ passed.*?) in [\d.]+s", told, re.MULTILINE)
        return str(counts)


def _run(
    *command: str | Path,
    cwd: Path = ROOT,
    environment: dict[str, str] | None = None,
    timeout: float = 600,
    log: Path | None = None,
) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    if log is not None:
        with log.open("a") as out:
            out.write(f"$ {' '.join(str(part) for part in command)}\n{done.stdout}\n")
    if done.returncode:
        raise Failed(
            f"{' '.join(str(part) for part in command)[:200]} ended with {done.returncode}:\n{done.stdout[-3_000:]}"
        )
    return done.stdout


def _python(version: str) -> Path | None:
    """An interpreter of this version that runs; None if there is none on the PATH or of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [Path(folder, f"python{version}") for folder in os.environ["PATH"].split(os.pathsep)]
    for candidate in [*found, *sorted(pyenv.glob(f"{version}.*/bin/python"))]:
        if candidate.is_file():
            asked = subprocess.run(
                [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                check=False,
            )
            if asked.stdout.strip() == version:
                return candidate
    return None


def _pin(name: str) -> str:
    [pin] = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line.lower().startswith(f"{name}==")
    ]
    return pin


def _uv(*arguments: str | Path) -> str:
    return _run(
        Path(sys.executable).parent / "uv", *arguments, environment={**os.environ, "UV_LINK_MODE": "copy"}
    )


def install(row: Row) -> str:
    """A virtualenv with the wheel, its extras for the demo, and Airflow with its constraints; everything fits together."""
    python = _python(row.python)
    assert python is not None
    shutil.rmtree(row.folder, ignore_errors=True)
    (row.folder / "work").mkdir(parents=True)
    _uv("build", "--quiet", "--wheel", "--out-dir", row.folder / "dist", ROOT)
    [wheel] = (row.folder / "dist").glob("*.whl")
    ours = f"airflow-spot-provider[demo,sampling] @ {wheel.as_uri()}"
    constraints, wanted = row.folder / "constraints.txt", row.folder / "wanted.txt"
    compiling = [
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
        "--python-version",
        row.python,
        "--output-file",
        constraints,
    ]
    if row.airflow == LOWEST:
        _uv(
            *compiling,
            "--resolution",
            "lowest-direct",
            "--extra",
            "demo",
            "--extra",
            "sampling",
            ROOT / "pyproject.toml",
        )
        airflow = AIRFLOW_OF_LOWEST
    else:
        airflow = row.airflow
        wanted.write_text(
            "\n".join(
                (f"apache-airflow=={airflow}", "apache-airflow-providers-amazon[aiobotocore]", *PROVIDERS)
            )
        )
        _uv(*compiling, "--exclude-newer", RELEASED[airflow], wanted)
    _uv("venv", "--quiet", "--python", python, row.folder / "venv")
    into = ("pip", "install", "--quiet", "--python", row.bin / "python")
    _uv(
        *into,
        "--constraint",
        constraints,
        f"apache-airflow=={airflow}",
        *(() if row.airflow == LOWEST else PROVIDERS),
        ours,
    )
    _uv(*into, *(_pin(tool) for tool in TOOLS))
    _uv("pip", "check", "--python", row.bin / "python")
    for name in ("tests", "dags"):
        shutil.copytree(ROOT / name, row.folder / "work" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(ROOT / name, row.folder / "work")
    versions = dict(
        re.findall(
            r"^(\S+)\s+(\S+)$", _uv("pip", "list", "--quiet", "--python", row.bin / "python"), re.MULTILINE
        )
    )
    return ", ".join(f"{shown} {versions.get(name, '-')}" for name, shown in SHOWN.items())


def installation(row: Row) -> str:
    """Airflow's own commands show us, the metadata is valid, the examples can be imported."""
    return row.pytest("tests/matrix/test_installation.py")


def unit(row: Row) -> str:
    """The unit tests."""
    return row.pytest("-n", "2", "--dist", "loadfile", *UNIT)


def integration(row: Row) -> str:
    """Operators, hooks, triggers and sensors on the emulator."""
    return row.pytest("-n", "2", "--dist", "loadfile", "tests/integration/provider")


def kills(row: Row) -> str:
    """Crashes and kills on a real scheduler, triggerer and API server."""
    return row.pytest("tests/e2e/test_crashes_and_kills.py")


def demo(row: Row) -> str:
    """The demo, and what it wrote down."""
    begun = time.monotonic()
    row.run(row.bin / "airflow-spot", "demo", "--dags", "dags")
    return f"{time.monotonic() - begun:.0f} s"


STEPS: dict[str, Callable[[Row], str]] = {
    step.__name__: step for step in (install, installation, unit, integration, kills, demo)
}
ON_ONE_PYTHON = ("integration", "kills", "demo")
"""What is tried on the first Python of each Airflow alone: it depends on Airflow."""


def _rows(airflows: list[str], pythons: list[str]) -> Iterator[Row]:
    for airflow in airflows:
        for python in pythons:
            if python == "3.13" and airflow in ("3.0.6", LOWEST):  # Airflow 3.0 takes 3.12 at most
                continue
            if python != "3.11" and airflow == LOWEST:
                continue
            yield Row(airflow, python)


def _cell(told: str | None) -> str:
    return "-" if told is None else told


def main() -> int:
    """Try it all, and show the table; 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--airflow", nargs="+", choices=RELEASED, default=list(RELEASED))
    parser.add_argument("--python", nargs="+", choices=PYTHONS, default=list(PYTHONS))
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--write", action="store_true", help="put the table into docs/versions.md")
    given = parser.parse_args()
    console, failed, tried = Console(), False, []
    for row in _rows(given.airflow, given.python):
        first = row.python == given.python[0]
        tried.append(row)
        for name in given.steps:
            if name in ON_ONE_PYTHON and not first:
                continue
            console.print(f"Airflow {row.airflow}, Python {row.python}: {name}", highlight=False)
            try:
                if _python(row.python) is None:
                    raise Failed(f"there is no Python {row.python} here")
                row.told[name] = STEPS[name](row)
            except (Failed, subprocess.TimeoutExpired) as error:
                console.print(str(error), markup=False, highlight=False)
                row.told[name] = "**failed**"
                failed = True
                if name == "install":
                    break
    columns = ("Airflow", "Python", *given.steps)
    cells = [(row.airflow, row.python, *(_cell(row.told.get(step)) for step in given.steps)) for row in tried]
    table = Table(*columns)
    for each in cells:
        table.add_row(*each)
    console.print(table)
    (BUILD / "matrix.json").write_text(json.dumps([vars(row) for row in tried], indent=1))
    if given.write:
        lines = [f"| {' | '.join(each)} |" for each in (columns, ["---"] * len(columns), *cells)]
        before, rest = PAGE.read_text().split(BEGIN)
        _, after = rest.split(END)
        PAGE.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
