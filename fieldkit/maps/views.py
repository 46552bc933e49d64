"""What a map shows: the first view on what matters in it, and the whole of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fieldkit.errors import MapError
from fieldkit.maps.layers import (
    LABELLED,
    AreasLayer,
    HotspotsLayer,
    PlacesLayer,
    hot_class,
    in_wgs84,
    with_place,
)

if TYPE_CHECKING:
    import geopandas as gpd

    from fieldkit.maps.drawing import MapLayer

#: Closer than this a map does not open by itself: at 15, a pixel is about four metres.
CLOSEST_ZOOM = 15

_TO_HOT_SPOTS = {"zh": "回到热点", "en": "Back to the hot spots"}
_TO_PLACES = {"zh": "回到投诉集中的地点", "en": "Back to the places with most complaints"}


@dataclass(frozen=True, slots=True)
class Views:
    """Boxes of west, south, east, north in WGS-84: what a map opens on, and everything on it.

    *focus* says in both languages what the first view is on, None when that is nothing special.
    """

    first: tuple[float, float, float, float]
    whole: tuple[float, float, float, float]
    focus: dict[str, str] | None

    def payload(self) -> dict[str, Any]:
        """What the page's script reads: boxes with latitude first, as Leaflet has them."""
        return {
            "bounds": _corners(self.first),
            "whole": _corners(self.whole),
            "focus": self.focus,
            "closest": CLOSEST_ZOOM,
        }


def views_of(layers: Sequence[MapLayer]) -> Views:
    """The views of a map of *layers*: first the hot cells and the labelled places that are shown, if any.

    Without these the first view is where complaints are, else everything. Raises :class:`MapError` when there is
    nothing at all to draw.
    """
    first = bounds_of(layers)
    whole = _grown(_extent(in_wgs84(layer.data) for layer in layers))
    shown = [layer for layer in layers if layer.options.get("shown", True)]
    hot = _extent(_hot_cells(layer.data) for layer in shown if isinstance(layer.plugin, HotspotsLayer))
    places = _extent(_labelled(layer.data) for layer in shown if isinstance(layer.plugin, PlacesLayer))
    found = np.vstack([hot, places])
    if len(found):
        return Views(_grown(found), whole, _TO_HOT_SPOTS if len(hot) else _TO_PLACES)
    return Views(first, whole, None)


def bounds_of(layers: Sequence[MapLayer]) -> tuple[float, float, float, float]:
    """West, south, east, north of what the map is about: data with complaints, else everything."""
    boxes = _extent(_with_complaints(la.data) for la in layers if not isinstance(la.plugin, AreasLayer))
    if not len(boxes):
        boxes = _extent(_with_complaints(layer.data) for layer in layers)
    if not len(boxes):
        raise MapError("There is nothing to draw: no row has a place, and no areas are given.")
    return _grown(boxes)


def _with_complaints(data: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    frame = in_wgs84(data)
    if "complaints" in frame and (frame["complaints"] > 0).any():
        return frame[frame["complaints"] > 0]
    return frame


def _hot_cells(data: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    frame = in_wgs84(data)
    return frame[hot_class(frame) < 3] if len(frame) else frame


def _labelled(data: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    frame = in_wgs84(with_place(data))
    return frame.sort_values("complaints", ascending=False, kind="stable").head(LABELLED)


def _extent(frames: Iterable[gpd.GeoDataFrame]) -> np.ndarray[Any, Any]:
    """The boxes of those *frames* that have a place, shape (n, 4)."""
    boxes = [box for box in (frame.total_bounds for frame in frames) if np.isfinite(box).all()]
    return np.array(boxes, dtype=float).reshape(-1, 4)


def _grown(boxes: np.ndarray[Any, Any]) -> tuple[float, float, float, float]:
    """One box around *boxes*; a single point still gets a neighbourhood of about 600 m around it."""
    west, south = boxes[:, :2].min(axis=0).tolist()
    east, north = boxes[:, 2:].max(axis=0).tolist()
    grow_lat = max(0.0, 0.006 - (north - south)) / 2
    grow_lon = max(0.0, 0.007 - (east - west)) / 2
    return (
        round(west - grow_lon, 5),
        round(south - grow_lat, 5),
        round(east + grow_lon, 5),
        round(north + grow_lat, 5),
    )


def _corners(box: tuple[float, float, float, float]) -> list[list[float]]:
    west, south, east, north = box
    return [[south, west], [north, east]]
