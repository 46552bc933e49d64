"""The study area: which H3 cells are compared with each other, and which of them are neighbours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import pandas as pd
import shapely

from fieldkit.analysis import FloatArray, IntArray, whole_number
from fieldkit.errors import AnalysisError
from fieldkit.places import CELL_RESOLUTION

#: When no resolution is given: the finest of these at which a cell with complaints holds this many on average.
RESOLUTIONS = (9, 8, 7)
COMPLAINTS_PER_CELL = 5.0
#: … and this share of them has another one in its neighbourhood.
CELLS_WITH_COMPANY = 0.5

#: A study area of more cells than this is a mistake in the resolution, not a question.
MOST_CELLS = 5_000_000


@dataclass(frozen=True, slots=True)
class StudyArea:
    """The cells that are compared, as H3 integers in ascending order, and the pairs of neighbours among them.

    *rows* and *columns* are the pairs (cell, neighbour) as positions in *cells*; each cell is its own neighbour.
    """

    cells: IntArray
    rows: IntArray
    columns: IntArray

    @classmethod
    def of(cls, cells: Iterable[int], rings: int) -> StudyArea:
        """The study area made of *cells* (of one resolution), neighbours being at most *rings* steps away."""
        known = np.unique(np.fromiter(cells, dtype=np.int64))
        discs = [h3.grid_disk(cell, rings) for cell in known.tolist()]
        lengths = np.fromiter(map(len, discs), dtype=np.int64, count=len(discs))
        near = np.fromiter(chain.from_iterable(discs), dtype=np.int64, count=int(lengths.sum()))
        rows = np.repeat(np.arange(len(known)), lengths)
        columns, inside = positions(known, near)
        return cls(known, rows[inside], columns[inside])

    @property
    def degrees(self) -> IntArray:
        """How many cells of the study area are in each cell's neighbourhood, the cell itself included."""
        return np.bincount(self.rows, minlength=len(self.cells))

    def sums(self, counts: FloatArray) -> FloatArray:
        """The sum of *counts* over each cell's neighbourhood, the cell itself included."""
        # bincount gives whole numbers where there is nothing to add up.
        return np.bincount(self.rows, weights=counts[self.columns], minlength=len(self.cells)).astype(float)

    def polygons(self) -> Any:
        """The outlines of the cells as an array of shapely polygons, lon and lat in WGS-84.

        A cell on the antimeridian reaches beyond 180 degrees east instead of around the globe.
        """
        corners = [h3.cell_to_boundary(cell) for cell in self.cells.tolist()]
        owner = np.repeat(
            np.arange(len(corners)), np.fromiter(map(len, corners), dtype=np.int64, count=len(corners))
        )
        points = np.array(list(chain.from_iterable(corners)), dtype=float).reshape(-1, 2)[:, ::-1].copy()
        east, west = np.full(len(corners), -np.inf), np.full(len(corners), np.inf)
        np.maximum.at(east, owner, points[:, 0])
        np.minimum.at(west, owner, points[:, 0])
        across = (east - west > 180)[owner] & (points[:, 0] < 0)
        points[across, 0] += 360
        return shapely.polygons(shapely.linearrings(points, indices=owner)) if len(corners) else []


def positions(known: IntArray, cells: IntArray) -> tuple[IntArray, Any]:
    """Where each of *cells* stands in the ascending *known*, and whether it is there at all."""
    found = np.minimum(np.searchsorted(known, cells), len(known) - 1)
    return found, known[found] == cells


def cells_around(occupied: IntArray, rings: int) -> set[int]:
    """All cells within *rings* steps of the *occupied* ones, these included."""
    return set(chain.from_iterable(h3.grid_disk(cell, rings) for cell in occupied.tolist()))


def cells_given(study_area: Any, resolution: int | None) -> tuple[set[int] | None, int | None]:
    """The cells of a study area given as H3 cells, and their resolution; (None, *resolution*) for polygons.

    Raises :class:`AnalysisError` for cells that are none, or of several resolutions, or not of *resolution*.
    """
    if hasattr(study_area, "geometry") or isinstance(study_area, shapely.Geometry):
        return None, resolution
    try:
        cells = {h3.str_to_int(cell) if isinstance(cell, str) else int(cell) for cell in study_area}
        wrong = [cell for cell in cells if not h3.is_valid_cell(cell)]
    except (TypeError, ValueError, OverflowError) as error:
        raise AnalysisError(f"The study area is neither H3 cells nor polygons: {error}.") from error
    if wrong or not cells:
        what = f"{wrong[0]:x} is no H3 cell" if wrong else "it is empty"
        raise AnalysisError(
            f"The study area cannot be used: {what}. Give H3 cells or a GeoDataFrame of polygons."
        )
    found = {h3.get_resolution(cell) for cell in cells} | ({resolution} if resolution is not None else set())
    if len(found) > 1:
        listed = " and ".join(map(str, sorted(found)))
        raise AnalysisError(
            f"The study area's cells and the resolution asked for must agree; there are {listed}."
        )
    return cells, found.pop()


def cells_covering(areas: Any, resolution: int) -> set[int]:
    """All cells at *resolution* that overlap the polygons of *areas* (GeoDataFrame, GeoSeries or one geometry).

    Raises :class:`AnalysisError` when there is no polygon or no reference system.
    """
    if isinstance(areas, shapely.Geometry):
        shapes = [areas]
    elif areas.crs is None:
        raise AnalysisError("The study area has no reference system. Set it, e.g. with set_crs('EPSG:4326').")
    else:
        shapes = list(areas.geometry.to_crs("EPSG:4326"))
    # Only cells with their middle inside come from H3; the ones that the outline runs through are added by walking
    # it in steps of a fifth of a cell's edge.
    step = 0.2 * h3.average_hexagon_edge_length(resolution, unit="m") / 111_320
    cells: set[int] = set()
    for shape in shapes:
        for part in shapely.get_parts(shapely.make_valid(shape)) if shape is not None else ():
            if part.geom_type not in ("Polygon", "MultiPolygon"):
                continue
            cells.update(h3.geo_to_cells(part, resolution))
            outline = shapely.get_coordinates(shapely.segmentize(part, step))
            cells.update(h3.latlng_to_cell(lat, lon, resolution) for lon, lat in outline.tolist())
            if len(cells) > MOST_CELLS:
                raise AnalysisError(
                    f"The study area has more than {MOST_CELLS:,} cells at resolution {resolution}. Take a lower one."
                )
    if not cells:
        raise AnalysisError(
            "The study area has no polygon in it. Give H3 cells or a GeoDataFrame of polygons."
        )
    return cells


def cells_at(points: pd.DataFrame, resolution: int) -> IntArray:
    """The H3 cell at *resolution* that each located complaint falls into, as integers.

    Up to :data:`~fieldkit.places.CELL_RESOLUTION` it is the ancestor of the cell kept with the complaint, so that
    the answer is the same whether or not the frame brings its ``cell`` column.
    """
    if resolution > CELL_RESOLUTION:
        return _cells_of_points(points, resolution)
    fine, owner = _kept_cells(points)
    coarse = np.fromiter(
        (h3.cell_to_parent(c, resolution) for c in fine.tolist()), dtype=np.int64, count=len(fine)
    )
    return coarse[owner]


def _kept_cells(points: pd.DataFrame) -> tuple[IntArray, IntArray]:
    if "cell" in points.columns and len(points):
        codes, names = pd.factorize(points["cell"])
        try:
            cells = np.array([h3.str_to_int(str(name)) for name in names], dtype=np.int64)
            if codes.min() >= 0 and all(
                h3.get_resolution(cell) == CELL_RESOLUTION for cell in cells.tolist()
            ):
                return cells, codes
        except (ValueError, OverflowError):
            pass  # a column of that name that holds something else: go by the coordinates
    cells, owner = np.unique(_cells_of_points(points, CELL_RESOLUTION), return_inverse=True)
    return cells, owner


def _cells_of_points(points: pd.DataFrame, resolution: int) -> IntArray:
    place = points["lon"].to_numpy() + 1j * points["lat"].to_numpy()
    distinct, owner = np.unique(place, return_inverse=True)
    to_cell = h3.latlng_to_cell
    pairs = zip(distinct.imag.tolist(), distinct.real.tolist(), strict=True)
    cells = np.fromiter(
        (to_cell(lat, lon, resolution) for lat, lon in pairs), dtype=np.int64, count=len(distinct)
    )
    return cells[owner]


def choose_resolution(points: pd.DataFrame, resolution: int | None, rings: int) -> tuple[int, str]:
    """The resolution to use, and why, in words.

    When *resolution* is None: the finest of :data:`RESOLUTIONS` at which the cells with complaints hold at least
    :data:`COMPLAINTS_PER_CELL` on average, and half of them have another such cell in their neighbourhood; else
    the coarsest of them. Gi* looks for neighbours that are high together: where complaints lie in lone cells (or
    were given as the middles of larger cells) finer cells cannot show any.
    """
    if resolution is not None:
        return whole_number("resolution", resolution, 0, 15), "it was given"
    for finest in RESOLUTIONS:
        occupied = np.unique(cells_at(points, finest))
        mean = len(points) / len(occupied)
        if mean < COMPLAINTS_PER_CELL:
            continue
        area = StudyArea.of(occupied.tolist(), rings)
        company = float((area.degrees > 1).mean())
        if company >= CELLS_WITH_COMPANY:
            reason = f"{mean:.1f} complaints in a cell with any, {company:.0%} of these beside another"
            return finest, f"the finest of 9, 8, 7 with enough company: {reason}"
    return RESOLUTIONS[
        -1
    ], "the coarsest of 9, 8, 7: the complaints are too few or too scattered for finer cells"
