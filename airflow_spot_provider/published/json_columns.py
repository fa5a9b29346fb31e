"""Members of a JSON column, as SQL that no content makes fail: what is not of the type that is asked for is NULL.

Casts are not tried and caught (no database does that); the type is asked for first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Float, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.sql.type_api import TypeEngine

if TYPE_CHECKING:
    _Function = FunctionElement[Any]
else:
    _Function = FunctionElement  # in SQLAlchemy 1.4, Airflow 3.0's, it takes no type

MOST_BYTES = 65_536
"""Of a longer value nothing is read: ours take a tenth of that."""
_BEYOND = "1e15"
"""No figure of ours is that large, and sums of such numbers fit into a float."""


class _Member(_Function):
    """One member of a JSON object; its name is ours, never a user's."""

    inherit_cache = True

    def __init__(self, column: Any, name: str) -> None:
        if not name.isidentifier():
            raise ValueError(f"{name!r} is no name of a member")
        super().__init__(column, name)


class text_member(_Member):  # noqa: N801 - named as SQL functions are
    """A member that is text."""

    type: TypeEngine[Any] = String()
    inherit_cache = True


class number_member(_Member):  # noqa: N801 - named as SQL functions are
    """A member that is a number, of a size that figures have."""

    type: TypeEngine[Any] = Float()
    inherit_cache = True


class is_true_member(_Member):  # noqa: N801 - named as SQL functions are
    """Whether a member is true."""

    type: TypeEngine[Any] = Boolean()
    inherit_cache = True


class whole_value(_Function):  # noqa: N801 - named as SQL functions are
    """The JSON as text; NULL if it is too long."""

    type: TypeEngine[Any] = String()
    inherit_cache = True


def text_of(column: Any, name: str) -> ColumnElement[Any]:
    """A member that is text; NULL if it is something else, or not there.

    :param column: a JSON column.
    :param name: of the member.
    """
    return text_member(column, name)


def number_of(column: Any, name: str) -> ColumnElement[Any]:
    """A member that is a number; NULL if it is something else, too large for a figure, or not there.

    :param column: a JSON column.
    :param name: of the member.
    """
    return number_member(column, name)


def is_true(column: Any, name: str) -> ColumnElement[bool]:
    """Whether a member is true: false if it is something else, or not there.

    :param column: a JSON column.
    :param name: of the member.
    """
    return is_true_member(column, name)


def text_of_all(column: Any) -> ColumnElement[Any]:
    """The JSON of a column as text, to be read by ourselves: it may be any; NULL beyond 64 KiB."""
    return whole_value(column)


def _parts(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> tuple[str, str]:
    column, name = list(element.clauses)
    return compiler.process(column, **kwargs), str(getattr(name, "value", name))


def _only(element: Any, compiler: SQLCompiler, **kwargs: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **kwargs)


@compiles(text_member, "postgresql")
def _postgresql_text(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    return f"(CASE WHEN jsonb_typeof({column} -> '{name}') = 'string' THEN {column} ->> '{name}' END)"


@compiles(number_member, "postgresql")
def _postgresql_number(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    # A number of JSON may be larger than any float: PostgreSQL's numeric takes it.
    number = f"({column} -> '{name}')::numeric"
    return (
        f"(CASE WHEN jsonb_typeof({column} -> '{name}') = 'number' "
        f"THEN CASE WHEN abs({number}) < {_BEYOND} THEN {number}::double precision END END)"
    )


@compiles(is_true_member, "postgresql")
def _postgresql_true(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    return f"coalesce({column} -> '{name}' = 'true'::jsonb, false)"


@compiles(whole_value, "postgresql")
def _postgresql_value(element: Any, compiler: SQLCompiler, **kwargs: Any) -> str:
    column = _only(element, compiler, **kwargs)
    return f"(CASE WHEN octet_length({column}::text) <= {MOST_BYTES} THEN {column}::text END)"


# SQLite's JSON functions fail on what is no JSON; Python writes NaN, which is none. Of the escape of half a character they make
# bytes (ED A0 80 to ED BF BF) that Python's driver fails on: such a text is a question mark. None of ASCII, as ours are, is like that.
_HALF_A_CHARACTER = "*ED[AB]*"


@compiles(text_member, "sqlite")
def _sqlite_text(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    text = f"json_extract({column}, '$.{name}')"
    return (
        f"(CASE WHEN json_valid({column}) THEN CASE WHEN json_type({column}, '$.{name}') = 'text' "
        f"THEN CASE WHEN hex({text}) NOT GLOB '{_HALF_A_CHARACTER}' THEN {text} ELSE '?' END END END)"
    )


@compiles(number_member, "sqlite")
def _sqlite_number(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    number = f"json_extract({column}, '$.{name}')"
    return (
        f"(CASE WHEN json_valid({column}) THEN CASE WHEN json_type({column}, '$.{name}') IN ('integer', 'real') "
        f"THEN CASE WHEN {number} BETWEEN -{_BEYOND} AND {_BEYOND} THEN {number} END END END)"
    )


@compiles(is_true_member, "sqlite")
def _sqlite_true(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    return f"(CASE WHEN json_valid({column}) THEN coalesce(json_type({column}, '$.{name}') = 'true', 0) ELSE 0 END)"


@compiles(whole_value, "sqlite")
def _sqlite_value(element: Any, compiler: SQLCompiler, **kwargs: Any) -> str:
    column = _only(element, compiler, **kwargs)
    # A column of type JSON is numeric to SQLite: it keeps the text of a number as that number.
    return f"(CASE WHEN length({column}) <= {MOST_BYTES} THEN CAST({column} AS TEXT) END)"


@compiles(text_member, "mysql")
def _mysql_text(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    member = f"JSON_EXTRACT({column}, '$.{name}')"
    return f"(CASE WHEN JSON_TYPE({member}) = 'STRING' THEN JSON_UNQUOTE({member}) END)"


@compiles(number_member, "mysql")
def _mysql_number(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    member = f"JSON_EXTRACT({column}, '$.{name}')"
    kinds = "'INTEGER', 'UNSIGNED INTEGER', 'DOUBLE', 'DECIMAL'"
    return (
        f"(CASE WHEN JSON_TYPE({member}) IN ({kinds}) "
        f"THEN CASE WHEN {member} + 0e0 BETWEEN -{_BEYOND} AND {_BEYOND} THEN {member} + 0e0 END END)"
    )


@compiles(is_true_member, "mysql")
def _mysql_true(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    return f"coalesce(JSON_EXTRACT({column}, '$.{name}') = CAST('true' AS JSON), 0)"


@compiles(whole_value, "mysql")
def _mysql_value(element: Any, compiler: SQLCompiler, **kwargs: Any) -> str:
    column = _only(element, compiler, **kwargs)
    return f"(CASE WHEN JSON_STORAGE_SIZE({column}) <= {MOST_BYTES} THEN CAST({column} AS CHAR) END)"
