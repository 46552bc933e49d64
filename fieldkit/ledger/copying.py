"""Copy a whole ledger while others write to it: facts, vault and all, as they were at one moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from fieldkit.errors import LedgerError
from fieldkit.ledger import store, tables

_PAGE = 5_000


def vacuum_into(engine: Engine, path: Path) -> None:
    """Write what the SQLite database of *engine* holds now to the new file *path*, by SQLite itself.

    Nothing that was deleted before is in it, not even as free room. Where the database is encrypted, so is the copy.
    Raises :class:`LedgerError` when it cannot be read, or *path* not be written.
    """
    connection = engine.raw_connection()
    try:
        driver: Any = connection.driver_connection
        cursor = driver.cursor()
        # Outside any transaction, since VACUUM begins its own; it waits for a writer as everybody does.
        cursor.execute("VACUUM INTO ?", (str(path),))
        cursor.close()
    except engine.dialect.loaded_dbapi.Error as error:
        raise LedgerError(
            f"The ledger could not be copied to {path.name}: {store.reason_of(error)}."
        ) from error
    finally:
        connection.close()


def copy_rows(source: Connection, target: Connection) -> None:
    """Copy every row of every table from one ledger to another that is empty, whatever their databases."""
    for table in tables.metadata.sorted_tables:
        if target.scalar(sa.select(sa.func.count()).select_from(table)):
            raise LedgerError(
                f"The ledger to be filled is not empty: its table {table.name!r} has rows. Name an empty database."
            )
    for table in tables.metadata.sorted_tables:
        for rows in rows_of(source, table):
            store.insert(target, table, rows)


def rows_of(connection: Connection, table: sa.Table) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of *table* some thousand at a time, in the order of the primary key."""
    statement = sa.select(table).order_by(*table.primary_key.columns)
    result = connection.execution_options(stream_results=True, yield_per=_PAGE).execute(statement)
    for rows in result.partitions():
        yield [tuple(row) for row in rows]


def damage(connection: Connection) -> list[str]:
    """What SQLite finds damaged in its file, in its own words; a server looks after its files itself."""
    if connection.dialect.name != "sqlite":
        return []
    found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
    return [] if found == ["ok"] else found
