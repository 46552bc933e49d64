"""Tests of reading times."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldkit.intake.times import TimeReader, day_order

ZONE = ZoneInfo("Asia/Shanghai")


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=ZONE)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("value", "moment", "precision"),
    [
        ("2017-07-03 22:15:07", at(2017, 7, 3, 22, 15, 7), "second"),
        ("2017-07-03T14:15:07Z", at(2017, 7, 3, 22, 15, 7), "second"),
        ("2017-07-03T22:15:07.123+08:00", at(2017, 7, 3, 22, 15, 7, 123000), "second"),
        ("2017-07-03 22:15", at(2017, 7, 3, 22, 15), "second"),
        ("2017-07-03 22", at(2017, 7, 3, 22), "hour"),
        ("2017-07-03", at(2017, 7, 3), "day"),
        ("20170703", at(2017, 7, 3), "day"),
        ("20170703221507", at(2017, 7, 3, 22, 15, 7), "second"),
        ("2017-07", at(2017, 7, 1), "month"),
        ("2017", at(2017, 1, 1), "year"),
        ("2017/7/3", at(2017, 7, 3), "day"),
        ("2017/7/3 8:05", at(2017, 7, 3, 8, 5), "second"),
        ("2017.7.3", at(2017, 7, 3), "day"),
        ("2017年7月3日 22:15", at(2017, 7, 3, 22, 15), "second"),
        ("2017年7月3日22时15分30秒", at(2017, 7, 3, 22, 15, 30), "second"),
        ("2017年7月3日22时", at(2017, 7, 3, 22), "hour"),
        ("2017年7月3日 下午3点半", at(2017, 7, 3, 15, 30), "second"),
        ("2017年7月3日（星期一）晚上22:15", at(2017, 7, 3, 22, 15), "second"),
        ("2017年7月3日凌晨2点", at(2017, 7, 3, 2), "hour"),
        ("2017年7月3日中午12点10分", at(2017, 7, 3, 12, 10), "second"),
        ("2017年7月3日", at(2017, 7, 3), "day"),
        ("2017年7月", at(2017, 7, 1), "month"),
        ("2017年", at(2017, 1, 1), "year"),
        ("２０１７－０７－０３　２２：１５", at(2017, 7, 3, 22, 15), "second"),
        ("03.07.2017 22:15", at(2017, 7, 3, 22, 15), "second"),
        ("3 Jul 2017", at(2017, 7, 3), "day"),
        ("Mon, 03 July 2017 22:15:00 +0800", at(2017, 7, 3, 22, 15), "second"),
        ("July 3, 2017 10:15 PM", at(2017, 7, 3, 22, 15), "second"),
        ("07/07/2017", at(2017, 7, 7), "day"),
        (date(2017, 7, 3), at(2017, 7, 3), "day"),
        (datetime(2017, 7, 3, 22, 15), at(2017, 7, 3, 22, 15), "second"),
        (datetime(2017, 7, 3, 14, 15, tzinfo=UTC), at(2017, 7, 3, 22, 15), "second"),
        (2017, at(2017, 1, 1), "year"),
        (20170703, at(2017, 7, 3), "day"),
        (1499091300000, at(2017, 7, 3, 22, 15), "second"),
    ],
)
def test_times_are_understood(value: object, moment: datetime, precision: str) -> None:
    assert TimeReader(ZONE).read(value) == (moment, precision)


@pytest.mark.parametrize(
    "value",
    [
        "", "soon", "0", "1.5", "2017-02-30", "2017-13-01", "25:00", "05/01/2022", "13/13/2022", "2017-07-03 25:00",
        "13:00 PM", "{{7*7}}", "=1+1", "1e400", "2017-07-03 13:00 PM", "年月日", None, True,
        3.5, 7, "1/5/17", "９９９９９",
    ],
)  # fmt: skip
def test_what_is_no_time_raises(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        TimeReader(ZONE).read(value)


@pytest.mark.parametrize(
    ("text", "american", "european"),
    [
        ("05/01/2022 12:00:03 AM", at(2022, 5, 1, 0, 0, 3), at(2022, 1, 5, 0, 0, 3)),
        ("05/01/2022 12:30 PM", at(2022, 5, 1, 12, 30), at(2022, 1, 5, 12, 30)),
        ("5-1-2022", at(2022, 5, 1), at(2022, 1, 5)),
    ],
)
def test_the_order_of_day_and_month_is_as_said(text: str, american: datetime, european: datetime) -> None:
    assert TimeReader(ZONE, "month/day").read(text)[0] == american
    assert TimeReader(ZONE, "day/month").read(text)[0] == european


def test_the_order_is_seen_in_the_values() -> None:
    assert day_order(["05/01/2022", "05/13/2022"]) == "month/day"
    assert day_order(["05/01/2022", "13/05/2022"]) == "day/month"
    assert day_order(["05/13/2022", "13/05/2022"]) == "both"
    assert day_order(["05/01/2022", "x", None]) == "unclear"
    assert day_order(["2022-01-05", "x", None]) == ""


def test_formats_that_are_said_come_first() -> None:
    reader = TimeReader(ZONE, formats=("%d%m%y %H%M", "%d.%m.%y"))
    assert reader.read("030717 2215") == (at(2017, 7, 3, 22, 15), "second")
    assert reader.read("03.07.17") == (at(2017, 7, 3), "day")
    assert reader.read("2017-07-03") == (at(2017, 7, 3), "day")


@pytest.mark.parametrize(
    ("clock", "moment", "precision"),
    [
        ("22:15", at(2017, 7, 3, 22, 15), "second"),
        ("10:15 PM", at(2017, 7, 3, 22, 15), "second"),
        ("22", at(2017, 7, 3, 22), "hour"),
        ("晚上10点", at(2017, 7, 3, 22), "hour"),
        (time(22, 15), at(2017, 7, 3, 22, 15), "second"),
        (timedelta(hours=22), at(2017, 7, 3, 22), "second"),
        ("", at(2017, 7, 3), "day"),
    ],
)
def test_a_time_of_day_is_put_on_its_date(clock: object, moment: datetime, precision: str) -> None:
    assert TimeReader(ZONE).at_clock(at(2017, 7, 3), "day", clock) == (moment, precision)


@pytest.mark.parametrize("hour", ["12点", "12点半", "1点", "0点30分", "4:10"])
def test_an_hour_at_night_that_may_be_of_either_day_is_refused(hour: str) -> None:
    with pytest.raises(ValueError, match="may be before or after midnight"):
        TimeReader(ZONE).read(f"2017年7月3日晚上{hour}")
    assert TimeReader(ZONE).read("2017年7月3日晚上5点") == (at(2017, 7, 3, 17), "hour")


ZONES = st.sampled_from([None, UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-3, minutes=-30))])


@given(st.datetimes(datetime(1951, 1, 1), datetime(2090, 1, 1), timezones=ZONES))
def test_iso_8601_comes_back(moment: datetime) -> None:
    expected = moment if moment.tzinfo else moment.replace(tzinfo=ZONE)
    assert TimeReader(ZONE).read(moment.isoformat()) == (expected, "second")


@given(st.text(max_size=30) | st.integers() | st.floats() | st.none())
def test_anything_gives_a_zoned_time_or_a_refusal(value: object) -> None:
    try:
        moment, _ = TimeReader(ZONE).read(value)
    except (ValueError, OverflowError, OSError):
        return
    assert moment.utcoffset() is not None
