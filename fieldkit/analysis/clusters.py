"""Clusters: addresses close together from which complaints come, found by density in metres (DBSCAN)."""

from __future__ import annotations

import math
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from fieldkit.analysis import (
    CAUTION,
    CAUTION_ZH,
    FloatArray,
    IntArray,
    checked_options,
    describe,
    located,
    moments,
    number_between,
    texts,
    whole_number,
)
from fieldkit.analysis.density import dense_groups
from fieldkit.analysis.naming import by_frequency, name_groups
from fieldkit.analysis.sources import warn_of_implausible_sources
from fieldkit.places import EARTH_RADIUS_M, to_metres

#: A cluster's outline runs this far outside its outermost points, so that it can be seen around them.
MARGIN_M = 20.0

#: A cluster wider than this many radii is likely a chain through a dense city, not a place to visit.
WIDE = 20

#: Distances on the local plane may be off by this share before a warning is due.
DISTORTION = 0.02

SOURCE = (
    "Ester, Kriegel, Sander and Xu 1996, Proc. KDD-96:226-231; "
    "Schubert et al. 2017, ACM Trans. Database Syst. 42(3):19; Gan and Tao 2015, Proc. SIGMOD:519-530."
)


def find_clusters(frame: gpd.GeoDataFrame, *, radius_m: float = 100, at_least: int = 5) -> gpd.GeoDataFrame:
    """Find groups of complaints at or near one address; one row a cluster, the largest first.

    A point is dense when *at_least* complaints lie within *radius_m* metres of it, itself included; dense points
    within *radius_m* of each other and what lies that close to them make a cluster. Complaints at one point are
    taken together first, with their number as weight. Complaints in no cluster are not returned, those without a
    place are left out; ``attrs`` counts both.

    The result has ``cluster`` (1, 2, …), ``name``, ``complaints``, ``addresses`` (distinct ones; points where no
    address is known), ``first_at``, ``last_at``, ``categories`` (main ones, the most frequent first, joined by |),
    ``lon`` and ``lat`` (the middle of the complaints), ``complaint_ids`` (joined by |) and the geometry in EPSG:4326: a
    point, or the outline with :data:`MARGIN_M` around it. Raises :class:`AnalysisError` for options out of range.
    """
    radius_m = number_between("radius_m (metres)", radius_m, 0, 100_000)
    at_least = whole_number("at_least", at_least, 1, 1_000_000)
    points = located(frame)
    place = points["lon"].to_numpy() + 1j * points["lat"].to_numpy()
    distinct, owner, weights = np.unique(place, return_inverse=True, return_counts=True)
    metres = to_metres(distinct.real.tolist(), distinct.imag.tolist())
    labels = dense_groups(metres, weights, radius_m, at_least)[owner]
    inside = labels >= 0
    members, groups = points[inside].reset_index(drop=True), labels[inside]
    result = _summarise(members, groups, owner[inside], distinct, metres)
    parameters = {
        "radius_m": radius_m,
        "at_least": at_least,
        "complaints": len(points),
        "in_no_cluster": int((~inside).sum()),
        "without_place": len(frame) - len(points),
    }
    sentence, sentence_zh = _in_words(result, parameters)
    warnings = [
        *warn_of_implausible_sources(points),
        *_warn_of_width(result, radius_m),
        *_warn_of_distortion(points),
    ]
    describe(
        result,
        frame,
        method="DBSCAN on metres, complaints at one point taken together as a weight",
        parameters=parameters,
        source=SOURCE,
        sentence=sentence,
        sentence_zh=sentence_zh,
        warnings=warnings,
    )
    return result


def _summarise(
    members: pd.DataFrame, groups: IntArray, owner: IntArray, distinct: Any, metres: FloatArray
) -> gpd.GeoDataFrame:
    count = int(groups.max()) + 1 if len(groups) else 0
    # Numbers go by size, equal ones from west to east: DBSCAN has met them in that order.
    rank = np.empty(count, dtype=np.int64)
    rank[np.argsort(-np.bincount(groups, minlength=count), kind="stable")] = np.arange(count)
    groups = rank[groups]
    addresses = texts(members, "address")
    table = pd.DataFrame({"at": moments(members), "lon": members["lon"], "lat": members["lat"]}).groupby(
        groups
    )
    ids = _split(groups, texts(members, "complaint").to_numpy(dtype=object), count)
    columns = {
        "cluster": np.arange(1, count + 1),
        "name": name_groups(members, groups, count),
        "complaints": np.bincount(groups, minlength=count),
        "addresses": _count_addresses(groups, addresses, owner, count),
        "first_at": table["at"].min().array,
        "last_at": table["at"].max().array,
        "categories": by_frequency(groups, texts(members, "category"), count),
        "lon": table["lon"].mean().to_numpy(),
        "lat": table["lat"].mean().to_numpy(),
        "complaint_ids": ["|".join(sorted(filter(None, some))) for some in ids],
    }
    outlines = _outlines(groups, owner, distinct, metres)
    return gpd.GeoDataFrame(columns, geometry=outlines, crs="EPSG:4326")


def _split(groups: IntArray, values: Any, count: int) -> list[Any]:
    """The *values* of each group 0 … *count* - 1, none of which is empty."""
    order = np.argsort(groups, kind="stable")
    return np.split(values[order], np.cumsum(np.bincount(groups, minlength=count))[:-1]) if count else []


def _count_addresses(groups: IntArray, addresses: pd.Series[Any], owner: IntArray, count: int) -> IntArray:
    """How many distinct addresses each group has; complaints without one count by their points."""
    codes = pd.factorize(addresses)[0]
    without = (addresses == "").to_numpy()
    marks = pd.DataFrame({"group": groups, "mark": np.where(without, -1 - owner, codes)}).drop_duplicates()
    return np.bincount(marks["group"], minlength=count)


def _outlines(groups: IntArray, owner: IntArray, distinct: Any, metres: FloatArray) -> Any:
    """The point or outline of each group, back from the plane of :func:`~fieldkit.places.to_metres` to degrees."""
    if not len(groups):
        return []
    spots = pd.DataFrame({"group": groups, "spot": owner}).drop_duplicates().sort_values(["group", "spot"])
    group, spot = spots["group"].to_numpy(), spots["spot"].to_numpy()
    hulls = shapely.convex_hull(shapely.multipoints(shapely.points(metres[spot]), indices=group))
    lon_0, lat_0 = float(distinct.real.mean()), float(distinct.imag.mean())

    def to_degrees(xy: FloatArray) -> FloatArray:
        degrees = np.degrees(xy / EARTH_RADIUS_M)
        return np.column_stack([lon_0 + degrees[:, 0] / math.cos(math.radians(lat_0)), lat_0 + degrees[:, 1]])

    outlines = shapely.transform(shapely.buffer(hulls, MARGIN_M, quad_segs=4), to_degrees)
    first = spot[np.searchsorted(group, np.arange(len(hulls)))]
    single = np.bincount(group) == 1
    outlines[single] = shapely.points(distinct.real[first[single]], distinct.imag[first[single]])
    return outlines


def _in_words(result: gpd.GeoDataFrame, parameters: dict[str, Any]) -> tuple[str, str]:
    radius, least, total = (
        f"{parameters['radius_m']:g}",
        parameters["at_least"],
        f"{parameters['complaints']:,}",
    )
    rule = f"at least {least} complaints within {radius} m"
    rule_zh = f"{radius}米内至少{least}件投诉"
    if result.empty:
        english = f"Among {total} complaints with a place there is no cluster ({rule}). {CAUTION}"
        return english, f"在{total}件有位置的投诉中没有发现聚集点（{rule_zh}）。{CAUTION_ZH}"
    inside = int(result["complaints"].sum())
    share = f"{inside / parameters['complaints']:.0%}"
    top = result.head(5)
    where = "; ".join(f"{row.name} ({row.complaints})" for row in top.itertuples(index=False))
    where_zh = "、".join(f"{row.name}（{row.complaints}）" for row in top.itertuples(index=False))
    kind = "cluster" if len(result) == 1 else "clusters"
    english = (
        f"{inside:,} of {total} complaints with a place ({share}) lie in {len(result):,} {kind} ({rule}), "
    )
    english += f"the largest at {where}. {CAUTION}"
    chinese = f"{total}件有位置的投诉中有{inside:,}件（{share}）位于{len(result):,}个聚集点（{rule_zh}），"
    return english, f"{chinese}最大的是{where_zh}。{CAUTION_ZH}"


def _warn_of_width(result: gpd.GeoDataFrame, radius_m: float) -> list[str]:
    warnings = []
    for row in result.itertuples(index=False):
        west, south, east, north = row.geometry.bounds
        across = math.hypot((east - west) * math.cos(math.radians(row.lat)), north - south)
        width_m = math.radians(across) * EARTH_RADIUS_M
        if width_m > WIDE * radius_m:
            warnings.append(
                f"Cluster {row.cluster} ({row.name}) is {width_m / 1000:.1f} km across: where complaints are this "
                f"dense, {radius_m:g} m chains them together. Take a smaller radius_m or a larger at_least."
            )
    if len(warnings) > 3:
        return [*warnings[:3], f"{len(warnings) - 3} more clusters are as wide."]
    return warnings


def _warn_of_distortion(points: pd.DataFrame) -> list[str]:
    if points.empty:
        return []
    cosines = np.cos(np.radians(points["lat"]))
    middle = math.cos(math.radians(float(points["lat"].drop_duplicates().mean())))
    off = float(np.abs(cosines / max(middle, 1e-9) - 1).max())
    if off <= DISTORTION:
        return []
    return [
        f"The complaints reach so far from north to south that east-west distances are off by up to {off:.0%}. "
        "Look at one city or county at a time."
    ]


class Clusters:
    """The analysis ``clusters``: :func:`find_clusters` as a plugin."""

    title = "Clusters of addresses (DBSCAN)"
    source = SOURCE

    def run(self, frame: gpd.GeoDataFrame, *, seed: int = 0, **options: Any) -> gpd.GeoDataFrame:
        """Find clusters; the options are those of :func:`find_clusters`; *seed* changes nothing."""
        result = find_clusters(frame, **checked_options(find_clusters, options))
        result.attrs["seed"] = seed
        return result
