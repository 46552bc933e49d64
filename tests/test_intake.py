"""Tests of what all readers of tables share: rows to entries, flags, refusals, reference systems, counts."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldkit import vocabulary
from fieldkit.complaints import Complaint, Entry
from fieldkit.errors import IntakeError
from fieldkit.intake.csv_file import CsvReader
from fieldkit.intake.rows import read_degrees
from fieldkit.intake.tables import TableReading
from fieldkit.places import from_wgs84
from fieldkit.plugins import Reader, load_plugin

OPTIONS = {"time_zone": "Asia/Shanghai", "crs": "wgs84"}


def table(folder: Path, header: list[str], *rows: list[str], name: str = "a.csv") -> Path:
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def read(path: Path, **options: Any) -> TableReading:
    return CsvReader().open(path, {**OPTIONS, **options})


def complaints(path: Path, **options: Any) -> list[Complaint]:
    found = [entry.complaint for entry in read(path, **options)]
    assert all(found)
    return [complaint for complaint in found if complaint]


def codes(entry: Entry) -> list[str]:
    return [flag.code for flag in entry.flags]


@pytest.mark.parametrize("name", ["csv", "excel", "geojson", "open311", "nyc311"])
def test_every_reader_is_a_plugin(name: str) -> None:
    assert isinstance(load_plugin("fieldkit.readers", name), Reader)


def test_a_whole_row_becomes_a_complaint_and_its_person_stays_apart(tmp_path: Path) -> None:
    header = [
        "编号",
        "受理时间",
        "发生时间",
        "办结时间",
        "来源",
        "污染类型",
        "投诉内容",
        "译文",
        "地址",
        "区县",
        "小区",
    ]
    header += ["污染源", "经度", "纬度", "投诉人姓名", "联系电话", "住址", "邮箱", "身份证号", "备注"]
    row = [
        "12",
        "2017-07-03 22:15",
        "2017年7月2日23时",
        "2017-07-10",
        "微信",
        "噪声;油烟",
        "嗡嗡响",
        "a hum",
        "东坝路1号",
    ]
    row += [
        "利州区",
        "821小区",
        "变压器",
        "105.85",
        "32.43",
        "张三丰",
        "13800000000",
        "某街2号",
        "a@b.cn",
        "5108",
        "不留",
    ]
    reading = read(table(tmp_path, header, row))
    (entry,) = reading
    complaint = entry.complaint
    assert complaint is not None
    zone = ZoneInfo("Asia/Shanghai")
    assert complaint.number == "12"
    assert complaint.received_at == datetime(2017, 7, 3, 22, 15, tzinfo=zone)
    assert complaint.occurred_at == datetime(2017, 7, 2, 23, tzinfo=zone)
    assert complaint.closed_at == datetime(2017, 7, 10, tzinfo=zone)
    assert (complaint.channel, complaint.categories) == ("wechat", ("noise", "air.cooking_fume"))
    assert (complaint.text, complaint.translation, complaint.reported_type) == (
        "嗡嗡响",
        "a hum",
        "噪声;油烟",
    )
    assert (complaint.address, complaint.district, complaint.community) == ("东坝路1号", "利州区", "821小区")
    assert (complaint.suspected_source, complaint.source, complaint.details) == ("变压器", "a", {})
    assert complaint.place is not None
    assert (complaint.place.lon, complaint.place.lat, complaint.place.method) == (105.85, 32.43, "given")
    person = entry.person
    assert person is not None
    assert (person.name, person.phone, person.address) == ("张三丰", "13800000000", "某街2号")
    assert (person.email, person.identity_number) == ("a@b.cn", "5108")
    for private in ("张三丰", "13800000000", "某街2号", "a@b.cn", "5108", "不留"):
        assert private not in repr(complaint)
    assert reading.unused == ("备注",)
    assert entry.flags == ()


@pytest.mark.parametrize(
    ("received", "code"),
    [
        ("", "no_time"),
        ("   ", "no_time"),
        ("soon", "bad_time"),
        ("2017-02-30", "bad_time"),
        ("0001-01-01", "bad_time"),
    ],
)
def test_a_row_without_a_usable_time_is_refused(tmp_path: Path, received: str, code: str) -> None:
    found = list(read(table(tmp_path, ["received", "text"], [received, "hum"], ["2017-07-03", "drone"])))
    assert [(e.complaint is None, codes(e)) for e in found] == [(True, [code]), (False, [])]


@pytest.mark.parametrize(("received", "code"), [("2999-01-01", "future_time"), ("1900-01-01", "old_time")])
def test_a_time_outside_our_era_is_kept_and_flagged(tmp_path: Path, received: str, code: str) -> None:
    (entry,) = read(table(tmp_path, ["received", "text"], [received, "hum"]))
    assert entry.complaint is not None
    assert codes(entry) == [code]


def test_a_time_of_closing_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (entry,) = read(table(tmp_path, ["received", "closed"], ["2017-07-03", "done"]))
    assert entry.complaint is not None
    assert entry.complaint.closed_at is None
    assert codes(entry) == ["bad_time"]


@pytest.mark.parametrize(
    ("lon", "lat", "code"),
    [
        ("200", "40", "bad_place"),
        ("-73.9", "95", "bad_place"),
        ("x", "40.7", "bad_place"),
        ("-73.9", "", "bad_place"),
        ("nan", "inf", "bad_place"),
        ("0", "0.0", "no_place"),
        ("40.7", "-73.9", "bad_place"),
    ],
)
def test_bad_coordinates_cost_the_place_not_the_complaint(
    tmp_path: Path, lon: str, lat: str, code: str
) -> None:
    good = [["2017-07-03", "-73.9", "40.7"]] * 5
    found = list(read(table(tmp_path, ["received", "lon", "lat"], *good, ["2017-07-03", lon, lat])))
    assert all(e.complaint and e.complaint.place for e in found[:5])
    assert found[5].complaint is not None
    assert found[5].complaint.place is None
    assert codes(found[5]) == [code]


def test_swapped_coordinates_are_said_to_be_swapped(tmp_path: Path) -> None:
    rows = [["2017-07-03", "105.85", "32.43"]] * 3 + [["2017-07-03", "32.43", "105.85"]]
    last = list(read(table(tmp_path, ["received", "lon", "lat"], *rows)))[-1]
    assert "swapped" in last.flags[0].message


def test_rows_without_coordinates_are_kept_without_a_flag(tmp_path: Path) -> None:
    (entry,) = read(table(tmp_path, ["received", "lon", "lat"], ["2017-07-03", "", ""]))
    assert entry.complaint is not None
    assert (entry.complaint.place, entry.flags) == (None, ())


@pytest.mark.parametrize("crs", ["gcj02", "bd09", "cgcs2000"])
def test_other_reference_systems_are_converted_and_the_original_is_kept(tmp_path: Path, crs: str) -> None:
    lon, lat = from_wgs84(105.8436, 32.4355, crs)
    (complaint,) = complaints(
        table(tmp_path, ["received", "lon", "lat"], ["2017-07-03", str(lon), str(lat)]), crs=crs
    )
    assert complaint.place is not None
    assert complaint.place.lon == pytest.approx(105.8436, abs=1e-6)
    assert complaint.place.lat == pytest.approx(32.4355, abs=1e-6)
    assert (complaint.place.original, complaint.place.original_crs) == ((lon, lat), crs)


def test_coordinates_in_china_must_be_said_to_be_in_a_system(tmp_path: Path) -> None:
    path = table(tmp_path, ["received", "lon", "lat"], ["2017-07-03", "105.85", "32.43"])
    reading = read(path, crs="ask")
    assert reading.crs == "ask"
    with pytest.raises(IntakeError, match="gcj02"):
        list(reading)
    assert read(path, crs="ask", mapping={"crs": "bd09"}).crs == "bd09"
    assert read(path, crs="wgs84", mapping={"crs": "bd09"}).crs == "wgs84"
    assert read(path, crs="ask", default_crs="gcj02").crs == "gcj02"
    assert read(path, crs="ask", default_crs="gcj02", mapping={"crs": "bd09"}).crs == "bd09"
    outside = table(tmp_path, ["received", "lon", "lat"], ["2017-07-03", "-73.9", "40.7"])
    assert read(outside, crs="ask", default_crs="gcj02").crs == "wgs84"
    assert read(outside, crs="ask").crs == "wgs84"


def test_an_unknown_word_is_flagged_once_and_kept(tmp_path: Path) -> None:
    path = table(tmp_path, ["received", "category", "channel"], ["2017-07-03", "Pothole", "pigeon"])
    (entry,) = read(path)
    assert entry.complaint is not None
    assert (entry.complaint.categories, entry.complaint.reported_type) == ((), "Pothole")
    assert entry.complaint.channel == "unknown"
    assert codes(entry) == ["unknown_category", "unknown_channel"] or codes(entry) == [
        "unknown_channel",
        "unknown_category",
    ]


def test_words_defaults_and_kept_columns_are_as_said(tmp_path: Path) -> None:
    path = table(
        tmp_path, ["when", "category", "Amt"], ["03.07.17", "Lärm", "Bau"], ["", "", ""], ["", "x", "Bau"]
    )
    mapping = {
        "columns": {"received_at": "when"},
        "categories": {"LÄRM": "noise.construction", "x": ""},
        "defaults": {"channel": "phone_12369", "received_at": "2017-07-04", "district": "利州区"},
        "keep": {"details": ["Amt"]},
        "source": "hotline",
        "time_zone": "Europe/Berlin",
        "time_format": "%d.%m.%y",
    }
    first, second = complaints(path, mapping=mapping)
    assert first.received_at == datetime(2017, 7, 3, tzinfo=ZoneInfo("Europe/Berlin"))
    assert (first.categories, first.channel, first.details) == (
        ("noise.construction",),
        "phone_12369",
        {"Amt": "Bau"},
    )
    assert (first.source, first.district) == ("hotline", "利州区")
    assert (second.received_at.day, second.categories) == (4, ())


def test_date_and_time_in_two_columns_and_hours(tmp_path: Path) -> None:
    path = table(tmp_path, ["日期", "时间", "内容"], ["2017-07-03", "22:15", "a"], ["2017-07-03", "", "b"])
    assert [(c.received_at.hour, c.precision) for c in complaints(path)] == [(22, "second"), (0, "day")]
    path = table(tmp_path, ["date", "hour"], ["2017-07-03", "22"], ["2017-07-03", "25"])
    found = list(read(path))
    assert found[0].complaint is not None
    assert (found[0].complaint.received_at.hour, found[0].complaint.precision) == (22, "hour")
    assert codes(found[1]) == ["bad_time"]


def test_midnight_in_every_row_is_no_time_of_day(tmp_path: Path) -> None:
    dates = table(tmp_path, ["received"], ["2017-07-03 00:00:00"], ["2017-07-04T00:00:00.000"])
    assert {c.precision for c in complaints(dates)} == {"day"}
    times = table(tmp_path, ["received"], ["2017-07-03 00:00:00"], ["2017-07-04 08:00:00"])
    assert {c.precision for c in complaints(times)} == {"second"}


def test_a_date_far_down_settles_day_and_month(tmp_path: Path) -> None:
    rows = [["05/01/2022"]] * 6000 + [["25/01/2022"]]
    assert complaints(table(tmp_path, ["received"], *rows))[0].received_at.day == 5
    with pytest.raises(IntakeError, match="day/month or month/day"):
        read(table(tmp_path, ["received"], *rows[:-1]))
    said = complaints(table(tmp_path, ["received"], *rows[:-1]), mapping={"time_format": "month/day"})
    assert said[0].received_at.month == 5


def test_a_count_stands_for_as_many_complaints(tmp_path: Path) -> None:
    header = ["received", "category", "count"]
    rows = [
        ["2017", "noise", "3"],
        ["2017-07", "Pothole", "2"],
        ["2017", "noise", "0"],
        ["2017", "noise", "-1"],
        ["2017", "noise", "1e12"],
    ]
    found = list(read(table(tmp_path, header, *rows)))
    assert [(e.row, e.complaint is None, codes(e)) for e in found] == [
        *[(2, False, [])] * 3,
        (3, False, ["unknown_category"]),
        (3, False, []),
        (5, True, ["bad_count"]),
        (6, True, ["bad_count"]),
    ]
    assert [e.complaint.precision for e in found if e.complaint] == ["year"] * 3 + ["month"] * 2


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, ["received", "x"], ["2017-07-03", "1"])
    with pytest.raises(IntakeError, match="no column 'wann'"):
        read(path, mapping={"received_at": "wann"})
    with pytest.raises(IntakeError, match="no column 'y'"):
        read(path, mapping={"keep": {"details": ["y"]}})


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("105.85", 105.85),
        (" -73.9 ", -73.9),
        ("105°50′37″E", 105 + 50 / 60 + 37 / 3600),
        ("32°26'8.5\"S", -(32 + 26 / 60 + 8.5 / 3600)),
        ("东105度50分", 105 + 50 / 60),
        (12, 12.0),
    ],
)
def test_degrees_are_read(text: object, degrees: float) -> None:
    assert read_degrees(text) == pytest.approx(degrees)


_WORDS = st.sampled_from(
    [
        "",
        "noise",
        "噪声",
        "12369",
        "2017-07-03",
        "2017/7/3 22:15",
        "105.85",
        "-91",
        "0",
        "=1+1",
        "x" * 300,
        "\u202e",
    ]
)
_CELL = _WORDS | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_HEADER = [
    "number",
    "received",
    "closed",
    "channel",
    "category",
    "text",
    "address",
    "lon",
    "lat",
    "count",
    "phone",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(_CELL, min_size=len(_HEADER), max_size=len(_HEADER)), min_size=1, max_size=6))
def test_any_row_is_a_complaint_or_refused_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = table(tmp_path_factory.mktemp("rows"), _HEADER, *rows)
    try:
        found = list(read(path))
    except IntakeError:
        return
    for entry in found:
        if entry.complaint is None:
            assert {"bad_time", "no_time", "bad_count", "ragged_row"} & set(codes(entry))
        else:
            assert entry.complaint.received_at.utcoffset() is not None
            assert set(entry.complaint.categories) <= set(vocabulary.categories())
        for flag in entry.flags:
            assert flag.row == entry.row
            assert "\n" not in flag.message or "\n" in flag.value
        assert set(entry.raw) <= {*_HEADER, "fieldkit_extra"}
        json.dumps(dict(entry.raw))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    if not Path("/proc/self/status").is_file():
        pytest.skip("the peak of a process is read from Linux's /proc")
    program = (
        "import sys; from pathlib import Path; from fieldkit.intake.csv_file import CsvReader\n"
        "n = sum(1 for _ in CsvReader().open(Path(sys.argv[1]), {'crs': 'wgs84'}))\n"
        "print(n, [l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')][0])"
    )
    peaks = []
    for rows in (2_000, 120_000):
        path = tmp_path / f"{rows}.csv"
        line = ",2017-07-03 22:15:01,noise,变压器夜间嗡嗡响影响睡眠,105.85,32.43\n"
        path.write_text(
            "number,received,category,text,lon,lat\n" + "".join(f"{i}{line}" for i in range(rows)), "utf-8"
        )
        out = subprocess.run(
            [sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True
        ).stdout
        count, peak = map(int, out.split())
        assert count == rows
        peaks.append(peak)
    # The file grew by 9 MB; the sample of the first rows is all that may be held.
    assert peaks[1] - peaks[0] < 8_000
