"""Repeats: what one place is, and how places are ranked."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from analysis_frames import frame_of, town
from hostile_texts import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldkit.analysis.repeats import Repeats, rank_places
from fieldkit.errors import AnalysisError
from fieldkit.places import EARTH_RADIUS_M

COLUMNS = [
    "name",
    "complaints",
    "cases",
    "months",
    "first_at",
    "last_at",
    "channels",
    "category",
    "lon",
    "lat",
]
COLUMNS += ["complaint_ids", "geometry"]
NORTH = math.degrees(1 / EARTH_RADIUS_M)


def north(*metres, **columns):
    return frame_of([105.83] * len(metres), [32.44 + y * NORTH for y in metres], **columns)


def test_one_source_in_one_community_is_one_place_whatever_the_address():
    frame = north(
        0,
        300,
        600,
        0,
        community=["Huangdu First Community"] * 4,
        suspected_source=["distribution room"] * 3 + ["karaoke bar"],
        address=["Building 1", "Building 2", "", "Building 1"],
    )
    result = rank_places(frame)
    assert result["complaints"].tolist() == [3]
    assert result["name"].tolist() == ["Huangdu First Community: distribution room"]


def test_the_same_address_is_one_place_however_it_is_typed():
    frame = north(0, 0, 5000, address=["1 Riverside  Road", "１ riverside road ", "1 Riverside Road"])
    assert rank_places(frame)["complaints"].tolist() == [3]
    two = rank_places(frame.assign(district=["Lizhou", "Lizhou", "Zhaohua"]))
    assert two["complaints"].tolist() == [2], "the same street name in another district is another place"


def test_points_without_address_gather_within_60_m_and_do_not_chain():
    assert rank_places(north(0, 59))["complaints"].tolist() == [2]
    assert rank_places(north(0, 61)).empty
    chain = rank_places(north(0, 0, 0, 50, 100, 100, 150))
    assert chain["complaints"].tolist() == [4, 3]


def test_a_place_carries_its_story():
    frame = frame_of(
        [105.83] * 4,
        [32.44] * 4,
        address="1 A Road",
        case=["A", "A", "B", ""],
        channel=pd.Categorical(["web", "phone_12345", "phone_12345", "letter"]),
        category=pd.Categorical(["noise", "air", "noise", None]),
        received_at=pd.DatetimeIndex(["2017-01-31 23:30", "2017-02-01", "2017-02-28", "2017-07-01"])
        .tz_localize("Asia/Shanghai")
        .as_unit("us"),
    )
    result = rank_places(frame)
    assert list(result.columns) == COLUMNS
    row = result.iloc[0]
    assert (row["complaints"], row["cases"], row["months"]) == (4, 2, 3)
    assert (row["channels"], row["category"]) == ("phone_12345|letter|web", "noise")
    assert row["first_at"] == frame["received_at"][0]
    assert row["last_at"] == frame["received_at"][3]
    assert (row["geometry"].x, row["geometry"].y) == (105.83, 32.44)
    assert "complaints, not people" in result.attrs["sentence"]
    json.dumps(result.attrs)


def test_a_place_names_its_complaints():
    frame = north(0, 5000, 0, 5000, 0, address=["A", "B", "A", "B", "A"], complaint=list("vwxyz"))
    assert rank_places(frame)["complaint_ids"].tolist() == ["v|x|z", "w|y"]


def test_the_top_are_the_most_and_the_rest_is_counted():
    frame = north(*[0] * 5, *[1000] * 3, *[2000] * 2, 3000)
    result = rank_places(frame, top=2)
    assert result["complaints"].tolist() == [5, 3]
    assert result.attrs["parameters"]["repeated_places"] == 3
    assert result.attrs["parameters"]["complaints_at_repeated_places"] == 10


def test_an_address_without_a_point_is_a_place_all_the_same():
    frame = frame_of([np.nan] * 3, [np.nan] * 3, address=["1 A Road", "1 A Road", ""])
    result = rank_places(frame)
    assert result["complaints"].tolist() == [2]
    assert result.geometry.isna().all()
    assert result.attrs["parameters"]["left_out"] == 1


@given(st.permutations(range(80)))
@settings(deadline=None, max_examples=20)
def test_the_order_of_rows_changes_nothing(order):
    generator = np.random.default_rng(2)
    addresses = [f"{n} A Road" if n else "" for n in generator.integers(0, 6, 80)]
    frame = north(*generator.uniform(0, 900, 80), address=addresses)
    pd.testing.assert_frame_equal(rank_places(frame), rank_places(frame.iloc[order]))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
@settings(deadline=None, max_examples=30)
def test_every_complaint_counts_at_one_place(numbers):
    result = rank_places(north(*numbers, address=[f"{n} A Road" for n in numbers]), top=100)
    expected = sorted((c for c in np.bincount(numbers) if c >= 2), reverse=True)
    assert result["complaints"].tolist() == expected


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_stay_text(hostile):
    assert rank_places(north(0, 0, address=hostile))["name"].tolist() == [hostile]
    frame = north(0, 0, community=hostile, suspected_source=hostile)
    assert rank_places(frame)["name"].tolist() == [f"{hostile}: {hostile}"]


@pytest.mark.parametrize(
    "frame", [frame_of([], []), frame_of([105.8], [32.4]), frame_of([np.nan] * 4, [np.nan] * 4)]
)
def test_nothing_repeated_is_answered_with_no_place(frame):
    result = rank_places(frame)
    assert result.empty
    assert list(result.columns) == COLUMNS
    assert "No place" in result.attrs["sentence"]


def test_a_bare_frame_is_enough():
    result = rank_places(pd.DataFrame({"lon": [105.8] * 2, "lat": [32.4] * 2}))
    assert result["complaints"].tolist() == [2]
    assert result["cases"].isna().all()
    assert result["months"].tolist() == [0]


def test_refuses_options_out_of_range():
    with pytest.raises(AnalysisError, match="top is 0"):
        rank_places(town(), top=0)
    with pytest.raises(AnalysisError, match=r"no option 'limit'.*top"):
        Repeats().run(town(), limit=3)


def test_chicago_s_duplicates_lie_at_ranked_places(shared_data):
    data = pd.read_csv(shared_data / "chicago_sanitation_311_2011-2012.csv.gz")
    frame = frame_of(
        data["longitude"],
        data["latitude"],
        zone="America/Chicago",
        address=data["street_address"],
        received_at=pd.to_datetime(data["created"]).dt.tz_localize("America/Chicago").dt.as_unit("us").array,
    )
    result = rank_places(frame, top=1_000_000)
    assert result.attrs["parameters"]["complaints"] == 37_046
    duplicates = frame["address"][data["status"].str.contains("Dup")].str.casefold()
    found = duplicates.isin(result["name"].str.casefold())
    assert found.mean() > 0.9, "what the city marked as duplicates are complaints about one address"
