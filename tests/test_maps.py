"""Maps: what is in the page, what is refused, and that text people wrote is data."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import map_frames
import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

from fieldkit import maps, plugins
from fieldkit.errors import FieldkitError, MapError, PluginError
from fieldkit.maps import assets, folium_patch, payload, writing
from fieldkit.places import Areas


def blocks(page: str) -> list[dict]:
    """Every data block of the page."""
    return [
        json.loads(text)
        for text in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S)
    ]


def layer(page: str, kind: str) -> dict:
    return next(block for block in blocks(page) if block.get("kind") == kind)


# ---- the page


def test_a_page_carries_everything_in_itself():
    page = maps.draw_map("热点", map_frames.cells(), map_frames.complaints(), areas=map_frames.districts())
    assert "L.version" in page or "Leaflet 1." in page
    assert not re.search(r"<(script|img|iframe)[^>]*\ssrc=", page)
    assert "<link" not in page
    assert not re.search(r"jquery|bootstrap|awesome", page, re.IGNORECASE)
    assert "default-src 'none'" in page
    assert len(page) < 700_000


def test_every_script_is_allowed_by_its_hash_and_no_other():
    page = maps.draw_map("热点", map_frames.cells())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "unsafe-inline" not in policy[1].split("script-src")[1].split(";")[0]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) >= 3
    assert all(assets._hash(script) in policy[1] for script in scripts)
    with_more = page.replace("</body>", "<script>alert(1)</script></body>")
    assert assets._hash("alert(1)") not in policy[1]
    assert assets._hash("alert(1)") in assets.content_security_policy(with_more)


def test_the_same_frames_give_the_same_page():
    first = maps.draw_map("热点", map_frames.cells(), map_frames.complaints(), areas=map_frames.districts())
    assert (
        maps.draw_map("热点", map_frames.cells(), map_frames.complaints(), areas=map_frames.districts())
        == first
    )


def test_the_page_says_the_sentence_and_the_method_in_both_languages():
    page = blocks(maps.draw_map({"zh": "热点", "en": "Hot spots"}, map_frames.cells()))
    words = next(block for block in page if "bounds" in block)
    assert words["title"] == {"zh": "热点", "en": "Hot spots"}
    assert words["sentence"]["zh"] == "投诉在此集中，但不证明原因。"
    assert words["sentence"]["en"].startswith("Complaints concentrate")
    assert words["details"][0]["en"] == "Method: Getis-Ord Gi*; 37 tests; Benjamini-Hochberg"
    assert words["details"][0]["zh"].startswith("方法：")
    assert words["details"][1] == {
        "zh": "文献 Source: Getis and Ord 1992",
        "en": "文献 Source: Getis and Ord 1992",
    }


def test_cells_are_coloured_by_significance_and_listed_by_complaints():
    frame = map_frames.cells()
    frame.loc[frame["hot"].idxmax(), "q_value"] = 0.03
    hot = layer(maps.draw_map("t", frame), "hotspots")
    assert sorted(set(hot["style"])) == [0, 2, 3, 4]
    assert hot["style"].count(0) == 6
    assert hot["style"].count(2) == 1
    heading = hot["popup"]["heading"]
    named = [heading["words"][heading["values"][item]] for item in hot["list"]["order"]]
    assert named == ["821社区", "皇都第一社区"]
    assert [hot["list"]["counts"][str(item)] for item in hot["list"]["order"]] == [48, 36]


def test_outlines_come_back_from_their_steps():
    shape = shapely.Polygon(
        [(105.1, 32.1), (105.2, 32.1), (105.2, 32.2)], [[(105.15, 32.11), (105.18, 32.11), (105.18, 32.14)]]
    )
    outer, hole = payload.outline_steps([shape])[0]
    ring = np.cumsum(np.array(outer).reshape(-1, 2), axis=0) / payload.STEPS_PER_DEGREE
    assert np.allclose(ring, [(105.1, 32.1), (105.2, 32.1), (105.2, 32.2)], atol=1e-5)
    assert len(hole) == 6
    assert (
        payload.outline_steps([None, shapely.Point(1, 1), shapely.MultiPolygon([shape, shape])])[2][3] == hole
    )


def test_complaints_without_a_place_are_left_out_and_times_are_as_exact_as_known():
    frame = map_frames.complaints(10)
    frame.loc[9, "geometry"] = shapely.Point(105.83, 32.43)
    drawn = layer(maps.draw_map("t", frame), "complaints")
    assert len(drawn["points"]["lon"]) == 9
    times = next(line for line in drawn["popup"]["lines"] if line["label"]["en"] == "received")
    assert times["words"][times["values"][0]] == "2017-03-01"
    assert times["words"][times["values"][-1]] == "2017-03"


def test_the_texts_of_complaints_stay_out_of_the_map():
    frame = map_frames.complaints()
    frame["text"] = "楼下餐馆老板张三"
    page = maps.draw_map("t", frame)
    assert "张三" not in page


def test_many_complaints_stay_small():
    frame = map_frames.complaints(30_000)
    page = maps.draw_map("t", frame)
    assert len(page) < 2_000_000
    assert len(layer(page, "complaints")["points"]["lon"]) == 29_998


def test_the_view_is_where_complaints_are():
    page = next(
        block
        for block in blocks(maps.draw_map("t", map_frames.cells(), areas=map_frames.districts()))
        if "bounds" in block
    )
    (south, west), (north, east) = page["bounds"]
    assert 105.8 < west < 105.83 < east < 105.86
    assert 32.4 < south < 32.43 < north < 32.46


def views(page: str) -> dict:
    return next(block for block in blocks(page) if "bounds" in block)


def test_a_map_opens_on_the_hot_cells_and_can_show_everything():
    cells, areas = map_frames.cells(), map_frames.districts()
    seen = views(maps.draw_map("t", cells, map_frames.complaints(), areas=areas))
    west, south, east, north = cells[cells["hot"]].total_bounds.round(5)
    assert seen["bounds"] == [[south, west], [north, east]]
    assert seen["focus"] == {"zh": "回到热点", "en": "Back to the hot spots"}
    west, south, east, north = areas.total_bounds.round(5)
    assert seen["whole"] == [[south, west], [north, east]]


def test_a_map_opens_on_the_labelled_places_that_are_shown_too():
    far = map_frames.places([f"place {number}" for number in range(70)])
    cells = map_frames.cells()
    shown = views(maps.draw_map("t", cells, far))
    assert shown["bounds"][1][1] == pytest.approx(105.83 + 0.003 * 59)
    hidden = views(maps.draw_map("t", cells, maps.MapLayer(maps.PlacesLayer(), far, {"shown": False})))
    assert hidden["bounds"][1][1] == cells[cells["hot"]].total_bounds[2].round(5)
    assert hidden["whole"][1][1] == pytest.approx(105.83 + 0.003 * 69)
    assert views(maps.draw_map("t", far))["focus"]["en"] == "Back to the places with most complaints"


def test_without_hot_spots_a_map_opens_where_complaints_are():
    cells = map_frames.cells().assign(hot=False, q_value=0.9)
    seen = views(maps.draw_map("t", cells, areas=map_frames.districts()))
    west, south, east, north = cells[cells["complaints"] > 0].total_bounds.round(5)
    assert seen["bounds"] == [[south, west], [north, east]]
    assert seen["focus"] is None
    only = views(maps.draw_map("t", map_frames.districts()))
    assert only["bounds"] == only["whole"]


def test_one_complaint_still_has_a_neighbourhood():
    page = next(
        block for block in blocks(maps.draw_map("t", map_frames.places(["一处"]))) if "bounds" in block
    )
    (south, west), (north, east) = page["bounds"]
    assert north - south == pytest.approx(0.006, abs=1e-4)
    assert east - west == pytest.approx(0.007, abs=1e-4)


def test_frames_in_metres_are_converted_and_areas_of_the_office_accepted():
    projected = map_frames.cells().to_crs("EPSG:4523")
    projected.attrs = map_frames.cells().attrs
    outlines = map_frames.districts()
    areas = Areas(list(outlines["name"]), list(outlines.geometry))
    drawn = maps.draw_map("t", projected, areas=areas)
    assert layer(drawn, "areas")["labels"]["text"] == [payload.both("利州区"), payload.both("昭化区")]
    areas.names_en[0] = "Lizhou"
    named = layer(maps.draw_map("t", projected, areas=areas), "areas")["labels"]["text"]
    assert named == [{"zh": "利州区", "en": "Lizhou"}, payload.both("昭化区")]
    straight = layer(maps.draw_map("t", map_frames.cells()), "hotspots")["shapes"][0][0][:2]
    assert np.abs(np.subtract(layer(drawn, "hotspots")["shapes"][0][0][:2], straight)).max() <= 1


def test_outlines_with_very_many_corners_are_simplified():
    circle = shapely.Point(105.8, 32.4).buffer(0.3, quad_segs=20_000)
    areas = gpd.GeoDataFrame({"name": ["圆"]}, geometry=[circle], crs="EPSG:4326")
    steps = layer(maps.draw_map("t", areas), "areas")["shapes"][0][0]
    assert len(steps) < 2 * 40_000


# ---- text is data


@pytest.mark.parametrize("text", [*map_frames.HOSTILE, map_frames.LONE_SURROGATE])
def test_hostile_text_goes_in_and_out_of_the_data_block_unchanged(text):
    block = payload.json_block({"name": text, "list": [text]})
    assert json.loads(block) == {"name": text, "list": [text]}
    assert not re.search(r"[<>&'`$]|\{\{|\{%|\{#", block)
    block.encode("utf-8")


def test_hostile_text_everywhere_appears_only_in_data_blocks():
    texts = map_frames.HOSTILE
    frame = map_frames.cells(texts)
    frame["district"] = (texts * 2)[: len(frame)]
    frame.attrs["sentence"] = frame.attrs["sentence_zh"] = "".join(texts)
    frame.attrs["data_version"] = "{{7*7}}"
    areas = map_frames.districts((texts[0], texts[15]))
    page = maps.draw_map(
        "{{7*7}}</title><script>alert(1)</script>", frame, map_frames.complaints(60, texts), areas=areas
    )
    outside = re.sub(r'<script type="application/json"[^>]*>.*?</script>', "", page, flags=re.S)
    assert "alert(1)" not in outside
    assert "7*7" not in outside
    assert page.count("<script>") == maps.draw_map("t", map_frames.cells()).count("<script>")
    words = next(block for block in blocks(page) if "bounds" in block)
    assert words["title"]["en"] == "{{7*7}}</title><script>alert(1)</script>"
    assert words["sentence"]["en"] == "".join(texts)


def test_the_patch_keeps_finished_text_from_being_compiled():
    maps.patch_branca()
    from branca.element import Element

    assert Element("{{7*7}}").render() == "{{7*7}}"
    assert Element().render() == ""
    folium_patch.check_patch()


@pytest.mark.parametrize("text", ["{{7*7}}", "{% set x=1 %}"])
def test_folium_itself_no_longer_runs_text(text):
    maps.patch_branca()
    import folium

    chart = folium.Map([32.4, 105.8], tiles=None)
    folium.CircleMarker([32.4, 105.8], tooltip=folium.Tooltip(text)).add_to(chart)
    feature = {
        "type": "Feature",
        "properties": {"t": text},
        "geometry": {"type": "Point", "coordinates": [105.8, 32.4]},
    }
    folium.GeoJson(feature, name=text).add_to(chart)
    folium.LayerControl().add_to(chart)
    page = chart.get_root().render()
    assert page.count(text) >= 3
    assert "49" not in re.sub(r"[0-9a-f]{32}", "", page)


def test_without_the_patch_the_check_speaks_up():
    code = (
        "from fieldkit.maps import folium_patch\n"
        "from fieldkit.errors import MapError\n"
        "try:\n    folium_patch.check_patch()\nexcept MapError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "runs text of complaints as a template" in done.stdout


@pytest.mark.parametrize("text", [*map_frames.HOSTILE, map_frames.LONE_SURROGATE])
def test_map_text_is_inert_and_reads_the_same(text):
    import html

    encoded = maps.map_text(text)
    assert re.fullmatch(r"(?:[A-Za-z0-9 ]|&#\d+;|[^\x00-\x9f])*", encoded)
    assert "{" not in encoded
    shown = "".join(c for c in text if (ord(c) >= 0x20 or c in "\t\n\r") and not 0xD800 <= ord(c) <= 0xDFFF)
    assert html.unescape(encoded) == shown


# ---- what is refused


@pytest.mark.parametrize(
    "markup",
    [
        '<script src="https://cdn.example.org/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example.org/x.css">',
        '<img src="images/here.png">',
        "<style>a{background:url(http://example.org/a.png)}</style>",
        '<style>a{background:url( "http://example.org/a.png" )}',
        '<style>@import "https://example.org/a.css";</style>',
        '<p style="background:url(https://example.org/a.png)">',
        '<iframe src="https://example.org"></iframe>',
        '<svg><image xlink:href="https://example.org/a.png"/></svg>',
        '<video poster="https://example.org/a.png">',
        '<object data="https://example.org/a">',
    ],
)
def test_anything_that_would_be_fetched_is_named(markup):
    with pytest.raises(MapError, match=r"example\.org|@import|images/here\.png"):
        assets.check_self_contained(f"<html><body>{markup}</body></html>")


def test_data_addresses_and_fragments_are_fine():
    assets.check_self_contained(
        '<img src="data:image/png;base64,AA=="><style>a{b:url(#x);c:url(data:x)}</style>'
    )


class _OnlineLayer:
    title = "asks the network"

    def add_to(self, chart, data, options):
        from folium.plugins import HeatMap

        HeatMap([[32.4, 105.8]]).add_to(chart)


class _PopupLayer:
    title = "uses folium's popup"

    def add_to(self, chart, data, options):
        import folium

        folium.Marker([32.4, 105.8], popup="x").add_to(chart)


class _TileLayer:
    title = "asks for tiles"

    def add_to(self, chart, data, options):
        import folium

        folium.TileLayer("https://tiles.example.org/{z}/{x}/{y}.png", attr="x").add_to(chart)


@pytest.mark.parametrize(
    ("plugin", "said"),
    [(_OnlineLayer(), "https://cdn"), (_PopupLayer(), "Popup"), (_TileLayer(), "TileLayer")],
)
def test_a_layer_plugin_cannot_leak_a_request(plugin, said):
    with pytest.raises(MapError, match=said):
        maps.draw_map("t", maps.MapLayer(plugin, map_frames.cells()))


def test_a_foreign_layer_of_plain_shapes_is_drawn():
    class Ring:
        title = "a ring"

        def add_to(self, chart, data, options):
            import folium

            folium.Circle([32.43, 105.83], radius=300, tooltip=maps.map_text("${7*7}")).add_to(chart)

    page = maps.draw_map("t", maps.MapLayer(Ring(), map_frames.cells()))
    assert "L.circle(" in page
    assert "${7*7}" not in page


def test_frames_that_no_map_can_show_are_refused():
    with pytest.raises(MapError, match="DataFrame"):
        maps.draw_map("t", pd.DataFrame({"complaints": [1], "q_value": [1]}))
    with pytest.raises(MapError, match="No layer draws a frame with the columns geometry"):
        maps.draw_map("t", gpd.GeoDataFrame(geometry=[shapely.Point(1, 1)], crs="EPSG:4326"))
    with pytest.raises(MapError, match="nothing to draw"):
        maps.draw_map("t", map_frames.cells().iloc[:0])
    metres = gpd.GeoDataFrame(
        {"name": ["x"], "complaints": [1]}, geometry=[shapely.Point(500_000, 3_500_000)]
    )
    with pytest.raises(MapError, match="not degrees"):
        maps.draw_map("t", metres)
    with pytest.raises(MapError, match="language 'fr'"):
        maps.draw_map("t", map_frames.cells(), language="fr")


def test_an_empty_result_over_areas_is_still_a_map():
    page = maps.draw_map("t", map_frames.cells().iloc[:0], areas=map_frames.districts())
    assert layer(page, "hotspots")["shapes"] == []
    assert layer(page, "areas")["labels"]["text"][1] == {"zh": "昭化区", "en": "Zhaohua"}


def test_colours_are_colours():
    wrong = maps.MapLayer(
        maps.HotspotsLayer(), map_frames.cells(), {"colours": ["red;}", "#123456", "#123456"]}
    )
    with pytest.raises(MapError, match="not a colour"):
        maps.draw_map("t", wrong)
    two = maps.MapLayer(maps.HotspotsLayer(), map_frames.cells(), {"colours": ["#123456", "#123456"]})
    with pytest.raises(MapError, match="three"):
        maps.draw_map("t", two)


# ---- layers as plugins, descriptions


@pytest.mark.parametrize("name", ["areas", "complaints", "hotspots"])
def test_the_layers_are_plugins(name):
    assert isinstance(plugins.load_plugin("fieldkit.layers", name), plugins.Layer)


@pytest.mark.parametrize("name", ["hotspots", "complaints"])
def test_the_described_maps_are_drawn(name):
    frames = {"hotspots": map_frames.cells(), "complaints": map_frames.complaints()}
    description = maps.load_description(name)
    page = maps.draw_description(description, frames, areas=map_frames.districts())
    assert layer(page, "areas")["title"]["en"] == "Districts"
    assert layer(page, "complaints")["shown"] is (name == "complaints")


def test_a_workspace_describes_its_own_maps(tmp_path: Path):
    (tmp_path / "night.toml").write_text(
        'title = "夜间"\nlanguage = "zh"\n[[layer]]\nplugin = "hotspots"\ndata = "night"\n', encoding="utf-8"
    )
    description = maps.load_description("night", tmp_path)
    page = maps.draw_description(description, {"night": map_frames.cells()})
    assert next(block for block in blocks(page) if "bounds" in block)["language"] == "zh"
    with pytest.raises(MapError, match="none of these was given"):
        maps.draw_description(description, {"hotspots": map_frames.cells()})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = ", "cannot be read"),
        ('title = "x"', "no layer"),
        ('colour = "x"\n[[layer]]\nplugin="areas"', "'colour'"),
        ('[[layer]]\ntitle="x"', "without plugin"),
        ('[[layer]]\nplugin="areas"\nfoo=1', "'foo'"),
        ('language="fr"\n[[layer]]\nplugin="areas"', "'fr'"),
        (
            'tiles="https://tiles.example.org/{z}/{x}/{y}.png"\n[[layer]]\nplugin="areas"',
            "not on this machine",
        ),
        ('tiles="layers/base.png"\n[[layer]]\nplugin="areas"', "no MBTiles file"),
        ('tiles=["a.mbtiles"]\n[[layer]]\nplugin="areas"', "sets tiles to"),
    ],
)
def test_a_description_that_is_wrong_is_refused_by_name(tmp_path: Path, text, said):
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    with pytest.raises(MapError, match=said):
        maps.load_description("own", tmp_path)


@pytest.mark.parametrize("name", ["../hotspots", "a/b", "", "{{7*7}}", "x" * 100])
def test_the_name_of_a_map_is_no_path(name):
    with pytest.raises(MapError, match="not the name of a map"):
        maps.load_description(name)


def test_an_unknown_map_or_layer_is_said_with_what_there_is(tmp_path: Path):
    with pytest.raises(MapError, match="complaints, hotspots"):
        maps.load_description("nothing")
    (tmp_path / "own.toml").write_text('[[layer]]\nplugin="nothing"\ndata="hotspots"', encoding="utf-8")
    with pytest.raises(PluginError, match="areas"):
        maps.draw_description(maps.load_description("own", tmp_path), {"hotspots": map_frames.cells()})


# ---- still pictures


def test_a_still_map_is_a_picture_of_the_size_asked_for_and_always_the_same():
    own, others = map_frames.complaints(12), map_frames.complaints(40)
    options = {
        "centre": map_frames.CENTRE,
        "radius_m": 400,
        "areas": map_frames.districts(),
        "others": others,
    }
    first = maps.still_map(
        own, title="821社区 {{7*7}} $x$ 😀", names=[("821社区", 105.831, 32.431)], **options
    )
    with Image.open(io.BytesIO(first)) as picture:
        assert picture.size == (1299, 826)
        assert picture.info.keys() <= {"dpi"}
        assert len(set(picture.convert("RGB").get_flattened_data())) > 20
    again = maps.still_map(
        own, title="821社区 {{7*7}} $x$ 😀", names=[("821社区", 105.831, 32.431)], **options
    )
    assert again == first


def test_a_still_map_shows_complaints_at_their_place():
    red = (140, 13, 26)
    at_centre = gpd.GeoDataFrame(geometry=[shapely.Point(map_frames.CENTRE)] * 30, crs="EPSG:4326")

    def redness(frame):
        with Image.open(io.BytesIO(maps.still_map(frame, centre=map_frames.CENTRE))) as picture:
            image = np.asarray(picture.convert("RGB"), dtype=int)
        height, width, _ = image.shape
        middle = image[height // 2 - 40 : height // 2 + 20, width // 2 - 30 : width // 2 + 30]
        return int((np.abs(middle - red).sum(axis=2) < 40).sum())

    assert redness(at_centre) > 500
    assert redness(None) == 0
    far = gpd.GeoDataFrame(geometry=[shapely.Point(100, 20)], crs="EPSG:4326")
    assert redness(far) == 0


@pytest.mark.parametrize("language", ["zh", "en", "both"])
@pytest.mark.parametrize("make", [map_frames.cells, map_frames.places, map_frames.complaints])
def test_every_result_can_be_a_still_picture(make, language):
    frame = make()
    first = maps.still_result(
        frame, areas=map_frames.districts(), title={"zh": "图", "en": "map"}, language=language
    )
    assert first.startswith(b"\x89PNG")
    assert (
        maps.still_result(
            frame, areas=map_frames.districts(), title={"zh": "图", "en": "map"}, language=language
        )
        == first
    )


@pytest.mark.parametrize("text", map_frames.HOSTILE)
def test_hostile_text_does_not_stop_a_picture(text):
    frame = map_frames.places([text, "皇都第一社区"])
    assert maps.still_result(frame, areas=map_frames.districts((text, text)), title=text).startswith(
        b"\x89PNG"
    )


@pytest.mark.parametrize("radius_m", [0, -5, float("nan"), 1e9])
def test_a_radius_is_a_distance(radius_m):
    with pytest.raises(MapError, match="radius"):
        maps.still_map(None, centre=map_frames.CENTRE, radius_m=radius_m)


def test_a_centre_is_on_the_globe():
    with pytest.raises(FieldkitError, match="swapped"):
        maps.still_map(None, centre=(32.4, 105.8))


# ---- files


@pytest.mark.parametrize("suffix", [".html", ".png", ".geojson", ".gpkg", ".csv"])
@pytest.mark.parametrize("make", [map_frames.cells, map_frames.places, map_frames.complaints])
def test_a_result_is_written_by_its_suffix(tmp_path: Path, make, suffix):
    out = maps.write_map(
        make(), tmp_path / "new" / f"result{suffix}", title="测试", areas=map_frames.districts()
    )
    assert out.stat().st_size > 100
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
def test_what_is_written_reads_back(tmp_path: Path, suffix):
    frame = map_frames.places(["{{7*7}}", "=1+1", "</script>"])
    out = maps.write_map(frame, tmp_path / f"places{suffix}", title="测试")
    back = gpd.read_file(out)
    assert list(back["name"]) == list(frame["name"])
    assert list(back["complaint_ids"]) == ["A|B"] * 3
    assert back.geometry.geom_equals_exact(frame.geometry, 1e-6).all()
    assert back.crs.equals("EPSG:4326", ignore_axis_order=True)


def test_how_a_result_was_found_goes_with_the_data(tmp_path: Path):
    import pyogrio

    said = json.loads(
        maps.write_map(map_frames.cells(), tmp_path / "h.geojson", title="测试").read_text(encoding="utf-8")
    )
    assert said["fieldkit"]["method"] == "Getis-Ord Gi*"
    assert said["fieldkit"]["title"] == {"zh": "测试", "en": "测试"}
    maps.write_map(map_frames.cells(), tmp_path / "h.gpkg", title="测试")
    assert pyogrio.read_info(tmp_path / "h.gpkg")["layer_metadata"]["source"] == "Getis and Ord 1992"


def test_parquet_keeps_times_and_attributes(tmp_path: Path):
    pytest.importorskip("pyarrow")
    frame = map_frames.places()
    frame.attrs = {"seed": np.int64(3), "sentence": "x", "parameters": {"a": (1, 2)}}
    back = gpd.read_parquet(maps.write_map(frame, tmp_path / "p.parquet", title="x"))
    assert back.attrs["seed"] == 3
    assert str(back["first_at"].dt.tz) == "Asia/Shanghai"
    table = pd.DataFrame({"now": [1, 2]}, index=pd.Index(["noise", "air"], name="group"))
    assert pd.read_parquet(maps.write_map(table, tmp_path / "t.parquet", title="x")).equals(table)


def test_parquet_without_its_package_says_what_to_install(tmp_path: Path):
    # A Python of its own, since pandas asks for pyarrow once, when it is first imported.
    code = (
        "import sys; sys.modules['pyarrow'] = None; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "import map_frames\n"
        "from fieldkit import errors, maps\n"
        "out = Path(sys.argv[2])\n"
        "maps.write_map(map_frames.places(), out / 'p.html', title='x')\n"
        "try:\n    maps.write_map(map_frames.places(), out / 'p.parquet', title='x')\n"
        "except errors.MapError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'pip install "fieldkit-casework[parquet]"' in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["p.html"]


def test_a_table_is_no_formula(tmp_path: Path):
    texts = ["=1+1", " =1+1", "+1+1", "-1-1", "@x", "\tx", "＝1", "\u00a0=1", "normal", "1-1"]
    frame = pd.DataFrame({"text": texts, "number": -1.5})
    back = pd.read_csv(maps.write_map(frame, tmp_path / "t.csv", title="x"), encoding="utf-8-sig")
    assert list(back["text"]) == [f"'{text}" for text in texts[:-2]] + texts[-2:]
    assert set(back["number"]) == {-1.5}


def test_a_table_keeps_what_its_rows_are_called(tmp_path: Path):
    frame = pd.DataFrame([[1, 2]], index=pd.Index([0], name="weekday"), columns=[0, 1])
    assert (
        maps.write_map(frame, tmp_path / "t.csv", title="x")
        .read_text(encoding="utf-8-sig")
        .startswith("weekday,0,1")
    )


def test_a_suffix_nobody_writes_is_refused(tmp_path: Path):
    with pytest.raises(MapError, match=r"\.html, \.png"):
        maps.write_map(map_frames.cells(), tmp_path / "x.shp", title="x")
    with pytest.raises(MapError, match=r"no places.*\.csv"):
        maps.write_map(pd.DataFrame({"now": [1]}), tmp_path / "x.html", title="x")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    out = tmp_path / "x.html"
    out.write_text("old", encoding="utf-8")
    with pytest.raises(MapError):
        maps.write_map(map_frames.cells().iloc[:0], out, title="x")
    assert out.read_text(encoding="utf-8") == "old"
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(MapError, match="cannot be written"):
        maps.write_map(map_frames.cells(), tmp_path / "file" / "x.html", title="x")


def test_the_written_suffixes_are_the_promised_ones():
    assert set(writing._WRITERS) == set(writing.SUFFIXES)


def test_importing_maps_loads_neither_folium_nor_matplotlib():
    code = "import sys, fieldkit.maps; print([m for m in ('folium', 'branca', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- real outlines


def test_the_real_districts_of_guangyuan_are_drawn(shared_data: Path, tmp_path: Path):
    areas = Areas.read(shared_data / "guangyuan_510800_districts.geojson", crs="gcj02")
    page = maps.draw_map("广元", map_frames.cells(), areas=areas)
    names = {text["zh"] for text in layer(page, "areas")["labels"]["text"]}
    assert {"利州区", "苍溪县", "青川县"} <= names
    assert len(page) < 700_000
    assert (
        maps.write_map(map_frames.cells(), tmp_path / "g.png", title="广元", areas=areas).stat().st_size
        > 5_000
    )
