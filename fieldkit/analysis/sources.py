"""Implausible sources: one place with so many complaints that a machine or a geocoder may stand behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fieldkit.analysis import moments, texts
from fieldkit.analysis.naming import point_in_words

#: A place is implausible with more than this share of all complaints and this many times the next place's …
SHARE = 0.05
TIMES_THE_NEXT = 20
#: … or with more complaints than this on a single day.
A_DAY = 50


def warn_of_implausible_sources(points: pd.DataFrame) -> list[str]:
    """One sentence for each address or point that no neighbourhood explains; nothing is dropped.

    *points* has ``lon`` and ``lat``, and ``address`` and ``received_at`` if known. The thresholds are
    :data:`SHARE` with :data:`TIMES_THE_NEXT`, or :data:`A_DAY`. Many addresses at one point hint at a geocoder's
    fall-back point, which stands for "somewhere in this town".
    """
    if points.empty:
        return []
    days = moments(points)
    addresses = texts(points, "address")
    spots = pd.Series(points["lon"].to_numpy() + 1j * points["lat"].to_numpy()).round(6)
    found: dict[frozenset[int], str] = {}
    for keys, known in ((addresses, (addresses != "").to_numpy()), (spots, np.ones(len(points), dtype=bool))):
        for key, rows, reason in _standing_out(keys[known], days[known], len(points)):
            where = str(key) if isinstance(key, str) else point_in_words(key.real, key.imag)
            others = addresses[rows][addresses[rows] != ""].nunique()
            fall_back = (
                f", under {others:,} different addresses" if not isinstance(key, str) and others > 1 else ""
            )
            found.setdefault(
                frozenset(rows[:1000]),
                f"{len(rows):,} of {len(points):,} complaints come from one place ({where}{fall_back}): {reason}. A "
                "machine, one tireless caller or a geocoder's fall-back point? They are counted; look at them first.",
            )
    return list(found.values())


def _standing_out(keys: pd.Series[Any], days: pd.Series[Any], total: int) -> list[tuple[Any, list[int], str]]:
    counts = keys.value_counts()
    if counts.empty:
        return []
    reasons: dict[Any, str] = {}
    following = int(counts.iloc[1]) if len(counts) > 1 else 0
    first = int(counts.iloc[0])
    if first > SHARE * total and first > TIMES_THE_NEXT * max(following, 1):
        reasons[counts.index[0]] = f"{first / total:.0%} of all, and the next place has {following:,}"
    busy = counts.index[counts > A_DAY]
    if len(busy) and days.notna().any():
        rows = keys.isin(busy) & days.notna()
        daily = pd.DataFrame({"key": keys[rows], "day": days[rows].dt.floor("D")}).value_counts(
            ["key", "day"]
        )
        for key, most in daily.groupby(level="key").max().items():
            if most > A_DAY:
                reasons.setdefault(key, f"{most:,} on one day")
    return [(key, keys.index[keys == key].tolist(), reason) for key, reason in reasons.items()]
