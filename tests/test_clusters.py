"""Clusters: the right groups in metres, names, outlines, refusals."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import shapely
from analysis_frames import frame_of, town
from hostile_texts import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldkit.analysis.clusters import Clusters, find_clusters
from fieldkit.errors import AnalysisError
from fieldkit.places import EARTH_RADIUS_M

COLUMNS = ["cluster", "name", "complaints", "addresses", "first_at", "last_at", "categories", "lon", "lat"]
COLUMNS += ["complaint_ids", "geometry"]
NORTH = math.degrees(1 / EARTH_RADIUS_M)
EAST = NORTH / math.cos(math.radians(32.44))


def around(*metres):
    """A frame of complaints at these (east, north) metres from a corner of Lizhou District."""
    return frame_of([105.83 + x * EAST for x, _ in metres], [32.44 + y * NORTH for _, y in metres])


def test_groups_by_metres_east_and_north_alike():
    # Degrees would join the pair that is 99 m apart eastwards only at a radius of 117 m.
    east, north = around((0, 0), (99, 0)), around((0, 0), (0, 99))
    for frame in (east, north):
        assert len(find_clusters(frame, radius_m=100, at_least=2)) == 1
        assert len(find_clusters(frame, radius_m=98, at_least=2)) == 0


def test_complaints_at_one_address_weigh_by_their_number():
    frame = around(*[(0, 0)] * 5, (80, 0), (500, 0))
    result = find_clusters(frame)
    assert result["complaints"].tolist() == [6]
    assert result.attrs["parameters"]["in_no_cluster"] == 1
    assert find_clusters(frame, at_least=7).empty


def test_a_result_has_what_a_visit_needs():
    frame = around((0, 0), (0, 0), (30, 0), (60, 0), (60, 10), (60, 10), (5000, 0))
    frame["category"] = pd.Categorical(["noise", "air", "noise", "noise", None, "air", "water"])
    frame["community"] = ["821 Community"] * 4 + ["Other", "", "Other"]
    frame["address"] = ["1 A Road", "1 A Road", "2 A Road", "", "", "", ""]
    result = find_clusters(frame, at_least=6)
    assert list(result.columns) == COLUMNS
    assert result.crs == "EPSG:4326"
    row = result.iloc[0]
    assert (row["cluster"], row["name"], row["complaints"]) == (1, "821 Community", 6)
    assert row["addresses"] == 4, "two addresses and two points without one"
    assert row["categories"] == "noise|air"
    assert row["complaint_ids"] == "|".join(f"C{i:011d}" for i in range(6))
    assert row["first_at"] == frame["received_at"][0]
    assert row["last_at"] == frame["received_at"][5]
    assert row["lon"] == pytest.approx(105.83 + 35 * EAST, abs=1e-9)
    outline = row["geometry"]
    assert all(outline.contains(point) for point in frame.geometry[:6])
    assert outline.bounds[2] == pytest.approx(105.83 + 80 * EAST, abs=EAST), "20 m beyond the outermost point"
    json.dumps(result.attrs)


def test_one_point_stays_a_point():
    result = find_clusters(around(*[(0, 0)] * 9))
    assert result.geometry[0] == shapely.Point(105.83, 32.44)
    assert result["addresses"].tolist() == [1]


def test_equals_plain_dbscan_on_every_single_complaint():
    from sklearn.cluster import DBSCAN

    generator = np.random.default_rng(4)
    metres = generator.uniform(0, 2000, (600, 2)).round(-1)
    expected = DBSCAN(eps=75, min_samples=4).fit(metres).labels_
    result = find_clusters(around(*metres), radius_m=75, at_least=4)
    assert len(result) == expected.max() + 1
    sizes = sorted(np.bincount(expected[expected >= 0]))
    # Points on the border of two clusters may go to either.
    assert sum(sizes) == result["complaints"].sum()
    assert np.abs(np.array(sizes) - sorted(result["complaints"])).max() <= 2


@given(st.permutations(range(60)))
@settings(deadline=None, max_examples=30)
def test_the_order_of_rows_changes_nothing(order):
    generator = np.random.default_rng(1)
    frame = around(*generator.uniform(0, 600, (60, 2)))
    shuffled = frame.iloc[order].reset_index(drop=True)
    pd.testing.assert_frame_equal(find_clusters(frame, at_least=3), find_clusters(shuffled, at_least=3))


@given(st.integers(1, 30))
@settings(deadline=None, max_examples=20)
def test_far_away_complaints_change_no_cluster(count):
    frame = town()
    far = frame_of([106.4] * count, 32.0 + np.arange(count) * 0.01)
    one = find_clusters(frame, at_least=4)
    both = find_clusters(pd.concat([frame, far], ignore_index=True), at_least=4)
    near = both[both["lon"] < 106]
    # The plane's middle has moved, so that a pair exactly at the radius may fall on the other side; none does here.
    assert near["complaint_ids"].tolist() == one["complaint_ids"].tolist()


def test_more_complaints_than_memory_for_pairs_at_few_points():
    generator = np.random.default_rng(3)
    spots = generator.uniform(0, 20_000, (1000, 2))
    metres = spots[generator.integers(0, 1000, 300_000)]
    frame = frame_of(105.83 + metres[:, 0] * EAST, 32.44 + metres[:, 1] * NORTH, received_at=pd.NaT)
    result = find_clusters(frame, radius_m=10)
    assert result["complaints"].sum() == 300_000
    assert len(result) > 950


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_stay_text(hostile):
    result = find_clusters(around(*[(0, 0)] * 5).assign(community=hostile))
    assert result["name"].tolist() == [hostile]


def test_chains_are_pointed_out():
    result = find_clusters(around(*[(90 * i, 0) for i in range(60)]), at_least=2)
    assert "5.4 km across" in result.attrs["warnings"][0] or "5.3 km across" in result.attrs["warnings"][0]


def test_a_country_at_once_is_pointed_out():
    frame = frame_of([105.8] * 10, np.linspace(25, 40, 10))
    assert "off by up to" in find_clusters(frame).attrs["warnings"][0]


@pytest.mark.parametrize(
    "frame",
    [
        frame_of([], []),
        frame_of([105.8], [32.4]),
        frame_of([np.nan] * 9, [np.nan] * 9),
        pd.DataFrame({"lon": [105.8], "lat": [32.4]}),
    ],
)
def test_too_little_is_answered_with_no_cluster(frame):
    result = find_clusters(frame)
    assert result.empty
    assert list(result.columns) == COLUMNS
    assert "no cluster" in result.attrs["sentence"]
    assert result.attrs["parameters"]["without_place"] + result.attrs["parameters"]["complaints"] == len(
        frame
    )


def test_missing_times_and_categories_are_no_obstacle():
    frame = pd.DataFrame({"lon": [105.8] * 6, "lat": [32.4] * 6})
    result = find_clusters(frame)
    assert result["complaints"].tolist() == [6]
    assert result["first_at"].isna().all()
    assert result["categories"].tolist() == [""]
    assert result["complaint_ids"].tolist() == [""]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"radius_m": 0}, "radius_m .metres. is 0"),
        ({"radius_m": "100"}, "radius_m .metres. is '100'"),
        ({"at_least": 0}, "at_least is 0"),
        ({"eps": 0.001}, "no option 'eps'.*radius_m, at_least"),
    ],
)
def test_refuses_options_out_of_range(options, said):
    with pytest.raises(AnalysisError, match=said):
        Clusters().run(town(), **options)


def test_metres_given_as_degrees_are_refused():
    with pytest.raises(AnalysisError, match="off the globe"):
        find_clusters(frame_of([3_560_000.0] * 9, [480_000.0] * 9))


def test_new_york_s_night(shared_data):
    night = pd.read_csv(shared_data / "nyc311_noise_saturday_night_2026-04-25.csv")
    result = find_clusters(frame_of(night["lon"], night["lat"], address=night["address"]))
    assert len(result) == 30
    assert result["complaints"].sum() == 201
