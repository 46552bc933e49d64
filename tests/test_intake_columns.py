"""Tests of guessing columns, of what is said about them, and of the words for categories and channels."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldkit import vocabulary
from fieldkit.errors import IntakeError
from fieldkit.intake.columns import FIELDS, PERSON_PREFIX, guess_columns, person_field
from fieldkit.intake.instructions import read_instructions
from fieldkit.intake.tables import source_name
from fieldkit.intake.terms import find_categories, find_channel


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            [
                "srnumber",
                "created",
                "closed",
                "requesttype",
                "requestsource",
                "address",
                "latitude",
                "longitude",
            ],
            {
                "number": "srnumber",
                "received_at": "created",
                "closed_at": "closed",
                "category": "requesttype",
                "channel": "requestsource",
                "address": "address",
                "lat": "latitude",
                "lon": "longitude",
            },
        ),
        (
            [
                "投诉编号",
                "受理时间",
                "来源渠道",
                "污染类型",
                "投诉内容",
                "污染地址",
                "所属区县",
                "小区",
                "经度",
                "纬度",
            ],
            {
                "number": "投诉编号",
                "received_at": "受理时间",
                "channel": "来源渠道",
                "category": "污染类型",
                "text": "投诉内容",
                "address": "污染地址",
                "district": "所属区县",
                "community": "小区",
                "lon": "经度",
                "lat": "纬度",
            },
        ),
        (["日期", "时间", "内容"], {"received_at": "日期", "received_time": "时间", "text": "内容"}),
        (
            ["Date Received (local)", "Hour"],
            {"received_at": "Date Received (local)", "received_hour": "Hour"},
        ),
        (
            ["群众投诉主要内容描述", "投诉受理日期"],
            {"text": "群众投诉主要内容描述", "received_at": "投诉受理日期"},
        ),
    ],
)
def test_headers_are_recognised(headers: list[str], expected: dict[str, str]) -> None:
    assert guess_columns(headers) == expected


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("投诉人", "name"),
        ("投诉人姓名", "name"),
        ("举报人联系电话", "phone"),
        ("投诉人地址", "address"),
        ("来电号码", "phone"),
        ("身份证号", "identity_number"),
        ("Complainant Name", "name"),
        ("Caller Phone", "phone"),
        ("caller_address", "address"),
        ("Reporter e-mail", "email"),
        ("Complainant Age", ""),
        ("联系人电话号码", "phone"),
        ("被投诉人电话", ""),
        ("被投诉人", None),
        ("投诉人性别", ""),
        ("投诉时间", None),
        ("Incident Address", None),
        ("Reported Date", None),
    ],
)
def test_columns_about_a_person_are_known(header: str, field: str | None) -> None:
    assert person_field(header) == field


@given(st.lists(st.sampled_from(["投诉人", "举报人", "caller ", "complainant "]), min_size=1), st.data())
def test_a_column_about_a_person_never_feeds_the_complaint(people: list[str], data: st.DataObject) -> None:
    words = ["地址", "address", "电话", "text", "内容", "小区", "姓名", "location", "性别"]
    headers = [person + data.draw(st.sampled_from(words)) for person in people]
    mapping = guess_columns([*dict.fromkeys(headers), "投诉时间"])
    assert {field for field in mapping if not field.startswith(PERSON_PREFIX)} == {"received_at"}


@given(st.lists(st.text(max_size=12), unique=True, max_size=20))
def test_no_column_feeds_two_fields(headers: list[str]) -> None:
    mapping = guess_columns(headers)
    assert len(set(mapping.values())) == len(mapping)
    assert set(mapping.values()) <= set(headers)


def test_headers_and_words_in_traditional_characters_are_recognised() -> None:
    headers = [
        "陳情編號",
        "陳情日期",
        "陳情內容",
        "污染類別",
        "經度",
        "緯度",
        "行政區",
        "聯絡電話",
        "姓名",
        "身分證號",
    ]
    assert guess_columns(headers) == {
        "number": "陳情編號",
        "received_at": "陳情日期",
        "category": "污染類別",
        "text": "陳情內容",
        "district": "行政區",
        "lon": "經度",
        "lat": "緯度",
        "complainant_name": "姓名",
        "complainant_phone": "聯絡電話",
        "complainant_identity_number": "身分證號",
    }
    assert person_field("陳情人地址") == "address"
    assert find_categories("空氣污染") == ("air",)
    assert find_categories("變壓器") == ("noise.lowfreq.transformer",)
    assert find_channel("環保熱線") == "phone_12369"


def test_what_is_said_wins_and_an_empty_column_switches_off() -> None:
    mapping = guess_columns(["a", "date", "address"], {"received_at": "a", "address": ""})
    assert mapping == {"received_at": "a"}


def test_every_listed_header_is_in_its_plain_form() -> None:
    for names in FIELDS.values():
        for name in names:
            assert name == name.casefold()
            assert name.isalnum()


@pytest.mark.parametrize(
    ("word", "codes"),
    [
        ("noise", ("noise",)),
        ("噪声", ("noise",)),
        ("噪音污染", ("noise",)),
        ("废气（大气）", ("air",)),
        ("大气", ("air",)),
        ("油烟", ("air.cooking_fume",)),
        ("Noise - Residential", ("noise.social.household",)),
        ("ＮＯＩＳＥ", ("noise",)),
        ("noise.lowfreq.transformer", ("noise.lowfreq.transformer",)),
        ("噪声；油烟", ("noise", "air.cooking_fume")),
        ("noise | unheard of", ()),
        ("Pothole", ()),
        ("", ()),
        ("电磁辐射", ("rad.em",)),
    ],
)
def test_categories_are_found_by_their_words(word: str, codes: tuple[str, ...]) -> None:
    assert find_categories(word) == codes


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("12369热线", "phone_12369"),
        ("12345", "phone_12345"),
        ("微信", "wechat"),
        ("Mobile App", "app"),
        ("ONLINE", "web"),
        ("上级转办", "superior"),
        ("来信", "letter"),
        ("carrier pigeon", ""),
    ],
)
def test_channels_are_found_by_their_words(word: str, code: str) -> None:
    assert find_channel(word) == code


def test_every_name_of_the_vocabulary_is_found() -> None:
    for code, category in vocabulary.categories().items():
        assert find_categories(code) == (code,)
        for name in (category.zh, category.en):
            assert find_categories(name), name
    for code, channel in vocabulary.channels().items():
        assert {find_channel(code), find_channel(channel.zh), find_channel(channel.en)} == {code}


MAPPING = """
source = "hotline"
time_zone = "America/Chicago"
time_format = "%d.%m.%y"
[columns]
received_at = "Eingang"
[categories]
"Lärm - Nachbarn" = "noise.social.household"
[channels]
"Brief" = "letter"
[defaults]
channel = "12369"
[keep]
details = ["Amt"]
"""


def test_a_mapping_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(MAPPING, encoding="utf-8-sig")
    said = read_instructions({"mapping": path, "time_zone": "Asia/Shanghai", "crs": "ask", "source": None})
    assert (said.source, said.time_zone, said.crs, said.keep) == (
        "hotline",
        "America/Chicago",
        "ask",
        ("Amt",),
    )
    assert said.categories == {"lärm - nachbarn": ("noise.social.household",)}
    assert said.time_format == ("%d.%m.%y",)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("colums = 1", "colums"),
        ("[columns]\nwhen = 'x'", "when"),
        ("[categories]\nx = 'nonsense'", "nonsense"),
        ("[channels]\nx = 'nonsense'", "nonsense"),
        ("[defaults]\nphone = 'x'", "phone"),
        ("[defaults]\nchannel = 'nonsense'", "nonsense"),
        ("[keep]\ndetails = ['投诉人电话']", "投诉人电话"),
        ("[keep]\ndetails = 3", "3"),
        ("time_zone = 'Mars/Olympus'", "Mars/Olympus"),
        ("time_zone = '../../etc/passwd'", "passwd"),
        ("crs = 'epsg:3857'", "epsg:3857"),
        ("source = 3", "source"),
        ("columns = 'x'", "table"),
        ("a = = b", "not valid TOML"),
    ],
)
def test_a_wrong_mapping_is_refused_in_one_sentence(tmp_path: Path, mapping: str, words: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text(mapping, encoding="utf-8")
    with pytest.raises(IntakeError) as caught:
        read_instructions({"mapping": path})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value).split("TOML:")[0]


def test_a_missing_mapping_is_said(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match="cannot be read"):
        read_instructions({"mapping": tmp_path / "none.toml"})


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("la311_2017-12-27_2018-01-04.csv.gz", "la311"),
        ("12345导出20170703.xlsx", "12345导出"),
        ("台账2017年11月.csv", "台账"),
        ("2017.csv", "2017"),
        ("complaints.geojson", "complaints"),
    ],
)
def test_a_source_is_named_by_its_file_without_dates(file: str, source: str) -> None:
    assert source_name(file) == source
