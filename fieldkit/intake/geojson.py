"""The ``geojson`` reader: FeatureCollections and newline-delimited features of complaints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from fieldkit import files
from fieldkit.complaints import Entry, Flag
from fieldkit.errors import IntakeError
from fieldkit.intake.columns import OWN_PREFIX, guess_columns
from fieldkit.intake.instructions import Instructions, read_instructions
from fieldkit.intake.strict_json import JsonFile, plain_cell, readable_json
from fieldkit.intake.tables import (
    FILE_COLUMN,
    SAMPLE_ROWS,
    Row,
    TableReading,
    own_cells,
)

#: The columns in which a feature's point stands beside its properties.
LON_COLUMN, LAT_COLUMN = "geometry: longitude", "geometry: latitude"

_SYSTEMS = {"4326": "wgs84", "CRS84": "wgs84", "4490": "cgcs2000", "4979": "wgs84"}


class GeoJsonReader:
    """Reads GeoJSON of complaints: points, or anything else by a point that lies on it."""

    title = "GeoJSON"

    def open(self, path: Path, options: Mapping[str, Any]) -> TableReading:
        """Open *path*; raises :class:`IntakeError` when it is no strict JSON or no collection of features."""
        instructions = read_instructions(options)
        source = Features(path, instructions)
        said = dict(instructions.columns)
        columns = [c for c in source.columns if c not in (LON_COLUMN, LAT_COLUMN)]
        if said.keys() & {"lon", "lat"}:
            return TableReading(source, instructions)
        # The geometry wins over properties called x, y or longitude.
        mapping = guess_columns(columns, {**said, "lon": "", "lat": ""})
        if "received_at" not in mapping:
            return TableReading(source, instructions)  # says what is missing
        for column in (*said.values(), *instructions.keep):
            if column and column not in columns:
                return TableReading(source, instructions)
        return TableReading(source, instructions, fixed={**mapping, "lon": LON_COLUMN, "lat": LAT_COLUMN})


class Features:
    """The features of a GeoJSON file as a source of rows; a row's number is the feature's, from 1."""

    clean = False
    total: int | None = None

    def __init__(self, path: Path, instructions: Instructions) -> None:  # noqa: ARG002 - the same for every source
        self.path = path
        self.name = path.name
        self._file = JsonFile(path, ("features",), sequence=True)
        self.encoding = self._file.encoding
        names: dict[str, None] = {}
        seen = 0
        for feature in islice(self._file.elements(), SAMPLE_ROWS):
            seen += 1
            properties = _properties(feature)
            names.update(dict.fromkeys(properties))
            if seen == 1 and isinstance(properties.get(FILE_COLUMN), str):
                self.name = properties[FILE_COLUMN]
        if not seen:
            raise IntakeError(f"{path.name} has no features. Nothing was taken from it.")
        self.columns = [*(n for n in names if not n.startswith(OWN_PREFIX)), LON_COLUMN, LAT_COLUMN]
        self.crs = self._named_system()

    def rows(self) -> Iterator[Row]:
        """Yield the features; one that has no usable geometry comes without coordinates."""
        properties_at = self.columns[:-2]
        for number, feature in enumerate(self._file.elements(), start=1):
            if not isinstance(feature, dict) or feature.get("type") != "Feature":
                message = f"Feature {number} is no GeoJSON feature."
                raw = feature if isinstance(feature, dict) else {"value": feature}
                yield Row(number, None, raw, (Flag("bad_feature", "", "", number, message),))
                continue
            properties = _properties(feature)
            lon, lat, flags = _point(feature.get("geometry"), number)
            cells = [plain_cell(properties.get(name)) for name in properties_at]
            yield Row(number, [*cells, lon, lat], feature, flags)

    def write(self, entries: Iterable[Entry], path: Path) -> Path:
        """Write refused features, whole, with the reason in their properties."""
        target = path if path.suffix.lower() == ".geojson" else path.with_name(path.name + ".geojson")
        features = []
        for entry in entries:
            properties = entry.raw.get("properties")
            own = own_cells(entry, self.name)
            features.append(
                {
                    **entry.raw,
                    "properties": {**own, **(properties if isinstance(properties, dict) else {}), **own},
                }
            )
        document: dict[str, Any] = {"type": "FeatureCollection", "features": features}
        if self.crs:
            code = {"wgs84": "OGC:1.3:CRS84", "cgcs2000": "EPSG::4490"}[self.crs]
            document = {
                "type": "FeatureCollection",
                "crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{code}"}},
                "features": features,
            }
        files.write_text(target, readable_json(document))
        return target

    def _named_system(self) -> str:
        """The reference system that an old-style ``crs`` member names, or nothing."""
        crs = self._file.outer.get("crs")
        if not crs:
            return ""
        name = (
            str(crs.get("properties", {}).get("name", ""))
            if isinstance(crs, dict) and isinstance(crs.get("properties"), dict)
            else ""
        )
        code = name.replace(":", "/").rpartition("/")[2]
        if code not in _SYSTEMS:
            raise IntakeError(
                f"{self.path.name} is in the reference system {name[:60]!r}. "
                "Convert it to WGS-84 (EPSG:4326) and try again."
            )
        return _SYSTEMS[code]


def _properties(feature: object) -> dict[str, Any]:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    return properties if isinstance(properties, dict) else {}


def _point(geometry: Any, number: int) -> tuple[object, object, tuple[Flag, ...]]:
    """Longitude, latitude and what is to be said about them."""
    if geometry is None:
        return "", "", ()
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind == "Point":
        points = geometry.get("coordinates")
        if isinstance(points, list) and len(points) >= 2:
            return plain_cell(points[0]), plain_cell(points[1]), ()
        if points == []:
            return "", "", ()
    elif kind in (
        "MultiPoint",
        "LineString",
        "MultiLineString",
        "Polygon",
        "MultiPolygon",
        "GeometryCollection",
    ):
        import shapely

        try:
            shape = shapely.from_geojson(json.dumps(geometry))
            inside = shape.point_on_surface()
            if not inside.is_empty:
                message = f"Feature {number} is a {kind}; a point on it was taken for its place."
                return inside.x, inside.y, (Flag("not_a_point", "lon", str(kind), number, message),)
        except (shapely.errors.ShapelyError, ValueError, TypeError):
            pass
    message = f"Feature {number} has a geometry that cannot be read; the complaint was kept without a place."
    return "", "", (Flag("bad_place", "lon", str(kind), number, message),)
