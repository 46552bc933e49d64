"""Periods: the same span a year before, and only what is dated well enough."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from analysis_frames import frame_of, town
from hostile_texts import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldkit.analysis.periods import Periods, compare_periods
from fieldkit.errors import AnalysisError


def at(*times, **columns):
    stamps = pd.DatetimeIndex(list(times)).tz_localize("Asia/Shanghai").as_unit("us")
    columns = {"channel": "web", **columns}
    return frame_of([105.8] * len(times), [32.4] * len(times), received_at=stamps, **columns)


def rows_of(table):
    return {row.group: (row.now, row.year_before) for row in table.itertuples()}


def test_counts_both_years_with_the_end_left_out():
    frame = at("2017-01-01", "2017-01-31 23:59:59", "2017-02-01", "2016-01-15", "2016-02-01", "2015-01-15")
    table = compare_periods(frame, since="2017-01-01", until="2017-02-01")
    assert rows_of(table) == {"web": (2, 1)}
    assert table["change"].tolist() == [1.0]
    assert list(table.columns) == ["group", "now", "year_before", "change"]


def test_groups_are_ordered_by_number_and_the_change_is_missing_without_a_year_before():
    frame = at(
        "2017-03-01",
        "2017-03-02",
        "2017-03-03",
        "2016-03-03",
        "2016-03-04",
        channel=["web", "web", "letter", "letter", "visit"],
    )
    table = compare_periods(frame, since=date(2017, 1, 1), until=date(2018, 1, 1))
    assert table["group"].tolist() == ["web", "letter", "visit"]
    assert np.isnan(table["change"][0])
    assert table["change"].tolist()[1:] == [0.0, -1.0]
    assert table.attrs["parameters"]["now"] == 3
    assert table.attrs["parameters"]["year_before"] == 2
    json.dumps(table.attrs)


def test_complaints_without_a_category_are_a_group_of_their_own():
    frame = at(
        "2017-03-01", "2017-03-02", category=pd.Categorical(["noise", None], categories=["noise", "water"])
    )
    assert rows_of(compare_periods(frame, since="2017", until="2018", by="category")) == {
        "": (1, 0),
        "noise": (1, 0),
    }


def test_what_is_dated_too_roughly_is_left_out():
    frame = at(*["2017-01-01"] * 5, precision=["second", "hour", "day", "month", "year"])

    def counted(since, until):
        table = compare_periods(frame, since=since, until=until)
        return table.attrs["parameters"]["now"], table.attrs["parameters"]["left_out"]

    assert counted("2017-01-01", "2018-01-01") == (5, 0)
    assert counted("2017-01-01", "2017-02-01") == (4, 1)
    assert counted("2017-01-01", "2017-01-15") == (3, 2)
    assert counted("2017-01-01", "2017-01-15 12:00") == (2, 3)


def test_the_leap_day_has_the_28th_before_it():
    frame = at("2016-02-29 12:00", "2015-02-28 12:00")
    assert rows_of(compare_periods(frame, since="2016-02-29", until="2016-03-01")) == {"web": (1, 1)}


def test_moments_of_other_zones_are_understood():
    frame = at("2017-01-01 07:00", "2017-01-01 09:00")
    utc = datetime(2017, 1, 1, tzinfo=UTC)
    assert rows_of(compare_periods(frame, since=utc, until="2018-01-01")) == {"web": (1, 0)}


def test_says_when_a_year_is_not_covered():
    warnings = compare_periods(at("2017-03-01"), since="2017-01-01", until="2018-01-01").attrs["warnings"]
    assert "2016-01-01 on is not covered" in warnings[0]
    assert "may not be over" in warnings[1]
    frame = at("2016-01-01 08:00", "2017-12-31 09:00")
    assert compare_periods(frame, since="2017-01-01", until="2018-01-01").attrs["warnings"] == []


def test_the_plugin_chooses_the_last_year_so_far():
    table = Periods().run(at("2017-11-30 15:00", "2016-11-30", "2016-12-05"))
    assert table.attrs["parameters"]["since"].startswith("2017-01-01")
    assert table.attrs["parameters"]["until"].startswith("2017-12-01")
    assert rows_of(table) == {"web": (1, 1)}


@given(st.permutations(range(40)))
@settings(deadline=None, max_examples=20)
def test_the_order_of_rows_changes_nothing(order):
    generator = np.random.default_rng(3)
    times = pd.Timestamp("2016-01-01") + pd.to_timedelta(generator.integers(0, 700, 40), unit="D")
    frame = at(*times, channel=generator.choice(["web", "visit", "letter"], 40))
    one, other = (
        compare_periods(some, since="2017-01-01", until="2017-12-01") for some in (frame, frame.iloc[order])
    )
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_districts_stay_text(hostile):
    table = compare_periods(at("2017-03-01", district=hostile), since="2017", until="2018", by="district")
    assert table["group"].tolist() == [hostile]


def test_an_empty_frame_is_answered_with_no_rows():
    frame = frame_of([], [], channel=pd.Categorical([], categories=["web"]))
    table = compare_periods(frame, since="2017-01-01", until="2018-01-01")
    assert table.empty
    assert table.attrs["sentence"].startswith("0 complaints")
    with pytest.raises(AnalysisError, match="No complaint has a time"):
        Periods().run(frame)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"since": "2017-02-01", "until": "2017-02-01"}, "is empty"),
        ({"since": "soon", "until": "2017-02-01"}, "since is 'soon'"),
        (
            {"since": "2017-01-01", "until": "2017-02-01", "by": "hour"},
            "by is 'hour'.*channel, category, district",
        ),
        ({"since": "2017-01-01", "until": "2017-02-01", "by": "district"}, "no column 'district'"),
        ({"from": "2017-01-01"}, "no option 'from'.*since, until, by"),
    ],
)
def test_refuses_what_is_no_period(options, said):
    with pytest.raises(AnalysisError, match=said):
        Periods().run(at("2017-03-01"), **options)


def test_chicago_s_years(shared_data):
    data = pd.read_csv(shared_data / "chicago_sanitation_311_2011-2012.csv.gz")
    times = pd.to_datetime(data["created"]).dt.tz_localize("America/Chicago")
    frame = pd.DataFrame({"received_at": times, "district": data["ward"].astype(str), "precision": "day"})
    table = compare_periods(frame, since="2012-01-01", until="2013-01-01", by="district")
    expected = data["created"].str[:4].value_counts()
    assert table["now"].sum() == expected["2012"] == 19_124
    assert table["year_before"].sum() == expected["2011"] == 17_922


def test_town_is_within_one_month():
    assert rows_of(compare_periods(town(), since="2017-06-01", until="2017-07-01", by="category")) == {
        "noise": (360, 0)
    }
