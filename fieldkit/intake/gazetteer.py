"""Find a place by the name in an address: the office's own table of streets, estates, factories and outlets."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fieldkit.errors import IntakeError
from fieldkit.intake.csv_file import CsvTable
from fieldkit.intake.instructions import Instructions
from fieldkit.intake.rows import read_degrees
from fieldkit.places import Place, distance_m

#: Below this score (0 to 100) two names are not taken for one.
LEAST_SCORE = 75.0

COLUMNS = ("name", "alias", "kind", "district", "community", "lon", "lat", "accuracy_m")

# Entries nearer to each other than this are one place for a complaint, whatever they are called.
_SAME_PLACE_M = 60.0
# Scores nearer to each other than this do not tell two places apart.
_TIE = 4.0
_EXACT, _CONTAINED = 100.0, 95.0
_CACHE = 100_000
# What tells one estate, street or outlet from the next: such parts must be the same on both sides.
_TELLING = re.compile(r"\d+|[一二三四五六七八九十]+|[东西南北上下前后老新]|[a-z](?![a-z])")
_WORDS = {
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "street": "st",
    "avenue": "ave",
    "road": "rd",
    "boulevard": "blvd",
}


@dataclass(frozen=True, slots=True)
class Match:
    """A place found by name: *name* as the gazetteer has it, *score* from 75 to 100, and what it lies in."""

    name: str
    score: float
    place: Place
    district: str = ""
    community: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    district: str
    community: str
    lon: float
    lat: float
    accuracy_m: float | None


class Gazetteer:
    """Named places that addresses are looked up in; coordinates in WGS-84.

    Looking up is exact first (the whole text is a name or alias), then by names that the text contains, then by
    likeness; numbers and compass words in a name must be the same, so that 821 is never found for 812.
    """

    def __init__(self, places: Iterable[tuple[_Known, Sequence[str]]] = ()) -> None:
        self._by_name: dict[str, list[_Known]] = {}
        self._districts: dict[str, str] = {}
        self._plain_districts: dict[str, str] = {}
        # Names that are to be compared in a district; all districts that are not known share one list.
        self._names_of: dict[str, list[str]] = {}
        for known, aliases in places:
            for name in (known.name, *aliases):
                plain = _plain(name)
                if plain and known not in self._by_name.setdefault(plain, []):
                    self._by_name[plain].append(known)
            if known.district:
                self._plain_districts[known.district] = _plain(known.district)
                self._districts[_plain(known.district)] = known.district
        # A name of one Chinese character or of three letters would be found in any text.
        self._lengths = sorted({len(n) for n in self._by_name if _is_telling(n)}, reverse=True)
        self._names = [name for name in self._by_name if _is_telling(name)]
        self._locate = lru_cache(maxsize=_CACHE)(self._find)

    @classmethod
    def read(cls, path: Path) -> Gazetteer:
        """Read a gazetteer from CSV with the columns of :data:`COLUMNS`; aliases are separated by ``|``.

        Only name, lon and lat must be there. Raises :class:`IntakeError` naming the row that cannot be used.
        """
        table = CsvTable(path, Instructions(columns={"number": "name"}))
        missing = [name for name in ("name", "lon", "lat") if name not in table.columns]
        if missing:
            raise IntakeError(
                f"The gazetteer {path.name} has no column {missing[0]}. Its columns are: {', '.join(COLUMNS)}."
            )
        places = []
        for row in table.rows():
            if row.cells is None:
                raise IntakeError(f"The gazetteer {path.name} cannot be used: {row.flags[0].message}")
            cells = {column: str(cell).strip() for column, cell in zip(table.columns, row.cells, strict=True)}
            places.append(
                (_known(cells, path, row.number), [a for a in cells.get("alias", "").split("|") if a.strip()])
            )
        return cls(places)

    def __len__(self) -> int:
        return len({id(known) for all_known in self._by_name.values() for known in all_known})

    def locate(self, text: str, district: str = "") -> Match | None:
        """The place that *text* (an address, or a sentence with one) names, or None when none or several fit.

        With *district*, or when the text names one, only places in it (or in none) are looked at. The match's
        ``place`` has method ``gazetteer`` and needs confirming unless the whole text is the name of one place.
        """
        return self._locate(text[:300], district)

    def _find(self, text: str, district: str) -> Match | None:
        plain = _plain(text)
        if not plain:
            return None
        within = _plain(district) or self._district_in(plain)
        exact = self._only(self._in_district(self._by_name.get(plain, []), within))
        if exact:
            return _match(exact, _EXACT, confirmed=True)
        bare = plain.removeprefix(within) if within else plain
        if bare != plain:
            exact = self._only(self._in_district(self._by_name.get(bare, []), within))
            if exact:
                return _match(exact, _EXACT, confirmed=True)
        contained = self._contained(plain, within)
        if contained:
            best = self._best(contained)
            return _match(best, _CONTAINED, confirmed=False) if best else None
        return self._alike(bare, within)

    def _contained(self, plain: str, within: str) -> list[tuple[str, _Known]]:
        found: dict[str, list[_Known]] = {}
        for length in self._lengths:
            for start in range(len(plain) - length + 1):
                piece = plain[start : start + length]
                if piece not in self._by_name or not _stands_alone(plain, start, length):
                    continue
                # "Huangdu" inside "Huangdu First Community" is not a place of its own.
                if not any(piece in longer for longer in found):
                    known = self._in_district(self._by_name[piece], within)
                    if known:
                        found[piece] = known
        return [(name, known) for name, all_known in found.items() for known in all_known]

    def _best(self, contained: list[tuple[str, _Known]]) -> _Known | None:
        """Of several places that one text names, the most exactly known: the estate, not the street it lies on."""

        def rank(item: tuple[str, _Known]) -> tuple[float, int]:
            name, known = item
            return known.accuracy_m if known.accuracy_m is not None else float("inf"), -len(name)

        first = min(map(rank, contained))
        return self._only([known for name, known in contained if rank((name, known)) == first])

    def _alike(self, plain: str, within: str) -> Match | None:
        from rapidfuzz import fuzz, process

        names = self._names_within(within)
        offers = process.extract(plain, names, scorer=fuzz.ratio, score_cutoff=LEAST_SCORE + 1, limit=20)
        parts = process.extract(plain, names, scorer=fuzz.partial_ratio, score_cutoff=85, limit=20)
        scored: dict[str, float] = {}
        telling = set(_TELLING.findall(plain))
        for name, score, _ in [*offers, *((n, s * 0.9, i) for n, s, i in parts if 5 <= len(n) <= len(plain))]:
            own = set(_TELLING.findall(name))
            # A number in the text may be the house's, so only the name's own must be there.
            if own <= telling and (own or not telling or len(plain) > len(name)):
                scored[name] = max(score, scored.get(name, 0.0))
        if not scored:
            return None
        best = max(scored.values())
        near = [
            k
            for n, s in scored.items()
            if s >= best - _TIE
            for k in self._in_district(self._by_name[n], within)
        ]
        only = self._only(near)
        return _match(only, round(best, 1), confirmed=False) if only and best >= LEAST_SCORE else None

    def _district_in(self, plain: str) -> str:
        """The one district that a text names, or nothing."""
        named = [name for name in self._districts if name in plain]
        return named[0] if len(named) == 1 else ""

    def _names_within(self, within: str) -> list[str]:
        if not within:
            return self._names
        key = within if within in self._districts else "?"
        if key not in self._names_of:
            self._names_of[key] = [n for n in self._names if self._in_district(self._by_name[n], within)]
        return self._names_of[key]

    def _in_district(self, known: Sequence[_Known], within: str) -> list[_Known]:
        if not within:
            return list(known)
        return [k for k in known if not k.district or self._plain_districts[k.district] == within]

    @staticmethod
    def _only(known: Sequence[_Known]) -> _Known | None:
        """The one place meant, or None when there is none or they lie apart."""
        if not known:
            return None
        first = known[0]
        apart = any(distance_m(first.lon, first.lat, k.lon, k.lat) > _SAME_PLACE_M for k in known[1:])
        return None if apart else first


def _known(cells: dict[str, str], path: Path, row: int) -> _Known:
    try:
        lon, lat = read_degrees(cells["lon"]), read_degrees(cells["lat"])
        accuracy = float(cells["accuracy_m"]) if cells.get("accuracy_m") else None
        if not cells["name"] or not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise ValueError("no name or a point that is not on the globe")
        if accuracy is not None and not 0 <= accuracy < math.inf:
            raise ValueError(f"accuracy_m is {accuracy}, which is no distance in metres")
    except ValueError as error:
        raise IntakeError(
            f"Row {row} of the gazetteer {path.name} cannot be used: {error}. Mend or delete it."
        ) from error
    return _Known(cells["name"], cells.get("district", ""), cells.get("community", ""), lon, lat, accuracy)


def _match(known: _Known, score: float, *, confirmed: bool) -> Match:
    place = Place(
        known.lon,
        known.lat,
        method="gazetteer",
        score=score,
        needs_confirming=not confirmed,
        accuracy_m=known.accuracy_m,
    )
    return Match(known.name, score, place, known.district, known.community)


def _plain(text: str) -> str:
    """A name without differences of width, case, spacing and punctuation; English words keep one space between them."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())
    words = [_WORDS.get(word, word) for word in words]
    joined = " ".join(words)
    # Spaces part Latin words only; Chinese is written without them.
    return re.sub(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])", "", joined)


def _is_telling(name: str) -> bool:
    return len(name) >= (4 if name.isascii() else 2)


def _stands_alone(text: str, start: int, length: int) -> bool:
    """Whether the piece is not cut out of a longer number or Latin word."""
    for left, right in ((start - 1, start), (start + length - 1, start + length)):
        if left >= 0 and right < len(text):
            a, b = text[left], text[right]
            if a.isascii() and b.isascii() and a.isalnum() and b.isalnum():
                return False
    return True
