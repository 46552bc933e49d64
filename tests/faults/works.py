"""The works that are killed: what a child does, acknowledging as it goes, and what must be there afterwards.

To add one, write what it does and add a :class:`Work` to :data:`WORKS`. *prepare* makes a new folder ready, *act* works
in it until it is killed (or done) and says each deed to the parent before and after, *check* looks at what is left.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import fieldkit as fk
from fieldkit import casework
from fieldkit.casework import Link
from fieldkit.testing import sample_workspace
from fieldkit.workspace import Workspace, open_workspace

from . import stores
from .engines import apsw_engine
from .stores import FIRST, Deed
from .totals import Totals

#: A store of the first tables, made by the first kit.
OLD_STORE = Path(__file__).parents[1] / "stores" / "tables-0001.sqlite"


class Say(Protocol):
    """Tells the parent that *deed* is about to begin, or has returned."""

    def __call__(self, deed: Deed, *, done: bool) -> None: ...


@dataclass(frozen=True)
class Work:
    """A sort of work: see the module's text. Kills are dealt out by *share*; a folder is killed in *again* times.

    *first* is how many complaints a new one has, *longest* about how long, in seconds, the work goes on by itself.
    """

    name: str
    share: int
    prepare: Callable[[Path], None]
    act: Callable[[Path, random.Random, int, Say], None]
    check: Callable[[Path, Sequence[Deed], Totals, str], set[str]]
    again: int = 1
    first: int = 0
    longest: float = 0.0
    journal: str = ""

    @property
    def engine(self) -> AbstractContextManager[None]:
        """The SQLite that it is done with: Python's own, or the newer one."""
        return apsw_engine(self.journal) if self.journal else nullcontext()


# --- save: facts appended to the ledger, one by one and many at a time


def _prepare_store(folder: Path) -> None:
    stores.new_workspace(folder).ledger.close()


def _save(folder: Path, rng: random.Random, first: int, say: Say) -> None:
    ledger = stores.ledger_at(folder / "ledger.sqlite")
    while True:
        deed = stores.next_deed(rng, first, 300)
        say(deed, done=False)
        stores.do(ledger, rng, deed)
        say(deed, done=True)
        first += deed.count


def _check_ledger(folder: Path, deeds: Sequence[Deed], totals: Totals, where: str) -> set[str]:
    ledger = stores.ledger_at(folder / "ledger.sqlite")
    try:
        return stores.examine(ledger, deeds, totals, where)
    finally:
        ledger.close()


# --- casework: deeds as an officer does them, each a fact of its own


def _casework(folder: Path, rng: random.Random, first: int, say: Say) -> None:
    ws = open_workspace(folder)
    while True:
        number = rng.randrange(1, FIRST)
        deed = Deed(rng.choice("PL"), first, 1)
        say(deed, done=False)
        if deed.sort == "P":
            casework.confirm_place(ws, f"N{number}", 105.8, 32.4, address=f"P{first}")
        else:
            link = Link(f"N{number}", "N0", "recurrence", "late", at=stores.moment(first))
            casework.link_complaints(ws, [link])
        say(deed, done=True)
        first += 1


# --- import: a file of complaints, the whole of it or nothing


def _import(folder: Path, rng: random.Random, first: int, say: Say) -> None:
    ws = open_workspace(folder)
    while True:
        deed = Deed("R", first, rng.randint(2, 120))
        path = folder / "out" / "complaints.csv"
        stores.write_csv(path, deed.first, deed.count)
        say(deed, done=False)
        result = fk.import_complaints(ws, path, source="faults", crs="wgs84")
        assert result.added == deed.count, result
        say(deed, done=True)
        first += deed.count


# --- migration: a store is brought up to date while it is opened, or a new one is made


def _prepare_old(folder: Path) -> None:
    folder.mkdir()
    shutil.copy(OLD_STORE, folder / "ledger.sqlite")


def _prepare_nothing(folder: Path) -> None:
    folder.mkdir()


def _open(folder: Path, _rng: random.Random, first: int, say: Say) -> None:
    ledger = stores.ledger_at(folder / "ledger.sqlite")
    say(Deed("O", first, 0), done=False)
    ledger.count()
    say(Deed("O", first, 0), done=True)


def _check_old(folder: Path, _deeds: Sequence[Deed], totals: Totals, where: str) -> set[str]:
    """Opened again, the store has every event of the first kit, with the same words in it."""
    found = _check_ledger(folder, (), totals, where)
    kept = "SELECT origin, sequence, subject, kind, occurred_at, payload FROM event"
    with (
        closing(sqlite3.connect(OLD_STORE)) as old,
        closing(sqlite3.connect(folder / "ledger.sqlite")) as new,
    ):
        missing = set(old.execute(kept)) - set(new.execute(kept))
    if missing:
        totals.lost += len(missing)
        totals.notes.append(f"{where}: {len(missing)} events of the old store are missing")
    return found


# --- records: the batch of documents


_CASES = ("S-002", "S-003")


def _prepare_sample(folder: Path) -> None:
    sample_workspace(folder).ledger.close()


def _records(folder: Path, _rng: random.Random, first: int, say: Say) -> None:
    ws = open_workspace(folder)
    deed = Deed("D", first, len(_CASES))
    say(deed, done=False)
    result = fk.run_records(ws, _CASES, formats=("html",), jobs=1, progress=False)
    assert not result.failed, result
    say(deed, done=True)


def _check_records(folder: Path, _deeds: Sequence[Deed], totals: Totals, where: str) -> set[str]:
    """Every file that is there is whole, and a second run completes what was left."""
    ws = open_workspace(folder)
    for path in (path for path in ws.settings.records.rglob("*") if path.is_file()):
        whole = {".html": b"</html>", ".ipynb": b"}"}.get(path.suffix)
        # What lies in a folder with a dot is being written, and cleared away by the next run.
        hidden = any(part.startswith(".") for part in path.relative_to(ws.settings.records).parts)
        if whole is not None and not hidden and not path.read_bytes().rstrip().endswith(whole):
            totals.half += 1
            totals.notes.append(f"{where}: {path.name} is there in part")
    _check_noted_files(ws, totals, where)
    result = fk.run_records(ws, _CASES, formats=("html",), jobs=1, progress=False)
    again = fk.run_records(ws, _CASES, formats=("html",), jobs=1, progress=False)
    if result.failed or len(again.unchanged) != len(_CASES):
        totals.unreadable += 1
        totals.notes.append(f"{where}: a second run does not complete: {result}, {again}")
    left = [path.name for path in ws.settings.records.rglob(".*")]
    if left:
        totals.half += 1
        totals.notes.append(f"{where}: {left} was left behind")
    _check_noted_files(ws, totals, where)
    totals.unreadable += len(ws.ledger.verify())
    ws.ledger.close()
    return set()


def _check_noted_files(ws: Workspace, totals: Totals, where: str) -> None:
    """Every file that the ledger says was written is there, byte for byte."""
    for manifest in ws.records().values():
        for name, path in manifest["files"].items():
            file = ws.settings.folder / path
            digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
            if digest != manifest["digests"][name]:
                totals.lost += 1
                totals.notes.append(f"{where}: {path} was acknowledged and is not as it was written")


# --- photo: evidence taken in, and said of a case


def _photo(folder: Path, rng: random.Random, first: int, say: Say) -> None:
    ws = open_workspace(folder)
    while True:
        deed = Deed("E", first, rng.randint(1, 3))
        paths = []
        for number in range(deed.first, deed.first + deed.count):
            path = folder / "out" / f"E{number}.bin"
            path.write_bytes(_photo_bytes(number))
            paths.append(path)
        say(deed, done=False)
        result = fk.add_evidence(ws, "N0", paths, note="night")
        assert len(result.added) == deed.count, result
        say(deed, done=True)
        for path in paths:
            path.unlink()
        first += deed.count


def _photo_bytes(number: int) -> bytes:
    # No picture, so that no decoder is started; what is done with the bytes is the same.
    return random.Random(number).randbytes(20_000 + number % 7_000)


def _check_photos(folder: Path, deeds: Sequence[Deed], totals: Totals, where: str) -> set[str]:
    """Every acknowledged piece is named by the ledger and lies in its place, byte for byte; none is there in part."""
    ws = open_workspace(folder)
    held = {data["name"]: data["sha256"] for some in ws.ledger.evidence().values() for data in some}
    found = {name.removesuffix(".bin") for name in held}
    for deed in (deed for deed in deeds if deed.sort == "E"):
        missing = deed.tokens - found
        if deed.acknowledged and missing:
            totals.lost += len(missing)
            totals.notes.append(f"{where}: {sorted(missing)} were acknowledged and are missing")
        elif missing and len(missing) < deed.count:
            totals.half += 1
            totals.notes.append(f"{where}: {deed} is there in part")
    for name, sha256 in held.items():
        if ws.evidence.check(sha256) != "present":
            totals.lost += 1
            totals.notes.append(f"{where}: {name} is said to be there and is {ws.evidence.check(sha256)}")
    ws.ledger.close()
    others = [deed for deed in deeds if deed.sort != "E"]
    return found | _check_ledger(folder, others, totals, where)


# --- backup: a copy of everything, while the store goes on


def _backup(folder: Path, rng: random.Random, first: int, say: Say) -> None:
    ws = open_workspace(folder)
    while True:
        saved = stores.next_deed(rng, first, 60)
        say(saved, done=False)
        stores.do(ws.ledger, rng, saved)
        say(saved, done=True)
        deed = Deed("B", first, 0)
        say(deed, done=False)
        fk.back_up(ws, folder / "stick")
        say(deed, done=True)
        first += saved.count


def _check_backups(folder: Path, deeds: Sequence[Deed], totals: Totals, where: str) -> set[str]:
    """What looks like a backup is a good one, and as many are there as were acknowledged; the next one can be made."""
    ws = open_workspace(folder)
    made = sum(deed.sort == "B" and deed.acknowledged for deed in deeds)
    stick = folder / "stick"
    found = list(stick.glob("backup-*")) if stick.is_dir() else []
    if len(found) < made:
        totals.lost += made - len(found)
        totals.notes.append(f"{where}: {made} backups were acknowledged, {len(found)} are there")
    for path in found[-2:]:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            fk.restore(path, Path(scratch) / "restored")
    fk.back_up(ws, stick)
    ws.ledger.close()
    return _check_ledger(folder, [deed for deed in deeds if deed.sort != "B"], totals, where)


#: Every work by its name, in the order of the table.
WORKS = {
    work.name: work
    for work in (
        Work("save", 40, _prepare_store, _save, _check_ledger, again=5, first=FIRST),
        Work(
            "save, newer SQLite",
            25,
            _prepare_store,
            _save,
            _check_ledger,
            again=5,
            first=FIRST,
            journal="wal",
        ),
        Work("casework", 10, _prepare_store, _casework, _check_ledger, again=10, first=FIRST),
        Work("import", 14, _prepare_store, _import, _check_ledger, again=5, first=FIRST),
        Work("migration", 5, _prepare_old, _open, _check_old, longest=0.1),
        Work("new store", 5, _prepare_nothing, _open, _check_ledger, longest=0.3),
        Work("records", 1, _prepare_sample, _records, _check_records, longest=8.0),
        Work("photo", 10, _prepare_store, _photo, _check_photos, again=5, first=FIRST),
        Work("backup", 5, _prepare_store, _backup, _check_backups, again=2, first=FIRST),
    )
}
