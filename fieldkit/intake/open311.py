"""The ``open311`` reader: requests of GeoReport v2 as JSON or XML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

from fieldkit import files
from fieldkit.complaints import Entry, Flag
from fieldkit.errors import IntakeError
from fieldkit.intake.columns import OWN_PREFIX
from fieldkit.intake.encodings import find_encoding, open_bytes, open_text
from fieldkit.intake.instructions import read_instructions
from fieldkit.intake.rows import as_text
from fieldkit.intake.strict_json import JsonFile, plain_cell, readable_json
from fieldkit.intake.tables import FILE_COLUMN, SAMPLE_ROWS, Row, TableReading, own_cells
from fieldkit.intake.terms import find_categories

# The names of the published format, one or more a field; the first that is there is taken.
_COLUMNS = {
    "number": ("service_request_id", "token"),
    "received_at": ("requested_datetime",),
    "category": ("service_name", "service_code"),
    "text": ("description",),
    "address": ("address", "address_string"),
    "lon": ("long", "lon", "lng"),
    "lat": ("lat",),
    "complainant_phone": ("phone",),
    "complainant_email": ("email",),
}
# Put together from several: the format has no time of closing, but a closed request's last change is it.
CLOSED_COLUMN = "closed: updated_datetime"
NAME_COLUMN = "first_name last_name"

_LISTS = ("service_requests", "requests", "request")
_DEEPEST = 50


class Open311Reader:
    """Reads requests of an Open311 GeoReport v2 endpoint, saved as ``requests.json`` or ``requests.xml``.

    The format's coordinates are WGS-84 by custom only, so inside China the reference system is asked for.
    """

    title = "Open311 GeoReport v2"

    def open(self, path: Path, options: Mapping[str, Any]) -> TableReading:
        """Open *path*; raises :class:`IntakeError` when it is no list of requests."""
        instructions = read_instructions(options)
        source = Requests(path)
        columns = {
            field: next((n for n in names if n in source.columns), "") for field, names in _COLUMNS.items()
        }
        columns |= {"closed_at": CLOSED_COLUMN, "complainant_name": NAME_COLUMN, **instructions.columns}
        mapping = {field: column for field, column in columns.items() if column}
        for column in (*mapping.values(), *instructions.keep):
            if column not in source.columns:
                raise IntakeError(
                    f"{path.name} has no member {column!r}. It has: {', '.join(source.columns[:20])}."
                )
        if "received_at" not in mapping:
            raise IntakeError(f"{path.name} has no requested_datetime, so it is no Open311 list of requests.")

        def classify(name: str, _detail: str) -> tuple[str, ...] | None:
            return find_categories(name) or find_categories(source.codes.get(name, "")) or None

        return TableReading(source, instructions, fixed=mapping, classify=classify)


class Requests:
    """The requests of a file as a source of rows; a row's number is the request's, from 1."""

    clean = False
    crs = ""
    total: int | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        #: service_name -> service_code, which may be a code of our vocabulary.
        self.codes: dict[str, str] = {}
        self.encoding = find_encoding(path)
        with open_text(path, self.encoding) as text:
            self.is_xml = text.read(1000).lstrip("\ufeff \t\r\n").startswith("<")
        names: dict[str, None] = {}
        seen = 0
        for element in islice(self._elements(), SAMPLE_ROWS):
            seen += 1
            if isinstance(element, dict):
                names.update(dict.fromkeys(element))
                if isinstance(element.get(FILE_COLUMN), str):
                    self.name = element[FILE_COLUMN]
        if not seen:
            raise IntakeError(f"{path.name} has no requests. Nothing was taken from it.")
        self.columns = [*(n for n in names if not n.startswith(OWN_PREFIX)), CLOSED_COLUMN, NAME_COLUMN]

    def rows(self) -> Iterator[Row]:
        """Yield the requests."""
        for number, element in enumerate(self._elements(), start=1):
            if not isinstance(element, dict):
                message = f"Request {number} is no object."
                yield Row(number, None, {"value": element}, (Flag("bad_feature", "", "", number, message),))
                continue
            self.codes[_text(element.get("service_name"))] = _text(element.get("service_code"))
            closed = (
                element.get("updated_datetime") if _text(element.get("status")).lower() == "closed" else ""
            )
            name = " ".join(filter(None, (_text(element.get("first_name")), _text(element.get("last_name")))))
            cells = [plain_cell(element.get(column)) for column in self.columns[:-2]]
            yield Row(number, [*cells, plain_cell(closed), name], element)

    def write(self, entries: Iterable[Entry], path: Path) -> Path:
        """Write refused requests as they came, JSON or XML, with the reason beside their members."""
        suffix = ".xml" if self.is_xml else ".json"
        target = path if path.suffix.lower() == suffix else path.with_name(path.name + suffix)
        rows = [{**entry.raw, **own_cells(entry, self.name)} for entry in entries]
        if not self.is_xml:
            files.write_text(target, readable_json(rows))
            return target
        lines = ['<?xml version="1.0" encoding="utf-8"?>', "<service_requests>"]
        for row in rows:
            members = "".join(f"<{name}>{escape(_text(value))}</{name}>" for name, value in row.items())
            lines.append(f" <request>{members}</request>")
        files.write_text(target, "\n".join([*lines, "</service_requests>", ""]))
        return target

    def _elements(self) -> Iterator[Any]:
        if self.is_xml:
            return _read_xml(self.path)
        return JsonFile(self.path, _LISTS).elements()


def _read_xml(path: Path) -> Iterator[dict[str, str]]:
    """The requests of an XML file: every ``request`` element's children as name -> text."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    done: list[dict[str, str]] = []
    open_names: list[str] = []
    request: dict[str, str] | None = None

    def refuse(*_: object) -> None:
        raise IntakeError(
            f"{path.name} declares a document type or entities, which a list of requests has no need of."
        )

    def start(name: str, _attributes: object) -> None:
        nonlocal request
        open_names.append(name)
        if len(open_names) > _DEEPEST:
            raise IntakeError(f"{path.name} is nested too deeply to be a list of requests.")
        if name == "request" and request is None:
            request = {}
        elif request is not None and len(open_names) >= 2 and open_names[-2] == "request":
            request.setdefault(name, "")

    def text(data: str) -> None:
        if request is not None and len(open_names) >= 2 and open_names[-2] == "request":
            request[open_names[-1]] = request.get(open_names[-1], "") + data

    def end(name: str) -> None:
        nonlocal request
        open_names.pop()
        if name == "request" and request is not None and "request" not in open_names:
            done.append(request)
            request = None

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = start, text, end
    try:
        with open_bytes(path) as stream:
            while True:
                chunk = stream.read(1 << 18)
                parser.Parse(chunk, not chunk)
                yield from done
                done.clear()
                if not chunk:
                    return
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise IntakeError(f"{path.name} is not valid XML: {error}. Mend it and try again.") from error


def _text(value: Any) -> str:
    return as_text(plain_cell(value)).strip()
