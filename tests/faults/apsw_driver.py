"""As much of Python's ``sqlite3`` around apsw as SQLAlchemy and the ledger ask for: a newer SQLite, on any disk.

Errors are those of ``sqlite3``, so that the kit meets what it meets in earnest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from sqlite3 import (
    PARSE_COLNAMES,
    PARSE_DECLTYPES,
    Binary,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # noqa: A004 - the name that PEP 249 gives it
)
from typing import Any

import apsw

__all__ = [
    "PARSE_COLNAMES",
    "PARSE_DECLTYPES",
    "Binary",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Warning",
    "connect",
]

apilevel = "2.0"
paramstyle = "qmark"
threadsafety = 1
sqlite_version = apsw.sqlite_lib_version()
sqlite_version_info = tuple(map(int, sqlite_version.split(".")))

# SQLite's own words for a result code, which sqlite3 hands on, whatever the disk's code in Python said.
_WORDS = {
    apsw.SQLITE_FULL: "database or disk is full",
    apsw.SQLITE_IOERR: "disk I/O error",
    apsw.SQLITE_CANTOPEN: "unable to open database file",
    apsw.SQLITE_PERM: "access permission denied",
    apsw.SQLITE_READONLY: "attempt to write a readonly database",
    apsw.SQLITE_BUSY: "database is locked",
    apsw.SQLITE_CORRUPT: "database disk image is malformed",
    apsw.SQLITE_NOTADB: "file is not a database",
}
_KINDS: dict[int, type[Exception]] = {
    apsw.SQLITE_CONSTRAINT: IntegrityError,
    apsw.SQLITE_MISMATCH: IntegrityError,
    apsw.SQLITE_CORRUPT: DatabaseError,
    apsw.SQLITE_NOTADB: DatabaseError,
    apsw.SQLITE_TOOBIG: DataError,
    apsw.SQLITE_INTERNAL: InternalError,
    apsw.SQLITE_MISUSE: InterfaceError,
    apsw.SQLITE_NOMEM: MemoryError,
}


@contextmanager
def _errors_of_sqlite3() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        code = getattr(error, "result", apsw.SQLITE_ERROR) & 0xFF
        raise _KINDS.get(code, OperationalError)(_WORDS.get(code, str(error))) from error


def connect(database: str, *, vfs: str | None = None, uri: bool = False, **_: Any) -> Connection:
    """Open *database* on the disk registered as *vfs*; what else ``sqlite3.connect`` takes is not needed."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | (apsw.SQLITE_OPEN_URI if uri else 0)
    with _errors_of_sqlite3():
        inner = apsw.Connection(database, flags=flags, vfs=vfs)
    inner.set_busy_timeout(5_000)  # as sqlite3 does unless told otherwise
    return Connection(inner)


class Connection:
    """A connection as ``sqlite3`` has it with ``isolation_level=None``: no transaction begins by itself."""

    isolation_level: str | None = None
    text_factory: Any = str  # given to, and ignored: a text that is no UTF-8 is read with sqlite3 itself

    def __init__(self, inner: apsw.Connection) -> None:
        self.inner = inner

    @property
    def in_transaction(self) -> bool:
        return self.inner.in_transaction

    def cursor(self) -> Cursor:
        return Cursor(self)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor:
        return self.cursor().execute(statement, parameters)

    def create_function(
        self, name: str, narg: int, func: Callable[..., Any] | None, *, deterministic: bool = False
    ) -> None:
        self.inner.create_scalar_function(name, func, narg, deterministic=deterministic)

    def commit(self) -> None:
        self._end("COMMIT")

    def rollback(self) -> None:
        self._end("ROLLBACK")

    def _end(self, how: str) -> None:
        with _errors_of_sqlite3():
            if self.in_transaction:
                self.inner.execute(how)

    def close(self) -> None:
        # As sqlite3_close_v2, which sqlite3 calls, it always succeeds: what SQLite tidies up then, it may leave.
        with suppress(apsw.Error):
            self.inner.close(True)


class Cursor:
    """A cursor that has all rows by the time ``execute`` returns."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self._rows: Iterator[tuple[Any, ...]] = iter(())

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor:
        return self._run(lambda cursor: cursor.execute(statement, tuple(parameters)))

    def executemany(self, statement: str, many: Iterable[Sequence[Any]]) -> Cursor:
        return self._run(lambda cursor: cursor.executemany(statement, many))

    def _run(self, do: Callable[[apsw.Cursor], Iterable[tuple[Any, ...]]]) -> Cursor:
        inner = self.connection.inner
        cursor = inner.cursor()
        described: list[tuple[Any, ...]] = []

        def describe(traced: apsw.Cursor, _statement: str, _parameters: Any) -> bool:
            # Asked before the first row: of a statement without any, nothing can be learnt afterwards.
            described[:] = [
                (name, None, None, None, None, None, None) for name, _ in traced.get_description()
            ]
            return True

        cursor.exec_trace = describe
        before = inner.total_changes()
        with _errors_of_sqlite3():
            self._rows = iter(list(do(cursor)))
        self.description = described or None
        self.rowcount = -1 if described else inner.total_changes() - before
        self.lastrowid = inner.last_insert_rowid()
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        size = self.arraysize if size is None else size
        return [row for _, row in zip(range(size), self._rows, strict=False)]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows

    def close(self) -> None:
        self._rows = iter(())
