"""Open the database of a ledger with settings under which an acknowledged write survives a power cut."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.engine import URL, Connection, Engine, make_url

from fieldkit.errors import LedgerError

#: The newest version of the tables that this kit knows; an older store is migrated, a newer one refused.
SCHEMA = "0001"
#: The advisory lock of PostgreSQL that whoever writes to a ledger holds; any number that is always the same.
WRITE_LOCK = 0x6669656C646B
_SQLITE_FILE = "sqlite:///"
_WRITING = "fieldkit_writing"
_CACHE_KIB = 64 * 1024
_BULK_CACHE_KIB = 256 * 1024
# Before this version a write-ahead log can lose committed writes when a checkpoint meets a writer.
_WAL_SINCE = (3, 51, 3)
_BUSY_MS = 30_000
_PAUSE_S = (0.002, 0.02)
_LOCKED = "database is locked"
# SQLite's words for a full disk, which it meets while it writes, before anything counts as committed.
_FULL = "database or disk is full"
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def open_store(url: str) -> Engine:
    """Open (and create or migrate) the database at *url*, SQLite or PostgreSQL.

    Raises :class:`LedgerError` in one sentence when it cannot be reached, is no ledger, or was made by a newer kit.
    """
    parsed = _parsed(url)
    where = parsed.render_as_string(hide_password=True)
    try:
        engine = _engine(parsed)
        try:
            _migrate(engine)
        except BaseException:
            engine.dispose()  # its connection would stay open
            raise
    except ModuleNotFoundError as error:
        raise LedgerError(
            f"PostgreSQL needs a driver: {error.name} is not installed. "
            'Install it with: pip install "fieldkit-casework[postgres]"'
        ) from error
    except sa.exc.ArgumentError as error:
        raise LedgerError(
            f"The ledger at {where} cannot be opened: {error}. Use sqlite:///FILE or postgresql://…"
        ) from error
    # What the driver raises while the settings are made on a new connection arrives unwrapped.
    except (sa.exc.DBAPIError, sqlite3.Error, OSError) as error:
        raise LedgerError(
            f"The ledger at {where} cannot be opened: {reason_of(error)}. "
            "Look whether the address is right, the server runs and the file is a ledger that may be written."
        ) from error
    return engine


def _parsed(url: str) -> URL:
    if url.startswith(_SQLITE_FILE) and not url.startswith(f"{_SQLITE_FILE}file:"):
        # Not parsed as an address: a folder's name may hold a question mark.
        return URL.create("sqlite", database=url.removeprefix(_SQLITE_FILE))
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        # The address itself is not repeated: it may hold a password.
        raise LedgerError(
            "The ledger's setting is no database address. Use sqlite:///FILE or postgresql://USER@HOST/DATABASE."
        ) from error
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise LedgerError(
            f"The ledger cannot be kept in {parsed.get_backend_name()}. Use SQLite or PostgreSQL."
        )
    return parsed


def _engine(parsed: URL) -> Engine:
    # Parameters stay out of error messages: who complained is among them.
    if parsed.get_backend_name() == "postgresql":
        timeout = {} if "connect_timeout" in parsed.query else {"connect_timeout": 10}
        return sa.create_engine(parsed, hide_parameters=True, connect_args=timeout)
    database = parsed.database or ":memory:"
    if database != ":memory:" and not database.startswith("file:"):
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    engine = _sqlite_engine(parsed)
    sa_event.listen(engine, "connect", _on_connect)
    sa_event.listen(engine, "begin", _on_begin)
    return engine


def _sqlite_engine(parsed: URL) -> Engine:
    # A room of its own, so that another build of SQLite can be put in its place.
    return sa.create_engine(parsed, hide_parameters=True)


def reason_of(error: Exception) -> str:
    """The database's own words for *error*, on one line and without a full stop.

    PostgreSQL's details are left out: they may repeat a row, and a row may name who complained.
    """
    words = _diagnosis(error, "message_primary") or getattr(error, "orig", None) or error
    return " ".join(str(words).split()).rstrip(".")


def _diagnosis(error: Exception, part: str) -> str | None:
    """A part of what PostgreSQL says about *error*; None when it says none, or the database is another."""
    said: str | None = getattr(getattr(getattr(error, "orig", None), "diag", None), part, None)
    return said


def _on_connect(connection: Any, _record: Any) -> None:
    # The driver must not start transactions of its own: ours begin IMMEDIATE (see _on_begin).
    connection.isolation_level = None
    # Where WAL is not safe, a rollback journal, with EXTRA so that the folder is synced after the journal is removed.
    cursor = connection.cursor()
    # Asked of the connection: the library behind it need not be the one that Python's own module was built with.
    cursor.execute("SELECT sqlite_version()")
    wal = tuple(map(int, cursor.fetchone()[0].split("."))) >= _WAL_SINCE
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
    cursor.execute(f"PRAGMA synchronous={'FULL' if wal else 'EXTRA'}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA trusted_schema=OFF")
    cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    # A deferred transaction that reads before it writes loses to any other writer, whatever the timeout.
    if not connection.get_execution_options().get(_WRITING, False):
        connection.exec_driver_sql("BEGIN")
        return
    # SQLite's own waiting looks ten times a second whether the lock is free, and of a crowd that writes without a
    # pause the unlucky would wait longer than the 30 s.
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    try:
        _patiently(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_MS}")


def _patiently(do: Callable[[], object]) -> None:
    """Try to *do* what needs a lock of SQLite's for up to 30 s, at random moments, so that nobody is always late."""
    until = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            do()
        except (sa.exc.OperationalError, sqlite3.OperationalError) as error:
            if _LOCKED not in str(error) or time.monotonic() > until:
                raise
        else:
            return
        time.sleep(random.uniform(*_PAUSE_S))  # noqa: S311 - nothing is hidden by it


@contextlib.contextmanager
def writing(engine: Engine, *, bulk: bool = False) -> Iterator[Connection]:
    """A transaction that writes, one at a time: committed when the block ends well, undone whatever else happens.

    With *bulk* SQLite may keep more of the file in memory meanwhile: ids are spread over every index, so that at a
    million complaints nearly every page would be fetched anew for each. Raises :class:`LedgerError` when the
    database refuses (full disk, locked for longer than 30 s, gone).
    """
    committing = False
    try:
        with engine.connect().execution_options(**{_WRITING: True}) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                # One writer at a time, as SQLite has it by itself: two that change one case, or take in one file,
                # would each count without the other.
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITE_LOCK)))
            with _cache(connection, _BULK_CACHE_KIB) if bulk else contextlib.nullcontext():
                yield connection
            committing = True
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        busy = _LOCKED in str(error)
        why = (
            "somebody else has been writing for 30 s; try again when they are done"
            if busy
            else reason_of(error)
        )
        # A traceback shows the cause too, and with it the details that reason_of leaves out.
        told = None if _diagnosis(error, "message_detail") else error
        if committing and not busy and _FULL not in str(error):
            # The last call to a disk, or a server's answer, may fail when all is written: nobody here can know.
            raise LedgerError(
                f"It is not certain that the ledger was written: {why}. "
                "Look whether what you entered is there before you enter it again."
            ) from told
        raise LedgerError(f"The ledger could not be written, nothing was changed: {why}.") from told


@contextlib.contextmanager
def _cache(connection: Connection, kibibytes: int) -> Iterator[None]:
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql(f"PRAGMA cache_size=-{kibibytes}")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA cache_size=-{_CACHE_KIB}")


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads one consistent state."""
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                # Its usual transactions see each statement's own moment.
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        raise LedgerError(f"The ledger could not be read: {reason_of(error)}.") from error


def insert(connection: Connection, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert *rows*, each with a value for every column of *table* in its order; for thousands at once.

    The values go to the driver as they are, past the work that SQLAlchemy does on every one.
    """
    if not rows:
        return
    statement = str(sa.insert(table).compile(dialect=connection.dialect))
    if connection.dialect.positional:
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])
    else:
        names = [column.name for column in table.columns]
        connection.exec_driver_sql(statement, [dict(zip(names, row, strict=True)) for row in rows])


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin():
        found = _schema_in(connection)
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


def _schema_in(connection: Connection) -> str | None:
    inspector = sa.inspect(connection)
    if inspector.has_table("alembic_version"):
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    # Somebody's GeoPackage or photo catalogue is not to be written into. (A database of PostgreSQL may well hold
    # tables of an extension.)
    if connection.dialect.name == "sqlite" and (others := inspector.get_table_names()):
        raise LedgerError(
            f"The file is a database, but no ledger: it holds {others[0]!r}. Name another file for the ledger."
        )
    return None
