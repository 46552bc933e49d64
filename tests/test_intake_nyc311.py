"""Tests of the nyc311 reader, on small files of the same layouts and on the real ones where they are there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fieldkit.complaints import Entry
from fieldkit.errors import IntakeError
from fieldkit.intake.nyc311 import Nyc311Reader, classify
from fieldkit.intake.tables import TableReading

# ruff: noqa: E501

PORTAL = """Unique Key,Created Date,Closed Date,Complaint Type,Descriptor,Incident Address,Borough,Community Board,Open Data Channel Type,Latitude,Longitude
1,05/01/2022 12:00:03 AM,05/01/2022 12:07:46 AM,Noise - Residential,Loud Music/Party,1 A ST,BRONX,04 BRONX,ONLINE,40.83,-73.92
2,05/01/2022 11:00:03 PM,,Noise,Noise: Construction Equipment (NC1),2 A ST,BRONX,04 BRONX,PHONE,40.83,-73.92
3,05/01/2022 11:00:04 PM,,Illegal Parking,Blocked Hydrant,,,,MOBILE,,
"""
NIGHT = """lat,lon,complaint_type,hour_local,address,descriptor
40.82,-73.95,Noise - Commercial,18,1 A St,Loud Music/Party
40.82,-73.95,Noise - Commercial,0,1 A St,Loud Music/Party
40.82,-73.95,Noise - Commercial,late,1 A St,Loud Music/Party
"""
CHRONIC = """lat,lon,n,address,borough,community_board,top_descriptor,n_morning,n_late_night,Noise - Residential,Noise - Helicopter
40.72,-73.80,12,1 A St,Queens,08 QUEENS,Loud Talking,5,7,10,2
40.73,-73.81,10,2 A St,Queens,08 QUEENS,Loud Talking,10,0,9,0
40.73,-73.81,3,3 A St,Queens,08 QUEENS,Loud Talking,3,0,9,0
40.73,-73.81,x,3 A St,Queens,08 QUEENS,Loud Talking,3,0,9,0
"""
HEX = {
    "period": "2025",
    "subtypes": ["Noise - Residential", "Noise - Vehicle"],
    "buckets": ["morning", "evening"],
    "hexes": [
        ["882a100a8bfffff", 6, [[1, 2], [3, 0]]],
        ["9999999999999999999999999", 1, [[1, 0], [0, 0]]],
        ["882a100eebfffff", 9, [[1, 0], [0, 0]]],
    ],
}


def read(path: Path, **options: Any) -> TableReading:
    return Nyc311Reader().open(
        path, {"time_zone": "Asia/Shanghai", "crs": "ask", "mapping": None, "source": None, **options}
    )


def write(folder: Path, text: str, name: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def refused(entries: list[Entry]) -> list[list[str]]:
    return [[f.code for f in e.flags] for e in entries if e.complaint is None]


def test_the_portals_layout(tmp_path: Path) -> None:
    reading = read(write(tmp_path, PORTAL, "x.csv"))
    found = [e.complaint for e in reading]
    first, second, third = found
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.received_at.isoformat() == "2022-05-01T00:00:03-04:00"
    assert (first.source, first.number, first.channel) == ("nyc311", "1", "web")
    assert (first.categories, first.reported_type, first.district) == (
        ("noise.social.household",),
        "Noise - Residential",
        "BRONX",
    )
    assert (second.categories, second.channel, second.received_at.hour) == (
        ("noise.construction",),
        "phone_other",
        23,
    )
    assert (third.categories, third.reported_type, third.place, third.channel) == (
        (),
        "Illegal Parking",
        None,
        "app",
    )
    assert [e.flags for e in reading] == [(), (), ()]


def test_a_nights_extract_has_its_date_in_its_name(tmp_path: Path) -> None:
    reading = read(write(tmp_path, NIGHT, "night_2026-04-25.csv"))
    found = list(reading)
    assert [e.complaint.received_at.isoformat()[:13] for e in found if e.complaint] == [
        "2026-04-25T18",
        "2026-04-26T00",
    ]
    assert {e.complaint.precision for e in found if e.complaint} == {"hour"}
    assert refused(found) == [["bad_time"]]
    target = reading.write_refused([e for e in found if e.complaint is None], tmp_path / "refused")
    target.write_text(target.read_text("utf-8-sig").replace(",late,", ",3,"), "utf-8-sig")
    (mended,) = read(target)
    assert mended.complaint is not None
    assert mended.complaint.received_at.isoformat() == "2026-04-26T03:00:00-04:00"
    with pytest.raises(IntakeError, match="no date"):
        read(write(tmp_path, NIGHT, "night.csv"))


def test_yearly_counts_by_place(tmp_path: Path) -> None:
    found = list(read(write(tmp_path, CHRONIC, "chronic_2025.csv")))
    counts = Counter(
        (e.row, e.complaint.reported_type, e.complaint.details.get("part_of_day"))
        for e in found
        if e.complaint
    )
    assert counts == {
        (2, "Noise - Residential", None): 10,
        (2, "Noise - Helicopter", None): 2,
        (3, "Noise - Residential", "morning"): 9,
        (3, "Noise (type not given)", "morning"): 1,
    }
    assert refused(found) == [["bad_count"], ["bad_count"]]
    first = found[0].complaint
    assert first is not None
    assert (first.received_at.year, first.precision, first.address) == (2025, "year", "1 A St")


def test_yearly_counts_by_cell(tmp_path: Path) -> None:
    reading = read(write(tmp_path, json.dumps(HEX), "hex.json"))
    found = list(reading)
    counts = Counter(
        (e.complaint.reported_type, e.complaint.details["part_of_day"]) for e in found if e.complaint
    )
    assert counts == {
        ("Noise - Residential", "morning"): 1,
        ("Noise - Vehicle", "morning"): 2,
        ("Noise - Residential", "evening"): 3,
    }
    assert reading.total == 6
    assert refused(found) == [["bad_count"], ["bad_count"]]
    place = found[0].complaint.place if found[0].complaint else None
    assert place is not None
    assert place.accuracy_m == 532
    target = reading.write_refused([e for e in found if e.complaint is None], tmp_path / "refused")
    assert refused(list(read(target))) == [["bad_count"], ["bad_count"]]


@pytest.mark.parametrize(
    ("kind", "detail", "codes"),
    [
        ("Noise - Street/Sidewalk", "", ("noise.social.public_activity",)),
        ("Noise - Something new", "", ("noise",)),
        ("Noise", "Noise, Barking Dog (NR5)", ("noise.social.household",)),
        ("Noise", "", ("noise",)),
        ("Air Quality", "Air: Odor/Fumes, Restaurant (AD2)", ("air.odour",)),
        ("Illegal Parking", "", ()),
        ("", "", ()),
    ],
)
def test_complaint_types_become_categories(kind: str, detail: str, codes: tuple[str, ...]) -> None:
    assert classify(kind, detail) == codes


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a,b\n1,2\n", "x.csv"),
        ('{"hexes": []}', "x.json"),
        ('{"hexes": [["882a100a8bfffff", 1, [[1]]]]}', "2025.json"),
        (json.dumps({**HEX, "period": "lately"}), "x.json"),
        (json.dumps({**HEX, "hexes": [{"zz": 1}]}), "x.json"),
        (CHRONIC, "x.csv"),
        ("", "x.csv"),
        ("Unique Key,Created Date,Complaint Type\n", "x.csv"),
    ],
)
def test_a_bad_file_gives_one_sentence(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(IntakeError) as caught:
        list(read(write(tmp_path, text, name)))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "complaints", "precision"),
    [
        ("nyc311_raw_41col_2022-05-01.csv.gz", 924, "second"),
        ("nyc311_noise_saturday_night_2026-04-25.csv", 1_301, "hour"),
        ("nyc311_noise_chronic_2025.csv.gz", 559_078, "year"),
        ("nyc311_noise_hex_2025.json", 706_049, "year"),
        ("nyc311_noise_hex_2026ytd.json", 201_784, "year"),
    ],
)
def test_the_real_files_are_read_whole(shared_data: Path, file: str, complaints: int, precision: str) -> None:
    number = 0
    for entry in read(shared_data / file):
        assert entry.complaint is not None
        assert entry.complaint.precision == precision
        assert not entry.flags
        number += 1
    assert number == complaints
