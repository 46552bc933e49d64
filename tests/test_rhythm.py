"""Rhythm: the hour on the wall clock, and only where it is known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from analysis_frames import frame_of, town
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldkit.analysis.rhythm import Rhythm, count_rhythm
from fieldkit.errors import AnalysisError


def at(*times, zone="Asia/Shanghai", **columns):
    stamps = pd.DatetimeIndex(list(times)).tz_localize(zone).as_unit("us")
    return frame_of([105.8] * len(times), [32.4] * len(times), zone=zone, received_at=stamps, **columns)


def test_counts_by_weekday_and_hour():
    # 2017-06-05 was a Monday.
    table = count_rhythm(at("2017-06-05 00:00", "2017-06-05 23:59", "2017-06-11 22:30", "2017-06-11 22:31"))
    assert table.shape == (7, 24)
    assert (table.index.name, table.columns.name) == ("weekday", "hour")
    assert (table.loc[0, 0], table.loc[0, 23], table.loc[6, 22]) == (1, 1, 2)
    assert table.to_numpy().sum() == 4
    assert table.to_numpy().dtype.kind == "i"


def test_the_hour_is_local_also_across_the_change_to_summer_time():
    # 06:30 UTC is 01:30 in New York before the change of 12 March 2017 and 02:30 after it.
    utc = pd.DatetimeIndex(["2017-03-11 06:30", "2017-03-13 06:30"]).tz_localize("UTC")
    frame = at("2017-06-05 00:00", "2017-06-05 00:00", zone="America/New_York")
    frame["received_at"] = utc.tz_convert("America/New_York")
    table = count_rhythm(frame)
    assert (table.loc[5, 1], table.loc[0, 2]) == (1, 1)


def test_coarse_times_are_left_out_and_counted():
    frame = at(
        *["2017-06-05 00:00"] * 5, precision=pd.Categorical(["second", "hour", "day", "month", "year"])
    )
    table = count_rhythm(frame)
    assert table.loc[0, 0] == 2
    assert table.attrs["parameters"] == {"complaints": 2, "left_out": 3, "occurred_at_used": 0}
    assert "3 are left out" in table.attrs["sentence"]
    json.dumps(table.attrs)


def test_midnights_without_a_precision_are_days():
    assert count_rhythm(at("2017-06-05", "2017-06-06")).to_numpy().sum() == 0
    assert count_rhythm(at("2017-06-05", "2017-06-06 13:00")).to_numpy().sum() == 2


def test_the_time_of_the_event_goes_before_that_of_the_call():
    frame = at("2017-06-05 09:00", "2017-06-05 10:00")
    frame["occurred_at"] = pd.Series([pd.Timestamp("2017-06-03 23:00", tz="Asia/Shanghai"), pd.NaT])
    table = count_rhythm(frame)
    assert (table.loc[5, 23], table.loc[0, 10]) == (1, 1)
    assert table.attrs["parameters"]["occurred_at_used"] == 1
    frame["occurred_at"] = frame["occurred_at"].dt.tz_convert("UTC")
    assert count_rhythm(frame).equals(table)
    frame["occurred_at"] = pd.NaT
    assert count_rhythm(frame).loc[0, 9] == 1


@given(st.permutations(range(50)))
@settings(deadline=None, max_examples=20)
def test_the_order_of_rows_changes_nothing(order):
    frame = town(background=50, extra=0)
    pd.testing.assert_frame_equal(count_rhythm(frame), count_rhythm(frame.iloc[order]))


@pytest.mark.parametrize(
    "frame",
    [frame_of([], []), pd.DataFrame(), town().assign(received_at=pd.NaT), town().drop(columns="received_at")],
)
def test_no_times_are_answered_with_zeros(frame):
    table = count_rhythm(frame)
    assert table.shape == (7, 24)
    assert table.to_numpy().sum() == 0
    assert table.attrs["parameters"]["left_out"] == len(frame)


def test_rows_without_a_place_count():
    assert count_rhythm(frame_of([np.nan] * 3, [np.nan] * 3)).to_numpy().sum() == 3


def test_refuses_text_for_times_and_unknown_options():
    with pytest.raises(AnalysisError, match=r"'received_at' holds .*, not times"):
        count_rhythm(town().assign(received_at="yesterday"))
    with pytest.raises(AnalysisError, match=r"no option 'zone'.*none"):
        Rhythm().run(town(), zone="UTC")


def test_new_york_s_raw_export_peaks_at_night(shared_data):
    raw = pd.read_csv(
        shared_data / "nyc311_raw_41col_2022-05-01.csv.gz", usecols=["Created Date", "Complaint Type"]
    )
    noise = raw[raw["Complaint Type"].str.startswith("Noise")]
    times = pd.to_datetime(noise["Created Date"], format="%m/%d/%Y %I:%M:%S %p").dt.tz_localize(
        "America/New_York"
    )
    table = count_rhythm(pd.DataFrame({"received_at": times, "precision": "second"}))
    assert table.to_numpy().sum() == len(noise) == 729
    assert table.loc[6].sum() == 729, "1 May 2022 was a Sunday"
