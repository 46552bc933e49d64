"""Implausible sources: who stands out, who does not, and how many are named."""

from __future__ import annotations

import pandas as pd
from analysis_frames import frame_of

from fieldkit.analysis.sources import MOST_NAMED, warn_of_implausible_sources


def busy(places: int, each: int, precision: str) -> pd.DataFrame:
    lons = [105.8 + place / 100 for place in range(places) for _ in range(each)]
    frame = frame_of(lons, [32.44] * len(lons))
    frame["received_at"] = pd.Timestamp("2025-01-01", tz="Asia/Shanghai")
    frame["address"] = [f"{place} Road" for place in range(places) for _ in range(each)]
    frame["precision"] = pd.Categorical([precision] * len(lons))
    return frame


def test_many_on_one_day_are_warned_of_once_a_place():
    assert [sentence.split(" of ")[0] for sentence in warn_of_implausible_sources(busy(3, 60, "day"))] == [
        "60"
    ] * 3


def test_a_complaint_known_to_the_year_is_on_no_day():
    assert warn_of_implausible_sources(busy(3, 60, "year")) == []
    assert warn_of_implausible_sources(busy(3, 60, "month")) == []


def test_only_the_largest_are_named():
    frame = busy(MOST_NAMED + 4, 60, "day")
    frame = pd.concat([frame, frame[frame["address"] == "7 Road"]], ignore_index=True)
    sentences = warn_of_implausible_sources(frame)
    assert len(sentences) == MOST_NAMED + 1
    assert sentences[0].startswith("120 of")
    assert sentences[-1].startswith("4 more places")
