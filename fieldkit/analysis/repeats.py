"""Repeats: the places that complaints come back to, ranked."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from fieldkit.analysis import (
    FloatArray,
    IntArray,
    checked_options,
    describe,
    located,
    moments,
    texts,
    whole_number,
)
from fieldkit.analysis.naming import by_frequency, most_frequent, name_groups
from fieldkit.analysis.sources import warn_of_implausible_sources
from fieldkit.places import to_metres

#: Complaints without source and address count as one place within this distance of its busiest point.
SAME_PLACE_M = 60.0

SOURCE = "Counts of complaints by place; no statistical test."


def rank_places(frame: gpd.GeoDataFrame, *, top: int = 20) -> gpd.GeoDataFrame:
    """Rank the places with two complaints or more; one row a place, the one with most complaints first.

    One place is: the same community and suspected source where both are known; else the same address (letter case
    and spaces apart) in the same district; else points within :data:`SAME_PLACE_M` of the busiest of them. A
    complaint counts at one place only; one without any of these is left out and counted in ``attrs``.

    The result has ``name``, ``complaints``, ``cases`` (missing when the frame has no cases), ``months`` (calendar
    months with a complaint), ``first_at``, ``last_at``, ``channels`` (the most frequent first, joined by |),
    ``category`` (the most frequent main one), ``lon``, ``lat``, ``complaint_ids`` (by time of receipt, joined by |)
    and a point in EPSG:4326 (empty when no complaint of the place has one). These are complaints, not people: one
    tireless caller cannot be told from many neighbours.
    """
    top = whole_number("top", top, 1, 1_000_000)
    points = located(frame.assign(_row=np.arange(len(frame))))
    rows = pd.DataFrame(frame.drop(columns="geometry", errors="ignore")).reset_index(drop=True)
    rows["lon"], rows["lat"] = np.nan, np.nan
    rows.loc[points["_row"], ["lon", "lat"]] = points[["lon", "lat"]].to_numpy()
    keys, names = _places_of(rows)
    known = (keys != "").to_numpy()
    rows, names = rows[known].reset_index(drop=True), names[known].reset_index(drop=True)
    groups, places = pd.factorize(keys[known], sort=True)
    result = _summarise(rows, groups.astype(np.int64), names, len(places))
    repeated = result[result["complaints"] >= 2]
    ranked = repeated.sort_values(
        ["complaints", "months", "name", "lon", "lat"],
        ascending=[False, False, True, True, True],
    ).head(top)
    ids = _ids_of(rows, groups, ranked.index.to_numpy())
    ranked = ranked.reset_index(drop=True)
    ranked.insert(ranked.columns.get_loc("geometry"), "complaint_ids", ids)
    parameters = {
        "top": top,
        "same_place_m": SAME_PLACE_M,
        "places": len(places),
        "repeated_places": len(repeated),
        "complaints_at_repeated_places": int(repeated["complaints"].sum()),
        "complaints": len(frame),
        "left_out": int((~known).sum()),
    }
    sentence, sentence_zh = _in_words(ranked, parameters)
    describe(
        ranked,
        frame,
        method="counts by place: community and suspected source, else address, else points within 60 m",
        parameters=parameters,
        source=SOURCE,
        sentence=sentence,
        sentence_zh=sentence_zh,
        warnings=warn_of_implausible_sources(points),
    )
    return ranked


def _places_of(rows: pd.DataFrame) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """A key for the place of each complaint ('' for none), and how the place is called ('' for not by itself)."""
    community, source = texts(rows, "community"), texts(rows, "suspected_source")
    district, address = texts(rows, "district"), texts(rows, "address")
    keys = pd.Series("", index=rows.index, dtype=object)
    names = keys.copy()
    sourced = (community != "") & (source != "")
    addressed = ~sourced & (address != "")
    # The unit separator cannot be typed into a form, so that no two different places share a key.
    parts = zip(district[sourced], community[sourced], source[sourced], strict=True)
    keys[sourced] = _objects("\x1f".join(("s", *part)) for part in parts)
    names[sourced] = _objects(
        ": ".join(part) for part in zip(community[sourced], source[sourced], strict=True)
    )
    folded = {text: _fold(text) for text in address[addressed].unique()}
    parts_of_address = zip(district[addressed], address[addressed], strict=True)
    keys[addressed] = _objects(f"a\x1f{area}\x1f{folded[text]}" for area, text in parts_of_address)
    names[addressed] = address[addressed]
    pointed = ~sourced & ~addressed & rows["lon"].notna()
    if pointed.any():
        spots = rows.loc[pointed, "lon"].to_numpy() + 1j * rows.loc[pointed, "lat"].to_numpy()
        distinct, owner, counts = np.unique(spots, return_inverse=True, return_counts=True)
        leaders = _gather(to_metres(distinct.real.tolist(), distinct.imag.tolist()), counts)
        keys[pointed] = _objects(f"p\x1f{leader:09d}" for leader in leaders[owner].tolist())
    return keys, names


def _objects(values: Iterable[str]) -> Any:
    return np.array([*values], dtype=object)


def _fold(address: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", address).casefold().split())


def _gather(metres: FloatArray, counts: IntArray) -> IntArray:
    """For each point the busiest point within reach that is not itself taken: no chains, the same in any order."""
    from scipy.spatial import KDTree

    near = KDTree(metres).query_ball_point(metres, SAME_PLACE_M)
    leaders = np.full(len(metres), -1, dtype=np.int64)
    for point in np.argsort(-counts, kind="stable").tolist():
        if leaders[point] < 0:
            reach = np.array(near[point])
            leaders[reach[leaders[reach] < 0]] = point
    return leaders


def _summarise(rows: pd.DataFrame, groups: IntArray, names: pd.Series[Any], count: int) -> gpd.GeoDataFrame:
    times = moments(rows)
    month = times.dt.year * 12 + times.dt.month
    cases = texts(rows, "case")
    table = pd.DataFrame(
        {"group": groups, "at": times, "month": month, "lon": rows["lon"], "lat": rows["lat"]}
    )
    table["case"] = cases.where(cases != "", None)
    by_group = table.groupby("group")
    called = most_frequent(groups, names, count)
    nameless = np.isin(groups, [group for group, name in enumerate(called) if not name])
    others = name_groups(rows[nameless].reset_index(drop=True), groups[nameless], count)
    lon, lat = by_group["lon"].median().to_numpy(), by_group["lat"].median().to_numpy()
    columns = {
        "name": pd.Series([name or other for name, other in zip(called, others, strict=True)], dtype=object),
        "complaints": np.bincount(groups, minlength=count),
        "cases": by_group["case"].nunique().astype("Int64").array
        if "case" in rows.columns
        else _missing(count),
        "months": by_group["month"].nunique().to_numpy(),
        "first_at": by_group["at"].min().array,
        "last_at": by_group["at"].max().array,
        "channels": by_frequency(groups, texts(rows, "channel"), count),
        "category": most_frequent(groups, texts(rows, "category"), count),
        "lon": lon,
        "lat": lat,
    }
    points = gpd.points_from_xy(lon, lat)
    points[np.isnan(lon)] = None
    return gpd.GeoDataFrame(columns, geometry=points, crs="EPSG:4326")


def _ids_of(rows: pd.DataFrame, groups: IntArray, wanted: IntArray) -> list[str]:
    """The complaints of each group in *wanted* by time of receipt, joined by |; '' when the frame has no ids."""
    mine = np.isin(groups, wanted)
    rows = rows[mine]
    table = pd.DataFrame({"group": groups[mine], "at": moments(rows), "id": texts(rows, "complaint")})
    found: dict[int, list[str]] = {group: [] for group in wanted.tolist()}
    table = table[table["id"] != ""].sort_values(["at", "id"])
    for group, complaint in zip(table["group"].tolist(), table["id"].tolist(), strict=True):
        found[group].append(complaint)
    return ["|".join(found[group]) for group in wanted.tolist()]


def _missing(count: int) -> Any:
    return pd.array([pd.NA] * count, dtype="Int64")


def _in_words(ranked: gpd.GeoDataFrame, parameters: dict[str, Any]) -> tuple[str, str]:
    caution = "These are complaints, not people: one tireless caller cannot be told from many neighbours."
    caution_zh = "这里统计的是投诉件数而不是人数：无法区分一人反复投诉与多人投诉。"
    if ranked.empty:
        return f"No place has more than one complaint. {caution}", f"没有被重复投诉的地点。{caution_zh}"
    inside, total, places = (
        parameters[key] for key in ("complaints_at_repeated_places", "complaints", "repeated_places")
    )
    shown = list(zip(ranked["name"].head(3), ranked["complaints"].head(3), strict=True))
    where = "; ".join(f"{name} ({count:,})" for name, count in shown)
    where_zh = "、".join(f"{name}（{count:,}件）" for name, count in shown)
    places_are = "1 place" if places == 1 else f"{places:,} places"
    english = f"{inside:,} of {total:,} complaints concern {places_are} with more than one; first: {where}. {caution}"
    chinese = (
        f"{total:,}件投诉中有{inside:,}件涉及{places:,}个被重复投诉的地点；居前的是{where_zh}。{caution_zh}"
    )
    return english, chinese


class Repeats:
    """The analysis ``repeats``: :func:`rank_places` as a plugin."""

    title = "Repeated places"
    source = SOURCE

    def run(self, frame: gpd.GeoDataFrame, *, seed: int = 0, **options: Any) -> gpd.GeoDataFrame:
        """Rank places; the options are those of :func:`rank_places`. Nothing is drawn, so *seed* changes nothing."""
        result = rank_places(frame, **checked_options(rank_places, options))
        result.attrs["seed"] = seed
        return result
