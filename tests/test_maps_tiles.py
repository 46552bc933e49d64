"""Base tiles of a map: which files are taken, which refused, and that the page carries and draws them itself."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import map_frames
import pytest
from PIL import Image

from fieldkit import maps
from fieldkit.errors import MapError
from fieldkit.maps import tiles
from fieldkit.testing import sample_workspace

BOX = (105.81, 32.42, 105.85, 32.44)


def picture(colour: tuple[int, int, int] = (0, 160, 40), kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (256, 256), colour).save(out, kind)
    return out.getvalue()


def column_row(lon: float, lat: float, level: int) -> tuple[int, int]:
    x, y = tiles._tile_at(lon, lat)
    return int(x * 2**level), int(y * 2**level)


def make_tiles(
    path: Path,
    levels: range = range(8, 14),
    *,
    data: Callable[[int, int, int], bytes] | None = None,
    **metadata: str,
) -> Path:
    """An MBTiles file with the tiles around the middle of :data:`BOX`, rows counted from the south."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE metadata (name text, value text)")
        file.execute(
            "CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)"
        )
        file.executemany("INSERT INTO metadata VALUES (?, ?)", ({"format": "png"} | metadata).items())
        plain = picture()
        for level in levels:
            column, row = column_row(*map_frames.CENTRE, level)
            file.executemany(
                "INSERT INTO tiles VALUES (?, ?, ?, ?)",
                [
                    (level, x, 2**level - 1 - y, data(level, x, y) if data else plain)
                    for x in range(column - 4, column + 5)
                    for y in range(row - 4, row + 5)
                ],
            )
    return path


def describe(folder: Path, given: str = "layers/base.mbtiles") -> maps.Description:
    described = folder / "maps" / "own.toml"
    described.parent.mkdir(exist_ok=True)
    described.write_text(f'tiles = {json.dumps(given)}\n[[layer]]\nplugin = "hotspots"\n', encoding="utf-8")
    return maps.load_description("own", described.parent)


def draw(folder: Path, given: str = "layers/base.mbtiles") -> str:
    return maps.draw_description(
        describe(folder, given), {"hotspots": map_frames.cells()}, areas=map_frames.districts(), folder=folder
    )


def block(page: str, name: str) -> dict[str, Any]:
    found = re.search(f'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)
    assert found is not None
    value: dict[str, Any] = json.loads(found[1])
    return value


def test_a_map_has_no_tiles_unless_asked() -> None:
    page = maps.draw_map("t", map_frames.cells())
    assert "data:image/png" not in re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.S)
    assert 'id="fk-tiles"' not in page


@pytest.mark.parametrize(("kind", "mime"), [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp")])
def test_tiles_are_taken_with_rows_from_the_north(tmp_path: Path, kind: str, mime: str) -> None:
    wanted = (9, *column_row(*map_frames.CENTRE, 9))
    marked, plain = picture((200, 0, 0), kind), picture(kind=kind)
    # Whatever the metadata says of the format: the pictures' own bytes count.
    path = make_tiles(tmp_path / "a?b#c.mbtiles", data=lambda *at: marked if at == wanted else plain)
    found = tiles.read_tiles(path, BOX)
    assert not found.cut
    assert found.finest == 13
    assert found.note() is None
    import base64

    address = found.images["/".join(map(str, wanted))]
    assert address == f"data:image/{mime};base64,{base64.b64encode(marked).decode()}"
    assert sum(value == address for value in found.images.values()) == 1


def test_only_tiles_around_the_first_view_are_taken(tmp_path: Path) -> None:
    found = tiles.read_tiles(make_tiles(tmp_path / "t.mbtiles"), BOX)
    west, south = tiles._tile_at(BOX[0], BOX[1])
    east, north = tiles._tile_at(BOX[2], BOX[3])
    for level in range(8, 14):
        here = {name for name in found.images if name.startswith(f"{level}/")}
        covering = {
            f"{level}/{x}/{y}"
            for x in range(int(west * 2**level), int(east * 2**level) + 1)
            for y in range(int(north * 2**level), int(south * 2**level) + 1)
        }
        assert covering <= here
    assert len(found.images) < 6 * 81


def test_tiles_of_a_file_that_keeps_pictures_apart_are_read(tmp_path: Path) -> None:
    path = make_tiles(tmp_path / "t.mbtiles")
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("ALTER TABLE tiles RENAME TO map")
        file.execute("CREATE VIEW tiles AS SELECT zoom_level, tile_column, tile_row, tile_data FROM map")
    assert tiles.read_tiles(path, BOX).finest == 13


def test_too_much_is_cut_from_the_finest_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_tiles(tmp_path / "layers" / "base.mbtiles")
    monkeypatch.setattr(tiles, "BUDGET", 5 * len(picture()))
    found = tiles.read_tiles(path, BOX)
    assert found.cut
    assert found.size <= tiles.BUDGET
    assert len(found.images) == 5
    assert 8 < found.finest < 13
    said = [line for line in block(draw(tmp_path), "fk-page")["details"] if "瓦片" in line["zh"]]
    assert len(said) == 1
    assert re.search(r"cut at [\d.e-]+ MB \(finest level \d+,", said[0]["en"])


def test_tiles_of_elsewhere_give_a_map_that_says_so(tmp_path: Path) -> None:
    make_tiles(tmp_path / "layers" / "base.mbtiles", range(15, 16))
    found = tiles.read_tiles(tmp_path / "layers" / "base.mbtiles", (10.0, 50.0, 10.1, 50.1))
    assert found.images == {}
    assert "none where this map opens" in found.note()["en"]  # type: ignore[index]


def test_nothing_is_written_to_the_file_or_beside_it(tmp_path: Path) -> None:
    path = make_tiles(tmp_path / "t.mbtiles")
    before = path.read_bytes()
    tiles.read_tiles(path, BOX)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["t.mbtiles"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("../outside.mbtiles", "outside the workspace"),
        ("layers/../../outside.mbtiles", "outside the workspace"),
        ("/etc/outside.mbtiles", "outside the workspace"),
        ("C:\\new\\base.mbtiles", "outside the workspace"),
        ("layers/none.mbtiles", "no such file"),
        ("layers/link.mbtiles", "outside the workspace"),
        ("{{7*7}}.mbtiles", "no such file"),
    ],
)
def test_a_path_leads_to_a_file_inside_the_workspace(tmp_path: Path, given: str, said: str) -> None:
    folder = tmp_path / "office"
    make_tiles(tmp_path / "outside.mbtiles")
    (folder / "layers").mkdir(parents=True)
    (folder / "layers" / "link.mbtiles").symlink_to(tmp_path / "outside.mbtiles")
    with pytest.raises(MapError, match=said):
        draw(folder, given)


@pytest.mark.parametrize(
    "given", ["https://x.example/{z}/{x}/{y}.png", "http://x/a.mbtiles", "//x/a.mbtiles"]
)
def test_an_address_is_refused_before_anything_is_read(tmp_path: Path, given: str) -> None:
    with pytest.raises(MapError, match=r"not on this machine.*layers/base\.mbtiles"):
        describe(tmp_path, given)


def test_without_a_folder_nobody_guesses_one(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="folder="):
        maps.draw_description(describe(tmp_path), {"hotspots": map_frames.cells()})


def test_files_that_are_no_raster_tiles_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "base.mbtiles"
    path.write_bytes(b"not a database, however long one reads it " * 50)
    with pytest.raises(MapError, match=r"base\.mbtiles cannot be read as MBTiles"):
        tiles.read_tiles(path, BOX)
    path.write_bytes(b"")
    with pytest.raises(MapError, match="no such table"):
        tiles.read_tiles(path, BOX)
    path.unlink()
    with pytest.raises(MapError, match="raster tiles only"):
        tiles.read_tiles(make_tiles(path, format="pbf"), BOX)
    path.unlink()
    with pytest.raises(MapError, match="vector tiles"):
        tiles.read_tiles(make_tiles(path, data=lambda *_: b"\x1f\x8b\x08data", format="png"), BOX)
    path.unlink()
    with pytest.raises(MapError, match="no PNG, JPEG or WebP"):
        tiles.read_tiles(make_tiles(path, data=lambda *_: b"<svg onload=alert(1)>"), BOX)


def test_a_file_made_to_run_for_ever_is_given_up(tmp_path: Path) -> None:
    path = make_tiles(tmp_path / "t.mbtiles")
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DROP TABLE tiles")
        file.execute(
            "CREATE VIEW tiles AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) "
            "SELECT 0 AS zoom_level, i AS tile_column, 0 AS tile_row, x'00' AS tile_data FROM n"
        )
    with pytest.raises(MapError, match="interrupted"):
        tiles.read_tiles(path, BOX)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ('&copy; <a href="https://osm.example/about">OpenStreetMap</a> people', "© OpenStreetMap people"),
        ("{{7*7}} ${7*7}", "{{7*7}} ${7*7}"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("天地图 😀", "天地图 😀"),
    ],
)
def test_the_attribution_is_text(tmp_path: Path, markup: str, text: str) -> None:
    make_tiles(tmp_path / "layers" / "base.mbtiles", attribution=markup)
    page = draw(tmp_path)
    assert block(page, "fk-page")["credit"] == text
    assert "alert(1)" not in re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.S)


def test_a_workspace_draws_its_own_tiles(tmp_path: Path) -> None:
    workspace = sample_workspace(tmp_path / "office")
    folder = workspace.settings.folder
    make_tiles(folder / "layers" / "base.mbtiles", range(3))
    text = 'tiles = "layers/base.mbtiles"\n[[layer]]\nplugin = "places"\ndata = "repeats"\n'
    (folder / "maps").mkdir(exist_ok=True)
    (folder / "maps" / "repeats.toml").write_text(text, encoding="utf-8")
    workspace.analyse("repeats", out=tmp_path / "x.html")
    assert block((tmp_path / "x.html").read_text(encoding="utf-8"), "fk-tiles")["images"]


# ---- in a browser

COLOUR_AT = """([x, y]) => {
    const tiles = [...document.querySelectorAll('canvas.fk-tile')];
    for (const tile of tiles) {
        const box = tile.getBoundingClientRect();
        if (x < box.left || x >= box.right || y < box.top || y >= box.bottom) continue;
        const at = [(x - box.left) / box.width * 256, (y - box.top) / box.height * 256];
        return [...tile.getContext('2d').getImageData(at[0], at[1], 1, 1).data];
    }
    return null;
}"""


@pytest.mark.browser
def test_the_tiles_are_drawn_under_the_map_and_nobody_is_asked(browser: Any, tmp_path: Path) -> None:
    make_tiles(tmp_path / "layers" / "base.mbtiles", attribution="<b>© us</b> {{7*7}}")
    path = tmp_path / "map.html"
    path.write_text(draw(tmp_path), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 760})
    try:
        asked: list[str] = []
        errors: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(path.as_uri())
        page.wait_for_selector("canvas.fk-tile[data-drawn]")
        page.wait_for_timeout(400)
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
        assert errors == []
        for at in ([400, 300], [150, 600], [700, 150]):
            assert page.evaluate(COLOUR_AT, at) == [0, 160, 40, 255]
        # The finest level of the file is 13, the map opens closer: the part of a coarser tile is drawn.
        assert page.evaluate("map_fieldkit.getZoom()") > 13.5
        drawn = page.evaluate("[...document.querySelectorAll('[data-drawn]')].map(t => t.dataset.drawn)")
        assert all(name.startswith("13/") for name in drawn)
        assert page.inner_text("#fk-credit") == "© us {{7*7}}"
        assert page.evaluate("document.querySelectorAll('img').length") == 0
        over = "getComputedStyle(document.querySelector('.leaflet-%s-pane')).zIndex"
        assert int(page.evaluate(over % "tile")) < int(page.evaluate(over % "overlay"))
    finally:
        page.close()


@pytest.mark.browser
def test_a_tile_is_drawn_where_it_lies(browser: Any, tmp_path: Path) -> None:
    """A tile of its own colour at a known place, at the level itself and as part of a coarser one further in."""
    wanted = (13, *column_row(*map_frames.CENTRE, 13))
    red, green = picture((200, 0, 0)), picture()
    make_tiles(tmp_path / "layers" / "base.mbtiles", data=lambda *at: red if at == wanted else green)
    path = tmp_path / "map.html"
    path.write_text(draw(tmp_path), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 760})
    try:
        page.goto(path.as_uri())
        for zoom in (13, 15):
            page.evaluate(
                f"map_fieldkit.setView([{map_frames.CENTRE[1]}, {map_frames.CENTRE[0]}], {zoom}, {{animate: false}})"
            )
            page.wait_for_timeout(600)
            at = page.evaluate(
                """() => {
                    const box = map_fieldkit.getContainer().getBoundingClientRect();
                    const at = map_fieldkit.latLngToContainerPoint(map_fieldkit.getCenter());
                    return [box.left + at.x, box.top + at.y];
                }"""
            )
            assert page.evaluate(COLOUR_AT, at) == [200, 0, 0, 255]
    finally:
        page.close()
