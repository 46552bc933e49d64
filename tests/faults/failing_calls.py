"""Let the n-th call to the disk fail, for every n until the deed no longer makes so many calls.

After each failure the store must be as it was, or as it would have been; whoever did the deed must have got one plain
sentence; and the same deed must then succeed, in the same process and with the same connections.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import apsw

from fieldkit.errors import FieldkitError
from fieldkit.ledger import Ledger

from . import stores
from .disk import Disk
from .engines import apsw_engine
from .totals import Step, Totals, no_step
from .works import OLD_STORE

_DELETE, _FOLDER = "xDelete", "xSync of the folder"
#: What can go wrong, and with which code each call then ends on a real system; calls that are not named are sound.
FAILURES = {
    "disk full": {
        "xOpen": apsw.SQLITE_CANTOPEN,
        "xWrite": apsw.SQLITE_FULL,
        "xSync": apsw.SQLITE_IOERR_FSYNC,
    },
    "I/O error": {
        "xOpen": apsw.SQLITE_CANTOPEN,
        "xRead": apsw.SQLITE_IOERR_READ,
        "xWrite": apsw.SQLITE_IOERR_WRITE,
        "xTruncate": apsw.SQLITE_IOERR_TRUNCATE,
        "xSync": apsw.SQLITE_IOERR_FSYNC,
        "xLock": apsw.SQLITE_IOERR_LOCK,
        "xAccess": apsw.SQLITE_IOERR_ACCESS,
        "xFileSize": apsw.SQLITE_IOERR_FSTAT,
        _DELETE: apsw.SQLITE_IOERR_DELETE,
        _FOLDER: apsw.SQLITE_IOERR_DIR_FSYNC,
    },
    "no permission": {
        "xOpen": apsw.SQLITE_CANTOPEN,
        "xLock": apsw.SQLITE_PERM,
        "xWrite": apsw.SQLITE_READONLY,
        _DELETE: apsw.SQLITE_IOERR_DELETE,
    },
    # The last call of a write with a rollback journal: when it fails, all is written.
    "folder not synced": {_FOLDER: apsw.SQLITE_IOERR_DIR_FSYNC},
}

# A sentence for the person who did it: one line, from a capital to a full stop, and nothing of Python's.
_SENTENCE = re.compile(r"[A-Z][^\n]*\.")
_PROGRAMMERS = re.compile(
    r"Traceback|Error\(|Exception|sqlalchemy|sqlite3\.|apsw|\bNone\b|<[a-z]|\[SQL|https?://"
)


@dataclass(frozen=True, slots=True)
class Deed:
    """What is tried: *act* on a copy of the store that *prepare* made; *opened* before the calls are counted."""

    name: str
    prepare: Callable[[Path], None]
    act: Callable[[Ledger], object]
    opened: bool = True


def _store(path: Path) -> None:
    ledger = stores.ledger_at(path, stopped=True)
    with ledger.receiving() as receiving:
        receiving.add(stores.receipts(0, stores.FIRST))
    ledger.close()


def _append(ledger: Ledger) -> None:
    ledger.append([_confirmed(stores.FIRST), _confirmed(stores.FIRST + 1)])


def _confirmed(number: int) -> stores.Fact:
    place = {"lon": 105.9, "lat": 32.45, "method": "confirmed"}
    return stores.Fact(
        stores.complaint_id(3), stores.events.PLACE_CONFIRMED, {"place": place}, stores.moment(number)
    )


def _receive(ledger: Ledger) -> None:
    with ledger.receiving() as receiving:
        receiving.add(stores.receipts(stores.FIRST, 12))


#: The deeds by name.
DEEDS = {
    deed.name: deed
    for deed in (
        Deed("append", _store, _append),
        Deed("import", _store, _receive),
        Deed("open and append", _store, _append, opened=False),
        Deed(
            "open an old store",
            lambda path: shutil.copy(OLD_STORE, path) and None,
            Ledger.count,
            opened=False,
        ),
        Deed("make a new store", lambda _: None, Ledger.count, opened=False),
    )
}


def run(seed: int, name: str, journal: str, *, every: int = 1, step: Step = no_step) -> Totals:
    """Let every *every*-th call of the deed called *name* fail, beginning with one by the *seed*, in each way."""
    deed = DEEDS[name]
    totals = Totals(f"failing calls, {name}, {journal}")
    with (
        tempfile.TemporaryDirectory(prefix="fieldkit-failing-") as root,
        totals.timed(),
        apsw_engine(journal),
    ):
        first = Path(root) / "first"
        first.mkdir()
        deed.prepare(first / "ledger.sqlite")
        old, new = _state(first, Path(root), None), _state(first, Path(root), deed)
        for way in FAILURES:
            for stays_broken in (False, True):
                stride = every if len(FAILURES[way]) > 1 else 1
                n = 1 + seed % stride
                while _tried(deed, first, Path(root), journal, n, way, stays_broken, (old, new), totals):
                    n += stride
                    step()
    if not totals.attempts:
        totals.unreadable += 1
        totals.notes.append(f"{totals.what}: no call failed, so nothing was tried")
    return totals


def _state(first: Path, root: Path, deed: Deed | None) -> tuple[object, ...]:
    """What the store says when *deed* was done, or none was."""
    folder = root / "state"
    shutil.copytree(first, folder)
    ledger = stores.ledger_at(folder / "ledger.sqlite", stopped=True)
    if deed is not None:
        deed.act(ledger)
    found = _said(ledger)
    ledger.close()
    shutil.rmtree(folder)
    return found


def _said(ledger: Ledger) -> tuple[object, ...]:
    return ledger.state_hash(), ledger.count()["events"]


def _tried(
    deed: Deed,
    first: Path,
    root: Path,
    journal: str,
    n: int,
    way: str,
    stays_broken: bool,
    states: tuple[object, object],
    totals: Totals,
) -> bool:
    """Let the *n*-th call fail; returns whether there was one."""
    folder = root / "tried"
    shutil.copytree(first, folder)
    disk = Disk(folder)
    where = f"{totals.what}, call {n}, {way}{' from then on' if stays_broken else ''}"
    try:
        with apsw_engine(journal, vfs=disk.name):
            ledger = stores.ledger_at(folder / "ledger.sqlite", stopped=True)
            if deed.opened:
                ledger.count()
            disk.failures, disk.stays_broken, disk.fail_at = FAILURES[way], stays_broken, n
            told = _told(deed, ledger, where, totals)
            reached = bool(disk.failed)
            where += f" ({', '.join(disk.failed[:1])}): {told or 'it was done'}"
            disk.fail_at = None
            _look(deed, ledger, told, states, totals, where)
            ledger.close()
        # And as somebody else finds it who has a sound disk.
        other = stores.ledger_at(folder / "ledger.sqlite", stopped=True)
        stores.examine(other, (), totals, where)
        other.close()
    finally:
        disk.remove()
        shutil.rmtree(folder)
    totals.attempts += reached
    return reached


class _Logged(logging.Handler):
    """What libraries say past the kit: with no log set up, Python prints it to the person, tracebacks and all."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def _told(deed: Deed, ledger: Ledger, where: str, totals: Totals) -> str | None:
    """Do the deed; returns the sentence that was told, None when it was done."""
    logged = _Logged()
    logging.getLogger().addHandler(logged)
    try:
        deed.act(ledger)
    except FieldkitError as error:
        text = str(error)
        if not _SENTENCE.fullmatch(text) or _PROGRAMMERS.search(text):
            totals.unreadable += 1
            totals.notes.append(f"{where}: this is no plain sentence: {text!r}")
        return text
    except Exception as error:  # whatever else reaches a person is a traceback
        totals.unreadable += 1
        totals.notes.append(f"{where}: {type(error).__name__} reached the person: {error}")
        return str(error)
    finally:
        logging.getLogger().removeHandler(logged)
        totals.unreadable += len(logged.said)
        totals.notes += [f"{where}: this was printed: {text}" for text in logged.said]
    totals.calls += 1
    totals.acknowledged += 1
    return None


def _look(
    deed: Deed, ledger: Ledger, told: str | None, states: tuple[object, object], totals: Totals, where: str
) -> None:
    """The state must be the old or the new one, and what was told must be true; then the deed must succeed."""
    old, new = states
    try:
        found = _said(ledger)
        if told is None and found != new:
            totals.lost += 1
            totals.notes.append(f"{where}, and it is not there")
        elif found not in (old, new):
            totals.half += 1
            totals.notes.append(f"{where}, and the state is neither the old one nor the new")
        elif told and "nothing was changed" in told and found != old:
            totals.half += 1
            totals.notes.append(f"{where}, which is not so")
        deed.act(ledger)
        if found == old and _said(ledger) != new:
            totals.half += 1
            totals.notes.append(f"{where}; the deed done again does not come to the new state")
    except FieldkitError as error:
        totals.unreadable += 1
        totals.notes.append(f"{where}; afterwards: {error}")
