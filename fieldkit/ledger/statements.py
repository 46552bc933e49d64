"""Statements for a few rows at a time, their SQL written out once: a deed then costs little more than its writing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from itertools import compress
from operator import itemgetter, ne
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

Row = tuple[Any, ...]

#: Up to so many keys have SQL of their own, which is kept; more are left to SQLAlchemy, whose work is then little.
FEW = 40


class Lookup:
    """What *make* selects for some keys, given their list; the columns arrive as the driver has them."""

    def __init__(self, make: Callable[[Sequence[Any]], sa.Select[Any] | sa.CompoundSelect[Any]]) -> None:
        self._make = make
        self._written: dict[tuple[Any, int], tuple[str, list[int]]] = {}

    def rows(self, connection: Connection, keys: Sequence[Any] = ()) -> list[Row]:
        """Every row that belongs to one of *keys*."""
        if len(keys) > FEW:
            return [tuple(row) for row in connection.execute(self._make(keys))]
        which = (_kind(connection), len(keys))
        if which not in self._written:
            self._written[which] = self._write(*which)
        sql, places = self._written[which]
        return run(connection, sql, tuple([keys[place] for place in places]))

    def _write(self, dialect: Any, number: int) -> tuple[str, list[int]]:
        slots = [_Slot(place) for place in range(number)]
        written = self._make(slots).compile(
            dialect=_positional(dialect), compile_kwargs={"render_postcompile": True}
        )
        values = [written.params[name] for name in written.positiontup or ()]
        return str(written), [int(value) for value in values]


class _Slot(str):
    """Stands for the key at a place in the list while the SQL is written."""

    def __new__(cls, place: int) -> _Slot:
        return super().__new__(cls, place)


def run(connection: Connection, sql: str, values: Sequence[Any]) -> list[Row]:
    """Run a statement with positional values on the driver itself; returns the rows that it gives, if any."""
    cursor = driver(connection).execute(sql, values)
    return list(cursor.fetchall()) if cursor.description else []


def run_many(connection: Connection, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run a statement once for each of *rows*, on the driver itself."""
    if len(rows) == 1:
        run(connection, sql, rows[0])
    else:
        driver(connection).cursor().executemany(sql, rows)


def driver(connection: Connection) -> Any:
    """The driver's own connection, past the work that SQLAlchemy does on every statement."""
    return connection.connection.driver_connection


def update(
    connection: Connection, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> None:
    """Set *columns* of rows of *table*: each of *rows* has their new values, and then those of its primary key."""
    sql, order = _updating(table, columns, _kind(connection))
    run_many(connection, sql, [order(row) for row in rows])


def insert(connection: Connection, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert *rows*, each with a value for every column of *table* in its order."""
    run_many(connection, _inserting(table, _kind(connection)), rows)


def alter(connection: Connection, table: sa.Table, pairs: Iterable[tuple[Row, Row]]) -> None:
    """Turn the first row of each pair into the second, whole rows with the same key, by writing what differs."""
    names, key_of = _shape(table)
    changed: dict[tuple[str, ...], list[Row]] = {}
    for was, row in pairs:
        differs = list(map(ne, row, was))
        if any(differs):
            columns = tuple(compress(names, differs))
            changed.setdefault(columns, []).append((*compress(row, differs), *key_of(row)))
    for columns, rows in changed.items():
        update(connection, table, columns, rows)


def change(connection: Connection, table: sa.Table, before: Sequence[Row], after: Sequence[Row]) -> None:
    """Turn the rows *before* of *table* into *after*, whole rows both, by writing no more than what differs."""
    _, key_of = _shape(table)
    old = {key_of(row): row for row in before}
    pairs = [(old.pop(key_of(row), None), row) for row in after]
    if old:
        run_many(connection, _deleting(table, _kind(connection)), list(old))
    alter(connection, table, [(was, row) for was, row in pairs if was is not None])
    new = [row for was, row in pairs if was is None]
    if new:
        insert(connection, table, new)


@cache
def _shape(table: sa.Table) -> tuple[tuple[str, ...], Callable[[Row], Row]]:
    """The names of a table's columns, and what takes the values of its primary key out of a row."""
    places = [place for place, column in enumerate(table.columns) if column.primary_key]
    # Of a single place itemgetter would give the bare value.
    key_of = itemgetter(slice(places[0], places[0] + 1)) if len(places) == 1 else itemgetter(*places)
    return tuple(column.name for column in table.columns), key_of


def _kind(connection: Connection) -> Any:
    # Of an engine's dialect nothing but its class matters here; the object itself would be kept for ever.
    return type(connection.dialect)


@cache
def _positional(dialect: Any) -> Dialect:
    # Values told by their places are what every driver takes fastest.
    made: Dialect = dialect(paramstyle="qmark" if dialect.name == "sqlite" else "format")
    return made


@cache
def _inserting(table: sa.Table, dialect: Any) -> str:
    return str(sa.insert(table).compile(dialect=_positional(dialect)))


@cache
def _deleting(table: sa.Table, dialect: Any) -> str:
    keys = [column == sa.bindparam(f"key_{column.name}") for column in table.primary_key]
    return str(sa.delete(table).where(*keys).compile(dialect=_positional(dialect)))


@lru_cache(maxsize=1_000)
def _updating(
    table: sa.Table, columns: tuple[str, ...], dialect: Any
) -> tuple[str, Callable[[Sequence[Any]], Row]]:
    keys = [column == sa.bindparam(f"key_{column.name}") for column in table.primary_key]
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in columns}
    written = sa.update(table).where(*keys).values(values).compile(dialect=_positional(dialect))
    given = [f"new_{name}" for name in columns] + [f"key_{column.name}" for column in table.primary_key]
    # SQL names the columns in the table's order, whatever theirs was.
    return str(written), itemgetter(*[given.index(name) for name in written.positiontup or ()])
