"""Still maps for print: the place of a case with its neighbourhood, and the result of an analysis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np

from fieldkit.errors import MapError
from fieldkit.maps.drawing import MapLayer, area_frame, sentence_of
from fieldkit.maps.layers import HotspotsLayer, PlacesLayer, in_wgs84, layer_for, with_place
from fieldkit.maps.sheet import AROUND, CASE, Sheet, metres_from
from fieldkit.maps.views import bounds_of
from fieldkit.places import check_lon_lat

if TYPE_CHECKING:
    from fieldkit.places import Areas


def still_map(
    points: gpd.GeoDataFrame | None,
    *,
    centre: tuple[float, float],
    radius_m: float = 500.0,
    areas: Areas | gpd.GeoDataFrame | None = None,
    title: str | Mapping[str, str] = "",
    others: gpd.GeoDataFrame | None = None,
    names: Sequence[tuple[str, float, float]] = (),
    language: str = "both",
    size_mm: tuple[float, float] = (165.0, 105.0),
    dpi: int = 200,
) -> bytes:
    """Draw the place of a case as a PNG: its complaints, the other ones around, borders, scale and north.

    *points* are the case's complaints, *others* further ones (earlier, or of other cases); both may be None or
    have rows without a place. *centre* is ``(lon, lat)`` in WGS-84; a circle of *radius_m* metres around it is
    in view. *areas* give borders and district names, *names* further labels ``(text, lon, lat)``. Complaints at
    one spot are one mark, sized and numbered by their count. The same input gives the same bytes.
    Raises :class:`MapError` for a radius that is not positive, :class:`~fieldkit.errors.PlaceError` for a
    centre that is not on the globe.
    """
    lon, lat = centre
    check_lon_lat(lon, lat)
    if not (math.isfinite(radius_m) and 0 < radius_m <= 200_000):
        raise MapError(f"The radius {radius_m} is not a distance in metres between 0 and 200,000.")
    sheet = Sheet(size_mm, dpi, language)
    sheet.head(title)
    sheet.view(centre, radius_m * 1.1)
    sheet.borders(area_frame(areas))
    sheet.rings(radius_m)
    around = sheet.marks(others, AROUND, order=4)
    own = sheet.marks(points, CASE, order=6)
    for text, x_lon, y_lat in names:
        sheet.label(text, x_lon, y_lat)
    sheet.centre_cross()
    legend = [(CASE, {"zh": f"本案投诉 {own} 件", "en": f"this case: {own}"})]
    if others is not None:
        said = {"zh": f"图中其他投诉 {around} 件", "en": f"other complaints in view: {around}"}
        legend.append((AROUND, said))
    sheet.legend(legend)
    return sheet.png()


def still_result(
    frame: gpd.GeoDataFrame,
    *,
    areas: Areas | gpd.GeoDataFrame | None = None,
    title: str | Mapping[str, str] = "",
    language: str = "both",
    size_mm: tuple[float, float] = (240.0, 165.0),
    dpi: int = 150,
) -> bytes:
    """Draw the result of an analysis (hot spots, places with a count, complaints) over *areas* as a PNG.

    Under the map stands the sentence of ``frame.attrs``. The same input gives the same bytes. Raises
    :class:`MapError` when there is nothing to draw.
    """
    plugin = layer_for(frame)
    outlines = area_frame(areas)
    layers = [MapLayer(plugin, frame)]
    west, south, east, north = bounds_of(
        [*layers, *([MapLayer(layer_for(outlines), outlines)] if outlines is not None else [])]
    )
    frame = in_wgs84(with_place(frame))
    sheet = Sheet(size_mm, dpi, language, foot=sentence_of(frame.attrs))
    sheet.head(title)
    middle = ((west + east) / 2, (south + north) / 2)
    half = np.abs(metres_from([east], [north], middle)[0])
    sheet.view(middle, float(max(half[1], half[0] / sheet.ratio)) * 1.12)
    if outlines is not None:
        sheet.borders(outlines)
    if isinstance(plugin, HotspotsLayer):
        sheet.legend(sheet.cells(frame))
    elif isinstance(plugin, PlacesLayer):
        sheet.places(frame)
        sheet.legend([(AROUND, {"zh": "圈内数字为投诉件数", "en": "the number is of complaints"})])
    else:
        sheet.legend(sheet.dots(frame))
    return sheet.png()
