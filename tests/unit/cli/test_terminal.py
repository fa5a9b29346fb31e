"""Tables for a terminal and for a pipe; names that would do something to either."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from airflow_spot_provider.cli import terminal
from airflow_spot_provider.cli.terminal import Column, Row, clean, plain_lines, rich_table, say, show

COLUMNS = (Column("Name", foldable=True), Column("Jobs", right=True))
HOSTILE = "\x1b[31m[bold]x[/bold]\r\n\x07\u202e\x9b2J<script>"


def test_columns_of_a_pipe_are_aligned() -> None:
    assert plain_lines(COLUMNS, [Row(("a", "1")), Row(("longer", "1,000"))]) == [
        "Name     Jobs",
        "a           1",
        "longer  1,000",
    ]


def test_wide_characters_take_two_places() -> None:
    assert plain_lines(COLUMNS, [Row(("訓練", "1")), Row(("abcd", "1"))])[1:] == ["訓練     1", "abcd     1"]


def test_nothing_in_a_name_reaches_the_terminal_that_it_would_obey() -> None:
    assert clean(HOSTILE) == "?[31m[bold]x[/bold]?????2J<script>"


def test_a_hostile_name_is_one_line_in_a_pipe() -> None:
    [_, line] = plain_lines(COLUMNS, [Row((HOSTILE, "1"))])
    assert line == f"{clean(HOSTILE)}     1"


def test_markup_in_a_name_is_shown_and_not_followed() -> None:
    output = io.StringIO()
    Console(file=output, force_terminal=True, width=80, markup=True).print(
        rich_table(COLUMNS, [Row((HOSTILE, "1"), "bold red")])
    )
    drawn = output.getvalue()
    assert "[bold]x[/bold]" in drawn
    assert "<script>" in drawn
    for obeyed in ("\x1b[31m[", "\x07", "\u202e", "\x9b"):
        assert obeyed not in drawn


def test_a_narrow_terminal_folds_names_and_keeps_figures() -> None:
    output = io.StringIO()
    Console(file=output, width=24).print(rich_table(COLUMNS, [Row(("a-very-long-name" * 3, "1,000"))]))
    lines = output.getvalue().splitlines()
    assert lines[3].rstrip().endswith("1,000")
    assert "".join(line[:15].strip() for line in lines).count("a-very-long-name") == 3


def test_a_column_below_another_is_one_of_its_own_in_a_pipe() -> None:
    columns = (Column("Task"), Column("Run", under=True), Column("Jobs", right=True))
    row = Row(("dag.task", "r1", "1"))
    assert plain_lines(columns, [row]) == ["Task      Run  Jobs", "dag.task  r1      1"]
    output = io.StringIO()
    Console(file=output, width=40).print(rich_table(columns, [row]))
    lines = [line.split() for line in output.getvalue().splitlines()]
    assert lines[1:3] == [["Task"], ["Run", "Jobs"]]
    assert lines[4:6] == [["dag.task", "1"], ["r1"]]


def test_what_an_old_terminal_cannot_show_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    say("訓練 is here")
    show(COLUMNS, [Row(("é", "1"))])
    assert written.getvalue().decode("ascii").splitlines() == ["?? is here", "Name  Jobs", "?        1"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_rich_a_terminal_gets_the_plain_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", output := _Terminal())
    monkeypatch.setitem(sys.modules, "rich", None)
    show(COLUMNS, [Row(("a", "1"))])
    assert output.getvalue() == "Name  Jobs\na        1\n"


def test_a_terminal_gets_richs_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", output := _Terminal())
    assert terminal.is_looked_at()
    show(COLUMNS, [Row(("[red]a", "1"))])
    assert "─" in output.getvalue()
    assert "[red]a" in output.getvalue()
