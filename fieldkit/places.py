"""Places: longitude and latitude in WGS-84, the offset systems of Chinese maps, H3 cells, metres, areas.

Everywhere in the kit a point is ``lon, lat`` in that order, in degrees of WGS-84, and a distance is in metres.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldkit.errors import PlaceError

if TYPE_CHECKING:
    import numpy as np
    import shapely

#: Reference systems a complaint's coordinates may come in. CGCS2000 equals WGS-84 within a metre.
REFERENCE_SYSTEMS = ("wgs84", "gcj02", "bd09", "cgcs2000")

#: H3 resolution of the cell kept with every point: hexagons of about 0.1 km², 200 m from side to side.
CELL_RESOLUTION = 9

EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG

_AXIS_M = 6378245.0  # Krasovsky 1940, as the published transform uses it
_ECCENTRICITY_2 = 0.00669342162296594323
_BD_STEP = math.pi * 3000.0 / 180.0


#: How a place can have been come by, the surest first.
METHODS = ("confirmed", "given", "gazetteer")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a complaint points to: *lon*, *lat* in WGS-84 degrees, and how they were come by.

    *method* is ``given`` (the file had coordinates), ``gazetteer`` (found by name, see *score*, 0 to 100) or
    ``confirmed`` (by an officer). When the coordinates came in another system, *original* keeps them as given
    and *original_crs* names it. *accuracy_m* is the radius within which the true point should lie, if known.
    """

    lon: float
    lat: float
    method: str = "given"
    score: float | None = None
    needs_confirming: bool = False
    accuracy_m: float | None = None
    original: tuple[float, float] | None = None
    original_crs: str = "wgs84"

    def __post_init__(self) -> None:
        check_lon_lat(self.lon, self.lat)
        if self.method not in METHODS:
            raise PlaceError(f"A place cannot be {self.method!r}. It is one of: {', '.join(METHODS)}.")

    @property
    def cell(self) -> str:
        """The H3 cell at :data:`CELL_RESOLUTION` that the point lies in."""
        return cell_of(self.lon, self.lat)


def check_lon_lat(lon: float, lat: float) -> None:
    """Raise :class:`PlaceError` unless *lon*, *lat* are degrees on the globe."""
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise PlaceError(
            f"The point ({lon}, {lat}) is not a pair of numbers. Give longitude and latitude in degrees."
        )
    if not -90 <= lat <= 90:
        raise PlaceError(f"Latitude {lat} is not between -90 and 90. Are longitude and latitude swapped?")
    if not -180 <= lon <= 180:
        raise PlaceError(f"Longitude {lon} is not between -180 and 180.")


def place_from(lon: float, lat: float, crs: str = "wgs84", **known: Any) -> Place:
    """Make a :class:`Place` from coordinates in *crs* (one of :data:`REFERENCE_SYSTEMS`), the original kept."""
    check_lon_lat(lon, lat)
    wgs_lon, wgs_lat = to_wgs84(lon, lat, crs)
    if crs == "wgs84":
        return Place(lon, lat, **known)
    return Place(wgs_lon, wgs_lat, original=(lon, lat), original_crs=crs, **known)


def in_china(lon: float, lat: float) -> bool:
    """Whether the point lies in the box within which Chinese web maps shift coordinates (neighbours included)."""
    return 72.004 <= lon <= 137.8347 and 0.8293 <= lat <= 55.8271


def to_wgs84(lon: float, lat: float, crs: str) -> tuple[float, float]:
    """Convert *lon*, *lat* from *crs* to WGS-84; exact to less than a millimetre for GCJ-02 by iteration.

    The public GCJ-02 formula may differ from a map provider's own by a few metres.
    """
    if crs in ("wgs84", "cgcs2000"):
        return lon, lat
    if crs == "gcj02":
        return _gcj02_to_wgs84(lon, lat)
    if crs == "bd09":
        return _gcj02_to_wgs84(*_bd09_to_gcj02(lon, lat))
    raise PlaceError(
        f"The reference system {crs!r} is not known. Use one of: {', '.join(REFERENCE_SYSTEMS)}."
    )


def from_wgs84(lon: float, lat: float, crs: str) -> tuple[float, float]:
    """Convert *lon*, *lat* from WGS-84 to *crs*."""
    if crs in ("wgs84", "cgcs2000"):
        return lon, lat
    if crs == "gcj02":
        return _wgs84_to_gcj02(lon, lat)
    if crs == "bd09":
        return _gcj02_to_bd09(*_wgs84_to_gcj02(lon, lat))
    raise PlaceError(
        f"The reference system {crs!r} is not known. Use one of: {', '.join(REFERENCE_SYSTEMS)}."
    )


def _wgs84_to_gcj02(lon: float, lat: float) -> tuple[float, float]:
    if not in_china(lon, lat):
        return lon, lat
    x, y, pi = lon - 105.0, lat - 35.0, math.pi
    waves = (20 * math.sin(6 * pi * x) + 20 * math.sin(2 * pi * x)) * 2 / 3
    d_lat = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x)) + waves
    d_lat += (20 * math.sin(pi * y) + 40 * math.sin(pi * y / 3)) * 2 / 3
    d_lat += (160 * math.sin(pi * y / 12) + 320 * math.sin(pi * y / 30)) * 2 / 3
    d_lon = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x)) + waves
    d_lon += (20 * math.sin(pi * x) + 40 * math.sin(pi * x / 3)) * 2 / 3
    d_lon += (150 * math.sin(pi * x / 12) + 300 * math.sin(pi * x / 30)) * 2 / 3
    phi = math.radians(lat)
    m = 1 - _ECCENTRICITY_2 * math.sin(phi) ** 2
    s = math.sqrt(m)
    gcj_lat = lat + d_lat * 180 / (_AXIS_M * (1 - _ECCENTRICITY_2) / (m * s) * pi)
    gcj_lon = lon + d_lon * 180 / (_AXIS_M / s * math.cos(phi) * pi)
    return gcj_lon, gcj_lat


def _gcj02_to_wgs84(lon: float, lat: float) -> tuple[float, float]:
    if not in_china(lon, lat):
        return lon, lat
    wgs_lon, wgs_lat = lon, lat
    for _ in range(8):
        gcj_lon, gcj_lat = _wgs84_to_gcj02(wgs_lon, wgs_lat)
        d_lon, d_lat = gcj_lon - lon, gcj_lat - lat
        wgs_lon, wgs_lat = wgs_lon - d_lon, wgs_lat - d_lat
        if abs(d_lon) < 1e-9 and abs(d_lat) < 1e-9:
            break
    return wgs_lon, wgs_lat


def _gcj02_to_bd09(lon: float, lat: float) -> tuple[float, float]:
    z = math.hypot(lon, lat) + 2e-5 * math.sin(lat * _BD_STEP)
    t = math.atan2(lat, lon) + 3e-6 * math.cos(lon * _BD_STEP)
    return z * math.cos(t) + 0.0065, z * math.sin(t) + 0.006


def _bd09_to_gcj02(lon: float, lat: float) -> tuple[float, float]:
    x, y = lon - 0.0065, lat - 0.006
    z = math.hypot(x, y) - 2e-5 * math.sin(y * _BD_STEP)
    t = math.atan2(y, x) - 3e-6 * math.cos(x * _BD_STEP)
    return z * math.cos(t), z * math.sin(t)


def cell_of(lon: float, lat: float, resolution: int = CELL_RESOLUTION) -> str:
    """The H3 cell at *resolution* (0 to 15) that *lon*, *lat* lies in."""
    import h3

    return str(h3.latlng_to_cell(lat, lon, resolution))


def cells_within(lon: float, lat: float, radius_m: float) -> list[str]:
    """The H3 cells at :data:`CELL_RESOLUTION` that cover the circle of *radius_m* metres around *lon*, *lat*.

    A superset: filter by :func:`distance_m` afterwards.
    """
    import h3

    edge_m = h3.average_hexagon_edge_length(CELL_RESOLUTION, unit="m")
    # A ring of cells is at least 1.5 edges wide; edges vary by about 20 % over the globe.
    rings = math.ceil(radius_m / (1.5 * edge_m * 0.8)) + 1
    return [str(cell) for cell in h3.grid_disk(cell_of(lon, lat), rings)]


def distance_m(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    """Great-circle distance in metres between two points (haversine on the mean radius)."""
    phi, other_phi = math.radians(lat), math.radians(other_lat)
    half_lat, half_lon = (other_phi - phi) / 2, math.radians(other_lon - lon) / 2
    a = math.sin(half_lat) ** 2 + math.cos(phi) * math.cos(other_phi) * math.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, a)))


def distances_m(
    lon: float, lat: float, lons: np.ndarray[Any, Any], lats: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Great-circle distances in metres from one point to many (arrays of degrees)."""
    import numpy as np

    phi, phis = math.radians(lat), np.radians(lats)
    a = np.sin((phis - phi) / 2) ** 2
    a = a + math.cos(phi) * np.cos(phis) * np.sin(np.radians(np.asarray(lons) - lon) / 2) ** 2
    result: np.ndarray[Any, Any] = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(a, 0.0, 1.0)))
    return result


def to_metres(lons: Sequence[float], lats: Sequence[float]) -> np.ndarray[Any, Any]:
    """Project points to metres, shape (n, 2): x east, y north of their mean, on a local equirectangular plane.

    A city across it is right to about 0.1 %; 100 km north or south of the middle, at 32° N, east-west distances are off
    by 1 %. Meant for clusters and neighbour search.
    """
    import numpy as np

    lon, lat = np.asarray(lons, dtype=float), np.asarray(lats, dtype=float)
    if lon.size == 0:
        return np.empty((0, 2))
    lon_0, lat_0 = lon.mean(), lat.mean()
    x = np.radians(lon - lon_0) * math.cos(math.radians(lat_0)) * EARTH_RADIUS_M
    y = np.radians(lat - lat_0) * EARTH_RADIUS_M
    return np.column_stack([x, y])


class Areas:
    """Named areas (districts, communities) that points are looked up in; polygons in WGS-84.

    *names_en* are the English names in the order of *names*, '' where there is none. An invalid polygon (a
    self-intersection in somebody's file) is mended, not refused.
    """

    def __init__(
        self, names: Sequence[str], polygons: Iterable[shapely.Geometry], names_en: Sequence[str] = ()
    ) -> None:
        import shapely

        self.names = list(names)
        self.names_en = list(names_en) or [""] * len(self.names)
        self.polygons = [shapely.make_valid(polygon) for polygon in polygons]

    @classmethod
    def read(cls, path: Path, name_field: str | None = None, crs: str = "wgs84") -> Areas:
        """Read areas from a GeoJSON file; *name_field* is the property to name them by, guessed when not given.

        The property ``name_en``, where a feature has it, is its English name. Coordinates in *crs* ``gcj02`` or
        ``bd09`` are converted. Raises :class:`PlaceError` when the file is no GeoJSON of polygons or has no usable
        names.
        """
        import shapely

        try:
            document = json.loads(path.read_text(encoding="utf-8-sig"))
            features = [f for f in document["features"] if f.get("geometry")]
            polygons = shapely.from_geojson([json.dumps(f["geometry"]) for f in features])
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            shapely.errors.ShapelyError,
        ) as error:
            raise PlaceError(
                f"{path.name} cannot be read as a GeoJSON FeatureCollection of areas: {error}."
            ) from error
        properties = [f.get("properties") or {} for f in features]
        field = name_field or _guess_name_field(properties)
        if field is None:
            raise PlaceError(
                f"The areas in {path.name} have no property to name them by. Say which: name_field=…"
            )
        if crs not in ("wgs84", "cgcs2000"):
            polygons = shapely.transform(polygons, lambda points: _convert_points(points, crs))
        english = [value if isinstance(value := p.get("name_en"), str) else "" for p in properties]
        return cls(
            ["" if p.get(field) is None else str(p[field]) for p in properties], list(polygons), english
        )

    @cached_property
    def _tree(self) -> shapely.STRtree:
        import shapely

        return shapely.STRtree(self.polygons)

    def name_at(self, lon: float, lat: float) -> str | None:
        """The name of the area that contains the point, or None."""
        return self.names_at([lon], [lat])[0]

    def names_at(self, lons: Sequence[float], lats: Sequence[float]) -> list[str | None]:
        """The names of the areas that contain each point; where areas overlap, the first in the file."""
        import numpy as np
        import shapely

        found: list[str | None] = [None] * len(lons)
        if not self.names or not len(lons):
            return found
        points = shapely.points(np.asarray(lons, dtype=float), np.asarray(lats, dtype=float))
        inputs, areas = self._tree.query(points, predicate="intersects")
        for point, area in sorted(zip(inputs.tolist(), areas.tolist(), strict=True), reverse=True):
            found[point] = self.names[area]
        return found


def _guess_name_field(properties: list[dict[str, Any]]) -> str | None:
    keys = [key for key in (properties[0] if properties else {}) if all(p.get(key) for p in properties)]
    for wanted in ("name", "名称", "name_zh", "district", "area"):
        for key in keys:
            if key.lower() == wanted:
                return key
    texts = [key for key in keys if all(isinstance(p[key], str) for p in properties)]
    named = [key for key in keys if "name" in key.lower()] or texts or [k for k in keys if "cd" in k.lower()]
    return named[0] if named else None


def _convert_points(points: np.ndarray[Any, Any], crs: str) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.array([to_wgs84(float(x), float(y), crs) for x, y in points])
