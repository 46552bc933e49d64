"""SQLCipher, which reads and writes an encrypted ledger's file: an SQLite of its own, from the extra ``secure``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.engine import URL, Connection, Engine

from fieldkit.errors import LedgerError

if TYPE_CHECKING:
    from fieldkit.keys import StoreKey, StoreLock

_PLAIN = b"SQLite format 3\0"


def driver() -> Any:
    """The module of SQLCipher's driver; raises :class:`LedgerError` with the way to get it."""
    try:
        import sqlcipher3.dbapi2
    except ImportError as error:
        raise LedgerError(
            "An encrypted ledger needs SQLCipher, which is not installed. "
            'Install it with: pip install "fieldkit-casework[secure]"'
        ) from error
    return sqlcipher3.dbapi2


def errors() -> tuple[type[Exception], ...]:
    """What the driver raises where SQLAlchemy does not wrap it; nothing while nobody has loaded it."""
    loaded = sys.modules.get("sqlcipher3.dbapi2")
    return () if loaded is None else (loaded.Error,)


def engine(url: URL, key: StoreKey | None) -> Engine:
    """An engine on SQLCipher; *key* None opens a plain file with it.

    The dialect is that of Python's own driver, which this one is made after: SQLAlchemy's for SQLCipher would say a
    key of its own first, and keep it in the address.
    """
    # Parameters stay out of error messages: who complained is among them.
    made = sa.create_engine(url.set(drivername="sqlite"), module=driver(), hide_parameters=True)

    def connect(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        connection = dialect.connect(*arguments, **options)
        begin(connection, key)
        return connection

    sa_event.listen(made, "do_connect", connect)
    return made


def begin(connection: Any, key: StoreKey | None) -> None:
    """Say the key, which must come before all else on a new connection of the driver's, and what goes with it."""
    if key is not None:
        # Raw, so that no time goes into making it from a passphrase. Not through SQLAlchemy, which may log.
        connection.execute(f'PRAGMA key = "{key.raw}"')
    # It would dump damaged pages on the error channel.
    connection.execute("PRAGMA cipher_log_level = NONE")
    connection.execute("PRAGMA temp_store = MEMORY")


def is_encrypted(connection: Connection) -> bool:
    """Whether the connection goes through SQLCipher with a key."""
    if connection.dialect.name != "sqlite" or "sqlcipher3" not in connection.dialect.loaded_dbapi.__name__:
        return False
    return bool(connection.exec_driver_sql("PRAGMA cipher_status").scalar() == "1")


def file_of(url: URL) -> Path | None:
    """The file that an SQLite address names, or None for a database in memory or on a server."""
    database = url.database
    if url.get_backend_name() != "sqlite" or database in (None, "", ":memory:"):
        return None
    assert database is not None
    if not database.startswith("file:"):
        return Path(database)
    path = unquote(database.removeprefix("file:").partition("?")[0])
    return None if path in ("", ":memory:") or "mode=memory" in database else Path(path)


def key_of(url: URL, lock: StoreLock | None) -> StoreKey | None:
    """The key that the address's file is to be opened with, or None where it is plain.

    Raises :class:`~fieldkit.errors.KeyFileError` while it is locked. The file itself is looked at only while it is
    being changed from plain to encrypted or back: who opens and closes a file by himself takes the locks away that
    SQLite holds on it elsewhere in the process.
    """
    if lock is None or file_of(url) is None or not lock.exists:
        return None
    driver()
    if lock.is_settled:
        return lock.key()
    return None if opens(url, None) else lock.key()


def opens(url: URL, key: StoreKey | None) -> bool:
    """Whether the address's file is one that *key* opens, or with None a plain one."""
    path = file_of(url)
    if path is None or not path.exists() or not path.stat().st_size:
        return False
    made = engine(url, key)
    try:
        with made.connect() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
    except sa.exc.DatabaseError as error:
        if "file is not a database" in str(error):
            return False
        raise
    finally:
        made.dispose()
    return True


def not_opened(url: URL) -> str:
    """Why a file did not open with its workspace's key, as the end of a sentence; for when nobody has it open."""
    path = file_of(url)
    assert path is not None
    with path.open("rb") as file:
        if file.read(len(_PLAIN)) == _PLAIN:
            return (
                "it is not encrypted, but keys/store.key.json says that it is. Put the right file back, or take "
                "store.key.json away if this one is to be used as it is"
            )
    return (
        "its first page is damaged, or it was encrypted with another key than that of keys/store.key.json. "
        "Put the file and the folder keys back from the same copy"
    )


def damaged_pages(connection: Connection) -> list[str]:
    """What SQLCipher says is wrong with the pages of an encrypted file, each of which bears a code of its own."""
    if not is_encrypted(connection):
        return []
    return [str(row[0]) for row in connection.exec_driver_sql("PRAGMA cipher_integrity_check")]
