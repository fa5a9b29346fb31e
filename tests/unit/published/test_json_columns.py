"""SQL that asks for a member of JSON, in the dialects that Airflow's metadata database may speak."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest
from airflow.models.xcom import XComModel
from sqlalchemy import select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from airflow_spot_provider.published import json_columns, selection
from airflow_spot_provider.published.json_columns import is_true, number_of, text_of, text_of_all
from airflow_spot_provider.published.reading import value_of
from airflow_spot_provider.published.selection import SORTS, STATES, Selection
from airflow_spot_provider.triggers._progress import PROGRESS_KEY

DIALECTS = {"postgresql": postgresql, "sqlite": sqlite, "mysql": mysql}


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_asks_for_the_type_first(name: str) -> None:
    column = XComModel.value
    asked = select(text_of(column, "a"), number_of(column, "b"), is_true(column, "c"), text_of_all(column))

    told = str(asked.compile(dialect=DIALECTS[name].dialect()))

    kinds = {"postgresql": "jsonb_typeof(", "sqlite": "json_type(", "mysql": "JSON_TYPE("}
    assert told.count(kinds[name]) >= 2
    assert str(json_columns.MOST_BYTES) in told


@pytest.mark.parametrize("name", ["x'; DROP TABLE xcom; --", "a.b", "", "a b", '"'])
def test_names_of_members_are_ours(name: str) -> None:
    for asked in (text_of, number_of, is_true):
        with pytest.raises(ValueError, match="no name of a member"):
            asked(XComModel.value, name)


@pytest.mark.parametrize("state", STATES)
def test_every_selection_can_be_asked_of_every_dialect(state: str) -> None:
    now = datetime.now(UTC)
    for sort, dialect in product(SORTS, DIALECTS.values()):
        asked = Selection(now=now, since=now, dag_ids=["a", "b"], state=state, sort=sort, search="50%")
        conditions = [each for each in (asked.of_running, asked.of_ended) if each is not None]
        assert conditions
        for condition in conditions:
            query = select(XComModel.key).where(condition).order_by(*asked.order)
            assert "50/%%" not in str(query.compile(dialect=dialect.dialect())), (
                "what is searched is a parameter"
            )


def test_what_is_read_is_what_is_published() -> None:
    assert selection.PROGRESS_KEY == PROGRESS_KEY


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, "x", null, true]}', {"a": [1, 2.5, "x", None, True]}),
        ('{"a": NaN, "b": -Infinity, "c": 1e999}', {"a": None, "b": None, "c": None}),
        ("{", None),
        ("", None),
        ("9" * 5_000, None),
        ("[999999999999999, -999999999999999, 99999999999999999]", [10**15 - 1, 1 - 10**15, None]),
        ("[" * 100_000, None),
        (r'"\ud800"', "?"),
        (r'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (None, None),
    ],
)
def test_values_of_strangers_are_read_or_not(text: str | None, value: object) -> None:
    assert value_of(text) == value
