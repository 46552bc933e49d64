"""The ``nyc311`` reader: New York City's 311 complaints, from the portal and from three published extracts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from fieldkit import files
from fieldkit.complaints import Entry, Flag
from fieldkit.errors import IntakeError
from fieldkit.intake.columns import OWN_PREFIX, plain_header
from fieldkit.intake.csv_file import CsvTable
from fieldkit.intake.encodings import find_encoding, open_text
from fieldkit.intake.instructions import Instructions, read_instructions
from fieldkit.intake.strict_json import JsonFile, readable_json
from fieldkit.intake.tables import FILE_COLUMN, Row, TableReading, own_cells
from fieldkit.intake.terms import find_categories
from fieldkit.intake.times import MONTH_FIRST

TIME_ZONE = "America/New_York"

# The portal's columns, in its spellings of several years, as plain_header writes them.
_PORTAL = {
    "number": ("uniquekey",),
    "received_at": ("createddate",),
    "closed_at": ("closeddate",),
    "channel": ("opendatachanneltype",),
    "category": ("complainttype", "problem"),
    "text": ("descriptor", "problemdetail"),
    "address": ("incidentaddress",),
    "district": ("borough",),
    "community": ("communityboard",),
    "lon": ("longitude",),
    "lat": ("latitude",),
}
_NIGHT = {"lat", "lon", "complaint_type", "hour_local", "address", "descriptor"}
_CHRONIC = {"lat", "lon", "n", "address", "borough", "community_board"}

# The city's complaint types; what is here is a complaint about pollution.
_TYPES = {
    "noise": "noise",
    "noise - residential": "noise.social.household",
    "noise - commercial": "noise.social.entertainment",
    "noise - street/sidewalk": "noise.social.public_activity",
    "noise - park": "noise.social.public_activity",
    "noise - vehicle": "noise.traffic",
    "noise - helicopter": "noise.traffic",
    "noise - house of worship": "noise.social.loudspeaker",
    "air quality": "air",
    "indoor air quality": "air.odour",
    "asbestos": "waste.hazardous",
    "hazardous materials": "waste.hazardous",
    "industrial waste": "waste.industrial",
    "illegal dumping": "waste.domestic",
    "dirty condition": "waste.domestic",
    "sewer": "water.domestic",
    "water quality": "water",
    "drinking water": "water.source_protection",
    "radioactive material": "rad.ionising",
}
# Descriptors of the bare type "Noise", which the environmental department handles, by a word in them.
_DESCRIPTORS = (
    ("construction", "noise.construction"),
    ("jack hammer", "noise.construction"),
    ("alarm", "noise.social.loudspeaker"),
    ("air condition", "noise.social.commercial_equipment"),
    ("ventilation", "noise.social.commercial_equipment"),
    ("manufactur", "noise.industrial"),
    ("barking", "noise.social.household"),
    ("lawn care", "noise.social.household"),
    ("boat", "noise.traffic"),
    ("ice cream truck", "noise.social.loudspeaker"),
    ("horn", "noise.traffic"),
)
_AIR = (
    ("odor", "air.odour"),
    ("idling", "air.vehicle"),
    ("dust", "air.construction_dust"),
    ("smoke", "air.dust"),
)

_RECEIVED, _TYPE, _COUNT, _PART, _LON, _LAT = "received", "type", "complaints", "part_of_day", "lon", "lat"


class Nyc311Reader:
    """Reads the portal's CSV, a night's extract, and the yearly counts by place or by H3 cell.

    Times are New York's, coordinates WGS-84, whatever the workspace says; a type that is no pollution gives a
    complaint without a category.
    """

    title = "New York City 311"

    def open(self, path: Path, options: Mapping[str, Any]) -> TableReading:
        """Open *path*; raises :class:`IntakeError` when it is none of the known layouts."""
        said = read_instructions(options)
        instructions = replace(
            said,
            time_zone=TIME_ZONE,
            crs="",
            source=said.source or "nyc311",
            time_format=said.time_format or (MONTH_FIRST,),
        )
        with open_text(path, find_encoding(path, said.encoding)) as text:
            is_json = text.read(1000).lstrip("\ufeff \t\r\n").startswith("{")
        if is_json:
            return _read(Hexagons(path, instructions), instructions)
        table = CsvTable(path, replace(instructions, columns={}))
        columns = set(table.columns)
        if columns >= _NIGHT:
            return _read(Night(table, instructions), instructions)
        if columns >= _CHRONIC and any(name.startswith("Noise") for name in columns):
            return _read(Chronic(table, instructions), instructions)
        return _read_portal(table, instructions)


def _read_portal(table: CsvTable, instructions: Instructions) -> TableReading:
    plain = {plain_header(name): name for name in reversed(table.columns)}
    columns = {field: next((plain[n] for n in names if n in plain), "") for field, names in _PORTAL.items()}
    columns |= instructions.columns
    missing = [field for field in ("number", "received_at", "category") if not columns[field]]
    if missing:
        raise IntakeError(
            f"{table.name} is not in a layout of New York's 311 data: no column gives {' and '.join(missing)}. "
            "Use the csv reader, with a mapping where needed."
        )
    for column in (*columns.values(), *instructions.keep):
        if column and column not in table.columns:
            raise IntakeError(f"{table.name} has no column {column!r}.")
    table.crs = "wgs84"
    mapping = {field: column for field, column in columns.items() if column}
    return TableReading(table, instructions, fixed=mapping, classify=classify, detail="text")


def _read(source: Night | Chronic | Hexagons, instructions: Instructions) -> TableReading:
    return TableReading(
        source,
        replace(instructions, columns={}, keep=()),
        fixed=source.mapping,
        classify=classify,
        detail="text" if "text" in source.mapping else "",
        keep=source.keep,
        accuracy_m=source.accuracy_m,
    )


def classify(kind: str, detail: str) -> tuple[str, ...]:
    """Categories of a complaint type and its descriptor; empty where the type is no pollution."""
    name = " ".join(kind.casefold().split())
    words = detail.casefold()
    code = _TYPES.get(name, "")
    for whole, finer in (("noise", _DESCRIPTORS), ("air", _AIR)):
        if code == whole:
            code = next((fine for word, fine in finer if word in words), code)
    if not code and name.startswith("noise"):
        code = "noise"
    return find_categories(code) if code else ()


class Night:
    """The extract of one night: hours from the evening of the date in the file's name to the next morning."""

    crs = "wgs84"
    clean = True
    accuracy_m = None
    keep: Mapping[str, str] = {}
    mapping: Mapping[str, str] = {
        "received_at": _RECEIVED,
        "category": "complaint_type",
        "text": "descriptor",
        "address": "address",
        "lon": "lon",
        "lat": "lat",
    }

    def __init__(self, table: CsvTable, instructions: Instructions) -> None:
        self._table = table
        self.name, self.encoding, self.total = table.name, table.encoding, table.total
        self._date = _date_in(table.name, instructions)
        self._hour_at = table.columns.index("hour_local")
        self.columns = [*table.columns, _RECEIVED]

    def rows(self) -> Iterator[Row]:
        """Yield the rows with the hour put on its date; hours before noon belong to the next day."""
        for row in self._table.rows():
            if row.cells is None:
                yield row
                continue
            hour = str(row.cells[self._hour_at]).strip()
            received = hour
            if re.fullmatch(r"\d{1,2}", hour):
                day = self._date + timedelta(days=1) if int(hour) < 12 else self._date
                received = f"{day} {int(hour):02d}"
            yield Row(row.number, [*row.cells, received], row.raw)

    def write(self, entries: Iterable[Entry], path: Path) -> Path:
        """Write refused rows as CSV."""
        return self._table.write(entries, path)


class Chronic:
    """Places with many complaints in a year: one row stands for as many complaints as it counts, type by type."""

    crs = "wgs84"
    clean = True
    accuracy_m = 50.0  # the extract rounds to blocks of 50 m
    keep: Mapping[str, str] = {"part_of_day": _PART}
    mapping: Mapping[str, str] = {
        "received_at": _RECEIVED,
        "category": _TYPE,
        "address": "address",
        "district": "borough",
        "community": "community_board",
        "lon": "lon",
        "lat": "lat",
        "count": _COUNT,
    }

    def __init__(self, table: CsvTable, instructions: Instructions) -> None:
        self._table = table
        self.name, self.encoding = table.name, table.encoding
        self._year = _year_in(table.name, instructions)
        self._types = [i for i, name in enumerate(table.columns) if name.startswith("Noise")]
        self._parts = [i for i, name in enumerate(table.columns) if name.startswith("n_")]
        self._total_at = table.columns.index("n")
        self.columns = [*table.columns, _RECEIVED, _TYPE, _COUNT, _PART]
        counts = (str(row.cells[self._total_at]) for row in table.rows() if row.cells is not None)
        #: Entries, not rows: what is counted while reading.
        self.total: int | None = sum(int(count) for count in counts if re.fullmatch(r"\d{1,6}", count))

    def rows(self) -> Iterator[Row]:
        """Yield a row for every type that a place has; the part of the day is known only where there is just one."""
        for row in self._table.rows():
            if row.cells is None:
                yield row
                continue
            cells = [str(cell) for cell in row.cells]
            try:
                counts = {self._table.columns[i]: int(cells[i] or 0) for i in self._types}
                parts = {self._table.columns[i].removeprefix("n_"): int(cells[i] or 0) for i in self._parts}
                total = int(cells[self._total_at])
            except ValueError:
                message = f"Row {row.number} has a count that is no whole number."
                yield Row(row.number, None, row.raw, (Flag("bad_count", "count", "", row.number, message),))
                continue
            rest = total - sum(counts.values())
            if rest < 0 or min(counts.values(), default=0) < 0:
                message = (
                    f"Row {row.number} counts {total} complaints, but its types add up to {total - rest}."
                )
                yield Row(
                    row.number, None, row.raw, (Flag("bad_count", "count", str(total), row.number, message),)
                )
                continue
            part = [name for name, count in parts.items() if count]
            known = part[0] if len(part) == 1 and parts[part[0]] == total else ""
            for kind, count in {**counts, "Noise (type not given)": rest}.items():
                if count:
                    yield Row(row.number, [*cells, self._year, kind, count, known], row.raw)

    def write(self, entries: Iterable[Entry], path: Path) -> Path:
        """Write refused rows as CSV."""
        return self._table.write(entries, path)


class Hexagons:
    """Counts by H3 cell, part of the day and type, in JSON; a complaint's place is the middle of its cell."""

    crs = "wgs84"
    clean = True
    keep: Mapping[str, str] = {"part_of_day": _PART}
    mapping: Mapping[str, str] = {
        "received_at": _RECEIVED,
        "category": _TYPE,
        "lon": _LON,
        "lat": _LAT,
        "count": _COUNT,
    }
    columns = (_RECEIVED, _TYPE, _PART, _LON, _LAT, _COUNT)

    def __init__(self, path: Path, instructions: Instructions) -> None:
        import h3

        self._file = JsonFile(path, ("hexes",))
        self.path, self.encoding = path, self._file.encoding
        first = next(iter(self._file.elements()), None)
        outer = self._file.outer
        self._types: Any = outer.get("subtypes")
        self._parts: Any = outer.get("buckets")
        if not (_are_texts(self._types) and _are_texts(self._parts) and isinstance(first, list) and first):
            raise IntakeError(
                f"{path.name} is no list of H3 cells: subtypes, buckets and hexes are expected, in this order."
            )
        self.name = str(outer.get(FILE_COLUMN) or path.name)
        self._year = _year_in(str(outer.get("period", "")) + " " + self.name, instructions)
        cells = (e[0] for e in self._file.elements() if isinstance(e, list) and e and isinstance(e[0], str))
        cell = next(filter(_is_cell, cells), None)
        # The farthest corner of an average cell.
        edge = h3.average_hexagon_edge_length(h3.get_resolution(cell), unit="m") if cell else None
        self.accuracy_m: float | None = math.ceil(edge) if edge else None
        #: Entries, not rows: what is counted while reading.
        self.total: int | None = sum(e[1] for e in self._file.elements() if not self._fault(e))

    def rows(self) -> Iterator[Row]:
        """Yield a row for every cell, part of the day and type that has complaints."""
        import h3

        for number, element in enumerate(self._file.elements(), start=1):
            why = self._fault(element)
            if why:
                raw = {"hex": element}
                yield Row(
                    number, None, raw, (Flag("bad_count", "count", "", number, f"Cell {number} {why}."),)
                )
                continue
            cell, _, counts = element[:3]
            lat, lon = h3.cell_to_latlng(cell)
            raw = {"hex": element}
            for part, by_type in zip(self._parts, counts, strict=True):
                for kind, count in zip(self._types, by_type, strict=True):
                    if count:
                        yield Row(number, (self._year, kind, part, lon, lat, count), raw)

    def write(self, entries: Iterable[Entry], path: Path) -> Path:
        """Write refused cells in the same layout."""
        target = path if path.suffix.lower() == ".json" else path.with_name(path.name + ".json")
        rows = list(entries)
        why = [own_cells(entry, self.name) for entry in rows]
        outer = {k: v for k, v in self._file.outer.items() if k != "hexes" and not k.startswith(OWN_PREFIX)}
        document = {
            FILE_COLUMN: self.name,
            OWN_PREFIX + "flags": why,
            **outer,
            "hexes": [e.raw["hex"] for e in rows],
        }
        files.write_text(target, readable_json(document))
        return target

    def _fault(self, element: Any) -> str:
        if not (isinstance(element, list) and len(element) >= 3 and isinstance(element[0], str)):
            return "is not [cell, total, counts]"
        if not _is_cell(element[0]):
            return f"is called {element[0][:20]!r}, which is no H3 cell"
        counts = element[2]
        shape = isinstance(counts, list) and len(counts) == len(self._parts)
        if not shape or any(not isinstance(row, list) or len(row) != len(self._types) for row in counts):
            return "has not one count for every part of the day and type"
        if any(type(count) is not int or count < 0 for row in counts for count in row):
            return "has a count that is no whole number"
        if sum(map(sum, counts)) != element[1]:
            return f"has {element[1]} complaints, but its counts add up to {sum(map(sum, counts))}"
        return ""


def _is_cell(text: str) -> bool:
    import h3

    # The library stops with an error of its own at numbers that are too large.
    return bool(re.fullmatch(r"[0-9a-f]{15}", text)) and bool(h3.is_valid_cell(text))


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)


def _date_in(name: str, instructions: Instructions) -> date:
    found = re.search(r"(20\d{2})-?(\d{2})-?(\d{2})", instructions.defaults.get("received_at", "") or name)
    try:
        if found:
            return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        pass
    raise IntakeError(
        f"{name} has hours but no date. Put the date of the evening into the file's name (2026-04-25), "
        'or say it in a mapping: [defaults] received_at = "2026-04-25".'
    )


def _year_in(name: str, instructions: Instructions) -> str:
    found = re.search(r"(?<!\d)(20\d{2})(?!\d)", instructions.defaults.get("received_at", "") or name)
    if not found:
        raise IntakeError(
            f"{name.strip()} does not say which year its counts are of. Put the year into the file's name, "
            'or say it in a mapping: [defaults] received_at = "2025".'
        )
    return found[1]
