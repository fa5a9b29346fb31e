"""Reports as files: whole, small enough, and with nothing in them that a name could make run."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.reports import charts, page, writing
from airflow_spot_provider.reports.tables import COLUMNS, as_csv, as_markdown, as_parquet, harmless, rows_of
from airflow_spot_provider.training import (
    InvalidSpotRequest,
    Outcome,
    Price,
    SpotTrainingError,
    SpotTrainingResult,
)
from airflow_spot_provider.training.report import report_of
from airflow_spot_provider.training.reported import Member, Run

HOSTILE = "<script>alert(1)</script>"
FORMULA = '=HYPERLINK("http://x","y")'


def _result(**fields: Any) -> SpotTrainingResult:
    told = {
        "job_name": "j",
        "job_arn": "a",
        "outcome": Outcome.COMPLETED,
        "managed_spot": True,
        "training_seconds": 500,
        "billable_seconds": 100,
    }
    return SpotTrainingResult(**{**told, **fields}).priced(Price(3.6, "USD", "2026-11-01"))


RUNS = [
    Run(
        "new",
        "2026-11-25T10:00:00.000+00:00",
        (Member("new", HOSTILE, _result(job_name=FORMULA)), Member("new", "b", None, "1", "no result")),
    ),
    Run(
        f"old {HOSTILE}",
        None,
        (Member("old", "a|b", _result(interruptions=2, outcome=Outcome.FAILED, failure_reason=HOSTILE)),),
    ),
]


def test_page_holds_all_it_needs_and_no_name_becomes_markup() -> None:
    text = page.as_html(report_of(RUNS), title=HOSTILE).decode()

    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)" in text
    assert not re.search(r"<script[^>]+src=|<link|<img|<iframe", text.partition("window.PlotlyConfig")[0])
    assert "<script src=" not in text
    assert "80.0%" in text
    assert "prices of 2026-11-01" in text
    assert text.count("<!doctype html>") == 1


def test_page_without_plotly_has_its_tables_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "find_spec", lambda _name: None)
    text = page.as_html(report_of(RUNS), title="t").decode()
    assert "airflow-spot-provider[reports]" in text
    assert len(text) < 20_000
    assert "By run" in text


def test_csv_has_every_training_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(RUNS).decode())))

    assert len(rows) == 3
    assert rows[0]["job_name"] == f"'{FORMULA}"
    assert (rows[0]["cost"], rows[0]["currency"], rows[0]["price_date"]) == ("0.1", "USD", "2026-11-01")
    assert rows[1]["problem"] == "no result"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_text_that_a_spreadsheet_would_run_has_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"


def test_numbers_stay_numbers() -> None:
    assert (harmless(-1.5), harmless(None), harmless("ml.m5")) == (-1.5, None, "ml.m5")


def test_parquet_is_read_back() -> None:
    import pyarrow.parquet as pq

    read = pq.read_table(io.BytesIO(as_parquet(RUNS))).to_pylist()
    assert list(read[0]) == list(COLUMNS)
    assert read[0]["job_name"] == FORMULA
    assert [row["interruptions"] for row in read] == [0, None, 2]
    assert len(read) == len(rows_of(RUNS))


def test_markdown_is_not_broken_by_names() -> None:
    text = as_markdown({**report_of(RUNS), "breaches": ["Too <much>"]}, title="A *title*").decode()

    assert HOSTILE not in text
    assert r"a\|b" in text
    assert r"\<script\>" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {re.sub(r"\\\|", "", line).count("|") for line in tables} == {8}


def test_files_are_written_whole(tmp_path: Path) -> None:
    report = report_of(RUNS)
    folder = writing.write(report, RUNS, str(tmp_path / "deep"), formats=tuple(writing.FORMATS), title="t")

    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == sorted(writing.FORMATS.values())
    assert folder == f"file://{tmp_path}/deep"
    assert json.loads((tmp_path / "deep" / "report.json").read_text()) == json.loads(json.dumps(report))


@pytest.mark.parametrize("name", ["manual__2026-11-25T12:00:00+00:00", "a b", "50%25", "q?x#y", "ü"])
def test_local_folder_has_the_very_name_that_was_given(tmp_path: Path, name: str) -> None:
    folder = writing.write(report_of(RUNS), RUNS, str(tmp_path / name), formats=["json"], title="t")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert folder == f"file://{tmp_path}/{name}"


def test_home_folder_is_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    writing.write(report_of(RUNS), RUNS, "~/reports", formats=["json"], title="t")
    assert (tmp_path / "reports" / "report.json").exists()


@pytest.mark.parametrize(
    "path", ["{tmp}/file", "{tmp}/file/below", "nowhere://x/y", "s3://", "http://127.0.0.1:9/x", "x\0y"]
)
def test_path_that_takes_no_files_is_said_with_what_it_takes(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("kept")
    path = path.format(tmp=tmp_path)
    with pytest.raises(SpotTrainingError, match="path takes a folder") as told:
        writing.write(report_of(RUNS), RUNS, path, formats=["json"], title="t")
    assert repr(path) in str(told.value)
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("formats", [["html", "xlsx"], 5, None, [["html"]]])
def test_unknown_format_is_refused(formats: Any) -> None:
    with pytest.raises(InvalidSpotRequest, match=r"it takes some of \['html'"):
        writing.checked_formats(formats)


def test_format_that_is_named_twice_is_written_once() -> None:
    assert writing.checked_formats(["html", "csv", "html"]) == ("html", "csv")


def test_parquet_without_pyarrow_is_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "find_spec", lambda _name: None)
    with pytest.raises(InvalidSpotRequest, match=r"\[reports\]"):
        writing.checked_formats("parquet")


def test_file_that_cannot_be_replaced_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "report.json"
    old.write_text("old")
    old.chmod(0o600)

    def _full(_self: Path, _target: Path) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", _full)
        with pytest.raises(SpotTrainingError, match="No space"):
            writing.write(report_of(RUNS), RUNS, str(tmp_path), formats=["json"], title="t")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert old.read_text() == "old"

    writing.write(report_of(RUNS), RUNS, str(tmp_path), formats=["json"], title="t")
    assert json.loads(old.read_text())["jobs"] == 2
    assert old.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_made_leaves_all_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "as_csv", lambda _runs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        writing.write(report_of(RUNS), RUNS, str(tmp_path / "new"), formats=["html", "csv"], title="t")
    assert not (tmp_path / "new").exists()


def test_report_of_nothing_is_a_page_that_says_so() -> None:
    text = page.as_html(report_of([]), title="t").decode()
    assert "0 training jobs in 0 runs" in text
    assert "Savings not known" in text
    assert "plotly" not in text.partition("<body>")[2]


def test_money_has_its_currency_and_the_date_of_its_prices_in_every_file() -> None:
    report = {**report_of([*RUNS[:1], Run("x", None, (Member("x", "b", RUNS[1].members[0].result),))])}
    for text in (page.as_html(report, title="t").decode(), as_markdown(report, title="t").decode()):
        told = text.partition("<body>")[2] or text
        assert "0.10 USD of 0.50 USD" in told  # of each run and task
        assert "in USD at prices of 2026-11-01" in told.replace("\\", "")
    assert "Cost, USD (prices of 2026-11-01)" in page.as_html(report, title="t").decode()


def test_very_many_tasks_are_counted_where_they_are_not_listed() -> None:
    members = tuple(Member("r", f"task {number}", RUNS[1].members[0].result) for number in range(700))
    report = report_of([Run("r", None, members)])
    text = page.as_html(report, title="t").decode()
    assert "and 200 more; the CSV file has all trainings." in text
    assert "and 200 more" in as_markdown(report, title="t").decode()
    assert "and 600 more" in text  # those that did not complete


def test_text_that_no_file_can_hold_is_mended() -> None:
    broken = [Run("r", None, (Member("r", "a\ud800", _result(job_name="\ud800\0")),))]
    assert b"\0" not in as_csv(broken)
    assert len(as_parquet(broken)) > 0
    assert page.as_html(report_of(broken), title="\ud800").decode()
    assert as_markdown(report_of(broken), title="\ud800").decode()


def test_addresses_in_names_become_no_links() -> None:
    report = report_of([Run("r", None, (Member("r", "https://evil.example [x](y) www.evil.example", None),))])
    text = as_markdown(report, title="t").decode()
    assert "https://" not in text
    assert "www.evil" not in text
    assert r"\[x\]\(y\)" in text
