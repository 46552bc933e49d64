"""Matters that are reported more than once: the two written stories, and a bounded memory of everything else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from fieldkit.complaints import Person
from fieldkit.demo.figures import load
from fieldkit.demo.geography import Site
from fieldkit.demo.texts import Kind, Pair, Source

TIME_ZONE = ZoneInfo("Asia/Shanghai")

#: The stories in the 2017 demonstration ledger by name, with their titles in Chinese and English. The first two are
#: written out, one matter each; ``summer_nights`` marks building sites and places of entertainment reported for
#: 21:00 to 02:00, June to September, in Lizhou District.
STORIES: dict[str, Pair] = {
    "transformers_821": ("八二一社区变压器噪声", "The transformers of the 821 Community"),
    "distribution_room_huangdu": (
        "皇都一社区配电房低频噪声",
        "The distribution room of the Huangdu First Community",
    ),
    "summer_nights": ("夏夜施工与娱乐噪声", "Construction and entertainment noise on summer nights"),
}

_SHARE_OF_REPEATS = 0.17
_FORGET_AFTER_DAYS = 160
_LEAVE_AFTER_REPORTS = 5


@dataclass(slots=True)
class Matter:
    """One matter as the city remembers it: what and where, who last reported it, and how often."""

    kind: Kind
    site: Site
    source: Source
    person: Person
    number: str
    first_on: date
    last_on: date
    count: int = 1


class Memory:
    """The matters of one kind that may come up again; holds at most *size*, whatever the number of complaints."""

    def __init__(self, rng: Random, size: int, a_day: float) -> None:
        self._rng = rng
        self._matters: list[Matter] = []
        self._size = size
        # So that a matter stays for about a month once the memory is full.
        self._admit = min(1.0, size / 30 / max(a_day, 1e-9))

    def remember(self, matter: Matter) -> None:
        """Keep *matter*; a full memory forgets another one for it, or is too busy to notice."""
        if len(self._matters) < self._size:
            self._matters.append(matter)
        elif self._rng.random() < self._admit:
            self._matters[self._rng.randrange(self._size)] = matter

    def recall(self, day: date) -> Matter | None:
        """A matter that is reported again on *day*, or None: the report is about something new."""
        rng = self._rng
        if rng.random() >= _SHARE_OF_REPEATS * 1.3 or not self._matters:
            return None
        index = rng.randrange(len(self._matters))
        matter = self._matters[index]
        gap = (day - matter.last_on).days
        if gap > _FORGET_AFTER_DAYS or matter.count >= _LEAVE_AFTER_REPORTS:
            self._matters[index] = self._matters[-1]
            self._matters.pop()
            return None
        return matter if gap >= 1 else None


def draw_relation(rng: Random, gap_days: int) -> tuple[str, str]:
    """How a repeat *gap_days* after the report before it relates to the matter, and the cause of a recurrence."""
    if gap_days <= 14:
        weights = (60, 40, 0)
    elif gap_days <= 40:
        weights = (20, 50, 30)
    else:
        weights = (5, 20, 75)
    relation = rng.choices(("duplicate", "follow_up", "recurrence"), weights)[0]
    if relation != "recurrence":
        return relation, ""
    causes = ("late", "incomplete_rectification", "new_event", "dissatisfied")
    return relation, rng.choices(causes, (30, 33, 20, 17))[0]


@dataclass(frozen=True, slots=True)
class Told:
    """One written complaint of a story, with the matter it belongs to."""

    story: str
    code: str
    address: str
    source: str
    community: str
    point: tuple[float, float]
    at: datetime
    occurred_at: datetime | None
    precision: str
    channel: str
    relation: str
    cause: str
    person: int
    has_place: bool
    zh: str
    en: str


@cache
def told() -> tuple[Told, ...]:
    """Every complaint of the written stories, in order of receipt."""
    rows = [
        _told(name, story, row) for name, story in load("stories.toml").items() for row in story["complaint"]
    ]
    return tuple(sorted(rows, key=lambda one: one.at))


def _told(name: str, story: dict[str, Any], row: dict[str, Any]) -> Told:
    occurred: datetime | None = row.get("occurred")
    lon, lat = story["point"]
    return Told(
        story=name,
        code=story["code"],
        address=story["address"],
        source=story["source"],
        community=story["where"],
        point=(lon, lat),
        at=row["at"].replace(tzinfo=TIME_ZONE),
        occurred_at=occurred.replace(tzinfo=TIME_ZONE) if occurred else None,
        precision=row.get("precision", "second"),
        channel=row["channel"],
        relation=row.get("relation", ""),
        cause=row.get("cause", ""),
        person=row["person"],
        has_place=row.get("place", True),
        zh=row["zh"],
        en=row["en"],
    )
