"""Rows of a table to entries: what every reader of tabular sources shares.

A source gives its columns and its rows; a :class:`TableReading` guesses or is told which column feeds which field,
looks at a sample to settle what one row cannot (day before month, midnight or no time at all, the reference system),
and then turns row after row into an :class:`~fieldkit.complaints.Entry`.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

from fieldkit.complaints import Entry, Flag
from fieldkit.errors import IntakeError, UnknownReferenceSystem
from fieldkit.intake.columns import OWN_PREFIX, guess_columns
from fieldkit.intake.instructions import Instructions
from fieldkit.intake.rows import Classify, EntryMaker, read_degrees
from fieldkit.intake.times import DAY_FIRST, MONTH_FIRST, TimeReader, day_order
from fieldkit.places import in_china

#: How many rows are looked at before the first one is turned into a complaint.
SAMPLE_ROWS = 5_000

#: Column of the original file's name in a file of refused rows: default source and dates in file names hang on it.
FILE_COLUMN = OWN_PREFIX + "file"
ROW_COLUMN = OWN_PREFIX + "row"
FLAGS_COLUMN = OWN_PREFIX + "flags"


class Row(NamedTuple):
    """One row of a source: *cells* in the order of its columns, or None when the row has another shape."""

    number: int
    cells: Sequence[object] | None
    raw: Mapping[str, object]
    flags: tuple[Flag, ...] = ()


class Source(Protocol):
    """A table being read: its *columns* (unique names), its rows, as often as asked, and how to write rows back.

    *name* is the original file's name; *crs* what the format itself says about coordinates, or ``""``; *clean*
    tells that its texts have no NUL and no half characters.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def columns(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def encoding(self) -> str: ...  # noqa: D102
    @property
    def crs(self) -> str: ...  # noqa: D102
    @property
    def total(self) -> int | None: ...  # noqa: D102
    @property
    def clean(self) -> bool: ...  # noqa: D102

    def rows(self) -> Iterator[Row]:
        """Yield the rows from the first; memory does not grow with their number."""
        ...

    def write(self, entries: Iterable[Entry], path: Path) -> Path:
        """Write refused rows so that this source's reader reads them again."""
        ...


class TableReading:
    """A :class:`~fieldkit.plugins.Reading` of a tabular source; *mapping* is field -> column.

    *fixed* is a complete mapping that switches guessing off. *classify* replaces the vocabulary's words by the
    source's own; it is given the type and the text of the field *detail*. *keep* is detail -> column, besides what
    the instructions keep; *accuracy_m* is how exact the source's points are.
    """

    def __init__(
        self,
        source: Source,
        instructions: Instructions,
        *,
        fixed: Mapping[str, str] | None = None,
        classify: Classify | None = None,
        detail: str = "",
        keep: Mapping[str, str] | None = None,
        accuracy_m: float | None = None,
    ) -> None:
        self.source = source
        self.instructions = instructions
        self.encoding = source.encoding
        self.total = source.total
        self.mapping = dict(fixed) if fixed is not None else self._map_columns()
        kept = {**{column: column for column in instructions.keep}, **(keep or {})}
        used = {*self.mapping.values(), *kept.values()}
        self.unused = tuple(c for c in source.columns if c not in used and not c.startswith(OWN_PREFIX))
        sample = [row.cells for row in islice(source.rows(), SAMPLE_ROWS) if row.cells is not None]
        if not sample and self.total in (0, None) and next(iter(source.rows()), None) is None:
            raise IntakeError(f"{source.name} has a header but no rows. Nothing was taken from it.")
        self._index = {name: list(source.columns).index(column) for name, column in self.mapping.items()}
        times = TimeReader(instructions.zone, *self._time_formats(sample))
        points = self._points(sample)
        self.crs, crs_is_said = self._find_crs(points)
        self._maker = EntryMaker(
            self._index,
            instructions,
            source=instructions.source or source_name(source.name),
            times=times,
            midnight_is_day=self._all_midnight(sample, times),
            crs=self.crs,
            crs_is_said=crs_is_said,
            middle=_middle(points),
            keep={name: list(source.columns).index(column) for name, column in kept.items()},
            classify=classify,
            detail=detail,
            accuracy_m=accuracy_m,
            clean=source.clean,
        )

    def __iter__(self) -> Iterator[Entry]:
        """Yield an entry a row; a row that counts n complaints gives the same entry n times.

        Raises :class:`UnknownReferenceSystem` while the reference system is still to be asked for.
        """
        if self.crs == "ask":
            raise UnknownReferenceSystem.of(self.source.name)
        make, counted = self._maker.make, "count" in self._index
        for row in self.source.rows():
            if row.cells is None:
                yield Entry(row.number, None, None, row.flags, row.raw)
                continue
            entry = make(row)
            if counted and entry.complaint is not None:
                yield from _repeat(entry, self._maker.count(row.cells))
            else:
                yield entry

    def write_refused(self, entries: Iterable[Entry], path: Path) -> Path:
        """Write refused rows as the file had them, with ``fieldkit_…`` columns that say why; returns the path."""
        return self.source.write(entries, path)

    def _map_columns(self) -> dict[str, str]:
        columns, said = (
            [c for c in self.source.columns if not c.startswith(OWN_PREFIX)],
            self.instructions.columns,
        )
        for column in (*said.values(), *self.instructions.keep):
            if column and column not in columns:
                raise IntakeError(f"{self.source.name} has no column {column!r}. It has: {shown(columns)}.")
        mapping = guess_columns(columns, said)
        # A mapped column that is there twice would be read by chance.
        for column in mapping.values():
            if f"{column} (2)" in columns:
                raise IntakeError(
                    f"{self.source.name} has more than one column called {column!r}. Rename one of them."
                )
        if "received_at" not in mapping and "received_at" not in self.instructions.defaults:
            if any(_looks_like_data(column) for column in columns):
                # The row is not repeated: it may name who complained.
                raise IntakeError(
                    f"The first row of {self.source.name} looks like data, not like a header. "
                    "Put a line with the columns' names above it."
                )
            raise IntakeError(
                f"No column of {self.source.name} could be recognised as the time of receipt. "
                f'It has: {shown(columns)}. Say which in a mapping: [columns] received_at = "…".'
            )
        return mapping

    def _time_formats(self, sample: Sequence[Sequence[object]]) -> tuple[str, tuple[str, ...]]:
        said = self.instructions.time_format
        formats = tuple(text for text in said if text not in (DAY_FIRST, MONTH_FIRST))
        for order in (DAY_FIRST, MONTH_FIRST):
            if order in said:
                return order, formats
        indexes = [self._index[n] for n in ("received_at", "occurred_at", "closed_at") if n in self._index]
        order = day_order(cells[i] for cells in sample for i in indexes)
        if order == "unclear":
            rows = (row.cells for row in self.source.rows() if row.cells is not None)
            order = day_order(cells[i] for cells in rows for i in indexes)
        if order in ("unclear", "both") and not formats:
            if order == "unclear" and self._half_days(sample, indexes):
                return MONTH_FIRST, formats
            column = self.mapping.get("received_at", "")
            why = (
                "may be day/month or month/day"
                if order == "unclear"
                else "are day/month in some rows, month/day in others"
            )
            raise IntakeError(
                f"The dates of {self.source.name} (column {column!r}) {why}. "
                'Say which with time_format = "day/month" or "month/day" in a mapping.'
            )
        return (order if order in (DAY_FIRST, MONTH_FIRST) else ""), formats

    @staticmethod
    def _half_days(sample: Sequence[Sequence[object]], indexes: Sequence[int]) -> bool:
        """Whether slashed dates carry AM or PM and zero-padded parts, which only American systems write."""
        american = re.compile(r"\d{2}/\d{2}/\d{4} \d{2}:\d{2}:\d{2} [AP]M")
        texts = [str(cells[i]) for cells in sample for i in indexes if cells[i]]
        return bool(texts) and all(american.fullmatch(text) for text in texts)

    def _all_midnight(self, sample: Sequence[Sequence[object]], times: TimeReader) -> bool:
        """Whether the times of receipt are dates that some program wrote with 00:00:00 behind them."""
        index = self._index.get("received_at")
        if index is None:
            return False
        seen = 0
        for cells in sample:
            try:
                moment, precision = times.read(cells[index])
            except (ValueError, OverflowError, OSError):
                continue
            if precision != "second" or moment.time() != time():
                return False
            seen += 1
        return seen > 0

    def _points(self, sample: Sequence[Sequence[object]]) -> list[tuple[float, float]]:
        if "lon" not in self._index or "lat" not in self._index:
            return []
        lon_at, lat_at = self._index["lon"], self._index["lat"]
        points = []
        for cells in sample:
            try:
                lon, lat = read_degrees(cells[lon_at]), read_degrees(cells[lat_at])
            except ValueError:
                continue
            if -180 <= lon <= 180 and -90 <= lat <= 90 and (lon, lat) != (0, 0):
                points.append((lon, lat))
        return points

    def _find_crs(self, points: Sequence[tuple[float, float]]) -> tuple[str, bool]:
        said = self.instructions.crs if self.instructions.crs != "ask" else ""
        if said or self.source.crs:
            return said or self.source.crs, True
        if any(in_china(lon, lat) for lon, lat in points):
            default = self.instructions.default_crs
            return default, default != "ask"
        return "wgs84", False


def _repeat(entry: Entry, times: int) -> Iterator[Entry]:
    """*entry* as often as its row counts, its flags only once."""
    if times:
        yield entry
    again = replace(entry, flags=()) if entry.flags else entry
    for _ in range(times - 1):
        yield again


def source_name(file_name: str) -> str:
    """The name of a source by its file's: without suffixes and dates, so that next week's file is the same source."""
    name = re.sub(
        r"(\.(csv|tsv|txt|gz|xlsx|xls|ods|json|geojson|geojsonl|geojsons|xml|ndjson))+$",
        "",
        file_name,
        flags=re.IGNORECASE,
    )
    shorter = re.sub(r"[\s_.(（-]*(19|20)\d{2}([-_.年]?\d{1,2}([-_.月]?\d{1,2}日?)?)?.*$", "", name)
    return shorter or name


def shown(columns: Iterable[str]) -> str:
    """The columns for a message, each cut to a readable length."""
    names = [c if len(c) <= 30 else c[:29] + "…" for c in columns]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def own_cells(entry: Entry, name: str) -> dict[str, object]:
    """What the kit adds to a refused row: the file's name, the row and why it was refused."""
    why = " ".join(flag.message for flag in entry.flags)
    return {FILE_COLUMN: name, ROW_COLUMN: entry.row, FLAGS_COLUMN: why}


def find_header(rows: Sequence[Sequence[object]], said: Mapping[str, str]) -> int:
    """The index of the header among the first *rows*: below title rows, the first one that has what is needed.

    A row is taken when it has every column that was *said*, or when its cells are recognised as at least a time of
    receipt and one more field; when there is none, the first row that has at least half as many cells as the widest.
    """
    wanted = {column for column in said.values() if column}
    texts = [[c.strip() if isinstance(c, str) else "" for c in row] for row in rows]
    for index, row in enumerate(texts):
        if wanted and wanted <= set(row):
            return index
    for index, row in enumerate(texts):
        names = [name for name in row if name]
        if len(names) >= 2 and len({"received_at", *guess_columns(names)} - {"received_time"}) >= 2:
            guessed = guess_columns(names)
            if "received_at" in guessed and len(guessed) >= 2:
                return index
    filled = [sum(1 for cell in row if cell not in (None, "")) for row in rows]
    widest = max(filled, default=0)
    return next((i for i, n in enumerate(filled) if n and n * 2 >= widest), 0)


def unique_columns(header: Sequence[object]) -> list[str]:
    """Column names without repetition: a second ``Address`` is ``Address (2)``, an unnamed one ``column 3``."""
    names: list[str] = []
    taken: set[str] = set()
    for position, cell in enumerate(header, start=1):
        name = str(cell).strip() if cell not in (None, "") else ""
        name = name or f"column {position}"
        unique, again = name, 2
        while unique in taken:
            unique, again = f"{name} ({again})", again + 1
        taken.add(unique)
        names.append(unique)
    return names


def _looks_like_data(column: str) -> bool:
    return bool(re.fullmatch(r"[-+]?\d+([.,]\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*", column.strip()))


def _middle(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    if not points:
        return None
    return statistics.median(lon for lon, _ in points), statistics.median(lat for _, lat in points)
