"""Where things are in the demonstration city: the gazetteer's places, and sites made from them."""

from __future__ import annotations

import csv
import math
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from random import Random
from zlib import crc32

from fieldkit.demo.figures import load
from fieldkit.demo.layers import gazetteer_path

#: The districts in the order in which ``figures.toml`` gives their shares.
DISTRICTS = ("利州区", "昭化区", "朝天区", "旺苍县", "青川县", "剑阁县", "苍溪县")

#: Places of the named stories, from which nothing else is reported, so that the truth about repeats stays clear.
RESERVED = ("八二一社区", "皇都一社区")

METRES_PER_DEGREE = 111_195.0  # of latitude, on the mean radius


@dataclass(frozen=True, slots=True)
class Known:
    """A row of the gazetteer: a place by its Chinese *name*, other names, English name, and where it is (WGS-84).

    *accuracy_m* is the radius in metres within which everything called by this name lies.
    """

    name: str
    aliases: tuple[str, ...]
    name_en: str
    kind: str
    district: str
    community: str
    lon: float
    lat: float
    accuracy_m: float


@dataclass(frozen=True, slots=True)
class Site:
    """The spot a matter is about: its address in both languages and its point in WGS-84.

    *other_address* is the same address with the place called by another of its names. A site without *district* is
    one that nobody can find, and its point means nothing.
    """

    address: str
    other_address: str
    address_en: str
    district: str
    community: str
    lon: float
    lat: float


@cache
def gazetteer() -> tuple[Known, ...]:
    """All rows of the gazetteer, in the file's order."""
    with gazetteer_path().open(encoding="utf-8", newline="") as file:
        return tuple(_known(row) for row in csv.DictReader(file))


def _known(row: dict[str, str]) -> Known:
    *aliases, name_en = row["alias"].split("|")
    lon, lat, accuracy_m = (float(row[key]) for key in ("lon", "lat", "accuracy_m"))
    return Known(
        row["name"],
        tuple(aliases),
        name_en,
        row["kind"],
        row["district"],
        row["community"],
        lon,
        lat,
        accuracy_m,
    )


@cache
def district_names() -> dict[str, str]:
    """The English name of each district."""
    return {known.name: known.name_en for known in gazetteer() if known.kind == "district"}


class Sites:
    """Draws sites of one profile of ``figures.toml``: districts by their shares, places of the profile's kinds.

    Some places get more than their share, always the same ones, so that there are hot spots to be found.
    """

    def __init__(self, profile: str) -> None:
        settings = load("figures.toml")["places"][profile]
        self._inside = settings.get("inside", False)
        self._places = [
            known for known in gazetteer() if known.kind in settings["kinds"] and known.name not in RESERVED
        ]
        weights = [self._weight(known, settings.get("hot", ())) for known in self._places]
        shares = dict(zip(DISTRICTS, settings["districts"], strict=True))
        sums = dict.fromkeys(DISTRICTS, 0.0)
        for known, weight in zip(self._places, weights, strict=True):
            sums[known.district] += weight
        self._bounds = list(
            accumulate(
                shares[known.district] * weight / sums[known.district]
                for known, weight in zip(self._places, weights, strict=True)
            )
        )

    @staticmethod
    def _weight(known: Known, hot: Sequence[str]) -> float:
        return (0.3 + (crc32(known.name.encode()) % 100 / 100) ** 3 * 3) * (8 if known.name in hot else 1)

    def draw(self, rng: Random) -> Site:
        """A site at one of the profile's places."""
        known = self._places[bisect(self._bounds, rng.random() * self._bounds[-1])]
        if self._inside:
            return _in_community(known, rng, inside=True)
        return _ADDRESSES[known.kind](known, rng)


def vague_site(rng: Random) -> Site:
    """A site that no gazetteer can find, in the words of somebody who does not say where it is."""
    zh, en = rng.choice(load("sentences/frames.toml")["vague"]["places"])
    return Site(zh, zh, en, "", "", 0.0, 0.0)


def _site(known: Known, zh: str, en: str, along: float, across: float) -> Site:
    """A site at *known*; *along* and *across*, -1 to 1, say where on the place's own axis and beside it."""
    other = known.aliases[0] if known.aliases else known.name
    bearing = crc32(known.name.encode()) % 360 * math.pi / 180
    # Nothing lies further from the place's point than its accuracy says.
    x, y = along * 0.8 * known.accuracy_m, across * 0.25 * known.accuracy_m
    east, north = x * math.cos(bearing) - y * math.sin(bearing), x * math.sin(bearing) + y * math.cos(bearing)
    lat = known.lat + north / METRES_PER_DEGREE
    lon = known.lon + east / (METRES_PER_DEGREE * math.cos(math.radians(known.lat)))
    return Site(
        address=known.district + known.name + zh,
        other_address=other + zh if other[:2] == known.district[:2] else known.district + other + zh,
        address_en=f"{en}, {district_names()[known.district]}",
        district=known.district,
        community=known.community,
        lon=round(lon, 6),
        lat=round(lat, 6),
    )


def _spread(text: str) -> float:
    """A number from -1 to 1 that is always the same for *text*."""
    return crc32(text.encode()) % 2001 / 1000 - 1


def _on_street(known: Known, rng: Random) -> Site:
    # Squared, so that the low numbers of a street, where it is busiest, come more often.
    number = 1 + int(rng.random() ** 1.6 * 160)
    zh, en = rng.choice((("号附近", "near"), ("号旁边", "beside"), ("号对面", "opposite")))
    side = 1.0 if number % 2 else -1.0
    return _site(known, f"{number}{zh}", f"{en} No. {number}, {known.name_en}", number / 80 - 1, side * 0.5)


def _in_community(known: Known, rng: Random, inside: bool = False) -> Site:
    building = 1 + int(rng.random() ** 1.5 * 18)
    zh, en = rng.choice((("号楼附近", "near"), ("号楼旁", "beside"), ("号楼后面", "behind")))
    key = f"{known.name}{building}"
    if inside:
        zh, en = "号楼", "at"
    return _site(
        known,
        f"{building}{zh}",
        f"{en} Building {building}, {known.name_en}",
        _spread(key),
        _spread(key[::-1]),
    )


def _in_lane(known: Known, rng: Random) -> Site:
    lane, lane_en = rng.choice(load("names.toml")["lane"])
    number = 1 + int(rng.random() ** 1.5 * 60)
    where = _spread(known.name + lane)
    return _site(
        known,
        f"{lane}{number}号附近",
        f"near No. {number}, {lane_en}, {known.name_en}",
        where,
        number / 30 - 1,
    )


def _in_town(known: Known, rng: Random) -> Site:
    if rng.random() < 0.35:
        number = 1 + int(rng.random() ** 1.5 * 90)
        en = f"near No. {number} on the market street of {known.name_en}"
        return _site(known, f"场镇{number}号附近", en, (number / 45 - 1) * 0.25, _spread(str(number)) * 0.3)
    village, village_en = rng.choice(load("names.toml")["village"])
    group = rng.randint(1, 8)
    key = f"{known.name}{village}{group}"
    en = f"in Group {group} of {village_en} Village, {known.name_en}"
    return _site(known, f"{village}村{group}组", en, _spread(key), _spread(key[::-1]))


def _in_park(known: Known, rng: Random) -> Site:
    plot = rng.randint(1, 24)
    key = f"{known.name}{plot}"
    en = f"on Plot {plot} of {known.name_en}"
    return _site(known, f"{plot}号地块", en, _spread(key), _spread(key[::-1]))


def _on_river(known: Known, rng: Random) -> Site:
    mark, mark_en = rng.choice(load("names.toml")["bank"])
    metres = rng.randint(1, 40) * 10
    side, side_en = rng.choice((("下游", "below"), ("上游", "above")))
    along = _spread(known.name + mark) * 0.6 + (metres if side == "下游" else -metres) / 1200
    en = f"some {metres} m {side_en} {mark_en} on the {known.name_en}"
    return _site(known, f"{mark}{side}约{metres}米处", en, along, 0.1)


def _at_landmark(known: Known, rng: Random) -> Site:
    corner, corner_en = rng.choice(
        (
            ("东侧", "the east side of"),
            ("西侧", "the west side of"),
            ("入口处", "the entrance of"),
            ("北侧", "the north side of"),
        )
    )
    number = rng.randint(1, 12)
    en = f"at lamp post {number} on {corner_en} {known.name_en}"
    return _site(known, f"{corner}{number}号灯杆旁", en, _spread(corner), number / 6 - 1)


_ADDRESSES: dict[str, Callable[[Known, Random], Site]] = {
    "street": _on_street,
    "community": _in_community,
    "subdistrict": _in_lane,
    "town": _in_town,
    "park": _in_park,
    "river": _on_river,
    "landmark": _at_landmark,
}
