"""Maps that open without a network: interactive pages drawn with folium, and still pictures for print."""

from __future__ import annotations

from fieldkit.maps.description import Description, described, draw_description, load_description
from fieldkit.maps.drawing import MapLayer, add_drawing, draw_map
from fieldkit.maps.folium_patch import map_text, patch_branca
from fieldkit.maps.layers import AreasLayer, ComplaintsLayer, HotspotsLayer, PlacesLayer, layer_for
from fieldkit.maps.still import still_map, still_result
from fieldkit.maps.writing import write_layers, write_map

__all__ = [
    "AreasLayer",
    "ComplaintsLayer",
    "Description",
    "HotspotsLayer",
    "MapLayer",
    "PlacesLayer",
    "add_drawing",
    "described",
    "draw_description",
    "draw_map",
    "layer_for",
    "load_description",
    "map_text",
    "patch_branca",
    "still_map",
    "still_result",
    "write_layers",
    "write_map",
]
