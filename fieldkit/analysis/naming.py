"""Names for groups of complaints: the community, street or district that most of a group point to."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from fieldkit.analysis import IntArray, texts

_HOUSE_NUMBER = re.compile(r"^\s*\d[\w/-]*\s+(?=\S)")
_NUMBER_BEHIND = re.compile(r"(?<=\S)\s+\d[\w/-]*\s*$")
_CHINESE_STREET = re.compile(r"^.*?(?:大道|路|街|巷)")


def most_frequent(groups: IntArray, values: pd.Series[Any], count: int) -> list[str]:
    """For each group 0 … *count* - 1 the value that occurs most often in it; ties go to the first in the alphabet.

    *groups* gives the group of each value. Missing and empty values do not count; a group without any has ''.
    """
    codes, words = pd.factorize(values.to_numpy(dtype=object), sort=True)
    found = [""] * count
    filled = codes >= 0
    filled[filled] = np.array([bool(word) for word in words], dtype=bool)[codes[filled]]
    if not filled.any():
        return found
    pairs, counts = np.unique(groups[filled] * len(words) + codes[filled], return_counts=True)
    order = np.lexsort((pairs, -counts))
    winners, first = np.unique(pairs[order] // len(words), return_index=True)
    for group, pair in zip(winners.tolist(), pairs[order][first].tolist(), strict=True):
        found[group] = str(words[pair % len(words)])
    return found


def by_frequency(groups: IntArray, values: pd.Series[Any], count: int) -> list[str]:
    """For each group 0 … *count* - 1 its distinct non-empty *values*, the most frequent first, joined by |."""
    counted = pd.DataFrame({"group": groups, "value": values.to_numpy(dtype=object)})
    tally = counted[counted["value"] != ""].value_counts(["group", "value"]).reset_index(name="times")
    tally = tally.sort_values(["group", "times", "value"], ascending=[True, False, True])
    found: list[list[str]] = [[] for _ in range(count)]
    for group, value in zip(tally["group"].tolist(), tally["value"].tolist(), strict=True):
        found[group].append(value)
    return ["|".join(words) for words in found]


def street_of(address: str) -> str:
    """The street or the like in an address: without house number, without what follows the first comma.

    >>> street_of("617 West 141 Street, 10031"), street_of("Station Road 11"), street_of("利州东路123号3栋")
    ('West 141 Street', 'Station Road', '利州东路')
    """
    stem = re.split(r"[,，;；]", address, maxsplit=1)[0]
    chinese = _CHINESE_STREET.match(stem)
    if chinese:
        return chinese.group()
    # A number at the end is the house's only where none stands in front: 374 N Avenue 51, Station Road 11.
    without = _HOUSE_NUMBER.sub("", stem)
    return " ".join((without if without != stem else _NUMBER_BEHIND.sub("", stem)).split())


def point_in_words(lon: float, lat: float) -> str:
    """Rounded coordinates that can be read aloud, to about 100 m: ``near 32.442° N, 105.823° E``."""
    return f"near {abs(lat):.3f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.3f}° {'E' if lon >= 0 else 'W'}"


def name_groups(points: pd.DataFrame, groups: IntArray, count: int) -> list[str]:
    """Name each group of located complaints 0 … *count* - 1 by the first of these that any of them has.

    The community most of them lie in, else the most frequent street, else the district, else rounded coordinates.
    *points* has ``lon`` and ``lat``; ``community``, ``address`` and ``district`` are used where they are there.
    An empty group has ''. The names are text that people wrote: escape them where they are shown.
    """
    names = most_frequent(groups, texts(points, "community"), count)
    unnamed = {group for group, name in enumerate(names) if not name}
    for column in ("address", "district"):
        if not unnamed:
            break
        rows = np.isin(groups, list(unnamed))
        values = texts(points[rows], column)
        if column == "address":
            values = values.map({address: street_of(address) for address in values.unique()})
        for group, name in enumerate(most_frequent(groups[rows], values, count)):
            if name and group in unnamed:
                names[group] = name
                unnamed.discard(group)
    if unnamed:
        rows = np.isin(groups, list(unnamed))
        middles = points.loc[rows, ["lon", "lat"]].groupby(groups[rows]).median()
        for group, lon, lat in middles.itertuples():
            names[group] = point_in_words(lon, lat)
    return names
