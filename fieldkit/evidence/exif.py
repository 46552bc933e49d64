"""Read what a camera wrote into a picture (EXIF): when, where, which way, and with which device.

What comes in are plain values that the decoder's process took out of the file; what they mean is decided here, and
whatever cannot be meant is flagged and left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from fieldkit.evidence.piece import clean_name
from fieldkit.places import Place, in_china, place_from

# Tags by number, as CIPA DC-008 has them.
_MAKE, _MODEL, _CHANGED = "271", "272", "306"
_TAKEN, _DIGITISED = "36867", "36868"
_OFFSET, _OFFSET_TAKEN, _OFFSET_DIGITISED = "36880", "36881", "36882"
_FRACTION_TAKEN, _FRACTION_DIGITISED, _FRACTION = "37521", "37522", "37520"
_SERIAL = "42033"
_LAT_REF, _LAT, _LON_REF, _LON, _ALT_REF, _ALT, _GPS_TIME, _STATUS = "1", "2", "3", "4", "5", "6", "7", "9"
_DIRECTION_REF, _DIRECTION, _DATUM, _GPS_DATE, _ERROR_M = "16", "17", "18", "29", "31"

#: By so many seconds the camera's clock may differ from the satellites' before it is flagged: a fix may be a while old.
CLOCK_TOLERANCE_S = 60

_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_ZONE = re.compile(r"([+-])(\d\d):?(\d\d)")
_WGS84 = re.compile(r"wgs[ -]?(19)?84|cgcs[ -]?2000", re.IGNORECASE)
_GCJ02 = re.compile(r"gcj[ -]?0?2", re.IGNORECASE)
_BD09 = re.compile(r"bd[ -]?09", re.IGNORECASE)
# Before this there was no EXIF (1995); a camera whose battery was out says 1970, 1980 or 2000.
_FIRST_YEAR = 1996
_LONGEST = 120


@dataclass(slots=True)
class Shot:
    """What the camera says of a picture; names and units as in :class:`fieldkit.evidence.Evidence`."""

    taken_at: datetime | None = None
    taken_at_source: str = ""
    camera_time: str = ""
    gps_offset_s: float | None = None
    place: Place | None = None
    altitude_m: float | None = None
    direction_deg: float | None = None
    direction_reference: str = ""
    datum: str = ""
    make: str = ""
    model: str = ""
    serial: str = ""
    flags: list[str] = field(default_factory=list)


def read_shot(tags: Mapping[str, Mapping[str, Any]], zone: tzinfo, now: datetime | None = None) -> Shot:
    """Read the *tags* (``main``, ``exif`` and ``gps``, values by tag number); *zone* is the office's.

    *now* is the time after which nothing can have been taken, by default a day from now.
    """
    main, exif, gps = (tags.get(name, {}) for name in ("main", "exif", "gps"))
    shot = Shot(make=_text(main.get(_MAKE)), model=_text(main.get(_MODEL)), serial=_text(exif.get(_SERIAL)))
    _read_times(shot, main, exif, gps, zone, now or datetime.now(UTC) + timedelta(days=1))
    _read_position(shot, gps)
    return shot


def _read_times(
    shot: Shot,
    main: Mapping[str, Any],
    exif: Mapping[str, Any],
    gps: Mapping[str, Any],
    zone: tzinfo,
    now: datetime,
) -> None:
    camera, offset, changed = _camera_time(main, exif)
    satellites = _satellite_time(gps)
    if camera is not None:
        shot.camera_time = camera.isoformat()
        own = timezone(offset) if offset is not None else zone
        in_zone = camera.replace(tzinfo=own)
        shot.taken_at, shot.taken_at_source = in_zone, "exif" if offset is not None else "office_zone"
        if satellites is not None:
            shot.gps_offset_s = round((in_zone - satellites).total_seconds(), 3)
            if abs(shot.gps_offset_s) > CLOCK_TOLERANCE_S:
                shot.flags.append("clock_differs_from_gps")
    if satellites is not None and shot.taken_at_source != "exif":
        shot.taken_at, shot.taken_at_source = satellites.astimezone(zone), "gps"
    if shot.taken_at is None:
        shot.flags.append("no_time")
        return
    if shot.taken_at_source == "office_zone":
        shot.flags.append("zone_assumed")
    if changed and shot.taken_at_source != "gps":
        shot.flags.append("time_of_change")
    if shot.taken_at.year < _FIRST_YEAR or shot.taken_at > now:
        shot.flags.append("time_implausible")


def _camera_time(
    main: Mapping[str, Any], exif: Mapping[str, Any]
) -> tuple[datetime | None, timedelta | None, bool]:
    """The camera's own clock, its zone where named, and whether it is only the time of a change."""
    for source, tag, offset, fraction in (
        (exif, _TAKEN, _OFFSET_TAKEN, _FRACTION_TAKEN),
        (exif, _DIGITISED, _OFFSET_DIGITISED, _FRACTION_DIGITISED),
        (main, _CHANGED, _OFFSET, _FRACTION),
    ):
        moment = _moment(source.get(tag))
        if moment is not None:
            digits = re.match(r"\d{1,6}", _text(exif.get(fraction)))
            if digits:
                moment = moment.replace(microsecond=int(digits[0].ljust(6, "0")))
            return moment, _zone(exif.get(offset)), tag == _CHANGED
    return None, None, False


def _moment(value: Any) -> datetime | None:
    found = _TIME.match(_text(value))
    if found is None:
        return None
    try:
        return datetime.fromisoformat("{}-{}-{}T{}:{}:{}".format(*found.groups()))
    except ValueError:
        return None


def _zone(value: Any) -> timedelta | None:
    text = _text(value)
    if text in ("Z", "UTC"):
        return timedelta(0)
    found = _ZONE.fullmatch(text)
    if not found:
        return None
    away = timedelta(hours=int(found[2]), minutes=int(found[3]))
    if away > timedelta(hours=15) or int(found[3]) > 59:
        return None
    return -away if found[1] == "-" else away


def _satellite_time(gps: Mapping[str, Any]) -> datetime | None:
    date = re.fullmatch(r"(\d{4})[:-](\d\d)[:-](\d\d)", _text(gps.get(_GPS_DATE)))
    parts = _numbers(gps.get(_GPS_TIME), 3)
    if date is None or parts is None:
        return None
    hours, minutes, seconds = parts
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 61):
        return None
    try:
        day = datetime(int(date[1]), int(date[2]), int(date[3]), tzinfo=UTC)
        return day + timedelta(hours=hours, minutes=minutes, seconds=round(seconds, 3))
    except (ValueError, OverflowError):
        return None


def _read_position(shot: Shot, gps: Mapping[str, Any]) -> None:
    if _LAT not in gps and _LON not in gps:
        shot.flags.append("no_position")
        return
    lat, lon = _degrees(gps.get(_LAT)), _degrees(gps.get(_LON))
    lat_ref, lon_ref = _text(gps.get(_LAT_REF)).upper()[:1], _text(gps.get(_LON_REF)).upper()[:1]
    if lat is None or lon is None:
        shot.flags.append("position_impossible")
    elif lat == 0 and lon == 0:
        shot.flags.append("position_zero")
    elif (90 < lat <= 180 and lon <= 90) or (lat_ref in ("E", "W") and lon_ref in ("N", "S")):
        shot.flags.append("position_swapped")
    elif lat > 90 or lon > 180:
        shot.flags.append("position_impossible")
    elif lat_ref not in ("N", "S") or lon_ref not in ("E", "W"):
        # Which half of the globe is not said: half a place is none.
        shot.flags.append("position_impossible")
    else:
        _place(shot, gps, -lon if lon_ref == "W" else lon, -lat if lat_ref == "S" else lat)


def _place(shot: Shot, gps: Mapping[str, Any], lon: float, lat: float) -> None:
    if _text(gps.get(_STATUS)).upper() == "V":
        shot.flags.append("position_doubtful")  # the receiver itself says that it had no fix
    shot.datum = _text(gps.get(_DATUM))
    crs = "wgs84"
    if not shot.datum:
        shot.flags.append("datum_missing")
    elif not _WGS84.fullmatch(shot.datum):
        shot.flags.append("datum_not_wgs84")
        crs = "gcj02" if _GCJ02.search(shot.datum) else "bd09" if _BD09.search(shot.datum) else "wgs84"
    accuracy = _number(gps.get(_ERROR_M))
    known = accuracy is not None and 0 <= accuracy < 1e7
    shot.place = place_from(
        round(lon, 8),
        round(lat, 8),
        crs if in_china(lon, lat) else "wgs84",
        needs_confirming="datum_not_wgs84" in shot.flags or "position_doubtful" in shot.flags,
        accuracy_m=accuracy if known else None,
    )
    altitude, direction = _number(gps.get(_ALT)), _number(gps.get(_DIRECTION))
    if altitude is not None and abs(altitude) < 1e5:
        below = gps.get(_ALT_REF) in (1, "1", "\x01")
        shot.altitude_m = round(-altitude if below else altitude, 2)
    if direction is not None and 0 <= direction <= 360:
        shot.direction_deg = round(direction % 360, 2)
        shot.direction_reference = _text(gps.get(_DIRECTION_REF)).upper()[:1]


def _degrees(value: Any) -> float | None:
    parts = _numbers(value, 3)
    if parts is None or not (0 <= parts[1] < 60 and 0 <= parts[2] < 60.001 and parts[0] >= 0):
        return None
    return parts[0] + parts[1] / 60 + parts[2] / 3600


def _numbers(value: Any, count: int) -> list[float] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    numbers = [number for one in value if (number := _number(one)) is not None]
    return numbers if len(numbers) == count else None


def _number(value: Any) -> float | None:
    """A number or a fraction ``[numerator, denominator]`` as a float; None for what is no finite number."""
    if isinstance(value, list) and len(value) == 2:
        above, below = value
        if not isinstance(above, int) or not isinstance(below, int) or below == 0:
            return None
        value = above / below
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return clean_name(value.partition("\x00")[0].strip(), _LONGEST)
