"""Open the database of a ledger with settings under which an acknowledged write survives a power cut."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.engine import Connection, Engine, make_url

from fieldkit.errors import LedgerError

#: The newest version of the tables that this kit knows; an older store is migrated, a newer one refused.
SCHEMA = "0001"
_WRITING = "fieldkit_writing"


def open_store(url: str) -> Engine:
    """Open (and create or migrate) the database at *url*, SQLite or PostgreSQL.

    Raises :class:`LedgerError` in one sentence when it cannot be reached or was made by a newer kit.
    """
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError as error:
        raise LedgerError(
            f"{url!r} is no database address. Use sqlite:///FILE or postgresql+psycopg://…"
        ) from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise LedgerError(
            f"The ledger cannot be kept in {parsed.get_backend_name()}. Use SQLite or PostgreSQL."
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    try:
        engine = sa.create_engine(parsed)
        if engine.dialect.name == "sqlite":
            sa_event.listen(engine, "connect", _on_connect)
            sa_event.listen(engine, "begin", _on_begin)
        _migrate(engine)
    except ModuleNotFoundError as error:
        raise LedgerError(
            f"PostgreSQL needs a driver: {error.name} is not installed. "
            'Install it with: pip install "fieldkit-casework[postgres]"'
        ) from error
    except sa.exc.DatabaseError as error:
        where = parsed.render_as_string(hide_password=True)
        raise LedgerError(f"The ledger at {where} cannot be opened: {error.orig}.") from error
    return engine


def _on_connect(connection: Any, _record: Any) -> None:
    # The driver must not start transactions of its own: ours begin IMMEDIATE (see _on_begin).
    connection.isolation_level = None
    # WAL before 3.51.3 can lose committed writes when a checkpoint meets a writer; there a rollback journal, with
    # EXTRA so that the folder is synced after the journal is removed.
    wal = sqlite3.sqlite_version_info >= (3, 51, 3)
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
    cursor.execute(f"PRAGMA synchronous={'FULL' if wal else 'EXTRA'}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA trusted_schema=OFF")
    cursor.execute("PRAGMA cache_size=-65536")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    # A deferred transaction that reads before it writes loses to any other writer, whatever the timeout.
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed when the block ends well, undone whatever else happens.

    Raises :class:`LedgerError` when the database refuses (full disk, locked for longer than 30 s, gone).
    """
    try:
        with engine.connect().execution_options(**{_WRITING: True}) as connection, connection.begin():
            yield connection
    except sa.exc.OperationalError as error:
        raise LedgerError(f"The ledger could not be written, nothing was changed: {error.orig}.") from error


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads one consistent state."""
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except sa.exc.OperationalError as error:
        raise LedgerError(f"The ledger could not be read: {error.orig}.") from error


def _migrate(engine: Engine) -> None:
    found = _schema_of(engine)
    if found == SCHEMA:
        return
    if found is not None and found > SCHEMA:
        raise LedgerError(
            f"The ledger was made by a newer fieldkit (tables {found}, this one knows {SCHEMA}). Update the kit."
        )
    # Imported here: alembic costs 0.4 s, and a store is migrated once.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with writing(engine) as connection:
        # Whoever waited for the lock may find the work done.
        if _schema_in(connection) != SCHEMA:
            config.attributes["connection"] = connection
            command.upgrade(config, SCHEMA)


def _schema_of(engine: Engine) -> str | None:
    with engine.connect() as connection, connection.begin():
        return _schema_in(connection)


def _schema_in(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
