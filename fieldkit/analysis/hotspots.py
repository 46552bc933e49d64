"""Hot spots: Getis-Ord Gi* on H3 cells with permutation p-values and false-discovery-rate control."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import h3.api.basic_int as h3
import numpy as np
import pandas as pd

from fieldkit.analysis import (
    CAUTION,
    CAUTION_ZH,
    FloatArray,
    IntArray,
    checked_options,
    describe,
    located,
    number_between,
    one_of,
    texts,
    whole_number,
)
from fieldkit.analysis.naming import most_frequent, name_groups
from fieldkit.analysis.sources import warn_of_implausible_sources
from fieldkit.analysis.study_area import (
    StudyArea,
    cells_around,
    cells_at,
    cells_covering,
    cells_given,
    choose_resolution,
    positions,
)
from fieldkit.errors import AnalysisError

#: Fewer complaints or cells than this are not tested; the usual lower bound for local statistics.
FEWEST_COMPLAINTS = 30
FEWEST_CELLS = 30

SOURCE = (
    "Getis and Ord 1992, Geographical Analysis 24(3):189-206; Ord and Getis 1995, Geographical Analysis "
    "27(4):286-306; Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57(1):289-300; Caldas de Castro and Singer 2006, "
    "Geographical Analysis 38(2):180-208."
)


def z_scores(area: StudyArea, counts: FloatArray) -> FloatArray:
    """Gi* of each cell with binary weights that include the cell itself (Ord and Getis 1995, equation 5).

    z = (Σw·x - x̄·W) / (S·√((n·W - W²)/(n - 1))), W the number of cells in the neighbourhood, x̄ and S the mean and
    the population standard deviation of *counts* over the whole study area. Where all cells have one count, or the
    neighbourhood is the whole area, nothing can stand out and z is 0.
    """
    n, degrees = len(area.cells), area.degrees.astype(float)
    excess = area.sums(counts) - counts.mean() * degrees
    spread = counts.std() * np.sqrt((n * degrees - degrees**2) / max(n - 1, 1))
    z: FloatArray = np.divide(excess, spread, out=np.zeros(n), where=spread > 0)
    return z


def p_values(
    area: StudyArea, counts: FloatArray, *, permutations: int, seed: int, permute: str = "conditional"
) -> FloatArray:
    """The share of permutations in which a cell's neighbourhood holds at least as many as it does (one-sided).

    With ``permute="conditional"`` the cell keeps its own count and the others are dealt out anew, as GeoDa, esda
    and spdep do; with ``"total"`` its own count is dealt out too. Neighbours are drawn without replacement. One set
    of draws serves all cells with the same number of neighbours, so their errors move together; draws that hold
    the cell itself are left out for that cell, so there is no approximation beyond that.
    p = (1 + exceeding) / (1 + draws), the smallest possible is 1 / (1 + *permutations*).
    """
    n = len(counts)
    conditional = permute == "conditional"
    size = area.degrees - 1 if conditional else area.degrees
    observed = area.sums(counts) - counts if conditional else area.sums(counts)
    draws = _draw(np.random.default_rng(seed), n, int(size.max()), permutations)
    totals = np.cumsum(counts[draws], axis=0)
    exceeding = np.full(n, permutations)
    for neighbours in np.unique(size[size > 0]).tolist():
        mine = size == neighbours
        ordered = np.sort(totals[neighbours - 1])
        exceeding[mine] = permutations - np.searchsorted(ordered, observed[mine], side="left")
    drawn = np.full(n, permutations)
    for slot in range(len(draws) if conditional else 0):
        number = np.flatnonzero(size[draws[slot]] > slot)
        cell = draws[slot, number]
        exceeds = totals[size[cell] - 1, number] >= observed[cell]
        exceeding -= np.bincount(cell[exceeds], minlength=n)
        drawn -= np.bincount(cell, minlength=n)
    p: FloatArray = (1 + exceeding) / (1 + drawn)
    return p


def _draw(generator: np.random.Generator, n: int, size: int, permutations: int) -> IntArray:
    """Draw *size* of *n* positions without replacement, *permutations* times; shape (size, permutations).

    The j-th draw takes one of the n - j positions left, counted past the ones already taken in ascending order.
    """
    draws = np.empty((size, permutations), dtype=np.int64)
    taken: list[IntArray] = []
    for j in range(size):
        drawn = generator.integers(n - j, size=permutations)
        for position in taken:
            drawn += drawn >= position
        draws[j] = drawn
        for i, position in enumerate(taken):
            taken[i], drawn = np.minimum(position, drawn), np.maximum(position, drawn)
        taken.append(drawn)
    return draws


def q_values(p: FloatArray) -> FloatArray:
    """The false discovery rate at which each test would just be called (Benjamini and Hochberg 1995)."""
    n = len(p)
    order = np.argsort(p, kind="stable")
    adjusted = p[order] * n / np.arange(1, n + 1)
    q = np.empty(n)
    q[order] = np.minimum.accumulate(adjusted[::-1])[::-1].clip(max=1.0)
    return q


def find_hotspots(
    frame: gpd.GeoDataFrame,
    *,
    resolution: int | None = None,
    rings: int = 1,
    permutations: int = 99_999,
    alpha: float = 0.05,
    study_area: Any = None,
    permute: str = "total",
    seed: int = 0,
) -> gpd.GeoDataFrame:
    """Find the H3 cells around which complaints pile up beyond chance; one row a cell, the highest z first.

    *frame* needs ``lon`` and ``lat``; complaints without a place are left out and counted in ``attrs``.
    *resolution* is H3's (None: chosen from the data, see the attributes), *rings* how many rings of cells belong to a
    neighbourhood, *alpha* the false discovery rate. *study_area* says what is compared: H3 cells, or polygons in a
    GeoDataFrame; None takes every cell within *rings* of a cell with complaints. *permute* is ``total``, as the z-score
    counts a cell's own complaints too, or ``conditional`` (see :func:`p_values`).

    The result has ``cell``, ``complaints``, ``neighbours`` (cells in the neighbourhood without itself), ``z_score``,
    ``p_value``, ``q_value``, ``hot`` (q ≤ alpha and z > 0), ``name`` (of hot cells), ``district`` and the polygon
    in EPSG:4326. Raises :class:`AnalysisError` for too few complaints or cells and for options out of range.
    """
    parameters = _checked(rings, permutations, permute, alpha, seed)
    area, points, where = _lay_out(frame, resolution, study_area, parameters)
    counts = np.bincount(where, minlength=len(area.cells)).astype(float)
    z = z_scores(area, counts)
    p = p_values(area, counts, permutations=permutations, seed=seed, permute=permute)
    q = q_values(p)
    hot = (q <= alpha) & (z > 0)
    result = gpd.GeoDataFrame(
        {
            "cell": [h3.int_to_str(cell) for cell in area.cells.tolist()],
            "complaints": counts.astype(np.int64),
            "neighbours": area.degrees - 1,
            "z_score": z,
            "p_value": p,
            "q_value": q,
            "hot": hot,
            "name": _name_hot_cells(area, points, where, hot),
            "district": most_frequent(where, texts(points, "district"), len(area.cells)),
        },
        geometry=area.polygons(),
        crs="EPSG:4326",
    ).sort_values(["z_score", "cell"], ascending=[False, True], ignore_index=True)
    sentence, sentence_zh = _in_words(result, parameters)
    describe(
        result,
        frame,
        method=f"Getis-Ord Gi*, binary weights with the cell itself, {permute} permutation, one-sided",
        parameters=parameters,
        seed=seed,
        tests=len(result),
        correction=f"Benjamini-Hochberg false discovery rate at {alpha:g}",
        source=SOURCE,
        sentence=sentence,
        sentence_zh=sentence_zh,
        warnings=warn_of_implausible_sources(points) + _warn_of_lone_peaks(area, points, where, counts, hot),
    )
    return result


def _checked(rings: Any, permutations: Any, permute: Any, alpha: Any, seed: Any) -> dict[str, Any]:
    whole_number("seed", seed, 0, 2**63 - 1)
    return {
        "rings": whole_number("rings", rings, 1, 5),
        "permutations": whole_number("permutations", permutations, 99, 9_999_999),
        "permute": one_of("permute", permute, ("conditional", "total")),
        "alpha": number_between("alpha", alpha, 0, 1),
    }


def _lay_out(
    frame: pd.DataFrame, resolution: int | None, study_area: Any, parameters: dict[str, Any]
) -> tuple[StudyArea, pd.DataFrame, IntArray]:
    """The study area, the complaints inside it, and the position of each one's cell; what was chosen is noted."""
    points = located(frame)
    placed = len(points)
    if placed < FEWEST_COMPLAINTS:
        raise AnalysisError(
            f"{placed} complaints with a place are too few to tell hot spots from chance; at least "
            f"{FEWEST_COMPLAINTS} are needed. Take a longer period or more categories."
        )
    rings = parameters["rings"]
    cells, resolution = (None, resolution) if study_area is None else cells_given(study_area, resolution)
    resolution, reason = choose_resolution(points, resolution, rings)
    bins = cells_at(points, resolution)
    if study_area is None:
        cells, described = (
            cells_around(np.unique(bins), rings),
            f"all cells within {rings} of a cell with complaints",
        )
    elif cells is None:
        cells, described = cells_covering(study_area, resolution), "the cells that overlap the given polygons"
    else:
        described = "the given cells"
    area = StudyArea.of(cells, rings)
    where, inside = positions(area.cells, bins)
    if len(area.cells) < FEWEST_CELLS:
        raise AnalysisError(
            f"The study area has {len(area.cells)} cells at resolution {resolution}; at least {FEWEST_CELLS} are "
            "needed to compare a place with others. Take a higher resolution, a longer period or a larger study_area."
        )
    if inside.sum() < FEWEST_COMPLAINTS:
        raise AnalysisError(
            f"{inside.sum()} of {placed} complaints with a place lie in the study area; at least {FEWEST_COMPLAINTS} "
            "are needed. Check that both are in the same region."
        )
    parameters |= {
        "resolution": resolution,
        "resolution_chosen_because": reason,
        "study_area": described,
        "complaints": int(inside.sum()),
        "without_place": len(frame) - placed,
        "outside_study_area": placed - int(inside.sum()),
    }
    return area, points[inside].reset_index(drop=True), where[inside]


def _name_hot_cells(area: StudyArea, points: pd.DataFrame, where: IntArray, hot: Any) -> list[str]:
    """The names of the hot cells, '' for the others.

    Gi* speaks of a neighbourhood: a cell that holds less than its share of the neighbourhood's complaints is named
    after the whole of it, the others after their own.
    """
    names = [""] * len(area.cells)
    chosen = np.flatnonzero(hot)
    if not chosen.size:
        return names
    counts = np.bincount(where, minlength=len(area.cells))
    poor = counts * area.degrees < area.sums(counts.astype(float))
    wanted = hot[area.rows] & ((area.rows == area.columns) | poor[area.rows])
    order = np.argsort(where, kind="stable")
    start = np.concatenate([[0], np.cumsum(counts)])
    pairs = zip(area.rows[wanted].tolist(), area.columns[wanted].tolist(), strict=True)
    taken = [(cell, order[start[near] : start[near + 1]]) for cell, near in pairs]
    rows = np.concatenate([indices for _, indices in taken])
    groups = np.repeat(
        np.searchsorted(chosen, [cell for cell, _ in taken]), [len(indices) for _, indices in taken]
    )
    for cell, name in zip(chosen.tolist(), name_groups(points.iloc[rows], groups, len(chosen)), strict=True):
        names[cell] = name
    return names


def _warn_of_lone_peaks(
    area: StudyArea, points: pd.DataFrame, where: IntArray, counts: FloatArray, hot: Any
) -> list[str]:
    """Cells beside a hot one that hold more than all their neighbours together and are not hot themselves."""
    beside = np.zeros(len(area.cells), dtype=bool)
    beside[area.rows[hot[area.columns]]] = True
    lone = np.flatnonzero(beside & ~hot & (counts > area.sums(counts) - counts))
    lone = lone[np.argsort(-counts[lone], kind="stable")][:3]
    warnings = []
    for cell in lone.tolist():
        rows = where == cell
        name = name_groups(points[rows].reset_index(drop=True), np.zeros(int(rows.sum()), dtype=np.int64), 1)[
            0
        ]
        warnings.append(
            f"{name} has {int(counts[cell]):,} complaints in one cell and is not hot, only what lies beside it: in "
            "conditional permutation a cell's own count does not speak for it. Such lone places are what clusters "
            "and repeats find; permute='total' counts them."
        )
    return warnings


def _in_words(result: gpd.GeoDataFrame, parameters: dict[str, Any]) -> tuple[str, str]:
    """What was tested and what came out, in English and Chinese."""
    hot = result[result["hot"]]
    percent = f"{parameters['alpha'] * 100:g}"
    area_km2 = h3.average_hexagon_area(parameters["resolution"], unit="km^2")
    size, counted = f"about {area_km2:.2g} km² each", f"{parameters['complaints']:,}"
    tested = f"{len(result):,} cells ({size}) with {counted} complaints were tested"
    tested_zh = f"检验了{len(result):,}个网格（每个约{area_km2:.2g}平方公里），含投诉{counted}件"
    if hot.empty:
        none = f"{tested}; none is hot at a false discovery rate of {percent} %. {CAUTION}"
        return none, f"{tested_zh}；在{percent}%的错误发现率下没有热点。{CAUTION_ZH}"
    by_name = hot.groupby("name", sort=True).agg(cells=("cell", "size"), complaints=("complaints", "sum"))
    by_name = by_name.sort_values("complaints", ascending=False, kind="stable")
    shown = by_name.head(5)
    where = "; ".join(f"{name} ({cells})" for name, cells in shown["cells"].items())
    where_zh = "、".join(f"{name}（{cells}）" for name, cells in shown["cells"].items())
    more = f" and {len(by_name) - 5} more places" if len(by_name) > 5 else ""
    more_zh = f"等{len(by_name)}处" if len(by_name) > 5 else ""
    verb = "is" if len(hot) == 1 else "are"
    english = f"{tested}; {len(hot):,} {verb} hot at a false discovery rate of {percent} %: {where}{more}. {CAUTION}"
    chinese = (
        f"{tested_zh}；在{percent}%的错误发现率下有{len(hot):,}个热点网格：{where_zh}{more_zh}。{CAUTION_ZH}"
    )
    return english, chinese


class Hotspots:
    """The analysis ``hotspots``: :func:`find_hotspots` as a plugin."""

    title = "Hot spots (Getis-Ord Gi*)"
    source = SOURCE

    def run(self, frame: gpd.GeoDataFrame, *, seed: int = 0, **options: Any) -> gpd.GeoDataFrame:
        """Find hot spots; the options are those of :func:`find_hotspots`."""
        return find_hotspots(frame, seed=seed, **checked_options(find_hotspots, options))
