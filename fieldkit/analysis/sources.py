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

#: So many places are named in the warnings, those with most complaints; of the others, how many they are.
MOST_NAMED = 5


def warn_of_implausible_sources(points: pd.DataFrame) -> list[str]:
    """One sentence for each address or point that no neighbourhood explains, the largest first; nothing is dropped.

    *points* has ``lon`` and ``lat``, and ``address`` and ``received_at`` if known. The thresholds are
    :data:`SHARE` with :data:`TIMES_THE_NEXT`, or :data:`A_DAY`. Many addresses at one point hint at a geocoder's
    fall-back point, which stands for "somewhere in this town".
    """
    if points.empty:
        return []
    days = moments(points)
    if "precision" in points.columns:
        days = days.where(~points["precision"].isin(["month", "year"]))  # stand for the first day of it
    addresses = texts(points, "address")
    spots = pd.Series(points["lon"].to_numpy() + 1j * points["lat"].to_numpy()).round(6)
    found: dict[tuple[int, int], tuple[int, str]] = {}
    for keys, known in ((addresses, (addresses != "").to_numpy()), (spots, np.ones(len(points), dtype=bool))):
        for key, rows, reason in _standing_out(keys.to_numpy(), known, days, len(points)):
            where = str(key) if isinstance(key, str) else point_in_words(key.real, key.imag)
            others = addresses.iloc[rows]
            other = others[others != ""].nunique()
            fall_back = (
                f", under {other:,} different addresses" if not isinstance(key, str) and other > 1 else ""
            )
            found.setdefault(
                (len(rows), int(rows[0])),
                (
                    len(rows),
                    f"{len(rows):,} of {len(points):,} complaints come from one place ({where}{fall_back}): {reason}. "
                    "A machine, one tireless caller or a geocoder's fall-back point? They are counted; look at them "
                    "first.",
                ),
            )
    sentences = [sentence for _, sentence in sorted(found.values(), key=lambda one: -one[0])]
    if len(sentences) <= MOST_NAMED:
        return sentences
    return [
        *sentences[:MOST_NAMED],
        f"{len(sentences) - MOST_NAMED:,} more places stand out in the same way.",
    ]


def _standing_out(keys: Any, known: Any, days: pd.Series[Any], total: int) -> list[tuple[Any, Any, str]]:
    """The keys that stand out, with the positions of their rows and the reason."""
    codes, names = pd.factorize(keys)
    codes = np.where(known, codes, -1)
    counts = np.bincount(codes[known], minlength=len(names))
    if not counts.size:
        return []
    reasons: dict[int, str] = {}
    order = np.argsort(-counts, kind="stable")
    first, following = int(counts[order[0]]), int(counts[order[1]]) if len(order) > 1 else 0
    if first > SHARE * total and first > TIMES_THE_NEXT * max(following, 1):
        reasons[int(order[0])] = f"{first / total:.0%} of all, and the next place has {following:,}"
    rows = known & (counts > A_DAY)[codes] & days.notna().to_numpy()
    if rows.any():
        daily = pd.DataFrame({"key": codes[rows], "day": days[rows].dt.floor("D")}).value_counts(
            ["key", "day"]
        )
        most = daily.groupby(level="key").max()
        over = most[most > A_DAY]
        for key, number in zip(over.index.tolist(), over.tolist(), strict=True):
            reasons.setdefault(key, f"{number:,} on one day")
    by_key = np.argsort(codes, kind="stable")
    start = np.searchsorted(codes[by_key], np.arange(len(names) + 1))
    return [(names[key], by_key[start[key] : start[key + 1]], reason) for key, reason in reasons.items()]
