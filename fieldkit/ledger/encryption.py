"""Make an encrypted file of a plain ledger, or a plain one of an encrypted; a kill at any moment leaves one of them.

The new file is made beside the ledger while nobody can write, compared with it, and takes its place in one rename. The
store's key is under its pending name meanwhile, so that the ledger's own file says which of the two it is; where that
was cut off, :func:`tidy` does the rest when the ledger is opened next.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import URL, Engine

from fieldkit.errors import LedgerError
from fieldkit.files import put_in_place, remove_file
from fieldkit.ledger import cipher, store

if TYPE_CHECKING:
    from fieldkit.keys import RecoveryKey, StoreKey, StoreLock

_CHUNK = bytes(1 << 20)
_PATIENCE_MS = 3_000


def encrypt(url: str, lock: StoreLock, passphrase: str, recovery: RecoveryKey) -> None:
    """Encrypt the ledger at *url* with a new key, which *passphrase* and *recovery* open.

    Raises :class:`LedgerError` in one sentence, with the plain ledger as it was.
    """
    parsed, path = check_plain(url, lock)
    with _held(parsed, None) as guard:
        key = lock.make(passphrase, recovery)
        try:
            made = _copied(parsed, path, None, key)
        except BaseException:
            lock.remove()  # only here: the ledger may be one that it opens as soon as anything is put in its place
            raise
        _put_in_place(made, path, guard, settle=lock.settle)


def decrypt(url: str, lock: StoreLock, passphrase: str) -> None:
    """Decrypt the ledger at *url*, whatever else is unlocked only with *passphrase*; its key is forgotten.

    Raises :class:`LedgerError` or :class:`~fieldkit.errors.KeyFileError` in one sentence, with the ledger as it was.
    """
    parsed, path = check_encrypted(url, lock)
    key = lock.open(passphrase)
    with _held(parsed, key) as guard:
        made = _copied(parsed, path, key, None)
        lock.unsettle()
        _put_in_place(made, path, guard, settle=lock.remove)


def check_plain(url: str, lock: StoreLock | None) -> tuple[URL, Path]:
    """As :func:`check_possible`, and the ledger must not be encrypted."""
    parsed, path = check_possible(url)
    if lock is not None and lock.is_settled:
        raise LedgerError(
            f"The ledger {path} is encrypted already. `fieldkit passphrase` changes its passphrase, "
            "`fieldkit recovery-key` its recovery key."
        )
    return parsed, path


def check_encrypted(url: str, lock: StoreLock | None) -> tuple[URL, Path]:
    """As :func:`check_possible`, and the ledger must be encrypted, or be one where that was cut off."""
    parsed, path = check_possible(url)
    if lock is None or not lock.exists:
        raise LedgerError(f"The ledger {path} is not encrypted. `fieldkit encrypt` does that.")
    return parsed, path


def check_possible(url: str) -> tuple[URL, Path]:
    """The address in its parts, and its file; raises :class:`LedgerError` where none could be encrypted."""
    parsed = store.parsed_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise LedgerError(
            "A ledger on a PostgreSQL server is not encrypted by the kit. Have whoever runs the server encrypt its "
            "disk and ask for TLS (sslmode=verify-full in the address)."
        )
    path = cipher.file_of(parsed)
    if path is None or str(parsed.database).startswith("file:"):
        raise LedgerError("Only a ledger in a file can be encrypted. Set ledger to sqlite:///FILE.")
    cipher.driver()
    return parsed, path


def tidy(engine: Engine, lock: StoreLock) -> None:
    """Finish what was cut off, once *engine* has opened the encrypted ledger; nothing while somebody is at it."""
    path = cipher.file_of(engine.url)
    if path is None or not (lock.pending.exists() or _making(path).exists() or _replaced(path).exists()):
        return
    connection = engine.raw_connection()
    try:
        driver: Any = connection.driver_connection
        if driver.execute("PRAGMA cipher_status").fetchone() != ("1",):
            return  # plain, and the key is one that will not be used
        driver.execute("PRAGMA busy_timeout=0")
        # Whoever encrypts or decrypts holds this for as long as it takes.
        driver.execute("BEGIN IMMEDIATE")
        _destroy(_making(path))
        _clear_replaced(path)
        lock.settle()
    except cipher.errors():
        return
    finally:
        connection.invalidate()
        connection.close()


def _making(path: Path) -> Path:
    return path.with_name(f".{path.name}.converting")


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


@contextlib.contextmanager
def _held(url: URL, key: StoreKey | None) -> Iterator[Any]:
    """Keep everybody from writing, with all that was written in the one file; errors become one sentence."""
    guard = None
    try:
        guard = cipher.driver().connect(str(url.database), isolation_level=None)
        cipher.begin(guard, key)
        guard.execute(f"PRAGMA busy_timeout={_PATIENCE_MS}")
        guard.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        guard.execute("PRAGMA journal_mode=DELETE")
        guard.execute("BEGIN IMMEDIATE")
        if guard.execute("PRAGMA journal_mode").fetchone() != ("delete",):
            raise OSError("the database is locked")  # by whoever set it back in between
        yield guard
    except store.failures(OSError) as error:
        why = store.reason_of(error)
        if "locked" in why:
            why = (
                "another program has it open; close notebooks, dashboards and other windows of the kit first"
            )
        raise LedgerError(f"The ledger was not converted: {why}. It is whole; try again.") from error
    finally:
        if guard is not None:
            guard.close()


def _copied(url: URL, path: Path, old: StoreKey | None, new: StoreKey | None) -> Path:
    """A copy of the ledger under another key, on disk and found to be the same."""
    made = _making(path)
    _destroy(made)
    try:
        connection = cipher.driver().connect(str(path), isolation_level=None)
        try:
            cipher.begin(connection, old)
            connection.execute("ATTACH DATABASE ? AS made KEY ?", (str(made), "" if new is None else new.raw))
            connection.execute("PRAGMA made.journal_mode=OFF")  # it counts only when it is whole
            connection.execute("SELECT sqlcipher_export('made')")
            connection.execute("DETACH DATABASE made")
        finally:
            connection.close()
        made.chmod(path.stat().st_mode & 0o777)
        if _content(url, old) != _content(url.set(database=str(made)), new):
            raise LedgerError(
                "The ledger was not converted, nothing was changed: the copy is not the same. "
                "Look with `fieldkit verify` whether the ledger is whole."
            )
    except BaseException:
        _destroy(made)
        raise
    return made


def _content(url: URL, key: StoreKey | None) -> tuple[object, ...]:
    """What must be the same in a plain ledger and its encrypted copy, every row of every table."""
    from fieldkit.ledger.verification import check_chains, state_hash, tables_hash

    # Not opened as a ledger is: that would change how it keeps its journal.
    engine = cipher.engine(url, key)
    try:
        with engine.connect() as connection:
            return state_hash(connection), list(check_chains(connection, (), {})), tables_hash(connection)
    finally:
        engine.dispose()


def _put_in_place(made: Path, path: Path, guard: Any, settle: Callable[[], None]) -> None:
    """Let *made* be the ledger; the lock on the old file is held until that is no database any more."""
    if sys.platform == "win32":
        guard.close()  # a file that is open cannot be replaced there
    replaced = _replaced(path)
    _clear_replaced(path)
    # A second name: what is replaced must be found to be destroyed, and by whoever has it open as no database any more.
    try:
        replaced.hardlink_to(path)
    except OSError:
        _destroy(made)
        raise
    put_in_place(made, path)
    settle()
    _destroy(replaced)


def _clear_replaced(path: Path) -> None:
    replaced = _replaced(path)
    if replaced.exists() and replaced.samefile(path):
        remove_file(replaced)  # it was not replaced yet
    else:
        _destroy(replaced)


def _destroy(path: Path) -> None:
    """Overwrite the file and remove it. (What a disk of flash memory keeps of it is the disk's.)"""
    with contextlib.suppress(FileNotFoundError):
        with path.open("r+b") as file:
            left = path.stat().st_size
            while left > 0:
                left -= file.write(_CHUNK[: min(left, len(_CHUNK))])
            file.flush()
            os.fsync(file.fileno())
        remove_file(path)
