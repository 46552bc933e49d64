"""Twenty records against a loop of papermill's own command on the same notebook, in turns, medians.

    python benchmarks/records.py [--cases 20] [--rounds 3] [--jobs N]

Wall time is what a person waits; CPU time (user and system, of all processes) is what can be compared on a machine
that does other work besides. Papermill's loop writes notebooks only; ours writes HTML and PDF besides.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fieldkit.records import run_records
from fieldkit.settings import asset
from fieldkit.testing import sample_workspace
from fieldkit.workspace import Workspace

NOTEBOOK = asset("notebooks/investigation.ipynb")


def spent(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds of *work*, its ended child processes included."""

    def cpu() -> float:
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    wall, used = time.perf_counter(), cpu()
    work()
    return time.perf_counter() - wall, cpu() - used


def by_papermill(ws: Workspace, cases: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            out = Path(folder) / f"{case}.ipynb"
            command = [sys.executable, "-m", "papermill", str(NOTEBOOK), str(out), "--no-progress-bar"]
            command += ["-p", "case_id", case, "-p", "workspace", str(ws.settings.folder)]
            subprocess.run(command, check=True, capture_output=True, cwd=folder)


def by_fieldkit(ws: Workspace, cases: list[str], jobs: int | None, formats: tuple[str, ...]) -> None:
    result = run_records(ws, cases, formats, jobs=jobs, force=True, progress=False)
    assert not result.failed, result.failed[0].reason


def by_nothing(ws: Workspace, cases: list[str]) -> None:
    assert len(run_records(ws, cases, progress=False).unchanged) == len(cases)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cases", type=int, default=20)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--jobs", type=int)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ws = sample_workspace(folder)
        cases = [str(case) for case in ws.cases()["case"][: given.cases]]
        peers: dict[str, Callable[[], None]] = {
            "papermill command, one after the other": lambda: by_papermill(ws, cases),
            "run_records, notebook only": lambda: by_fieldkit(ws, cases, given.jobs, ()),
            "run_records, notebook + HTML + PDF": lambda: by_fieldkit(ws, cases, given.jobs, ("html", "pdf")),
            "run_records again, nothing changed": lambda: by_nothing(ws, cases),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
        for number in range(given.rounds):
            for name, work in peers.items():
                taken[name].append(spent(work))
                wall, used = taken[name][-1]
                print(f"round {number + 1}  {name:<42} {wall:8.2f} s wall {used:8.2f} s CPU", flush=True)
        ws.ledger.close()
    print(
        f"\nMedians of {given.rounds} rounds, {len(cases)} cases, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    walls = {name: statistics.median(wall for wall, _ in rounds) for name, rounds in taken.items()}
    cpus = {name: statistics.median(used for _, used in rounds) for name, rounds in taken.items()}
    peer = next(iter(peers))
    for name in peers:
        print(
            f"{name:<42} {walls[name] / len(cases):7.3f} s wall {cpus[name] / len(cases):7.3f} s CPU a case"
            f"   {walls[peer] / walls[name]:6.1f} x {cpus[peer] / cpus[name]:6.1f} x CPU"
        )


if __name__ == "__main__":
    main()
