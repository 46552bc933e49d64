"""Kill a working process with SIGKILL at a random moment, a thousand times, and look at what it left."""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from .stores import Deed
from .totals import Step, Totals, no_step
from .works import WORKS, Work

# The longest that a worker is waited for, should it hang.
_PATIENCE = 120.0
# A work may come to its end before it is killed; then it is tried again.
_TRIES = 3


def shares(kills: int) -> dict[str, int]:
    """How many of *kills* each work gets: at least one, the rest by its share."""
    whole = sum(work.share for work in WORKS.values())
    counts = {work.name: max(1, kills * work.share // whole) for work in WORKS.values()}
    # What rounding leaves goes to the first.
    counts[next(iter(WORKS))] += max(0, kills - sum(counts.values()))
    return counts


def run(seed: int, kills: int, name: str, step: Step = no_step, *, deeds_each: int = 40) -> Totals:
    """Kill the work called *name* so many times, each time after up to *deeds_each* deeds."""
    work = WORKS[name]
    totals = Totals(f"kills, {name}")
    rng = random.Random(f"{seed} {totals.what}")
    with tempfile.TemporaryDirectory(prefix="fieldkit-kills-") as root, totals.timed(), work.engine:
        first = Path(root) / "first"
        work.prepare(first)
        folder, deeds, span = first, list[Deed](), work.longest
        for number in range(_TRIES * kills):
            if totals.attempts == kills:
                break
            if number % work.again == 0:
                folder = Path(root) / f"kill-{number}"
                shutil.copytree(first, folder)
                deeds = [Deed("R", 0, work.first, acknowledged=True)]
            where = f"{totals.what}, seed {seed}, kill {number}"
            ended = _kill(work, folder, rng, deeds, totals, where, span or deeds_each)
            # A work that comes to an end by itself tells how long the next one may be waited for.
            span = min(span, 1.1 * ended) if ended else span
            fresh = Totals("")
            found = work.check(folder, deeds, fresh, where)
            for deed in deeds:
                # What was not acknowledged may be there or not; from now on it must stay if it is.
                deed.acknowledged = deed.tokens <= found
            totals.add(fresh)
            if not ended:
                totals.attempts += 1
                step()
            if number % work.again == work.again - 1:
                shutil.rmtree(folder)
    return totals


def _kill(
    work: Work,
    folder: Path,
    rng: random.Random,
    deeds: list[Deed],
    totals: Totals,
    where: str,
    span: float,
) -> float:
    """Let a child work in *folder* and kill it within *span*, which is deeds, or seconds where the work has an end.

    Adds what it said to *deeds* and *totals*; returns how long it took when it came to its end before, else 0.
    """
    first = max((deed.first + deed.count for deed in deeds), default=0)
    child, pipe = _started(work, folder, rng.getrandbits(32), first)
    text, killed = b"", False
    after = 0 if work.longest else rng.randint(0, int(span))
    began = time.monotonic()
    until = began + (rng.uniform(0, span) if work.longest else _PATIENCE)
    armed = bool(work.longest)
    try:
        while True:
            left = max(0.0, until - time.monotonic())
            if killed or select.select([pipe], [], [], left)[0]:
                data = os.read(pipe, 65_536)
                if not data:
                    break
                text += data
                # So many deeds have returned: the end comes within the next one or two.
                if not armed and (done := text.count(b"\n= ")) >= after:
                    each = (time.monotonic() - began) / (done + 1)
                    until, armed = time.monotonic() + rng.uniform(0, 2 * each), True
            else:
                _end(child)
                killed = True
    finally:
        os.close(pipe)
        _end(child)
        _, status = os.waitpid(child, 0)
    took = time.monotonic() - began
    _heard(text.decode(), deeds, totals)
    if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGKILL) or (killed and not armed):
        totals.unreadable += 1
        last = text.decode().rstrip().rpartition("\n")[2]
        totals.notes.append(f"{where}: the worker failed or hung: {last}")
    return 0.0 if killed else took


def _end(child: int) -> None:
    # With the processes that it started; it has a group of its own.
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        # Not its own group yet, or gone already and not yet waited for.
        os.kill(child, signal.SIGKILL)


def _heard(text: str, deeds: list[Deed], totals: Totals) -> None:
    lines = [line.split() for line in text.split("\n")[:-1] if line[:2] in ("+ ", "= ")]
    started: dict[int, Deed] = {}
    for sign, sort, first, count in lines:
        if sign == "+":
            started[int(first)] = Deed(sort, int(first), int(count))
            deeds.append(started[int(first)])
        else:
            started[int(first)].acknowledged = True
            totals.calls += 1
            totals.acknowledged += int(count)


def _started(work: Work, folder: Path, seed: int, first: int) -> tuple[int, int]:
    """A child at its work, and the end of the pipe on which it says what it does."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # A library may have threads by now; the child uses none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        os.setsid()
        os.close(reading)
        os.write(writing, b"\n")

        def say(deed: Deed, *, done: bool) -> None:
            os.write(writing, f"{'=' if done else '+'} {deed.sort} {deed.first} {deed.count}\n".encode())

        work.act(folder, random.Random(seed), first, say)
        os._exit(0)
    except BaseException:
        os.write(writing, ("! " + traceback.format_exc().strip().replace("\n", " ") + "\n").encode())
        os._exit(1)
