"""The ``csv`` reader: ``.csv``, ``.tsv`` and ``.txt`` tables in any usual encoding, also packed with gzip."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from fieldkit import files
from fieldkit.complaints import Entry, Flag
from fieldkit.errors import IntakeError
from fieldkit.formulas import protect, unprotect
from fieldkit.intake.columns import OWN_PREFIX
from fieldkit.intake.encodings import find_encoding, open_text
from fieldkit.intake.instructions import Instructions, read_instructions
from fieldkit.intake.rows import as_text
from fieldkit.intake.tables import (
    FILE_COLUMN,
    FLAGS_COLUMN,
    ROW_COLUMN,
    Row,
    TableReading,
    find_header,
    own_cells,
    unique_columns,
)

#: Cells beyond the header, kept with a refused row.
EXTRA = OWN_PREFIX + "extra"

_DELIMITERS = (",", "\t", ";", "|")
_LONGEST_LINE = 4_000_000
_HEAD_ROWS = 60


class CsvReader:
    """Reads tables of complaints in text form; see the manual's page on intake for its options."""

    title = "CSV, TSV and text tables"

    def open(self, path: Path, options: Mapping[str, Any]) -> TableReading:
        """Open *path*; the whole file is checked for its encoding and quoting, so that nothing fails half-way.

        Raises :class:`IntakeError` when it cannot be read at all.
        """
        instructions = read_instructions(options)
        return TableReading(CsvTable(path, instructions), instructions)


class CsvTable:
    """A table in text form as a source of rows; a row's number is its record's, the first line being 1."""

    crs = ""
    clean = True

    def __init__(self, path: Path, instructions: Instructions) -> None:
        self.path = path
        self.name = path.name
        self.encoding = find_encoding(path, instructions.encoding)
        head = self._head_text()
        self._skip_first = head[:4].lower() == "sep="
        self._delimiter = (
            head[4:5] if self._skip_first and head[4:5].strip("\r\n") else _delimiter(head, path)
        )
        self._header_at = 0
        self._has_nul = False
        head_rows = list(islice(self._records(), _HEAD_ROWS))
        # Rows are counted as a spreadsheet counts them, so the list keeps blank ones.
        self._header_at = find_header([cells for _, cells in head_rows][:20], instructions.columns)
        self.header = head_rows[self._header_at][1] if head_rows else []
        while self.header and not self.header[-1].strip():
            self.header.pop()
        if not self.header:
            raise IntakeError(
                f"{self.name} has no header: its first lines are empty. Put the columns' names first."
            )
        self._protected = FLAGS_COLUMN in self.header
        self._own = [i for i, name in enumerate(self.header) if name.startswith(OWN_PREFIX)]
        if self._protected:
            self.name = self._original_name(head_rows) or self.name
        self.header = [name for name in self.header if not name.startswith(OWN_PREFIX)]
        if self._protected:
            self.header = [unprotect(name) for name in self.header]
        self.columns = unique_columns(self.header)
        self.total: int | None = sum(1 for _ in self._data_records())

    def rows(self) -> Iterator[Row]:
        """Yield the rows; those with more or fewer cells than the header come without cells and flagged."""
        columns, width = self.columns, len(self.columns)
        for number, cells in self._data_records():
            if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
                del cells[width:]
            if len(cells) != width:
                message = (
                    f"Row {number} has {len(cells)} cells, the header {width}. Look for a missing or extra "
                    f"delimiter {self._delimiter!r} or quotation mark."
                )
                raw: dict[str, object] = dict(zip(columns, cells, strict=False))
                if len(cells) > width:
                    raw[EXTRA] = cells[width:]
                yield Row(number, None, raw, (Flag("ragged_row", "", str(len(cells)), number, message),))
                continue
            raw = dict(zip(columns, cells, strict=True))
            if self._has_nul and any("\0" in cell for cell in cells):
                message = f"Row {number} has a NUL character. Delete it."
                yield Row(number, None, raw, (Flag("bad_character", "", "", number, message),))
                continue
            yield Row(number, cells, raw)

    def write(self, entries: Iterable[Entry], path: Path) -> Path:
        """Write refused rows as UTF-8 CSV with a mark, so that spreadsheets open it, and no cell as a formula."""
        target = path if path.suffix.lower() == ".csv" else path.with_name(path.name + ".csv")
        with (
            files.replacing(target) as temporary,
            temporary.open("w", encoding="utf-8-sig", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow([ROW_COLUMN, FLAGS_COLUMN, FILE_COLUMN, *map(protect, self.header)])
            for entry in entries:
                own = own_cells(entry, self.name)
                cells = [as_text(entry.raw[column]) for column in self.columns if column in entry.raw]
                extra = entry.raw.get(EXTRA, [])
                cells += [as_text(cell) for cell in extra] if isinstance(extra, list) else []
                writer.writerow(
                    [protect(as_text(own[c])) for c in (ROW_COLUMN, FLAGS_COLUMN, FILE_COLUMN)]
                    + [*map(protect, cells)]
                )
        return target

    def _head_text(self) -> str:
        with open_text(self.path, self.encoding) as text:
            return text.read(1 << 16).lstrip("\ufeff")

    def _data_records(self) -> Iterator[tuple[int, list[str]]]:
        """The records below the header without blank ones, without the kit's own columns, and not protected."""
        for number, cells in islice(self._records(), self._header_at + 1, None):
            if not cells or not (cells[0].strip() or any(map(str.strip, cells))):
                continue
            if self._own:
                for position in reversed(self._own):
                    del cells[position : position + 1]
            if self._protected:
                cells = [unprotect(cell) for cell in cells]
            yield number, cells

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Every record of the file with its number; a file that breaks the rules of CSV raises."""
        number = 0
        with open_text(self.path, self.encoding) as text:
            lines = _Lines(text, self.name)
            if self._skip_first:
                next(lines, None)
                number = 1
            reader = csv.reader(lines, delimiter=self._delimiter)
            while True:
                try:
                    cells = next(reader)
                except StopIteration:
                    self._has_nul = lines.nul
                    return
                except csv.Error as error:
                    raise IntakeError(
                        f"Row {number + 1} of {self.name} cannot be read: {error}. "
                        "Probably a quotation mark was not closed. Nothing was taken from the file."
                    ) from error
                number += 1
                if lines.ended and cells:
                    raise IntakeError(
                        f"Row {number} of {self.name} opens a quotation mark that is never closed. Close it. "
                        "Nothing was taken from the file."
                    )
                yield number, cells

    def _original_name(self, head_rows: Sequence[tuple[int, list[str]]]) -> str:
        at = (
            head_rows[self._header_at][1].index(FILE_COLUMN)
            if FILE_COLUMN in head_rows[self._header_at][1]
            else -1
        )
        names = (
            cells[at] for _, cells in head_rows[self._header_at + 1 :] if 0 <= at < len(cells) and cells[at]
        )
        return unprotect(next(names, ""))


class _Lines:
    """The lines of a text for :func:`csv.reader`: *ended* once it asked for one more, *nul* once one had a NUL."""

    def __init__(self, text: Any, name: str) -> None:
        self._text, self._name, self.ended, self.nul = text, name, False, False
        self._first = True

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line: str = self._text.readline(_LONGEST_LINE)
        if not line:
            self.ended = True
            raise StopIteration
        if len(line) >= _LONGEST_LINE:
            raise IntakeError(
                f"{self._name} has a line of more than {_LONGEST_LINE:,} characters: it is no table of complaints."
            )
        if "\0" in line:
            self.nul = True
        if self._first:
            self._first = False
            line = line.removeprefix("\ufeff")
        return line


def _delimiter(head: str, path: Path) -> str:
    """The delimiter that gives the first lines the most cells of one and the same number."""
    lines = head.splitlines(keepends=True)
    lines = (
        lines[:-1] if len(lines) > 1 and not head.endswith(("\n", "\r")) and len(head) >= 1 << 16 else lines
    )
    best, best_score = "\t" if path.name.lower().endswith((".tsv", ".tsv.gz")) else ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        try:
            widths = [
                len(cells) for cells in islice(csv.reader(lines, delimiter=delimiter), _HEAD_ROWS) if cells
            ]
        except csv.Error:
            continue
        width, often = (
            Counter(w for w in widths if w > 1).most_common(1)[0] if any(w > 1 for w in widths) else (1, 0)
        )
        score = (round(often / max(1, len(widths)), 1), width)
        if score > best_score:
            best, best_score = delimiter, score
    return best
