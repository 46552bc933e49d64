"""One row of cells to one entry: texts, times, words and the point, each doubt a flag."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fieldkit.complaints import Complaint, Entry, Flag, Person
from fieldkit.errors import PlaceError
from fieldkit.intake.columns import PERSON_PREFIX
from fieldkit.intake.instructions import Instructions
from fieldkit.intake.terms import find_categories, find_channel, plain_term
from fieldkit.intake.times import TimeReader
from fieldkit.places import Place, in_china, place_from

if TYPE_CHECKING:
    from fieldkit.intake.tables import Row

#: Most complaints that one row of an aggregated source may stand for.
LARGEST_COUNT = 1_000_000

_PLAIN_FIELDS = ("number", "address", "district", "community", "suspected_source")
_FREE_FIELDS = ("text", "translation")
_HALF = re.compile("[\ud800-\udfff]")
_DEGREES = re.compile(
    r"\s*([NSEWnsew东西南北])?\s*([-+]?\d+(?:\.\d+)?)\s*[°º度]\s*(?:(\d+(?:\.\d+)?)\s*['′’分]\s*)?"
    r"(?:(\d+(?:\.\d+)?)\s*(?:[\"″”秒]|''))?\s*([NSEWnsew东西南北])?\s*$"
)


#: A source's own words, a type and a detail of it, to categories; None when the words are not known.
Classify = Callable[[str, str], tuple[str, ...] | None]


def read_degrees(cell: object) -> float:
    """Degrees as a number or as ``105°50′37″E``; raises :class:`ValueError` for anything else, also nan and inf."""
    try:
        value = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = _DEGREES.match(cell) if isinstance(cell, str) else None
        if not found:
            raise ValueError(f"{cell!r} is no angle") from None
        before, degrees, minutes, seconds, after = found.groups()
        value = float(degrees)
        rest = float(minutes or 0) / 60 + float(seconds or 0) / 3600
        value = value - rest if degrees.startswith("-") else value + rest
        if (before or after or "") in ("S", "s", "W", "w", "南", "西"):
            value = -abs(value)
    if not math.isfinite(value):
        raise ValueError(f"{cell!r} is no angle")
    return value


def as_text(cell: object) -> str:
    """A cell as text: whole numbers without a decimal point, times as ISO 8601, nothing for an empty cell."""
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, (date, datetime)):
        return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
    return str(cell)


def bad_character(cells: Iterable[object]) -> str:
    """What no database and no document can hold in the texts among *cells*: a NUL, half a character; else nothing."""
    for cell in cells:
        if not isinstance(cell, str):
            continue
        if "\0" in cell:
            return "a NUL character"
        if not cell.isascii() and _HALF.search(cell):
            return "half a character (a lone surrogate)"
    return ""


class EntryMaker:
    """Turns the rows of one file into entries; *index* is field -> position of its column."""

    def __init__(
        self,
        index: Mapping[str, int],
        instructions: Instructions,
        *,
        source: str,
        times: TimeReader,
        midnight_is_day: bool,
        crs: str,
        crs_is_said: bool,
        middle: tuple[float, float] | None,
        keep: Mapping[str, int],
        clean: bool,
        classify: Classify | None,
        detail: str,
        accuracy_m: float | None,
    ) -> None:
        self._index = dict(index)
        self._source, self._times, self._crs, self._crs_is_said = source, times, crs, crs_is_said
        self._midnight_is_day, self._middle, self._keep = midnight_is_day, middle, dict(keep)
        self._said, self._classify, self._clean = instructions, classify, clean
        self._plain = [(name, index[name]) for name in _PLAIN_FIELDS if name in index]
        self._free = [(name, index[name]) for name in _FREE_FIELDS if name in index]
        self._defaults = {
            n: instructions.defaults[n] for n in (*_PLAIN_FIELDS, *_FREE_FIELDS) if n in instructions.defaults
        }
        self._person = [
            (n.removeprefix(PERSON_PREFIX), i) for n, i in index.items() if n.startswith(PERSON_PREFIX)
        ]
        self._detail, self._accuracy_m = index.get(detail, -1), accuracy_m
        self._categories: dict[str | tuple[str, str], tuple[str, ...] | None] = {}
        self._channels: dict[str, str] = {}
        self._received, self._clock = index.get("received_at", -1), index.get("received_time", -1)
        self._hour = index.get("received_hour", -1)
        self._type, self._way = index.get("category", -1), index.get("channel", -1)
        self._lon, self._lat = index.get("lon", -1), index.get("lat", -1)
        self._later = [(n, index[n]) for n in ("occurred_at", "closed_at") if n in index]
        # A day's grace for clocks that go wrong and zones that were not said.
        self._latest = datetime.now(times.zone) + timedelta(days=1)
        self._default_type = instructions.defaults.get("category", "")
        self._default_channel = find_channel(instructions.defaults.get("channel", "")) or "unknown"

    def make(self, row: Row) -> Entry:
        """The entry of *row*, whose cells are as many as the columns; the complaint is None when it is refused."""
        number, cells, raw, given = row
        assert cells is not None
        flags: list[Flag] = list(given)
        received = self._received_at(number, cells, flags)
        if received is None or self._refused(number, cells, flags):
            return Entry(number, None, self._person_of(cells), tuple(flags), raw)
        fields: dict[str, Any] = dict(self._defaults)
        for name, i in self._plain:
            cell = cells[i]
            if text := (cell if type(cell) is str else as_text(cell)).strip():
                fields[name] = text
        for name, i in self._free:
            cell = cells[i]
            text = cell if type(cell) is str else as_text(cell)
            if text and not text.isspace():
                fields[name] = text
        for name, i in self._later:
            if moment := self._later_time(name, number, cells[i], flags):
                fields[name] = moment
        categories, reported = self._categorise(number, cells, flags)
        complaint = Complaint(
            received_at=received[0],
            precision=received[1],
            source=self._source,
            channel=self._channel(number, cells, flags),
            categories=categories,
            reported_type=reported,
            place=self._place(number, cells, flags) if self._lon >= 0 and self._lat >= 0 else None,
            details={n: as_text(cells[i]) for n, i in self._keep.items() if cells[i] not in ("", None)}
            if self._keep
            else {},
            **fields,
        )
        return Entry(number, complaint, self._person_of(cells), tuple(flags), raw)

    def count(self, cells: Sequence[object]) -> int:
        """How many complaints the row stands for; :meth:`make` has checked it."""
        return int(float(as_text(cells[self._index["count"]])))

    def _received_at(
        self, row: int, cells: Sequence[object], flags: list[Flag]
    ) -> tuple[datetime, str] | None:
        value: object = cells[self._received] if self._received >= 0 else ""
        if value is None or (isinstance(value, str) and not value.strip()):
            value = self._said.defaults.get("received_at", "")
        if value == "":
            flags.append(
                Flag("no_time", "received_at", "", row, f"Row {row} has no time of receipt. Add one.")
            )
            return None
        try:
            moment, precision = self._times.read(value)
            if precision == "second" and self._midnight_is_day:
                precision = "day"
            if self._clock >= 0 and precision == "day":
                moment, precision = self._times.at_clock(moment, precision, cells[self._clock])
            elif self._hour >= 0 and precision == "day" and as_text(cells[self._hour]).strip():
                moment, precision = moment.replace(hour=int(float(as_text(cells[self._hour])))), "hour"
            _check_year(moment)
        except (ValueError, OverflowError, OSError) as error:
            text = as_text(value)
            why = (
                str(error) if "may be" in str(error) else f"the time of receipt {_cut(text)!r} cannot be read"
            )
            flags.append(
                Flag("bad_time", "received_at", text, row, f"Row {row}: {why}. Write it as 2017-07-03 22:15.")
            )
            return None
        self._check_era("received_at", row, moment, flags)
        return moment, precision

    def _check_era(self, name: str, row: int, moment: datetime, flags: list[Flag]) -> None:
        if moment.year < 1950:
            flags.append(
                Flag(
                    "old_time",
                    name,
                    str(moment),
                    row,
                    f"Row {row}: {name} {moment:%Y-%m-%d} lies before 1950.",
                )
            )
        elif moment > self._latest:
            flags.append(
                Flag(
                    "future_time",
                    name,
                    str(moment),
                    row,
                    f"Row {row}: {name} {moment:%Y-%m-%d} lies in the future.",
                )
            )

    def _later_time(self, name: str, row: int, value: object, flags: list[Flag]) -> datetime | None:
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        try:
            moment, _ = self._times.read(value)
            _check_year(moment)
        except (ValueError, OverflowError, OSError):
            text = as_text(value)
            flags.append(
                Flag(
                    "bad_time",
                    name,
                    text,
                    row,
                    f"Row {row}: {name} {_cut(text)!r} cannot be read and was left out.",
                )
            )
            return None
        if name == "occurred_at":
            self._check_era(name, row, moment, flags)
        return moment

    def _refused(self, row: int, cells: Sequence[object], flags: list[Flag]) -> bool:
        if not self._clean and (why := bad_character(cells)):
            flags.append(Flag("bad_character", "", "", row, f"Row {row} has {why}. Retype or delete it."))
            return True
        at = self._index.get("count", -1)
        if at < 0:
            return False
        text = as_text(cells[at])
        try:
            number = float(text)
            if number.is_integer() and 0 <= number <= LARGEST_COUNT:
                return False
        except (ValueError, OverflowError):
            pass
        message = (
            f"Row {row} counts {_cut(text)!r} complaints. Give a whole number from 0 to {LARGEST_COUNT:,}."
        )
        flags.append(Flag("bad_count", "count", text, row, message))
        return True

    def _categorise(
        self, row: int, cells: Sequence[object], flags: list[Flag]
    ) -> tuple[tuple[str, ...], str]:
        reported = as_text(cells[self._type]).strip() if self._type >= 0 else ""
        if not reported:
            return find_categories(self._default_type), ""
        detail = as_text(cells[self._detail]).strip() if self._detail >= 0 else ""
        key = (reported, detail) if detail else reported
        if key not in self._categories:
            said = self._said.categories.get(plain_term(reported))
            if said is None:
                said = (
                    self._classify(reported, detail) if self._classify else find_categories(reported) or None
                )
            self._categories[key] = said
        codes = self._categories[key]
        if codes is None:
            flags.append(
                Flag(
                    "unknown_category",
                    "category",
                    reported,
                    row,
                    f"Row {row}: the category {_cut(reported)!r} is not known; the complaint has none. "
                    "Map it in [categories].",
                )
            )
            return find_categories(self._default_type), reported
        return codes, reported

    def _channel(self, row: int, cells: Sequence[object], flags: list[Flag]) -> str:
        word = as_text(cells[self._way]).strip() if self._way >= 0 else ""
        if not word:
            return self._default_channel
        if word not in self._channels:
            self._channels[word] = self._said.channels.get(plain_term(word)) or find_channel(word)
        if not self._channels[word]:
            message = f"Row {row}: the channel {_cut(word)!r} is not known. Map it in [channels]."
            flags.append(Flag("unknown_channel", "channel", word, row, message))
            return self._default_channel
        return self._channels[word]

    def _place(self, row: int, cells: Sequence[object], flags: list[Flag]) -> Place | None:
        lon_cell, lat_cell = cells[self._lon], cells[self._lat]
        if lon_cell in ("", None) and lat_cell in ("", None):
            return None
        value = f"{as_text(lon_cell)}, {as_text(lat_cell)}"
        try:
            lon, lat = read_degrees(lon_cell), read_degrees(lat_cell)
        except ValueError:
            flags.append(_bad_place(row, value, "is not a pair of degrees"))
            return None
        if lon == 0 and lat == 0:
            message = f"Row {row}: the point (0, 0) stands for no place; the complaint was kept without one."
            flags.append(Flag("no_place", "lon", value, row, message))
            return None
        if self._looks_swapped(lon, lat):
            flags.append(
                _bad_place(row, value, "has longitude and latitude swapped, to judge by the other rows")
            )
            return None
        if not self._crs_is_said and in_china(lon, lat):
            flags.append(
                _bad_place(row, value, "lies in China, and nobody said in which reference system (--crs)")
            )
            return None
        try:
            return place_from(lon, lat, self._crs, accuracy_m=self._accuracy_m)
        except PlaceError:
            flags.append(_bad_place(row, value, "does not lie on the globe"))
            return None

    def _looks_swapped(self, lon: float, lat: float) -> bool:
        if self._middle is None:
            # Nothing to compare with: only an impossible latitude that would do as a longitude tells.
            return abs(lat) > 90 and abs(lat) <= 180 and abs(lon) <= 90
        middle_lon, middle_lat = self._middle
        near = abs(lat - middle_lon) < 2 and abs(lon - middle_lat) < 2
        return near and not (abs(lon - middle_lon) < 10 and abs(lat - middle_lat) < 10)

    def _person_of(self, cells: Sequence[object]) -> Person | None:
        if not self._person:
            return None
        person = Person(**{name: as_text(cells[i]).strip() for name, i in self._person})
        return person or None


def _check_year(moment: datetime) -> None:
    # At the ends of the calendar a time cannot be moved to another zone.
    if not 1 < moment.year < 9999:
        raise ValueError(f"the year {moment.year}")


def _bad_place(row: int, value: str, why: str) -> Flag:
    message = f"Row {row}: the point ({_cut(value)}) {why}; the complaint was kept without a place."
    return Flag("bad_place", "lon", value, row, message)


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
