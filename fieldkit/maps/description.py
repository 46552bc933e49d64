"""Maps described in small TOML files: the title, which layers, their colours; data, not code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldkit.errors import MapError
from fieldkit.maps.drawing import LANGUAGES, MapLayer, area_frame, draw_map
from fieldkit.maps.payload import both
from fieldkit.maps.tiles import check_tiles, find_tiles
from fieldkit.plugins import load_plugin

if TYPE_CHECKING:
    import geopandas as gpd

    from fieldkit.places import Areas

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_KEYS = {"title", "language", "tiles", "layer"}
_LAYER_KEYS = {"plugin", "data", "title", "shown", "options"}


@dataclass(frozen=True, slots=True)
class DescribedLayer:
    """One layer of a described map: the *plugin* of group ``fieldkit.layers`` and which *data* it draws."""

    plugin: str
    data: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Description:
    """A map as its file describes it: *title* (zh, en), *language* (both, zh, en), *layers* from below.

    *tiles* is the path of an MBTiles file from the workspace's folder, '' for none.
    """

    name: str
    title: Mapping[str, str]
    language: str
    layers: tuple[DescribedLayer, ...]
    tiles: str = ""


def load_description(name: str, folder: Path | None = None) -> Description:
    """Read ``<name>.toml`` from *folder* (a workspace's ``maps``), else the kit's own map of that name.

    Raises :class:`MapError` when there is none, or when the file says something that is not known.
    """
    if not _NAME.fullmatch(name):
        raise MapError(f"{name!r} is not the name of a map. Names have letters, digits, - and _ only.")
    places = [place for place in (folder, built_in_folder()) if place is not None]
    for place in places:
        path = place / f"{name}.toml"
        if path.is_file():
            return _read(name, path)
    known = sorted({path.stem for place in places for path in place.glob("*.toml")})
    raise MapError(f"There is no map {name!r}. Described are: {', '.join(known) or 'none'}.")


def described(name: str, folder: Path | None = None) -> Description | None:
    """The description ``<name>.toml`` as :func:`load_description` reads it, or None when there is none."""
    if any((place / f"{name}.toml").is_file() for place in (folder, built_in_folder()) if place is not None):
        return load_description(name, folder)
    return None


def built_in_folder() -> Path:
    """The folder of the kit's own map descriptions: in the installed package, else in the source tree."""
    packaged = Path(str(resources.files("fieldkit").joinpath("_assets", "maps")))
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "maps"


def _read(name: str, path: Path) -> Description:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MapError(f"{path.name} cannot be read: {error}.") from error
    _refuse_unknown(path, values, _KEYS)
    tiles = check_tiles(path.name, values.get("tiles"))
    language = values.get("language", "both")
    if language not in LANGUAGES:
        raise MapError(f"{path.name} sets language to {language!r}. Use one of: {', '.join(LANGUAGES)}.")
    layers = values.get("layer", [])
    if not isinstance(layers, list) or not layers:
        raise MapError(
            f'{path.name} has no layer. Add at least one [[layer]] with plugin = "areas" or another.'
        )
    title = both(values.get("title"), name)
    return Description(name, title, language, tuple(_layer(path, layer) for layer in layers), tiles)


def _layer(path: Path, values: Mapping[str, Any]) -> DescribedLayer:
    _refuse_unknown(path, values, _LAYER_KEYS)
    plugin = values.get("plugin")
    if not isinstance(plugin, str):
        raise MapError(
            f'{path.name} has a layer without plugin. Write plugin = "hotspots" or another layer\'s name.'
        )
    options = dict(values.get("options", {}))
    options.update({key: values[key] for key in ("title", "shown") if key in values})
    return DescribedLayer(plugin, str(values.get("data", plugin)), options)


def _refuse_unknown(path: Path, values: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(values) - known)
    if unknown:
        raise MapError(
            f"{path.name} has {', '.join(map(repr, unknown))}, which is not known. "
            f"Known are: {', '.join(sorted(known))}."
        )


def draw_description(
    description: Description,
    frames: Mapping[str, gpd.GeoDataFrame],
    *,
    areas: Areas | gpd.GeoDataFrame | None = None,
    language: str | None = None,
    allowed: Iterable[str] = (),
    subtitle: str | Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Draw the described map from *frames* by the names its layers ask for; returns the page.

    *areas* is the frame named ``areas`` where *frames* has none. A layer whose frame is not given is left out.
    *allowed* is the workspace's list of plugins, *folder* its folder, in which the description's tiles lie. Raises
    :class:`MapError` when no layer is left or the tiles cannot be used, and
    :class:`~fieldkit.errors.PluginError` for a layer plugin that is missing or not allowed.
    """
    known = dict(frames)
    background = area_frame(areas)
    if background is not None:
        known.setdefault("areas", background)
    layers = [
        MapLayer(load_plugin("fieldkit.layers", layer.plugin, allowed), known[layer.data], layer.options)
        for layer in description.layers
        if layer.data in known
    ]
    if not layers:
        asked = ", ".join(layer.data for layer in description.layers)
        raise MapError(f"The map {description.name!r} draws {asked}; none of these was given.")
    tiles = find_tiles(description.tiles, folder) if description.tiles else None
    chosen = language or description.language
    return draw_map(description.title, *layers, language=chosen, subtitle=subtitle, tiles=tiles)
