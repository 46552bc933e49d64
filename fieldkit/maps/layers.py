"""The layers a map is made of: areas, complaints, hot spots, and places with a count; each a layer plugin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from fieldkit import vocabulary
from fieldkit.errors import MapError
from fieldkit.maps.drawing import add_drawing
from fieldkit.maps.payload import both, column, outline_steps, point_steps

#: Above this many complaints the popups say less, so that the file stays small.
MANY_POINTS = 20_000

#: Above this many corners the outlines of areas are simplified.
MANY_CORNERS = 40_000

#: Hot spots by significance, from the surest: one hue, so that the order is seen without telling colours apart.
HOT_COLOURS = ("#8c0d1a", "#d7453c", "#f6a582")

#: A colour for each main category that most colour-blind people tell apart (after Okabe and Ito, 2008).
CATEGORY_COLOURS = {
    "water": "#0072b2",
    "air": "#e69f00",
    "noise": "#8a3ab9",
    "solid_waste": "#8c6239",
    "radiation": "#009e73",
    "other": "#5f6b76",
    "ecology": "#56b4e9",
    "light": "#c9b400",
    "vibration": "#cc79a7",
    "management": "#33414d",
}
_OTHER_COLOUR = "#5f6b76"
_LISTED = 10

#: The most hot spots or places whose names a map writes.
LABELLED = 60


class AreasLayer:
    """Outlines of districts or communities with their names; the map's background."""

    title = "区域 Areas"

    def add_to(self, chart: Any, data: gpd.GeoDataFrame, options: Mapping[str, Any]) -> None:
        """Add the polygons of *data* (columns ``name`` and, if there, ``name_en``).

        Options: ``title`` (text or zh/en), ``shown``.
        """
        data = in_wgs84(data)
        polygons = _simplified(list(data.geometry))
        names = column_texts(data, "name")
        english = column_texts(data, "name_en")
        inside = [_label_point(shape) for shape in polygons]
        add_drawing(
            chart,
            {
                "kind": "areas",
                "title": both(options.get("title") or {"zh": "行政区域", "en": "Areas"}),
                "shown": bool(options.get("shown", True)),
                "shapes": outline_steps(polygons),
                "outline": True,
                "classes": [{"fill": "#ffffff", "opacity": 0.85, "line": "#7d8b96", "weight": 1.1}],
                "labels": {
                    "quiet": True,
                    "text": [both({"zh": zh, "en": en}) for zh, en in zip(names, english, strict=True)],
                    "at": [round(value, 5) for point in inside for value in point],
                    "order": _by_size(polygons),
                },
            },
        )


class ComplaintsLayer:
    """One point a complaint, coloured by its main category."""

    title = "投诉 Complaints"

    def add_to(self, chart: Any, data: gpd.GeoDataFrame, options: Mapping[str, Any]) -> None:
        """Add the complaints of *data* that have a place; their texts stay out of the map.

        Options: ``title``, ``shown``, ``colours`` (a mapping from main category to ``#rrggbb``).
        """
        data = in_wgs84(with_place(data))
        data = data[data.geometry.geom_type == "Point"]
        colours = {**CATEGORY_COLOURS, **_colours(options.get("colours") or {})}
        categories = column_texts(data, "category")
        found = set(categories)
        used = [code for code in vocabulary.main_categories() if code in found]
        used += sorted(found - set(used) - {""}) + ([""] if "" in found else [])
        place = {code: number for number, code in enumerate(used)}
        add_drawing(
            chart,
            {
                "kind": "complaints",
                "title": both(options.get("title") or {"zh": "投诉", "en": "Complaints"}),
                "shown": bool(options.get("shown", True)),
                "points": point_steps(data.geometry.x.to_numpy(), data.geometry.y.to_numpy()),
                "classes": [_category_class(code, colours) for code in used],
                "style": [place[code] for code in categories],
                "popup": _complaint_popup(data),
            },
        )


class HotspotsLayer:
    """Cells coloured by how surely complaints concentrate there (q value of Getis-Ord Gi*)."""

    title = "热点 Hot spots"

    def add_to(self, chart: Any, data: gpd.GeoDataFrame, options: Mapping[str, Any]) -> None:
        """Add the cells of *data*: columns ``complaints``, ``q_value``, ``hot`` and, if there, the others.

        Options: ``title``, ``shown``, ``colours`` (three ``#rrggbb``, from the surest to the least sure).
        """
        data = in_wgs84(data).reset_index(drop=True)
        colours = tuple(_colours(dict(enumerate(options.get("colours") or HOT_COLOURS))).values())
        if len(colours) != len(HOT_COLOURS):
            raise MapError(
                f"Hot spots have {len(colours)} colours. Give three, from the surest to the least sure."
            )
        alpha = float((data.attrs.get("parameters") or {}).get("alpha", 0.05))
        best, counts = named_hot_spots(data)
        names = cell_names(data)
        centres = data.geometry.representative_point() if len(data) else data.geometry
        add_drawing(
            chart,
            {
                "kind": "hotspots",
                "title": both(options.get("title") or {"zh": "投诉热点", "en": "Hot spots"}),
                "shown": bool(options.get("shown", True)),
                "shapes": outline_steps(list(data.geometry)),
                "classes": _hot_classes(colours, alpha),
                "style": hot_class(data).tolist(),
                "popup": _cell_popup(data),
                "list": {
                    "title": both({"zh": "显著热点", "en": "Significant hot spots"}),
                    "order": best[:_LISTED],
                    "counts": counts,
                    "zoom": 14,
                },
                "labels": {
                    "quiet": False,
                    "text": {str(i): both(names[i]) for i in best},
                    "at": _flat_points(centres),
                    "order": best[:LABELLED],
                },
            },
        )


class PlacesLayer:
    """Places with a count: clusters of complaints, or the places most complained about."""

    title = "地点 Places"

    def add_to(self, chart: Any, data: gpd.GeoDataFrame, options: Mapping[str, Any]) -> None:
        """Add the places of *data*: columns ``name``, ``complaints`` and, if there, what its popups can say.

        Options: ``title``, ``shown``, ``colour``.
        """
        data = in_wgs84(with_place(data)).sort_values("complaints", ascending=False, kind="stable")
        data = data.reset_index(drop=True)
        points = data.geometry.representative_point() if len(data) else data.geometry
        colour = _colours({0: options.get("colour") or "#1d5b79"})[0]
        order, names = list(range(min(len(data), LABELLED))), column_texts(data, "name")
        payload: dict[str, Any] = {
            "kind": "places",
            "title": both(options.get("title") or {"zh": "投诉集中的地点", "en": "Places with complaints"}),
            "shown": bool(options.get("shown", True)),
            "points": point_steps(points.x.to_numpy(), points.y.to_numpy()),
            "sizes": [int(count) for count in data["complaints"]],
            "classes": [
                {
                    "fill": colour,
                    "opacity": 0.88,
                    "line": "#ffffff",
                    "label": both(
                        {
                            "zh": "圈内数字为投诉件数；小点放大后显示",
                            "en": "the number is of complaints; small dots show it further in",
                        }
                    ),
                }
            ],
            "popup": _place_popup(data),
            "list": {
                "title": both(
                    options.get("title") or {"zh": "投诉集中的地点", "en": "Places with complaints"}
                ),
                "order": order[:_LISTED],
                "counts": {str(i): int(data["complaints"].iloc[i]) for i in order},
                "zoom": 16,
            },
            "labels": {
                "quiet": False,
                "text": {str(i): both(names[i]) for i in order},
                "at": _flat_points(points),
                "order": order,
            },
        }
        if (data.geometry.geom_type != "Point").any():
            payload["shapes"] = outline_steps(list(data.geometry))
            payload["shape_style"] = {"fill": colour, "opacity": 0.12, "line": colour, "weight": 1.2}
        add_drawing(chart, payload)


def layer_for(frame: gpd.GeoDataFrame) -> AreasLayer | ComplaintsLayer | HotspotsLayer | PlacesLayer:
    """The layer that draws *frame*, by its columns; raises :class:`MapError` when none does."""
    columns = set(frame.columns)
    if {"complaints", "q_value"} <= columns:
        return HotspotsLayer()
    if {"complaints", "name"} <= columns:
        return PlacesLayer()
    if {"complaint", "received_at"} & columns:
        return ComplaintsLayer()
    if "name" in columns:
        return AreasLayer()
    raise MapError(
        f"No layer draws a frame with the columns {', '.join(map(str, frame.columns))}. Maps are drawn of hot spots "
        "(complaints, q_value), places (name, complaints), complaints (complaint, received_at) and areas (name)."
    )


def in_wgs84(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """*frame* in WGS-84; one without a reference system is taken to be, if its numbers can be degrees.

    Raises :class:`MapError` when they cannot, or when *frame* has no geometry at all.
    """
    if not isinstance(frame, gpd.GeoDataFrame) or frame.active_geometry_name is None:
        raise MapError(
            f"A map is drawn of a frame with places; this is a {type(frame).__name__} without any."
        )
    if frame.crs is not None:
        attrs = frame.attrs
        frame = frame if frame.crs.equals("EPSG:4326", ignore_axis_order=True) else frame.to_crs("EPSG:4326")
        frame.attrs = attrs
    bounds = np.nan_to_num(frame.total_bounds)
    if np.isinf(bounds).any() or (np.abs(bounds) > [180.0, 90.0, 180.0, 90.0]).any():
        raise MapError(
            f"The coordinates reach from {bounds[:2].tolist()} to {bounds[2:].tolist()}, which are not degrees of "
            "longitude and latitude. Set the frame's reference system: frame.set_crs(…)."
        )
    return frame


def with_place(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The rows of *frame* that have a geometry."""
    geometry = frame.geometry
    return frame[~(geometry.isna() | geometry.is_empty)]


def column_texts(frame: pd.DataFrame, name: str) -> list[str]:
    """The column *name* as text, '' where it is missing or there is no such column."""
    if name not in frame.columns:
        return [""] * len(frame)
    # As objects first: walking through a column of pandas' own strings takes ten times as long.
    values, missing = frame[name].astype(object).tolist(), frame[name].isna().tolist()
    return ["" if gone else str(value) for value, gone in zip(values, missing, strict=True)]


def hot_class(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """For each cell 0, 1, 2 (hot: q at most 0.001, 0.01, alpha), 3 (complaints, not hot), 4 (no complaints)."""
    q = frame["q_value"].to_numpy(dtype=float, na_value=1.0)
    alpha = float((frame.attrs.get("parameters") or {}).get("alpha", 0.05))
    hot = frame["hot"].to_numpy(dtype=bool) if "hot" in frame else q <= alpha
    level = np.where(q <= 0.001, 0, np.where(q <= 0.01, 1, 2))
    rest = np.where(frame["complaints"].to_numpy() > 0, 3, 4)
    result: np.ndarray[Any, Any] = np.where(hot, level, rest)
    return result


def _hot_classes(colours: Sequence[str], alpha: float) -> list[dict[str, Any]]:
    names = ("q ≤ 0.001", "q ≤ 0.01", f"q ≤ {alpha:g}")
    hot: list[dict[str, Any]] = [
        {
            "fill": colour,
            "opacity": 0.82,
            "line": "#ffffff",
            "weight": 0.6,
            "label": both({"zh": f"热点 {name}", "en": "hot spot"}),
        }
        for colour, name in zip(colours, names, strict=True)
    ]
    quiet = {"line": "#8296a3", "weight": 0.5}
    some = {"zh": "有投诉，不显著", "en": "complaints, not significant"}
    none = {"zh": "无投诉", "en": "no complaints"}
    return [
        *hot,
        {**quiet, "fill": "#8296a3", "opacity": 0.3, "line_opacity": 0.45, "label": both(some)},
        {**quiet, "fill": "#8296a3", "opacity": 0.05, "line_opacity": 0.14, "label": both(none)},
    ]


def named_hot_spots(data: gpd.GeoDataFrame) -> tuple[list[int], dict[str, int]]:
    """The surest cell of each named hot spot, those with most complaints first, and the complaints of each."""
    hot = np.flatnonzero(hot_class(data) < 3) if len(data) else np.empty(0, dtype=int)
    names = cell_names(data)
    table = pd.DataFrame(
        {
            "cell": hot,
            "name": [names[i] for i in hot],
            "complaints": data["complaints"].to_numpy()[hot],
            "z": data["z_score"].to_numpy()[hot] if "z_score" in data else 0.0,
        }
    )
    groups = table.sort_values("z", ascending=False, kind="stable").groupby("name", sort=False)
    named = groups.agg(cell=("cell", "first"), complaints=("complaints", "sum"))
    named = named.sort_values("complaints", ascending=False, kind="stable")
    return [int(cell) for cell in named["cell"]], {
        str(cell): int(count) for cell, count in zip(named["cell"], named["complaints"], strict=True)
    }


def cell_names(data: pd.DataFrame) -> list[str]:
    """What each cell is called: its name, else its district, else its H3 index."""
    columns = [column_texts(data, name) for name in ("name", "district", "cell")]
    return [name or district or cell for name, district, cell in zip(*columns, strict=True)]


def _cell_popup(data: gpd.GeoDataFrame) -> dict[str, Any]:
    return {
        "heading": column(("名称", "name"), cell_names(data)),
        "lines": _lines(
            data,
            [
                ("district", "区县", "district"),
                ("complaints", "投诉件数", "complaints"),
                ("neighbours", "邻格数", "cells around"),
                ("z_score", "z 值", "z score"),
                ("p_value", "p 值", "p value"),
                ("q_value", "q 值", "q value"),
                ("hot", "显著热点", "significant"),
                ("cell", "网格", "cell"),
            ],
        ),
    }


def _place_popup(data: gpd.GeoDataFrame) -> dict[str, Any]:
    return {
        "heading": column(("名称", "name"), column_texts(data, "name")),
        "lines": _lines(
            data,
            [
                ("complaints", "投诉件数", "complaints"),
                ("cases", "案件数", "cases"),
                ("months", "涉及月数", "months"),
                ("addresses", "地址数", "addresses"),
                ("category", "类别", "category"),
                ("categories", "类别", "categories"),
                ("channels", "渠道", "channels"),
                ("first_at", "最早", "first"),
                ("last_at", "最近", "last"),
            ],
        ),
    }


def _complaint_popup(data: gpd.GeoDataFrame) -> dict[str, Any]:
    many = len(data) > MANY_POINTS
    community, address = column_texts(data, "community"), column_texts(data, "address")
    heading = community if many else [a or b for a, b in zip(address, community, strict=True)]
    asked = [("received_at", "受理时间", "received"), ("category", "类别", "category")]
    if not many:
        asked += [
            ("community", "社区", "community"),
            ("channel", "渠道", "channel"),
            ("complaint", "投诉编号", "complaint"),
            ("case", "案件编号", "case"),
        ]
    return {"heading": column(("地点", "place"), heading), "lines": _lines(data, asked)}


def _lines(data: pd.DataFrame, asked: Iterable[tuple[str, str, str]]) -> list[dict[str, Any]]:
    lines = []
    for name, zh, en in asked:
        if name in data.columns:
            lines.append(column((zh, en), _values(data, name)))
    return lines


def _values(data: pd.DataFrame, name: str) -> list[Any]:
    values = data[name]
    if pd.api.types.is_datetime64_any_dtype(values):
        return _dates(data, name)
    if pd.api.types.is_numeric_dtype(values):
        return list(values.astype(object).where(values.notna(), None))
    objects = values.astype(object).where(values.notna(), "").to_numpy(dtype=object).tolist()
    texts = [value if isinstance(value, str) else _joined(value) for value in objects]
    if name in ("category", "channel", "categories", "channels"):
        known = {text: _label(text) for text in set(texts)}
        return [known[text] for text in texts]
    return texts


def _joined(value: Any) -> str:
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return ", ".join(map(str, sorted(value) if isinstance(value, (set, frozenset)) else value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {number}" for key, number in value.items())
    return str(value)


def _label(codes: str) -> str:
    separator = "|" if "|" in codes else ","
    pairs = [
        (vocabulary.label(code, "zh"), vocabulary.label(code, "en"))
        for code in map(str.strip, codes.split(separator))
    ]
    return "，".join(zh if zh == en else f"{zh} {en}" for zh, en in pairs)


def _dates(data: pd.DataFrame, name: str) -> list[str]:
    """Days, as exactly as they are known: 2017-05-21, or 2017-05 where only the month is."""
    days = data[name].dt.strftime("%Y-%m-%d").fillna("").to_numpy(dtype=object).tolist()
    if name != "received_at" or "precision" not in data:
        return list(days)
    kept = {"month": 7, "year": 4}
    return [
        day[: kept.get(known, 10)] for day, known in zip(days, column_texts(data, "precision"), strict=True)
    ]


def _category_class(code: str, colours: Mapping[Any, str]) -> dict[str, Any]:
    names = {"zh": vocabulary.label(code, "zh"), "en": vocabulary.label(code, "en")}
    return {
        "fill": colours.get(code, _OTHER_COLOUR),
        "opacity": 0.75,
        "label": both(names if code else {"zh": "未分类", "en": "no category"}),
    }


def _colours(given: Mapping[Any, Any]) -> dict[Any, str]:
    for colour in given.values():
        digits = str(colour)[1:]
        if not (
            str(colour).startswith("#")
            and len(digits) == 6
            and all(c in "0123456789abcdefABCDEF" for c in digits)
        ):
            raise MapError(f"{colour!r} is not a colour. Colours are written #rrggbb, e.g. #8c0d1a.")
    return {key: str(colour) for key, colour in given.items()}


def _flat_points(points: gpd.GeoSeries) -> list[float]:
    return [round(float(value), 5) for point in points for value in (point.x, point.y)]


def _simplified(polygons: list[Any]) -> list[Any]:
    corners = int(shapely.get_num_coordinates(polygons).sum()) if polygons else 0
    tolerance = 0.00002
    while corners > MANY_CORNERS and tolerance < 0.02:
        tolerance *= 2
        polygons = [shapely.simplify(shape, tolerance) if shape is not None else None for shape in polygons]
        corners = int(shapely.get_num_coordinates(polygons).sum())
    return polygons


def _label_point(shape: Any) -> tuple[float, float]:
    if shape is None or shape.is_empty:
        return 0.0, 0.0
    largest = max(shapely.get_parts(shape).tolist(), key=lambda part: part.area)
    point = shapely.maximum_inscribed_circle(largest, tolerance=0.005) if largest.area else largest
    point = shapely.get_point(point, 0) if point.geom_type == "LineString" else point.representative_point()
    return float(point.x), float(point.y)


def _by_size(polygons: Sequence[Any]) -> list[int]:
    size = [0.0 if shape is None else float(shape.area) for shape in polygons]
    return sorted((i for i, area in enumerate(size) if area > 0), key=lambda i: -size[i])
