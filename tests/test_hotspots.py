"""Hot spots: right numbers, honest p-values, names, refusals."""

from __future__ import annotations

import itertools
import json
import math
import warnings

import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import pytest
import shapely
from analysis_frames import frame_of, town
from hostile_texts import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldkit.analysis.hotspots import Hotspots, find_hotspots, p_values, q_values, z_scores
from fieldkit.analysis.study_area import StudyArea
from fieldkit.errors import AnalysisError
from fieldkit.testing import sample_frame

quick = settings(deadline=None, max_examples=40)


def path_of(n):
    """A study area whose n cells stand in a row, each the neighbour of the ones beside it."""
    pairs = [(i, j) for i in range(n) for j in (i - 1, i, i + 1) if 0 <= j < n]
    rows, columns = np.array(pairs).T
    return StudyArea(np.arange(n), rows, columns)


def disc(rings, resolution=8):
    return h3.grid_disk(h3.latlng_to_cell(32.44, 105.83, resolution), rings)


def frame_from_counts(cells, counts):
    middles = np.array([h3.cell_to_latlng(cell) for cell in cells])
    return frame_of(np.repeat(middles[:, 1], counts), np.repeat(middles[:, 0], counts))


def test_z_equals_numbers_worked_out_by_hand():
    # Counts 1 2 6 2 4: mean 3, squared deviations 4 + 1 + 9 + 1 + 1 = 16, variance 16/5 = 3.2. A neighbourhood of 3
    # has (5·3 - 9)/4 = 1.5, one of 2 has (5·2 - 4)/4 = 1.5: every denominator is √(3.2 · 1.5) = √4.8.
    # Sums 3 9 10 12 6 against expected 6 9 9 9 6.
    z = z_scores(path_of(5), np.array([1.0, 2, 6, 2, 4]))
    assert z == pytest.approx(np.array([-3, 0, 1, 3, 0]) / math.sqrt(4.8), abs=1e-12)


@pytest.mark.parametrize("rings", [1, 2])
def test_z_equals_esda(rings):
    from esda.getisord import G_Local
    from libpysal.weights import W, fill_diagonal

    counts = np.random.default_rng(5).negative_binomial(0.4, 0.05, 469).astype(float)
    cells = sorted(disc(12))
    area = StudyArea.of([h3.str_to_int(cell) for cell in cells], rings)
    neighbours = {cell: sorted((set(h3.grid_disk(cell, rings)) - {cell}) & set(cells)) for cell in cells}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = fill_diagonal(W(neighbours, id_order=cells, silence_warnings=True), 1.0)
        theirs = G_Local(counts, weights, transform="B", star=True, permutations=0)
    order = np.argsort([h3.str_to_int(cell) for cell in cells])
    assert z_scores(area, counts[order]) == pytest.approx(np.asarray(theirs.Zs)[order], abs=1e-8)


@pytest.mark.parametrize("permute", ["conditional", "total"])
def test_p_equals_the_share_of_all_arrangements(permute):
    area, counts = path_of(7), np.array([0.0, 5, 1, 0, 2, 9, 1])
    p = p_values(area, counts, permutations=99_999, seed=3, permute=permute)
    for cell in range(7):
        near = area.columns[area.rows == cell]
        if permute == "conditional":
            near, pool = near[near != cell], np.delete(counts, cell)
        else:
            pool = counts
        sums = [sum(chosen) for chosen in itertools.combinations(pool, len(near))]
        exact = np.mean(np.array(sums) >= counts[near].sum())
        # Five standard errors of a share of about 70,000 draws.
        assert p[cell] == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 70_000) + 2e-5)


def test_p_is_never_zero_and_one_without_neighbours():
    alone = StudyArea(np.arange(3), np.arange(3), np.arange(3))
    assert p_values(alone, np.array([1.0, 0, 9]), permutations=99, seed=0).tolist() == [1, 1, 1]
    p = p_values(path_of(200), np.arange(200.0), permutations=999, seed=0)
    assert p.min() >= 1 / 1000


def test_p_is_uniform_when_nothing_is_hot():
    # One cell of each of 400 cities without structure: the p-values must fall like uniform ones. With 400 the share
    # below a threshold t has a standard error of √(t(1-t)/400); four of them are allowed.
    area = path_of(60)
    p = []
    for seed in range(400):
        counts = np.random.default_rng(seed).gamma(2.0, 10.0, 60)
        p.append(p_values(area, counts, permutations=499, seed=seed)[30])
    for threshold in (0.05, 0.1, 0.25, 0.5, 0.75):
        allowed = 4 * math.sqrt(threshold * (1 - threshold) / 400)
        assert abs(np.mean(np.array(p) <= threshold) - threshold) < allowed


def test_false_discoveries_stay_below_the_rate_when_nothing_is_hot():
    cells = disc(9)
    found = []
    for seed in range(60):
        counts = np.random.default_rng(seed).poisson(4.0, len(cells))
        result = find_hotspots(
            frame_from_counts(cells, counts), resolution=8, study_area=cells, permutations=9_999
        )
        found.append(bool(result["hot"].any()))
    # With no true hot spot the chance of any is at most 5 %: 3 of 60 expected, 9 would be 3.6 standard errors more.
    assert sum(found) <= 9


def test_q_equals_scipy():
    from scipy.stats import false_discovery_control

    p = np.random.default_rng(2).uniform(size=500) ** 3
    p[:20] = p[20]
    assert q_values(p) == pytest.approx(false_discovery_control(p), abs=1e-12)


def test_finds_the_pile_and_names_it():
    result = find_hotspots(town())
    hot = result[result["hot"]]
    assert len(hot)
    assert set(hot["name"]) >= {"821 Community"}
    assert all(shapely.distance(shapely.Point(105.83, 32.44), row) < 0.03 for row in hot.geometry)
    assert result["z_score"].is_monotonic_decreasing
    assert result["complaints"].sum() == 360
    assert not result.loc[~result["hot"], "name"].any()
    assert set(result.loc[result["complaints"] > 0, "district"]) == {"Lizhou"}


def test_finds_nothing_in_a_town_without_a_pile():
    # Held against the country around it the whole town would stand out, so the town is given as the study area.
    square = gpd.GeoDataFrame(geometry=[shapely.box(105.785, 32.405, 105.875, 32.475)], crs="EPSG:4326")
    result = find_hotspots(town(extra=0), resolution=8, study_area=square)
    assert not result["hot"].any()
    assert "none is hot" in result.attrs["sentence"]


def test_says_how_it_was_done():
    frame = town()
    frame.loc[:9, ["lon", "lat"]] = np.nan
    attrs = find_hotspots(frame, seed=11).attrs
    assert attrs["seed"] == 11
    assert attrs["data_version"] == "abc123"
    assert attrs["parameters"]["without_place"] == 10
    assert attrs["parameters"]["complaints"] == 350
    assert attrs["tests"] > 30
    assert "Benjamini-Hochberg" in attrs["correction"]
    assert "It shows who calls, not what happens." in attrs["sentence"]
    assert "谁在投诉" in attrs["sentence_zh"]
    json.dumps(attrs)


def test_polygons_are_the_cells():
    result = find_hotspots(town())
    assert result.crs == "EPSG:4326"
    for row in result.head(5).itertuples():
        lat, lon = h3.cell_to_latlng(row.cell)
        assert row.geometry.contains(shapely.Point(lon, lat))
        assert len(row.geometry.exterior.coords) == 7


def test_empty_cells_are_in():
    result = find_hotspots(town(), resolution=8)
    occupied = set(result.loc[result["complaints"] > 0, "cell"])
    around = {near for cell in occupied for near in h3.grid_disk(cell, 1)}
    assert set(result["cell"]) == around
    assert (result["complaints"] == 0).any()


@given(st.permutations(range(120)))
@quick
def test_the_order_of_rows_changes_nothing(order):
    frame = town(background=90, extra=30)
    one = find_hotspots(frame, permutations=199)
    other = find_hotspots(frame.iloc[order].reset_index(drop=True), permutations=199)
    pd.testing.assert_frame_equal(one, other)


def test_the_same_seed_gives_the_same_answer_and_another_seed_nearly():
    frame = town()
    one, same, other = (find_hotspots(frame, permutations=9_999, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    other = other.set_index("cell").loc[one["cell"]]
    assert (one["p_value"].to_numpy() != other["p_value"].to_numpy()).any()
    assert np.abs(one["p_value"].to_numpy() - other["p_value"].to_numpy()).max() < 0.04


@given(
    st.lists(st.integers(0, 9), min_size=37, max_size=37).filter(lambda counts: sum(counts) >= 30),
    st.integers(2, 5),
)
@quick
def test_everybody_calling_several_times_changes_nothing(counts, times):
    cells = disc(3)
    once = find_hotspots(frame_from_counts(cells, counts), resolution=8, study_area=cells, permutations=199)
    often = find_hotspots(
        frame_from_counts(cells, np.array(counts) * times), resolution=8, study_area=cells, permutations=199
    )
    often = often.set_index("cell").loc[once["cell"]]
    assert often["z_score"].to_numpy() == pytest.approx(once["z_score"].to_numpy(), abs=1e-9)
    assert often["p_value"].tolist() == once["p_value"].tolist()


@given(st.lists(st.integers(0, 9), min_size=37, max_size=37), st.integers(0, 36))
@quick
def test_one_more_complaint_in_a_cell_below_the_mean_does_not_lower_its_z(counts, chosen):
    # Without the condition it is not true: in a neighbourhood that is high all over, one cell growing beyond the
    # others widens the spread faster than the sum.
    area = StudyArea.of([h3.str_to_int(cell) for cell in disc(3)], 1)
    before = np.array(counts, dtype=float)
    after = before.copy()
    after[chosen] += 1
    z, z_after = z_scores(area, before)[chosen], z_scores(area, after)[chosen]
    if after[chosen] <= before.mean() and z >= 0:
        assert z_after >= z - 1e-12


def test_one_more_complaint_can_lower_z():
    counts = np.array([0.0] * 20)
    counts[9:12] = 5
    more = counts.copy()
    more[10] = 50
    assert z_scores(path_of(20), more)[10] < z_scores(path_of(20), counts)[10]


def test_complaints_elsewhere_do_not_change_sums_or_neighbours():
    frame = town()
    far = frame_of([106.9] * 5, [31.9] * 5)
    one = find_hotspots(frame, resolution=8).set_index("cell")
    both = (
        find_hotspots(pd.concat([frame, far], ignore_index=True), resolution=8)
        .set_index("cell")
        .loc[one.index]
    )
    assert both["complaints"].tolist() == one["complaints"].tolist()
    assert both["neighbours"].tolist() == one["neighbours"].tolist()


def test_the_kept_cell_and_the_coordinates_give_the_same():
    frame = town()
    kept = frame.assign(
        cell=[h3.latlng_to_cell(lat, lon, 9) for lon, lat in zip(frame.lon, frame.lat, strict=True)]
    )
    for resolution in (7, 8, 9, None):
        one, other = (find_hotspots(some, resolution=resolution, permutations=99) for some in (frame, kept))
        pd.testing.assert_frame_equal(one, other)
    pd.testing.assert_frame_equal(
        find_hotspots(frame.assign(cell="nonsense"), permutations=99), find_hotspots(frame, permutations=99)
    )


def test_the_resolution_follows_from_the_data():
    lone = frame_from_counts(disc(4), [20] * 61)
    attrs = find_hotspots(lone, permutations=99).attrs
    assert attrs["parameters"]["resolution"] == 8, "at 9 every cell with complaints would stand alone"
    assert "company" in attrs["parameters"]["resolution_chosen_because"]
    assert find_hotspots(town(background=8000), permutations=99).attrs["parameters"]["resolution"] == 9


def test_a_given_study_area_is_kept_to():
    cells = disc(6)
    result = find_hotspots(town(), study_area=cells)
    assert set(result["cell"]) == set(cells)
    assert result.attrs["parameters"]["outside_study_area"] == 360 - result["complaints"].sum()
    square = gpd.GeoDataFrame(geometry=[shapely.box(105.79, 32.41, 105.87, 32.47)], crs="EPSG:4326")
    result = find_hotspots(town(), resolution=8, study_area=square)
    inside = result.geometry.intersects(square.geometry[0])
    assert inside.mean() > 0.95
    points = town()
    points = points[points.within(square.geometry[0])]
    assert result["complaints"].sum() >= len(points), (
        "every complaint inside the polygon falls in a covering cell"
    )
    metric = square.to_crs("EPSG:32648")
    assert set(find_hotspots(town(), resolution=8, study_area=metric)["cell"]) >= set(result["cell"][inside])


def test_a_cell_on_the_antimeridian_does_not_span_the_globe():
    generator = np.random.default_rng(1)
    lons = (generator.uniform(179.9, 180.1, 200) + 180) % 360 - 180
    result = find_hotspots(frame_of(lons, generator.uniform(-17.1, -16.9, 200)), resolution=7)
    assert (result.bounds["maxx"] - result.bounds["minx"]).max() < 1


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_stay_text(hostile):
    frame = town()
    frame["community"] = hostile
    hot = find_hotspots(frame, permutations=999).query("hot")
    assert set(hot["name"]) == {hostile}


def test_names_fall_back_to_street_district_and_coordinates():
    frame = town().drop(columns="community")
    assert set(find_hotspots(frame).query("hot")["name"]) == {"Riverside Road"}
    frame["address"] = ""
    assert set(find_hotspots(frame).query("hot")["name"]) == {"Lizhou"}
    names = find_hotspots(frame.drop(columns=["district", "address"])).query("hot")["name"]
    assert names.str.fullmatch(r"near 32\.4\d\d° N, 105\.8\d\d° E").all()


def test_a_machine_is_shown_and_not_dropped():
    frame = pd.concat(
        [town(), frame_of([105.80] * 90, [32.42] * 90, address="1 Loop Lane")], ignore_index=True
    )
    result = find_hotspots(frame)
    assert result["complaints"].sum() == 450
    assert any("1 Loop Lane" in warning and "90 of 450" in warning for warning in result.attrs["warnings"])
    assert find_hotspots(town()).attrs["warnings"] == []


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (frame_of([], []), "0 complaints with a place are too few.*30"),
        (frame_of([105.8], [32.4]), "1 complaints with a place are too few.*30"),
        (frame_of([np.nan] * 50, [np.nan] * 50), "0 complaints with a place are too few.*30"),
        (frame_of([105.8] * 50, [32.4] * 50), "study area has 7 cells.*30"),
        (frame_of([32.4] * 50, [105.8] * 50), "off the globe.*swapped"),
        (frame_of([3_560_000.0] * 50, [480_000.0] * 50), "off the globe.*metres"),
        (town().drop(columns="lon"), "no column 'lon'"),
        (town().assign(lon="east"), "must be numbers"),
    ],
)
def test_refuses_what_cannot_be_answered(frame, said):
    with pytest.raises(AnalysisError, match=said):
        find_hotspots(frame)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"resolution": 16}, "resolution is 16"),
        ({"resolution": 8.5}, "resolution is 8.5"),
        ({"rings": 0}, "rings is 0"),
        ({"permutations": 10}, "permutations is 10"),
        ({"alpha": 5}, "alpha is 5"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"permute": "all"}, "permute is 'all'.*conditional, total"),
        ({"radius": 3}, "no option 'radius'.*resolution, rings, permutations, alpha"),
        ({"study_area": ["x"]}, "neither H3 cells nor polygons|no H3 cell"),
        ({"study_area": []}, "it is empty"),
        ({"study_area": ["8840e6a4a3fffff"], "resolution": 9}, "7 and 8|8 and 9|no H3 cell"),
        ({"study_area": gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)])}, "no reference system"),
        ({"study_area": gpd.GeoDataFrame(geometry=[], crs="EPSG:4326")}, "no polygon"),
        (
            {"study_area": gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=4326)},
            "0 of 360 complaints",
        ),
    ],
)
def test_refuses_options_out_of_range(options, said):
    with pytest.raises(AnalysisError, match=said):
        Hotspots().run(town(), **options)


def test_equal_counts_everywhere_are_answered_with_none_hot():
    cells = disc(4)
    result = find_hotspots(frame_from_counts(cells, [3] * 61), resolution=8, study_area=cells)
    assert (result["z_score"] == 0).all()
    assert (result["p_value"] == 1).all()
    assert not result["hot"].any()


def test_bare_frame_is_enough():
    frame = pd.DataFrame(town()[["lon", "lat"]])
    assert find_hotspots(frame)["hot"].any()


def test_new_york_with_a_ring_of_zeros(shared_data):
    """The counts of cells above 1.96 that another program found on the same data, with and without empty cells."""
    hexes = json.loads((shared_data / "nyc311_noise_hex_2025.json").read_text())["hexes"]
    cells = {h3.str_to_int(cell): float(total) for cell, total, *_ in hexes}
    occupied = StudyArea.of(cells, 1)
    assert (
        z_scores(occupied, np.array([cells[cell] for cell in occupied.cells.tolist()])) > 1.96
    ).sum() == 161
    ringed = StudyArea.of(
        {near for cell, *_ in hexes for near in map(h3.str_to_int, h3.grid_disk(cell, 1))}, 1
    )
    assert (
        z_scores(ringed, np.array([cells.get(cell, 0.0) for cell in ringed.cells.tolist()])) > 1.96
    ).sum() == 196


def test_a_lone_peak_beside_hot_cells_is_pointed_out():
    middle, *around = disc(1)
    scattered = [cell for cell in disc(12) if cell not in {middle, *around}][::3]
    cells = [middle, *around, *scattered]
    frame = frame_from_counts(cells, [300, *[9] * 6, *[1] * len(scattered)]).assign(
        community="Huangdu First Community"
    )
    result = find_hotspots(frame, resolution=8, study_area=disc(12)).set_index("cell")
    # The six around it are high together, and each has the peak beside it; whatever is not called hot is said.
    lone = not result.loc[middle, "hot"]
    assert result.loc[around, "hot"].all()
    assert any("permute='total'" in warning for warning in result.attrs["warnings"]) == lone
    assert set(result.loc[around, "name"]) == {"Huangdu First Community"}


def test_a_place_that_is_high_alone_is_hot_unless_its_own_count_is_set_aside():
    frame = sample_frame()
    found, aside = find_hotspots(frame), find_hotspots(frame, permute="conditional")
    most = found.sort_values("complaints").iloc[-1]
    assert most.complaints >= 20
    assert most.hot
    assert not aside.set_index("cell").loc[most.cell, "hot"]
    assert any("one cell" in warning for warning in aside.attrs["warnings"])
    assert not found.attrs["warnings"]
