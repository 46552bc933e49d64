"""Open the database of a ledger with settings under which an acknowledged write survives a power cut."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.engine import URL, Connection, Engine, make_url

from fieldkit.errors import LedgerError
from fieldkit.files import create, make_folder
from fieldkit.ledger import cipher, statements
from fieldkit.ledger.location import check_location

if TYPE_CHECKING:
    from fieldkit.keys import StoreKey, StoreLock

_T = TypeVar("_T")

#: The advisory lock of PostgreSQL that whoever writes to a ledger holds; any number that is always the same.
WRITE_LOCK = 0x6669656C646B
_SQLITE_FILE = "sqlite:///"
_PEN = "_fieldkit_pen"
_CACHE_KIB = 64 * 1024
_BULK_CACHE_KIB = 256 * 1024
# Before this version a write-ahead log can lose committed writes when a checkpoint meets a writer.
_WAL_SINCE = (3, 51, 3)
_BUSY_MS = 30_000
_PAUSE_S = (0.002, 0.02)
_LOCKED = "database is locked"
# SQLite's words for a full disk, which it meets while it writes, before anything counts as committed.
_FULL = "database or disk is full"
# Fewer rows than this are sent as inserts, whose preparation the server need not do anew each time.
_COPY_FROM = 50
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def open_store(url: str, prepare: Callable[[Engine], None], lock: StoreLock | None = None) -> Engine:
    """Open the database at *url*, SQLite or PostgreSQL, and let *prepare* make or migrate its tables.

    *lock* opens a file that is encrypted. Raises :class:`LedgerError` in one sentence when it cannot be reached, would
    lie in a synchronised folder or on a network share, or *prepare* refuses, and
    :class:`~fieldkit.errors.KeyFileError` while it is locked.
    """
    parsed = parsed_url(url)
    where = parsed.render_as_string(hide_password=True)
    key = None
    try:
        key = cipher.key_of(parsed, lock)
        engine = _engine(parsed, key)
        try:
            prepare(engine)
        except BaseException:
            close_store(engine)  # its connection would stay open
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
    except failures(OSError) as error:
        raise LedgerError(
            f"The ledger at {where} cannot be opened: {_why(error, parsed, key, lock)}."
        ) from error
    return engine


def _why(error: Exception, parsed: URL, key: StoreKey | None, lock: StoreLock | None) -> str:
    no_database = "file is not a database" in str(error)
    if no_database and key is not None:
        return cipher.not_opened(parsed)
    look = "Look whether the address is right, the server runs and the file is a ledger that may be written"
    if no_database and lock is not None:
        look += "; an encrypted one needs its keys/store.key.json"
    return f"{reason_of(error)}. {look}"


def parsed_url(url: str) -> URL:
    """The address *url* in its parts, with the driver that the kit uses; raises :class:`LedgerError`."""
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


def check_address(url: str) -> None:
    """Raise :class:`LedgerError` when no ledger can be kept at *url*, before anything is made there."""
    if file := cipher.file_of(parsed_url(url)):
        check_location(file)


def _engine(parsed: URL, key: StoreKey | None) -> Engine:
    # Parameters stay out of error messages: who complained is among them.
    if parsed.get_backend_name() == "postgresql":
        timeout = {} if "connect_timeout" in parsed.query else {"connect_timeout": 10}
        return sa.create_engine(parsed, hide_parameters=True, connect_args=timeout)
    if file := cipher.file_of(parsed):
        check_location(file)
        make_folder(file.parent)
        if not file.exists():
            # Closed to others from the first byte; SQLite gives its journals the mode of the file.
            create(file, b"", mode=0o600)
    engine = _sqlite_engine(parsed, key)
    sa_event.listen(engine, "connect", _on_connect)
    sa_event.listen(engine, "begin", _on_begin)
    return engine


def _sqlite_engine(parsed: URL, key: StoreKey | None) -> Engine:
    # A room of its own, so that another build of SQLite can be put in its place.
    if key is not None:
        return cipher.engine(parsed, key)
    return sa.create_engine(parsed, hide_parameters=True)


def failures(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """What SQLAlchemy raises, and the drivers where it does not wrap them."""
    return (sa.exc.DBAPIError, sqlite3.Error, *cipher.errors(), *more)


def reason_of(error: Exception) -> str:
    """The database's own words for *error*, on one line and without a full stop.

    PostgreSQL's details are left out: they may repeat a row, and a row may name who complained.
    """
    words = _diagnosis(error, "message_primary") or getattr(error, "orig", None) or error
    if isinstance(words, OSError):
        words = words.strerror or words
    return " ".join(str(words).split()).rstrip(".")


def _diagnosis(error: Exception, part: str) -> str | None:
    """A part of what PostgreSQL says about *error*; None when it says none, or the database is another."""
    said: str | None = getattr(getattr(getattr(error, "orig", error), "diag", None), part, None)
    return said


def _on_connect(connection: Any, _record: Any) -> None:
    # The driver must not start transactions of its own: ours begin IMMEDIATE (see _begin_writing).
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
    # On the driver itself: a statement by way of SQLAlchemy takes longer than all that SQLite does here.
    driver = statements.driver(connection)
    if not driver.in_transaction:  # or writing has begun it
        driver.execute("BEGIN")


def _begin_writing(connection: Connection) -> None:
    """Begin a transaction as the only one who writes."""
    if connection.dialect.name == "postgresql":
        # One writer at a time, as SQLite has it by itself: two that change one case, or take in one file, would each
        # count without the other.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITE_LOCK)))
    else:
        # On the driver, without SQLAlchemy's own transaction, which begins only when SQLAlchemy is asked for something.
        # A deferred transaction that reads before it writes would lose to any other writer, however long it waits.
        _patiently(connection.engine, statements.driver(connection).execute, "BEGIN IMMEDIATE")


def _commit(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        _patiently(connection.engine, statements.driver(connection).commit)
    connection.commit()  # what SQLAlchemy knows of, if anything


def _patiently(engine: Engine, do: Callable[..., object], *arguments: str) -> None:
    """Do what needs a lock of SQLite's, trying for up to 30 s at random moments, so that nobody is always late."""
    until = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            do(*arguments)
        except _errors(engine) as error:
            if _LOCKED not in str(error) or time.monotonic() > until:
                raise
        else:
            return
        time.sleep(random.uniform(*_PAUSE_S))  # noqa: S311 - nothing is hidden by it


@contextlib.contextmanager
def writing(engine: Engine, *, bulk: bool = False) -> Iterator[Connection]:
    """A transaction that writes, one at a time: committed when the block ends well, undone whatever else happens.

    With *bulk* SQLite may keep more of the file in memory meanwhile: ids are spread over every index, so that at a
    million complaints nearly every page would be fetched anew for each (measured there, with those who complained: 2 GB
    written instead of 21, 8 % less CPU, 200 MB more memory). Raises :class:`LedgerError` when the
    database refuses (full disk, locked for longer than 30 s, gone).
    """
    committing = False
    try:
        connection = _pen(engine)
        try:
            _begin_writing(connection)
            with _cache(connection, _BULK_CACHE_KIB) if bulk else contextlib.nullcontext():
                yield connection
            committing = True
            _commit(connection)
        except BaseException:
            _put_away(connection)
            raise
        if not _keeps_pens(engine) or vars(engine).setdefault(_PEN, connection) is not connection:
            _put_away(connection)  # or another thread has put its own down first
    except _errors(engine) as error:
        busy = _LOCKED in str(error)
        why = (
            "somebody else has been writing for 30 s; try again when they are done"
            if busy
            else reason_of(error)
        )
        # A traceback shows the cause too, and with it the details that reason_of leaves out.
        told = None if _diagnosis(error, "message_detail") or _diagnosis(error, "context") else error
        if committing and not busy and _FULL not in str(error):
            # The last call to a disk, or a server's answer, may fail when all is written: nobody here can know.
            raise LedgerError(
                f"It is not certain that the ledger was written: {why}. "
                "Look whether what you entered is there before you enter it again."
            ) from told
        raise LedgerError(f"The ledger could not be written, nothing was changed: {why}.") from told


def _pen(engine: Engine) -> Connection:
    """A connection to write with: the one that wrote before, for to make one and to close it takes a quarter of a deed.

    It is kept on the engine itself, so that the two go together when nobody holds them any more.
    """
    connection: Connection | None = vars(engine).pop(_PEN, None)
    if connection is None:
        connection = engine.connect()
        if _keeps_pens(engine):
            # SQLite's own waiting looks ten times a second whether the lock is free, and of a crowd that writes without
            # a pause the unlucky would wait longer than the 30 s: see _patiently.
            statements.driver(connection).execute("PRAGMA busy_timeout=0")
    return connection


def _keeps_pens(engine: Engine) -> bool:
    # A database in memory belongs to its thread, and a server may end a connection that is idle.
    return engine.dialect.name == "sqlite" and isinstance(engine.pool, sa.QueuePool)


def _put_away(connection: Connection) -> None:
    """Undo what is not committed, and let the connection go: to the others only where its settings are theirs."""
    if _keeps_pens(connection.engine):
        connection.invalidate()
    connection.close()


def close_store(engine: Engine) -> None:
    """Close every connection of *engine* that nobody is using."""
    if (pen := vars(engine).pop(_PEN, None)) is not None:
        _put_away(pen)
    engine.dispose()


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
def overwriting(connection: Connection) -> Iterator[None]:
    """Have SQLite overwrite with zeros what is deleted in the block, where it would else only mark it as free.

    PostgreSQL has no such setting: there a VACUUM gives the room to others, who write over it.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA secure_delete=OFF")


def settle(engine: Engine) -> None:
    """Have what was destroyed leave SQLite's write-ahead log too, and on PostgreSQL the tables' free room."""
    connection = engine.raw_connection()
    try:
        driver: Any = connection.driver_connection
        if engine.dialect.name == "sqlite":
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            driver.autocommit = True
            driver.execute("VACUUM person, person_key, complainant")
    finally:
        # Not given back to others: its settings are no longer theirs.
        connection.invalidate()
        connection.close()


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
    except _errors(engine) as error:
        raise LedgerError(f"The ledger could not be read: {reason_of(error)}.") from error


def _errors(engine: Engine) -> tuple[type[Exception], ...]:
    # What is run on the driver itself (fieldkit.ledger.statements) raises the driver's own errors.
    return failures(engine.dialect.loaded_dbapi.Error)


def insert(connection: Connection, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert *rows*, each with a value for every column of *table* in its order.

    The values go to the driver as they are, past the work that SQLAlchemy does on every one; PostgreSQL takes a long
    list by COPY.
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql" and len(rows) >= _COPY_FROM:
        _copy(connection, table, rows)
    else:
        statements.insert(connection, table, rows)


def _copy(connection: Connection, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    with contextlib.closing(connection.connection.cursor()) as opened:
        cursor: Any = opened
        with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)


def chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Cut *items* into lists of at most *size*."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some


def pages(
    connection: Connection, column: sa.Column[str], size: int, *where: sa.ColumnElement[bool]
) -> Iterator[list[str]]:
    """Yield the different values of *column*, in its order, in lists of at most *size*.

    Keyset paging instead of one long cursor: SQLite must not insert on a connection whose select is half read, and a
    client-side cursor of PostgreSQL would hold every row in memory.
    """
    last = ""
    while True:
        statement = sa.select(column).where(column > last, *where).distinct().order_by(column).limit(size)
        some = list(connection.scalars(statement))
        if not some:
            return
        yield some
        last = some[-1]
