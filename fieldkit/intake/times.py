"""Times as files write them (ISO 8601, American, European, Chinese, Excel's), to zone-aware times."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, tzinfo

#: What ``time_format`` may say besides a format of :func:`time.strptime`.
DAY_FIRST, MONTH_FIRST = "day/month", "month/day"

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"(?:[T ,]+(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:[.,]\d+)?)?)?\s*(am|pm|a\.m\.|p\.m\.)?)?"
_OFFSET = r"\s*(z|utc|gmt|[+-]\d{2}:?\d{2})?$"
_YEAR_FIRST = re.compile(r"(\d{4})(?:([-/.])(\d{1,2})(?:\2(\d{1,2}))?)?" + _CLOCK + _OFFSET, re.IGNORECASE)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})" + _CLOCK + _OFFSET, re.IGNORECASE)
_PAIR = re.compile(r"\s*(\d{1,2})([-/])(\d{1,2})\2\d{4}\b")
_CLOCK_ALONE = re.compile(
    r"(\d{1,2})(?:[:.](\d{2})(?:[:.](\d{2})(?:\.\d+)?)?)?\s*(am|pm|a\.m\.|p\.m\.)?$", re.IGNORECASE
)
_DAY_NAME_MONTH = re.compile(
    r"(?:[a-z]{3,9},?\s+)?(\d{1,2})(?:st|nd|rd|th)?[ -]([a-z]{3})[a-z]*\.?,?[ -](\d{4})", re.IGNORECASE
)
_NAME_MONTH_DAY = re.compile(
    r"(?:[a-z]{3,9},?\s+)?([a-z]{3})[a-z]*\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})", re.IGNORECASE
)
_HALF_DAYS = {
    "上午": "am",
    "早上": "am",
    "凌晨": "am",
    "下午": "pm",
    "晚上": "pm",
    "傍晚": "pm",
    "中午": "noon",
}
# Hours that people call "at night" on either side of midnight: which day 晚上12点 belongs to is not said.
_AFTER_MIDNIGHT = frozenset({0, 1, 2, 3, 4, 12})


def slash_pair(text: object) -> tuple[int, int] | None:
    """The first two numbers of a date such as ``05/01/2022``, or None when the text is no such date."""
    found = _PAIR.match(text) if isinstance(text, str) else None
    return (int(found[1]), int(found[3])) if found else None


def day_order(values: Iterable[object]) -> str:
    """What dates such as ``13/01/2022`` show: ``day/month``, ``month/day``, ``both``, ``unclear`` or ``""``.

    ``unclear`` means that there are such dates and no number above 12; ``""`` that there is none.
    """
    first = second = seen = False
    for value in values:
        pair = slash_pair(value)
        if pair:
            seen = True
            first = first or pair[0] > 12
            second = second or pair[1] > 12
    if first and second:
        return "both"
    if first or second:
        return DAY_FIRST if first else MONTH_FIRST
    return "unclear" if seen else ""


class TimeReader:
    """Reads the times of one file; *zone* is given to times without one, *order* settles ``05/01/2022``.

    *order* is ``day/month``, ``month/day`` or ``""``; *formats* are further formats of :func:`time.strptime`,
    tried first.
    """

    def __init__(self, zone: tzinfo, order: str = "", formats: tuple[str, ...] = ()) -> None:
        self.zone = zone
        self.order = order
        self.formats = formats

    def read(self, value: object) -> tuple[datetime, str]:
        """The time that *value* (text, a date, a time, a year) means, in the reader's zone, and its precision.

        Raises :class:`ValueError` when it means none.
        """
        if isinstance(value, str):
            text = value.strip()
            if not self.formats and len(text) > 13 and text[4] == "-":
                try:
                    return self._zoned(datetime.fromisoformat(text)), "second"
                except ValueError:
                    pass
            moment, precision = self._read_text(text)
            return self._zoned(moment), precision
        if isinstance(value, datetime):
            return self._zoned(value), "second"
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=self.zone), "day"
        if isinstance(value, int) and not isinstance(value, bool):
            return self._read_number(value)
        raise ValueError(f"{value!r} is no time")

    def at_clock(self, moment: datetime, precision: str, clock: object) -> tuple[datetime, str]:
        """Put the time of day *clock* (``22:15``, ``10:15 PM``, ``22``, a time) on the date *moment*."""
        if isinstance(clock, datetime):
            clock = clock.time()
        if isinstance(clock, timedelta):
            clock = (datetime.min + clock).time()
        if isinstance(clock, time):
            return moment.replace(hour=clock.hour, minute=clock.minute, second=clock.second), "second"
        text = _plain(str(clock).strip())
        if not text:
            return moment, precision
        found = _CLOCK_ALONE.match(text)
        if not found:
            raise ValueError(f"{clock!r} is no time of day")
        hour, minute, second, level = _clock(found[1], found[2], found[3], found[4])
        return moment.replace(hour=hour, minute=minute, second=second), level

    def _read_text(self, text: str) -> tuple[datetime, str]:
        for template in self.formats:
            try:
                # The zone is given afterwards, by _zoned.
                moment = datetime.strptime(text, template)
            except ValueError:
                continue
            return moment, _precision_of(template)
        if len(text) in (8, 14) and text.isdigit() and text.isascii():
            moment = datetime.fromisoformat(text if len(text) == 8 else f"{text[:8]}T{text[8:]}")
            return moment, "day" if len(text) == 8 else "second"
        plain = text if text.isascii() else _plain(text)
        if plain[:1].isalpha() or " " in plain or "-" in plain:
            plain = _DAY_NAME_MONTH.sub(_month_by_name, plain, count=1)
            plain = _NAME_MONTH_DAY.sub(_month_by_name, plain, count=1)
        if found := _YEAR_FIRST.match(plain):
            return self._moment(found[1], found[3], found[4], found.groups()[4:])
        if found := _YEAR_LAST.match(plain):
            first, second = int(found[1]), int(found[3])
            day_first = found[2] == "." or self.order == DAY_FIRST
            if not day_first and not self.order and first != second:
                raise ValueError(f"{text!r} may be day/month or month/day")
            month, day = (second, first) if day_first else (first, second)
            return self._moment(found[4], str(month), str(day), found.groups()[4:])
        raise ValueError(f"{text!r} is no time")

    def _moment(
        self, year: str, month: str | None, day: str | None, rest: tuple[str | None, ...]
    ) -> tuple[datetime, str]:
        hours, minutes, seconds, half, offset = rest
        if hours is None:
            precision = "day" if day else "month" if month else "year"
            return datetime(int(year), int(month or 1), int(day or 1)), precision
        if day is None:
            raise ValueError("a time of day without a day")
        hour, minute, second, precision = _clock(hours, minutes, seconds, half)
        moment = datetime(int(year), int(month or 1), int(day), hour, minute, second)
        if offset:
            sign = "+00:00" if offset[0] in "zZuUgG" else offset
            moment = moment.replace(tzinfo=datetime.strptime(sign, "%z").tzinfo)
        return moment, precision

    def _read_number(self, value: int) -> tuple[datetime, str]:
        if 1900 <= value <= 2100:
            return datetime(value, 1, 1, tzinfo=self.zone), "year"
        if 19_000_101 <= value <= 21_001_231:
            return self.read(str(value))
        if 10**11 < value < 10**13:
            # Milliseconds since 1970, as web maps export them.
            return datetime.fromtimestamp(value / 1000, self.zone), "second"
        raise ValueError(f"{value} is no time")

    def _zoned(self, moment: datetime) -> datetime:
        if moment.tzinfo is None:
            return moment.replace(tzinfo=self.zone)
        return moment.astimezone(self.zone)


def _plain(text: str) -> str:
    """Chinese dates and full-width digits as ``2017-7-3 22:15 pm``; raises :class:`ValueError` for 晚上12点."""
    text = unicodedata.normalize("NFKC", text).strip()
    half = next((english for chinese, english in _HALF_DAYS.items() if chinese in text), "")
    night = "晚上" in text
    for chinese in _HALF_DAYS:
        text = text.replace(chinese, " ")
    text = re.sub(r"\(?(?:星期|周|礼拜)[一二三四五六日天]\)?", " ", text)
    text = re.sub(r"[点时]半", ":30", text)
    text = re.sub(r"\s*[年月]\s*", "-", text)
    text = re.sub(r"[日号]\s*", " ", text)
    text = re.sub(r"\s*[点时分]\s*", ":", text).replace("秒", "")
    text = re.sub(r"[:\- ]+$", "", re.sub(r"\s+", " ", text)).strip()
    found = re.search(r"(?:^| )(\d{1,2})(?=:|$)", text)
    hour = int(found[1]) if found else None
    if night and hour in _AFTER_MIDNIGHT:
        raise ValueError(f"{hour} o'clock at night may be before or after midnight")
    if half == "noon":
        half = "am" if hour in (11, None) else "pm"
    if half == "pm" and hour is not None and hour > 12:
        half = ""  # "晚上22:15" needs no help
    return f"{text} {half}".strip()


def _clock(
    hours: str, minutes: str | None, seconds: str | None, half: str | None
) -> tuple[int, int, int, str]:
    hour = int(hours)
    if half:
        if not 1 <= hour <= 12 and not (hour == 0 and half[0] in "aA"):
            raise ValueError(f"hour {hour} {half}")
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    return hour, int(minutes or 0), int(seconds or 0), "hour" if minutes is None else "second"


def _month_by_name(found: re.Match[str]) -> str:
    day, name = (found[1], found[2]) if found[1].isdigit() else (found[2], found[1])
    month = name[:3].lower()
    return f"{found[3]}-{_MONTHS.index(month) + 1}-{day}" if month in _MONTHS else found[0]


def _precision_of(template: str) -> str:
    for codes, precision in (("MScXTs", "second"), ("HI", "hour"), ("dDjxeu", "day"), ("mbB", "month")):
        if any(f"%{code}" in template for code in codes):
            return precision
    return "year"
