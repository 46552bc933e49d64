"""Every kind of fault with its two sizes: the one of every change, and the full one that is published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from . import clocks, failing_calls, files_model, kills, power_cuts, writers
from .postgres import a_database
from .totals import Step, Totals
from .works import WORKS

REDUCED_KILLS, FULL_KILLS = 60, 1_000
REDUCED_CUTS, FULL_CUTS = 60, 1_000
# A folder is rebuilt in well under a millisecond.
REDUCED_FILE_CUTS, FULL_FILE_CUTS = 5_000, 300_000
_WRONG_CUTS = 100


@dataclass(frozen=True)
class Kind:
    """A kind of fault: its *name*, about how many *steps* it tells, and what runs it with a seed."""

    name: str
    steps: int
    run: Callable[[int, Step], Totals]


def kinds(*, full: bool) -> Iterator[Kind]:
    """The kinds in the order of the table."""
    yield from _kills(full)
    for journal in power_cuts.RIGHT:
        cuts = FULL_CUTS if full else REDUCED_CUTS // 2
        run = partial(power_cuts.run, cuts=cuts, journal=journal, most=300 if full else 60)
        yield Kind(f"power cuts, {journal}", cuts, lambda seed, step, run=run: run(seed, step=step))
    yield from _files(full)
    for journal in power_cuts.RIGHT:
        for name in failing_calls.DEEDS:
            run = partial(failing_calls.run, name=name, journal=journal, every=1 if full else 17)
            steps = 350 if full else 20
            yield Kind(
                f"failing calls, {name}, {journal}", steps, lambda seed, step, run=run: run(seed, step=step)
            )
    yield from _writers(full)
    examples = 2_000 if full else 100
    yield Kind("clocks", examples, lambda seed, step: clocks.run(seed, examples, step))


def _kills(full: bool) -> Iterator[Kind]:
    shares = kills.shares(FULL_KILLS if full else REDUCED_KILLS)
    for name in WORKS:
        count = shares[name]
        run = partial(kills.run, kills=count, name=name, deeds_each=15 if full else 6)
        yield Kind(f"kills, {name}", count, lambda seed, step, run=run: run(seed, step=step))


def _files(full: bool) -> Iterator[Kind]:
    """Power cuts under the kit's own files (evidence, records, exports)."""
    cuts = FULL_FILE_CUTS if full else REDUCED_FILE_CUTS
    yield Kind("power cuts, files", 1, lambda seed, _step: files_model.run(seed, cuts))


def _writers(full: bool) -> Iterator[Kind]:
    each = 1_000 if full else 40
    for journal in ("", "wal"):
        for own in (False, True):
            run = partial(writers.run_sqlite, writers=8, each=each, own_origins=own, journal=journal)
            yield Kind(f"writers, 8 on SQLite {journal}", 8, lambda seed, step, run=run: run(seed, step=step))
    for own in (False, True):
        yield Kind("writers, 32 on PostgreSQL", 32, partial(_on_postgres, 1_000 if full else 20, own))


def _on_postgres(each: int, own: bool, seed: int, step: Step) -> Totals:
    with a_database() as url:
        if url is None:
            return Totals(
                f"writers, 32 on PostgreSQL{writers.whose(own)}", skipped="no PostgreSQL server is installed"
            )
        return writers.run_postgres(seed, url, 32, each, own_origins=own, step=step)
