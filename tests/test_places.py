"""Places: the published test vectors, the way there and back, and refusals of impossible points."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldkit import places
from fieldkit.errors import PlaceError

#: wgs_lon, wgs_lat, gcj_lon, gcj_lat, bd_lon, bd_lat: Guangyuan, Beijing railway station, Chengdu.
#: Computed with the published formula; three independent packages agree with the first to 1e-7 degrees.
VECTORS = [
    (105.8436, 32.4355, 105.847305, 32.433100, 105.853734, 32.439400),
    (116.42079, 39.90105, 116.427022, 39.902446, 116.433501, 39.908500),
    (104.0665, 30.5723, 104.069005, 30.569846, 104.075481, 30.575856),
]
DIGITS = 0.6e-6  # the vectors have six decimals

guangyuan = {"lon": st.floats(104.6, 106.8), "lat": st.floats(31.5, 32.95)}
# Away from the edge of the box, so that the shifted point still lies in it.
china = {"lon": st.floats(73, 136), "lat": st.floats(2, 54)}
globe = {"lon": st.floats(-180, 180), "lat": st.floats(-90, 90)}


@pytest.mark.parametrize("vector", VECTORS)
def test_published_vectors(vector: tuple[float, ...]) -> None:
    wgs, gcj, bd = vector[0:2], vector[2:4], vector[4:6]
    assert places.from_wgs84(*wgs, "gcj02") == pytest.approx(gcj, abs=DIGITS)
    assert places.from_wgs84(*wgs, "bd09") == pytest.approx(bd, abs=DIGITS)
    assert places.to_wgs84(*gcj, "gcj02") == pytest.approx(wgs, abs=2 * DIGITS)
    assert places.to_wgs84(*bd, "bd09") == pytest.approx(wgs, abs=4 * DIGITS)


def test_beijing_railway_station_as_published() -> None:
    assert places.from_wgs84(116.42079, 39.90105, "gcj02") == pytest.approx((116.42703, 39.90245), abs=1e-5)


def moved_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    return places.distance_m(*a, *b)


@given(**china)
def test_gcj02_comes_back_to_the_millimetre(lon: float, lat: float) -> None:
    there = places.from_wgs84(lon, lat, "gcj02")
    assert moved_m(places.to_wgs84(*there, "gcj02"), (lon, lat)) < 0.001


@given(**china)
def test_bd09_comes_back_to_half_a_metre(lon: float, lat: float) -> None:
    there = places.from_wgs84(lon, lat, "bd09")
    assert moved_m(places.to_wgs84(*there, "bd09"), (lon, lat)) < 0.5


@given(**guangyuan)
def test_the_shift_in_guangyuan_is_the_measured_one(lon: float, lat: float) -> None:
    assert 340 < moved_m((lon, lat), places.from_wgs84(lon, lat, "gcj02")) < 472


@given(lon=st.floats(-180, 72), lat=st.floats(-90, 90))
def test_outside_china_nothing_is_shifted(lon: float, lat: float) -> None:
    assert places.to_wgs84(lon, lat, "gcj02") == (lon, lat)
    assert places.from_wgs84(lon, lat, "gcj02") == (lon, lat)


@given(**globe)
def test_cgcs2000_is_taken_as_wgs84(lon: float, lat: float) -> None:
    assert places.to_wgs84(lon, lat, "cgcs2000") == (lon, lat) == places.from_wgs84(lon, lat, "cgcs2000")


def test_every_listed_system_converts_and_others_are_refused() -> None:
    for crs in places.REFERENCE_SYSTEMS:
        places.to_wgs84(105.8, 32.4, crs)
        places.from_wgs84(105.8, 32.4, crs)
    for convert in (places.to_wgs84, places.from_wgs84):
        with pytest.raises(PlaceError, match="'EPSG:4326' is not known"):
            convert(105.8, 32.4, "EPSG:4326")


@pytest.mark.parametrize(
    ("lon", "lat", "says"),
    [
        (32.4, 105.8, "swapped"),
        (181.0, 32.4, "Longitude 181.0"),
        (-180.1, 0.0, "Longitude"),
        (math.nan, 32.4, "not a pair of numbers"),
        (105.8, math.inf, "not a pair of numbers"),
    ],
)
def test_an_impossible_point_is_refused_with_its_value(lon: float, lat: float, says: str) -> None:
    with pytest.raises(PlaceError, match=says):
        places.Place(lon, lat)
    with pytest.raises(PlaceError, match=says):
        places.place_from(lon, lat, "gcj02")


def test_a_place_keeps_what_was_given() -> None:
    place = places.place_from(105.847305, 32.4331, "gcj02", method="given", accuracy_m=50.0)
    assert (place.lon, place.lat) == pytest.approx((105.8436, 32.4355), abs=2 * DIGITS)
    assert place.original == (105.847305, 32.4331)
    assert place.original_crs == "gcj02"
    assert place.accuracy_m == 50.0
    plain = places.place_from(105.8436, 32.4355)
    assert (plain.original, plain.original_crs) == (None, "wgs84")


@given(**globe)
def test_a_point_lies_in_its_cell(lon: float, lat: float) -> None:
    cell = places.cell_of(lon, lat)
    assert len(cell) == 15
    assert places.Place(lon, lat).cell == cell


@given(
    lon=st.floats(104.6, 106.8),
    lat=st.floats(31.5, 32.95),
    radius_m=st.floats(0, 3000),
    turn=st.floats(0, 6.3),
)
def test_no_point_within_the_radius_is_outside_the_cells(
    lon: float, lat: float, radius_m: float, turn: float
) -> None:
    step = math.degrees(radius_m * 0.999 / places.EARTH_RADIUS_M)
    other = (lon + step * math.cos(turn) / math.cos(math.radians(lat)), lat + step * math.sin(turn))
    if places.distance_m(lon, lat, *other) <= radius_m:
        assert places.cell_of(*other) in places.cells_within(lon, lat, radius_m)


@pytest.mark.parametrize(
    ("lon", "lat"), [(105.8, 32.4), (-73.98, 40.75), (0.0, 0.0), (25.0, 71.0), (-70.0, -54.0)]
)
def test_cells_cover_the_circle_anywhere(lon: float, lat: float) -> None:
    cells = set(places.cells_within(lon, lat, 1000))
    for turn in range(0, 360, 5):
        step = math.degrees(999 / places.EARTH_RADIUS_M)
        other_lat = lat + step * math.sin(math.radians(turn))
        other_lon = lon + step * math.cos(math.radians(turn)) / math.cos(math.radians(lat))
        assert places.cell_of(other_lon, other_lat) in cells


def test_distances_that_can_be_checked_by_hand() -> None:
    # A degree of latitude on the mean sphere: pi * R / 180.
    assert places.distance_m(105.8, 32.0, 105.8, 33.0) == pytest.approx(111_195.08, abs=0.01)
    assert places.distance_m(105.8, 32.4, 105.8, 32.4) == 0
    assert places.distance_m(0, 0, 180, 0) == pytest.approx(math.pi * places.EARTH_RADIUS_M)
    # Across the date line the short way round.
    assert places.distance_m(179.999, 0, -179.999, 0) == pytest.approx(222.39, abs=0.01)


@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-90, 90),
    others=st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90))),
)
def test_many_distances_are_the_single_ones(
    lon: float, lat: float, others: list[tuple[float, float]]
) -> None:
    lons, lats = np.array([p[0] for p in others]), np.array([p[1] for p in others])
    singles = [places.distance_m(lon, lat, *other) for other in others]
    assert places.distances_m(lon, lat, lons, lats) == pytest.approx(singles, abs=0.2)


@given(st.lists(st.tuples(st.floats(105.6, 106.0), st.floats(32.2, 32.6)), min_size=2, max_size=20))
def test_metres_on_the_plane_are_metres_on_the_globe(points: list[tuple[float, float]]) -> None:
    plane = places.to_metres([p[0] for p in points], [p[1] for p in points])
    assert plane.shape == (len(points), 2)
    flat = math.dist(plane[0], plane[1])
    assert flat == pytest.approx(places.distance_m(*points[0], *points[1]), rel=0.003, abs=0.01)


def test_no_points_are_no_metres() -> None:
    assert places.to_metres([], []).shape == (0, 2)


def square(name: str, west: float, south: float, **more: Any) -> dict[str, Any]:
    ring = [[west, south], [west + 1, south], [west + 1, south + 1], [west, south + 1], [west, south]]
    return {
        "type": "Feature",
        "properties": {"adcode": 510802, "name": name, **more},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def collection(path: Path, *features: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}), encoding="utf-8")
    return path


def test_a_point_is_named_by_the_area_it_lies_in(tmp_path: Path) -> None:
    areas = places.Areas.read(
        collection(tmp_path / "a.geojson", square("利州区", 105, 32), square("{{7*7}}", 106, 32))
    )
    assert areas.name_at(105.5, 32.5) == "利州区"
    assert areas.names_at([106.5, 0.0, 105.5], [32.5, 0.0, 32.5]) == ["{{7*7}}", None, "利州区"]
    assert areas.names_at([], []) == []


def test_where_areas_meet_or_overlap_the_first_in_the_file_counts(tmp_path: Path) -> None:
    areas = places.Areas.read(
        collection(tmp_path / "a.geojson", square("first", 105, 32), square("second", 105.5, 32))
    )
    assert areas.name_at(105.7, 32.5) == "first"
    assert areas.name_at(105.0, 32.0) == "first"


def test_areas_in_gcj02_are_moved(tmp_path: Path) -> None:
    path = collection(tmp_path / "a.geojson", square("利州区", 105, 32))
    corner = places.to_wgs84(105, 32, "gcj02")
    areas = places.Areas.read(path, crs="gcj02")
    assert areas.polygons[0].bounds[:2] == pytest.approx(corner, abs=1e-4)


def test_a_polygon_that_crosses_itself_is_mended(tmp_path: Path) -> None:
    bow = square("bow tie", 105, 32)
    bow["geometry"]["coordinates"] = [[[105, 32], [106, 33], [106, 32], [105, 33], [105, 32]]]
    areas = places.Areas.read(collection(tmp_path / "a.geojson", bow))
    assert areas.name_at(105.9, 32.5) == "bow tie"
    assert areas.name_at(105.5, 32.9) is None


def test_the_property_to_name_by_can_be_said(tmp_path: Path) -> None:
    path = collection(tmp_path / "a.geojson", square("利州区", 105, 32, name_en="Lizhou District"))
    assert places.Areas.read(path).names == ["利州区"]
    assert places.Areas.read(path).names_en == ["Lizhou District"]
    assert places.Areas.read(path, name_field="name_en").names == ["Lizhou District"]
    assert places.Areas.read(path, name_field="nothing").names == [""]


def test_an_english_name_is_optional_and_text(tmp_path: Path) -> None:
    features = [square("a", 105, 32, name_en="A"), square("b", 106, 32), square("c", 107, 32, name_en=7)]
    nowhere = {"type": "Feature", "properties": {"name": "x", "name_en": "X"}, "geometry": None}
    areas = places.Areas.read(collection(tmp_path / "a.geojson", nowhere, *features))
    assert areas.names == ["a", "b", "c"]
    assert areas.names_en == ["A", "", ""]
    assert places.Areas(["a", "b"], areas.polygons[:2]).names_en == ["", ""]


def test_a_feature_without_a_geometry_is_left_out(tmp_path: Path) -> None:
    empty = {"type": "Feature", "properties": {"name": "nowhere"}, "geometry": None}
    assert places.Areas.read(collection(tmp_path / "a.geojson", empty, square("利州区", 105, 32))).names == [
        "利州区"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "null",
        '{"type": "FeatureCollection"}',
        '{"features": [1]}',
        '{"features": {"a": 1}}',
    ],
)
def test_a_file_that_is_no_geojson_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "areas.geojson").write_text(text, encoding="utf-8")
    with pytest.raises(PlaceError, match=r"areas\.geojson"):
        places.Areas.read(tmp_path / "areas.geojson")


def test_a_missing_or_undecodable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlaceError):
        places.Areas.read(tmp_path / "nothing.geojson")
    (tmp_path / "gbk.geojson").write_bytes("利州区".encode("gb18030"))
    with pytest.raises(PlaceError):
        places.Areas.read(tmp_path / "gbk.geojson")


def test_a_geometry_that_shapely_refuses_is_refused(tmp_path: Path) -> None:
    bad = square("x", 105, 32)
    bad["geometry"] = {"type": "Polygon", "coordinates": [[[105, 32], [106, 33]]]}
    with pytest.raises(PlaceError):
        places.Areas.read(collection(tmp_path / "a.geojson", bad))


def test_areas_without_names_ask_for_one(tmp_path: Path) -> None:
    nameless = square("", 105, 32)
    nameless["properties"] = None
    with pytest.raises(PlaceError, match="name_field="):
        places.Areas.read(collection(tmp_path / "a.geojson", nameless))


def test_the_real_districts_are_named(shared_data: Path) -> None:
    areas = places.Areas.read(shared_data / "guangyuan_510800_districts.geojson")
    assert len(areas.names) == 7
    assert areas.name_at(105.8436, 32.4355) == "利州区"
