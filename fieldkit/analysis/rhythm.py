"""Rhythm: at which hours of which weekdays complaints are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fieldkit.analysis import (
    CAUTION,
    CAUTION_ZH,
    EXACT_TO_THE_HOUR,
    checked_options,
    describe,
    moments,
    texts,
)

SOURCE = "Counts by hour and weekday; no statistical test."

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKDAYS_ZH = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")
#: The same for the edge of a table or picture, in Chinese and in English.
SHORT_WEEKDAYS = tuple((f"周{zh[-1]}", en[:3]) for zh, en in zip(WEEKDAYS_ZH, WEEKDAYS, strict=True))

#: Night in the sense of China's noise law: 22:00 to 06:00.
NIGHT_HOURS = (22, 23, 0, 1, 2, 3, 4, 5)


def count_rhythm(frame: pd.DataFrame) -> pd.DataFrame:
    """Count complaints by weekday (index, 0 = Monday) and hour (columns, 0 to 23) in the frame's own time zone.

    The hour is that of ``occurred_at`` where it is known, else of ``received_at``. Only complaints whose
    ``precision`` is second or hour count; the others have no hour, and ``attrs["parameters"]`` says how many were
    left out. A frame without ``precision`` is taken as exact, unless every time in it is midnight. Raises
    :class:`AnalysisError` when a column of times holds no times.
    """
    received, occurred = moments(frame), moments(frame, "occurred_at")
    local = _clock_times(received, occurred)
    if "precision" in frame.columns:
        exact = texts(frame, "precision").isin(EXACT_TO_THE_HOUR) & local.notna()
    else:
        known = local.dropna()
        exact = local.notna() & bool((known != known.dt.normalize()).any())
    times = local[exact]
    cells = np.bincount(times.dt.day_of_week * 24 + times.dt.hour, minlength=168).reshape(7, 24)
    table = pd.DataFrame(
        cells, index=pd.RangeIndex(7, name="weekday"), columns=pd.RangeIndex(24, name="hour")
    )
    left_out = len(frame) - len(times)
    sentence, sentence_zh = _in_words(table, left_out)
    describe(
        table,
        frame,
        method="counts by weekday and hour, occurred_at where known, else received_at",
        parameters={
            "complaints": len(times),
            "left_out": left_out,
            "occurred_at_used": int(occurred[exact].notna().sum()),
        },
        source=SOURCE,
        sentence=sentence,
        sentence_zh=sentence_zh,
    )
    return table


def _clock_times(received: pd.Series[Any], occurred: pd.Series[Any]) -> pd.Series[Any]:
    """The local clock time of each complaint, without zone: what the wall clock showed."""
    zone = received.dt.tz or occurred.dt.tz
    clocks = []
    for times in (occurred, received):
        if times.dt.tz is not None:
            times = times.dt.tz_convert(zone).dt.tz_localize(None)
        clocks.append(times.astype("datetime64[us]"))
    return clocks[0].where(clocks[0].notna(), clocks[1])


def _in_words(table: pd.DataFrame, left_out: int) -> tuple[str, str]:
    total = int(table.to_numpy().sum())
    missing = (
        f" {left_out:,} are left out because their time is coarser than an hour or missing."
        if left_out
        else ""
    )
    missing_zh = f"另有{left_out:,}件因时间不精确到小时而未计入。" if left_out else ""
    if not total:
        return f"No complaint has a time exact to the hour.{missing} {CAUTION}", (
            f"没有精确到小时的投诉时间。{missing_zh}{CAUTION_ZH}"
        )
    day = int(table.sum(axis=1).to_numpy().argmax())
    hour = int(table.sum(axis=0).to_numpy().argmax())
    night = f"{table[list(NIGHT_HOURS)].to_numpy().sum() / total:.0%}"
    english = (
        f"Of {total:,} complaints with a time most come on {WEEKDAYS[day]} and between {hour}:00 and {hour + 1}:00; "
        f"{night} come at night (22:00 to 06:00).{missing} {CAUTION}"
    )
    chinese = (
        f"{total:,}件有时间的投诉中，{WEEKDAYS_ZH[day]}最多，{hour}时至{hour + 1}时最多；"
        f"夜间（22时至次日6时）占{night}。{missing_zh}{CAUTION_ZH}"
    )
    return english, chinese


class Rhythm:
    """The analysis ``rhythm``: :func:`count_rhythm` as a plugin."""

    title = "Rhythm of the week (hour by weekday)"
    source = SOURCE

    def run(self, frame: pd.DataFrame, *, seed: int = 0, **options: Any) -> pd.DataFrame:
        """Count by hour and weekday; there are no options, and *seed* changes nothing."""
        table = count_rhythm(frame, **checked_options(count_rhythm, options))
        table.attrs["seed"] = seed
        return table
