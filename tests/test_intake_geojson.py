"""Tests of the geojson reader and of strict JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldkit.errors import IntakeError
from fieldkit.intake import strict_json
from fieldkit.intake.geojson import GeoJsonReader
from fieldkit.intake.strict_json import JsonFile
from fieldkit.intake.tables import TableReading

OPTIONS = {"time_zone": "Asia/Shanghai", "crs": "ask"}


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": geometry,
        "properties": {"received": "2017-07-03 22:15", **properties},
    }


def point(lon: Any, lat: Any) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def write(folder: Path, features: list[Any], name: str = "a.geojson", **outer: Any) -> Path:
    path = folder / name
    path.write_text(
        json.dumps({"type": "FeatureCollection", **outer, "features": features}, ensure_ascii=False), "utf-8"
    )
    return path


def read(path: Path, **options: Any) -> TableReading:
    return GeoJsonReader().open(path, {**OPTIONS, **options})


def test_points_and_other_geometries_are_read(tmp_path: Path) -> None:
    square = {"type": "Polygon", "coordinates": [[[-74, 40], [-73, 40], [-73, 41], [-74, 41], [-74, 40]]]}
    path = write(
        tmp_path,
        [
            feature(
                point(-73.9, 40.7), 投诉内容="{{7*7}}", 污染类型="噪声", 投诉人电话="1380", x=5, tags=["a"]
            ),
            feature(square, 污染类型="噪声"),
            feature(None),
            feature(point(40.7, -73.9)),
            feature(point("far", None)),
            feature({"type": "Polygon", "coordinates": [["x"]]}),
            {"type": "Point"},
            feature(point(-73.9, 40.7), received=1499091300000),
        ],
    )
    reading = read(path)
    found = list(reading)
    assert [[f.code for f in e.flags] for e in found] == [
        [],
        ["not_a_point"],
        [],
        ["bad_place"],
        ["bad_place"],
        ["bad_place"],
        ["bad_feature"],
        [],
    ]
    first, second = found[0].complaint, found[1].complaint
    assert first is not None
    assert second is not None
    assert (first.text, first.categories, first.details) == ("{{7*7}}", ("noise",), {})
    assert found[0].person is not None
    assert found[0].person.phone == "1380"
    assert second.place is not None
    assert -74 < second.place.lon < -73
    assert found[7].complaint is not None
    assert found[7].complaint.received_at.isoformat() == "2017-07-03T22:15:00+08:00"
    assert "swapped" in found[3].flags[0].message
    assert set(reading.unused) == {"x", "tags"}


def test_features_one_a_line_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.geojsonl"
    path.write_text(
        "\n".join("\x1e" + json.dumps(feature(point(-73.9, 40.7), text=str(i))) for i in range(7)), "utf-8"
    )
    assert [e.complaint.text for e in read(path) if e.complaint] == [str(i) for i in range(7)]


def test_the_reference_system_is_asked_for_in_china_unless_the_file_says_it(tmp_path: Path) -> None:
    features = [feature(point(105.85, 32.43))]
    assert read(write(tmp_path, features)).crs == "ask"
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    assert read(write(tmp_path, features, crs=crs)).crs == "wgs84"
    crs["properties"] = {"name": "urn:ogc:def:crs:EPSG::4490"}  # type: ignore[assignment]
    assert read(write(tmp_path, features, crs=crs)).crs == "cgcs2000"
    crs["properties"] = {"name": "EPSG:3857"}  # type: ignore[assignment]
    with pytest.raises(IntakeError, match="EPSG:3857"):
        read(write(tmp_path, features, crs=crs))


def test_refused_features_come_back_as_they_were(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [feature(point(-73.9, 40.7), received="soon", text="=1+1 \ud83d 苍溪".replace("\ud83d", "😀"))],
    )
    reading = read(path)
    target = reading.write_refused(reading, tmp_path / "refused")
    assert target.name == "refused.geojson"
    again = read(target)
    (before,), (after,) = list(reading), list(again)
    kept = {k: v for k, v in after.raw["properties"].items() if not k.startswith("fieldkit_")}  # type: ignore[attr-defined]
    assert kept == before.raw["properties"]
    assert after.raw["geometry"] == before.raw["geometry"]
    target.write_text(target.read_text("utf-8").replace('"soon"', '"2017-07-03"'), "utf-8")
    (mended,) = read(target)
    assert mended.complaint is not None
    assert mended.complaint.source == "a"


def test_half_a_character_is_refused_and_written_out(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(
        json.dumps({"type": "FeatureCollection", "features": [feature(None, text="\ud83d")]}), "utf-8"
    )
    reading = read(path)
    (entry,) = reading
    assert [f.code for f in entry.flags] == ["bad_character"]
    assert [dict(e.raw)["geometry"] for e in read(reading.write_refused([entry], tmp_path / "r"))] == [None]


GOOD = json.dumps(feature(point(-73.9, 40.7)))
BAD = {
    "empty": "",
    "text": "hello",
    "number": "3",
    "other object": '{"a": 1}',
    "no features": '{"type": "FeatureCollection", "features": []}',
    "features no list": '{"features": {}}',
    "doubled key": '{"features": [{"type": "Feature", "type": "Feature", "properties": {"received": "2017"}}]}',
    "doubled outer key": '{"a": 1, "a": 2, "features": [' + GOOD + "]}",
    "nan": '{"features": [' + GOOD.replace("-73.9", "NaN") + "]}",
    "infinity": '{"features": [' + GOOD.replace("-73.9", "1e999") + "]}",
    "huge integer": '{"features": [' + GOOD.replace("-73.9", "9" * 5000) + "]}",
    "deep": '{"features": ' + "[" * 100_000,
    "deep object": '{"features": [' + '{"a":' * 100_000,
    "cut": '{"features": [' + GOOD[:-5],
    "comma": '{"features": [' + GOOD + ",]}",
    "no comma": '{"features": [' + GOOD + GOOD + "]}",
    "more behind": '{"features": [' + GOOD + "]} x",
    "no time": '{"features": [{"type": "Feature", "geometry": null, "properties": {"colour": "red"}}]}',
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_gives_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.geojson"
    path.write_text(BAD[kind], "utf-8")
    with pytest.raises(IntakeError) as caught:
        list(read(path))
    assert "bad.geojson" in str(caught.value)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(JSON, max_size=6), st.integers(1, 40), st.integers(0, 2))
def test_any_json_is_read_piece_by_piece_as_by_the_standard_library(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], chunk: int, indent: int
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(
        json.dumps({"before": 12.5, "list": values, "after": values}, indent=indent or None), "utf-8"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_json, "_CHUNK", chunk)
        assert list(JsonFile(path, ("list",)).elements()) == json.loads(path.read_text("utf-8"))["list"]
