"""Base tiles from a raster MBTiles file on this machine: found, read, and put into the page as pictures.

MBTiles 1.3 (Mapbox): an SQLite file with the tables or views ``metadata`` and ``tiles``, rows counted from the south.
"""

from __future__ import annotations

import base64
import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path, PureWindowsPath
from typing import Any

from fieldkit.errors import MapError

#: The most bytes of tiles that a map carries.
BUDGET = 8_000_000

#: The most tiles that a map carries, however small.
MOST_TILES = 4_000

_FINEST = 19
_MOST_CREDIT = 400
_ONE_TILE = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
_Box = tuple[float, float, float, float]


@dataclass(slots=True)
class Tiles:
    """Tiles around a map's first view.

    *images* are data addresses by ``level/column/row``, rows from the north; *credit* is the file's attribution as
    plain text; *cut* says whether finer tiles were left out to keep the page small.
    """

    credit: str = ""
    images: dict[str, str] = field(default_factory=dict)
    size: int = 0
    finest: int = -1
    cut: bool = False

    def payload(self) -> dict[str, Any]:
        """What the page's script reads."""
        return {"images": self.images, "finest": self.finest}

    def note(self) -> dict[str, str] | None:
        """What a reader must know of them, in both languages; None when they are as the file has them."""
        if not self.images:
            return {
                "zh": "底图文件在本图范围内没有瓦片。",
                "en": "The file of base tiles has none where this map opens.",
            }
        if not self.cut:
            return None
        limit = f"{BUDGET / 1e6:g} MB"
        return {
            "zh": f"底图瓦片只收入{limit}（最细到第{self.finest}级，由中心向外），再放大时底图会模糊。",
            "en": f"Base tiles are cut at {limit} (finest level {self.finest}, from the middle outwards): "
            "further in they are blurred.",
        }


def check_tiles(told: str, given: object) -> str:
    """*given*, what a map's file *told* says of tiles, as a path; '' for none. Raises :class:`MapError`.

    Only a relative path to an ``.mbtiles`` file is accepted, never an address.
    """
    if given in (None, "", False):
        return ""
    wanted = (
        'Give a raster MBTiles file of the workspace, e.g. tiles = "layers/base.mbtiles", or leave tiles out.'
    )
    if not isinstance(given, str):
        raise MapError(f"{told} sets tiles to {str(given)[:120]!r}. {wanted}")
    if "://" in given or given.startswith("//"):
        raise MapError(
            f"{told} asks for tiles from {given[:120]!r}, which is not on this machine. Maps ask nobody for anything. "
            f"{wanted}"
        )
    if not given.lower().endswith(".mbtiles"):
        raise MapError(f"{told} asks for tiles from {given[:120]!r}, which is no MBTiles file. {wanted}")
    return given


def find_tiles(given: str, folder: Path | None) -> Path:
    """The file *given* as a path inside the workspace *folder*; raises :class:`MapError` when it is not there."""
    if folder is None:
        raise MapError(f"The map asks for the tiles {given!r}. Say of which workspace: folder=…")
    inside = folder.resolve()
    path = (inside / given).resolve()
    if PureWindowsPath(given).drive or not path.is_relative_to(inside):
        raise MapError(
            f"The map asks for the tiles {given!r}, which are outside the workspace. Copy the file into the "
            'workspace and name it from there, e.g. tiles = "layers/base.mbtiles".'
        )
    if not path.is_file():
        raise MapError(
            f"The map asks for the tiles {given!r}, and there is no such file in {inside}. "
            "Copy it there, or leave tiles out of the map's description."
        )
    return path


def read_tiles(path: Path, bounds: _Box) -> Tiles:
    """The tiles of *path* around *bounds* (west, south, east, north in WGS-84), coarse ones first.

    At most :data:`BUDGET` bytes and :data:`MOST_TILES` tiles. The file is opened for reading only. Raises
    :class:`MapError` when it is no MBTiles file or its tiles are no PNG, JPEG or WebP pictures.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as file:
            _restrain(file)
            tiles = Tiles(_credit(path, file))
            for level in range(_FINEST + 1):
                _take_level(path, file, level, bounds, tiles)
                if tiles.cut:
                    break
            return tiles
    except sqlite3.Error as error:
        raise MapError(
            f"{path.name} cannot be read as MBTiles: {error}. Give a raster MBTiles file (SQLite, PNG, JPEG or WebP)."
        ) from error


def _restrain(file: sqlite3.Connection) -> None:
    """Let the file be read only, and let a view in it neither call what it should not nor run for ever."""
    file.execute("PRAGMA query_only = ON")
    file.execute("PRAGMA trusted_schema = OFF")
    file.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, BUDGET)
    steps = iter(range(400))
    file.set_progress_handler(lambda: 0 if next(steps, None) is not None else 1, 1_000_000)


def _credit(path: Path, file: sqlite3.Connection) -> str:
    told = {
        str(name): str(value)
        for name, value in file.execute(
            "SELECT name, value FROM metadata WHERE name IN ('format', 'attribution') AND value IS NOT NULL LIMIT 20"
        )
    }
    if told.get("format", "").strip().lower() in ("pbf", "mvt"):
        raise _vector(path)
    return plain_text(told.get("attribution", ""))[:_MOST_CREDIT]


def _vector(path: Path) -> MapError:
    return MapError(
        f"{path.name} holds vector tiles (pbf); maps draw raster tiles only. Give an MBTiles file of PNG, JPEG or WebP."
    )


def _take_level(path: Path, file: sqlite3.Connection, level: int, bounds: _Box, tiles: Tiles) -> None:
    """Take the tiles of one *level* from the middle of the view outwards, as long as there is room."""
    west, north, east, south = _seen(level, bounds)
    last = 2**level - 1
    found = file.execute(
        "SELECT tile_column, tile_row FROM tiles WHERE zoom_level = ? AND tile_column BETWEEN ? AND ? "
        "AND tile_row BETWEEN ? AND ? "
        "ORDER BY abs(tile_column + 0.5 - ?) + abs(tile_row + 0.5 - ?), tile_column, tile_row LIMIT ?",
        (
            level,
            math.floor(west),
            math.floor(east),
            last - math.floor(south),
            last - math.floor(north),
            (west + east) / 2,
            last + 1 - (north + south) / 2,
            MOST_TILES + 1,
        ),
    )
    # Only where the tiles are is sorted; the pictures are read one by one, as long as there is room.
    for tile_column, row in found.fetchall():
        asked = file.execute(_ONE_TILE, (level, tile_column, row)).fetchone()
        if asked is None or asked[0] is None:
            continue
        data = asked[0]
        kind = _picture(path, data)
        if tiles.size + len(data) > BUDGET or len(tiles.images) >= MOST_TILES:
            tiles.cut = True
            return
        address = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
        tiles.images[f"{level}/{int(tile_column)}/{last - int(row)}"] = address
        tiles.size += len(data)
        tiles.finest = level


def _picture(path: Path, data: object) -> str:
    """The kind of picture *data* begins like; its bytes are asked, not the file's metadata."""
    start = data[:12] if isinstance(data, bytes) else b""
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if start.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if start.startswith(b"RIFF") and start[8:] == b"WEBP":
        return "webp"
    if start.startswith((b"\x1f\x8b", b"\x1a")):
        raise _vector(path)
    raise MapError(
        f"{path.name} holds a tile that is no PNG, JPEG or WebP picture. Maps draw raster tiles only."
    )


def _seen(level: int, bounds: _Box) -> _Box:
    """West, north, east, south of what a screen shows around *bounds*, in tiles of *level* from the north-west.

    A screen is wider or higher than the box it fits; tiles for one twice as wide as high are enough.
    """
    west, north = _tile_at(bounds[0], bounds[3])
    east, south = _tile_at(bounds[2], bounds[1])
    spare = 1.5  # a tenth is left free at each side, and zooming goes by quarters
    half_wide = max(east - west, 2 * (south - north)) / 2 * spare
    half_high = max(south - north, east - west) / 2 * spare
    x, y, count = (west + east) / 2, (north + south) / 2, 2**level
    most = 1 - 1e-12
    return (
        max(0.0, x - half_wide) * count,
        max(0.0, y - half_high) * count,
        min(most, x + half_wide) * count,
        min(most, y + half_high) * count,
    )


def _tile_at(lon: float, lat: float) -> tuple[float, float]:
    """Where a point is on the square Web Mercator map (EPSG:3857), 0 to 1 from the north-west."""
    sine = math.sin(math.radians(max(-85.0511, min(85.0511, lat))))
    return lon / 360 + 0.5, 0.5 - math.atanh(sine) / (2 * math.pi)


def plain_text(markup: str) -> str:
    """The text of *markup* without its tags: attributions are often written as links. Markup alone stays as it is."""
    reader = _Text()
    reader.feed(markup)
    reader.close()
    return " ".join("".join(reader.parts).split()) or " ".join(markup.split())


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
