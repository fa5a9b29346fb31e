"""Users' regular expressions: matched as Python's re does, and given up when they take for ever."""

from __future__ import annotations

import re
import threading

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_spot_provider.triggers import _matching
from airflow_spot_provider.triggers._matching import LONGEST_LINE, CannotMatch, compiled, found_by

DOCUMENTED = [
    # docs.aws.amazon.com/sagemaker: what its built-in algorithms and framework containers say, and by what it is read
    (
        r"#quality_metric: host=\S+, train msd <loss>=(\S+)",
        "#quality_metric: host=algo-1, train msd <loss>=12.25",
        "12.25",
    ),
    (
        r"#quality_metric: host=\S+, test dcg <score>=(\S+)",
        "#quality_metric: host=algo-1, test dcg <score>=0.5",
        "0.5",
    ),
    (
        r"#quality_metric: host=\S+, epoch=\S+, validation mAP <score>=\((\S+)\)",
        "[10/02/2020 INFO 1406] #quality_metric: host=algo-1, epoch=3, validation mAP <score>=(0.1796)",
        "0.1796",
    ),
    (
        r".*\[[0-9]+\].*#011validation-rmse:(\S+)",
        "[9]#011train-rmse:0.069#011validation-rmse:0.0773",
        "0.0773",
    ),
    (
        r".*\[[0-9]+\].*#011train-auc:([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?).*",
        "[0]#011train-auc:9.1e-1",
        "9.1e-1",
    ),
    (r"Epoch\[\d+\] Validation-accuracy=(\S+)", "INFO:root:Epoch[4] Validation-accuracy=0.88", "0.88"),
    (r"'loss': ([0-9]+(.|e\-)[0-9]+),?", "{'loss': 0.6931, 'learning_rate': 5e-05, 'epoch': 0.1}", "0.6931"),
    (r"'eval_loss': ([0-9]+(.|e\-)[0-9]+),?", "{'eval_loss': 2.31, 'eval_runtime': 3.2}", "2.31"),
    (r"val_accuracy=([-+]?\d\.?\d*)", "step 3 val_accuracy=0.9125", "0.9125"),
    (r"Train_error=(.*?);", "Train_error=0.138318;  Valid_error=0.324557;", "0.138318"),
    (r"(?<=loss: )(\d+\.\d+)(?!%)", "loss: 0.25", "0.25"),
    (r'{"metric": "loss", "value": (.*?)}', '{"metric": "loss", "value": 0.75}', "0.75"),
    (r"average_test_acc_(?P<which>\w+)=(\S+)", "average_test_acc_top=0.5", "top"),
]


@pytest.mark.parametrize(("expression", "line", "value"), DOCUMENTED)
def test_documented_expressions_find_what_re_finds(expression: str, line: str, value: str) -> None:
    assert re.findall(expression, line), "the example says what it shows"

    assert found_by(expression, [(7, line)]) == [(7, value)]


DISASTERS = [
    (r"(x+x+)+y", "x" * 2_000),
    (r"(?=(a+)+b)a", "a" * 2_000),
    (r"(a?){500}a{500}b*", "ab" * 1_000),
    (r"(a+\w)*+z|((\w+)\s?)*!", "x" * 2_000),
]


@pytest.mark.parametrize(("expression", "line"), DISASTERS)
def test_expression_that_takes_for_ever_is_given_up(
    expression: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_matching, "SECONDS", 0.05)
    with pytest.raises(TimeoutError):
        regex.compile(expression).search(line, timeout=0.2)

    with pytest.raises(CannotMatch, match=r"takes more than 0\.05 s"):
        found_by(expression, [(1, line)])


def test_other_threads_run_while_an_expression_takes_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_matching, "SECONDS", 0.5)
    expression, line = DISASTERS[0]
    given_up: list[CannotMatch] = []

    def _match() -> None:
        with pytest.raises(CannotMatch) as raised:
            found_by(expression, [(1, line)])
        given_up.append(raised.value)

    thread = threading.Thread(target=_match)
    thread.start()
    turns = 0
    while thread.is_alive():
        turns += 1
        thread.join(0.001)

    assert given_up
    assert turns > 20, "one that holds the others up leaves them some turns before it begins, and none then"


def test_time_counts_for_all_lines_together_and_more_lines_have_more(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = iter(range(1_000_000))

    def _clock() -> float:
        return next(spent) / 1_000

    few = [(number, "loss=1") for number in range(900)]
    assert len(found_by("loss=(.)", few, clock=_clock)) == 900
    with pytest.raises(CannotMatch):
        found_by("loss=(.)", few * 2, clock=_clock)
    monkeypatch.setattr(_matching, "_LINES", 900)
    assert len(found_by("loss=(.)", few * 2, clock=_clock)) == 1_800


@pytest.mark.parametrize("expression", ["(", "[z-a]", "(?P<1>x)", r"(?R)x", r"\p{L}", "a{2}{3}", "x(?i)"])
def test_what_re_does_not_take_is_refused(expression: str) -> None:
    with pytest.raises(re.error):
        re.compile(expression)

    with pytest.raises(CannotMatch):
        compiled(expression)


@pytest.mark.parametrize(
    ("expression", "line"),
    [
        (r"(loss){e<=1}", "lost=1"),
        (r"(loss){e<=1}", "loss{e<=1}"),
        (r"(x{i})", "x{i}"),
        (r"(x\{e})", "x{e}"),
        (r"(\\{e})", "\\{e}"),
        (r"([{e}]+)", "{e}"),
        (r"(a{2}b{,2}c{1,}d{1,2})", "aabbccdd"),
    ],
)
def test_braces_are_what_re_takes_them_for(expression: str, line: str) -> None:
    assert [value for _, value in found_by(expression, [(1, line)])] == re.findall(expression, line)


def test_expression_without_a_group_finds_nothing() -> None:
    assert found_by("loss=", [(1, "loss=0.5")]) == []


def test_group_that_took_no_part_is_nothing_found() -> None:
    assert found_by("a|loss=(.)", [(1, "a loss=5")]) == [(1, "5")]


def test_first_match_of_a_line_or_all_of_them() -> None:
    lines = [(1, "loss=1 loss=2"), (2, "nothing"), (3, "loss=3")]

    assert found_by("loss=(.)", lines) == [(1, "1"), (1, "2"), (3, "3")]
    assert found_by("loss=(.)", lines, first_only=True) == [(1, "1"), (3, "3")]


def test_only_the_beginning_of_a_long_line_is_looked_at() -> None:
    assert found_by("loss=(.)", [(1, " " * LONGEST_LINE + "loss=5")]) == []


_PIECES = st.sampled_from(
    [
        "a",
        "b",
        "1",
        "=",
        ".",
        r"\d",
        r"\w",
        r"\s",
        "[ab]",
        "[^a]",
        "(a|b)",
        "(a*)",
        r"(\S+?)",
        "(?:ab)?",
        "(?=a)",
        r"\b",
        "{",
        "}",
        "^",
        "$",
    ]
)
_COUNTS = st.sampled_from(["", "", "", "*", "+", "?", "+?", "*?", "{2}", "{0,3}"])


@given(
    st.lists(st.tuples(_PIECES, _COUNTS), min_size=1, max_size=6),
    st.text(alphabet="ab1= {}.\n", max_size=20),
)
@settings(max_examples=300, deadline=None)
def test_any_expression_finds_what_re_finds(pieces: list[tuple[str, str]], line: str) -> None:
    expression = "".join(piece + count for piece, count in pieces)
    try:
        theirs = re.compile(expression)
    except re.error:
        with pytest.raises(CannotMatch):
            compiled(expression)
        return
    expected = [match[1] for match in theirs.finditer(line) if match[1] is not None] if theirs.groups else []

    assert [value for _, value in found_by(expression, [(1, line)])] == expected
