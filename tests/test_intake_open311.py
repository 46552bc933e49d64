"""Tests of the open311 reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fieldkit.errors import IntakeError
from fieldkit.intake.open311 import Open311Reader
from fieldkit.intake.tables import TableReading

REQUESTS: list[dict[str, Any]] = [
    {
        "service_request_id": "638344",
        "status": "closed",
        "status_notes": "Duplicate request.",
        "service_name": "Loud humming",
        "service_code": "noise.lowfreq.transformer",
        "description": "a hum {{7*7}} & <b>",
        "requested_datetime": "2010-04-14T06:37:38-08:00",
        "updated_datetime": "2010-04-15T06:37:38-08:00",
        "address": "8TH AVE and JUDAH ST",
        "lat": 37.762221815,
        "long": -122.4651145,
        "first_name": "Ann",
        "last_name": "Other",
        "phone": "555",
        "media_url": "http://example.org/a.jpg",
    },
    {
        "service_request_id": "2",
        "status": "open",
        "service_name": "Pothole",
        "requested_datetime": "2010-04-19T06:37:38Z",
    },
    {"service_request_id": "3", "status": "open", "service_name": "Noise", "requested_datetime": None},
]


def to_xml(requests: list[dict[str, Any]]) -> str:
    from xml.sax.saxutils import escape

    rows = ("".join(f"<{k}>{escape(str(v or ''))}</{k}>" for k, v in r.items()) for r in requests)
    return (
        '<?xml version="1.0" encoding="utf-8"?><service_requests>'
        + "".join(f"<request>{r}</request>\n" for r in rows)
        + "</service_requests>"
    )


def read(path: Path, **options: Any) -> TableReading:
    return Open311Reader().open(path, {"time_zone": "Asia/Shanghai", "crs": "ask", **options})


def write(folder: Path, text: str, name: str = "requests.json") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(REQUESTS),
        json.dumps({"requests": REQUESTS}),
        json.dumps({"page": 1, "service_requests": REQUESTS}),
        to_xml(REQUESTS),
    ],
    ids=["array", "requests", "service_requests", "xml"],
)
def test_requests_are_read(tmp_path: Path, text: str) -> None:
    found = list(read(write(tmp_path, text)))
    assert [[f.code for f in e.flags] for e in found] == [[], ["unknown_category"], ["no_time"]]
    first, second = found[0].complaint, found[1].complaint
    assert first is not None
    assert second is not None
    assert (first.number, first.text) == ("638344", "a hum {{7*7}} & <b>")
    assert (first.categories, first.reported_type) == (("noise.lowfreq.transformer",), "Loud humming")
    assert first.received_at.isoformat() == "2010-04-14T22:37:38+08:00"
    assert first.closed_at is not None
    assert first.place is not None
    assert (first.place.lon, first.place.lat) == (-122.4651145, 37.762221815)
    assert (second.closed_at, second.place) == (None, None)
    assert found[0].person is not None
    assert (found[0].person.name, found[0].person.phone) == ("Ann Other", "555")
    assert "Other" not in repr(first)


@pytest.mark.parametrize("text", [json.dumps(REQUESTS), to_xml(REQUESTS)], ids=["json", "xml"])
def test_refused_requests_can_be_mended_and_read_again(tmp_path: Path, text: str) -> None:
    reading = read(write(tmp_path, text, "city_2010-04.json"))
    target = reading.write_refused([e for e in reading if e.complaint is None], tmp_path / "refused")
    assert target.suffix == (".xml" if text.startswith("<") else ".json")
    assert [[f.code for f in e.flags] for e in read(target)] == [["no_time"]]
    mended = (
        target.read_text("utf-8")
        .replace("null", '"2010-04-19"')
        .replace("<requested_datetime></", "<requested_datetime>2010-04-19</")
    )
    (entry,) = read(write(tmp_path, mended, target.name))
    assert entry.complaint is not None
    assert (entry.complaint.number, entry.complaint.source) == ("3", "city")


BAD = {
    "empty": "",
    "no list": '{"a": []}',
    "no requests": "[]",
    "other members": '[{"a": 1}]',
    "numbers": "[1, 2]",
    "cut": json.dumps(REQUESTS)[:-9],
    "empty xml": "<service_requests/>",
    "cut xml": to_xml(REQUESTS)[:-9],
    "html": "<html><body>Not found</body></html>",
    "entities": '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><requests><request>&c;</request></requests>',
    "outside entity": '<!DOCTYPE a SYSTEM "file:///etc/passwd"><service_requests/>',
    "deep xml": "<a>" * 1000,
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_gives_one_sentence(tmp_path: Path, kind: str) -> None:
    with pytest.raises(IntakeError) as caught:
        list(read(write(tmp_path, BAD[kind])))
    assert "requests.json" in str(caught.value)
    assert "\n" not in str(caught.value)
