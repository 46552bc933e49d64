"""Measure commands against each other in one run: interleaved, medians, CPU time with children, peak memory.

A benchmark lists its contenders, its peer first, and calls :func:`compare`. Every run is a process of its own, so that
nobody profits from what another has loaded, and they take turns, so that the machine's other load hits all alike.
This module imports little on purpose: a child's peak memory, as the system counts it, starts at its parent's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

SAMPLE_EVERY_S = 0.02
_SAID = "measured by itself: "


@dataclass(frozen=True)
class Run:
    """One run: wall-clock and CPU seconds (children included), and the most memory the whole tree held, in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Contender:
    """Something to measure. *prepare* runs before each run and is not measured, *check* after it and may raise."""

    name: str
    command: Sequence[str]
    prepare: Callable[[], object] = lambda: None
    check: Callable[[], object] = lambda: None


@dataclass
class Result:
    """A contender's runs, the first (which warms the disk's cache) left out."""

    name: str
    runs: list[Run] = field(default_factory=list)

    def median(self, what: str) -> float:
        return statistics.median(getattr(run, what) for run in self.runs)

    def best(self, what: str) -> float:
        return min(getattr(run, what) for run in self.runs)

    def spread(self, what: str) -> tuple[float, float]:
        values = [getattr(run, what) for run in self.runs]
        return min(values), max(values)


def call(function: Callable[..., object], *arguments: Any) -> list[str]:
    """The command that calls *function*, of the top of a file, in a Python of its own; arguments as JSON."""
    file = Path(function.__code__.co_filename).resolve()
    code = (
        "import json, runpy, sys; sys.path.insert(0, sys.argv[1]);"
        "runpy.run_path(sys.argv[2])[sys.argv[3]](*json.loads(sys.argv[4]))"
    )
    return [sys.executable, "-c", code, str(file.parent), str(file), function.__name__, json.dumps(arguments)]


@contextlib.contextmanager
def stopwatch() -> Iterator[None]:
    """In a measured process: what counts is the time of this block alone, not that of imports and preparations."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    taken = (time.perf_counter() - wall, time.process_time() - cpu)
    print(_SAID + json.dumps(taken), flush=True)


def measure(command: Sequence[str]) -> Run:
    """Run *command* once. Raises RuntimeError with the end of its output when it fails."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        peak = _Peak(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        sampled = peak.stop()
        if process.returncode:
            output.seek(0)
            raise RuntimeError(
                f"{' '.join(command)} ended with {process.returncode}:\n{output.read()[-2000:].decode()}"
            )
        output.seek(0)
        said = [line for line in output.read().decode().splitlines() if line.startswith(_SAID)]
    cpu = usage.ru_utime + usage.ru_stime
    if said:
        wall, cpu = json.loads(said[-1].removeprefix(_SAID))
    # The system's figure is exact for the largest single process; the samples see the tree together.
    return Run(wall, cpu, max(sampled, usage.ru_maxrss / 1024))


class _Peak:
    """Watches the memory of a process and its children from a thread of its own."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._ended = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        try:
            root = psutil.Process(self._pid)
            while not self._ended.wait(SAMPLE_EVERY_S):
                held = 0
                for process in (root, *root.children(recursive=True)):
                    try:
                        held += process.memory_info().rss
                    except psutil.Error:
                        continue
                self._peak = max(self._peak, held / 2**20)
        except psutil.Error:
            return

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        return self._peak


def compare(
    contenders: Sequence[Contender], *, rounds: int = 3, say: Callable[[str], None] = print
) -> list[Result]:
    """Measure the contenders in turns, one warming round and *rounds* (at least 3) that count."""
    if rounds < 3:
        raise ValueError(f"{rounds} rounds have no median worth telling. Use 3 or more.")
    results = [Result(contender.name) for contender in contenders]
    for turn in range(rounds + 1):
        order = list(zip(contenders, results, strict=True))
        for contender, result in order if turn % 2 else reversed(order):
            contender.prepare()
            run = measure(contender.command)
            contender.check()
            if turn:
                result.runs.append(run)
            say(f"{'warming' if not turn else f'round {turn}'}  {contender.name}: {run.wall_s:.3f} s")
    return results


def table(results: Sequence[Result]) -> str:
    """The medians as a text table; the last column is the wall time as a multiple of the first contender's."""
    head = ("", "wall s", "min-max", "CPU s", "peak MB", "x first")
    rows = [head]
    for one in results:
        low, high = one.spread("wall_s")
        times = one.median("wall_s") / results[0].median("wall_s")
        figures = (f"{one.median('wall_s'):.3f}", f"{low:.3f}-{high:.3f}", f"{one.median('cpu_s'):.3f}")
        rows.append((one.name, *figures, f"{one.median('peak_mb'):.0f}", f"{times:.2f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if not n else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
    }


def write_json(path: Path, title: str, results: Sequence[Result], **more: Any) -> None:
    """Write every single run to *path*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"title": title, "machine": machine(), **more, "results": [asdict(one) for one in results]}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def arguments(description: str, rounds: int = 3) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each is measured (at least 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single run to FILE")
    return parser
