"""One picture on paper: borders, marks, names, a scale bar and north, drawn in local metres."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from fieldkit import fonts, vocabulary
from fieldkit.maps.layers import (
    CATEGORY_COLOURS,
    HOT_COLOURS,
    cell_names,
    column_texts,
    hot_class,
    in_wgs84,
    named_hot_spots,
    with_place,
)
from fieldkit.maps.payload import both
from fieldkit.places import EARTH_RADIUS_M

INK, QUIET, LINE, PAPER = "#1f2a33", "#5a6873", "#93a1ab", "#f8f9f8"
CASE, AROUND = "#8c0d1a", "#4f8fb0"

#: Complaints nearer to each other than this are one mark with a number.
SAME_MARK_M = 12.0

_BAR_LENGTHS = [step * 10**power for power in range(7) for step in (1, 2, 5)]


def metres_from(lons: Any, lats: Any, middle: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Metres east and north of *middle*, on a plane touching there; right to about 0.1 % within 100 km."""
    lon, lat = np.asarray(lons, dtype=float), np.asarray(lats, dtype=float)
    x = np.radians(lon - middle[0]) * math.cos(math.radians(middle[1])) * EARTH_RADIUS_M
    return np.column_stack([x, np.radians(lat - middle[1]) * EARTH_RADIUS_M])


class Sheet:
    """One picture on paper: a title, the map in local metres, a legend, a sentence."""

    def __init__(
        self, size_mm: tuple[float, float], dpi: int, language: str, foot: Mapping[str, str] | None = None
    ) -> None:
        # matplotlib's figures without pyplot: no state that outlives the picture, no window.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        fonts.register_with_matplotlib()
        self.language, self.dpi = language, dpi
        self.width, self.height = size_mm
        self.figure: Any = Figure(figsize=(self.width / 25.4, self.height / 25.4), dpi=dpi, facecolor="white")
        FigureCanvasAgg(self.figure)
        lines = self._wrapped(foot)
        bottom = 7.0 + 4.2 * len(lines)
        self.top = self.height - 1.0
        self.axes: Any = None
        #: Where marks stand: metres east and north, radius in points.
        self.placed: list[tuple[float, float, float]] = []
        #: Where names stand already, in pixels.
        self.taken: list[Any] = []
        self.bottom = bottom
        for number, line in enumerate(lines):
            self._write(
                self.figure,
                1 / self.width,
                (4.2 * (len(lines) - number) - 2.4) / self.height,
                line,
                7.5,
                QUIET,
            )

    def _write(
        self, target: Any, x: float, y: float, text: str, size: float, colour: str = INK, **more: Any
    ) -> Any:
        # Dollar signs in what people wrote are no formulas.
        return target.text(x, y, fonts.printable(text), fontsize=size, color=colour, parse_math=False, **more)

    def _say(self, pair: str | Mapping[str, str]) -> str:
        said = both(pair)
        if self.language == "both":
            return said["zh"] if said["zh"] == said["en"] else f"{said['zh']}  {said['en']}"
        return said[self.language]

    def _wrapped(self, pair: Mapping[str, str] | None) -> list[str]:
        if not pair:
            return []
        wanted = [pair["zh"], pair["en"]] if self.language == "both" else [pair[self.language]]
        room = int(self.width / 1.42)
        return [line for text in dict.fromkeys(wanted) for line in _wrap(text, room)]

    def head(self, title: str | Mapping[str, str]) -> None:
        """Write the title, cut where the paper ends."""
        if text := self._say(title):
            line = _wrap(text, int(self.width / 2.1))[0]
            self._write(self.figure, 1 / self.width, 1 - 1.2 / self.height, line, 10.5, va="top")
            self.top = self.height - 7.5

    def view(self, middle: tuple[float, float], half_height_m: float) -> None:
        """Open the map: *middle* in its middle, *half_height_m* metres above and below."""
        box = (0.004, self.bottom / self.height, 0.992, (self.top - self.bottom) / self.height)
        self.axes = self.figure.add_axes(box, facecolor=PAPER)
        half = (half_height_m * self.ratio, half_height_m)
        self.middle, self.half = middle, half
        self.axes.set_xlim(-half[0], half[0])
        self.axes.set_ylim(-half[1], half[1])
        self.axes.set_xticks([])
        self.axes.set_yticks([])
        for spine in self.axes.spines.values():
            spine.set_color("#b9c3ca")
            spine.set_linewidth(0.8)
        self._scale_bar()
        self._north()

    @property
    def ratio(self) -> float:
        """Width of the map by its height."""
        return (self.width * 0.992) / (self.top - self.bottom)

    def _in_view(self, xy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        result: np.ndarray[Any, Any] = (np.abs(xy) <= self.half).all(axis=1)
        return result

    def borders(self, areas: gpd.GeoDataFrame | None) -> None:
        """Draw the outlines of areas that are in view, each with its name on the part that is."""
        if areas is None:
            return
        window = shapely.box(-self.half[0], -self.half[1], self.half[0], self.half[1])
        named = list(
            zip(areas.geometry, column_texts(areas, "name"), column_texts(areas, "name_en"), strict=True)
        )
        for shape, name, english in named:
            if shape is None or shape.is_empty:
                continue
            plane = shapely.make_valid(
                shapely.transform(shape, lambda p: metres_from(p[:, 0], p[:, 1], self.middle))
            )
            seen = shapely.intersection(plane, window)
            if seen.is_empty or not seen.area:
                continue
            edge = shapely.intersection(shapely.boundary(plane), window)
            for line in shapely.get_parts(edge):
                if line.geom_type == "LineString":
                    self.axes.plot(*shapely.get_coordinates(line).T, color=LINE, linewidth=0.9, zorder=3)
            self._area_name(seen, window, {"zh": name or english, "en": english or name})

    def _area_name(self, seen: Any, window: Any, name: Mapping[str, str]) -> None:
        if seen.area > 0.97 * window.area:
            # The one area that is all around needs no place of its own: its name goes into the corner.
            x, y, side = -0.97 * self.half[0], 0.95 * self.half[1], "left"
            self._write(self.axes, x, y, self._say(name), 8.5, QUIET, ha=side, va="top", zorder=9)
        elif seen.area > 0.01 * window.area:
            spot = max(shapely.get_parts(seen).tolist(), key=lambda part: part.area).representative_point()
            style = {"ha": "center", "va": "center", "zorder": 3.5}
            text = self._write(self.axes, spot.x, spot.y, self._say(name), 8, QUIET, **style)
            self.taken.append(text.get_window_extent(self.figure.canvas.get_renderer()))

    def rings(self, radius_m: float) -> None:
        """Draw circles at half and whole *radius_m* around the middle, with their distance."""
        turn = np.linspace(0, 2 * math.pi, 181)
        for radius in (radius_m / 2, radius_m):
            x, y = radius * np.cos(turn), radius * np.sin(turn)
            self.axes.plot(x, y, color="#b4c0c8", linewidth=0.7, linestyle=(0, (4, 3)), zorder=2)
            text = self._write(
                self.axes, 0, -radius, _distance(radius), 6.5, QUIET, ha="center", va="center", zorder=2.5
            )
            text.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})

    def marks(self, frame: gpd.GeoDataFrame | None, colour: str, *, order: float) -> int:
        """Draw complaints as marks sized and numbered by count; returns how many complaints are in view."""
        xy = self._points(frame)
        if not len(xy):
            return 0
        spots = pd.DataFrame(np.rint(xy / SAME_MARK_M), columns=["x", "y"]).assign(
            east=xy[:, 0], north=xy[:, 1]
        )
        groups = spots.groupby(["x", "y"]).agg(
            east=("east", "mean"), north=("north", "mean"), n=("east", "size")
        )
        groups = groups.sort_values("n", ascending=False, kind="stable")
        size = 26 + 30 * np.minimum(groups["n"] - 1, 40) ** 0.75
        self.axes.scatter(
            groups["east"],
            groups["north"],
            s=size,
            c=colour,
            alpha=0.95,
            linewidths=0.8,
            edgecolors="white",
            zorder=order,
        )
        radius = np.sqrt(np.asarray(size)) / 2
        self.placed += list(
            zip(groups["east"].tolist(), groups["north"].tolist(), radius.tolist(), strict=True)
        )
        for spot in groups[groups["n"] > 1].itertuples():
            self._write(
                self.axes, float(str(spot.east)), float(str(spot.north)), str(spot.n), 6.5, "white",
                ha="center", va="center_baseline", zorder=order + 0.5,
            )  # fmt: skip
        return len(xy)

    def _points(self, frame: gpd.GeoDataFrame | None) -> np.ndarray[Any, Any]:
        if frame is None or not len(frame):
            return np.empty((0, 2))
        if isinstance(frame, gpd.GeoDataFrame):
            shown = in_wgs84(with_place(frame)).geometry.representative_point()
            lons, lats = shown.x.to_numpy(), shown.y.to_numpy()
        else:
            known = pd.DataFrame(frame)[["lon", "lat"]].dropna()
            lons, lats = known["lon"].to_numpy(), known["lat"].to_numpy()
        xy = metres_from(lons, lats, self.middle)
        kept: np.ndarray[Any, Any] = xy[self._in_view(xy)]
        return kept

    def cells(self, frame: gpd.GeoDataFrame) -> list[tuple[str, Mapping[str, str]]]:
        """Draw hot-spot cells and the names of the hot ones; returns the legend."""
        from matplotlib.collections import PolyCollection

        classes = hot_class(frame)
        rings = [
            shapely.get_coordinates(shapely.get_exterior_ring(shapely.get_parts(shape)[0]))
            for shape in frame.geometry
        ]
        outlines = np.array(
            [metres_from(ring[:, 0], ring[:, 1], self.middle) for ring in rings], dtype=object
        )
        faces = [*HOT_COLOURS, "#c4ced5", "#eef1f3"]
        for number in (4, 3, 2, 1, 0):
            mine = [outlines[i] for i in np.flatnonzero(classes == number)]
            edge = "#dfe5e9" if number > 2 else "white"
            self.axes.add_collection(
                PolyCollection(
                    mine, facecolors=faces[number], edgecolors=edge, linewidths=0.3, alpha=0.85, zorder=2.2
                )
            )
        best, _ = named_hot_spots(frame)
        names, spots = cell_names(frame), frame.geometry.representative_point()
        self._names([names[i] for i in best[:25]], spots.iloc[best[:25]])
        alpha = float((frame.attrs.get("parameters") or {}).get("alpha", 0.05))
        limits = ("q ≤ 0.001", "q ≤ 0.01", f"q ≤ {alpha:g}")
        legend = [
            (c, {"zh": f"热点 {q}", "en": "hot spot"}) for c, q in zip(HOT_COLOURS, limits, strict=True)
        ]
        return [*legend, ("#c4ced5", {"zh": "不显著", "en": "not significant"})]

    def places(self, frame: gpd.GeoDataFrame) -> None:
        """Draw places with their number of complaints, the largest on top, and their names."""
        frame = frame.sort_values("complaints", kind="stable")
        spots = frame.geometry.representative_point()
        xy = metres_from(spots.x, spots.y, self.middle)
        count = frame["complaints"].to_numpy()
        size = 50 + 30 * np.minimum(count, 60) ** 0.75
        self.axes.scatter(
            xy[:, 0], xy[:, 1], s=size, c=AROUND, alpha=0.9, linewidths=0.8, edgecolors="white", zorder=5
        )
        self.placed += [(float(x), float(y), math.sqrt(s) / 2) for (x, y), s in zip(xy, size, strict=True)]
        for (x, y), number in zip(xy, count, strict=True):
            style = {"ha": "center", "va": "center_baseline", "zorder": 5.5}
            self._write(self.axes, x, y, str(int(number)), 6.5, "white", **style)
        self._names(column_texts(frame, "name")[::-1][:25], spots.iloc[::-1][:25])

    def dots(self, frame: gpd.GeoDataFrame) -> list[tuple[str, Mapping[str, str]]]:
        """Draw complaints coloured by main category; returns the legend."""
        spots = frame.geometry.representative_point()
        xy, codes = metres_from(spots.x, spots.y, self.middle), np.array(column_texts(frame, "category"))
        legend: list[tuple[str, Mapping[str, str]]] = []
        for code in sorted(set(codes)):
            mine = xy[codes == code]
            colour = CATEGORY_COLOURS.get(code, "#5f6b76")
            size = 14 if len(xy) < 2000 else 4
            self.axes.scatter(
                mine[:, 0],
                mine[:, 1],
                s=size,
                c=colour,
                alpha=0.7,
                linewidths=0.3,
                edgecolors="white",
                zorder=4,
            )
            label = {
                "zh": vocabulary.label(code, "zh") or "未分类",
                "en": vocabulary.label(code, "en") or "no category",
            }
            legend.append((colour, label))
        return legend

    def _names(self, names: Sequence[str], spots: gpd.GeoSeries) -> None:
        """Write names beside their places, each only where it covers no earlier one."""
        renderer = self.figure.canvas.get_renderer()
        for name, spot in zip(names, spots, strict=True):
            text = self.label(name, spot.x, spot.y)
            box = text.get_window_extent(renderer)
            if any(box.overlaps(other) for other in self.taken):
                text.remove()
            else:
                self.taken.append(box)

    def label(self, text: str, lon: float, lat: float) -> Any:
        """Write *text* under the place *lon*, *lat* and the mark that stands there, with a white rim."""
        from matplotlib.patheffects import withStroke

        x, y = metres_from([lon], [lat], self.middle)[0]
        near = 0.015 * self.half[1]
        below = max((r for mx, my, r in self.placed if math.hypot(mx - x, my - y) < near), default=2.0)
        edge = 0.82 * self.half[0]
        side = "left" if x < -edge else "right" if x > edge else "center"
        written = self.axes.annotate(
            fonts.printable(fonts.cut(text, 34)),
            (x, y),
            xytext=(0, -below - 1.5),
            textcoords="offset points",
            fontsize=7.5,
            color=INK,
            parse_math=False,
            ha=side,
            va="top",
            zorder=8,
            annotation_clip=True,
        )
        written.set_path_effects([withStroke(linewidth=2.2, foreground="white")])
        return written

    def centre_cross(self) -> None:
        """Mark the middle, where the case is said to be."""
        self.axes.plot([0], [0], marker="+", markersize=13, color=INK, markeredgewidth=0.9, zorder=5.5)

    def legend(self, entries: Sequence[tuple[str, str | Mapping[str, str]]]) -> None:
        """Write a coloured mark and its meaning, one after the other, under the map."""
        x, y = 2.0, self.bottom - 3.6
        renderer = self.figure.canvas.get_renderer()
        for colour, label in entries:
            self.figure.text(
                x / self.width, y / self.height, "●", fontsize=8, color=colour, va="center_baseline"
            )
            place = ((x + 4) / self.width, y / self.height)
            text = self._write(self.figure, *place, self._say(label), 7.5, va="center_baseline")
            wide = text.get_window_extent(renderer).width / self.dpi * 25.4
            if x + 4 + wide > self.width and x > 2.0:
                text.remove()
                break
            x += 4 + wide + 5

    def _scale_bar(self) -> None:
        room = self.half[0] * 2 * 0.22
        length = max((bar for bar in _BAR_LENGTHS if bar <= room), default=1)
        left, low = -0.965 * self.half[0], -0.93 * self.half[1]
        tick = 0.018 * self.half[1]
        x, y = [left, left, left + length, left + length], [low + tick, low, low, low + tick]
        self.axes.plot(x, y, color=INK, linewidth=1.1, zorder=9)
        self._write(
            self.axes,
            left + length / 2,
            low + tick * 1.2,
            _distance(length),
            7,
            ha="center",
            va="bottom",
            zorder=9,
        )

    def _north(self) -> None:
        x, top, unit = 0.955 * self.half[0], 0.94 * self.half[1], self.half[1]
        points = [
            (x, top),
            (x + 0.022 * unit, top - 0.1 * unit),
            (x, top - 0.078 * unit),
            (x - 0.022 * unit, top - 0.1 * unit),
        ]
        self.axes.fill(*zip(*points, strict=True), color=INK, zorder=9)
        self._write(
            self.axes,
            x,
            top - 0.11 * unit,
            "北 N" if self.language != "en" else "N",
            7,
            ha="center",
            va="top",
            zorder=9,
        )

    def png(self) -> bytes:
        """The picture; nothing in it tells when or with which version it was drawn."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=self.dpi, metadata={"Software": None})
        return buffer.getvalue()


def _distance(metres: float) -> str:
    return f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"


def _wrap(text: str, room: int) -> list[str]:
    """Break *text* into lines of *room* columns; Chinese breaks anywhere, Latin at spaces."""
    lines, line, used = [], "", 0
    for word in _words(text):
        wide = fonts.width(word)
        if used + wide > room and line.strip():
            lines.append(line.strip())
            line, used = "", 0
        line, used = line + word, used + wide
    return [*lines, line.strip()] if line.strip() or not lines else lines


def _words(text: str) -> list[str]:
    words: list[str] = []
    for character in text:
        wide = fonts.width(character) == 2
        # A full stop or comma stays with the character before it.
        if words and (
            character in "，。；：、）！？" or not (wide or words[-1][-1].isspace() or _is_wide(words[-1]))
        ):
            words[-1] += character
        else:
            words.append(character)
    return words


def _is_wide(word: str) -> bool:
    return fonts.width(word[-1]) == 2
