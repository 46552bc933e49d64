"""Tests of finding places by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldkit.errors import IntakeError
from fieldkit.intake.gazetteer import LEAST_SCORE, Gazetteer

TABLE = """name,alias,kind,district,community,lon,lat,accuracy_m
821小区,八二一小区|821 Community,community,利州区,821小区,105.8500,32.4300,150
华都一小区,华都第一小区|Huangdu First Community,community,利州区,华都一小区,105.8300,32.4400,150
华都二小区,,community,利州区,华都二小区,105.8350,32.4450,150
利州东路,,street,利州区,,105.8400,32.4350,900
利州西路,,street,利州区,,105.8200,32.4360,900
广场路,,street,利州区,,105.8450,32.4410,400
广场路,,street,昭化区,,105.9600,32.3200,400
滨江国际大酒店,,outlet,利州区,,105.8410,32.4420,30
Kimball Avenue,,street,,,105.8000,32.4000,500
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Gazetteer:
    path = tmp_path_factory.mktemp("layers") / "places.csv"
    path.write_text(TABLE, encoding="utf-8-sig")
    return Gazetteer.read(path)


@pytest.mark.parametrize(
    "text", ["821小区", " ８２１小区 ", "八二一小区", "821 community", "利州区821小区", "利州区 八二一小区"]
)
def test_a_whole_name_is_found_and_needs_no_confirming(places: Gazetteer, text: str) -> None:
    match = places.locate(text)
    assert match is not None
    assert (match.name, match.score, match.district, match.community) == (
        "821小区",
        100.0,
        "利州区",
        "821小区",
    )
    assert (match.place.lon, match.place.lat, match.place.accuracy_m) == (105.85, 32.43, 150)
    assert (match.place.method, match.place.needs_confirming) == ("gazetteer", False)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("利州区821小区3栋2单元变压器夜间嗡嗡响", "821小区"),
        ("利州东路821小区", "821小区"),
        ("利州东路128号", "利州东路"),
        ("反映华都一小区配电房低频噪声", "华都一小区"),
        ("3731 N Kimball Ave", "Kimball Avenue"),
    ],
)
def test_a_name_in_a_sentence_is_found_and_needs_confirming(places: Gazetteer, text: str, name: str) -> None:
    match = places.locate(text)
    assert match is not None
    assert match.name == name
    assert match.place.needs_confirming
    assert LEAST_SCORE <= match.score < 100


def test_a_slip_of_the_pen_is_found_with_a_lower_score(places: Gazetteer) -> None:
    match = places.locate("滨江国际大酒楼", "利州区")
    assert match is not None
    assert match.name == "滨江国际大酒店"
    assert LEAST_SCORE <= match.score < 95
    assert match.place.needs_confirming


@pytest.mark.parametrize(
    "text",
    [
        "812小区",  # another number
        "1821小区",
        "华都三小区",  # another numeral
        "利州南路",  # another side of the town
        "小区",
        "",
        "   ",
        "!!!",
        "不知道在哪里",
        "{{7*7}}",
    ],
)
def test_what_is_not_meant_is_not_found(places: Gazetteer, text: str) -> None:
    assert places.locate(text) is None


def test_a_name_of_two_places_is_found_only_with_the_district(places: Gazetteer) -> None:
    assert places.locate("广场路12号") is None
    for match in (places.locate("广场路12号", "昭化区"), places.locate("昭化区广场路12号")):
        assert match is not None
        assert match.place.lon == 105.96


def test_another_district_hides_a_place(places: Gazetteer) -> None:
    assert places.locate("821小区", "昭化区") is None


def test_an_answer_is_given_from_memory_the_second_time(places: Gazetteer) -> None:
    assert places.locate("利州东路1号") is places.locate("利州东路1号")


@given(text=st.text(max_size=60), district=st.sampled_from(["", "利州区", "x"]))
def test_any_text_gives_a_match_above_the_least_score_or_none(
    places: Gazetteer, text: str, district: str
) -> None:
    match = places.locate(text, district)
    assert match is None or LEAST_SCORE <= match.score <= 100


def test_an_empty_gazetteer_finds_nothing() -> None:
    empty = Gazetteer()
    assert len(empty) == 0
    assert empty.locate("821小区") is None


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("name,x,y\na,1,2\n", "no column lon"),
        ("name,lon,lat\na,1\n", "Row 2"),
        ("name,lon,lat\na,1,two\n", "Row 2"),
        ("name,lon,lat,accuracy_m\na,1,2,nan\n", "accuracy_m is nan"),
        ("name,lon,lat,accuracy_m\na,1,2,-5\n", "accuracy_m is -5"),
        ("name,lon,lat\na,32,105\n", "globe"),
        ("name,lon,lat\n,105,32\n", "Row 2"),
    ],
)
def test_a_bad_gazetteer_names_its_row(tmp_path: Path, table: str, words: str) -> None:
    path = tmp_path / "places.csv"
    path.write_text(table, encoding="utf-8")
    with pytest.raises(IntakeError, match=words):
        Gazetteer.read(path)
