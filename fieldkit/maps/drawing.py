"""Draw a map: folium makes the frame, the layers bring data, and the page carries everything in itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldkit import fonts
from fieldkit.errors import MapError
from fieldkit.maps import assets
from fieldkit.maps.folium_patch import patch_branca
from fieldkit.maps.payload import both, json_block, texts_in

if TYPE_CHECKING:
    import geopandas as gpd

    from fieldkit.places import Areas
    from fieldkit.plugins import Layer

LANGUAGES = ("both", "zh", "en")


@dataclass(frozen=True, slots=True)
class MapLayer:
    """One layer of a map: the *plugin* that draws it, its *data* in any reference system, its *options*."""

    plugin: Layer
    data: gpd.GeoDataFrame
    options: Mapping[str, Any] = field(default_factory=dict)


def draw_map(
    title: str | Mapping[str, str],
    *layers: MapLayer | gpd.GeoDataFrame,
    areas: Areas | gpd.GeoDataFrame | None = None,
    language: str = "both",
    subtitle: str | Mapping[str, str] | None = None,
    sentence: str | Mapping[str, str] | None = None,
    tiles: Path | None = None,
) -> str:
    """Draw *layers* over the outlines of *areas* as one HTML page that needs nothing but itself.

    A layer is a :class:`MapLayer`, or a frame whose layer is found by its columns: hot spots, places with a
    count, complaints, areas. *title*, *subtitle* and *sentence* (by default the first frame's
    ``attrs["sentence"]``) are text, or ``{"zh": …, "en": …}``; *language* is ``both``, ``zh`` or ``en``; *tiles*
    is a raster MBTiles file to put under everything. The same input gives the same page. Raises
    :class:`MapError` when there is nothing to draw, when a frame is no map's, when *tiles* cannot be read, or when
    a layer plugin would make the page ask for something outside itself.
    """
    from fieldkit.maps.layers import layer_for
    from fieldkit.maps.tiles import read_tiles
    from fieldkit.maps.views import views_of

    if language not in LANGUAGES:
        raise MapError(f"The language {language!r} is not known. Use one of: {', '.join(LANGUAGES)}.")
    given = [item if isinstance(item, MapLayer) else MapLayer(layer_for(item), item) for item in layers]
    background = area_frame(areas)
    if background is not None and len(background):
        from fieldkit.maps.layers import AreasLayer

        given.insert(0, MapLayer(AreasLayer(), background))
    views = views_of(given)
    base = read_tiles(tiles, views.first) if tiles is not None else None
    chart = _new_chart(views.first)
    for layer in given:
        layer.plugin.add_to(chart, layer.data, layer.options)
    attrs: Mapping[str, Any] = next((layer.data.attrs for layer in given if layer.data.attrs), {})
    page: dict[str, Any] = {
        "title": both(title),
        "subtitle": both(subtitle) if subtitle else None,
        "sentence": both(sentence) if sentence else sentence_of(attrs),
        "details": details(attrs),
        "language": language,
        **views.payload(),
    }
    if base is not None:
        page["credit"] = base.credit
        page["details"] = [*page["details"], *filter(None, [base.note()])]
    return _page(chart, page, base.payload() if base is not None and base.images else None)


def area_frame(areas: Areas | gpd.GeoDataFrame | None) -> gpd.GeoDataFrame | None:
    """*areas* as a frame in WGS-84 with the columns ``name`` and, where there are any, ``name_en``."""
    import geopandas as gpd

    from fieldkit.maps.layers import in_wgs84

    if areas is None:
        return None
    if isinstance(areas, gpd.GeoDataFrame):
        return in_wgs84(areas)
    names = {"name": areas.names, "name_en": areas.names_en}
    return gpd.GeoDataFrame(names, geometry=list(areas.polygons), crs="EPSG:4326")


def sentence_of(attrs: Mapping[str, Any]) -> dict[str, str] | None:
    """The plain words that go with a result: its ``sentence``, with ``sentence_zh`` where there is one."""
    sentence, chinese = attrs.get("sentence"), attrs.get("sentence_zh")
    if chinese and not isinstance(sentence, Mapping):
        return both({"zh": str(chinese), "en": str(sentence or "")})
    return both(sentence) if sentence else None


def details(attrs: Mapping[str, Any]) -> list[dict[str, str]]:
    """How a result was found, in a line or two for the foot of a map, from its ``attrs``."""
    lines = []
    correction = attrs.get("correction")
    if attrs.get("method"):
        parts = [both(attrs["method"])]
        if correction and correction != "none":
            tests = attrs.get("tests")
            parts += [{"zh": f"{tests} 次检验", "en": f"{tests} tests"}] if tests else []
            parts.append(both(correction))
        lines.append(
            _labelled("方法", "Method", {key: "; ".join(part[key] for part in parts) for key in ("zh", "en")})
        )
    if attrs.get("source"):
        lines.append(_labelled("文献", "Source", both(attrs["source"])))
    if attrs.get("data_version"):
        lines.append(_labelled("数据版本", "Data version", both(attrs["data_version"])))
    if attrs.get("as_of"):
        lines.append(_labelled("数据截至", "As recorded until", both(attrs["as_of"])))
    return lines


def _labelled(zh: str, en: str, said: Mapping[str, str]) -> dict[str, str]:
    if said["zh"] == said["en"]:
        return both(f"{zh} {en}: {said['en']}")
    return {"zh": f"{zh}：{said['zh']}", "en": f"{en}: {said['en']}"}


def _new_chart(bounds: Sequence[float]) -> Any:
    patch_branca()
    import folium
    from branca.element import Element

    chart: Any = folium.Map(
        location=[(bounds[1] + bounds[3]) / 2, (bounds[0] + bounds[2]) / 2],
        zoom_start=10,
        tiles=None,
        prefer_canvas=True,
        zoom_snap=0.25,
        max_zoom=19,
        attribution_control=False,
    )
    # Leaflet's own option: folium's argument of this name belongs to the tile layer, which there is none of.
    chart.options["maxZoom"] = 19
    # A fixed name, so that the same data give the same file. On this map only: folium's lists of scripts
    # belong to the class, and nothing we draw needs jQuery, Bootstrap or Font Awesome.
    chart._id = "fieldkit"
    chart.default_js, chart.default_css = [], []
    header = chart.get_root().header
    header.add_child(Element(f"<style>{assets.leaflet_style()}</style>"), name="leaflet_css")
    header.add_child(Element(f"<script>{assets.leaflet_script()}</script>"), name="leaflet")
    return chart


@lru_cache(maxsize=1)
def _drawing_class() -> Any:
    patch_branca()
    from branca.element import Element, MacroElement

    class Drawing(MacroElement):
        """A layer that our own script draws from a block of data in the page."""

        def __init__(self, payload: Mapping[str, Any], number: int) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self._name, self._id = "Drawing", f"layer_{number}"
            self.payload = payload

        def render(self, **kwargs: Any) -> str:
            figure: Any = self.get_root()
            parent: Any = self._parent
            block = f"fk-data-{self._id}"
            script = Element(f"<script>{assets.own_file('page.js')}</script>")
            figure.header.add_child(script, name="fieldkit_script")
            data = f'<script type="application/json" id="{block}">{json_block(self.payload)}</script>'
            figure.header.add_child(Element(data), name=block)
            call = Element(f'fieldkit.add({parent.get_name()}, "{block}");')
            figure.script.add_child(call, name=self.get_name())
            return super().render(**kwargs) or ""  # type: ignore[no-untyped-call]

    return Drawing


def add_drawing(chart: Any, payload: Mapping[str, Any]) -> None:
    """Add to the folium map *chart* a layer that the kit's own script draws from *payload*.

    *payload* is plain data (text, numbers, lists, mappings): ``title`` and ``classes``, with ``shapes`` (see
    :func:`~fieldkit.maps.payload.outline_steps`) or ``points`` (:func:`~fieldkit.maps.payload.point_steps`),
    ``style`` (a class for each item) and ``popup`` (``heading`` and ``lines`` of
    :func:`~fieldkit.maps.payload.column`). Text in it may be anything: it is shown, never run.
    """
    made = _drawing_class()
    number = sum(isinstance(child, made) for child in chart._children.values())
    chart.add_child(made(payload, number))


def _page(chart: Any, page: Mapping[str, Any], tiles: Mapping[str, Any] | None) -> str:
    _refuse_popups(chart)
    figure = chart.get_root()
    for child in list(figure._children.values()):
        child.render()
    payloads = [child.payload for child in chart._children.values() if isinstance(child, _drawing_class())]
    text = "".join(sorted({c for value in [page, *payloads] for part in texts_in(value) for c in part}))
    shell = assets.own_file("page.html")
    parts = {
        "HEADER": figure.header.render(),
        "FONT": fonts.css_for(text + shell),
        "STYLE": assets.own_file("page.css"),
        "BODY": figure.html.render(),
        "DATA": json_block(page),
        "TILES": f'<script type="application/json" id="fk-tiles">{json_block(tiles)}</script>'
        if tiles
        else "",
        "SCRIPT": figure.script.render() + f'\nfieldkit.page({chart.get_name()}, "fk-page");',
    }
    filled = _fill(shell, parts).replace("\r\n", "\n").replace("\r", "\n")
    assets.check_self_contained(filled)
    return filled.replace("POLICY", assets.content_security_policy(filled), 1)


def _fill(shell: str, parts: Mapping[str, str]) -> str:
    """Put each part in its place, once, without looking for places inside the parts."""
    filled, rest = "", shell
    for name, part in parts.items():
        before, _, rest = rest.partition(name)
        filled += before + part
    return filled + rest


def _refuse_popups(element: Any) -> None:
    """Folium writes a popup's text into a script of its own, which also needs jQuery: we have a better way."""
    import folium

    if isinstance(element, (folium.Popup, folium.Icon, folium.TileLayer)):
        raise MapError(
            f"A layer plugin uses folium's {type(element).__name__}, which needs scripts or pictures that a map of "
            "the kit does not carry. Use fieldkit.maps.add_drawing, which shows popups from data."
        )
    for child in element._children.values():
        _refuse_popups(child)
