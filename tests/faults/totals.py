"""Count what was tried, what was acknowledged and what was found afterwards, and print it as one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

COLUMNS = ("what", "attempts", "calls", "acknowledged", "lost", "half", "unreadable", "seconds")


@dataclass(slots=True)
class Totals:
    """What one kind of fault came to.

    *attempts* are kills, cuts or failed calls; *calls* the deeds that returned and *acknowledged* the records in them;
    *lost* acknowledged records that were missing afterwards, *half* deeds of which a part was there, or tables that do
    not follow from the events; *unreadable* stores that could not be opened, verified or written again, and errors
    that were no plain sentence. *notes* say each in words, *skipped* why nothing was tried; a *remark* is for the log.
    """

    what: str
    attempts: int = 0
    calls: int = 0
    acknowledged: int = 0
    lost: int = 0
    half: int = 0
    unreadable: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    skipped: str = ""
    remark: str = ""

    @property
    def fine(self) -> bool:
        return not (self.lost or self.half or self.unreadable)

    def add(self, other: Totals) -> None:
        for name in ("attempts", "calls", "acknowledged", "lost", "half", "unreadable"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.notes += other.notes

    @contextmanager
    def timed(self) -> Iterator[Totals]:
        started = time.perf_counter()
        try:
            yield self
        finally:
            self.seconds += time.perf_counter() - started


#: Called once after every attempt.
Step = Callable[[], object]


def no_step() -> None:
    """For those who watch no progress."""


def table(all_totals: Iterable[Totals]) -> str:
    """The totals as a table of Markdown, with a sum at the end."""
    rows = list(all_totals)
    whole = Totals("all")
    for one in rows:
        whole.add(one)
        whole.seconds += one.seconds
    lines = [COLUMNS, *(_cells(one) for one in (*rows, whole))]
    widths = [max(len(line[n]) for line in lines) for n in range(len(COLUMNS))]
    text = [_line(line, widths) for line in lines]
    text.insert(
        1, "| " + " | ".join(["---".ljust(widths[0], "-"), *("-" * (w - 1) + ":" for w in widths[1:])]) + " |"
    )
    return "\n".join(text)


def _cells(one: Totals) -> tuple[str, ...]:
    if one.skipped:
        return (one.what, "skipped", *[""] * (len(COLUMNS) - 2))
    counts = (one.attempts, one.calls, one.acknowledged, one.lost, one.half, one.unreadable)
    return (one.what, *(f"{count:,}" for count in counts), f"{one.seconds:,.0f}")


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *others = (
        cell.ljust(width) if n == 0 else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join([first, *others]) + " |"
