"""The ``excel`` reader: ``.xlsx``, ``.xls`` and ``.ods`` workbooks, the first sheet or the one that is named."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from fieldkit import files
from fieldkit.complaints import Entry
from fieldkit.errors import IntakeError
from fieldkit.intake.columns import OWN_PREFIX
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

# A workbook of a million full rows unpacks to less; beyond this it is a bomb or no table of complaints.
_LARGEST_UNPACKED = 2_000_000_000
_TITLE_ROWS = 30


class ExcelReader:
    """Reads workbooks of complaints; option ``sheet`` names the sheet, otherwise the first one is read."""

    title = "Excel and OpenDocument workbooks"

    def open(self, path: Path, options: Mapping[str, Any]) -> TableReading:
        """Open *path*; raises :class:`IntakeError` when it is no workbook, is locked, or has no such sheet."""
        instructions = read_instructions(options)
        return TableReading(Sheet(path, instructions), instructions)


class Sheet:
    """One sheet of a workbook as a source of rows; a row's number is the sheet's own.

    Cells keep their types (text, number, date), so a date is a date whatever it looks like. The sheet is held in
    memory while it is read, as the format demands.
    """

    encoding = ""
    crs = ""
    clean = False

    def __init__(self, path: Path, instructions: Instructions) -> None:
        self.path = path
        self.name = path.name
        _check_size(path)
        self._first_row, rows = _read_sheet(path, instructions.sheet)
        if not any(any(_filled(cell) for cell in row) for row in rows):
            raise IntakeError(f"The sheet of {path.name} is empty. Nothing was taken from it.")
        at = find_header(rows[:_TITLE_ROWS], instructions.columns)
        header = [as_text(cell) for cell in rows[at]]
        width = max((i + 1 for row in rows[at:] for i in _used(row)), default=0)
        header = (header + [""] * width)[:width]
        own = {name: i for i, name in enumerate(header) if name.startswith(OWN_PREFIX)}
        self._keep = [i for i in range(width) if i not in own.values()]
        self._data = rows
        self._start = at + 1
        self.header = [header[i] for i in self._keep]
        self.columns = unique_columns(self.header)
        if FILE_COLUMN in own:
            names = (as_text(row[own[FILE_COLUMN]]) for row in rows[self._start :])
            self.name = next((name for name in names if name), self.name)
        self.total: int | None = sum(1 for _ in self.rows())

    def rows(self) -> Iterator[Row]:
        """Yield the rows that have anything in them."""
        for position in range(self._start, len(self._data)):
            line = self._data[position]
            cells = [_cell(line[i]) for i in self._keep]
            if any(_filled(cell) for cell in cells):
                yield Row(self._first_row + position, cells, dict(zip(self.columns, cells, strict=True)))

    def write(self, entries: Iterable[Entry], path: Path) -> Path:
        """Write refused rows as a workbook with their types; a text that begins with ``=`` stays a text."""
        import openpyxl
        from openpyxl.cell import WriteOnlyCell

        target = path if path.suffix.lower() == ".xlsx" else path.with_name(path.name + ".xlsx")
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("refused")

        def put(value: object) -> Any:
            cell = WriteOnlyCell(sheet, value=None)
            if isinstance(value, str):
                cell.value = "".join(c if c >= " " or c in "\t\n\r" else "\ufffd" for c in value)
                cell.data_type = "s"
            else:
                cell.value = value
            return cell

        sheet.append([put(name) for name in (ROW_COLUMN, FLAGS_COLUMN, FILE_COLUMN, *self.header)])
        for entry in entries:
            own = own_cells(entry, self.name)
            values = [
                own[ROW_COLUMN],
                own[FLAGS_COLUMN],
                own[FILE_COLUMN],
                *(entry.raw.get(c) for c in self.columns),
            ]
            sheet.append([put(value) for value in values])
        with files.replacing(target) as temporary:
            book.save(temporary)
        return target


def _read_sheet(path: Path, wanted: str) -> tuple[int, list[list[Any]]]:
    """The number of the first row and the rows of the sheet, all of one width."""
    import python_calamine

    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise IntakeError(f"{path.name} is empty. Nothing was taken from it.")
        book = python_calamine.CalamineWorkbook.from_path(str(path))
    except python_calamine.PasswordError as error:
        raise IntakeError(
            f"{path.name} is locked with a password. Save it without one and try again."
        ) from error
    except OSError as error:
        raise IntakeError(
            f"{path.name} cannot be opened: {error.strerror or error}. Check the name and the rights."
        ) from error
    except IntakeError:
        raise
    except BaseException as error:
        raise _no_workbook(path, error) from error
    names = book.sheet_names
    if wanted and wanted not in names:
        raise IntakeError(f"{path.name} has no sheet {wanted!r}. It has: {', '.join(names)}.")
    if not names:
        raise IntakeError(f"{path.name} has no sheets. Nothing was taken from it.")
    try:
        sheet = book.get_sheet_by_name(wanted or names[0])
        # The rows above the first filled one are left out, so their number is added again.
        start = sheet.start[0] if sheet.start else 0
        return start + 1, sheet.to_python(skip_empty_area=True)
    except BaseException as error:
        raise _no_workbook(path, error) from error


def _no_workbook(path: Path, error: BaseException) -> BaseException:
    # The Rust library reports its own bugs with an exception that is not an Exception; a Ctrl-C must pass.
    if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
        return error
    reason = " ".join(str(error).split())[:120]
    return IntakeError(
        f"{path.name} cannot be read as a workbook ({reason}). Save it as .xlsx or .csv and try again."
    )


def _check_size(path: Path) -> None:
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise IntakeError(f"{path.name} is damaged ({error}). Copy it again.") from error
    if unpacked > _LARGEST_UNPACKED or unpacked > 200 * max(path.stat().st_size, 500_000):
        raise IntakeError(
            f"{path.name} would unpack to {unpacked / 1e9:.1f} GB: it is no table of complaints."
        )


def _filled(cell: object) -> bool:
    return bool(cell.strip()) if isinstance(cell, str) else cell is not None


def _used(row: list[Any]) -> list[int]:
    return [i for i, cell in enumerate(row) if _filled(cell)]


def _cell(value: Any) -> object:
    """A cell's value; numbers that are whole are integers, an empty cell is an empty text."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, (str, int, float, datetime, date, time, timedelta)):
        return value
    return str(value)
