"""Let a crowd of processes write to one store at the same time: nobody may be turned away, and everything is there."""

from __future__ import annotations

import importlib
import os
import random
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import sqlalchemy as sa

from fieldkit.ledger import Ledger, store

from . import stores
from .engines import apsw_engine
from .stores import Deed
from .totals import Step, Totals, no_step

# So many records of all writers are told apart by their numbers.
_EACH = 100_000


def run_sqlite(
    seed: int, writers: int, each: int, *, own_origins: bool, journal: str = "", step: Step = no_step
) -> Totals:
    """*writers* processes append *each* one record at a time to one file, with Python's SQLite or in *journal* mode."""
    what = f"writers, {writers} on SQLite{f' ({journal})' if journal else ''}{whose(own_origins)}"
    with tempfile.TemporaryDirectory(prefix="fieldkit-writers-") as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.sqlite'}"
        if not journal:
            return _run(Totals(what), seed, url, writers, each, own_origins, step)
        with apsw_engine(journal):
            return _run(Totals(what), seed, url, writers, each, own_origins, step)


def run_postgres(
    seed: int, url: str, writers: int, each: int, *, own_origins: bool, step: Step = no_step
) -> Totals:
    """The same on the empty database at *url*."""
    what = f"writers, {writers} on PostgreSQL{whose(own_origins)}"
    return _run(Totals(what), seed, url, writers, each, own_origins, step)


def whose(own_origins: bool) -> str:
    return ", an origin each" if own_origins else ", one origin"


def _run(
    totals: Totals, seed: int, url: str, writers: int, each: int, own_origins: bool, step: Step
) -> Totals:
    # Loaded before the children are made, so that they do not each load them at the same time.
    for name in ("alembic.command", "alembic.config", *(["psycopg"] if url.startswith("postgres") else [])):
        importlib.import_module(name)
    with totals.timed():
        children = [
            _started(url, stores.ORIGIN + (f"-{n}" if own_origins else ""), f"{seed} {n}", n, each)
            for n in range(writers)
        ]
        deeds, waits = [], []
        for n, (child, pipe) in enumerate(children):
            text = _read(pipe)
            _, status = os.waitpid(child, 0)
            done = [float(line) for line in text.splitlines() if not line.startswith("! ")]
            waits += done
            deeds += [Deed("F", n * _EACH + number, 1, number < len(done)) for number in range(each)]
            if status or len(done) < each:
                totals.unreadable += 1
                totals.notes.append(f"{totals.what}: writer {n} was turned away: {text[-300:].strip()}")
            step()
        totals.attempts = writers * each
        totals.calls = totals.acknowledged = len(waits)
        ledger = Ledger(url, origin=stores.ORIGIN)
        stores.examine(ledger, deeds, totals, totals.what)
        _count(ledger, writers * each, totals)
        ledger.close()
        totals.remark = f"the longest wait for a record was {max(waits, default=0):.1f} s"
    return totals


def _count(ledger: Ledger, wanted: int, totals: Totals) -> None:
    # One more was written to see whether the store takes another.
    with store.reading(ledger._engine) as connection:
        found = connection.scalar(sa.text("SELECT count(*) FROM event"))
    if found != wanted + 1 and not totals.unreadable:
        totals.half += 1
        totals.notes.append(f"{totals.what}: {found} events instead of {wanted + 1}")


def _read(pipe: int) -> str:
    with os.fdopen(pipe, encoding="utf-8") as file:
        return file.read()


def _started(url: str, origin: str, seed: str, number: int, each: int) -> tuple[int, int]:
    """A child that appends to the store, which none may have made yet, and the end of the pipe with its times."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a library may have threads; the child uses none
        child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        os.close(reading)
        rng = random.Random(seed)
        ledger = Ledger(url, origin=origin, actor="officer")
        for n in range(each):
            began = time.perf_counter()
            stores.do(ledger, rng, Deed("F", number * _EACH + n, 1))
            os.write(writing, f"{time.perf_counter() - began}\n".encode())
        os._exit(0)
    except BaseException:
        os.write(writing, ("! " + traceback.format_exc().strip().replace("\n", " ")[-1000:] + "\n").encode())
        os._exit(1)
