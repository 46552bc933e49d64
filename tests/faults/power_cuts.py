"""Cut the power in the middle of a write, a thousand times, and open what the disk then shows."""

from __future__ import annotations

import random
import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path

from fieldkit.errors import FieldkitError

from . import stores
from .disk import Disk
from .engines import apsw_engine
from .stores import Deed
from .totals import Step, Totals, no_step

#: The two settings that the store chooses between.
RIGHT = ("wal", "rollback")
#: Settings that are often advised, each with the journal it is put in place of; they must be seen to lose.
WRONG = {
    "WAL + NORMAL": ("wal", "synchronous=NORMAL"),
    "DELETE + FULL": ("rollback", "synchronous=FULL"),
    "DELETE + OFF": ("rollback", "synchronous=OFF"),
}
# A store is cut so many times before a new one is taken, so that the work of looking through it stays small.
_CUTS_A_STORE = 10
_MOST_DEEDS = 12
_MOST_RECORDS = 120
_TITLES = {"wal": "power cuts, WAL + FULL", "rollback": "power cuts, DELETE + EXTRA"}


def run(seed: int, cuts: int, journal: str, *, most: int = _MOST_RECORDS, step: Step = no_step) -> Totals:
    """Cut the power *cuts* times under the kit's own settings for *journal*; a deed has up to *most* records."""
    return _run(Totals(_TITLES[journal]), seed, cuts, journal, (), step, most)


def run_wrong(seed: int, cuts: int, name: str, *, step: Step = no_step) -> Totals:
    """The same under settings that lose records: shows that this test can see a loss."""
    journal, setting = WRONG[name]
    return _run(Totals(f"power cuts, {name}"), seed, cuts, journal, (setting,), step, _MOST_RECORDS)


def _run(
    totals: Totals, seed: int, cuts: int, journal: str, pragmas: tuple[str, ...], step: Step, most: int
) -> Totals:
    rng = random.Random(f"{seed} {totals.what}")
    with tempfile.TemporaryDirectory(prefix="fieldkit-cuts-") as name, totals.timed():
        root = Path(name)
        with apsw_engine(journal):
            stores.new_workspace(root / "first")
        store, deeds = root / "first", [Deed("R", 0, stores.FIRST, True)]
        for number in range(cuts):
            shown = root / f"cut-{number}"
            _cut(store, shown, rng, deeds, totals, journal, pragmas, most)
            if store != root / "first":
                shutil.rmtree(store)
            store = shown
            totals.attempts += 1
            step()
            last_of_store = number % _CUTS_A_STORE == _CUTS_A_STORE - 1 or number == cuts - 1
            # Now and then the power fails again before anybody has looked, so also while SQLite mends the file.
            if not last_of_store and rng.random() < 1 / 4:
                continue
            fine = _examined(shown, rng, deeds, totals, journal, f"{totals.what}, seed {seed}, cut {number}")
            if last_of_store or not fine:
                # What is lost is counted once; after it a new store is taken.
                shutil.rmtree(shown)
                store, deeds = root / "first", deeds[:1]
    return totals


def _examined(
    shown: Path, rng: random.Random, deeds: list[Deed], totals: Totals, journal: str, where: str
) -> bool:
    fresh = Totals("")
    # Now and then with the other SQLite, as when a laptop's Python is replaced.
    with apsw_engine(journal) if rng.random() < 3 / 4 else nullcontext():
        ledger = stores.ledger_at(shown / "ledger.sqlite")
        found = stores.examine(ledger, deeds, fresh, where)
        ledger.close()
    for deed in deeds:
        # A deed that was not acknowledged may be there or not; from now on it must stay if it is.
        deed.acknowledged = deed.tokens <= found
    totals.add(fresh)
    return fresh.fine


def _cut(
    store: Path,
    shown: Path,
    rng: random.Random,
    deeds: list[Deed],
    totals: Totals,
    journal: str,
    pragmas: tuple[str, ...],
    most: int,
) -> None:
    """Work on a copy of *store* until the power fails in the middle of a deed; *shown* is what the disk then holds."""
    with tempfile.TemporaryDirectory(prefix="fieldkit-disk-") as name:
        folder = Path(name)
        for path in store.glob("ledger.sqlite*"):
            shutil.copy(path, folder)
        shutil.copytree(store / "keys", folder / "keys")
        disk = Disk(folder)
        # In half of them the log is copied into the file all the time, so that the power fails in that too.
        if rng.random() < 1 / 2:
            pragmas = (*pragmas, "wal_autocheckpoint=20")
        try:
            with apsw_engine(journal, vfs=disk.name, pragmas=pragmas):
                ledger = stores.ledger_at(folder / "ledger.sqlite")
                _work(ledger, disk, rng, deeds, totals, most)
                shown.mkdir()
                disk.after_cut(rng, shown)
                shutil.copytree(folder / "keys", shown / "keys")
                # The process is gone with the power; this one must live on, so its connections are closed in peace.
                disk.cut_at, disk.is_cut = None, False
                ledger.close()
        finally:
            disk.remove()


def _work(
    ledger: stores.Ledger, disk: Disk, rng: random.Random, deeds: list[Deed], totals: Totals, most: int
) -> None:
    cut_after = rng.randint(0, _MOST_DEEDS)
    changes = 40
    for number in range(1_000):
        if number == cut_after:
            disk.cut_at = disk.changes + rng.randint(1, 2 * changes)
        before = disk.changes
        first = max(deed.first + deed.count for deed in deeds)
        deed = stores.next_deed(rng, first, most)
        deeds.append(deed)
        try:
            stores.do(ledger, rng, deed)
        except FieldkitError as error:
            if not disk.is_cut:
                totals.unreadable += 1
                totals.notes.append(f"{totals.what}: refused with the power on: {error}")
            return
        if disk.is_cut:
            return  # nobody was told any more
        deed.acknowledged = True
        totals.calls += 1
        totals.acknowledged += deed.count
        changes = max(1, disk.changes - before)
    raise AssertionError("The power was to be cut, and never was.")
