"""Run every fault, reduced or in full, with a progress bar, and print what came of it.

``python -m tests.faults [--full] [--seed N] [--only NAME] [--log FILE]``, from the root of the repository.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from .totals import Totals, table

TRIED_HELP = "only the kinds with this word in their name: kills, power cuts, failing calls, writers, clocks"


def main() -> int:
    """Run what was asked for; returns 1 when anything was lost, half or unreadable."""
    asked = _asked()
    from tqdm import tqdm

    from . import apsw_driver
    from .kinds import kinds

    tqdm.monitor_interval = 0  # a thread of its own would be in the way of forking
    # The usual lock is shared with the children: one that is killed while it holds it would leave it so for ever.
    tqdm.set_lock(threading.RLock())
    log = asked.log or Path(tempfile.gettempdir()) / f"fieldkit-faults-{asked.seed}.log"
    chosen = [kind for kind in kinds(full=asked.full) if asked.only in kind.name]
    if not chosen:
        sys.stderr.write(f"No kind has {asked.only!r} in its name.\n")
        return 2
    done: list[Totals] = []
    with (
        log.open("w", encoding="utf-8") as file,
        tqdm(total=sum(kind.steps for kind in chosen), unit="") as bar,
    ):

        def note(text: str) -> None:
            file.write(text + "\n")
            file.flush()

        versions = f"SQLite {sqlite3.sqlite_version} and {apsw_driver.sqlite_version}"
        note(
            f"seed {asked.seed}, {'full' if asked.full else 'reduced'}, {versions}, {datetime.now():%Y-%m-%d %H:%M}"
        )
        started = time.perf_counter()
        for kind in chosen:
            bar.set_description(kind.name)
            totals = kind.run(asked.seed, bar.update)
            done.append(totals)
            for text in filter(None, (totals.skipped, totals.remark, *totals.notes)):
                note(f"{totals.what}: {text}")
            # Kept as each ends: a run of half an hour may be stopped.
            note(table([totals]).splitlines()[2])
        whole = table(done)
        note(whole)
        seconds = time.perf_counter() - started
    sys.stdout.write("\n".join(_told(done, whole, asked.seed, seconds, log)) + "\n")
    return 0 if all(totals.fine for totals in done) else 1


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.faults", description="Put the ledger through every fault."
    )
    parser.add_argument(
        "--full", action="store_true", help="the size that is published, not the one of every change"
    )
    parser.add_argument("--seed", type=int, default=1, help="the numbers of chance start from it (1)")
    parser.add_argument("--only", default="", metavar="NAME", help=TRIED_HELP)
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="where every finding is written, with the seed"
    )
    return parser.parse_args()


def _told(done: list[Totals], whole: str, seed: int, seconds: float, log: Path) -> Iterator[str]:
    yield whole
    saves = sum(totals.acknowledged for totals in done)
    yield f"{saves:,} acknowledged records in {seconds:,.0f} s ({saves / max(seconds, 1):,.0f} a second), seed {seed}."
    for totals in done:
        if totals.skipped:
            yield f"Skipped: {totals.what}: {totals.skipped}."
        if not totals.fine:
            yield from totals.notes[:3]
    yield f"Everything found is in {log}."


if __name__ == "__main__":
    sys.exit(main())
