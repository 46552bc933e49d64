from __future__ import annotations

import csv
import itertools
import json
import re
from collections import Counter
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from fieldkit import demo, vocabulary
from fieldkit.demo.figures import office_is_open
from fieldkit.demo.geography import gazetteer
from fieldkit.errors import FieldkitError
from fieldkit.places import Areas, distance_m

ZONE = ZoneInfo("Asia/Shanghai")
SEATS = {
    "利州区": (105.8454, 32.4337),
    "昭化区": (105.9622, 32.3228),
    "朝天区": (105.8894, 32.6440),
    "旺苍县": (106.2896, 32.2289),
    "青川县": (105.2388, 32.5752),
    "剑阁县": (105.5249, 32.2873),
    "苍溪县": (105.9348, 31.7318),
}


@pytest.fixture(scope="module")
def year() -> list[demo.DemoComplaint]:
    return list(demo.make_complaints())


@pytest.fixture(scope="module")
def city_of_twenty() -> list[demo.DemoComplaint]:
    return list(demo.make_complaints(scale=20))


def channel_groups(complaints: list[demo.DemoComplaint]) -> Counter[str]:
    return Counter(vocabulary.channels()[d.complaint.channel].group for d in complaints)


def test_the_year_has_the_figures_of_the_report(year: list[demo.DemoComplaint]) -> None:
    assert len(year) == 692
    assert channel_groups(year) == {"superior": 10, "online": 111, "telephone": 495, "letter_visit": 76}
    assert Counter(d.complaint.category for d in year) == {
        "water": 169, "air": 216, "noise": 156, "solid_waste": 27, "radiation": 11, "other": 107, None: 6,
    }  # fmt: skip
    assert all(len(d.complaint.categories) <= 1 for d in year)


def test_expected_counts_say_that_the_categories_do_not_add_up(year: list[demo.DemoComplaint]) -> None:
    expected = demo.expected_counts()
    assert expected["total"] == len(year) == 692
    assert expected["channels"] == channel_groups(year)
    assert (expected["categorised"], expected["without_category"]) == (686, 6)
    assert "686" in expected["sentence"]["en"]
    assert "692" in expected["sentence"]["en"]
    assert "686" in expected["sentence"]["zh"]
    assert "692" in expected["sentence"]["zh"]
    assert demo.expected_counts(2016)["total"] == 610
    assert demo.expected_counts(scale=3)["categories"]["noise"] == 468


@pytest.mark.parametrize("wanted", [2015, 2018])
def test_a_year_without_figures_is_refused(wanted: int) -> None:
    with pytest.raises(FieldkitError, match=str(wanted)):
        demo.make_complaints(year=wanted)


def test_a_scale_below_one_is_refused() -> None:
    with pytest.raises(FieldkitError, match="scale 0"):
        demo.make_complaints(scale=0)


def test_numbers_follow_the_order_of_receipt(year: list[demo.DemoComplaint]) -> None:
    assert [d.complaint.number for d in year] == [f"2017-{n:04d}" for n in range(1, 693)]
    times = [d.complaint.received_at for d in year]
    assert times == sorted(times)
    assert times[0] >= datetime(2017, 1, 1, tzinfo=ZONE)
    assert times[-1] < datetime(2017, 12, 1, tzinfo=ZONE)
    assert times[-1].month == 11


def test_nothing_is_reported_before_it_happened(year: list[demo.DemoComplaint]) -> None:
    for d in year:
        c = d.complaint
        if c.occurred_at is not None:
            lag = c.received_at - c.occurred_at
            # A letter is known by its day only, which begins at midnight.
            assert lag.total_seconds() >= (-86_400 if c.precision == "day" else 0), c.number
            assert lag.days <= 16, c.number


def test_letters_and_visitors_come_when_the_office_is_open(year: list[demo.DemoComplaint]) -> None:
    at_the_office = [d.complaint for d in year if d.complaint.channel in ("letter", "visit", "superior")]
    assert all(office_is_open(c.received_at.date()) for c in at_the_office)
    assert {c.precision for c in at_the_office if c.channel == "visit"} == {"hour"}
    assert not office_is_open(date(2017, 10, 4))
    assert office_is_open(date(2017, 9, 30))


def test_equal_seeds_give_equal_years(year: list[demo.DemoComplaint]) -> None:
    again = list(demo.make_complaints(seed=2017))
    assert again == year
    other = list(demo.make_complaints(seed=7))
    assert len(other) == 692
    assert channel_groups(other) == channel_groups(year)
    assert other != year


def test_no_two_texts_are_alike(year: list[demo.DemoComplaint]) -> None:
    everything = year + list(demo.previous_year())
    assert len({d.complaint.text for d in everything}) == len(everything)
    assert len({d.complaint.translation for d in everything}) == len(everything)


def test_no_two_texts_are_alike_in_a_city_twenty_times_larger(
    city_of_twenty: list[demo.DemoComplaint],
) -> None:
    assert len(city_of_twenty) == 20 * 692
    assert len({d.complaint.text for d in city_of_twenty}) == len(city_of_twenty)


def test_texts_have_their_length_and_no_open_slots(city_of_twenty: list[demo.DemoComplaint]) -> None:
    for d in city_of_twenty:
        c = d.complaint
        assert 60 <= len(c.text) <= 250, c.text
        assert not re.search(r"[{}]|  |\.\.|。。|的的", c.text + c.translation), c.text + c.translation
        assert c.translation[0].isupper(), c.translation
        assert c.translation.endswith((".", "?", "!")), c.translation
        assert not re.search(r"[\u4e00-\u9fff]", c.translation), c.translation


def test_texts_do_not_say_who_complains(year: list[demo.DemoComplaint]) -> None:
    for d in year:
        for secret in (d.person.name, d.person.phone):
            assert not secret or secret not in d.complaint.text + d.complaint.address


def test_people_are_invented_and_some_stay_anonymous(city_of_twenty: list[demo.DemoComplaint]) -> None:
    anonymous = sum(not d.person for d in city_of_twenty) / len(city_of_twenty)
    assert 0.10 < anonymous < 0.22
    phones = {d.person.phone: d.person for d in city_of_twenty if d.person.phone}
    assert all(re.fullmatch(r"1\d\d-000\d-\d{4}", phone) for phone in phones)
    assert len({id(person) for person in phones.values()}) == len(phones)


def test_repeats_point_at_an_earlier_first_complaint(city_of_twenty: list[demo.DemoComplaint]) -> None:
    seen = {d.complaint.number: d for d in city_of_twenty}
    repeats = [d for d in city_of_twenty if d.of is not None]
    assert 0.12 < len(repeats) / len(city_of_twenty) < 0.35
    for d in repeats:
        first = seen[d.of or ""]
        assert first.of is None
        assert first.complaint.received_at < d.complaint.received_at
        assert first.complaint.categories == d.complaint.categories
        assert first.complaint.suspected_source == d.complaint.suspected_source
        if first.complaint.place and d.complaint.place:
            a, b = first.complaint.place, d.complaint.place
            assert distance_m(a.lon, a.lat, b.lon, b.lat) < 60
    assert {d.relation for d in repeats} == {"duplicate", "follow_up", "recurrence"}
    assert all(bool(d.cause) == (d.relation == "recurrence") for d in city_of_twenty)
    causes = {d.cause for d in city_of_twenty if d.cause}
    assert causes == {"late", "incomplete_rectification", "new_event", "dissatisfied"}


def test_points_lie_in_the_district_they_name(city_of_twenty: list[demo.DemoComplaint]) -> None:
    areas = Areas.read(demo.areas_path())
    placed = [d.complaint for d in city_of_twenty if d.complaint.place]
    found = areas.names_at([c.place.lon for c in placed if c.place], [c.place.lat for c in placed if c.place])
    assert found == [c.district for c in placed]


def test_some_have_an_address_only_and_a_few_no_place_at_all(
    city_of_twenty: list[demo.DemoComplaint],
) -> None:
    names = [name for known in gazetteer() for name in (known.name, *known.aliases)]
    without = [d.complaint for d in city_of_twenty if d.complaint.place is None]
    lost = [c for c in without if not any(name in c.address for name in names)]
    assert 0.06 < (len(without) - len(lost)) / len(city_of_twenty) < 0.10
    assert 0.01 < len(lost) / len(city_of_twenty) < 0.03
    assert all(not c.district and not c.community for c in lost)


def test_most_come_from_the_urban_district(year: list[demo.DemoComplaint]) -> None:
    districts = Counter(d.complaint.district for d in year)
    assert districts["利州区"] > len(year) / 2
    assert all(districts[name] for name in SEATS)


def test_the_written_stories_are_in_the_year_once(
    year: list[demo.DemoComplaint], city_of_twenty: list[demo.DemoComplaint]
) -> None:
    for complaints in (year, city_of_twenty):
        counts = Counter(d.story for d in complaints)
        assert counts["transformers_821"] == 11
        assert counts["distribution_room_huangdu"] == 17
        assert set(counts) == {*demo.STORIES, ""}


def test_the_transformers_are_reported_until_early_april(year: list[demo.DemoComplaint]) -> None:
    told = [d for d in year if d.story == "transformers_821"]
    assert told[0].of is None
    assert {d.of for d in told[1:]} == {told[0].complaint.number}
    assert {d.complaint.categories for d in told} == {("noise.lowfreq.transformer",)}
    assert told[0].complaint.received_at.month == 2
    assert told[-1].complaint.received_at < datetime(2017, 4, 6, tzinfo=ZONE)
    assert len({d.person.phone for d in told if d.person}) >= 6


def test_the_distribution_room_comes_back_all_year(year: list[demo.DemoComplaint]) -> None:
    told = [d for d in year if d.story == "distribution_room_huangdu"]
    assert {d.complaint.categories for d in told} == {("noise.lowfreq.distribution_room",)}
    assert len({d.complaint.received_at.month for d in told}) == 11
    assert len({d.complaint.channel for d in told}) >= 7
    causes = {d.cause for d in told if d.cause}
    assert causes == {"late", "incomplete_rectification", "new_event", "dissatisfied"}


def test_nothing_else_is_reported_from_the_places_of_the_stories(year: list[demo.DemoComplaint]) -> None:
    for d in year:
        if d.complaint.community in ("八二一社区", "皇都一社区"):
            assert d.story in ("transformers_821", "distribution_room_huangdu")


def test_summer_nights_are_loud(year: list[demo.DemoComplaint]) -> None:
    told = [d.complaint for d in year if d.story == "summer_nights"]
    assert len(told) >= 25
    for c in told:
        assert c.occurred_at is not None
        assert 6 <= c.occurred_at.month <= 9
        assert c.occurred_at.hour >= 21 or c.occurred_at.hour < 2
        assert c.categories[0] in ("noise.construction", "noise.social.entertainment")


def test_the_year_has_its_seasons(city_of_twenty: list[demo.DemoComplaint]) -> None:
    def months(code: str) -> Counter[int]:
        return Counter(
            d.complaint.received_at.month for d in city_of_twenty if d.complaint.categories == (code,)
        )

    burning, dust = months("air.open_burning"), months("air.construction_dust")
    assert burning[5] + burning[6] + burning[10] > sum(burning.values()) / 2
    assert dust[1] > dust[7]
    building = months("noise.construction")
    assert building[7] > 3 * building[2]


def test_the_year_before_is_invented_and_apart(year: list[demo.DemoComplaint]) -> None:
    before = list(demo.previous_year())
    assert len(before) == 658
    until_november = [d for d in before if d.complaint.received_at < datetime(2016, 12, 1, tzinfo=ZONE)]
    assert len(until_november) == 610 == demo.expected_counts(2016)["total"]
    assert channel_groups(until_november) == demo.expected_counts(2016)["channels"]
    assert before[0].complaint.number == "2016-0001"
    assert before[-1].complaint.received_at.year == 2016
    assert {d.story for d in before} <= {"", "summer_nights"}
    assert not {d.complaint.number for d in before} & {d.complaint.number for d in year}


def test_a_city_three_times_larger_has_three_times_everything() -> None:
    city = list(demo.make_complaints(scale=3))
    assert len(city) == 3 * 692
    assert channel_groups(city) == demo.expected_counts(scale=3)["channels"]
    counts = Counter(d.complaint.category for d in city)
    assert counts.pop(None) == 18
    assert counts == demo.expected_counts(scale=3)["categories"]


def test_a_large_city_comes_one_by_one() -> None:
    first = list(itertools.islice(demo.make_complaints(scale=30), 100))
    assert [d.complaint.number for d in first[:2]] == ["2017-00001", "2017-00002"]


def test_the_outlines_touch_without_gaps_or_overlaps() -> None:
    import shapely

    areas = Areas.read(demo.areas_path())
    document = json.loads(demo.areas_path().read_text(encoding="utf-8"))
    for feature in document["features"]:
        assert set(feature["properties"]) == {"name", "name_en", "code", "note"}
        assert feature["properties"]["note"] == "schematic"
        assert shapely.from_geojson(json.dumps(feature["geometry"])).is_valid
    whole = shapely.union_all(areas.polygons)
    assert whole.geom_type == "Polygon"
    assert len(whole.interiors) == 0
    assert whole.area == pytest.approx(sum(polygon.area for polygon in areas.polygons), rel=1e-9)
    for name, seat in SEATS.items():
        assert areas.name_at(*seat) == name


def test_the_outlines_are_roughly_where_the_districts_are(shared_data) -> None:
    path = shared_data / "guangyuan_510800_districts.geojson"
    real, ours = Areas.read(path, crs="gcj02"), Areas.read(demo.areas_path())
    for name, polygon in zip(real.names, real.polygons, strict=True):
        drawn = ours.polygons[ours.names.index(name)]
        shared = drawn.intersection(polygon).area / drawn.union(polygon).area
        assert 0.5 < shared < 0.95, name  # the right place, and no copy


def test_the_gazetteer_is_sound() -> None:
    with demo.gazetteer_path().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", "alias", "kind", "district", "community", "lon", "lat", "accuracy_m"]
    assert len(rows) >= 120
    names = Counter(name for row in rows for name in (row["name"], *row["alias"].split("|")))
    assert [name for name, count in names.items() if count > 1] == []
    areas = Areas.read(demo.areas_path())
    for row in rows:
        assert areas.name_at(float(row["lon"]), float(row["lat"])) == row["district"], row["name"]


def test_layers_are_written_into_a_workspace(tmp_path) -> None:
    written = demo.write_workspace_layers(tmp_path / "layers")
    assert [path.name for path in written] == ["areas.geojson", "places.csv"]
    assert written[0].read_bytes() == demo.areas_path().read_bytes()
    assert written[1].read_bytes() == demo.gazetteer_path().read_bytes()
