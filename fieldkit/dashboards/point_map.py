"""A map for many points in a dashboard or notebook, on Leaflet's canvas, that sends clicks back to Python.

Leaflet comes from the installed package ``xstatic-leaflet``; nothing is asked for beyond this machine. Text enters
the page as text (``textContent``), never as HTML.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets

from fieldkit.maps import assets

if TYPE_CHECKING:
    from fieldkit.places import Areas

#: So many points are drawn at most; of more, an even sample.
MOST_POINTS = 100_000

#: The smallest extent that the map zooms to by itself, in degrees (about 2 km).
_SMALLEST_VIEW = 0.02


def leaflet_constant() -> str:
    """Leaflet as a JavaScript constant ``L``; raises :class:`~fieldkit.errors.MapError` where it is not installed."""
    script = assets.leaflet_script()
    return f"const L = (() => {{ const exports = {{}}, module = {{}};\n{script}\nreturn exports; }})();\n"


def own_file(name: str) -> str:
    """The text of a script or style sheet that lies beside this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


class PointMap(anywidget.AnyWidget):
    """A map of points, hot cells, clusters and named outlines; every coordinate is lon, lat in WGS-84 degrees.

    Fill it with :meth:`show_points`, :meth:`show_areas` and the traits *cells* (``id``, ``spot``, ``ring``, ``q``,
    ``label``), *clusters* (``id``, ``at``, ``complaints``, ``label``, ``named``), *legend* (``key``, ``label``) and
    *bounds* (south-west and north-east corner). *clicked* becomes ``{"kind": "point"|"hotspot"|"cluster", "id": …}``,
    with the cell's spot as the id of a hot spot; *marked* is the spot whose cells stand out.
    """

    _esm = (
        leaflet_constant()
        + own_file("point_map.js")
        + "\nexport default { render: ({ model, el }) => drawPointMap(model, el) };\n"
    )
    _css = assets.leaflet_style() + own_file("point_map.css")

    points = traitlets.Bytes(b"").tag(sync=True)
    origin = traitlets.List([0.0, 0.0]).tag(sync=True)
    areas: Any = traitlets.List([]).tag(sync=True)
    cells: Any = traitlets.List([]).tag(sync=True)
    clusters: Any = traitlets.List([]).tag(sync=True)
    legend: Any = traitlets.List([]).tag(sync=True)
    bounds: Any = traitlets.List([]).tag(sync=True)
    whole: Any = traitlets.List([]).tag(sync=True)
    marked = traitlets.Unicode("").tag(sync=True)
    clicked = traitlets.Dict({}).tag(sync=True)

    #: Which of the points given to :meth:`show_points` are drawn, as positions; a click names a position here.
    drawn: np.ndarray[Any, Any] = np.empty(0, dtype=np.int64)

    def show_points(self, lons: Iterable[float], lats: Iterable[float]) -> int:
        """Draw the points; of more than :data:`MOST_POINTS` an even sample. Returns how many are drawn.

        Coordinates travel as 32-bit offsets from the middle, exact to a few centimetres within a province. Points
        that are not numbers are left out.
        """
        lon, lat = np.array(lons, dtype=float), np.array(lats, dtype=float)
        known = np.flatnonzero(np.isfinite(lon) & np.isfinite(lat))
        self.drawn = _even_sample(known, MOST_POINTS)
        lon, lat = lon[self.drawn], lat[self.drawn]
        middle = (float(lon.mean()), float(lat.mean())) if lon.size else (0.0, 0.0)
        offsets = np.column_stack([lon - middle[0], lat - middle[1]]).astype("<f4")
        with self.hold_sync():
            self.origin = list(middle)
            self.points = offsets.tobytes()
        return int(lon.size)

    def show_areas(self, areas: Areas | None) -> None:
        """Draw the outlines and names of *areas* as the basemap, simplified to what a screen can show."""
        self.areas = [] if areas is None else area_outlines(areas)


def _even_sample(positions: np.ndarray[Any, Any], most: int) -> np.ndarray[Any, Any]:
    if positions.size <= most:
        return positions
    return positions[np.linspace(0, positions.size - 1, most).astype(np.int64)]


def area_outlines(areas: Areas) -> list[dict[str, Any]]:
    """*areas* as plain rings for the map: ``name``, ``at`` (where its name stands) and ``polygons``."""
    import shapely

    polygons = np.asarray(areas.polygons, dtype=object)
    if not polygons.size:
        return []
    west, south, east, north = shapely.total_bounds(polygons)
    outlines = []
    for name, shape in zip(
        areas.names, shapely.simplify(polygons, max(east - west, north - south) / 3000), strict=True
    ):
        parts = [
            part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and not part.is_empty
        ]
        if not parts:
            continue
        middle = max(parts, key=lambda part: part.area).representative_point()
        rings = [[_ring(part.exterior), *map(_ring, part.interiors)] for part in parts]
        outlines.append({"name": name, "at": [round(middle.x, 5), round(middle.y, 5)], "polygons": rings})
    return outlines


def _ring(line: Any) -> list[list[float]]:
    return [[round(x, 5), round(y, 5)] for x, y in line.coords]


def bounds_of(lons: Iterable[float], lats: Iterable[float], share: float = 1.0) -> list[list[float]]:
    """The south-west and north-east corner of the middle *share* of the points, never narrower than about 2 km."""
    lon, lat = np.array(lons, dtype=float), np.array(lats, dtype=float)
    known = np.isfinite(lon) & np.isfinite(lat)
    if not known.any():
        return []
    cut = [(1 - share) / 2, (1 + share) / 2]
    (west, east), (south, north) = np.quantile(lon[known], cut), np.quantile(lat[known], cut)
    wider, higher = (
        max(0.0, _SMALLEST_VIEW - (east - west)) / 2,
        max(0.0, _SMALLEST_VIEW - (north - south)) / 2,
    )
    return [[float(west - wider), float(south - higher)], [float(east + wider), float(north + higher)]]
