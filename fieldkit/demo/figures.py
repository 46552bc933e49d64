"""How many complaints the demonstration city receives: the bureau's figures for 2017, invented ones for 2016."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib import resources
from typing import Any

from fieldkit import vocabulary
from fieldkit.errors import FieldkitError


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of one year, *since* inclusive and *until* exclusive, and what is received in it at scale 1.

    *channels* counts by channel code, *categories* by main category, the empty code being complaints without one;
    both add up to the same total. *stories* says whether the two named stories happen in it.
    """

    year: int
    since: date
    until: date
    channels: Mapping[str, int]
    categories: Mapping[str, int]
    stories: bool = False

    @property
    def total(self) -> int:
        """The number of complaints received at scale 1."""
        return sum(self.channels.values())

    @property
    def days(self) -> list[date]:
        """Every day of the period, in order."""
        return [self.since + timedelta(days=n) for n in range((self.until - self.since).days)]


@cache
def load(name: str) -> dict[str, Any]:
    """One of this package's TOML files as a dict, read once."""
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))


@cache
def periods(year: int) -> tuple[Period, ...]:
    """The periods of *year* in order; raises :class:`FieldkitError` for a year the city has no figures for."""
    rows = load("figures.toml")["period"]
    found = tuple(Period(**row) for row in rows if row["year"] == year)
    if not found:
        known = ", ".join(sorted({str(row["year"]) for row in rows}))
        raise FieldkitError(
            f"The demonstration city has no complaints for {year!r}. It has them for {known}."
        )
    return found


@cache
def _office_days() -> tuple[frozenset[date], frozenset[date]]:
    office = load("figures.toml")["office"]
    return frozenset(office["closed"]), frozenset(office["open"])


def office_is_open(day: date) -> bool:
    """Whether letters are opened and visitors received on *day*: no weekend or public holiday, or a make-up workday."""
    closed, extra = _office_days()
    return day in extra or (day.weekday() < 5 and day not in closed)


def expected_counts(year: int = 2017, scale: int = 1) -> dict[str, Any]:
    """What :func:`~fieldkit.demo.make_complaints` yields up to the end of November of *year*.

    Keys: ``total``, ``since``, ``until`` (exclusive), ``channels`` (by group, in the report's order), ``categories``
    (by main category), ``categorised`` (their sum), ``without_category``, and ``sentence``, a dict of language to the
    plain words that say that the categories do not add up to the total. For 2017 and *scale* 1 these are the
    bureau's published figures; 2016 is invented. Raises :class:`FieldkitError` for any other year.
    """
    period = periods(year)[0]
    groups: dict[str, int] = {}
    for channel, count in period.channels.items():
        group = vocabulary.channels()[channel].group
        groups[group] = groups.get(group, 0) + count * scale
    categories = {code: count * scale for code, count in period.categories.items() if code}
    total, categorised = period.total * scale, sum(categories.values())
    without = total - categorised
    return {
        "total": total,
        "since": period.since,
        "until": period.until,
        "channels": groups,
        "categories": categories,
        "categorised": categorised,
        "without_category": without,
        "sentence": {
            "en": f"The categories add up to {categorised}, not to the {total} complaints received: "
            f"{without} complaints have no category.",
            "zh": f"各污染类别合计{categorised}件，与受理总数{total}件不一致：有{without}件没有类别。",
        },
    }
