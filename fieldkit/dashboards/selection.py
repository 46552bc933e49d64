"""Complaints held as codes, so that a dashboard's filter is answered by arithmetic on arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from fieldkit.vocabulary import channels, main_category

#: The choice "no category", which is none of the vocabulary's codes.
NONE = "none"

_GROUP = "group:"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a dashboard is filtered by; '' and None mean everything.

    *category* is a main category's code or :data:`NONE`; *channel* a channel's code or ``group:`` and a channel
    group's; *district* a name; *since* is the first day, *until* the last day, both counted in.
    """

    category: str = ""
    channel: str = ""
    district: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def year_before(self) -> Choice:
        """The same choice for the same days one year earlier (29 February becomes 28)."""
        return replace(self, since=_year_earlier(self.since), until=_year_earlier(self.until))


def _year_earlier(day: date | None) -> date | None:
    if day is None:
        return None
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)


@dataclass(frozen=True, slots=True)
class Codes:
    """One column as small integers; *names* says what they stand for, -1 is none."""

    names: tuple[str, ...]
    values: np.ndarray[Any, Any]

    @classmethod
    def of(cls, frame: pd.DataFrame, column: str, main: bool = False) -> Codes:
        """The codes of *column*; a missing column and empty texts are none; *main* cuts to main categories."""
        if column not in frame:
            return cls((), np.full(len(frame), -1, dtype=np.int16))
        as_category = frame[column].astype("category").cat
        old = as_category.codes.to_numpy()
        labels = [str(name) for name in as_category.categories]
        renamed = [main_category(name) if main else name for name in labels]
        names = tuple(dict.fromkeys(name for name in renamed if name))
        to_new = np.array([names.index(name) if name else -1 for name in renamed] + [-1], dtype=np.int16)
        return cls(names, to_new[old])

    def equal(self, name: str) -> np.ndarray[Any, Any]:
        """Which rows carry *name*; a name that does not occur is carried by none."""
        same: np.ndarray[Any, Any] = self.values == (self.names.index(name) if name in self.names else -2)
        return same

    def count(self, mask: np.ndarray[Any, Any]) -> dict[str, int]:
        """How many rows of *mask* carry each name, and :data:`NONE` where any carry none."""
        counts = np.bincount(self.values[mask] + 1, minlength=len(self.names) + 1)
        found = {name: int(number) for name, number in zip(self.names, counts[1:], strict=True)}
        return found | ({NONE: int(counts[0])} if counts[0] else {})


class CodedComplaints:
    """A complaints frame with its filter columns as codes.

    *known_to* is ``year`` or ``month`` when no complaint is known more exactly, else ``day``; *first_day* and
    *last_day* are the days that the complaints reach from and to.
    Times are the frame's own wall clock: a day here is a day in the workspace's time zone.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.category = Codes.of(frame, "category", main=True)
        self.channel = Codes.of(frame, "channel")
        self.district = Codes.of(frame, "district")
        received = _wall_clock(frame["received_at"])
        self.day = received.to_numpy().astype("datetime64[D]").astype(np.int32)
        self.first_day = _day(self.day.min()) if len(frame) else None
        self.known_to = _exactness(frame)
        self.last_day = _last_day_of(_day(self.day.max()), self.known_to) if len(frame) else None
        self.hour_of_week = _hour_of_week(frame, received)
        self.lon = _numbers(frame, "lon")
        self.lat = _numbers(frame, "lat")
        self.located = np.isfinite(self.lon) & np.isfinite(self.lat)

    def __len__(self) -> int:
        return len(self.frame)

    def mask(self, choice: Choice) -> np.ndarray[Any, Any]:
        """Which rows *choice* leaves, as an array of bool."""
        keep = np.ones(len(self), dtype=bool)
        if choice.category:
            keep &= (
                self.category.values < 0 if choice.category == NONE else self.category.equal(choice.category)
            )
        if choice.channel.startswith(_GROUP):
            group = choice.channel.removeprefix(_GROUP)
            keep &= np.isin(
                self.channel.values,
                [n for n, code in enumerate(self.channel.names) if group_of(code) == group],
            )
        elif choice.channel:
            keep &= self.channel.equal(choice.channel)
        if choice.district:
            keep &= self.district.equal(choice.district)
        if choice.since is not None:
            keep &= self.day >= _number(choice.since)
        if choice.until is not None:
            keep &= self.day <= _number(choice.until)
        return keep

    def rhythm(self, mask: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], int]:
        """Complaints by weekday (0 Monday) and hour, shape (7, 24), and how many have no hour to count."""
        hours = self.hour_of_week[mask]
        counted = hours[hours >= 0]
        return np.bincount(counted, minlength=168).reshape(7, 24), int(hours.size - counted.size)

    def covers(self, choice: Choice) -> bool:
        """Whether complaints were kept all through the days of *choice*.

        A ledger that begins in the first two weeks counts: offices open after the holidays.
        """
        if self.first_day is None or choice.since is None:
            return False
        return choice.since >= self.first_day - timedelta(days=14)


def group_of(channel: str) -> str:
    """The channel group that *channel* is counted under; an unknown channel is its own."""
    known = channels().get(channel)
    return channel if known is None else known.group


def in_group(group: str) -> str:
    """How a :class:`Choice` names a channel group."""
    return _GROUP + group


def _exactness(frame: pd.DataFrame) -> str:
    known = set(frame["precision"].astype(str).unique()) if "precision" in frame else set[str]()
    if known == {"year"}:
        return "year"
    return "month" if known and known <= {"year", "month"} else "day"


def _last_day_of(day: date, known_to: str) -> date:
    """The last day of the year or month that *day* stands for, or *day* itself."""
    if known_to == "year":
        return date(day.year, 12, 31)
    if known_to == "month":
        return (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return day


def _wall_clock(times: pd.Series) -> pd.Series:
    return times.dt.tz_localize(None) if times.dt.tz is not None else times


def _hour_of_week(frame: pd.DataFrame, received: pd.Series) -> np.ndarray[Any, Any]:
    when = received
    if "occurred_at" in frame and frame["occurred_at"].notna().any():
        occurred = _wall_clock(frame["occurred_at"])
        when = occurred.where(occurred.notna(), received)
    code: np.ndarray[Any, Any] = (
        (when.dt.day_of_week * 24 + when.dt.hour).fillna(-1).to_numpy().astype(np.int16)
    )
    if "precision" in frame:
        code[~frame["precision"].isin(["second", "hour"]).to_numpy()] = -1
    return code


def _numbers(frame: pd.DataFrame, column: str) -> np.ndarray[Any, Any]:
    if column not in frame:
        return np.full(len(frame), np.nan)
    return frame[column].to_numpy(dtype=float, na_value=np.nan)


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=int(number))
