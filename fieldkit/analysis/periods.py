"""Periods: how many complaints in a period, against the same period a year before."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from fieldkit.analysis import (
    CAUTION,
    CAUTION_ZH,
    checked_options,
    describe,
    moments,
    one_of,
    require_columns,
    texts,
)
from fieldkit.errors import AnalysisError

SOURCE = "Counts by group and period; no statistical test."

GROUPS = ("channel", "category", "district")


def compare_periods(frame: pd.DataFrame, *, since: Any, until: Any, by: str = "channel") -> pd.DataFrame:
    """Count the complaints received from *since* up to but not including *until*, and a year before, by group.

    *since* and *until* are dates or times (text as 2017-01-31 too), in the frame's time zone where they have none;
    29 February becomes the 28th a year before. *by* is ``channel``, ``category`` or ``district``. A complaint known
    to the month counts only where the period begins and ends with a month, one known to the year only where it
    begins and ends with a year; ``attrs`` says how many are left out for that.

    The result has ``group`` (a code or name; '' for complaints without one), ``now``, ``year_before`` and
    ``change``, the relative change: 0.25 is a quarter more; NaN when there was none a year before. The largest
    group comes first. Raises :class:`AnalysisError` for a period that is none and for another *by*.
    """
    by = one_of("by", by, GROUPS)
    require_columns(frame, "received_at", by)
    received = moments(frame)
    start, end = (
        _moment(name, value, received.dt.tz) for name, value in (("since", since), ("until", until))
    )
    if start >= end:
        raise AnalysisError(
            f"The period from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} is empty. until comes after since."
        )
    year = pd.DateOffset(years=1)
    now = (received >= start) & (received < end)
    before = (received >= start - year) & (received < end - year)
    precise = _precise_enough(frame, start, end)
    left_out = int(((now | before) & ~precise).sum())
    groups = texts(frame, by)
    table = pd.DataFrame(
        {"now": groups[now & precise].value_counts(), "year_before": groups[before & precise].value_counts()}
    )
    table = table.fillna(0).astype(np.int64).rename_axis("group").reset_index()
    with np.errstate(divide="ignore", invalid="ignore"):
        change = (table["now"] - table["year_before"]) / table["year_before"].to_numpy(dtype=float)
    table["change"] = change.where(table["year_before"] > 0, np.nan)
    table = table.sort_values(
        ["now", "year_before", "group"], ascending=[False, False, True], ignore_index=True
    )
    totals = {"now": int(table["now"].sum()), "year_before": int(table["year_before"].sum())}
    parameters = {
        "since": start.isoformat(),
        "until": end.isoformat(),
        "by": by,
        **totals,
        "left_out": left_out,
    }
    sentence, sentence_zh = _in_words(start, end, totals, left_out)
    describe(
        table,
        frame,
        method="counts in the period and in the same period a year before",
        parameters=parameters,
        source=SOURCE,
        sentence=sentence,
        sentence_zh=sentence_zh,
        warnings=_warn_of_gaps(received, start, end),
    )
    return table


def _moment(name: str, value: Any, zone: Any) -> pd.Timestamp:
    try:
        moment = pd.Timestamp(value)
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"{name} is {value!r}, which is no date. Give one like 2017-01-31.") from error
    if pd.isna(moment):
        raise AnalysisError(f"{name} is {value!r}, which is no date. Give one like 2017-01-31.")
    if moment.tzinfo is None:
        return moment.tz_localize(zone) if zone is not None else moment
    return moment.tz_convert(zone) if zone is not None else moment.tz_localize(None)


def _precise_enough(frame: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.Series[bool]:
    """Whether each complaint's time is known well enough to say that it lies in the period."""
    if "precision" not in frame.columns:
        return pd.Series(True, index=frame.index)
    edges = (start, end)
    whole_days = all(edge == edge.normalize() for edge in edges)
    accepted = ["second", "hour"]
    if whole_days:
        accepted.append("day")
        if all(edge.day == 1 for edge in edges):
            accepted.append("month")
        if all(edge.day == 1 and edge.month == 1 for edge in edges):
            accepted.append("year")
    return texts(frame, "precision").isin(accepted)


def _warn_of_gaps(received: pd.Series[Any], start: pd.Timestamp, end: pd.Timestamp) -> list[str]:
    first, last = received.min(), received.max()
    if pd.isna(first):
        return []
    warnings = []
    before = start - pd.DateOffset(years=1)
    if first.normalize() > before:
        warnings.append(
            f"The first complaint is of {first:%Y-%m-%d}; the year before from {before:%Y-%m-%d} on is not covered."
        )
    if last < end - pd.Timedelta(days=1):
        warnings.append(
            f"The last complaint is of {last:%Y-%m-%d}; the period until {end:%Y-%m-%d} may not be over."
        )
    return warnings


def _in_words(
    start: pd.Timestamp, end: pd.Timestamp, totals: dict[str, int], left_out: int
) -> tuple[str, str]:
    now, before = totals["now"], totals["year_before"]
    change = f"{(now - before) / before:+.0%}" if before else ""
    compared = f"against {before:,} a year before ({change})" if before else "and none a year before"
    compared_zh = f"上年同期{before:,}件（{change}）" if before else "上年同期为0件"
    period = f"from {start:%Y-%m-%d} up to but not including {end:%Y-%m-%d}"
    missing = f" {left_out:,} are left out because their date is not exact enough." if left_out else ""
    missing_zh = f"另有{left_out:,}件因日期不够精确未计入。" if left_out else ""
    english = f"{now:,} complaints {period}, {compared}.{missing} {CAUTION}"
    chinese = (
        f"{start:%Y-%m-%d}至{end:%Y-%m-%d}（不含当日）投诉{now:,}件，{compared_zh}。{missing_zh}{CAUTION_ZH}"
    )
    return english, chinese


class Periods:
    """The analysis ``periods``: :func:`compare_periods` as a plugin."""

    title = "A period against the year before"
    source = SOURCE
    takes_period = True

    def run(self, frame: pd.DataFrame, *, seed: int = 0, **options: Any) -> pd.DataFrame:
        """Compare periods; the options are those of :func:`compare_periods`. *seed* changes nothing.

        Without *until* the period ends with the day of the last complaint, without *since* it begins with the year.
        """
        options = checked_options(compare_periods, options)
        if options.get("until") is None:
            last = moments(frame).max()
            if pd.isna(last):
                raise AnalysisError(
                    "No complaint has a time, so no period can be chosen. Say since and until."
                )
            options["until"] = last.date() + pd.Timedelta(days=1)
        if options.get("since") is None:
            last_day = pd.Timestamp(options["until"]) - pd.Timedelta(days=1)
            options["since"] = date(last_day.year, 1, 1)
        table = compare_periods(frame, **options)
        table.attrs["seed"] = seed
        return table
