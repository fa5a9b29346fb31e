"""Members of a JSON column, as SQL that no content makes fail: what is not of the type that is asked for is NULL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Float, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.sql.type_api import TypeEngine


class _Member(FunctionElement[Any]):
    """One member of a JSON object; its name is ours, never a user's."""

    inherit_cache = True
    kinds: dict[str, tuple[str, ...]]

    def __init__(self, column: Any, name: str) -> None:
        if not name.isidentifier():
            raise ValueError(f"{name!r} is no name of a member")
        super().__init__(column, name)


class text_member(_Member):  # noqa: N801 - named as SQL functions are
    """A member that is text; NULL if it is something else, or not there."""

    type: TypeEngine[Any] = String()
    inherit_cache = True
    kinds = {"postgresql": ("string",), "sqlite": ("text",), "mysql": ("STRING",)}  # noqa: RUF012 - read only


class number_member(_Member):  # noqa: N801 - named as SQL functions are
    """A member that is a number; NULL if it is something else, or not there."""

    type: TypeEngine[Any] = Float()
    inherit_cache = True
    kinds = {  # noqa: RUF012 - read only
        "postgresql": ("number",),
        "sqlite": ("integer", "real"),
        "mysql": ("INTEGER", "UNSIGNED INTEGER", "DOUBLE", "DECIMAL"),
    }


def _parts(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> tuple[str, str]:
    column, name = list(element.clauses)
    return compiler.process(column, **kwargs), str(getattr(name, "value", name))


def _listed(element: _Member, dialect: str) -> str:
    return ", ".join(f"'{kind}'" for kind in element.kinds[dialect])


@compiles(text_member, "postgresql")
@compiles(number_member, "postgresql")
def _on_postgresql(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    # A number of JSON may be larger than any float; numeric takes it.
    cast = "::numeric" if isinstance(element, number_member) else ""
    return (
        f"(CASE WHEN jsonb_typeof({column} -> '{name}') IN ({_listed(element, 'postgresql')}) "
        f"THEN ({column} ->> '{name}'){cast} END)"
    )


@compiles(text_member, "sqlite")
@compiles(number_member, "sqlite")
def _on_sqlite(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    # SQLite's JSON functions fail on what Python writes for NaN, among other things.
    return (
        f"(CASE WHEN json_valid({column}) THEN CASE WHEN json_type({column}, '$.{name}') IN ({_listed(element, 'sqlite')}) "
        f"THEN json_extract({column}, '$.{name}') END END)"
    )


@compiles(text_member, "mysql")
@compiles(number_member, "mysql")
def _on_mysql(element: _Member, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, name = _parts(element, compiler, **kwargs)
    member = f"JSON_EXTRACT({column}, '$.{name}')"
    return f"(CASE WHEN JSON_TYPE({member}) IN ({_listed(element, 'mysql')}) THEN JSON_UNQUOTE({member}) END)"


def text_of(column: ColumnElement[Any] | Any, name: str) -> ColumnElement[Any]:
    """A member that is text.

    :param column: a JSON column.
    :param name: of the member.
    """
    return text_member(column, name)


def number_of(column: ColumnElement[Any] | Any, name: str) -> ColumnElement[Any]:
    """A member that is a number.

    :param column: a JSON column.
    :param name: of the member.
    """
    return number_member(column, name)
